//! The look at an installation: each check sees what it is for, names it, and leaves the others alone.

use crate::cluster::TestDatabase;
use crate::harness::{Harness, config};
use crate::smtp::MailServer;
use rejoinder_app::clock::Clock;
use rejoinder_app::doctor::{self, Finding, LIMIT, Look, Place, State, hears};
use rejoinder_app::flow::ingest::IntegrationPoll;
use rejoinder_app::jobs;
use rejoinder_sandbox::{Options, WorldKind};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use time::Duration;
use tokio::net::TcpListener;
use url::Url;

const AGENT: (&str, &str) = ("REDDIT_USER_AGENT", "server:com.example.replies:v1 (by /u/brassfinch)");
const NEED_THE_DATABASE: [&str; 7] =
    ["schema", "notifications", "partitions", "connections", "clock", "encryption_key", "queue"];

struct Findings(Vec<Finding>);

impl Findings {
    #[track_caller]
    fn of(&self, check: &str) -> &Finding {
        self.0.iter().find(|finding| finding.check == check).unwrap_or_else(|| panic!("no {check} in {:?}", self.0))
    }

    /// The check says so, in these words.
    #[track_caller]
    fn says(&self, check: &str, state: State, words: &str) {
        let found = self.of(check);
        let all = format!("{} {}", found.text, found.todo.clone().unwrap_or_default());
        assert!(found.state == state && all.contains(words), "{words}: {found:?}");
        assert_eq!(
            found.todo.is_some(),
            matches!(state, State::Warn | State::Fail),
            "what is wrong says what to do: {found:?}"
        );
    }

    fn not_ok(&self) -> Vec<&str> {
        self.0.iter().filter(|finding| finding.state != State::Ok).map(|finding| finding.check).collect()
    }
}

/// With the settings of the test's world, and these over them.
async fn look(h: &Harness, settings: &[(&str, &str)]) -> Findings {
    look_at(h, h.clock.clock(), settings, Place::at(h.database().options.clone())).await
}

async fn look_at(h: &Harness, clock: Clock, settings: &[(&str, &str)], place: Place) -> Findings {
    look_from(&h.base_url, clock, settings, place, LIMIT).await
}

async fn look_from(
    base: &Url,
    clock: Clock,
    settings: &[(&str, &str)],
    place: Place,
    limit: std::time::Duration,
) -> Findings {
    let settings: Vec<_> = std::iter::once(AGENT).chain(settings.iter().copied()).collect();
    let config = config(base, &settings);
    let look = Look { config: &config, clock, near_misses: Vec::new(), limit };
    Findings(doctor::examine(&look, &place).await)
}

async fn run(pool: &PgPool, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(pool).await.unwrap();
}

#[tokio::test]
async fn what_works_is_told_so() {
    let h = Harness::start().await;
    let found = look(&h, &[]).await;
    assert_eq!(found.not_ok(), ["clock"], "{:?}", found.0);
    found.says("reddit", State::Ok, "http://localhost:3000/api/integrations/reddit/oauth/callback");
    found.says("partitions", State::Ok, "this month and 3 more");
    let found = look_at(&h, Clock::System, &[], Place::at(h.database().options.clone())).await;
    found.says("clock", State::Ok, "here and in the database");
    let requests = h.platform.requests();
    let written: Vec<&str> = requests.keys().map(String::as_str).filter(|route| route.starts_with("POST")).collect();
    assert_eq!(written, ["POST /reddit/api/v1/access_token"], "the token endpoint alone is asked");
    h.finish().await;
}

#[tokio::test]
async fn without_a_database_the_rest_is_looked_at_all_the_same() {
    let h = Harness::start().await;
    let options = h.database().options.clone();
    let wrong_port = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1).username("me").database("x");
    for (options, words) in
        [(wrong_port, "Check DATABASE_URL"), (options.database("nothing_here"), "Make the database")]
    {
        let found = look_at(&h, h.clock.clock(), &[], Place::at(options)).await;
        found.says("database", State::Fail, words);
        for check in NEED_THE_DATABASE {
            assert_eq!(found.of(check).state, State::Skip, "{check}");
        }
        assert_eq!(found.not_ok().len(), 1 + NEED_THE_DATABASE.len(), "{:?}", found.0);
    }
    h.finish().await;
}

/// What a newer version would have left.
const LATER: &str = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                     values (29990101000000, 'x', true, 'x', 0)";

#[tokio::test]
async fn a_schema_that_is_newer_is_used_where_it_says_that_we_may() {
    for (facts, may) in [
        ("update instance_facts set value = '1' where name = 'min_binary_schema'", true),
        ("update instance_facts set value = '2' where name = 'min_binary_schema'", false),
        ("update instance_facts set value = 'two' where name = 'min_binary_schema'", false),
        ("delete from instance_facts where name = 'min_binary_schema'", false),
    ] {
        let database = TestDatabase::create().await;
        run(&database.pool, LATER).await;
        run(&database.pool, facts).await;
        let started = rejoinder_app::database::migrate(&database.pool).await;
        assert_eq!(started.is_ok(), may, "{facts}: {started:?}");
        let ready = rejoinder_app::database::is_ready(&mut database.pool.acquire().await.unwrap()).await.unwrap();
        assert!(ready);
        database.drop().await;
    }
}

