//! Where a cluster lives and who owns it; holds the lock on the data folder for as long as the cluster is ours.
//!
//! Started as root, an existing unprivileged user owns everything below `pg`. An existing cluster is never left behind: its
//! folder and its owner win over what we would choose today, and where it cannot be used we say so instead of making an
//! empty one elsewhere. Files that root opens by name are never followed through a symbolic link.

use super::ClusterError;
use super::owner::{Owner, user_name};
use nix::fcntl::OFlag;
use nix::unistd::{Uid, User, geteuid};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where clusters go that their user cannot reach in the data folder.
const FALLBACK_ROOT: &str = "/var/lib/rejoinder";
/// The address of a Unix socket holds 104 bytes on macOS and 108 on Linux, the closing zero included.
const SOCKET_PATH_MAX: usize = 100;
const SOCKET_NAME: &str = "/.s.PGSQL.5432";
/// The server's messages of earlier starts are dropped beyond this size.
const LOG_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// The folders of one cluster. The lock is held until this value goes.
#[derive(Debug)]
pub(super) struct Place {
    pub owner: Owner,
    /// Private to the owner; holds the data folder, the socket where its path is short enough, and downloaded programs.
    pub base: PathBuf,
    pub sockets: PathBuf,
    pub note: Option<String>,
    pub log: PathBuf,
    lock: File,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Closing would do, but a child that is being started at this moment may still hold a copy.
        let _ = self.lock.unlock();
    }
}

impl Place {
    pub(super) fn prepare(data_dir: &Path) -> Result<Place, ClusterError> {
        let folder = usable_folder(data_dir)?;
        let lock = lock(&folder)?;
        let (owner, base) = if geteuid().is_root() { home_as_root(&folder)? } else { home_as_user(&folder)? };
        let note = (!base.starts_with(&folder)).then(|| {
            format!(
                "the data folder {} cannot be reached by user {}, the cluster is in {}",
                folder.display(),
                owner.name,
                base.display()
            )
        });
        let sockets = socket_folder(&owner, &base, Path::new("/tmp"))?;
        Ok(Place { owner, base, sockets, note, log: folder.join("postgres.log"), lock })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.base.join("data")
    }

    /// The major version that wrote the data; `None` if there is no cluster yet.
    pub(super) fn major(&self) -> Result<Option<u32>, ClusterError> {
        let file = self.data().join("PG_VERSION");
        match std::fs::read_to_string(&file) {
            Ok(text) => match text.trim().split('.').next().unwrap_or_default().parse() {
                Ok(major) => Ok(Some(major)),
                Err(_) => Err(self.start_failed(format!("{} holds no version", file.display()))),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.start_failed(format!("cannot read {}: {error}", file.display()))),
        }
    }

    /// The file that takes the messages of initdb and of the server. It stays in the data folder, under our own name.
    pub(super) fn open_log(&self) -> Result<File, ClusterError> {
        let open = || {
            let file = open_own(&self.log, OpenOptions::new().append(true))?;
            if file.metadata()?.len() > LOG_MAX_BYTES {
                file.set_len(0)?;
            }
            Ok(file)
        };
        open().map_err(|error: std::io::Error| not_writable(&self.log, &error))
    }

    pub(super) fn start_failed(&self, reason: String) -> ClusterError {
        ClusterError::Start { folder: self.data(), reason, log: self.log.clone() }
    }
}

fn not_writable(folder: &Path, error: &std::io::Error) -> ClusterError {
    ClusterError::NotWritable { folder: folder.to_owned(), reason: error.to_string() }
}

fn usable_folder(data_dir: &Path) -> Result<PathBuf, ClusterError> {
    std::fs::create_dir_all(data_dir)
        .and_then(|()| data_dir.canonicalize())
        .map_err(|error| not_writable(data_dir, &error))
}

fn open_own(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    options.create(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)
}

