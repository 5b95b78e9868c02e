//! After a whole flow, none of the secrets stands readable in the database or in the log, in no usual spelling.

use crate::person::{PASSWORD, client};
use crate::stage::{BRAND, Stage};
use rejoinder_sandbox::{Options, Sandbox};
use std::path::PathBuf;
use std::process::Command;

/// The sandbox numbers what it hands out, and the same seed gives the same values: a second one, asked for the same, tells
/// which tokens the first one gave to the server. That they are these is seen by using them.
async fn tokens_of(first: &Sandbox) -> [String; 2] {
    let twin = rejoinder_sandbox::start(Options::default()).await.unwrap();
    twin.control().grant_code(BRAND, "http://localhost/", "*");
    let tokens = twin.control().issue_token(BRAND, "*");
    let refresh_token = tokens.refresh_token.unwrap();

    let reddit = format!("{}reddit", first.base_url());
    let me = client().get(format!("{reddit}/api/v1/me")).bearer_auth(&tokens.access_token).send().await.unwrap();
    assert_eq!(me.status(), 200, "the server holds this access token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    let renewed = client().post(format!("{reddit}/api/v1/access_token")).basic_auth("sandbox-client", Some(SECRET));
    let renewed = renewed.form(&form).send().await.unwrap().text().await.unwrap();
    assert!(renewed.contains("access_token"), "the server holds this refresh token: {renewed}");
    [tokens.access_token, refresh_token]
}

const SECRET: &str = "sandbox-secret";

/// As text, and as Postgres dumps the bytes of it.
fn spellings(secret: &str) -> [String; 2] {
    [secret.to_owned(), secret.bytes().map(|byte| format!("{byte:02x}")).collect()]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_can_be_read_in_the_database_or_the_log() {
    let mut stage = Stage::set(&[("RUST_LOG", "debug")]).await;
    let draft = stage.draft().await;
    stage.approve(&draft).await;
    stage.until_posted(&draft).await;

    let [access_token, refresh_token] = tokens_of(&stage.sandbox).await;
    let session = stage.person.cookie.split_once('=').unwrap().1.to_owned();
    let key = std::fs::read_to_string(stage.home.data_dir().join("encryption.key")).unwrap().trim().to_owned();
    let dump = dump(&stage);
    assert!(dump.contains("58 mm basket"), "the dump holds the rows");
    stage.stop();
    let log = stage.home.log();
    assert!(log.contains("\"DEBUG\""), "the log is as talkative as it can be");

    for (what, secret) in [
        ("access token", access_token.as_str()),
        ("refresh token", &refresh_token),
        ("client secret", SECRET),
        ("session cookie", &session),
        ("encryption key", &key),
        ("password", PASSWORD),
    ] {
        for spelling in spellings(secret) {
            assert!(!dump.contains(&spelling), "the {what} stands in the database");
            assert!(!log.contains(&spelling), "the {what} stands in the log");
        }
    }
    let printed = log.split("/setup?token=").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(spellings(printed).iter().all(|spelling| !dump.contains(spelling)), "the link stands in the database");
}

/// All rows of the private Postgres, as text.
fn dump(stage: &Stage) -> String {
    let postgres = stage.home.postgres().unwrap();
    let running = std::fs::read_link(format!("/proc/{postgres}/exe"));
    let pg_dump = running.map_or_else(|_| PathBuf::from("pg_dump"), |server| server.with_file_name("pg_dump"));
    let mut command = Command::new(pg_dump);
    command.arg("-h").arg(stage.home.sockets()).args(["-U", "rejoinder", "-d", "rejoinder"]);
    let dumped = command.output().unwrap();
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    String::from_utf8_lossy(&dumped.stdout).into_owned()
}
