//! The look at an installation, from the command line: before the first start, beside a running server, after it, and with
//! everything wrong at once.

use crate::database::KEY;
use crate::home::{Home, free_port};
use crate::server::{Ended, Server, rejoinder, run};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn doctor(home: &Home) -> Command {
    let mut command = rejoinder(home);
    command.arg("doctor").env("AI_PROVIDER", "template");
    command
}

fn states(ended: &Ended) -> Vec<(String, String)> {
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    told["checks"].as_array().unwrap().iter().map(|one| (text(&one["check"]), text(&one["state"]))).collect()
}

fn state<'a>(states: &'a [(String, String)], check: &str) -> &'a str {
    &states.iter().find(|(name, _)| name == check).unwrap_or_else(|| panic!("no {check} in {states:?}")).1
}

#[test]
fn it_looks_before_the_first_start_beside_a_server_and_after_it() {
    let home = Home::new();
    let before = run(&mut doctor(&home), PATIENCE);
    assert_eq!(before.code, Some(0), "{}{}", before.stdout, before.stderr);
    assert!(before.stdout.contains("warn  database"), "{}", before.stdout);
    assert!(before.stdout.contains("skip  queue"), "{}", before.stdout);
    assert!(!home.data_dir().join("pg").exists(), "nothing is made for a look");

    let mut command = rejoinder(&home);
    command.arg("serve").env("PORT", free_port().to_string()).env("AI_PROVIDER", "template");
    let server = Server::start(&home, &mut command, "Rejoinder is ready").0;
    let beside = run(doctor(&home).arg("--json"), PATIENCE);
    assert_eq!((beside.code, beside.stderr.as_str()), (Some(0), ""), "{}", beside.stdout);
    let found = states(&beside);
    for check in
        ["database", "schema", "notifications", "partitions", "connections", "clock", "encryption_key", "queue"]
    {
        assert_eq!(state(&found, check), "ok", "{}", beside.stdout);
    }
    assert!(home.postgres().is_some(), "the server's database runs on");

    assert!(server.stop().success());
    let after = run(doctor(&home).arg("--json"), PATIENCE);
    assert_eq!(states(&after), found, "{}", after.stdout);
    assert!(home.postgres().is_none(), "what was started for the look is stopped");
}

#[test]
fn what_does_not_work_ends_with_1_and_no_secret_is_told() {
    let home = Home::new();
    let secret = "hunter2-hunter2";
    let mut command = doctor(&home);
    command
        .env("DATABASE_URL", format!("postgres://me:{secret}@127.0.0.1:1/rejoinder"))
        .env("ENCRYPTION_KEY", KEY)
        .env("REDDIT_CLIENT_ID", "id")
        .env("REDDIT_CLIENT_SECRET", secret)
        .env("REDDIT_AUTH_BASE", "http://127.0.0.1:1")
        .env("AI_PROVIDER", "gemini")
        .env("GEMINI_API_KEY", secret)
        .env("GEMINI_API_BASE", "http://127.0.0.1:1")
        .env("SMTP_URL", format!("smtp://me:{secret}@127.0.0.1:1?tls=none"))
        .env("MAIL_FROM", "replies@example.com");
    let told = run(&mut command, PATIENCE);
    assert_eq!(told.code, Some(1));
    for check in ["database", "reddit", "ai", "mail"] {
        let line = told.stdout.lines().find(|line| line.split_whitespace().nth(1) == Some(check)).unwrap();
        assert!(line.starts_with("FAIL "), "{line}");
    }
    let json = run(command.arg("--json"), PATIENCE);
    assert_eq!((json.code, state(&states(&json), "schema")), (Some(1), "skip"));
    let all = [told.stdout, told.stderr, json.stdout, json.stderr].concat();
    assert!(!all.contains(secret) && !all.contains(KEY), "{all}");
}

#[test]
fn settings_that_cannot_be_read_are_each_told() {
    let home = Home::new();
    let ended = run(doctor(&home).env("PORT", "many").env("PUBLIC_URL", "here"), PATIENCE);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stdout.lines().filter(|line| line.starts_with("FAIL  settings")).count(), 2, "{}", ended.stdout);
    let near = run(doctor(&home).env("REDDIT_CLIENTID", "x"), PATIENCE);
    assert_eq!(near.code, Some(0), "{}", near.stdout);
    assert!(near.stdout.contains("is REDDIT_CLIENT_ID meant?"), "{}", near.stdout);
}
