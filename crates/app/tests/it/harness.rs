//! The world of one test: a team with a connected Reddit account, a sandbox as the platform, one clock for both sides.
//!
//! A test ends with [`Harness::finish`], which refuses jobs that were left over or died; forgetting it fails the test.

use crate::cluster::TestDatabase;
use rejoinder_app::accounts::{connect, integrations, teams, tokens, users};
use rejoinder_app::app::App;
use rejoinder_app::clients::ai::Template;
use rejoinder_app::clock::{Entropy, TestClock};
use rejoinder_app::config::Config;
use rejoinder_app::engine::Engine;
use rejoinder_app::flow::approve::{self, Approve, Decision};
use rejoinder_app::flow::ingest::{IntegrationPoll, inbox};
use rejoinder_app::flow::send::{self, Identity, ReconcileSweep, Sender};
use rejoinder_app::flow::suggest::{self, Request};
use rejoinder_app::flow::suggestion::{self, ChangeError, Suggestion};
use rejoinder_app::flow::{activity, ingest::thread};
use rejoinder_app::lifecycle::{Database, assemble};
use rejoinder_app::model::{Mode, Stage, Status};
use rejoinder_app::queue::{DrainReport, drain_with_clock};
use rejoinder_app::{jobs, queue};
use rejoinder_platforms::LengthRule;
use rejoinder_platforms::{AccessToken, Grant, Permits, Writers};
use rejoinder_sandbox::{Clock, CommentView, Control, FixedClock, IssuedToken, Options, Sandbox, WorldKind};
use secrecy::SecretString;
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use std::collections::HashMap;
use std::sync::Arc;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use url::Url;
use uuid::Uuid;

/// When every test begins.
pub const START: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);
/// The team's account on the platform.
pub const BRAND: &str = "brassfinch";
pub const COMMUNITY: &str = "espresso";
pub const SCOPES: &str = "identity read submit history privatemessages edit";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub struct Harness {
    pub app: App,
    pub engine: jobs::State,
    /// The other side: what really stands on the platform, and its faults.
    pub platform: Control,
    pub clock: TestClock,
    pub user_id: Uuid,
    pub team_id: Uuid,
    /// Nil while nothing is connected.
    pub integration_id: Uuid,
    /// What the platform handed out to us; these texts may stand nowhere.
    pub issued: Vec<IssuedToken>,
    /// Our own post, under which strangers talk.
    pub post: String,
    pub base_url: Url,
    platform_clock: FixedClock,
    database: Option<TestDatabase>,
    sandbox: Option<Sandbox>,
}

