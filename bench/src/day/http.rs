//! The same over HTTP: the server's own jobs on a real Postgres against the simulated Reddit, whose clock and ours are one. Strangers
//! speak, edit and delete; people answer. What the platform counted and what came in is compared at the end.

mod talk;

use super::{Args, Delays, Report};
use crate::home;
use crate::rng::Rng;
use anyhow::{Context, Result, bail};
use rejoinder_app::accounts::{integrations, teams, tokens, users};
use rejoinder_app::app::App;
use rejoinder_app::clients::ai::Template;
use rejoinder_app::clock::{Entropy, TestClock};
use rejoinder_app::config::Config;
use rejoinder_app::engine::Engine;
use rejoinder_app::flow::activity;
use rejoinder_app::flow::approve::{self, Approve, Decision};
use rejoinder_app::flow::send::{Identity, Sender};
use rejoinder_app::flow::suggest::{self, Request};
use rejoinder_app::lifecycle::{Database, assemble};
use rejoinder_app::model::Mode;
use rejoinder_app::{database, jobs, queue};
use rejoinder_platforms::LengthRule;
use rejoinder_platforms::{Account, Grant};
use rejoinder_sandbox::{Clock, Control, FixedClock, Options, RateHost, WorldKind};
use secrecy::SecretString;
use sqlx::postgres::PgPoolOptions;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use talk::{Brand, Thread};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const START: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);
const STEP: Duration = Duration::seconds(15);
const SCOPES: &str = "identity read submit history privatemessages edit";
const KEY: &str = "YSBtZWFzdXJlbWVudCwgbm90IGEgc2VjcmV0LCAzMiE=";
const LIMIT: u32 = 1_000;
/// Nothing is said in the last part, so that all of it can have come in.
const QUIET_END: Duration = Duration::minutes(90);

pub async fn run(args: &Args) -> Result<Report> {
    let folder = home::folder()?;
    let cluster = home::start_cluster(folder.path()).await?;
    // Nothing is killed here, so no commit has to wait for the disk.
    let options = cluster.connect_options().options([("synchronous_commit", "off")]);
    let pool = PgPoolOptions::new().max_connections(12).connect_with(options.clone()).await?;
    let there = FixedClock::new(START);
    let world =
        Options { seed: args.seed, world: WorldKind::Empty, clock: Clock::Fixed(there.clone()), ..Options::default() };
    let sandbox = rejoinder_sandbox::start(world).await?;
    let result = async {
        database::migrate(&pool).await.context("the schema could not be made")?;
        let base = sandbox.base_url();
        let base = base.as_str().trim_end_matches('/');
        let database = Database { pool: pool.clone(), options, cluster: None };
        let mut day = Day::seed(args, base, sandbox.control(), there, &database).await?;
        day.pass(args).await?;
        day.report(args).await
    }
    .await;
    pool.close().await;
    sandbox.stop().await;
    cluster.stop().await?;
    result
}

struct Day {
    app: App,
    engine: jobs::State,
    platform: Control,
    clock: TestClock,
    there: FixedClock,
    user_id: Uuid,
    accounts: Vec<Brand>,
    /// A post of somebody else.
    others_post: String,
    /// What was said, when, and what it was.
    said: HashMap<String, (OffsetDateTime, &'static str)>,
    deleted: Vec<String>,
    taken_back: Vec<(String, OffsetDateTime)>,
    rng: Rng,
}

#[allow(clippy::disallowed_methods, reason = "the start of a server, in simulated time")]
async fn server(base: &str, clock: &TestClock, database: &Database, seed: u64) -> Result<(App, jobs::State)> {
    let settings: HashMap<&str, String> = HashMap::from([
        ("ENCRYPTION_KEY", KEY.to_owned()),
        ("PUBLIC_URL", "http://localhost:3000".to_owned()),
        ("REDDIT_CLIENT_ID", "sandbox-client".to_owned()),
        ("REDDIT_CLIENT_SECRET", "sandbox-secret".to_owned()),
        ("REDDIT_AUTH_BASE", format!("{base}/reddit")),
        ("REDDIT_API_BASE", format!("{base}/reddit")),
        ("SEND_GAP_SECS", "0".to_owned()),
        ("AI_PROVIDER", "template".to_owned()),
    ]);
    let config = Config::load(&|name| settings.get(name).cloned()).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let (app, writers) = assemble(config, database, clock.clock(), Entropy::seeded(seed)).await?;
    let identity = Identity::new(database.options.clone(), Entropy::seeded(seed + 1));
    let sender = Sender::new(&app, writers, identity);
    let engine = Arc::new(Engine { app: app.clone(), sender: Some(sender), template: Template });
    Ok((app, engine))
}

impl Day {
    async fn seed(args: &Args, base: &str, platform: Control, there: FixedClock, database: &Database) -> Result<Self> {
        let clock = TestClock::at(START);
        let (app, engine) = server(base, &clock, database, args.seed).await?;
        platform.set_rate_budget(LIMIT);
        let rng = Rng::new(args.seed).fork("day");
        let user_id = app.moment().id();
        there.set(START - Duration::HOUR);
        let others_post = platform.add_post("third_cat", "other", "Which grinder?", "Tell me.");
        let mut day = Self {
            app,
            engine,
            platform,
            clock,
            there,
            user_id,
            accounts: Vec::new(),
            others_post,
            said: HashMap::new(),
            deleted: Vec::new(),
            taken_back: Vec::new(),
            rng,
        };
        day.people(args).await?;
        Ok(day)
    }

