//! The API tokens page: what lets programs act for the team. A new token is shown once, on the page that answers its making.

use super::asked::see_other;
use super::frame::{Frame, Section};
use super::person::Person;
use super::samples;
use super::signin::NoFields;
use crate::accounts::api_tokens::{self, ApiToken, CreateError, NewToken};
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{ApiTokenRef, Loaded, PageMember, Viewer};
use crate::http::csrf::CsrfForm;
use crate::model::Role;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::ExposeSecret;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// More than a team may have.
const ROWS: i64 = 1_000;

#[derive(Debug, Clone, Template)]
#[template(path = "tokens.html")]
pub struct TokensPage {
    pub frame: Frame,
    pub lines: Vec<TokenLine>,
    pub form: TokenForm,
    /// What the person may give: its own role and those below.
    pub roles: Vec<Role>,
    /// The token just made.
    pub made: Option<MadeToken>,
    pub revoked: bool,
    /// Admins see those of others too.
    pub sees_all: bool,
}

#[derive(Debug, Clone)]
pub struct MadeToken {
    pub name: String,
    pub token: String,
}

#[derive(Debug, Clone)]
pub struct TokenLine {
    pub id: Uuid,
    pub name: String,
    pub role: Role,
    pub effective: Option<Role>,
    pub last_signs: String,
    pub made_by: String,
    pub made_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub last_used_at: Option<OffsetDateTime>,
}

/// The fields as they stand in the form.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct TokenForm {
    pub name: String,
    pub role: String,
    /// In days; empty: for good.
    pub lasts: String,
    /// The field that was refused and why.
    #[serde(skip)]
    pub error: Option<(String, String)>,
}

#[derive(Debug, Deserialize)]
pub struct TokensPageQuery {
    revoked: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<TokensPageQuery>,
) -> Result<Response, Problem> {
    let form = TokenForm { role: Role::Viewer.to_string(), lasts: "90".to_owned(), ..TokenForm::default() };
    let page = TokensPage::load(&Person::of(&app, member), form).await?;
    Ok(super::page(StatusCode::OK, &TokensPage { revoked: query.revoked.is_some(), ..page }))
}

pub async fn create(
    State(app): State<App>,
    member: PageMember<Viewer>,
    CsrfForm(sent): CsrfForm<TokenForm>,
) -> Result<Response, Problem> {
    let (moment, person) = (app.moment(), Person::of(&app, member));
    let mut tx = app.db.begin().await?;
    let made = match sent.read(moment.now) {
        Ok(new) => api_tokens::create(&mut tx, &moment, person.team_id, (person.user_id, person.role), new).await,
        Err(error) => Err(error),
    };
    let (field, message) = match made {
        Ok((row, token)) => {
            tx.commit().await?;
            let page = TokensPage::load(&person, TokenForm { name: String::new(), ..sent }).await?;
            let made = MadeToken { name: row.name, token: token.expose_secret().to_owned() };
            return Ok(super::page(StatusCode::CREATED, &TokensPage { made: Some(made), ..page }));
        }
        Err(CreateError::Field { field, message }) => (if field == "expires_at" { "lasts" } else { field }, message),
        Err(error @ CreateError::AboveOwnRole(_)) => ("role", error.to_string()),
        Err(error @ CreateError::TooMany) => ("name", error.to_string()),
        Err(CreateError::Database(error)) => return Err(error.into()),
    };
    drop(tx);
    let form = TokenForm { error: Some((field.to_owned(), message)), ..sent };
    Ok(super::page(StatusCode::UNPROCESSABLE_ENTITY, &TokensPage::load(&person, form).await?))
}

pub async fn revoke(
    State(app): State<App>,
    _: PageMember<Viewer>,
    wanted: Loaded<ApiTokenRef, Viewer>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    api_tokens::revoke(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    tx.commit().await?;
    Ok(see_other("/dashboard/tokens?revoked=1"))
}

impl TokenForm {
    fn read(&self, now: OffsetDateTime) -> Result<NewToken<'_>, CreateError> {
        let wrong = |field, message: &str| CreateError::Field { field, message: message.to_owned() };
        let role = self.role.parse().map_err(|_| wrong("role", "Choose one of the roles."))?;
        let expires_at = match self.lasts.as_str() {
            "" => None,
            days => {
                let days = days.parse::<u16>().map_err(|_| wrong("lasts", "Choose one of the times."))?;
                Some(now + Duration::days(days.into()))
            }
        };
        Ok(NewToken { name: &self.name, role, expires_at })
    }

    /// Why the field was refused; None for the others.
    pub fn wrong(&self, field: &str) -> Option<&str> {
        self.error.as_ref().filter(|(named, _)| named == field).map(|(_, message)| message.as_str())
    }
}

impl TokenLine {
    fn of(row: ApiToken) -> Self {
        Self {
            id: row.id,
            effective: row.effective(),
            name: row.name,
            role: row.role,
            last_signs: row.last_signs,
            made_by: row.created_by_name,
            made_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }

    pub fn is_over(&self, now: &OffsetDateTime) -> bool {
        self.expires_at.is_some_and(|at| at <= *now)
    }

    /// Where it counts for less than it says: "viewer, as its maker is now".
    pub fn worth(&self) -> String {
        match self.effective {
            None => "nothing: its maker left the team".to_owned(),
            Some(role) if role < self.role => format!("{role}, as its maker is now"),
            Some(role) => role.to_string(),
        }
    }
}

impl TokensPage {
    async fn load(person: &Person, form: TokenForm) -> Result<Self, sqlx::Error> {
        let mut conn = person.app.db.acquire().await?;
        let sees_all = person.role >= Role::Admin;
        let made_by = (!sees_all).then_some(person.user_id);
        let rows = api_tokens::list(&mut conn, person.team_id, made_by, None, ROWS).await?;
        Ok(Self {
            frame: person.frame(&mut conn).await?,
            lines: rows.into_iter().map(TokenLine::of).collect(),
            form,
            roles: Role::ALL.iter().copied().filter(|role| *role <= person.role).collect(),
            made: None,
            revoked: false,
            sees_all,
        })
    }

    pub fn section(&self) -> Section {
        Section::Settings
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::tokens::pages()
    }
}
