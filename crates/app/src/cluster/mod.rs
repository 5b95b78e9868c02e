//! The private Postgres cluster: a real Postgres that we create, start and stop ourselves, for `demo` and for `serve`
//! without `DATABASE_URL`.
//!
//! Always: fsync is on; there is no TCP port; one process of ours per data folder (a lock file says so); an existing cluster
//! is used or an error is given, never silently replaced by an empty one.
//!
//! Who may connect: the server trusts whoever reaches its socket, and the socket stands in a folder that only its owner (and
//! root) may enter. A password would add nothing: it would lie in a file under the same lock. Peer authentication would need
//! a map that names root and the owner, and says the same.
//!
//! What goes wrong, and then: the app is killed, the server lives on, and the next start takes it over; both are killed, the
//! first start may be refused and is tried again; initdb is killed, its rest is removed and it runs anew. Each error is one
//! line that says what to do.

mod binaries;
mod error;
mod init;
mod owner;
mod pidfile;
mod place;
mod server;

pub use error::ClusterError;

use place::Place;
use server::Server;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Instant;

const SUPERUSER: &str = "rejoinder";
const DATABASE: &str = "rejoinder";

#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of this installation, made if missing; the cluster lives in its subfolder `pg`.
    pub data_dir: PathBuf,
    /// `POSTGRES_BIN_DIR`: the folder of `initdb` and `postgres`. Named, it is the only one tried.
    pub bin_dir: Option<PathBuf>,
    pub max_connections: u32,
}

/// A running cluster. Dropped without `stop`, it is told to shut down and the folder is given free at once.
#[derive(Debug)]
pub struct Cluster {
    // Before the place: the lock goes last.
    server: Server,
    place: Place,
    connect: PgConnectOptions,
}

/// Creates the cluster where there is none, starts it or takes over the one that still runs, and makes the database.
/// Takes about a second the first time and a tenth of it later; after a kill up to some minutes, while Postgres recovers.
pub async fn start(options: &Options) -> Result<Cluster, ClusterError> {
    let began = Instant::now();
    let data_dir = options.data_dir.clone();
    let prepared = tokio::task::spawn_blocking(move || Place::prepare(&data_dir)).await;
    let place = prepared
        .map_err(|error| ClusterError::NotWritable { folder: options.data_dir.clone(), reason: error.to_string() })??;
    if let Some(note) = &place.note {
        tracing::info!("{note}");
    }
    let connect = connect_options(&place.sockets);

    let (server, how) = match server::attach(&place, &connect).await? {
        Some(server) => (server, "attached"),
        None => {
            init::remove_unfinished(&place.base);
            let existing = place.major()?;
            let binaries = binaries::locate(&place, options.bin_dir.as_deref(), existing).await?;
            if existing.is_none() {
                init::create(&place, &binaries).await?;
                tracing::info!(folder = %place.data().display(), major = binaries.major, "cluster created");
            }
            let server = server::launch(&place, &binaries, options.max_connections, &connect).await?;
            (server, if existing.is_none() { "new" } else { "started" })
        }
    };
    server::ensure_database(&place, &connect, DATABASE).await?;
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(how, pid = server.pid, elapsed_ms, folder = %place.base.display(), "private Postgres cluster is up");
    Ok(Cluster { server, place, connect })
}

/// How to reach the server that runs on the cluster of this data folder, whoever started it; None where none runs. Takes no lock
/// and starts nothing: for a command beside a running Rejoinder.
pub fn running(data_dir: &Path) -> Option<PgConnectOptions> {
    place::candidates(data_dir).into_iter().find_map(|data| {
        pidfile::live(&data)?;
        Some(connect_options(&pidfile::sockets(&data)?))
    })
}

/// Whether there is a cluster for this data folder, running or not.
pub fn exists(data_dir: &Path) -> bool {
    place::candidates(data_dir).iter().any(|data| data.join("PG_VERSION").exists())
}

impl Cluster {
    /// Over the Unix socket, as the superuser of this cluster, to the database `rejoinder`.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.connect.clone()
    }

    /// One line for the operator if the cluster is not inside the data folder.
    pub fn location_note(&self) -> Option<&str> {
        self.place.note.as_deref()
    }

    /// Fast shutdown, also of a server that an earlier process started. Returns when it is gone and the folder is free.
    pub async fn stop(self) -> Result<(), ClusterError> {
        let began = Instant::now();
        self.server.stop().await?;
        drop(self.place);
        tracing::info!(
            elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "private Postgres cluster is down"
        );
        Ok(())
    }
}

fn connect_options(sockets: &Path) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(sockets)
        .port(5432)
        .username(SUPERUSER)
        .database(DATABASE)
        .ssl_mode(PgSslMode::Disable)
}

/// The last complaint in the log since `mark` (bytes), without its time stamp.
fn log_tail(log: &Path, mark: u64) -> Option<String> {
    let mut file = std::fs::File::open(log).ok()?;
    file.seek(SeekFrom::Start(mark)).ok()?;
    let mut bytes = Vec::new();
    file.take(64 * 1024).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let complaint =
        text.lines().rev().find_map(|line| ["FATAL:", "error:"].iter().find_map(|mark| Some(line.split_once(mark)?.1)));
    let line = complaint.or_else(|| text.lines().rev().find(|line| !line.trim().is_empty()))?;
    Some(line.trim().to_owned())
}
