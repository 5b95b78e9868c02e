//! The file that keeps the world over a restart and a kill. The whole world is written each time: it is small, and a
//! whole file is either the old world or the new one.
//!
//! Always: a new copy is written beside the file and synced, then takes its name, then the folder is synced. A kill in
//! the middle leaves the old file and perhaps a half copy, which the next write overwrites. A file that cannot be
//! understood (cut short, other version, things that do not fit together) is renamed, never deleted.
//! The write blocks the calling thread for the time of two syncs, which a stand-in for one team can afford.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::world::truth::Truth;

/// Raised when an older reader could misunderstand what is written.
const VERSION: u32 = 1;

#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    /// The last write failed, so the next failure is not news.
    failing: AtomicBool,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    world: &'a Truth,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Read {
    world: Truth,
}

impl StateFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, failing: AtomicBool::new(false) }
    }

    /// The kept world; None when there is none or it was broken, which is then put aside. Errors: the file is there but
    /// cannot be read, or not be put aside.
    pub(crate) fn load(&self, now: OffsetDateTime) -> io::Result<Option<Truth>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match parse(&bytes) {
            Ok(truth) => Ok(Some(truth)),
            Err(reason) => {
                let aside = self.beside(&format!("broken-{}", now.unix_timestamp()));
                fs::rename(&self.path, &aside)?;
                tracing::warn!(%reason, aside = %aside.display(), "state of the sandbox is broken: put aside, a fresh world begins");
                Ok(None)
            }
        }
    }

    /// Writes the world; false when that failed, which is logged once until it works again.
    pub(crate) fn save(&self, truth: &Truth) -> bool {
        match self.write(truth) {
            Ok(()) => {
                self.failing.store(false, Ordering::Relaxed);
                true
            }
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "state of the sandbox cannot be written: changes are not answered until it can");
                }
                false
            }
        }
    }

    /// After this returns, the world survives a power cut.
    pub(crate) fn write(&self, truth: &Truth) -> io::Result<()> {
        let bytes = serde_json::to_vec(&Written { version: VERSION, world: truth })?;
        let copy = self.beside("new");
        let mut file = File::create(&copy)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&copy, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }
}

/// The error is for the log and says where the file stops making sense.
fn parse(bytes: &[u8]) -> Result<Truth, String> {
    let Version { version } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!("version {version}, this program reads {VERSION}"));
    }
    let Read { world } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    world.reconnected().ok_or_else(|| "comments without the thread they belong to".to_owned())
}
