//! A new password for somebody who cannot sign in: the page that asks for the link, and the page behind the link.
//!
//! What always holds: the answer to an address is the same whether it has an account or not. Without mail the page says whom to ask.

use super::asked::see_other;
use super::signin::{in_pre_session, with_wait};
use crate::accounts::password_resets::{self, RedeemError};
use crate::accounts::passwords::MIN_CHARS;
use crate::app::App;
use crate::error::Problem;
use crate::http::csrf::{PreSession, PreSessionForm};
use crate::http::limits::{self, ClientAddress};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

#[derive(Debug, Clone, Template)]
#[template(path = "forgot.html")]
pub struct ForgotPage {
    pub csrf: String,
    pub email: String,
    /// False: this server sends no mail.
    pub by_mail: bool,
    /// The address was taken, whatever it is.
    pub asked: bool,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Template)]
#[template(path = "reset.html")]
pub struct ResetPage {
    pub csrf: String,
    /// From the link; goes back with the form.
    pub token: String,
    pub error: Option<String>,
    /// Why the link does not work; None: it does.
    pub fault: Option<String>,
    pub by_mail: bool,
}

#[derive(Deserialize)]
pub struct ForgotForm {
    email: String,
}

#[derive(Debug, Deserialize)]
pub struct LinkQuery {
    #[serde(default)]
    token: SecretString,
}

#[derive(Deserialize)]
pub struct ResetForm {
    token: SecretString,
    password: SecretString,
}

pub async fn show(State(app): State<App>, session: PreSession) -> Response {
    let page = ForgotPage { csrf: session.csrf.clone(), ..ForgotPage::empty(&app) };
    in_pre_session(session, super::page(StatusCode::OK, &page))
}

pub async fn submit(
    State(app): State<App>,
    address: ClientAddress,
    session: PreSession,
    PreSessionForm(form): PreSessionForm<ForgotForm>,
) -> Result<Response, Problem> {
    let page = ForgotPage { csrf: session.csrf, email: form.email.clone(), ..ForgotPage::empty(&app) };
    if !page.by_mail {
        return Ok(super::page(StatusCode::OK, &page));
    }
    let moment = app.moment();
    let mut tx = app.db.begin().await?;
    match limits::count_forgot(&mut tx, address, &form.email, moment.now).await {
        Ok(true) => password_resets::forgot(&mut tx, &moment, &form.email).await?,
        // Mails enough went to that address; whoever asks is told the same.
        Ok(false) => {}
        Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => {
            let page = ForgotPage { error: Some(problem.detail.clone()), ..page };
            return Ok(with_wait(super::page(StatusCode::TOO_MANY_REQUESTS, &page), &problem));
        }
        Err(problem) => return Err(problem),
    }
    tx.commit().await?;
    Ok(super::page(StatusCode::OK, &ForgotPage { asked: true, ..page }))
}

pub async fn show_reset(
    State(app): State<App>,
    session: PreSession,
    Query(link): Query<LinkQuery>,
) -> Result<Response, Problem> {
    let mut page = ResetPage::of(&app, session.csrf.clone(), &link.token);
    let token = link.token.expose_secret();
    let checked = password_resets::check(&mut *app.db.acquire().await?, token, app.clock.now()).await;
    let status = match checked {
        Ok(_) => StatusCode::OK,
        Err(error) => page.tell(error)?,
    };
    Ok(in_pre_session(session, super::page(status, &page)))
}

pub async fn submit_reset(
    State(app): State<App>,
    address: ClientAddress,
    session: PreSession,
    PreSessionForm(form): PreSessionForm<ResetForm>,
) -> Result<Response, Problem> {
    let mut page = ResetPage::of(&app, session.csrf, &form.token);
    match password_resets::redeem(&app, &app.moment(), form.token.expose_secret(), form.password).await {
        Ok(user) => {
            if let Some(email) = user.email {
                limits::sign_in_succeeded(&mut *app.db.acquire().await?, address, &email).await?;
            }
            Ok(see_other("/signin?new=1"))
        }
        Err(error) => {
            let status = page.tell(error)?;
            Ok(super::page(status, &page))
        }
    }
}

impl ForgotPage {
    fn empty(app: &App) -> Self {
        let by_mail = app.mail.is_some();
        Self { csrf: String::new(), email: String::new(), by_mail, asked: false, error: None }
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        let empty =
            Self { csrf: "sample-token".to_owned(), email: String::new(), by_mail: true, asked: false, error: None };
        let asked = Self { asked: true, email: "ada\"><b>@acme.example".to_owned(), ..empty.clone() };
        let limited = Self {
            error: Some("Too many attempts to sign in. Try again in 42 s.".to_owned()),
            email: "ada@acme.example".to_owned(),
            ..empty.clone()
        };
        let no_mail = Self { by_mail: false, ..empty.clone() };
        vec![("empty", empty), ("asked", asked), ("limited", limited), ("no-mail", no_mail)]
    }
}

impl ResetPage {
    fn of(app: &App, csrf: String, token: &SecretString) -> Self {
        let token = token.expose_secret().to_owned();
        Self { csrf, token, error: None, fault: None, by_mail: app.mail.is_some() }
    }

    /// Puts the reason where the person looks for it; what is no fault of theirs goes to the error page.
    fn tell(&mut self, error: RedeemError) -> Result<StatusCode, Problem> {
        match error {
            RedeemError::Link(fault) => {
                self.fault = Some(fault.to_string());
                Ok(StatusCode::GONE)
            }
            RedeemError::Password(reason) => {
                self.error = Some(reason.to_string());
                Ok(StatusCode::UNPROCESSABLE_ENTITY)
            }
            RedeemError::Busy => Err(Problem::unavailable("Too many passwords are being set at once.")),
            RedeemError::Database(error) => Err(error.into()),
        }
    }

    pub fn min_password_chars(&self) -> usize {
        MIN_CHARS
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        let empty = Self {
            csrf: "sample-token".to_owned(),
            token: "sample-link-token".to_owned(),
            error: None,
            fault: None,
            by_mail: true,
        };
        let refused = Self { error: Some("Use at least 10 characters.".to_owned()), ..empty.clone() };
        let used = Self { fault: Some("This link was used already.".to_owned()), ..empty.clone() };
        let late =
            Self { fault: Some("This link is older than one hour.".to_owned()), by_mail: false, ..empty.clone() };
        vec![("empty", empty), ("refused", refused), ("used-link", used), ("late-without-mail", late)]
    }
}
