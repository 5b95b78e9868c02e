//! A team with a connected account, somebody's comment under its post, and a draft that waits for approval.

use crate::home::{Home, free_port};
use crate::person::{Person, text};
use crate::server::{Server, rejoinder};
use crate::wait::until;
use rejoinder_sandbox::{CommentView, Control, Options, Sandbox};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

pub const BRAND: &str = "brassfinch";
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Stage {
    /// None between a kill and the next start.
    server: Option<Server>,
    pub home: Home,
    pub sandbox: Sandbox,
    pub control: Control,
    pub person: Person,
    pub team: String,
    /// What is to be answered, as the platform names it.
    pub comment: String,
    port: u16,
    settings: Vec<(String, String)>,
}

/// A suggestion that waits for approval.
pub struct Draft {
    pub id: String,
    pub version: i64,
}

impl Stage {
    /// `settings` beside those that every stage has.
    pub async fn set(settings: &[(&str, &str)]) -> Self {
        let sandbox = rejoinder_sandbox::start(Options::default()).await.unwrap();
        let control = sandbox.control();
        control.add_account(BRAND);
        let post = control.add_post(BRAND, "corner", "Our new grinder is here", "Ask us anything.");
        let comment = control.add_comment("ada", &post, "Does it work with a 58 mm basket?");

        let home = Home::new();
        let port = free_port();
        let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut command = serve(&home, port, &sandbox, &settings);
        let (server, said) = Server::start(&home, &mut command, "/setup?token=");
        let link = said.split_whitespace().find(|word| word.contains("/setup?token=")).unwrap();
        let person = Person::sets_up(&format!("http://127.0.0.1:{port}"), link).await;
        let team = person.team().await;
        let stage = Self { server: Some(server), home, sandbox, control, person, team, comment, port, settings };
        stage.prepare().await;
        stage
    }

    /// The words of the team, and its account.
    async fn prepare(&self) {
        let intents = format!("/api/teams/{}/intents", self.team);
        let intent = self.person.post(&intents, json!({ "name": "Question about a basket" })).await;
        let variations = format!("/api/intents/{}/variations", text(&intent["id"]));
        self.person.post(&variations, json!({ "text": "It does! Any 58 mm basket fits." })).await;
        self.person.connects_reddit(&self.team, BRAND).await;
    }

    /// Waits for the comment in the inbox, asks for a draft and waits for that.
    pub async fn draft(&self) -> Draft {
        let items = format!("/api/teams/{}/items?state=open", self.team);
        let item = until("the comment is in the inbox", PATIENCE, async || {
            self.person.get(&items).await["items"].get(0).cloned()
        })
        .await;
        assert_eq!(item["target_platform_id"], self.comment.as_str());
        let asked = format!("/api/posts/{}/suggestions", text(&item["post_id"]));
        let asked = self.person.post(&asked, json!({ "comment_id": item["comment_id"] })).await;
        let id = text(&asked["suggestion_id"]);
        let ready = self.until_suggestion(&id, "the draft is ready", |story| story["stage"] == "ready").await;
        Draft { version: ready["version"].as_i64().unwrap(), id }
    }

    pub async fn approve(&self, draft: &Draft) {
        let approval = json!({ "auto_post": true, "version": draft.version });
        let approved = self.person.post(&format!("/api/suggestions/{}/approve", draft.id), approval).await;
        assert_eq!(approved["status"], "approved");
    }

    pub async fn until_suggestion(&self, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/suggestions/{id}");
        until(what, PATIENCE, async || Some(self.person.get(&path).await).filter(&is)).await
    }

    pub async fn until_posted(&self, draft: &Draft) -> Value {
        self.until_suggestion(&draft.id, "the reply is posted", |story| story["status"] == "posted").await
    }

    /// kill -9 of our process; its Postgres lives on.
    pub fn kill(&mut self) {
        self.server.take().unwrap().kill();
    }

    /// Starts it again on the same folder and port.
    pub fn start_again(&mut self) {
        let mut command = serve(&self.home, self.port, &self.sandbox, &self.settings);
        self.server = Some(Server::start(&self.home, &mut command, "Rejoinder is ready").0);
    }

    /// One more process on the same database, with these roles only.
    pub fn start_part(&self, roles: &str) -> Server {
        let mut command = serve(&self.home, self.port, &self.sandbox, &self.settings);
        Server::start(&self.home, command.args(["--roles", roles]), "Rejoinder is ready").0
    }

    /// In order: what runs may finish, and nothing is left that could still write.
    pub fn stop(&mut self) {
        assert!(self.server.take().unwrap().stop().success());
    }

    /// What really stands under the comment, ours.
    pub fn replies(&self) -> Vec<CommentView> {
        self.control.replies_under(&self.comment).into_iter().filter(|reply| reply.author == BRAND).collect()
    }

    /// Requests to post that reached the platform.
    pub fn write_requests(&self) -> u64 {
        let requests = self.control.requests();
        requests.iter().filter(|(route, _)| route.ends_with("/api/comment")).map(|(_, count)| count).sum()
    }
}

fn serve(home: &Home, port: u16, sandbox: &Sandbox, settings: &[(String, String)]) -> Command {
    let reddit = format!("{}reddit", sandbox.base_url());
    let mut command = rejoinder(home);
    command
        .arg("serve")
        .env("PORT", port.to_string())
        .env("PUBLIC_URL", format!("http://127.0.0.1:{port}"))
        .env("AI_PROVIDER", "template")
        .env("REDDIT_CLIENT_ID", "sandbox-client")
        .env("REDDIT_CLIENT_SECRET", "sandbox-secret")
        .env("REDDIT_AUTH_BASE", &reddit)
        .env("REDDIT_API_BASE", &reddit)
        .env("REDDIT_SETTLE_SECS", "2");
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command
}
