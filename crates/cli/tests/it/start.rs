//! Starting and stopping: what is wrong is said in one line that names the way out, and what is right ends without a trace.

use crate::database::{Database, KEY};
use crate::home::{Home, free_port};
use crate::server::{Ended, PROGRAM, Server, rejoinder, run};
use nix::unistd::{User, geteuid};
use std::fs::{Permissions, copy, create_dir, set_permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const OTHER_KEY: &str = "YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE=";
const PATIENCE: Duration = Duration::from_secs(60);

/// `serve` that says nothing but what it ends with.
fn serve(home: &Home) -> Command {
    let mut command = rejoinder(home);
    command.arg("serve").env("PORT", free_port().to_string()).env("RUST_LOG", "off");
    command
}

/// Ends with 1 and says exactly this many lines.
#[track_caller]
fn assert_refused(ended: &Ended, lines: usize) {
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.starts_with("rejoinder: "), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), lines, "{}", ended.stderr);
    let said_twice =
        ended.stderr.split(": ").skip(1).any(|part| part.len() > 12 && ended.stderr.matches(part).count() > 1);
    assert!(!said_twice, "{}", ended.stderr);
}

#[track_caller]
fn assert_says(ended: &Ended, parts: &[&str]) {
    for part in parts {
        assert!(ended.stderr.contains(part), "no \"{part}\" in: {}", ended.stderr);
    }
}

#[test]
fn a_taken_port_is_named() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(serve(&home).env("PORT", &port), PATIENCE);
    assert_refused(&ended, 1);
    assert_says(&ended, &[&port, "set PORT"]);
    assert!(home.postgres().is_none());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let home = Home::new();
    let folder = home.path().join("theirs");
    create_dir(&folder).unwrap();
    set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    let mut command = serve(&home);
    if geteuid().is_root() {
        command = as_nobody(&home);
    }
    let ended = run(command.env("DATA_DIR", folder.join("data")), PATIENCE);
    assert_refused(&ended, 1);
    assert_says(&ended, &[folder.to_str().unwrap(), "DATA_DIR"]);
}

/// `serve` as a user without rights. The program is copied: the folder that it was built in may be closed to others.
fn as_nobody(home: &Home) -> Command {
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let program: PathBuf = home.path().join("rejoinder");
    copy(PROGRAM, &program).unwrap();
    set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(program);
    command.arg("serve").env_clear().env("PORT", free_port().to_string()).env("RUST_LOG", "off");
    command.current_dir("/").uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    command
}

#[test]
fn a_second_start_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let (first, _) = Server::start(&home, &mut serve(&home), "Rejoinder is ready");
    let ended = run(&mut serve(&home), PATIENCE);
    assert_refused(&ended, 1);
    assert_says(&ended, &[home.data_dir().to_str().unwrap(), &first.pid().to_string()]);
    assert!(home.postgres().is_some());
    assert!(first.stop().success());
}

#[test]
fn all_wrong_settings_are_told_at_once_each_with_an_example() {
    let home = Home::new();
    for arguments in [&["serve"][..], &["config", "check"], &["config", "print"], &["migrate"]] {
        let mut command = rejoinder(&home);
        command.args(arguments).env("PORT", "abc").env("ENCRYPTION_KEY", "dG9vIHNob3J0").env("AI_PROVIDER", "foo");
        let ended = run(&mut command, PATIENCE);
        assert_refused(&ended, 3);
        for (name, reason) in [("PORT", "is \"abc\""), ("ENCRYPTION_KEY", ""), ("AI_PROVIDER", "is \"foo\"")] {
            let line = ended.stderr.lines().find(|line| line.contains(&format!("{name} "))).unwrap();
            assert!(line.contains(reason) && line.contains("(example: "), "{line}");
        }
        assert!(!ended.stderr.contains("dG9vIHNob3J0"), "{}", ended.stderr);
    }
    assert!(!home.data_dir().exists(), "nothing was begun");
}

#[test]
fn production_wants_a_database_and_a_key_of_its_own() {
    let home = Home::new();
    for name in ["APP_ENV", "NODE_ENV"] {
        let ended = run(serve(&home).env(name, "production"), PATIENCE);
        assert_refused(&ended, 2);
        assert_says(&ended, &["DATABASE_URL", "ENCRYPTION_KEY", "example: "]);
    }
}

#[test]
fn a_part_of_the_server_wants_a_shared_database() {
    let home = Home::new();
    for roles in ["api", "worker", "scheduler", "worker,scheduler"] {
        let ended = run(serve(&home).args(["--roles", roles]), PATIENCE);
        assert_refused(&ended, 1);
        assert_says(&ended, &["DATABASE_URL", "--roles", "example: "]);
    }
}

