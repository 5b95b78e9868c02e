//! The operator's switch, from the command line: beside a running server, and without one.

use crate::home::{Home, free_port};
use crate::server::{Ended, Server, rejoinder, run};
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn command(home: &Home, line: &str) -> Ended {
    run(rejoinder(home).args(line.split(' ')), PATIENCE)
}

fn answered(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn serve(home: &Home) -> Server {
    let mut command = rejoinder(home);
    command.arg("serve").env("PORT", free_port().to_string()).env("AI_PROVIDER", "template");
    Server::start(home, &mut command, "Rejoinder is ready").0
}

#[test]
fn the_switch_is_turned_beside_a_running_server_and_without_one() {
    let home = Home::new();
    let server = serve(&home);
    let first = answered(&command(&home, "pause --reason upgrade --json"));
    assert_eq!((&first["paused"], &first["in_flight"], &first["reason"]), (&true.into(), &0.into(), &"upgrade".into()));
    let told = command(&home, "pause");
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let since = first["since"].as_str().unwrap();
    let sentence = format!("All sending of this server is paused since {since} (upgrade). No call was under way.\n");
    assert_eq!(told.stdout, sentence);
    assert!(home.postgres().is_some(), "the server's database runs on");

    assert!(server.stop().success());
    assert!(home.postgres().is_none());
    assert_eq!(answered(&command(&home, "pause --json")), first, "it stands as it stood");
    assert_eq!(answered(&command(&home, "resume --json"))["paused"], false);
    assert!(home.postgres().is_none(), "what was started for the command is stopped");
    assert_eq!(command(&home, "resume").stdout, "All sending of this server goes on.\n");
}

#[test]
fn what_is_not_done_ends_with_its_reason_and_not_with_0() {
    let home = Home::new();
    let nothing = command(&home, "pause");
    assert_eq!(nothing.code, Some(1));
    assert!(
        nothing.stderr.contains("there is no database in") && nothing.stderr.contains("DATA_DIR"),
        "{}",
        nothing.stderr
    );
    assert!(!home.data_dir().join("pg").exists(), "nothing is made for a switch");

    let _server = serve(&home);
    let nobody = "00000000-0000-0000-0000-000000000007";
    for (line, code, words) in [
        (format!("pause --team {nobody}"), 1, "there is no team with this id"),
        (format!("resume --integration {nobody}"), 1, "there is no account with this id"),
        (format!("pause --reason {}", "x".repeat(301)), 1, "the reason has 301 characters, at most 300 are kept"),
        (format!("pause --team {nobody} --integration {nobody}"), 2, "cannot be used with"),
        ("pause --team seven".to_owned(), 2, "invalid value"),
    ] {
        let ended = command(&home, &line);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{line}");
        assert!(ended.stderr.contains(words), "{line}: {}", ended.stderr);
    }
    assert_eq!(command(&home, "resume").code, Some(0));
    for verb in ["pause", "resume"] {
        assert!(command(&home, &format!("{verb} --help")).stdout.contains("Example:\n  rejoinder"));
    }
}
