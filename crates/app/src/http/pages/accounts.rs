//! The accounts page: one card per connected account, problems first, each with the one step that mends it.
//!
//! The handler returns it through `page_with_form_origins`, since "Connect" ends on a platform's consent page. `switches` has
//! the forms that pause and resume, `confirm` the one that ends a consent which came back without a session.

mod confirm;
pub mod meter;
mod offers;
mod switches;

pub use confirm::{ChoiceLine, Confirm, complete};
pub use offers::{LoginOffer, Offer};
pub use switches::{Stopped, pause, pause_team, resume, resume_team};

use super::asked::see_other;
use super::consent::ConsentOutcome;
use super::frame::{Frame, Section};
use super::marks::{Mark, Tone};
use super::person::Person;
use super::samples;
use super::signin::NoFields;
use crate::accounts::connect::{self, ConnectError};
use crate::accounts::integrations::{self, Integration, PauseCause};
use crate::accounts::{platform_apps, subscriptions, team_settings};
use crate::app::App;
use crate::coord::usage;
use crate::error::Problem;
use crate::flow::ingest::{inbox, rhythm};
use crate::http::auth::{Admin, IntegrationRef, Loaded, PageMember, Viewer};
use crate::http::csrf::CsrfForm;
use crate::model::IntegrationState;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgConnection;
use std::collections::HashMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How the address begins to which a consent comes back.
pub const CONNECT_RESULT: &str = "integration=";

#[derive(Debug, Clone, Template)]
#[template(path = "accounts.html")]
pub struct AccountsPage {
    pub frame: Frame,
    /// Platform that was connected a moment ago (`?integration=connected&connected=reddit`).
    pub just_connected: Option<Mark>,
    /// Why the consent that just ended brought no account.
    pub not_connected: Option<(Mark, ConsentOutcome)>,
    /// A consent that came back without a session and waits for the person's word.
    pub confirm: Option<Confirm>,
    /// What a pause that just answered found.
    pub stopped: Option<Stopped>,
    pub accounts: Vec<AccountCard>,
    pub offers: Vec<Offer>,
    /// Admins connect, disconnect and resume, and stop the team.
    pub may_change: bool,
    /// Editors stop an account.
    pub may_pause: bool,
    pub team_is_paused: bool,
}