#[test]
fn a_database_that_is_not_there_is_told_without_its_password() {
    let home = Home::new();
    let url = format!("postgres://rejoinder:kestrel-hutch@127.0.0.1:{}/rejoinder", free_port());
    let ended = run(serve(&home).env("DATABASE_URL", url).env("ENCRYPTION_KEY", KEY), PATIENCE);
    assert_refused(&ended, 1);
    assert_says(&ended, &["DATABASE_URL"]);
    assert!(!ended.stderr.contains("kestrel"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_opened_with_its_first_key_only() {
    let (home, database) = (Home::new(), Database::start().await);
    let with = |key: &str| {
        let mut command = serve(&home);
        command.env("DATABASE_URL", database.url()).env("ENCRYPTION_KEY", key);
        command
    };
    let (first, _) = Server::start(&home, &mut with(KEY), "Rejoinder is ready");
    assert!(first.stop().success());
    let ended = run(&mut with(OTHER_KEY), PATIENCE);
    assert_refused(&ended, 1);
    assert_says(&ended, &["ENCRYPTION_KEY is not the key"]);
    assert!(!ended.stderr.contains(OTHER_KEY), "{}", ended.stderr);
    let (again, _) = Server::start(&home, &mut with(KEY), "Rejoinder is ready");
    assert!(again.stop().success());
}

#[test]
fn secrets_are_never_printed_whatever_way_they_came() {
    let home = Home::new();
    let file = home.path().join("secret");
    std::fs::write(&file, "osprey-in-a-file\n").unwrap();
    let settings = [
        ("DATABASE_URL", "postgres://u:osprey-database@db.example/x"),
        ("ENCRYPTION_KEY", KEY),
        ("REDDIT_CLIENT_ID", "shown-id"),
        ("REDDIT_CLIENT_SECRET_FILE", file.to_str().unwrap()),
        ("GEMINI_API_KEY", "osprey-gemini"),
        ("OPENAI_API_KEY", "osprey-openai"),
    ];
    for what in ["check", "print"] {
        let ended = run(rejoinder(&home).args(["config", what]).envs(settings), PATIENCE);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!said.contains("osprey") && !said.contains(KEY), "{said}");
        if what == "print" {
            let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
            assert!(line("REDDIT_CLIENT_ID=shown-id").ends_with("# environment"));
            assert!(line("REDDIT_CLIENT_SECRET=********").ends_with("# file"));
            assert!(line("GEMINI_API_KEY=********").ends_with("# environment"));
            assert!(line("BIND=127.0.0.1").ends_with("# default"));
        }
    }
}

#[test]
fn a_setting_may_come_from_a_file() {
    let home = Home::new();
    let file = home.path().join("port");
    let port = free_port().to_string();
    std::fs::write(&file, format!("{port}\n")).unwrap();
    let (server, said) = Server::start(&home, serve(&home).env_remove("PORT").env("PORT_FILE", &file), "is ready");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
    assert!(server.stop().success());
    let gone = run(serve(&home).env_remove("PORT").env("PORT_FILE", home.path().join("missing")), PATIENCE);
    assert_refused(&gone, 1);
    assert_says(&gone, &["PORT_FILE", "missing"]);
}

#[test]
fn every_command_shows_an_example() {
    let home = Home::new();
    let help = run(rejoinder(&home).arg("--help"), PATIENCE);
    assert_eq!(help.code, Some(0));
    let (_, list) = help.stdout.split_once("Commands:\n").unwrap();
    let commands: Vec<_> = list.lines().take_while(|line| !line.is_empty()).filter_map(first_word).collect();
    assert!(commands.contains(&"serve") && commands.contains(&"demo"), "{commands:?}");
    for command in commands.into_iter().filter(|command| *command != "help") {
        let help = run(rejoinder(&home).args([command, "--help"]), PATIENCE);
        assert_eq!(help.code, Some(0), "{command}");
        assert!(
            help.stdout.contains(&format!("Example:\n  rejoinder {command}")) || with_setting(&help, command),
            "{}",
            help.stdout
        );
    }
}

fn first_word(line: &str) -> Option<&str> {
    line.split_whitespace().next()
}

/// The example may begin with a setting.
fn with_setting(help: &Ended, command: &str) -> bool {
    help.stdout.lines().any(|line| line.contains('=') && line.contains(&format!("rejoinder {command}")))
}

#[test]
fn what_is_not_understood_is_no_success() {
    let home = Home::new();
    for arguments in [&["no-such-command"][..], &[], &["serve", "--roles", "cook"], &["config"]] {
        let ended = run(rejoinder(&home).args(arguments), PATIENCE);
        assert_ne!(ended.code, Some(0), "{arguments:?}");
        assert!(ended.stderr.contains("--help") || ended.stderr.contains("Usage"), "{}", ended.stderr);
    }
}

#[test]
fn a_stop_signal_ends_the_server_and_its_postgres() {
    let home = Home::new();
    let (server, _) = Server::start(&home, &mut serve(&home), "Rejoinder is ready");
    assert!(home.postgres().is_some());
    assert!(server.stop().success());
    assert!(home.postgres().is_none(), "its Postgres still runs");

    let began = Instant::now();
    let (again, said) = Server::start(&home, &mut serve(&home), "Rejoinder is ready");
    println!("ready {} ms after the start on an existing cluster", began.elapsed().as_millis());
    assert!(said.contains("/setup?token="), "a new link while there is no account: {said}");
    assert!(again.stop().success());
}