    /// A team for every ten accounts; posts of the last hundred days, most of them old.
    async fn people(&mut self, args: &Args) -> Result<()> {
        let moment = self.app.moment();
        let mut tx = self.app.db.begin().await?;
        activity::prepare_months(&mut tx, &moment).await?;
        let user =
            users::NewUser { id: self.user_id, email: Some("ana@example.com"), name: "Ana", password_hash: None };
        users::create(&mut tx, user, moment.now).await?;
        tx.commit().await?;
        let mut team_id = Uuid::nil();
        for number in 0..args.integrations {
            if number % 10 == 0 {
                team_id = self.app.moment().id();
                let moment = self.app.moment();
                let mut tx = self.app.db.begin().await?;
                let team =
                    teams::NewTeam { id: team_id, member_id: moment.id(), owner_user_id: self.user_id, name: "Team" };
                teams::create(&mut tx, team, moment.now).await?;
                tx.commit().await?;
            }
            let name = format!("brand_{number:04}");
            let mut threads = Vec::new();
            for post in 0..args.posts {
                let age = Duration::hours(24 * 100 * (args.posts - post) as i64 / args.posts as i64);
                self.there.set(START - age);
                let place = format!("place_{}", number % 7);
                let post = self.platform.add_post(&name, &place, &format!("Post {post}"), "Ask.");
                threads.push(Thread { post, created_at: START - age, last: None });
            }
            self.there.set(START);
            self.connect(team_id, &name).await?;
            let busy = match number % 20 {
                0 => 6.0,
                1..5 => 1.0,
                _ => 0.15,
            };
            self.accounts.push(Brand { name, threads, busy });
        }
        Ok(())
    }

