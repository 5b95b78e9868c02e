//! The world of a run: teams with their callers, connected accounts, and suggestions that wait to be approved, each on a comment of its
//! own, on the platform and in the database alike. Everything follows from the seed.
//!
//! People, teams and accounts are made through the server's own functions. Posts, comments and suggestions come by the thousand and are
//! written in bulk, as the stages would have left them.

use crate::home::Home;
use crate::rng::Rng;
use crate::words;
use anyhow::{Context, Result};
use rejoinder_app::accounts::{integrations, sessions, teams, tokens, users};
use rejoinder_app::app::App;
use rejoinder_app::clock::{Clock, Entropy, Moment};
use rejoinder_app::config::Config;
use rejoinder_app::flow::activity;
use rejoinder_app::{database, lifecycle};
use rejoinder_platforms::{Account, Grant};
use rejoinder_sandbox::Control;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

mod rows;

const SCOPES: &str = "identity read submit history privatemessages edit";
/// Comments under one post: a thread that is read in one call.
const PER_POST: usize = 20;
/// Suggestions that one session approves: half of what a caller may ask for in a minute.
const PER_SESSION: usize = 300;

#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub suggestions: usize,
    pub integrations: usize,
    pub teams: usize,
    /// The accounts are read for new comments while the run goes on.
    pub polled: bool,
}

#[derive(Debug)]
pub struct World {
    pub teams: Vec<Team>,
    pub accounts: Vec<ConnectedAccount>,
    pub suggestions: Vec<Suggestion>,
}

#[derive(Debug)]
pub struct Team {
    pub id: Uuid,
    pub user_id: Uuid,
    /// Session tokens of its one person.
    pub sessions: Vec<String>,
}

#[derive(Debug)]
pub struct ConnectedAccount {
    pub integration_id: Uuid,
    pub team: usize,
    /// On the platform.
    pub name: String,
}

#[derive(Debug, Clone)]
pub struct Suggestion {
    pub id: Uuid,
    pub account: usize,
    /// What it answers, as the platform names it.
    pub target: String,
    pub text: String,
    thread: Thread,
}

/// The rows that a suggestion hangs on.
#[derive(Debug, Clone)]
struct Thread {
    post: String,
    post_id: Uuid,
    comment_id: Uuid,
    item_id: Uuid,
}

impl World {
    /// Migrates the database and fills both sides.
    pub async fn seed(home: &Home, seed: u64, size: Size) -> Result<Self> {
        let rng = Rng::new(seed);
        let config = Config::load(&|name| home.settings().get(name).cloned())?;
        let opened = lifecycle::open_database(&config).await?;
        database::migrate(&opened.pool).await?;
        #[expect(clippy::disallowed_methods, reason = "makes accounts as the server does; the writers are dropped")]
        let (app, writers) = lifecycle::assemble(config, &opened, Clock::System, Entropy::seeded(seed)).await?;
        drop(writers);
        let world = fill(&app, &home.control, &rng, size).await;
        opened.pool.close().await;
        world
    }

    pub fn account_of(&self, suggestion: &Suggestion) -> &ConnectedAccount {
        &self.accounts[suggestion.account]
    }

    pub fn team_of(&self, suggestion: &Suggestion) -> &Team {
        &self.teams[self.account_of(suggestion).team]
    }

    /// The session that the n-th request for this suggestion's team goes under.
    pub fn session_for(&self, suggestion: &Suggestion, n: usize) -> &str {
        let sessions = &self.team_of(suggestion).sessions;
        &sessions[n % sessions.len()]
    }

    /// Writes a suggestion straight into the table. Doing it again does no harm.
    pub async fn insert(&self, pool: &PgPool, suggestion: &Suggestion) -> Result<()> {
        let moment = Moment::new(&Clock::System, &Entropy::System);
        let mut conn = pool.acquire().await?;
        rows::suggestions(&mut conn, &moment, self, std::slice::from_ref(suggestion)).await
    }
}

impl Suggestion {
    /// One more for the same target, by the same account: what the API would not let happen.
    pub fn second(&self, entropy: &Entropy, text: String) -> Self {
        Self { id: Moment::new(&Clock::System, entropy).id(), text, ..self.clone() }
    }
}

