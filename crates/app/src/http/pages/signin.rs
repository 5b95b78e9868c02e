//! Sign-in with e-mail and password, for instances with built-in accounts, and the way out.
//!
//! What always holds: `next` leads to a path of this server only; a wrong address and a wrong password read alike; whoever has a
//! second factor gets no session before its code.

use super::asked::see_other;
use crate::accounts::sessions::{self, NewSession};
use crate::accounts::{self, LetIn, SignInError, check_password};
use crate::app::App;
use crate::config::SignUp;
use crate::error::Problem;
use crate::http::auth::{Auth, PageCaller, SignInFirst, local_path};
use crate::http::cookies;
use crate::http::csrf::{CsrfForm, PreSession, PreSessionForm};
use crate::http::device::Device;
use crate::http::limits::{self, ClientAddress};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use secrecy::SecretString;
use serde::Deserialize;
use url::form_urlencoded;

const WRONG: &str = "E-mail address or password is wrong.";

#[derive(Debug, Clone, Template)]
#[template(path = "signin.html")]
pub struct SignInPage {
    pub csrf: String,
    /// What the person typed before; an error never empties it.
    pub email: String,
    /// Path inside the dashboard to go to afterwards.
    pub next: Option<String>,
    pub error: Option<String>,
    /// "You signed out." and the like.
    pub message: Option<String>,
    /// Whether strangers may make an account (`SIGNUP`).
    pub signup_open: bool,
}

#[derive(Debug, Deserialize)]
pub struct SignInQuery {
    next: Option<String>,
    #[serde(default)]
    out: Option<String>,
    /// A new password was set.
    #[serde(default)]
    new: Option<String>,
    /// The second step took too long.
    #[serde(default)]
    late: Option<String>,
}

#[derive(Deserialize)]
pub struct SignInForm {
    email: String,
    password: SecretString,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct NoFields {}

pub async fn show(
    State(app): State<App>,
    session: PreSession,
    caller: Result<PageCaller, SignInFirst>,
    Query(query): Query<SignInQuery>,
) -> Response {
    if caller.is_ok() {
        return see_other(way_on(query.next.as_deref()));
    }
    let message = match (query.out, query.new, query.late) {
        (Some(_), _, _) => Some("You are signed out."),
        (_, Some(_), _) => Some("Your new password is set. Sign in with it."),
        (_, _, Some(_)) => Some("The second step was too late. Begin again."),
        _ => None,
    };
    let message = message.map(str::to_owned);
    let signup_open = app.config.signup == SignUp::Open;
    let page = SignInPage {
        csrf: session.csrf.clone(),
        email: String::new(),
        next: query.next,
        error: None,
        message,
        signup_open,
    };
    in_pre_session(session, super::page(StatusCode::OK, &page))
}

/// With the cookie that the form of the page needs.
pub fn in_pre_session(session: PreSession, mut answer: Response) -> Response {
    if let Some(cookie) = session.set_cookie {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

/// With the time at which to try again.
pub fn with_wait(mut answer: Response, problem: &Problem) -> Response {
    if let Some(secs) = problem.retry_after_secs {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    answer
}

pub async fn submit(
    State(app): State<App>,
    address: ClientAddress,
    device: Device,
    session: PreSession,
    PreSessionForm(form): PreSessionForm<SignInForm>,
) -> Result<Response, Problem> {
    require_passwords(&app)?;
    let now = app.clock.now();
    let signup_open = app.config.signup == SignUp::Open;
    let refused = |status: StatusCode, error: String| {
        let (csrf, email, next) = (session.csrf.clone(), form.email.clone(), form.next.clone());
        Ok(super::page(status, &SignInPage { csrf, email, next, error: Some(error), message: None, signup_open }))
    };
    let counted = limits::count_sign_in(&mut *app.db.acquire().await?, address, &form.email, now).await;
    match counted {
        Ok(()) => {}
        Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => {
            let answer = refused(StatusCode::TOO_MANY_REQUESTS, problem.detail.clone());
            return answer.map(|answer| with_wait(answer, &problem));
        }
        Err(problem) => return Err(problem),
    }
    let checked = match check_password(&app.db, &app.passwords, &form.email, form.password.clone()).await {
        Ok(checked) => checked,
        Err(SignInError::Wrong) => {
            return refused(StatusCode::UNAUTHORIZED, WRONG.to_owned());
        }
        Err(SignInError::Busy) => {
            return refused(StatusCode::SERVICE_UNAVAILABLE, "Too many people sign in at once. Try again.".to_owned());
        }
        Err(SignInError::Database(error)) => return Err(error.into()),
    };
    limits::sign_in_succeeded(&mut *app.db.acquire().await?, address, &form.email).await?;
    match accounts::let_in(&app.db, &app.moment(), &checked, &device.0).await? {
        Some(let_in) => Ok(welcome(&app, &let_in, form.next.as_deref())),
        None => refused(StatusCode::UNAUTHORIZED, WRONG.to_owned()),
    }
}

/// The password was right: on to the dashboard, or to the second step.
fn welcome(app: &App, let_in: &LetIn, next: Option<&str>) -> Response {
    let token = match let_in {
        LetIn::Session(new) => return signed_in(app, new, way_on(next)),
        LetIn::SecondStep(token) => token,
    };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", way_on(next)).finish();
    let mut answer = see_other(&format!("/signin/code?{query}"));
    let cookie = cookies::set_second_step(token, &app.config.public_url);
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    answer
}

/// Where people sign in through Clerk, a form of ours opens nothing.
fn require_passwords(app: &App) -> Result<(), Problem> {
    if app.takes_passwords() {
        return Ok(());
    }
    Err(Problem::forbidden("People sign in to this server through Clerk. Load the page to sign in again."))
}

pub async fn sign_out(
    State(app): State<App>,
    PageCaller(caller): PageCaller,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    if let Auth::Session(session_id) = caller.auth {
        sessions::delete(&mut *app.db.acquire().await?, session_id).await?;
    }
    let mut answer = see_other("/signin?out=1");
    answer.headers_mut().append(header::SET_COOKIE, cookies::clear_session(&app.config.public_url));
    Ok(answer)
}

/// On to a page of ours with the cookie of a new session.
pub fn signed_in(app: &App, session: &NewSession, to: &str) -> Response {
    let mut answer = see_other(to);
    let cookie = cookies::set_session(&session.token, &app.config.public_url);
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    answer
}

pub fn way_on(next: Option<&str>) -> &str {
    next.and_then(local_path).unwrap_or("/dashboard")
}

impl SignInPage {
    pub fn samples() -> Vec<(&'static str, Self)> {
        let empty = Self {
            csrf: "sample-token".to_owned(),
            email: String::new(),
            next: None,
            error: None,
            message: None,
            signup_open: false,
        };
        let refused = Self {
            email: "ada@acme.example".to_owned(),
            next: Some("/dashboard/inbox?item=0190\"><script>alert(1)</script>".to_owned()),
            error: Some("E-mail address or password is wrong.".to_owned()),
            ..empty.clone()
        };
        let signed_out = Self { message: Some("You are signed out.".to_owned()), ..empty.clone() };
        let open = Self { signup_open: true, ..empty.clone() };
        vec![("open", open), ("empty", empty), ("refused", refused), ("signed-out", signed_out)]
    }
}