    async fn connect(&self, team_id: Uuid, name: &str) -> Result<()> {
        let (app, moment) = (&self.app, self.app.moment());
        let account = Account {
            id: format!("t2_{}", self.platform.add_account(name).trim_start_matches("t2_")),
            name: name.to_owned(),
        };
        let issued = self.platform.issue_token(name, SCOPES);
        let grant = Grant {
            access_token: SecretString::from(issued.access_token),
            refresh_token: issued.refresh_token.map(SecretString::from),
            scopes: SCOPES.split(' ').map(str::to_owned).collect(),
            expires_in: Some(Duration::seconds(i64::try_from(issued.expires_in_secs)?)),
        };
        let id = moment.id();
        let mut tx = app.db.begin().await?;
        let (access_token, refresh_token) = tokens::seal(app, &mut tx, &moment, (id, team_id), &grant).await?;
        let connected = integrations::Connected {
            id,
            platform: "reddit",
            account: &account,
            access_token,
            refresh_token,
            scopes: &grant.scopes,
            expires_at: tokens::expires_at(&grant, moment.now),
            app_id: None,
        };
        integrations::connect(&mut tx, &moment, team_id, Some(self.user_id), connected).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn pass(&mut self, args: &Args) -> Result<()> {
        let registry = jobs::registry();
        let end = START + Duration::hours(args.hours);
        let mut answered = 0;
        let mut now = START;
        while now < end {
            if now + QUIET_END < end {
                self.speak(now);
            }
            queue::schedule_due(&registry, &self.app.db, now).await?;
            let (clock, there) = (self.clock.clone(), self.there.clone());
            let set = |at: OffsetDateTime| {
                clock.set(at);
                there.set(at);
            };
            let next = now + STEP;
            queue::drain_with_clock(&registry, &self.engine, &self.app.db, now, next, set).await?;
            now = next;
            self.clock.set(now);
            self.there.set(now);
            if now.unix_timestamp() % 300 == 0 && now + QUIET_END < end {
                answered += self.answer().await?;
            }
            if now.unix_timestamp() % 3_600 == 0 {
                let asked: u32 = self.platform.rate_windows().iter().map(|window| window.used).sum();
                eprintln!("{now}: {} said, {answered} answered, {asked} requests", self.said.len());
            }
        }
        Ok(())
    }

    /// Somebody answers the newest open item of one team in three, and takes back what is to be deleted.
    async fn answer(&mut self) -> Result<usize> {
        for comment in std::mem::take(&mut self.deleted) {
            self.platform.delete_comment(&comment);
            self.said.remove(&comment);
            self.taken_back.push((comment, self.clock.now()));
        }
        let open: Vec<(Uuid, Uuid, Uuid)> = sqlx::query_as(
            "select distinct on (team_id) team_id, post_id, comment_id from inbox_items
             where state = 'open' and comment_id is not null order by team_id, last_activity_at desc",
        )
        .fetch_all(&self.app.db)
        .await?;
        let mut answered = 0;
        for (team_id, post_id, comment_id) in open {
            if self.rng.below(3) > 0 {
                continue;
            }
            let moment = self.app.moment();
            let text = format!("Thanks for asking, number {}.", self.rng.below(1_000_000));
            let request =
                Request { post_id, comment_id: Some(comment_id), intent_id: None, mode: Mode::Draft, text: Some(text) };
            let mut tx = self.app.db.begin().await?;
            let Ok((made, _)) = suggest::request(&mut tx, &moment, team_id, self.user_id, request).await else {
                continue;
            };
            let decision = Decision { team_id, suggestion_id: made.id, by: self.user_id };
            let approve = Approve {
                text: None,
                version: None,
                auto_post: true,
                undo_window: Duration::ZERO,
                length: LengthRule::characters(10_000),
            };
            if approve::approve(&mut tx, &moment, decision, approve).await.is_ok() {
                tx.commit().await?;
                answered += 1;
            }
        }
        Ok(answered)
    }

    async fn report(&self, args: &Args) -> Result<Report> {
        let windows = self.platform.rate_windows();
        let api: Vec<_> = windows.iter().filter(|window| window.host == RateHost::Api).collect();
        let refused: u32 = windows.iter().map(|window| window.refused).sum();
        let (lost, heard) = self.heard().await?;
        let followed_posts: i64 = sqlx::query_scalar("select count(*) from posts").fetch_one(&self.app.db).await?;
        let mut delays = vec![("lane send (approved to posted)", self.sent().await?)];
        delays.extend(heard);
        delays.push(("deleted there, stands here", self.outlived().await?));
        let interval: Option<(i32, i32)> = sqlx::query_as(
            "select percentile_disc(0.5) within group (order by poll_wanted_secs),
                    percentile_disc(0.5) within group (order by poll_interval_secs) from integrations",
        )
        .fetch_optional(&self.app.db)
        .await?;
        let expired: i64 =
            sqlx::query_scalar("select count(*) from integrations where expires_at <= $1 or state <> 'connected'")
                .bind(self.clock.now())
                .fetch_one(&self.app.db)
                .await?;
        if expired > 0 {
            bail!("{expired} accounts lost their access");
        }
        Ok(Report {
            accounts: args.integrations,
            followed_posts: usize::try_from(followed_posts)?,
            hours: args.hours as f64,
            most_in_window: api.iter().map(|window| window.used).max().unwrap_or(0),
            limit: LIMIT,
            windows: api.len(),
            requests: api.iter().map(|window| u64::from(window.used)).sum(),
            kinds: self.platform.requests().into_iter().collect(),
            refused: u64::from(refused),
            lost,
            delays,
            interval: interval.map(|(wanted, kept)| (Duration::seconds(wanted.into()), Duration::seconds(kept.into()))),
        })
    }

    /// How many texts did not come in, and how late the others did.
    async fn heard(&self) -> Result<(usize, Vec<(&'static str, Delays)>)> {
        let items: Vec<(String, OffsetDateTime)> =
            sqlx::query_as("select target_platform_id, created_at from inbox_items").fetch_all(&self.app.db).await?;
        let items: HashMap<String, OffsetDateTime> = items.into_iter().collect();
        let (mut by_kind, mut lost) = (BTreeMap::<&'static str, Delays>::new(), 0);
        for (comment, (said_at, kind)) in &self.said {
            match items.get(comment) {
                Some(at) => by_kind.entry(*kind).or_default().add(*at - *said_at),
                None => lost += 1,
            }
        }
        Ok((lost, by_kind.into_iter().collect()))
    }

    async fn sent(&self) -> Result<Delays> {
        let mut delays = Delays::default();
        let sent: Vec<(OffsetDateTime, Option<OffsetDateTime>)> = sqlx::query_as(
            "select approved_at, posted_at from suggestions where approved_at is not null and status <> 'rejected'",
        )
        .fetch_all(&self.app.db)
        .await?;
        for (approved_at, posted_at) in sent {
            delays.add(posted_at.unwrap_or_else(|| self.clock.now()) - approved_at);
        }
        Ok(delays)
    }

    /// How long ago each text was taken back that stands here still: a day at most.
    async fn outlived(&self) -> Result<Delays> {
        let mut delays = Delays::default();
        let here: Vec<String> = sqlx::query_scalar("select platform_comment_id from comments where deleted_at is null")
            .fetch_all(&self.app.db)
            .await?;
        let here: std::collections::HashSet<String> = here.into_iter().collect();
        for (comment, at) in &self.taken_back {
            if here.contains(comment) {
                delays.add(self.clock.now() - *at);
            }
        }
        if delays.most_secs > 86_400.0 {
            bail!("a text that was deleted a day ago stands here still");
        }
        Ok(delays)
    }
}