#[tokio::test]
async fn a_schema_that_is_older_newer_or_broken_is_told_apart() {
    let h = Harness::start().await;
    let bare = h.database().options.clone().database("postgres");
    let found = look_at(&h, h.clock.clock(), &[], Place::at(bare)).await;
    found.says("schema", State::Warn, "The database is empty. The next start");
    assert_eq!(found.not_ok(), ["schema", "clock"], "{:?}", found.0);

    let last = "(select max(version) from _sqlx_migrations)";
    for (change, state, words) in [
        (format!("delete from _sqlx_migrations where version = {last}"), State::Warn, "1 of "),
        (format!("update _sqlx_migrations set success = false where version = {last}"), State::Fail, "ended half-way"),
        (
            format!("update _sqlx_migrations set checksum = 'x' where version = {last}"),
            State::Fail,
            "in other words than ours",
        ),
        (
            "update instance_facts set value = '999' where name = 'min_binary_schema'".to_owned(),
            State::Fail,
            "(schema 999)",
        ),
        (
            format!("{LATER}; delete from instance_facts where name = 'min_binary_schema'"),
            State::Fail,
            "has the migration 29990101000000, which",
        ),
        (LATER.to_owned(), State::Warn, "has the migration 29990101000000 of a newer Rejoinder"),
    ] {
        let database = TestDatabase::create().await;
        run(
            &database.pool,
            "insert into instance_facts (name, value, updated_at) values ('min_binary_schema', '1', '2026-01-01')
                             on conflict (name) do nothing",
        )
        .await;
        run(&database.pool, &change).await;
        let found = look_at(&h, h.clock.clock(), &[], Place::at(database.options.clone())).await;
        found.says("schema", state, words);
        database.drop().await;
    }
    h.finish().await;
}

#[tokio::test]
async fn a_foreign_key_and_a_missing_one_are_named() {
    let h = Harness::start().await;
    let foreign = [("ENCRYPTION_KEY", "YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE=")];
    look(&h, &foreign).await.says("encryption_key", State::Fail, "is not the key");
    let nowhere = [("ENCRYPTION_KEY", ""), ("DATA_DIR", "/nonexistent/rejoinder")];
    look(&h, &nowhere).await.says("encryption_key", State::Fail, "there is no key");
    assert_eq!(look(&h, &foreign).await.not_ok(), ["clock", "encryption_key"]);
    h.finish().await;
}

/// As behind a pooler that gives a connection away between two statements.
#[tokio::test]
async fn notifications_that_do_not_arrive_are_told() {
    let h = Harness::start().await;
    let elsewhere = PgPoolOptions::new().connect_lazy_with(h.database().options.clone().database("postgres"));
    let found = Findings(vec![hears(h.pool(), &elsewhere).await.unwrap()]);
    found.says("notifications", State::Fail, "pool_mode = session");
    elsewhere.close().await;
    h.finish().await;
}

#[tokio::test]
async fn months_without_a_partition_are_told_before_and_after_they_matter() {
    let h = Harness::start().await;
    h.advance(Duration::days(31 + 30 + 31));
    look(&h, &[]).await.says("partitions", State::Warn, "no partition for next month");
    let activity = "insert into activity_logs select gen_random_uuid(), team_id, actor_user_id, type, subject_kind, subject_id, payload,
                    request_id, '2031-01-01' from activity_logs limit 1";
    run(h.pool(), activity).await;
    look(&h, &[]).await.says("partitions", State::Fail, "activity_logs_default");
    h.finish().await;
}

#[tokio::test]
async fn too_few_connections_are_counted() {
    let h = Harness::start().await;
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(h.pool()).await.unwrap();
    for (limit, state, words) in
        [(20, State::Fail, "gives 20 connections"), (40, State::Warn, "would not fit"), (60, State::Ok, "gives 60")]
    {
        run(h.pool(), &format!("alter database {name} connection limit {limit}")).await;
        look(&h, &[]).await.says("connections", state, words);
    }
    h.finish().await;
}

