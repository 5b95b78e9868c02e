//! The settings page: when and how much a team sends. Admins change it with a plain form; a refused one comes back as it was
//! typed, with the field that is wrong.

use super::asked::see_other;
use super::frame::{Frame, Section};
use super::person::Person;
use super::samples;
use crate::accounts::team_settings::{self, Changes, SettingsError, TeamSettings, clock_text};
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{Admin, PageMember, Viewer};
use crate::http::csrf::CsrfForm;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

#[derive(Debug, Clone, Template)]
#[template(path = "settings.html")]
pub struct SettingsPage {
    pub frame: Frame,
    pub form: SettingsForm,
    pub timezones: Vec<String>,
    /// What an empty field means here: "no limit", "30 s".
    pub server_cap: String,
    pub server_gap: String,
    /// The words of the server, which hold for every team.
    pub server_words: String,
    /// The change that led here was taken.
    pub saved: bool,
    pub may_change: bool,
}

/// The fields as they stand in the form.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SettingsForm {
    pub timezone: String,
    pub daily_cap: String,
    pub gap_secs: String,
    pub quiet_from: String,
    pub quiet_to: String,
    /// One host a line.
    pub link_domains: String,
    /// One phrase a line.
    #[serde(default)]
    pub opt_out_words: String,
    /// Dollars a month; a form without it leaves it as it is.
    pub platform_budget: Option<String>,
    /// The field that was refused and why.
    #[serde(skip)]
    pub error: Option<(String, String)>,
}

#[derive(Debug, Deserialize)]
pub struct SettingsQuery {
    saved: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<SettingsQuery>,
) -> Result<Response, Problem> {
    let team_id = member.team_id;
    let settings = team_settings::load(&mut *app.db.acquire().await?, team_id).await?;
    let page = SettingsPage::load(&app, Person::of(&app, member), settings.into()).await?;
    Ok(super::page(StatusCode::OK, &SettingsPage { saved: query.saved.is_some(), ..page }))
}

pub async fn change(
    State(app): State<App>,
    member: PageMember<Admin>,
    CsrfForm(sent): CsrfForm<SettingsForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let changed = match sent.changes() {
        Ok(changes) => {
            team_settings::change(&mut tx, &app.moment(), member.team_id, member.caller.user_id, changes).await
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => {
            tx.commit().await?;
            Ok(see_other("/dashboard/settings?saved=1"))
        }
        Err(SettingsError::Field { field, message }) => {
            drop(tx);
            let form = SettingsForm { error: Some((field.to_owned(), message)), ..sent };
            let page = SettingsPage::load(&app, Person::of(&app, member), form).await?;
            Ok(super::page(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
        Err(SettingsError::Database(error)) => Err(error.into()),
    }
}

impl From<TeamSettings> for SettingsForm {
    fn from(settings: TeamSettings) -> Self {
        let number = |value: Option<i32>| value.map(|value| value.to_string()).unwrap_or_default();
        Self {
            timezone: settings.timezone,
            daily_cap: number(settings.daily_cap),
            gap_secs: number(settings.gap_secs),
            quiet_from: settings.quiet_from.map(clock_text).unwrap_or_default(),
            quiet_to: settings.quiet_to.map(clock_text).unwrap_or_default(),
            link_domains: settings.link_domains.join("\n"),
            opt_out_words: settings.opt_out_words.join("\n"),
            platform_budget: Some(settings.platform_budget_cents.map(dollars).unwrap_or_default()),
            error: None,
        }
    }
}

impl SettingsForm {
    /// Every field counts: an empty one gives it back to the server.
    fn changes(&self) -> Result<Changes, SettingsError> {
        let text = |value: &str| Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        let hosts = self.link_domains.split([',', ' ', '\n', '\r', '\t']).filter(|host| !host.is_empty());
        Ok(Changes {
            timezone: Some(text(&self.timezone).unwrap_or_else(|| "UTC".to_owned())),
            daily_cap: Some(whole("daily_cap", &self.daily_cap)?),
            gap_secs: Some(whole("gap_secs", &self.gap_secs)?),
            quiet_from: Some(text(&self.quiet_from)),
            quiet_to: Some(text(&self.quiet_to)),
            link_domains: Some(hosts.map(str::to_owned).collect()),
            opt_out_words: Some(self.opt_out_words.lines().map(str::to_owned).collect()),
            platform_budget_cents: self.platform_budget.as_deref().map(cents).transpose()?,
        })
    }

    /// Why the field was refused; None for the others.
    pub fn wrong(&self, field: &str) -> Option<&str> {
        self.error.as_ref().filter(|(named, _)| named == field).map(|(_, message)| message.as_str())
    }
}

/// "20.00"
fn dollars(cents: i32) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Cents of "20" or "20.50".
fn cents(text: &str) -> Result<Option<i64>, SettingsError> {
    let text = text.trim().trim_start_matches('$').trim_start();
    if text.is_empty() {
        return Ok(None);
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    let read = if digits(whole) && (part.is_empty() || (digits(part) && part.len() <= 2)) {
        format!("{whole}{part:0<2}").parse().ok()
    } else {
        None
    };
    read.map(Some).ok_or_else(|| SettingsError::Field {
        field: "platform_budget_cents",
        message: format!("`{text}` is no amount; write dollars like `20` or `20.50`, or leave it empty for no limit"),
    })
}

fn whole(field: &'static str, text: &str) -> Result<Option<i64>, SettingsError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| SettingsError::Field {
        field,
        message: format!("`{text}` is no whole number; write one like `30`, or leave it empty"),
    })
}

impl SettingsPage {
    async fn load(app: &App, person: Person, form: SettingsForm) -> Result<Self, sqlx::Error> {
        let mut conn = app.db.acquire().await?;
        let config = &app.config;
        Ok(Self {
            frame: person.frame(&mut conn).await?,
            timezones: if person.may_connect() { team_settings::timezones(&mut conn).await? } else { Vec::new() },
            form,
            server_cap: config.team_cap.map_or_else(|| "no limit".to_owned(), |cap| cap.to_string()),
            server_words: config.opt_out_words.join(", "),
            server_gap: format!("{} s", config.send_gap.whole_seconds()),
            saved: false,
            may_change: person.may_connect(),
        })
    }

    pub fn section(&self) -> Section {
        Section::Settings
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::settings::pages()
    }
}
