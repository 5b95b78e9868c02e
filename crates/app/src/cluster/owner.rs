//! The user that owns the cluster and runs its programs: ourselves or, where we are root, somebody with no rights at all.

use nix::unistd::{Uid, User, geteuid};
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The user that the programs of Postgres run as.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub name: String,
    pub uid: u32,
    gid: u32,
    /// We are root and become this user; otherwise we are this user already.
    switch: bool,
}

impl Owner {
    pub(super) fn ourselves() -> Owner {
        let uid = geteuid();
        Owner { name: user_name(uid), uid: uid.as_raw(), gid: 0, switch: false }
    }

    pub(super) fn become_user(user: User) -> Owner {
        Owner { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), switch: true }
    }

    /// A command that runs as this user, knows nothing of our environment (it holds secrets) and reads no terminal.
    /// Setting the uid as root also drops root's supplementary groups.
    pub(super) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").stdin(Stdio::null()).current_dir(folder);
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Can this user enter the folder and write in it? Asked of the system, so that access lists and mounts count too.
    pub(super) fn can_use(&self, folder: &Path) -> bool {
        let mut probe = self.command(Path::new("/bin/sh"), folder);
        probe.args(["-c", "test -w . && test -x ."]).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    }

    /// Makes a folder that only this user may enter. An existing one must be exactly that.
    pub(super) fn private_folder(&self, folder: &Path) -> Result<(), String> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) if self.switch => lchown(folder, Some(self.uid), Some(self.gid))
                .map_err(|error| format!("cannot give it to {}: {error}", self.name)),
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.check_private(folder),
            Err(error) => Err(error.to_string()),
        }
    }

    fn check_private(&self, folder: &Path) -> Result<(), String> {
        let found = std::fs::symlink_metadata(folder).map_err(|error| error.to_string())?;
        if !found.is_dir() {
            return Err("it is not a folder".to_owned());
        }
        if found.uid() != self.uid {
            return Err(format!("it belongs to user {}, not to {}", user_name(Uid::from_raw(found.uid())), self.name));
        }
        if found.mode() & 0o077 != 0 {
            return Err("other users may enter it".to_owned());
        }
        Ok(())
    }
}

pub(super) fn user_name(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}
