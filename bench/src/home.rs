//! What a run stands on: a temporary folder, a Postgres of its own, the simulated Reddit in this process, and the settings of every
//! server process that is started on them. All of it goes when the run ends, however it ends.

use crate::process::{Process, Program};
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rejoinder_app::cluster::{self, Cluster};
use rejoinder_sandbox::{Control, Options, Sandbox};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::collections::BTreeMap;
use std::fs::{Permissions, set_permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Opens nothing real.
const KEY: &str = "YSBtZWFzdXJlbWVudCwgbm90IGEgc2VjcmV0LCAzMiE=";
/// Twelve processes with all their connections.
const MAX_CONNECTIONS: u32 = 420;
const POSTGRES_PATIENCE: Duration = Duration::from_secs(30);

pub type Settings = BTreeMap<String, String>;

pub struct Home {
    cluster: Option<Cluster>,
    // Runs as long as this value lives.
    _sandbox: Sandbox,
    pub control: Control,
    /// For looking at the rows, and for seeding.
    pub pool: PgPool,
    /// Where the API of the run listens.
    pub port: u16,
    program: Program,
    settings: Settings,
    folder: TempDir,
}

impl Home {
    /// Starts Postgres and sandbox; `more` is set for every server process beside what each needs.
    pub async fn open(program: Program, seed: u64, more: &[(&str, String)]) -> Result<Self> {
        let folder = folder()?;
        let cluster = start_cluster(folder.path()).await?;
        let sandbox = rejoinder_sandbox::start(Options { seed, ..Options::default() }).await?;
        let control = sandbox.control();
        control.set_rate_budget(u32::MAX);
        let port = free_port(seed)?;
        let mut settings = settings(folder.path(), port, &sandbox);
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(cluster.connect_options());
        Ok(Self { cluster: Some(cluster), _sandbox: sandbox, control, pool, port, program, settings, folder })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The settings of every server process, also for code of the server that runs in this one.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Starts a server process and waits until it is ready. `name` is its log's, and how the platform sees who calls.
    pub async fn serve(&self, name: &str, roles: &str) -> Result<Process> {
        let mut settings = self.settings.clone();
        settings.insert("REDDIT_USER_AGENT".to_owned(), agent(name));
        self.program.serve(self.path(), name, roles, &settings).await
    }

    /// A command on the same database; what it printed.
    pub async fn command(&self, arguments: &[&str]) -> Result<String> {
        self.program.run(self.path(), arguments, &self.settings).await
    }

    /// SIGQUIT, Postgres' immediate stop: every session is cut off, nothing is written in order. Then a start.
    pub async fn crash_postgres(&mut self) -> Result<()> {
        let pid = self.postgres()?;
        kill(pid, Signal::SIGQUIT).context("Postgres could not be stopped")?;
        let deadline = Instant::now() + POSTGRES_PATIENCE;
        while lives(pid) {
            if Instant::now() > deadline {
                bail!("Postgres (pid {pid}) does not stop");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(self.cluster.take());
        self.cluster = Some(start_cluster(self.path()).await?);
        Ok(())
    }

    pub fn postgres(&self) -> Result<Pid> {
        let file = self.path().join("data/pg/data/postmaster.pid");
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
        Ok(Pid::from_raw(pid.with_context(|| format!("{} names no process", file.display()))?))
    }

    /// Copies the logs of all processes out of the folder that goes, and returns where they are.
    pub fn keep_logs(&self) -> Result<PathBuf> {
        let kept = tempfile::Builder::new().prefix("rjn-bench-logs-").tempdir()?.keep();
        let postgres = self.path().join("data/postgres.log");
        let own = std::fs::read_dir(self.path())?.filter_map(|entry| Some(entry.ok()?.path()));
        let logs = own.chain([postgres]).filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        for log in logs {
            if let Some(name) = log.file_name() {
                // What is not there is not missed.
                let _ = std::fs::copy(&log, kept.join(name));
            }
        }
        Ok(kept)
    }

    /// Passes a result on; where it is an error, the logs stay and the error says where.
    pub fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match self.keep_logs() {
            Ok(kept) => error.context(format!("the run failed; the logs are in {}", kept.display())),
            Err(_) => error,
        })
    }

    /// Everything down, in order.
    pub async fn close(mut self) -> Result<()> {
        self.pool.close().await;
        if let Some(cluster) = self.cluster.take() {
            cluster.stop().await?;
        }
        Ok(())
    }
}

impl Drop for Home {
    /// Where the run was given up: the folder goes only when nothing writes in it any more.
    fn drop(&mut self) {
        let Some(cluster) = self.cluster.take() else { return };
        let pid = self.postgres();
        drop(cluster);
        let deadline = Instant::now() + POSTGRES_PATIENCE;
        while let Ok(pid) = pid
            && lives(pid)
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// How a process introduces itself to the platform.
pub fn agent(process: &str) -> String {
    format!("bench:rejoinder:{process} (by /u/nobody)")
}

/// Short, because a socket stands in it; open, because Postgres may run as another user.
pub fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("rjn-bench-").tempdir_in("/tmp")?;
    set_permissions(folder.path(), Permissions::from_mode(0o755))?;
    Ok(folder)
}

pub async fn start_cluster(folder: &Path) -> Result<Cluster> {
    let options = cluster::Options { data_dir: folder.join("data"), bin_dir: None, max_connections: MAX_CONNECTIONS };
    Ok(cluster::start(&options).await?)
}

pub fn database_url(folder: &Path) -> String {
    let sockets = folder.join("data/pg").display().to_string().replace('/', "%2F");
    format!("postgres://rejoinder@localhost/rejoinder?host={sockets}&sslmode=disable")
}

fn settings(folder: &Path, port: u16, sandbox: &Sandbox) -> Settings {
    let reddit = format!("{}reddit", sandbox.base_url());
    let own = [
        ("DATABASE_URL", database_url(folder)),
        ("DATA_DIR", folder.join("data").display().to_string()),
        ("ENCRYPTION_KEY", KEY.to_owned()),
        ("PORT", port.to_string()),
        ("PUBLIC_URL", format!("http://127.0.0.1:{port}")),
        ("AI_PROVIDER", "template".to_owned()),
        ("REDDIT_CLIENT_ID", "sandbox-client".to_owned()),
        ("REDDIT_CLIENT_SECRET", "sandbox-secret".to_owned()),
        ("REDDIT_AUTH_BASE", reddit.clone()),
        ("REDDIT_API_BASE", reddit),
        ("SEND_GAP_SECS", "0".to_owned()),
    ];
    own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Below the ports that outgoing connections take, so that the API finds it free again after each restart.
fn free_port(seed: u64) -> Result<u16> {
    let mut rng = crate::rng::Rng::new(seed ^ u64::from(std::process::id()));
    for _ in 0..200 {
        let port = 20_100 + u16::try_from(rng.below(12_000)).unwrap_or(0);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between 20100 and 32100")
}

fn lives(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let zombie = status.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'));
    kill(pid, None).is_ok() && !zombie
}
