//! The server process: found alive from an earlier life of ours, or started; and stopped.
//!
//! It runs in its own process group, so Ctrl-C, Ctrl-\ and Ctrl-Z at our terminal never reach it and we decide about its end.
//! A session of its own would add nothing: the other thing a session brings is the hang-up of the terminal, which also goes
//! to the foreground group only, and setsid(2) needs unsafe code or one more program.
//! After kill -9 of app and server, backends of the old server may live on for a moment and hold its shared memory:
//! Postgres then rightly refuses to start, and we try again for a while.

use super::binaries::Binaries;
use super::place::Place;
use super::{ClusterError, log_tail, pidfile};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

/// How long refusals after a kill are retried.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(15);
/// How long a live server may replay its log before it answers.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(60);
const QUIT_PATIENCE: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// A running postmaster. Dropped without `stop` (a panic, a cancelled start) it is told to shut down, without waiting.
#[derive(Debug)]
pub(super) struct Server {
    pub pid: i32,
    /// Ours to reap; `None` for one that an earlier process of ours started.
    child: Option<Child>,
    data: PathBuf,
}

impl Server {
    fn alive(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => pidfile::serves(self.pid, &self.data),
        }
    }

    /// Fast shutdown: open transactions are rolled back, everything is written. Returns when the process is gone.
    pub(super) async fn stop(mut self) -> Result<(), ClusterError> {
        for (signal, patience) in [(Signal::SIGINT, STOP_PATIENCE), (Signal::SIGQUIT, QUIT_PATIENCE)] {
            if !self.alive() {
                return Ok(());
            }
            match kill(Pid::from_raw(self.pid), signal) {
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(error) => {
                    return Err(ClusterError::Stop { pid: self.pid, reason: error.to_string() });
                }
            }
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if !self.alive() {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
            tracing::warn!(pid = self.pid, signal = signal.as_str(), "Postgres is slow to stop");
        }
        Err(ClusterError::Stop { pid: self.pid, reason: "it ignores the request".to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.alive() {
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGINT);
        }
    }
}

/// What a try to connect says about the server.
enum Answer {
    Ready,
    NoDatabase,
    NotYet(String),
    /// It runs, and it will not let us in later either.
    Refused(String),
}

/// The server of an earlier process of ours, once it answers; `None` if there is none, or it is on its way out.
pub(super) async fn attach(place: &Place, connect: &PgConnectOptions) -> Result<Option<Server>, ClusterError> {
    let data = place.data();
    let Some(pid) = pidfile::live(&data) else {
        return Ok(None);
    };
    let deadline = Instant::now() + RECOVERY_PATIENCE;
    loop {
        match ask(connect).await {
            Answer::NotYet(reason) if Instant::now() > deadline => {
                return Err(place.start_failed(format!(
                    "process {pid} runs there but does not answer ({reason}); stop it by hand"
                )));
            }
            Answer::NotYet(_) => tokio::time::sleep(POLL).await,
            Answer::Refused(reason) => return Err(place.start_failed(reason)),
            Answer::Ready | Answer::NoDatabase => break,
        }
        if pidfile::live(&data) != Some(pid) {
            return Ok(None);
        }
    }
    Ok(Some(Server { pid, child: None, data }))
}

/// Starts the server, or takes over a live one, and waits for its first answer.
pub(super) async fn launch(
    place: &Place,
    binaries: &Binaries,
    max_connections: u32,
    connect: &PgConnectOptions,
) -> Result<Server, ClusterError> {
    let deadline = Instant::now() + REFUSAL_PATIENCE;
    let mut pause = Duration::from_millis(50);
    let mut unclean = false;
    loop {
        // The file outlives only a killed server, so after a clean stop the first refusal is final.
        unclean |= pidfile::path(&place.data()).exists();
        if let Some(server) = attach(place, connect).await? {
            return Ok(server);
        }
        let mark = std::fs::metadata(&place.log).map_or(0, |log| log.len());
        let mut server = spawn(place, binaries, max_connections)?;
        match first_answer(&mut server, place, connect).await? {
            Some(()) => return Ok(server),
            None if unclean && Instant::now() + pause < deadline => {
                let reason = log_tail(&place.log, mark).unwrap_or_default();
                tracing::info!(reason, "Postgres refused to start after a kill, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            None => {
                return Err(place
                    .start_failed(log_tail(&place.log, mark).unwrap_or_else(|| "it ended without a word".to_owned())));
            }
        }
    }
}

/// `None`: the process ended instead.
async fn first_answer(
    server: &mut Server,
    place: &Place,
    connect: &PgConnectOptions,
) -> Result<Option<()>, ClusterError> {
    let deadline = Instant::now() + RECOVERY_PATIENCE;
    while server.alive() {
        match ask(connect).await {
            Answer::NotYet(reason) if Instant::now() > deadline => {
                return Err(
                    place.start_failed(format!("no answer within {} s ({reason})", RECOVERY_PATIENCE.as_secs()))
                );
            }
            Answer::NotYet(_) => tokio::time::sleep(POLL).await,
            Answer::Refused(reason) => return Err(place.start_failed(reason)),
            Answer::Ready | Answer::NoDatabase => return Ok(Some(())),
        }
    }
    Ok(None)
}

fn spawn(place: &Place, binaries: &Binaries, max_connections: u32) -> Result<Server, ClusterError> {
    let failed = |error: std::io::Error| place.start_failed(error.to_string());
    let data = place.data();
    let log = place.open_log()?;
    let mut command = place.owner.command(&binaries.folder.join("postgres"), &place.base);
    command.arg("-D").arg(&data).stdout(log.try_clone().map_err(failed)?).stderr(log);
    for setting in settings(place, max_connections) {
        command.arg("-c").arg(setting);
    }
    if let Some(stale) = pidfile::recorded(&data) {
        // `attach` found that this pid is no server of this folder (a reused number, a zombie). Postgres would take any
        // live process for a rival, unless told that it is an ancestor; its check for shared memory in use stays on.
        command.env("PG_GRANDPARENT_PID", stale.to_string());
    }
    let child = command.process_group(0).spawn().map_err(failed)?;
    let pid = i32::try_from(child.id()).map_err(|_| place.start_failed("the process id is out of range".to_owned()))?;
    Ok(Server { pid, child: Some(child), data })
}

/// Given on the command line, so that they hold whatever the files in the data folder say.
fn settings(place: &Place, max_connections: u32) -> Vec<OsString> {
    let mut sockets = OsString::from("unix_socket_directories=");
    sockets.push(quoted(&place.sockets));
    let fixed = [
        "listen_addresses=",
        "port=5432",
        "unix_socket_permissions=0700",
        "fsync=on",
        "full_page_writes=on",
        "synchronous_commit=on",
        "shared_buffers=32MB",
        "max_wal_size=256MB",
        "min_wal_size=64MB",
        "wal_level=minimal",
        "max_wal_senders=0",
        "max_replication_slots=0",
        "jit=off",
        "logging_collector=off",
        "log_destination=stderr",
        "log_min_messages=warning",
        "timezone=UTC",
        "log_timezone=UTC",
    ];
    let mut settings = vec![sockets, format!("max_connections={max_connections}").into()];
    settings.extend(fixed.into_iter().map(OsString::from));
    settings
}

/// The setting is a list: a path with a comma or a space must be quoted.
fn quoted(path: &Path) -> OsString {
    let mut quoted = OsString::from("\"");
    match path.to_str() {
        Some(text) => quoted.push(text.replace('"', "\"\"")),
        None => quoted.push(path),
    }
    quoted.push("\"");
    quoted
}

async fn ask(connect: &PgConnectOptions) -> Answer {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(connect)).await;
    match connected {
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            Answer::Ready
        }
        Ok(Err(sqlx::Error::Database(error))) => match error.code().as_deref() {
            Some("3D000") => Answer::NoDatabase,
            // Starting or shutting down; ended by an administrator; every connection is taken (by a dead app's, for a moment).
            Some("57P01" | "57P02" | "57P03" | "53300") => Answer::NotYet(error.to_string()),
            _ => Answer::Refused(error.to_string()),
        },
        Ok(Err(error)) => Answer::NotYet(error.to_string()),
        Err(_) => Answer::NotYet("the connection hangs".to_owned()),
    }
}

/// Creates the database that `connect` names if it is missing. A kill in between leaves it missing or whole.
pub(super) async fn ensure_database(place: &Place, connect: &PgConnectOptions, name: &str) -> Result<(), ClusterError> {
    if let Answer::Ready = ask(connect).await {
        return Ok(());
    }
    let create = async {
        let mut connection = PgConnection::connect_with(&connect.clone().database("postgres")).await?;
        let statement = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await
    };
    create.await.map_err(|error| place.start_failed(format!("cannot create the database {name}: {error}")))
}
