//! A throwaway Postgres cluster. A shell holds it: when this process ends, however it ends, the shell's input ends too
//! and it takes the cluster down.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor, PgPool};

static SHARED: OnceLock<Cluster> = OnceLock::new();
static NUMBER: AtomicU32 = AtomicU32::new(0);

pub struct Cluster {
    folder: PathBuf,
    bin: PathBuf,
    _holder: Child,
}

/// A pool on a new database with the queue's schema and the table `runs`.
pub async fn database() -> PgPool {
    let cluster = tokio::task::spawn_blocking(|| SHARED.get_or_init(Cluster::start)).await.unwrap();
    cluster.database().await
}

impl Cluster {
    pub fn start() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("queue-test-{}-{number}", std::process::id()));
        let bin = bin_folder();
        let script = format!(
            "set -e; cd /; mkdir -m 700 {folder}; trap '' INT
             {bin}/initdb -D {folder}/data -A trust -U postgres --no-locale -E UTF8 --no-sync >/dev/null
             {bin}/pg_ctl -D {folder}/data -l {folder}/log -w start -o \"-k {folder} -h '' -c fsync=off -c max_connections=300\" >/dev/null
             echo ready
             read end || true
             {bin}/pg_ctl -D {folder}/data -m immediate stop >/dev/null; rm -rf {folder}",
            folder = folder.display(),
            bin = bin.display(),
        );
        let mut holder =
            as_postgres(&["sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut ready = [0; 5];
        let said = holder.stdout.as_mut().expect("piped").read_exact(&mut ready);
        said.expect("Postgres starts: its folder is in the temporary folder");
        Self { folder, bin, _holder: holder }
    }

    /// As after a crash: nothing is told to the clients.
    pub fn restart(&self) {
        let data = self.folder.join("data");
        let restarted = as_postgres(&[
            &self.bin.join("pg_ctl").display().to_string(),
            "-D",
            &data.display().to_string(),
            "-l",
            &self.folder.join("log").display().to_string(),
            "-m",
            "immediate",
            "-w",
            "restart",
        ])
        .stdout(Stdio::null())
        .status();
        assert!(restarted.expect("pg_ctl runs").success());
    }

    pub async fn database(&self) -> PgPool {
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let admin = connect(&self.folder, "postgres", 1).await;
        admin.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        admin.close().await;
        let pool = connect(&self.folder, &name, 24).await;
        rejoinder_app::queue::migrate(&pool).await.unwrap();
        pool.execute(
            "create table runs (id bigserial primary key, job_id bigint, note text, attempt smallint, child boolean,
               at timestamptz, ended boolean not null default false)",
        )
        .await
        .unwrap();
        pool
    }
}

/// Where a child process finds the database of this pool.
pub fn url(pool: &PgPool) -> String {
    let options = pool.connect_options();
    let folder = options.get_socket().expect("tests use a socket");
    format!("{}|{}", folder.display(), options.get_database().expect("a database"))
}

pub async fn connect_url(url: &str) -> PgPool {
    let (folder, name) = url.split_once('|').expect("folder|name");
    connect(Path::new(folder), name, 10).await
}

async fn connect(folder: &Path, database: &str, connections: u32) -> PgPool {
    let options = PgConnectOptions::new_without_pgpass()
        .socket(folder)
        .username("postgres")
        .database(database)
        // A process that stalls inside the engine's sweep holds the lock of all sweeps until this ends it.
        .options([("idle_in_transaction_session_timeout", "2s")]);
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(60))
        .connect_with(options)
        .await
        .unwrap()
}

/// Postgres refuses to run as root.
fn as_postgres(command: &[&str]) -> Command {
    let mut run;
    if nix::unistd::geteuid().is_root() {
        run = Command::new("runuser");
        run.args(["-u", "postgres", "--"]).args(command);
    } else {
        run = Command::new(command[0]);
        run.args(&command[1..]);
    }
    run
}

fn bin_folder() -> PathBuf {
    if let Some(named) = std::env::var_os("POSTGRES_BIN_DIR") {
        return named.into();
    }
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&on_path));
    found.sort_by_key(|folder| !folder.starts_with("/usr/lib/postgresql"));
    let has_initdb = |folder: &PathBuf| folder.join("initdb").exists();
    found.into_iter().find(has_initdb).expect("Postgres binaries: set POSTGRES_BIN_DIR")
}
