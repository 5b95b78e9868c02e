//! Why the private cluster did not start or stop. Each text is one line for the operator: what, why, what to do next.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Another process of ours holds the folder. Nothing is broken.
    #[error("the data folder {} is in use by another running Rejoinder{}; stop that one or set DATA_DIR to another folder",
        folder.display(), holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse { folder: PathBuf, holder: Option<u32> },

    /// We cannot write where the cluster must live.
    #[error("cannot write to {}: {reason}; give this user the right to write there or set DATA_DIR to another folder", folder.display())]
    NotWritable { folder: PathBuf, reason: String },

    /// A cluster is there, but it belongs to an account that we are not and do not become.
    #[error("the cluster in {} belongs to user {owner}, but Postgres would run as {wanted}; start Rejoinder as the user who made it, or give it over: chown -R {wanted} {}", folder.display(), folder.display())]
    OtherOwner { folder: PathBuf, owner: String, wanted: String },

    /// A cluster is there, but the user who owns it cannot enter the folders above it any more.
    #[error("the cluster in {} cannot be reached by its owner {owner}; make the folders above it passable (chmod o+x) or move the data folder", folder.display())]
    Unreachable { folder: PathBuf, owner: String },

    /// We are root, and there is nobody to run Postgres as.
    #[error(
        "Postgres refuses to run as root and there is no user postgres or nobody; start Rejoinder as an ordinary user, or run: useradd --system postgres"
    )]
    NoUser,

    /// Neither installed nor downloadable.
    #[error(
        "no Postgres programs found, and the download failed ({reason}); install Postgres (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17), or set POSTGRES_BIN_DIR or DATABASE_URL"
    )]
    NoBinaries { reason: String },

    /// The folder that the operator named does not hold usable programs.
    #[error("POSTGRES_BIN_DIR {} cannot be used: {reason}; point it at the folder that holds initdb and postgres, or unset it", folder.display())]
    BinDir { folder: PathBuf, reason: String },

    /// The programs at hand cannot open the data of this cluster.
    #[error("the cluster in {} needs Postgres {needed}, found {found}; install Postgres {needed} or set POSTGRES_BIN_DIR to its programs", folder.display())]
    WrongVersion { folder: PathBuf, needed: u32, found: String },

    /// The folder for the socket exists and is not safely ours.
    #[error("the socket folder {} cannot be used: {reason}; remove it and start again", folder.display())]
    SocketFolder { folder: PathBuf, reason: String },

    /// initdb ran and failed.
    #[error("cannot create the cluster in {}: {reason}; see {}", folder.display(), log.display())]
    Init { folder: PathBuf, reason: String, log: PathBuf },

    /// Postgres did not come up, or came up and did not answer.
    #[error("Postgres did not start in {}: {reason}; see {}", folder.display(), log.display())]
    Start { folder: PathBuf, reason: String, log: PathBuf },

    /// The server is still there.
    #[error("Postgres (process {pid}) did not stop: {reason}; end it by hand with: kill -INT {pid}")]
    Stop { pid: i32, reason: String },
}
