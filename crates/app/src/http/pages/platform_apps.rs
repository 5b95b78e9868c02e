//! The page of a team's own apps, below the settings: one form per platform. Admins only; a secret goes in and is never shown.

use super::asked::see_other;
use super::frame::{Frame, Section};
use super::marks::Mark;
use super::person::Person;
use super::samples;
use super::signin::NoFields;
use crate::accounts::connect;
use crate::accounts::platform_apps::{self, AppError};
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{Admin, PageMember};
use crate::http::csrf::CsrfForm;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::SecretString;
use serde::Deserialize;
use time::OffsetDateTime;

#[derive(Debug, Clone, Template)]
#[template(path = "platform_apps.html")]
pub struct PlatformAppsPage {
    pub frame: Frame,
    pub apps: Vec<AppCard>,
    pub saved: bool,
}

/// One platform.
#[derive(Debug, Clone)]
pub struct AppCard {
    pub mark: Mark,
    pub redirect_uri: String,
    /// What stands; None: accounts go through the app of the server, where it has one.
    pub current: Option<CurrentApp>,
    pub server_has_one: bool,
    /// As it was typed.
    pub client_id: String,
    /// The field that was refused and why.
    pub error: Option<(String, String)>,
}

#[derive(Debug, Clone)]
pub struct CurrentApp {
    pub client_id: String,
    pub accounts: i64,
    pub updated_at: OffsetDateTime,
}

#[derive(Debug, Deserialize)]
pub struct AppForm {
    client_id: String,
    client_secret: SecretString,
}

#[derive(Debug, Deserialize)]
pub struct AppsQuery {
    saved: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Admin>,
    Query(query): Query<AppsQuery>,
) -> Result<Response, Problem> {
    let page = PlatformAppsPage::load(&app, Person::of(&app, member)).await?;
    Ok(super::page(StatusCode::OK, &PlatformAppsPage { saved: query.saved.is_some(), ..page }))
}

pub async fn set(
    State(app): State<App>,
    member: PageMember<Admin>,
    Path(platform): Path<String>,
    CsrfForm(sent): CsrfForm<AppForm>,
) -> Result<Response, Problem> {
    known(&platform)?;
    let by = (member.team_id, member.caller.user_id);
    let client_id = sent.client_id.trim();
    let mut tx = app.db.begin().await?;
    let set = platform_apps::set(&app, &mut tx, &app.moment(), by, &platform, (client_id, &sent.client_secret)).await;
    match set {
        Ok(()) => {
            tx.commit().await?;
            Ok(see_other("/dashboard/platform-apps?saved=1"))
        }
        Err(AppError::Field { field, message }) => {
            drop(tx);
            let mut page = PlatformAppsPage::load(&app, Person::of(&app, member)).await?;
            if let Some(card) = page.apps.iter_mut().find(|card| card.mark.slug == platform) {
                client_id.clone_into(&mut card.client_id);
                card.error = Some((field.to_owned(), message));
            }
            Ok(super::page(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
        Err(error) => Err(error.into()),
    }
}

pub async fn remove(
    State(app): State<App>,
    member: PageMember<Admin>,
    Path(platform): Path<String>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    known(&platform)?;
    let mut tx = app.db.begin().await?;
    platform_apps::remove(&mut tx, &app.moment(), (member.team_id, member.caller.user_id), &platform).await?;
    tx.commit().await?;
    Ok(see_other("/dashboard/platform-apps?saved=1"))
}

fn known(platform: &str) -> Result<(), Problem> {
    let known = rejoinder_platforms::PLATFORMS.iter().any(|(slug, _)| *slug == platform);
    if known { Ok(()) } else { Err(Problem::not_found("platform")) }
}

impl AppCard {
    pub fn wrong(&self, field: &str) -> Option<&str> {
        self.error.as_ref().filter(|(named, _)| named == field).map(|(_, message)| message.as_str())
    }
}

impl CurrentApp {
    pub fn used_by(&self) -> String {
        match self.accounts {
            0 => "no account yet".to_owned(),
            1 => "1 account".to_owned(),
            many => format!("{many} accounts"),
        }
    }
}

impl PlatformAppsPage {
    async fn load(app: &App, person: Person) -> Result<Self, sqlx::Error> {
        let mut conn = app.db.acquire().await?;
        let rows = platform_apps::list(&mut conn, person.team_id).await?;
        let card = |(slug, name): &(&str, &str)| {
            let row = rows.iter().find(|row| row.platform == *slug);
            AppCard {
                mark: Mark::new(slug, name),
                redirect_uri: connect::callback_url(app, slug).to_string(),
                current: row.map(|row| CurrentApp {
                    client_id: row.client_id.clone(),
                    accounts: row.accounts,
                    updated_at: row.updated_at,
                }),
                server_has_one: app.readers.get(slug).is_ok_and(|reader| reader.own_client().is_some()),
                client_id: row.map(|row| row.client_id.clone()).unwrap_or_default(),
                error: None,
            }
        };
        let apps = rejoinder_platforms::PLATFORMS.iter().map(card).collect();
        Ok(Self { frame: person.frame(&mut conn).await?, apps, saved: false })
    }

    pub fn section(&self) -> Section {
        Section::Settings
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::platform_apps::pages()
    }
}
