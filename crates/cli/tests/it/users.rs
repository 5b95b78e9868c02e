//! `rejoinder users`: the operator helps people in and puts them out, beside a running server and without one.

use crate::home::{Home, free_port};
use crate::person::{PASSWORD, Person};
use crate::server::{Ended, Server, rejoinder, run};
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const MARA: &str = "mara@brassfinch.example";

struct Installation {
    home: Home,
    base: String,
}

impl Installation {
    fn new() -> Self {
        Self { home: Home::new(), base: format!("http://127.0.0.1:{}", free_port()) }
    }

    fn serve(&self) -> (Server, String) {
        let port = self.base.rsplit_once(':').unwrap().1;
        let mut command = rejoinder(&self.home);
        command.arg("serve").env("PORT", port).env("PUBLIC_URL", &self.base).env("AI_PROVIDER", "template");
        Server::start(&self.home, &mut command, "Rejoinder is ready")
    }

    /// A server, and Mara, who made the first account.
    async fn with_mara(&self) -> (Server, Person) {
        let (server, _) = self.serve();
        let said = crate::wait::until("the link of the first start", PATIENCE, async || {
            Some(self.home.log()).filter(|log| log.contains("/setup?token=") && log.ends_with('\n'))
        });
        let said = said.await;
        let link = said.split_whitespace().find(|word| word.contains("/setup?token=")).unwrap();
        let mara = Person::sets_up(&self.base, link).await;
        (server, mara)
    }

    fn users(&self, arguments: &[&str]) -> Ended {
        run(rejoinder(&self.home).env("PUBLIC_URL", &self.base).arg("users").args(arguments), PATIENCE)
    }

    fn answered(&self, arguments: &[&str]) -> Value {
        let ended = self.users(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_locked_out_gets_in_again_by_the_operators_link() {
    let here = Installation::new();
    let (server, mara) = here.with_mara().await;
    let answer = here.answered(&["reset-password", "Mara@Brassfinch.example"]);
    let link = answer["link"].as_str().unwrap();
    assert!(link.starts_with(&format!("{}/reset?token=", here.base)), "{link}");
    Person::sets_password(&here.base, link, "an owl of two minds").await;
    assert_eq!(mara.ask(Method::GET, "/api/me", None).await.unwrap().status(), 401, "all sessions ended");
    assert_eq!(Person::signs_in(&here.base, MARA, PASSWORD).await.err(), Some(401));
    let mara = Person::signs_in(&here.base, MARA, "an owl of two minds").await.unwrap();
    mara.get("/api/me").await;
    assert!(!here.home.log().contains(link.split_once("token=").unwrap().1), "no log line holds the link");

    let told = here.users(&["sign-out", MARA]);
    assert_eq!(told.stdout, format!("Mara Lindqvist ({MARA}) is signed out; sessions ended: 1.\n"));
    assert_eq!(mara.ask(Method::GET, "/api/me", None).await.unwrap().status(), 401);
    let told = here.users(&["reset-totp", MARA]);
    assert_eq!(told.stdout, format!("The second step of Mara Lindqvist ({MARA}) was not on.\n"));
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_made_by_the_operator_becomes_an_admin_also_while_the_server_is_down() {
    let here = Installation::new();
    let (server, mara) = here.with_mara().await;
    let team = mara.team().await;
    assert!(server.stop().success());
    let made = here.answered(&["create", "ben@brassfinch.example", "--name", "Ben Okafor"]);
    assert!(here.home.postgres().is_none(), "what was started for the command is stopped");
    let told = here.users(&["make-admin", "ben@brassfinch.example"]);
    assert_eq!(told.stdout, "Ben Okafor (ben@brassfinch.example) is an admin of Brassfinch now.\n", "{}", told.stderr);
    assert_eq!(here.answered(&["make-admin", "ben@brassfinch.example", "--team", &team])["changed"], false);

    let (server, _) = here.serve();
    Person::sets_password(&here.base, made["link"].as_str().unwrap(), PASSWORD).await;
    let ben = Person::signs_in(&here.base, "ben@brassfinch.example", PASSWORD).await.unwrap();
    assert_eq!(ben.get("/api/teams").await["items"][0]["role"], "admin");
    let listed = here.answered(&["list"]);
    let items = listed["items"].as_array().unwrap();
    let shown = |field: &str| items.iter().map(|item| item[field].clone()).collect::<Vec<_>>();
    assert_eq!(shown("email"), [MARA, "ben@brassfinch.example"]);
    assert_eq!(
        shown("teams"),
        [serde_json::json!(["admin of Brassfinch"]), serde_json::json!(["admin of Brassfinch"])]
    );
    assert_eq!((shown("has_password"), shown("second_factor")), (vec![true.into(); 2], vec![false.into(); 2]));
    let told = here.users(&["list"]).stdout;
    assert!(told.contains("ben@brassfinch.example  Ben Okafor  admin of Brassfinch  password  sessions: 1"), "{told}");
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_with_the_next_step_and_not_with_0() {
    let here = Installation::new();
    let nothing = here.users(&["list"]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.stderr.contains("there is no database in"), "{}", nothing.stderr);
    let (_server, _mara) = here.with_mara().await;
    let nobody = "00000000-0000-0000-0000-000000000007";
    let cases: [(&[&str], i32, &str); 7] = [
        (&["reset-password", "nobody@example.com"], 1, "there is no account with the address nobody@example.com"),
        (&["reset-password", "nobody"], 1, "Write the address as name@example.com"),
        (&["create", MARA, "--name", "Mara"], 1, "has an account already"),
        (&["create", "x@example.com", "--name", " "], 1, "Write a name of 1 to 100 characters"),
        (&["create", "x@example.com"], 2, "--name"),
        (&["make-admin", MARA, "--team", nobody], 1, "there is no team with this id; there are:"),
        (&["make-admin", MARA, "--team", "seven"], 2, "invalid value"),
    ];
    for (arguments, code, words) in cases {
        let ended = here.users(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(ended.stderr.contains(words), "{arguments:?}: {}", ended.stderr);
    }
    for verb in ["list", "create", "reset-password", "reset-totp", "sign-out", "make-admin"] {
        assert!(here.users(&[verb, "--help"]).stdout.contains("Example:\n  rejoinder users"), "{verb}");
    }
}
