//! The private cluster under the troubles that were seen in trials. Runs as root and as an ordinary user; each test has its
//! own folder, and every process it starts ends with it.
//!
//! Where "the app" must be killed, this test program starts itself again as a child that only holds a cluster.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid, getpgid, getpgrp};
use rejoinder_app::cluster::{self, Cluster, ClusterError, Options};
use sqlx::{Connection, PgConnection};
use std::fs::{Permissions, set_permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HOLD: &str = "REJOINDER_TEST_HOLD_CLUSTER";
const DEADLINE: Duration = Duration::from_secs(60);

/// A folder that the cluster's user can reach, and the end of any server that still runs in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = tempfile::tempdir().unwrap();
        set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Folder(folder)
    }

    fn options(&self) -> Options {
        Options { data_dir: self.0.path().join("rejoinder-data"), bin_dir: None, max_connections: 10 }
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("rejoinder-data/pg/data")
    }

    fn postmaster(&self) -> i32 {
        recorded_pid(&self.data()).expect("a pid file")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(pid) = recorded_pid(&self.data()).filter(|pid| runs_postgres(*pid)) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
    }
}

fn recorded_pid(data: &Path) -> Option<i32> {
    std::fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.parse().ok()
}

fn command_line(pid: i32) -> String {
    let output = Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn runs_postgres(pid: i32) -> bool {
    command_line(pid).contains("postgres -D")
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn connect(cluster: &Cluster) -> PgConnection {
    PgConnection::connect_with(&cluster.connect_options()).await.unwrap()
}

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(connection).await.unwrap()
}

async fn note(cluster: &Cluster, text: &str) {
    let mut connection = connect(cluster).await;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS notes (text text)").execute(&mut connection).await.unwrap();
    sqlx::query("INSERT INTO notes VALUES ($1)").bind(text).execute(&mut connection).await.unwrap();
}

async fn notes(cluster: &Cluster) -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM notes ORDER BY text").fetch_all(&mut connect(cluster).await).await.unwrap()
}

/// A process of ours that holds the cluster of a folder until it is killed.
struct App(Child);