#[derive(Debug, Clone)]
pub struct AccountCard {
    pub id: Uuid,
    pub mark: Mark,
    /// "u/acme_coffee"
    pub name: String,
    pub state: AccountState,
    /// How often it is read, where the request budget is short.
    pub rhythm: Option<String>,
    /// What its platform charged the team this month.
    pub meter: Option<String>,
    pub last_event_at: Option<OffsetDateTime>,
    pub events: Option<subscriptions::Health>,
    pub last_poll_at: Option<OffsetDateTime>,
    pub token_until: Option<OffsetDateTime>,
    pub scopes: Vec<String>,
    /// By which of its platform's further ways it was connected.
    pub login: Option<&'static str>,
    /// Scope that the consent lacks, and what does not work without it.
    pub missing: Vec<(String, String)>,
    /// When an admin confirmed the platform's policy; rules post nothing before.
    pub policy_confirmed_at: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountState {
    Connected,
    /// Works, but something slows it down: "Reddit says: try again in 9 minutes. We will."
    Slow {
        sentence: String,
    },
    Paused {
        sentence: String,
        since: OffsetDateTime,
    },
    NeedsReconnect {
        sentence: String,
    },
    Disconnected {
        sentence: String,
    },
}

#[derive(Debug, Deserialize)]
pub struct AccountsQuery {
    integration: Option<String>,
    connected: Option<String>,
    reason: Option<String>,
    platform: Option<String>,
    stopped: Option<String>,
    in_flight: Option<String>,
    still_running: Option<String>,
    ticket: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<AccountsQuery>,
) -> Result<Response, Problem> {
    let person = Person::of(&app, member);
    let mut conn = app.db.acquire().await?;
    let last_events: HashMap<Uuid, OffsetDateTime> =
        inbox::last_activity(&mut conn, person.team_id).await?.into_iter().collect();
    let accounts = integrations::list(&mut conn, person.team_id).await?;
    let events = subscriptions::health(&mut conn, person.team_id).await?;
    let rhythms = rhythms(&app, &mut conn, person.team_id).await?;
    let settings = team_settings::load(&mut conn, person.team_id).await?;
    let used = usage::lines(&mut conn, person.team_id, usage::month_of(app.clock.now())).await?;
    let (confirm, no_ticket) = query.confirmation(&mut conn, &person).await?;
    let page = AccountsPage {
        confirm,
        frame: person.frame(&mut conn).await?,
        stopped: query.stopped(&accounts),
        may_pause: person.may_act(),
        team_is_paused: settings.paused_at.is_some(),
        just_connected: query
            .connected
            .as_deref()
            .filter(|_| query.integration.as_deref() == Some("connected"))
            .and_then(known),
        not_connected: query.failed().or(no_ticket),
        accounts: accounts
            .iter()
            .map(|account| AccountCard {
                rhythm: rhythms.get(&account.id).cloned().flatten(),
                meter: meter::sentence(&account.platform, &used, settings.platform_budget_cents),
                events: events.iter().find(|health| health.integration_id == account.id).cloned(),
                ..AccountCard::of(&app, account, last_events.get(&account.id).copied())
            })
            .collect(),
        offers: offers::all(&app, &platform_apps::list(&mut conn, person.team_id).await?),
        may_change: person.may_connect(),
    };
    let origins = offers::consent_origins(&app);
    let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
    Ok(super::page_with_form_origins(StatusCode::OK, &page, &origins))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectFields {
    login: Option<String>,
}

/// On to the platform's consent page.
pub async fn connect(
    State(app): State<App>,
    member: PageMember<Admin>,
    Path(platform): Path<String>,
    CsrfForm(sent): CsrfForm<ConnectFields>,
) -> Result<Response, Problem> {
    let (whose, by) = ((member.team_id, member.caller.user_id), (platform.as_str(), sent.login.as_deref()));
    match connect::start_by(&app, &app.moment(), whose, by, None).await {
        Ok(url) => Ok(see_other(url.as_str())),
        Err(ConnectError::UnknownPlatform(_)) => Err(Problem::not_found("platform")),
        Err(ConnectError::Database(error)) => Err(error.into()),
        Err(ConnectError::Seal(error)) => Err(Problem::internal(&error)),
        Err(error) => Err(Problem::conflict("not-connected", error.to_string())),
    }
}

/// Gives the access back and forgets the tokens; what was read and what was sent stays.
pub async fn disconnect(
    State(app): State<App>,
    _: PageMember<Viewer>,
    loaded: Loaded<IntegrationRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let by = (loaded.team_id, loaded.caller.user_id);
    match connect::disconnect(&app, &app.moment(), by, loaded.id).await {
        Ok(true) => Ok(see_other("/dashboard/accounts")),
        Ok(false) => Err(Problem::not_found("integration")),
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// An admin stands for automatic replies with the account.
pub async fn confirm_policy(
    State(app): State<App>,
    _: PageMember<Viewer>,
    loaded: Loaded<IntegrationRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    integrations::confirm_policy(&mut tx, &app.moment(), loaded.team_id, loaded.id, loaded.caller.user_id).await?;
    tx.commit().await?;
    Ok(see_other("/dashboard/accounts"))
}

fn known(slug: &str) -> Option<Mark> {
    rejoinder_platforms::PLATFORMS.iter().any(|(known, _)| *known == slug).then(|| Mark::of(slug))
}

impl AccountsQuery {
    fn failed(&self) -> Option<(Mark, ConsentOutcome)> {
        let failed = self.integration.as_deref() == Some("failed");
        let mark = self.platform.as_deref().and_then(known).unwrap_or_else(|| Mark::new("", "The platform"));
        failed.then(|| (mark, ConsentOutcome::of(self.reason.as_deref().unwrap_or_default())))
    }
}

async fn rhythms(
    app: &App,
    conn: &mut PgConnection,
    team_id: Uuid,
) -> Result<HashMap<Uuid, Option<String>>, sqlx::Error> {
    let readings = integrations::readings(conn, team_id, &app.own_clients()).await?;
    let secs = |secs: i32| Duration::seconds(secs.into());
    let sentence = |row: &integrations::Reading| {
        rhythm::sentence(secs(row.wanted_secs), secs(row.interval_secs), row.accounts.into())
    };
    Ok(readings.iter().map(|row| (row.integration_id, sentence(row))).collect())
}

impl AccountCard {
    fn of(app: &App, account: &Integration, last_event_at: Option<OffsetDateTime>) -> Self {
        let mark = Mark::of(&account.platform);
        let can = app.readers.get(&account.platform).ok().map(|reader| reader.capabilities());
        let login = can.as_ref().and_then(|can| can.login_of(&account.scopes)).map(|login| login.slug);
        let missing = can.map(|can| can.missing(&account.scopes)).unwrap_or_default().into_iter();
        Self {
            id: account.id,
            name: mark.handle(&account.display_name),
            mark,
            state: AccountState::of(account),
            rhythm: None,
            meter: None,
            last_event_at,
            events: None,
            last_poll_at: account.last_polled_at,
            token_until: account.expires_at,
            scopes: account.scopes.clone(),
            login,
            missing: missing.map(|scope| (scope.name.to_owned(), scope.without.to_owned())).collect(),
            policy_confirmed_at: account.policy_confirmed_at,
        }
    }

    pub fn token_ran_out(&self, now: &OffsetDateTime) -> bool {
        self.token_until.is_some_and(|until| until <= *now)
    }
}

impl AccountState {
    fn of(account: &Integration) -> Self {
        let why = || account.state_reason.clone().unwrap_or_default();
        match (account.state(), &account.last_poll_problem) {
            (IntegrationState::Connected, None) => Self::Connected,
            (IntegrationState::Connected, Some(problem)) => {
                Self::Slow { sentence: format!("The last look did not bring everything: {problem}") }
            }
            (IntegrationState::Paused, _) => Self::Paused { sentence: paused(account), since: account.state_since },
            (IntegrationState::NeedsReconnect, _) => Self::NeedsReconnect {
                sentence: format!("{} does not let us in any more: {}", Mark::of(&account.platform).name, why()),
            },
            (IntegrationState::Disconnected, _) => Self::Disconnected { sentence: why() },
        }
    }

    pub fn tone(&self) -> Tone {
        match self {
            Self::Connected => Tone::Plain,
            Self::Slow { .. } | Self::Paused { .. } => Tone::Held,
            Self::NeedsReconnect { .. } => Tone::Bad,
            Self::Disconnected { .. } => Tone::Plain,
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::Slow { .. } => "Slowed down",
            Self::Paused { .. } => "Paused",
            Self::NeedsReconnect { .. } => "Needs a new consent",
            Self::Disconnected { .. } => "Disconnected",
        }
    }

    pub fn sentence(&self) -> &str {
        match self {
            Self::Connected => "We read what people write there and can reply.",
            Self::Slow { sentence }
            | Self::Paused { sentence, .. }
            | Self::NeedsReconnect { sentence }
            | Self::Disconnected { sentence } => sentence,
        }
    }

    /// Whether the card's one step is to connect again.
    pub fn wants_consent(&self) -> bool {
        matches!(self, Self::NeedsReconnect { .. } | Self::Disconnected { .. })
    }

    pub fn paused_since(&self) -> Option<&OffsetDateTime> {
        match self {
            Self::Paused { since, .. } => Some(since),
            _ => None,
        }
    }

    pub fn can_be_paused(&self) -> bool {
        matches!(self, Self::Connected | Self::Slow { .. })
    }

    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected { .. })
    }

    fn rank(&self) -> u8 {
        match self {
            Self::NeedsReconnect { .. } => 0,
            Self::Paused { .. } => 1,
            Self::Slow { .. } => 2,
            Self::Connected => 3,
            Self::Disconnected { .. } => 4,
        }
    }
}

/// Who paused it, why, and what goes on meanwhile.
fn paused(account: &Integration) -> String {
    let who = match (account.pause_cause(), &account.paused_by_name) {
        (Some(PauseCause::Person), Some(name)) => format!("{name} paused it"),
        (Some(PauseCause::Person), None) => "The operator of this server paused it".to_owned(),
        (Some(PauseCause::Failures | PauseCause::App) | None, _) => "Rejoinder paused it".to_owned(),
    };
    let why = account.state_reason.as_deref().map(|why| format!(": {}", why.trim_end_matches('.'))).unwrap_or_default();
    format!("{who}{why}. Nothing goes out; comments still come in, and what is approved waits.")
}

impl AccountsPage {
    /// Problems first, whatever order the handler read them in.
    pub fn in_order(&self) -> Vec<&AccountCard> {
        let mut cards: Vec<_> = self.accounts.iter().collect();
        cards.sort_by(|a, b| (a.state.rank(), &a.name).cmp(&(b.state.rank(), &b.name)));
        cards
    }

    /// Whether an account of the platform that was connected a moment ago got less than we asked for.
    pub fn connected_in_part(&self) -> bool {
        let just = self.just_connected.as_ref().map(|mark| &mark.slug);
        self.accounts.iter().any(|card| Some(&card.mark.slug) == just && !card.missing.is_empty())
    }

    pub fn section(&self) -> Section {
        Section::Accounts
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::accounts::pages()
    }
}
