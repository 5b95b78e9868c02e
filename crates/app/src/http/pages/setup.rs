//! First set-up: the one-time link from the first start leads here and makes the first admin and the first team. Also the
//! door of the demo, whose one-time link signs in.
//!
//! What can go wrong: a link is used up, too old or unknown; then the page says how to get a new one. A wrong field comes
//! back with its reason and everything else as it was typed, but for the password.

use super::asked::see_other;
use super::signin::signed_in;
use crate::accounts::passwords::MIN_CHARS;
use crate::accounts::sessions;
use crate::accounts::setup::{self, FirstAdmin, LinkFault, RedeemError};
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{PageCaller, SignInFirst};
use crate::http::csrf::{PreSession, PreSessionForm};
use crate::http::device::Device;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

#[derive(Debug, Clone, Template)]
#[template(path = "setup.html")]
pub struct SetupPage {
    pub csrf: String,
    /// From the one-time link; goes back with the form.
    pub token: String,
    pub name: String,
    pub email: String,
    pub team_name: String,
    pub errors: SetupErrors,
    /// False when the link was used or is too old: then the page says how to get a new one.
    pub link_valid: bool,
    /// Why the link does not work.
    pub fault: String,
    /// False for the door of the demo, where there is no account to make.
    pub makes_account: bool,
}

/// What is wrong with each field, as a sentence.
#[derive(Debug, Clone, Default)]
pub struct SetupErrors {
    pub name: Option<String>,
    pub email: Option<String>,
    pub password: Option<String>,
    pub team_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct LinkQuery {
    token: Option<SecretString>,
}

impl LinkQuery {
    fn token(self) -> SecretString {
        self.token.unwrap_or_else(|| SecretString::from(""))
    }
}

#[derive(Deserialize)]
pub struct SetupForm {
    token: SecretString,
    name: String,
    email: String,
    password: SecretString,
    team_name: String,
}

pub async fn show(
    State(app): State<App>,
    session: PreSession,
    Query(link): Query<LinkQuery>,
) -> Result<Response, Problem> {
    let token = link.token();
    let checked = setup::check_first_admin(&mut *app.db.acquire().await?, token.expose_secret(), app.clock.now()).await;
    let mut page = SetupPage::empty(session.csrf, &token);
    let status = match checked {
        Ok(()) => StatusCode::OK,
        Err(error) => page.tell(error)?,
    };
    let mut answer = super::page(status, &page);
    if let Some(cookie) = session.set_cookie {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

pub async fn submit(
    State(app): State<App>,
    device: Device,
    session: PreSession,
    PreSessionForm(form): PreSessionForm<SetupForm>,
) -> Result<Response, Problem> {
    let mut page = SetupPage {
        name: form.name.clone(),
        email: form.email.clone(),
        team_name: form.team_name.clone(),
        ..SetupPage::empty(session.csrf, &form.token)
    };
    let admin = FirstAdmin { name: form.name, email: form.email, password: form.password, team_name: form.team_name };
    let now = app.clock.now();
    let token = form.token.expose_secret();
    match setup::redeem_first_admin(&app.db, &app.passwords, token, admin, now, &app.entropy).await {
        Ok(redeemed) => {
            sessions::remember_device(&mut *app.db.acquire().await?, redeemed.session.id, &device.0).await?;
            Ok(signed_in(&app, &redeemed.session, "/dashboard"))
        }
        Err(error) => {
            let status = page.tell(error)?;
            Ok(super::page(status, &page))
        }
    }
}

/// The demo's link. Opened a second time in the same browser it leads where the first one led.
pub async fn enter(
    State(app): State<App>,
    device: Device,
    caller: Result<PageCaller, SignInFirst>,
    Query(link): Query<LinkQuery>,
) -> Result<Response, Problem> {
    let token = link.token();
    match setup::redeem_sign_in(&app.db, token.expose_secret(), app.clock.now(), &app.entropy).await {
        Ok(session) => {
            sessions::remember_device(&mut *app.db.acquire().await?, session.id, &device.0).await?;
            Ok(signed_in(&app, &session, "/dashboard"))
        }
        Err(RedeemError::Link(_)) if caller.is_ok() => Ok(see_other("/dashboard")),
        Err(error) => {
            let mut page = SetupPage { makes_account: false, ..SetupPage::empty(String::new(), &token) };
            let status = page.tell(error)?;
            Ok(super::page(status, &page))
        }
    }
}

impl SetupPage {
    fn empty(csrf: String, token: &SecretString) -> Self {
        Self {
            csrf,
            token: token.expose_secret().to_owned(),
            name: String::new(),
            email: String::new(),
            team_name: String::new(),
            errors: SetupErrors::default(),
            link_valid: true,
            fault: String::new(),
            makes_account: true,
        }
    }

    /// Puts the reason where the person looks for it; what is no fault of theirs goes to the error page.
    fn tell(&mut self, error: RedeemError) -> Result<StatusCode, Problem> {
        match error {
            RedeemError::Link(fault) => {
                self.link_valid = false;
                self.fault = fault.to_string();
                return Ok(StatusCode::GONE);
            }
            RedeemError::Name(reason) => self.errors.name = Some(reason.to_string()),
            RedeemError::TeamName(reason) => self.errors.team_name = Some(reason.to_string()),
            RedeemError::Email(reason) => self.errors.email = Some(reason.to_string()),
            RedeemError::Password(reason) => self.errors.password = Some(reason.to_string()),
            RedeemError::Busy => return Err(Problem::unavailable("Too many people sign in at once.")),
            RedeemError::Database(error) => return Err(error.into()),
        }
        Ok(StatusCode::UNPROCESSABLE_ENTITY)
    }

    pub fn min_password_chars(&self) -> usize {
        MIN_CHARS
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        let empty = Self {
            csrf: "sample-token".to_owned(),
            token: "sample-link-token".to_owned(),
            name: String::new(),
            email: String::new(),
            team_name: String::new(),
            errors: SetupErrors::default(),
            link_valid: true,
            fault: String::new(),
            makes_account: true,
        };
        let refused = Self {
            name: "Ada \"<b>\" Lovelace".to_owned(),
            email: "ada@acme".to_owned(),
            team_name: "Acme Coffee".to_owned(),
            errors: SetupErrors {
                email: Some("This is no complete e-mail address: the part after the @ has no dot.".to_owned()),
                password: Some("Use at least 10 characters.".to_owned()),
                ..SetupErrors::default()
            },
            ..empty.clone()
        };
        let used = Self { link_valid: false, fault: LinkFault::Used.to_string(), ..empty.clone() };
        let late = Self { fault: LinkFault::Late.to_string(), makes_account: false, ..used.clone() };
        vec![("empty", empty), ("refused", refused), ("used-link", used), ("demo-link", late)]
    }
}