impl Harness {
    /// A team whose account is connected and has one post.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same under other settings; an empty value takes one away.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let mut harness = Self::unconnected(settings).await;
        harness.connect().await;
        harness
    }

    /// A team without an account.
    pub async fn unconnected(settings: &[(&str, &str)]) -> Self {
        let settings = |_: &Url| settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Self::unconnected_at(settings).await
    }

    /// The same under settings that name the sandbox, whose address they get.
    pub async fn unconnected_at(settings: impl FnOnce(&Url) -> Vec<(String, String)>) -> Self {
        let platform_clock = FixedClock::new(START);
        let options =
            Options { world: WorldKind::Empty, clock: Clock::Fixed(platform_clock.clone()), ..Options::default() };
        let (sandbox, database) = tokio::join!(rejoinder_sandbox::start(options), TestDatabase::create());
        let sandbox = sandbox.unwrap();
        let (platform, base_url) = (sandbox.control(), sandbox.base_url());
        let clock = TestClock::at(START);
        let settings = settings(&base_url);
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        let (app, writers) = assemble_app(&database, &clock, config(&base_url, &settings), 1).await;
        let engine = engine(&app, writers, &database, 1);
        let (user_id, team_id) = seed_team(&app).await;
        let post = platform.add_post(BRAND, COMMUNITY, "Our new grinder", "Ask us anything.");
        Self {
            app,
            engine,
            platform,
            clock,
            user_id,
            team_id,
            integration_id: Uuid::nil(),
            issued: Vec::new(),
            post,
            base_url,
            platform_clock,
            database: Some(database),
            sandbox: Some(sandbox),
        }
    }

    /// Connects the brand's account without the consent page.
    pub async fn connect(&mut self) {
        let issued = self.platform.issue_token(BRAND, SCOPES);
        self.integration_id = self.connect_team(self.team_id, &issued).await;
        self.issued.push(issued);
    }

    pub async fn connect_team(&self, team_id: Uuid, issued: &IssuedToken) -> Uuid {
        let (app, moment) = (&self.app, self.app.moment());
        let scopes: Vec<String> = SCOPES.split(' ').map(str::to_owned).collect();
        let grant = Grant {
            access_token: SecretString::from(issued.access_token.clone()),
            refresh_token: issued.refresh_token.clone().map(SecretString::from),
            scopes: scopes.clone(),
            expires_in: Some(std::time::Duration::from_secs(issued.expires_in_secs).try_into().unwrap()),
        };
        let account = app
            .readers
            .get("reddit")
            .unwrap()
            .me(&AccessToken::new(grant.access_token.clone(), Permits::default()))
            .await
            .unwrap();
        let mut tx = app.db.begin().await.unwrap();
        let id = integrations::row_for_account(&mut tx, team_id, "reddit", &account.id).await.unwrap();
        let id = id.unwrap_or_else(|| moment.id());
        let (access_token, refresh_token) = tokens::seal(app, &mut tx, &moment, (id, team_id), &grant).await.unwrap();
        let connected = integrations::Connected {
            id,
            platform: "reddit",
            account: &account,
            access_token,
            refresh_token,
            scopes: &scopes,
            expires_at: tokens::expires_at(&grant, moment.now),
            app_id: None,
        };
        integrations::connect(&mut tx, &moment, team_id, Some(self.user_id), connected).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Connects through the consent page, as a person does: out with the browser and back with a code.
    pub async fn connect_by_consent(&mut self) {
        let (app, moment) = (&self.app, self.app.moment());
        let page = connect::start(app, &moment, (self.team_id, self.user_id), "reddit", None).await.unwrap();
        let asked: HashMap<String, String> = page.query_pairs().into_owned().collect();
        let code = self.platform.grant_code_to(&asked["client_id"], BRAND, &asked["redirect_uri"], &asked["scope"]);
        let callback = connect::Callback { state: asked["state"].clone(), code: Some(code), error: None };
        let back = connect::come_back(app, &moment, "reddit", Some(self.user_id), callback).await;
        match back.arrived {
            Ok(connect::Arrived::Connected(id)) => self.integration_id = id,
            other => panic!("{other:?}"),
        }
    }

    /// A second team, of the same person.
    pub async fn another_team(&self) -> Uuid {
        let moment = self.app.moment();
        let (id, member_id) = (moment.id(), moment.id());
        let mut tx = self.pool().begin().await.unwrap();
        let team = teams::NewTeam { id, member_id, owner_user_id: self.user_id, name: "Other" };
        teams::create(&mut tx, team, moment.now).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    pub fn pool(&self) -> &PgPool {
        &self.app.db
    }

    pub fn database(&self) -> &TestDatabase {
        self.database.as_ref().unwrap()
    }

    pub async fn conn(&self) -> PoolConnection<Postgres> {
        self.app.db.acquire().await.unwrap()
    }

    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// Moves the clock of both sides. Runs nothing.
    pub fn advance(&self, by: Duration) {
        self.set_clock(self.now() + by);
    }

    fn set_clock(&self, now: OffsetDateTime) {
        self.clock.set(now);
        self.platform_clock.set(now);
    }

    /// Runs every job that is due now, and what they add that is due too.
    pub async fn run_due(&self) -> DrainReport {
        self.run_until(self.now()).await
    }

    /// Lets this much time pass, running each job at its time.
    pub async fn run_for(&self, time: Duration) -> DrainReport {
        self.run_until(self.now() + time).await
    }

    async fn run_until(&self, until: OffsetDateTime) -> DrainReport {
        let (registry, now) = (jobs::registry(), self.now());
        let report =
            drain_with_clock(&registry, &self.engine, self.pool(), now, until, |now| self.set_clock(now)).await;
        self.set_clock(until);
        report.unwrap()
    }

    /// Polls the account once, now.
    pub async fn poll(&self) -> DrainReport {
        let mut conn = self.conn().await;
        integrations::poll_now(&mut conn, &self.app.moment(), self.team_id, self.integration_id).await.unwrap();
        jobs::enqueue(&mut conn, &IntegrationPoll { integration_id: self.integration_id }, self.now()).await.unwrap();
        drop(conn);
        self.run_due().await
    }

    /// What the scheduler does every few seconds.
    pub async fn sweep(&self) -> DrainReport {
        jobs::enqueue(&mut *self.conn().await, &ReconcileSweep {}, self.now()).await.unwrap();
        self.run_due().await
    }

    /// Someone comments under our post. Returns the comment's id on the platform.
    pub fn stranger_comments(&self, text: &str) -> String {
        self.platform.add_comment("curious_cat", &self.post, text)
    }

    /// A stranger's comment that has come in: its id on the platform and its item.
    pub async fn incoming(&self, text: &str) -> (String, inbox::ItemRow) {
        let comment = self.stranger_comments(text);
        self.poll().await;
        let item = self.item_of(&comment).await.unwrap();
        (comment, item)
    }

    /// All items, newest activity first.
    pub async fn items(&self) -> Vec<inbox::ItemRow> {
        inbox::list(&mut *self.conn().await, self.team_id, &inbox::Filter::default(), 100).await.unwrap()
    }

    pub async fn item_of(&self, target: &str) -> Option<inbox::ItemRow> {
        self.items().await.into_iter().find(|item| item.target_platform_id == target)
    }

    pub fn request_for(&self, item: &inbox::ItemRow) -> Request {
        Request { post_id: item.post_id, comment_id: item.comment_id, intent_id: None, mode: Mode::Draft, text: None }
    }

    /// Asks for a suggestion; runs nothing.
    pub async fn request(&self, request: Request) -> Result<(Suggestion, bool), suggest::RequestError> {
        let mut tx = self.pool().begin().await.unwrap();
        let made = suggest::request(&mut tx, &self.app.moment(), self.team_id, self.user_id, request).await?;
        tx.commit().await.unwrap();
        Ok(made)
    }

    /// Asks for a draft and waits until it is written.
    pub async fn ask_for_draft(&self, item: &inbox::ItemRow) -> Suggestion {
        let (asked, _) = self.request(self.request_for(item)).await.unwrap();
        self.run_due().await;
        self.suggestion(asked.id).await
    }

    /// A person's own words as a suggestion, ready to be approved.
    pub async fn write_reply(&self, item: &inbox::ItemRow, text: &str) -> Suggestion {
        let request = Request { text: Some(text.to_owned()), ..self.request_for(item) };
        self.request(request).await.unwrap().0
    }

    /// A stranger's comment, and a reply to it that waits to be approved. Returns the comment's id and the suggestion.
    pub async fn ready_reply(&self, text: &str) -> (String, Suggestion) {
        let (comment, item) = self.incoming("How fine should I grind?").await;
        let suggestion = self.write_reply(&item, text).await;
        (comment, suggestion)
    }

    /// A reply that was approved and queued, but nothing has run. Returns the comment's id and the suggestion.
    pub async fn queued_reply(&self, text: &str) -> (String, Suggestion) {
        let (comment, suggestion) = self.ready_reply(text).await;
        (comment, self.approve(&suggestion).await.unwrap())
    }

    pub fn decision(&self, suggestion: &Suggestion) -> Decision {
        Decision { team_id: self.team_id, suggestion_id: suggestion.id, by: self.user_id }
    }

    /// Approves what stands there and queues it at once; runs nothing.
    pub async fn approve(&self, suggestion: &Suggestion) -> Result<Suggestion, ChangeError> {
        let approve = Approve { version: Some(suggestion.state.version), ..approve_now() };
        self.approve_as(self.decision(suggestion), approve).await.map(|(suggestion, _)| suggestion)
    }

    pub async fn approve_as(
        &self,
        decision: Decision,
        approve: Approve,
    ) -> Result<(Suggestion, Option<i64>), ChangeError> {
        let mut tx = self.pool().begin().await.unwrap();
        let approved = approve::approve(&mut tx, &self.app.moment(), decision, approve).await?;
        tx.commit().await.unwrap();
        Ok(approved)
    }

    pub async fn edit(&self, suggestion: &Suggestion, text: &str) -> Result<Suggestion, ChangeError> {
        let (decision, version) = (self.decision(suggestion), Some(suggestion.state.version));
        let mut tx = self.pool().begin().await.unwrap();
        let edited =
            approve::edit(&mut tx, &self.app.moment(), decision, text, version, LengthRule::characters(10_000)).await?;
        tx.commit().await.unwrap();
        Ok(edited)
    }

    pub async fn suggestion(&self, id: Uuid) -> Suggestion {
        suggestion::load(&mut *self.conn().await, self.team_id, id).await.unwrap().unwrap()
    }

    pub async fn stands(&self, suggestion: &Suggestion) -> (Status, Stage) {
        let state = self.suggestion(suggestion.id).await.state;
        (state.status, state.stage)
    }

    /// The reason that a person reads.
    pub async fn reason(&self, suggestion: &Suggestion) -> String {
        self.suggestion(suggestion.id).await.state.stage_reason.unwrap_or_default()
    }

    pub async fn attempts(&self, suggestion: &Suggestion) -> Vec<send::Attempt> {
        send::attempts(&mut *self.conn().await, self.team_id, suggestion.id).await.unwrap()
    }

    /// How the attempts ended, oldest first.
    pub async fn outcomes(&self, suggestion: &Suggestion) -> Vec<String> {
        self.attempts(suggestion).await.into_iter().map(|attempt| attempt.outcome).collect()
    }

    pub async fn slots(&self) -> i64 {
        sqlx::query_scalar("select count(*) from reply_slots").fetch_one(self.pool()).await.unwrap()
    }

    pub async fn comment_row(&self, item: &inbox::ItemRow) -> thread::CommentRow {
        let id = item.comment_id.unwrap();
        thread::comment(&mut *self.conn().await, self.team_id, id).await.unwrap().unwrap()
    }

    pub async fn integration(&self) -> integrations::Integration {
        integrations::load(&mut *self.conn().await, self.team_id, self.integration_id).await.unwrap().unwrap()
    }

    /// What happened to an object, oldest first. The clock stands still, so transactions are told apart by their numbers.
    pub async fn story(&self, subject: Uuid) -> Vec<String> {
        sqlx::query_scalar(
            "select type from activity_logs where subject_id = $1 order by created_at, xmin::text::bigint, id",
        )
        .bind(subject)
        .fetch_all(self.pool())
        .await
        .unwrap()
    }

    pub async fn activity(&self) -> Vec<activity::ActivityRow> {
        activity::list(&mut *self.conn().await, self.team_id, None, None, 1_000).await.unwrap()
    }

    /// The truth on the platform: our replies under a target, also invisible ones.
    pub fn replies_under(&self, target: &str) -> Vec<CommentView> {
        let replies = self.platform.replies_under(target);
        replies.into_iter().filter(|reply| reply.author == BRAND).collect()
    }

    /// The texts of our replies under a target.
    pub fn our_texts(&self, target: &str) -> Vec<String> {
        self.replies_under(target).into_iter().map(|reply| reply.text).collect()
    }

    /// How many requests to write came to the platform, whatever became of them.
    pub fn write_requests(&self) -> u64 {
        let requests = self.platform.requests();
        requests.iter().filter(|(route, _)| *route == "POST /reddit/api/comment").map(|(_, count)| count).sum()
    }

    /// Another worker process: its own writers, its own identity, the same database.
    pub async fn another_worker(&self, seed: u64) -> jobs::State {
        self.worker_with(self.app.config.clone(), seed).await
    }

    /// The same under other settings.
    pub async fn worker_with(&self, config: Config, seed: u64) -> jobs::State {
        let database = self.database();
        let (app, writers) = assemble_app(database, &self.clock, config, seed).await;
        engine(&app, writers, database, seed)
    }

    /// Runs what is due with another worker.
    pub async fn run_due_with(&self, engine: &jobs::State) -> DrainReport {
        let (registry, now) = (jobs::registry(), self.now());
        drain_with_clock(&registry, engine, self.pool(), now, now, |now| self.set_clock(now)).await.unwrap()
    }

    /// What the queue does for a worker that died: its jobs may be taken again.
    pub async fn recover_jobs(&self) {
        sqlx::query(
            "update graphile_worker._private_jobs set locked_at = null, locked_by = null, attempts = greatest(attempts - 1, 0)
             where locked_at is not null",
        )
        .execute(self.pool())
        .await
        .unwrap();
    }

    /// Ends the test: no job may be left or dead. Then everything of this test goes.
    pub async fn finish(mut self) {
        let report = self.run_due().await;
        assert_eq!((&report.left, &report.dead), (&Default::default(), &Vec::new()), "jobs are left over");
        self.sandbox.take().unwrap().stop().await;
        let database = self.database.take().unwrap();
        self.app.db.close().await;
        database.drop().await;
    }

    /// Ends a test that leaves jobs for later on purpose, by name.
    pub async fn finish_leaving(self, names: &[&str]) {
        let report = self.run_due().await;
        assert_eq!(report.left.keys().map(String::as_str).collect::<Vec<_>>(), names);
        sqlx::query("delete from graphile_worker._private_jobs").execute(self.pool()).await.unwrap();
        self.finish().await;
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if self.database.is_some() && !std::thread::panicking() {
            panic!("the test did not end with `finish`");
        }
    }
}

/// Approves without a text and sends at once.
pub fn approve_now() -> Approve {
    Approve {
        text: None,
        version: None,
        auto_post: true,
        undo_window: Duration::ZERO,
        length: LengthRule::characters(10_000),
    }
}

/// The code of a refusal; anything else fails the test.
pub fn code<T: std::fmt::Debug>(result: Result<T, ChangeError>) -> &'static str {
    match result {
        Err(ChangeError::Refused(refusal)) => refusal.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

pub fn config(base_url: &Url, settings: &[(&str, &str)]) -> Config {
    let base = base_url.as_str().trim_end_matches('/');
    let mut env: HashMap<&str, String> = HashMap::from([
        ("ENCRYPTION_KEY", KEY.to_owned()),
        ("PUBLIC_URL", "http://localhost:3000".to_owned()),
        ("REDDIT_CLIENT_ID", "sandbox-client".to_owned()),
        ("REDDIT_CLIENT_SECRET", "sandbox-secret".to_owned()),
        ("REDDIT_AUTH_BASE", format!("{base}/reddit")),
        ("REDDIT_API_BASE", format!("{base}/reddit")),
        // Tests of the pace set their own.
        ("SEND_GAP_SECS", "0".to_owned()),
        ("AI_PROVIDER", "gemini".to_owned()),
        ("GEMINI_API_KEY", "sandbox-gemini-key".to_owned()),
        ("GEMINI_API_BASE", format!("{base}/gemini")),
    ]);
    env.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
    env.retain(|_, value| !value.is_empty());
    Config::load(&|name| env.get(name).cloned()).unwrap()
}

#[allow(clippy::disallowed_methods, reason = "the start of a server, as tests do it")]
async fn assemble_app(database: &TestDatabase, clock: &TestClock, config: Config, seed: u64) -> (App, Writers) {
    let database = Database { pool: database.pool.clone(), options: database.options.clone(), cluster: None };
    assemble(config, &database, clock.clock(), Entropy::seeded(seed)).await.unwrap()
}

fn engine(app: &App, writers: Writers, database: &TestDatabase, seed: u64) -> jobs::State {
    // Its own source: an identity is drawn when the first write comes, which may not shift the ids of the rows.
    let identity = Identity::new(database.options.clone(), Entropy::seeded(seed + 1_000));
    Arc::new(Engine { app: app.clone(), sender: Some(Sender::new(app, writers, identity)), template: Template })
}

async fn seed_team(app: &App) -> (Uuid, Uuid) {
    let moment = app.moment();
    let mut tx = app.db.begin().await.unwrap();
    activity::prepare_months(&mut tx, &moment).await.unwrap();
    let (user_id, team_id) = (moment.id(), moment.id());
    let user = users::NewUser { id: user_id, email: Some("ana@example.com"), name: "Ana Lima", password_hash: None };
    users::create(&mut tx, user, moment.now).await.unwrap();
    users::mark_verified(&mut tx, user_id, moment.now).await.unwrap();
    let team = teams::NewTeam { id: team_id, member_id: moment.id(), owner_user_id: user_id, name: "Brassfinch" };
    teams::create(&mut tx, team, moment.now).await.unwrap();
    tx.commit().await.unwrap();
    (user_id, team_id)
}

/// The waiting job of a key, if there is one.
pub async fn job_of(harness: &Harness, suggestion: &Suggestion) -> Option<i64> {
    queue::job_id(&mut *harness.conn().await, &send::PostSend::key_of(suggestion.id)).await.unwrap()
}
