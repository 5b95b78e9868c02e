//! The watches page: what the team follows beside its own posts, each with its own switch. Editors make, turn and delete with plain
//! forms; a refused one comes back as it was typed.

use super::asked::see_other;
use super::frame::{Frame, Section};
use super::marks::{Mark, Tone};
use super::person::Person;
use super::samples;
use super::signin::NoFields;
use crate::accounts::integrations;
use crate::app::App;
use crate::error::Problem;
use crate::flow::watches::{self, NewWatch, WatchError, WatchFields, WatchRow};
use crate::http::auth::{Editor, Loaded, PageMember, Viewer, WatchRef};
use crate::http::csrf::CsrfForm;
use crate::model::{IntegrationState, WatchKind};
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use rejoinder_platforms::Watching;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

/// All that a team may have.
const SHOWN: i64 = 100;

#[derive(Debug, Clone, Template)]
#[template(path = "watches.html")]
pub struct WatchesPage {
    pub frame: Frame,
    pub watches: Vec<WatchCard>,
    /// Accounts that can look.
    pub accounts: Vec<AccountChoice>,
    pub new: NewForm,
    pub may_change: bool,
}

#[derive(Debug, Clone)]
pub struct AccountChoice {
    pub id: Uuid,
    pub name: String,
}

#[derive(Debug, Clone)]
pub struct WatchCard {
    pub id: Uuid,
    pub mark: Mark,
    /// "r/espresso", "“grinder” in r/coffee"
    pub title: String,
    /// The account that looks.
    pub account: String,
    pub active: bool,
    pub last_polled_at: Option<OffsetDateTime>,
    pub problem: Option<String>,
    pub found: u64,
}

/// The form of a new watch as it was typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct NewForm {
    #[serde(default)]
    pub integration_id: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub text: String,
    #[serde(default)]
    pub community: String,
    #[serde(skip)]
    pub error: Option<String>,
}

impl NewForm {
    pub fn is_keyword(&self) -> bool {
        self.kind == WatchKind::Keyword.as_str()
    }

    pub fn looks_with(&self, id: &Uuid) -> bool {
        self.integration_id == id.to_string()
    }

    fn wanted(&self) -> Result<NewWatch, WatchError> {
        let integration_id = self.integration_id.parse().map_err(|_| WatchError::NotFound("integration"))?;
        let kind = if self.is_keyword() { WatchKind::Keyword } else { WatchKind::Community };
        let community = Some(self.community.clone()).filter(|_| kind == WatchKind::Keyword);
        Ok(NewWatch { integration_id, kind, text: self.text.clone(), community })
    }
}

pub async fn show(State(app): State<App>, member: PageMember<Viewer>) -> Result<Response, Problem> {
    let page = WatchesPage::load(&app, Person::of(&app, member), NewForm::default()).await?;
    Ok(super::page(StatusCode::OK, &page))
}

pub async fn create(
    State(app): State<App>,
    member: PageMember<Editor>,
    CsrfForm(sent): CsrfForm<NewForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let made = match sent.wanted() {
        Ok(new) => {
            watches::create(&mut tx, &app.readers, &app.moment(), member.team_id, member.caller.user_id, new).await
        }
        Err(error) => Err(error),
    };
    match made {
        Ok(_) => {
            tx.commit().await?;
            Ok(see_other("/dashboard/watches"))
        }
        Err(error @ (WatchError::Field { .. } | WatchError::Same | WatchError::Full | WatchError::NotThere(_))) => {
            drop(tx);
            let status = if matches!(error, WatchError::Field { .. }) {
                StatusCode::UNPROCESSABLE_ENTITY
            } else {
                StatusCode::CONFLICT
            };
            let why = match error {
                WatchError::Field { message, .. } => format!("Not taken: {message}."),
                other => format!("Not taken: {other}."),
            };
            let form = NewForm { error: Some(why), ..sent };
            let page = WatchesPage::load(&app, Person::of(&app, member), form).await?;
            Ok(super::page(status, &page))
        }
        Err(error) => Err(error.into()),
    }
}

pub async fn turn_on(
    State(app): State<App>,
    _: PageMember<Viewer>,
    wanted: Loaded<WatchRef, Editor>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    turn(&app, &wanted, true).await
}

pub async fn turn_off(
    State(app): State<App>,
    _: PageMember<Viewer>,
    wanted: Loaded<WatchRef, Editor>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    turn(&app, &wanted, false).await
}

async fn turn(app: &App, wanted: &Loaded<WatchRef, Editor>, active: bool) -> Result<Response, Problem> {
    let fields = WatchFields { active: Some(active), text: None };
    let mut tx = app.db.begin().await?;
    watches::change(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id, fields).await?;
    tx.commit().await?;
    Ok(see_other("/dashboard/watches"))
}

pub async fn delete(
    State(app): State<App>,
    _: PageMember<Viewer>,
    wanted: Loaded<WatchRef, Editor>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    watches::delete(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    tx.commit().await?;
    Ok(see_other("/dashboard/watches"))
}

impl WatchCard {
    fn of(row: WatchRow) -> Self {
        let mark = Mark::of(&row.platform);
        Self {
            id: row.id,
            title: row.title(),
            account: mark.handle(&row.account),
            mark,
            active: row.active,
            last_polled_at: row.last_polled_at,
            problem: row.last_problem,
            found: u64::try_from(row.found).unwrap_or(0),
        }
    }

    pub fn tone(&self) -> Tone {
        match (self.active, &self.problem) {
            (false, _) => Tone::Plain,
            (true, Some(_)) => Tone::Held,
            (true, None) => Tone::Busy,
        }
    }

    pub fn word(&self) -> &'static str {
        match (self.active, &self.problem) {
            (false, _) => "Off",
            (true, Some(_)) => "Slowed down",
            (true, None) => "Looking",
        }
    }
}

impl WatchesPage {
    async fn load(app: &App, person: Person, new: NewForm) -> Result<Self, sqlx::Error> {
        let mut conn = app.db.acquire().await?;
        let rows = watches::list(&mut conn, person.team_id, None, SHOWN).await?;
        let accounts = integrations::list(&mut conn, person.team_id).await?.into_iter();
        let accounts = accounts.filter(|account| account.state() != IntegrationState::Disconnected);
        let looks = |platform: &str| {
            app.readers.get(platform).is_ok_and(|reader| reader.capabilities().watching != Watching::Nothing)
        };
        let accounts = accounts.filter(|account| looks(&account.platform));
        Ok(Self {
            frame: person.frame(&mut conn).await?,
            watches: rows.into_iter().map(WatchCard::of).collect(),
            accounts: accounts
                .map(|account| AccountChoice {
                    id: account.id,
                    name: Mark::of(&account.platform).handle(&account.display_name),
                })
                .collect(),
            new,
            may_change: person.may_act(),
        })
    }

    pub fn section(&self) -> Section {
        Section::Watches
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::watches::pages()
    }
}
