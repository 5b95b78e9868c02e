//! Creates an empty cluster: initdb works in a folder beside the final name, which gets that name only when all is written.
//! Killed at any point before, the rest is removed at a later start; an initdb that outlived its app fails on that and cleans up.

use super::binaries::Binaries;
use super::place::Place;
use super::{ClusterError, SUPERUSER, log_tail};
use std::fs::File;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(120);
const UNFINISHED: &str = "init.";
pub(super) const UNPACKING: &str = "unpacking.";

/// Text sorts by code point everywhere, so indexes survive a move to another system; letters have Unicode case where the
/// system offers it.
const LOCALES: [&[&str]; 2] = [&["--locale=C", "--lc-ctype=C.UTF-8"], &["--locale=C"]];
const BUILTIN_LOCALE: &[&str] = &["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];

pub(super) async fn create(place: &Place, binaries: &Binaries) -> Result<(), ClusterError> {
    let failed = |reason: String| ClusterError::Init { folder: place.data(), reason, log: place.log.clone() };
    let unfinished = place.base.join(format!("{UNFINISHED}{}", std::process::id()));
    let locales = if binaries.major >= 17 { &[BUILTIN_LOCALE][..] } else { &LOCALES[..] };
    let mut reason = String::new();
    for locale in locales {
        let mark = std::fs::metadata(&place.log).map_or(0, |log| log.len());
        let status = run(place, binaries, &unfinished, locale).await?;
        if status.success() {
            let named = std::fs::rename(&unfinished, place.data());
            return named.and_then(|()| File::open(&place.base)?.sync_all()).map_err(|error| failed(error.to_string()));
        }
        reason = format!("initdb: {}", log_tail(&place.log, mark).unwrap_or_else(|| status.to_string()));
    }
    Err(failed(reason))
}

async fn run(place: &Place, binaries: &Binaries, target: &Path, locale: &[&str]) -> Result<ExitStatus, ClusterError> {
    let failed = |reason: String| ClusterError::Init { folder: place.data(), reason, log: place.log.clone() };
    let log = place.open_log()?;
    let copy = log.try_clone().map_err(|error| failed(error.to_string()))?;
    let mut command = place.owner.command(&binaries.folder.join("initdb"), &place.base);
    command.arg("-D").arg(target).args([
        "-U",
        SUPERUSER,
        "--encoding=UTF8",
        "--auth-local=trust",
        "--auth-host=reject",
    ]);
    command.args(["--no-instructions", "--text-search-config=simple"]).args(locale).stdout(log).stderr(copy);
    let mut child =
        tokio::process::Command::from(command).kill_on_drop(true).spawn().map_err(|error| failed(error.to_string()))?;
    match tokio::time::timeout(TIMEOUT, child.wait()).await {
        Ok(status) => status.map_err(|error| failed(error.to_string())),
        Err(_) => Err(failed(format!("initdb took longer than {} s", TIMEOUT.as_secs()))),
    }
}

/// What killed starts left. Where something still writes in it, it goes at the next start.
pub(super) fn remove_unfinished(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(UNFINISHED) || name.starts_with(UNPACKING) {
            let removed = std::fs::remove_dir_all(entry.path());
            tracing::info!(folder = %entry.path().display(), ?removed, "removing what a killed start left");
        }
    }
}