#[tokio::test]
async fn work_that_nobody_takes_is_told_by_its_age() {
    let h = Harness::start().await;
    let poll = IntegrationPoll { integration_id: h.integration_id };
    jobs::enqueue(&mut *h.conn().await, &poll, h.now()).await.unwrap();
    for (minutes, state, words) in [
        (0, State::Ok, "due and no worker is alive"),
        (5, State::Warn, "the oldest for 5 min"),
        (10, State::Fail, "the role worker"),
    ] {
        h.advance(Duration::minutes(minutes));
        look(&h, &[]).await.says("queue", state, words);
    }
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn clocks_that_differ_are_told_by_how_much() {
    let h = Harness::start().await;
    look(&h, &[]).await.says("clock", State::Fail, "ahead of ours");
    let database = async || Place::at(h.database().options.clone());
    let behind = rejoinder_app::clock::TestClock::at(Clock::System.now() + Duration::seconds(10));
    look_at(&h, behind.clock(), &[], database().await).await.says("clock", State::Warn, "behind ours");
    h.finish().await;
}

#[tokio::test]
async fn credentials_that_are_not_taken_are_named_with_what_to_register() {
    let h = Harness::start().await;
    let found = look(&h, &[("REDDIT_CLIENT_SECRET", "wrong"), ("GEMINI_API_KEY", "bad-key")]).await;
    found.says("reddit", State::Fail, "must be exactly http://localhost:3000/api/integrations/reddit/oauth/callback");
    found.says("ai", State::Fail, "does not accept GEMINI_API_KEY");
    assert_eq!(found.not_ok(), ["clock", "reddit", "ai"]);
    look(&h, &[("GEMINI_MODEL", "no-such-model")]).await.says("ai", State::Fail, "GEMINI_MODEL");
    look(&h, &[("REDDIT_USER_AGENT", "")]).await.says("reddit", State::Warn, "Set REDDIT_USER_AGENT");
    let nothing = [
        ("REDDIT_CLIENT_ID", ""),
        ("REDDIT_CLIENT_SECRET", ""),
        ("AI_PROVIDER", "template"),
        ("REDDIT_USER_AGENT", ""),
    ];
    let found = look(&h, &nothing).await;
    found.says("platforms", State::Warn, "register http://localhost:3000/");
    found.says("ai", State::Ok, "no model is asked");
    look(&h, &nothing[..3]).await.says("reddit", State::Ok, "teams that bring an app of their own");
    h.finish().await;
}

#[tokio::test]
async fn services_that_are_away_or_never_answer_are_told_within_the_limit() {
    let h = Harness::start().await;
    let options = Options { world: WorldKind::Empty, ..Options::default() };
    let stopped = rejoinder_sandbox::start(options).await.unwrap();
    let base = stopped.base_url();
    stopped.stop().await;
    let issuer = [("CLERK_ISSUER", base.as_str().trim_end_matches('/'))];
    let found = look_from(&base, h.clock.clock(), &issuer, Place::at(h.database().options.clone()), LIMIT).await;
    for check in ["reddit", "ai", "clerk"] {
        assert_eq!(found.of(check).state, State::Fail, "{check}: {:?}", found.0);
    }
    // Takes the connection and says nothing.
    let second = std::time::Duration::from_secs(1);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", silent.local_addr().unwrap())).unwrap();
    let found = look_from(&base, h.clock.clock(), &[], Place::at(h.database().options.clone()), second).await;
    for check in ["reddit", "ai"] {
        found.says(check, State::Fail, "No answer within 1 s.");
    }
    h.finish().await;
}

#[tokio::test]
async fn the_keys_of_clerk_are_fetched() {
    let h = Harness::start().await;
    let issuer = ("CLERK_ISSUER", h.base_url.as_str().trim_end_matches('/').to_owned());
    let settings = [(issuer.0, issuer.1.as_str())];
    look(&h, &settings).await.says("clerk", State::Warn, "CLERK_WEBHOOK_SECRET is not set");
    let secret = ("CLERK_WEBHOOK_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    look(&h, &[settings[0], secret]).await.says("clerk", State::Ok, "signing key");
    h.finish().await;
}

#[tokio::test]
async fn an_address_that_nobody_can_or_should_use_is_told() {
    let h = Harness::start().await;
    let of = async |url: &str, environment: &str| {
        let settings = [("PUBLIC_URL", url), ("APP_ENV", environment), ("DATABASE_URL", "postgres://db/rejoinder")];
        look(&h, &settings).await.of("public_url").state
    };
    assert_eq!(of("https://replies.example.com", "production").await, State::Ok);
    assert_eq!(of("http://replies.example.com", "production").await, State::Fail);
    assert_eq!(of("https://localhost:3000", "production").await, State::Fail);
    assert_eq!(of("http://replies.example.com", "development").await, State::Warn);
    assert_eq!(of("http://127.0.0.1:3000", "development").await, State::Ok);
    h.finish().await;
}

#[tokio::test]
async fn a_mail_server_is_greeted_and_sent_nothing() {
    let h = Harness::start().await;
    let server = MailServer::start().await;
    let from = ("MAIL_FROM", "replies@example.com");
    let url = server.url();
    look(&h, &[("SMTP_URL", url.as_str()), from]).await.says("mail", State::Ok, "takes our mail");
    server.require_login("ana", "right");
    let login = url.replace("smtp://", "smtp://ana:hunter2@");
    let found = look(&h, &[("SMTP_URL", login.as_str()), from]).await;
    found.says("mail", State::Fail, "Check host, port, user and password");
    assert!(!format!("{:?}", found.0).contains("hunter2"));
    assert_eq!(server.received().len(), 0);
    look(&h, &[("SMTP_URL", "smtp://127.0.0.1:1?tls=none"), from]).await.says("mail", State::Fail, "127.0.0.1:1");
    h.finish().await;
}
