//! One private cluster for all tests of this process, with a migrated template that every test clones.
//!
//! A shell holds the cluster's folder: when this process ends, however it ends, the shell's input ends too, and it stops the
//! server and removes the folder.

use rejoinder_app::cluster::{Cluster, Options, start};
use rejoinder_app::database;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

const TEMPLATE: &str = "template_rejoinder";

static SHARED: OnceCell<Shared> = OnceCell::const_new();
static NUMBER: AtomicU32 = AtomicU32::new(0);

struct Shared {
    cluster: Cluster,
    _reaper: Child,
}

/// A database of one test's own: connections, and where more can be had.
pub struct TestDatabase {
    pub pool: PgPool,
    pub options: PgConnectOptions,
    name: String,
}

impl Shared {
    async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("rejoinder-it-{}", std::process::id()));
        // Postgres may run as another user, who must be able to enter.
        DirBuilder::new().mode(0o755).create(&folder).unwrap();
        let reaper = reap(&folder);
        let options = Options { data_dir: folder, bin_dir: None, max_connections: 400 };
        let cluster = start(&options).await.unwrap();
        let shared = Self { cluster, _reaper: reaper };
        shared.make_template().await;
        shared
    }

    async fn make_template(&self) {
        let mut admin = self.admin().await;
        // The data is worth nothing: no test waits for the disk.
        admin.execute("alter role current_user set synchronous_commit = off").await.unwrap();
        admin.execute(AssertSqlSafe(format!("create database {TEMPLATE}"))).await.unwrap();
        let pool = connect(self.cluster.connect_options().database(TEMPLATE), 4).await;
        database::migrate(&pool).await.unwrap();
        pool.close().await;
    }

    async fn admin(&self) -> PgConnection {
        PgConnection::connect_with(&self.cluster.connect_options().database("postgres")).await.unwrap()
    }
}

/// Waits for the end of this process, then takes the server down by its pid.
fn reap(folder: &Path) -> Child {
    const SCRIPT: &str = r#"
        trap '' INT TERM HUP
        read -r _
        pid=$(head -n 1 "$0/pg/data/postmaster.pid" 2>/dev/null)
        if [ -n "$pid" ]; then
            kill -INT "$pid" 2>/dev/null
            tries=0
            while kill -0 "$pid" 2>/dev/null && [ $tries -lt 200 ]; do tries=$((tries + 1)); sleep 0.05; done
        fi
        rm -rf "$0"
    "#;
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.process_group(0).spawn().unwrap()
}

async fn connect(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(60))
        .connect_with(options)
        .await
        .unwrap()
}

impl TestDatabase {
    pub async fn create() -> Self {
        let shared = SHARED.get_or_init(Shared::start).await;
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin = shared.admin().await;
        admin.execute(AssertSqlSafe(format!("create database {name} template {TEMPLATE}"))).await.unwrap();
        let options = shared.cluster.connect_options().database(&name);
        Self { pool: connect(options.clone(), 24).await, options, name }
    }

    pub async fn drop(self) {
        self.pool.close().await;
        let shared = SHARED.get().unwrap();
        let statement = format!("drop database {} with (force)", self.name);
        shared.admin().await.execute(AssertSqlSafe(statement)).await.unwrap();
    }
}
