//! Signing up, where the operator lets strangers in (`SIGNUP=open`): an account and a first team. Elsewhere the page says whom
//! to ask.

use super::asked::see_other;
use super::samples;
use super::signin::signed_in;
use crate::accounts::passwords::MIN_CHARS;
use crate::accounts::signup::{self, SignUpError};
use crate::app::App;
use crate::config::SignUp;
use crate::error::Problem;
use crate::http::auth::{PageCaller, SignInFirst};
use crate::http::csrf::{PreSession, PreSessionForm};
use crate::http::limits::{self, ClientAddress};
use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use secrecy::SecretString;
use serde::Deserialize;

#[derive(Debug, Clone, Default, Template)]
#[template(path = "signup.html")]
pub struct SignUpPage {
    pub csrf: String,
    /// False where people come by invitation.
    pub open: bool,
    /// Accounts come from Clerk; none with a password is made here.
    pub through_clerk: bool,
    pub name: String,
    pub email: String,
    pub team_name: String,
    pub errors: SignUpErrors,
    pub error: Option<String>,
}

/// What is wrong with each field, as a sentence.
#[derive(Debug, Clone, Default)]
pub struct SignUpErrors {
    pub name: Option<String>,
    pub email: Option<String>,
    pub password: Option<String>,
    pub team_name: Option<String>,
}

#[derive(Deserialize)]
pub struct SentSignUp {
    name: String,
    email: String,
    password: SecretString,
    team_name: String,
}

pub async fn show(State(app): State<App>, session: PreSession, caller: Result<PageCaller, SignInFirst>) -> Response {
    if caller.is_ok() {
        return see_other("/dashboard");
    }
    let page = SignUpPage::of(&app, session.csrf);
    let status = if page.open { StatusCode::OK } else { StatusCode::FORBIDDEN };
    let mut answer = super::page(status, &page);
    if let Some(cookie) = session.set_cookie {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

pub async fn submit(
    State(app): State<App>,
    address: ClientAddress,
    session: PreSession,
    PreSessionForm(sent): PreSessionForm<SentSignUp>,
) -> Result<Response, Problem> {
    let mut page = SignUpPage::of(&app, session.csrf);
    if !page.open {
        return Ok(super::page(StatusCode::FORBIDDEN, &page));
    }
    page.name.clone_from(&sent.name);
    page.email.clone_from(&sent.email);
    page.team_name.clone_from(&sent.team_name);
    let moment = app.moment();
    match limits::count_sign_up(&mut *app.db.acquire().await?, address, moment.now).await {
        Ok(()) => {}
        Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => {
            page.error = Some(problem.detail);
            return Ok(super::page(StatusCode::TOO_MANY_REQUESTS, &page));
        }
        Err(problem) => return Err(problem),
    }
    let SentSignUp { name, email, password, team_name } = sent;
    let form = signup::SignUp { name, email, password, team_name };
    match signup::sign_up(&app.db, &app.passwords, &moment, form).await {
        Ok(session) => Ok(signed_in(&app, &session, "/dashboard")),
        Err(error) => {
            let status = page.tell(error)?;
            Ok(super::page(status, &page))
        }
    }
}

impl SignUpPage {
    fn of(app: &App, csrf: String) -> Self {
        let through_clerk = !app.takes_passwords();
        let open = app.config.signup == SignUp::Open && !through_clerk;
        Self { csrf, open, through_clerk, ..Self::default() }
    }

    /// Puts the reason where the person looks for it; what is no fault of theirs goes to the error page.
    fn tell(&mut self, error: SignUpError) -> Result<StatusCode, Problem> {
        match error {
            SignUpError::Name(reason) => self.errors.name = Some(reason.to_string()),
            SignUpError::TeamName(reason) => self.errors.team_name = Some(reason.to_string()),
            SignUpError::Email(reason) => self.errors.email = Some(reason.to_string()),
            SignUpError::Password(reason) => self.errors.password = Some(reason.to_string()),
            SignUpError::Taken => {
                self.errors.email = Some(error.to_string());
                return Ok(StatusCode::CONFLICT);
            }
            SignUpError::Busy => return Err(Problem::unavailable("Too many people sign in at once.")),
            SignUpError::Database(error) => return Err(error.into()),
        }
        Ok(StatusCode::UNPROCESSABLE_ENTITY)
    }

    pub fn min_password_chars(&self) -> usize {
        MIN_CHARS
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        let empty = Self { csrf: "sample-token".to_owned(), open: true, ..Self::default() };
        let refused = Self {
            name: samples::HOSTILE.to_owned(),
            email: "ada@acme.example".to_owned(),
            team_name: "Acme Coffee".to_owned(),
            errors: SignUpErrors {
                email: Some(SignUpError::Taken.to_string()),
                password: Some("Use at least 10 characters.".to_owned()),
                ..SignUpErrors::default()
            },
            ..empty.clone()
        };
        let closed = Self { open: false, ..empty.clone() };
        let by_clerk = Self { through_clerk: true, ..closed.clone() };
        vec![("by-clerk", by_clerk), ("empty", empty), ("refused", refused), ("closed", closed)]
    }
}
