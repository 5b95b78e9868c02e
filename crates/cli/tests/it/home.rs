//! The folder of one installation, and the private Postgres that may still run in it when a test ends.

use crate::wait::until_blocking;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{Permissions, set_permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Removed when it goes, after its Postgres was stopped.
pub struct Home {
    folder: TempDir,
}

impl Home {
    pub fn new() -> Self {
        // Short, because a socket stands in it; open, because Postgres may run as another user than the test.
        let folder = tempfile::Builder::new().prefix("rjn-").tempdir_in("/tmp").unwrap();
        set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `DATA_DIR`.
    pub fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The folder with the socket of the private Postgres.
    pub fn sockets(&self) -> PathBuf {
        self.data_dir().join("pg")
    }

    /// Everything that the processes of this installation have written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    pub fn log_file(&self) -> PathBuf {
        self.path().join("output.log")
    }

    /// The running private Postgres, of `serve` or of `demo`.
    pub fn postgres(&self) -> Option<Pid> {
        ["pg/data", "demo/pg/data"].iter().find_map(|place| postgres_of(&self.data_dir().join(place)))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for signal in [Signal::SIGQUIT, Signal::SIGKILL] {
            let Some(pid) = self.postgres() else { return };
            let _ = kill(pid, signal);
            until_blocking(Duration::from_secs(5), || self.postgres().is_none().then_some(()));
        }
    }
}

/// The server of a data folder, if the recorded process lives and is a Postgres.
fn postgres_of(data: &Path) -> Option<Pid> {
    let recorded = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid = Pid::from_raw(recorded.lines().next()?.trim().parse().ok()?);
    kill(pid, None).ok()?;
    let program = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    program.map_or(true, |name| name.starts_with("postgres")).then_some(pid)
}

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