fn lock(folder: &Path) -> Result<File, ClusterError> {
    let path = folder.join("cluster.lock");
    let mut file =
        open_own(&path, OpenOptions::new().read(true).write(true)).map_err(|error| not_writable(folder, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let holder = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(ClusterError::InUse { folder: folder.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(not_writable(&path, &error)),
    }
    let pid = std::process::id();
    file.set_len(0).and_then(|()| writeln!(file, "{pid}")).map_err(|error| not_writable(&path, &error))?;
    Ok(file)
}

fn fallback(folder: &Path) -> PathBuf {
    Path::new(FALLBACK_ROOT).join(short_hash(folder))
}

/// Where the data of a cluster of this data folder can stand. Makes nothing.
pub(super) fn candidates(data_dir: &Path) -> Vec<PathBuf> {
    let Ok(folder) = data_dir.canonicalize() else { return Vec::new() };
    [folder.join("pg"), fallback(&folder)].map(|base| base.join("data")).to_vec()
}

fn short_hash(path: &Path) -> String {
    Sha256::digest(path.as_os_str().as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn home_as_user(folder: &Path) -> Result<(Owner, PathBuf), ClusterError> {
    let owner = Owner::ourselves();
    let base = folder.join("pg");
    for kept in [&base, &fallback(folder)] {
        if let Ok(found) = std::fs::symlink_metadata(kept)
            && found.uid() != owner.uid
        {
            return Err(other_owner(kept, found.uid(), &owner.name));
        }
    }
    owner.private_folder(&base).map_err(|reason| ClusterError::NotWritable { folder: base.clone(), reason })?;
    Ok((owner, base))
}

fn home_as_root(folder: &Path) -> Result<(Owner, PathBuf), ClusterError> {
    let (near, far) = (folder.join("pg"), fallback(folder));
    for base in [&near, &far] {
        if let Some(owner) = owner_of_existing(base)? {
            return Ok((owner, base.clone()));
        }
    }
    let owner = Owner::become_user(service_user()?);
    // Only an empty one goes.
    let _ = std::fs::remove_dir(&near);
    if owner.private_folder(&near).is_ok() && owner.can_use(&near) {
        return Ok((owner, near));
    }
    let _ = std::fs::remove_dir(&near);
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(FALLBACK_ROOT)
        .map_err(|error| not_writable(Path::new(FALLBACK_ROOT), &error))?;
    owner.private_folder(&far).map_err(|reason| ClusterError::NotWritable { folder: far.clone(), reason })?;
    if !owner.can_use(&far) {
        return Err(ClusterError::Unreachable { folder: far, owner: owner.name });
    }
    Ok((owner, far))
}

/// The user of the cluster that stands in `base`; `None` if there is nothing to keep.
fn owner_of_existing(base: &Path) -> Result<Option<Owner>, ClusterError> {
    let Ok(found) = std::fs::symlink_metadata(base.join("data")) else {
        return Ok(None);
    };
    let Some(user) = User::from_uid(Uid::from_raw(found.uid())).ok().flatten().filter(|user| !user.uid.is_root())
    else {
        return Err(other_owner(base, found.uid(), &service_user()?.name));
    };
    let owner = Owner::become_user(user);
    if owner.can_use(base) {
        Ok(Some(owner))
    } else {
        Err(ClusterError::Unreachable { folder: base.to_owned(), owner: owner.name })
    }
}

fn other_owner(folder: &Path, uid: u32, wanted: &str) -> ClusterError {
    ClusterError::OtherOwner {
        folder: folder.to_owned(),
        owner: user_name(Uid::from_raw(uid)),
        wanted: wanted.to_owned(),
    }
}

fn service_user() -> Result<User, ClusterError> {
    let known = |name| User::from_name(name).ok().flatten().filter(|user| !user.uid.is_root());
    known("postgres").or_else(|| known("nobody")).ok_or(ClusterError::NoUser)
}

/// The base folder itself, or a short folder beside other people's things, where the name is free or already ours.
fn socket_folder(owner: &Owner, base: &Path, shared: &Path) -> Result<PathBuf, ClusterError> {
    if base.as_os_str().len() + SOCKET_NAME.len() <= SOCKET_PATH_MAX {
        return Ok(base.to_owned());
    }
    let short = shared.join(format!("rejoinder-{}", short_hash(base)));
    owner.private_folder(&short).map_err(|reason| ClusterError::SocketFolder { folder: short.clone(), reason })?;
    Ok(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn long_base() -> PathBuf {
        Path::new("/srv").join("x".repeat(120))
    }

    #[test]
    fn a_long_path_gets_a_short_private_socket_folder_and_the_same_one_again() {
        let shared = tempfile::tempdir().unwrap();
        let owner = Owner::ourselves();
        let folder = socket_folder(&owner, &long_base(), shared.path()).unwrap();
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(socket_folder(&owner, &long_base(), shared.path()).unwrap(), folder);
    }

    #[test]
    fn a_socket_folder_that_somebody_laid_out_for_us_is_refused() {
        let shared = tempfile::tempdir().unwrap();
        let owner = Owner::ourselves();
        let folder = socket_folder(&owner, &long_base(), shared.path()).unwrap();

        set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let open = socket_folder(&owner, &long_base(), shared.path()).unwrap_err();
        assert!(open.to_string().contains("other users may enter it"), "{open}");

        std::fs::remove_dir(&folder).unwrap();
        symlink(shared.path(), &folder).unwrap();
        let linked = socket_folder(&owner, &long_base(), shared.path()).unwrap_err();
        assert!(linked.to_string().contains("not a folder"), "{linked}");

        std::fs::remove_file(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        let mut stranger = owner.clone();
        stranger.uid += 1;
        let foreign = socket_folder(&stranger, &long_base(), shared.path()).unwrap_err();
        assert!(foreign.to_string().contains("belongs to user"), "{foreign}");
    }

    #[test]
    fn a_lock_file_that_is_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::fs::write(&target, "precious").unwrap();
        symlink(&target, folder.path().join("cluster.lock")).unwrap();
        assert!(matches!(lock(folder.path()), Err(ClusterError::NotWritable { .. })));
        assert_eq!(std::fs::read_to_string(target).unwrap(), "precious");
    }
}