impl App {
    fn spawn(folder: &Folder) -> App {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "hold_a_cluster_when_asked", "--nocapture"]).env(HOLD, folder.options().data_dir);
        App(command.stdout(Stdio::piped()).process_group(0).spawn().unwrap())
    }

    fn holding(folder: &Folder) -> App {
        let mut app = App::spawn(folder);
        let up = BufReader::new(app.0.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("cluster is up"));
        assert!(up, "the child did not bring its cluster up");
        app
    }

    fn end(mut self, signal: Signal) {
        kill(Pid::from_raw(-i32::try_from(self.0.id()).unwrap()), signal).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that is held still, and killed in the end.
struct Halted(Pid);

impl Halted {
    fn new(pid: Pid) -> Halted {
        kill(pid, Signal::SIGSTOP).unwrap();
        Halted(pid)
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

/// Not a promise: the body of the child processes above.
#[tokio::test]
async fn hold_a_cluster_when_asked() {
    let Some(data_dir) = std::env::var_os(HOLD) else {
        return;
    };
    let cluster =
        cluster::start(&Options { data_dir: data_dir.into(), bin_dir: None, max_connections: 10 }).await.unwrap();
    note(&cluster, "written before the kill").await;
    println!("cluster is up");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn from_nothing_to_a_query_and_what_was_written_is_there_after_a_restart() {
    let folder = Folder::new();
    let began = Instant::now();
    let cluster = cluster::start(&folder.options()).await.unwrap();
    note(&cluster, "kept").await;
    println!("nothing to first rows: {:?}", began.elapsed());
    assert_eq!(cluster.location_note(), None);
    let pid = folder.postmaster();
    let began = Instant::now();
    cluster.stop().await.unwrap();
    println!("stop: {:?}", began.elapsed());
    assert!(!runs_postgres(pid), "stop returned while the server ran");

    let began = Instant::now();
    let cluster = cluster::start(&folder.options()).await.unwrap();
    assert_eq!(notes(&cluster).await, ["kept"]);
    println!("restart to first rows: {:?}", began.elapsed());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn no_port_is_open_nobody_else_can_enter_and_commits_are_on_disk() {
    let folder = Folder::new();
    let cluster = cluster::start(&folder.options()).await.unwrap();
    let mut connection = connect(&cluster).await;
    for (name, wanted) in
        [("listen_addresses", ""), ("fsync", "on"), ("synchronous_commit", "on"), ("max_connections", "10")]
    {
        assert_eq!(setting(&mut connection, name).await, wanted, "{name}");
    }
    assert_eq!(setting(&mut connection, "server_encoding").await, "UTF8");
    let database: String =
        sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut connection).await.unwrap();
    assert_eq!(database, "rejoinder");
    let sockets = cluster.connect_options().get_socket().unwrap().clone();
    let found = std::fs::metadata(&sockets).unwrap();
    assert_eq!(found.mode() & 0o777, 0o700);
    assert_eq!(found.uid(), std::fs::metadata(folder.data()).unwrap().uid());
    assert_eq!(std::fs::metadata(sockets.join(".s.PGSQL.5432")).unwrap().mode() & 0o077, 0);
    connection.close().await.unwrap();
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_start_on_the_same_folder_is_refused_and_harms_nothing() {
    let folder = Folder::new();
    let cluster = cluster::start(&folder.options()).await.unwrap();
    let refused = cluster::start(&folder.options()).await.unwrap_err();
    assert!(matches!(refused, ClusterError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    one_line(&refused);
    note(&cluster, "still here").await;
    cluster.stop().await.unwrap();
    cluster::start(&folder.options()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_outlived_the_killed_app_is_taken_over_and_stopped() {
    let folder = Folder::new();
    let app = App::holding(&folder);
    let pid = folder.postmaster();
    app.end(Signal::SIGKILL);
    assert!(runs_postgres(pid), "the server died with the app");

    let cluster = cluster::start(&folder.options()).await.unwrap();
    assert_eq!(folder.postmaster(), pid);
    assert_eq!(notes(&cluster).await, ["written before the kill"]);
    cluster.stop().await.unwrap();
    assert!(!runs_postgres(pid), "the server was left behind");
}

#[tokio::test]
async fn after_a_kill_of_app_and_server_together_the_next_start_succeeds_with_all_data() {
    let folder = Folder::new();
    let app = App::holding(&folder);
    kill(Pid::from_raw(folder.postmaster()), Signal::SIGKILL).unwrap();
    app.end(Signal::SIGKILL);

    let cluster = cluster::start(&folder.options()).await.unwrap();
    assert_eq!(notes(&cluster).await, ["written before the kill"]);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_that_old_backends_still_block_is_tried_again() {
    let folder = Folder::new();
    let app = App::holding(&folder);
    let postmaster = folder.postmaster();
    // One process of the old server is held still, so it keeps the shared memory after the kill.
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let pairs = listed
        .lines()
        .filter_map(|line| line.split_whitespace().map(|pid| pid.parse::<i32>().ok()).collect::<Option<Vec<_>>>());
    let backend =
        Pid::from_raw(pairs.filter(|pair| pair[1] == postmaster).map(|pair| pair[0]).next().expect("a server process"));
    let backend = Halted::new(backend);
    kill(Pid::from_raw(postmaster), Signal::SIGKILL).unwrap();
    app.end(Signal::SIGKILL);

    let options = folder.options();
    let start = tokio::spawn(async move { cluster::start(&options).await });
    let log = folder.options().data_dir.join("postgres.log");
    until("the first start is refused", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("still in use"))
    })
    .await;
    drop(backend);
    let cluster = start.await.unwrap().unwrap();
    assert_eq!(notes(&cluster).await, ["written before the kill"]);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn ctrl_c_at_the_terminal_of_the_app_does_not_reach_the_server() {
    let folder = Folder::new();
    let app = App::holding(&folder);
    let pid = folder.postmaster();
    // A terminal signals the whole foreground group, as this does.
    app.end(Signal::SIGINT);
    assert!(runs_postgres(pid), "the interrupt reached the server");

    let cluster = cluster::start(&folder.options()).await.unwrap();
    assert_eq!(folder.postmaster(), pid);
    assert_ne!(getpgid(Some(Pid::from_raw(pid))).unwrap(), getpgrp());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_whose_number_went_to_another_process_stops_nothing() {
    let folder = Folder::new();
    cluster::start(&folder.options()).await.unwrap().stop().await.unwrap();
    // A live process under the uid of the server, the case that Postgres itself mistakes for a rival.
    let mut stranger = Command::new("sleep");
    stranger.arg("600");
    if geteuid().is_root() {
        stranger.uid(std::fs::metadata(folder.data()).unwrap().uid());
    }
    let mut stranger = stranger.spawn().unwrap();
    let pid_file =
        format!("{}\n{}\n1700000000\n5432\n/nowhere\n\n  0  0\nready   \n", stranger.id(), folder.data().display());
    std::fs::write(folder.data().join("postmaster.pid"), pid_file).unwrap();

    let started = cluster::start(&folder.options()).await;
    let untouched = stranger.try_wait().unwrap().is_none();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    started.unwrap().stop().await.unwrap();
    assert!(untouched, "a foreign process was ended");
}

#[tokio::test]
async fn an_app_killed_in_the_middle_of_initdb_leaves_a_folder_that_starts() {
    let folder = Folder::new();
    let pg = folder.options().data_dir.join("pg");
    let mut app = App::spawn(&folder);
    until("initdb writes", || {
        std::fs::read_dir(&pg).is_ok_and(|entries| entries.flatten().any(|entry| entry.path().join("base").exists()))
    })
    .await;
    // The app alone: its initdb goes on for a while and must not be in the way.
    app.0.kill().unwrap();
    app.0.wait().unwrap();
    assert!(!folder.data().exists(), "killed too late to show anything");

    let cluster = cluster::start(&folder.options()).await.unwrap();
    note(&cluster, "works").await;
    cluster.stop().await.unwrap();
    let cluster = cluster::start(&folder.options()).await.unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(&pg).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, [".s.PGSQL.5432", ".s.PGSQL.5432.lock", "data"]);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_works_through_a_short_private_folder() {
    let folder = Folder::new();
    let mut options = folder.options();
    options.data_dir = folder.0.path().join("long-".repeat(30)).join("with, comma and space");
    let cluster = cluster::start(&options).await.unwrap();
    let sockets = cluster.connect_options().get_socket().unwrap().clone();
    assert!(sockets.as_os_str().len() < 60 && !sockets.starts_with(folder.0.path()), "{}", sockets.display());
    assert_eq!(std::fs::metadata(&sockets).unwrap().mode() & 0o777, 0o700);
    note(&cluster, "works").await;
    cluster.stop().await.unwrap();
    std::fs::remove_dir(sockets).unwrap();
}

#[tokio::test]
async fn a_cluster_of_another_version_is_named_in_one_clear_line() {
    let folder = Folder::new();
    let cluster = cluster::start(&folder.options()).await.unwrap();
    let line = command_line(folder.postmaster());
    cluster.stop().await.unwrap();
    let programs = Path::new(line.split(" -D").next().unwrap()).parent().unwrap().to_owned();
    std::fs::write(folder.data().join("PG_VERSION"), "11\n").unwrap();
    let error = cluster::start(&Options { bin_dir: Some(programs), ..folder.options() }).await.unwrap_err();
    assert!(matches!(error, ClusterError::WrongVersion { needed: 11, .. }), "{error}");
    one_line(&error);
}

#[tokio::test]
async fn a_named_program_folder_without_programs_is_refused() {
    let folder = Folder::new();
    let error = cluster::start(&Options { bin_dir: Some("/nowhere".into()), ..folder.options() }).await.unwrap_err();
    assert!(matches!(error, ClusterError::BinDir { .. }), "{error}");
    one_line(&error);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named_in_one_clear_line() {
    let folder = Folder::new();
    // Root may write anywhere, but not below a file.
    let file = folder.0.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut targets = vec![file.join("data")];
    if !geteuid().is_root() {
        let closed = folder.0.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        set_permissions(&closed, Permissions::from_mode(0o555)).unwrap();
        targets.push(closed.clone());
        targets.push(closed.join("data"));
    }
    for data_dir in targets {
        let error = cluster::start(&Options { data_dir, ..folder.options() }).await.unwrap_err();
        assert!(matches!(error, ClusterError::NotWritable { .. }), "{error}");
        one_line(&error);
    }
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why_and_where_to_look() {
    let folder = Folder::new();
    cluster::start(&folder.options()).await.unwrap().stop().await.unwrap();
    std::fs::write(folder.data().join("postgresql.conf"), "no_such_setting = 1\n").unwrap();
    let error = cluster::start(&folder.options()).await.unwrap_err();
    assert!(matches!(error, ClusterError::Start { .. }), "{error}");
    assert!(error.to_string().contains("postgres.log"), "{error}");
    one_line(&error);
}

#[tokio::test]
async fn a_cluster_dropped_without_stop_is_shut_down_and_can_be_started_again() {
    let folder = Folder::new();
    let cluster = cluster::start(&folder.options()).await.unwrap();
    note(&cluster, "kept").await;
    let pid = folder.postmaster();
    drop(cluster);
    let cluster = cluster::start(&folder.options()).await.unwrap();
    assert_ne!(folder.postmaster(), pid);
    assert_eq!(notes(&cluster).await, ["kept"]);
    cluster.stop().await.unwrap();
}

/// Root only: nobody else needs to become another user.
#[tokio::test]
async fn as_root_the_server_runs_as_an_ordinary_user_without_our_groups_and_secrets() {
    if !geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let folder = Folder::new();
    let cluster = cluster::start(&folder.options()).await.unwrap();
    let pid = folder.postmaster();
    let output = Command::new("ps").args(["-o", "uid=,gid=,supgid=", "-p", &pid.to_string()]).output().unwrap();
    let ids: Vec<String> = String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect();
    assert_ne!(ids[0], "0");
    assert_ne!(ids[1], "0");
    assert!(!ids[2].split(',').any(|group| group == "0"), "{ids:?}");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("LC_ALL=C") && !environment.contains("CARGO"), "{environment}");
    cluster.stop().await.unwrap();
}

/// Root only, see above.
#[tokio::test]
async fn a_folder_closed_to_the_servers_user_puts_the_cluster_elsewhere_says_so_and_finds_it_again() {
    if !geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let folder = Folder::new();
    set_permissions(folder.0.path(), Permissions::from_mode(0o700)).unwrap();
    let cluster = cluster::start(&folder.options()).await.unwrap();
    let said = cluster.location_note().unwrap().to_owned();
    assert!(said.contains("cannot be reached by user") && !said.contains('\n'), "{said}");
    let elsewhere = PathBuf::from(said.split(" the cluster is in ").nth(1).unwrap());
    assert!(elsewhere.starts_with("/var/lib/rejoinder"), "{said}");
    note(&cluster, "kept").await;
    cluster.stop().await.unwrap();

    // Opened up later, the old cluster still is the cluster.
    set_permissions(folder.0.path(), Permissions::from_mode(0o755)).unwrap();
    let cluster = cluster::start(&folder.options()).await.unwrap();
    assert_eq!(notes(&cluster).await, ["kept"]);
    cluster.stop().await.unwrap();
    std::fs::remove_dir_all(elsewhere).unwrap();
}

/// Root only, see above.
#[tokio::test]
async fn a_cluster_that_an_ordinary_user_made_runs_as_that_user_when_root_starts_it() {
    if !geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let folder = Folder::new();
    cluster::start(&folder.options()).await.unwrap().stop().await.unwrap();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let pg = folder.options().data_dir.join("pg");
    let given = Command::new("chown").args(["-R", "nobody"]).arg(&pg).status().unwrap();
    assert!(given.success());
    let cluster = cluster::start(&folder.options()).await.unwrap();
    let server = std::fs::metadata(format!("/proc/{}", folder.postmaster())).unwrap();
    assert_eq!(server.uid(), nobody.uid.as_raw());
    cluster.stop().await.unwrap();

    // Put back by hand as root, it is nobody's whom Postgres would run as.
    assert!(Command::new("chown").args(["-R", "root"]).arg(&pg).status().unwrap().success());
    let error = cluster::start(&folder.options()).await.unwrap_err();
    assert!(matches!(error, ClusterError::OtherOwner { .. }), "{error}");
    one_line(&error);
}

/// Root only, see above.
#[tokio::test]
async fn a_cluster_whose_folder_was_closed_later_is_reported_and_not_replaced_by_an_empty_one() {
    if !geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let folder = Folder::new();
    cluster::start(&folder.options()).await.unwrap().stop().await.unwrap();
    set_permissions(folder.0.path(), Permissions::from_mode(0o700)).unwrap();
    let error = cluster::start(&folder.options()).await.unwrap_err();
    assert!(matches!(error, ClusterError::Unreachable { .. }), "{error}");
    one_line(&error);
}

fn one_line(error: &ClusterError) {
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 500, "{text}");
    println!("{text}");
}
