//! docs/quickstart.md, run as it stands there: its shell blocks against a running demo.

use crate::home::{Home, free_port};
use crate::server::{Server, rejoinder, run};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

/// All ```sh blocks, one after the other.
fn commands_of(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split_once("```").expect("the block is closed").0);
    let commands: String = blocks.collect();
    assert!(!commands.is_empty());
    commands
}

/// The word behind `label` in the demo's greeting.
fn printed(said: &str, label: &str) -> String {
    let (_, after) = said.split_once(label).unwrap_or_else(|| panic!("no {label} in {said}"));
    after.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn the_commands_of_the_quickstart_lead_to_one_reply_and_its_story() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/quickstart.md");
    let script = format!("set -euo pipefail\n{}", commands_of(&std::fs::read_to_string(page).unwrap()));

    let home = Home::new();
    let mut demo = rejoinder(&home);
    demo.arg("demo").env("PORT", free_port().to_string());
    let (server, said) = Server::start(&home, &mut demo, "Ctrl-C stops.");
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &script])
        .stdin(Stdio::null())
        .current_dir(home.path())
        .env("TMPDIR", home.path())
        .env("LINK", printed(&said, "Dashboard"))
        .env("SANDBOX", printed(&said, "Simulated Reddit"));
    let ended = run(&mut shell, PATIENCE);
    println!("{}", ended.stdout);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    for line in [
        "brassfinch: connected",
        "replies of ours under it: 1",
        "suggestion.requested",
        "suggestion.drafted",
        "suggestion.edited",
        "suggestion.approved",
        "reply.armed",
        "reply.posted",
    ] {
        assert!(ended.stdout.contains(line), "no {line} in\n{}", ended.stdout);
    }
    assert!(server.stop().success());
    assert!(home.postgres().is_none(), "its Postgres still runs");
}
