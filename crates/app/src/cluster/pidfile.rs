//! `postmaster.pid`: which process, if any, is the live server of a data folder.
//!
//! A pid alone proves nothing: after a restart of the machine or of a container the number belongs to somebody else. So the
//! process must also be a `postgres` whose arguments name this very folder. The arguments are world-readable on Linux,
//! unlike its working folder, which root in a container without `SYS_PTRACE` may not read.

use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) fn path(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

/// The pid in the file, alive or not. Before its first line is written the file may be empty.
pub(super) fn recorded(data: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(path(data)).ok()?;
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 1)
}

/// The pid of the running server of this folder.
pub(super) fn live(data: &Path) -> Option<i32> {
    recorded(data).filter(|pid| serves(*pid, data))
}

/// The folder of the socket that the server listens on: the fifth line, written once it listens.
pub(super) fn sockets(data: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(path(data)).ok()?;
    text.lines().nth(4).map(str::trim).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// Is this process a postgres that was started on this folder? Zombies are not.
pub(super) fn serves(pid: i32, data: &Path) -> bool {
    if kill(Pid::from_raw(pid), None) == Err(nix::errno::Errno::ESRCH) {
        return false;
    }
    if Path::new("/proc/self/cmdline").exists() {
        let Ok(arguments) = std::fs::read(format!("/proc/{pid}/cmdline")) else {
            return false;
        };
        return is_server_of(&arguments, data);
    }
    let listed =
        Command::new("/bin/ps").args(["-ww", "-o", "args=", "-p", &pid.to_string()]).stdin(Stdio::null()).output();
    listed.is_ok_and(|output| {
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        line.contains("postgres") && line.contains(&*data.to_string_lossy())
    })
}

fn is_server_of(arguments: &[u8], data: &Path) -> bool {
    let mut arguments = arguments.split(|byte| *byte == 0).map(OsStr::from_bytes);
    let program = arguments.next().and_then(|program| Path::new(program).file_name());
    matches!(program, Some(name) if name == "postgres" || name == "postmaster")
        && arguments.any(|argument| argument == data.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_postgres_on_this_very_folder_counts_as_its_server() {
        let data = Path::new("/srv/a/pg/data");
        assert!(is_server_of(b"/usr/lib/postgresql/15/bin/postgres\0-D\0/srv/a/pg/data\0-c\0x=y\0", data));
        assert!(!is_server_of(b"/usr/lib/postgresql/15/bin/postgres\0-D\0/srv/a/pg/data2\0", data));
        assert!(!is_server_of(b"/usr/bin/vim\0/srv/a/pg/data\0", data));
        assert!(!is_server_of(b"", data));
    }

    #[test]
    fn a_pid_file_that_names_a_foreign_process_names_no_server() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(path(folder.path()), format!("{}\n/x\n", std::process::id())).unwrap();
        assert_eq!(recorded(folder.path()), Some(std::process::id() as i32));
        assert_eq!(live(folder.path()), None);
    }
}