async fn fill(app: &App, platform: &Control, rng: &Rng, size: Size) -> Result<World> {
    let moment = app.moment();
    let mut tx = app.db.begin().await?;
    activity::prepare_months(&mut tx, &moment).await?;
    let per_team = size.suggestions.div_ceil(size.teams);
    let mut world = World { teams: Vec::new(), accounts: Vec::new(), suggestions: Vec::new() };
    for number in 0..size.teams {
        world.teams.push(team(app, &mut tx, &moment, number, per_team.div_ceil(PER_SESSION)).await?);
    }
    for number in 0..size.integrations {
        let team = number % size.teams;
        let account = connect(app, &mut tx, &moment, platform, &world.teams[team], number).await?;
        world.accounts.push(ConnectedAccount { team, ..account });
    }
    world.suggestions = threads(platform, &moment, rng, &world, size.suggestions);
    rows::threads(&mut tx, &moment, &world).await?;
    rows::suggestions(&mut tx, &moment, &world, &world.suggestions).await?;
    if !size.polled {
        rows::put_off_polls(&mut tx, &moment).await?;
    }
    tx.commit().await?;
    sqlx::query("analyze").execute(&app.db).await?;
    Ok(world)
}

async fn team(app: &App, conn: &mut PgConnection, moment: &Moment, number: usize, callers: usize) -> Result<Team> {
    let (id, user_id) = (moment.id(), moment.id());
    let (email, name) = (format!("person{number}@bench.example"), format!("Person {number}"));
    let user = users::NewUser { id: user_id, email: Some(&email), name: &name, password_hash: None };
    users::create(conn, user, moment.now).await?;
    let team = teams::NewTeam { id, member_id: moment.id(), owner_user_id: user_id, name: &format!("Team {number}") };
    teams::create(conn, team, moment.now).await?;
    let mut opened = Vec::new();
    for _ in 0..callers {
        let session = sessions::create(conn, user_id, moment.now, &app.entropy).await?;
        opened.push(session.token.expose_secret().to_owned());
    }
    Ok(Team { id, user_id, sessions: opened })
}

/// Connects an account as its consent would have, with sealed tokens.
async fn connect(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    platform: &Control,
    team: &Team,
    number: usize,
) -> Result<ConnectedAccount> {
    let name = format!("maker_{number}");
    let account = Account { id: format!("t2_{}", platform.add_account(&name)), name: name.clone() };
    let issued = platform.issue_token(&name, SCOPES);
    let scopes: Vec<String> = SCOPES.split(' ').map(str::to_owned).collect();
    let grant = Grant {
        access_token: SecretString::from(issued.access_token),
        refresh_token: issued.refresh_token.map(SecretString::from),
        scopes: scopes.clone(),
        expires_in: Some(std::time::Duration::from_secs(issued.expires_in_secs).try_into()?),
    };
    let id = moment.id();
    let (access_token, refresh_token) =
        tokens::seal(app, conn, moment, (id, team.id), &grant).await.context("the tokens could not be sealed")?;
    let connected = integrations::Connected {
        id,
        platform: "reddit",
        account: &account,
        access_token,
        refresh_token,
        app_id: None,
        scopes: &scopes,
        expires_at: tokens::expires_at(&grant, moment.now),
    };
    integrations::connect(conn, moment, team.id, Some(team.user_id), connected).await?;
    Ok(ConnectedAccount { integration_id: id, team: 0, name })
}

/// A stranger's comment for each suggestion, spread over the accounts in turn.
fn threads(platform: &Control, moment: &Moment, rng: &Rng, world: &World, count: usize) -> Vec<Suggestion> {
    let mut rng = rng.fork("texts");
    let mut open: Vec<(String, Uuid, usize)> = vec![Default::default(); world.accounts.len()];
    let suggestion = |number: usize| {
        let account = number % world.accounts.len();
        let name = &world.accounts[account].name;
        let (post, post_id, taken) = &mut open[account];
        if *taken % PER_POST == 0 {
            *post = platform.add_post(name, &format!("corner{}", account % 8), "Ask us anything", "We read all of it.");
            *post_id = moment.id();
        }
        *taken += 1;
        let target = platform.add_comment("curious_cat", post, &format!("What about number {number}?"));
        let thread = Thread { post: post.clone(), post_id: *post_id, comment_id: moment.id(), item_id: moment.id() };
        Suggestion { id: moment.id(), account, target, text: words::reply(&mut rng, number), thread }
    };
    (0..count).map(suggestion).collect()
}
