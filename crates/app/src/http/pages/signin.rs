//! Sign-in with e-mail and password, for instances with built-in accounts, and the way out.
//!
//! What always holds: `next` leads to a path of this server only; a wrong address and a wrong password read alike.

use super::asked::see_other;
use crate::accounts::sessions::{self, NewSession};
use crate::accounts::{SignInError, check_password};
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{Auth, PageCaller, SignInFirst, local_path};
use crate::http::cookies;
use crate::http::csrf::{CsrfForm, PreSession, PreSessionForm};
use crate::http::limits::{self, ClientAddress};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use secrecy::SecretString;
use serde::Deserialize;

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
}

#[derive(Debug, Deserialize)]
pub struct SignInQuery {
    next: Option<String>,
    #[serde(default)]
    out: Option<String>,
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
    session: PreSession,
    caller: Result<PageCaller, SignInFirst>,
    Query(query): Query<SignInQuery>,
) -> Response {
    if caller.is_ok() {
        return see_other(way_on(query.next.as_deref()));
    }
    let message = query.out.map(|_| "You are signed out.".to_owned());
    let page = SignInPage { csrf: session.csrf, email: String::new(), next: query.next, error: None, message };
    let mut answer = super::page(StatusCode::OK, &page);
    if let Some(cookie) = session.set_cookie {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

pub async fn submit(
    State(app): State<App>,
    address: ClientAddress,
    session: PreSession,
    PreSessionForm(form): PreSessionForm<SignInForm>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let refused = |status: StatusCode, error: String| {
        let (csrf, email, next) = (session.csrf.clone(), form.email.clone(), form.next.clone());
        Ok(super::page(status, &SignInPage { csrf, email, next, error: Some(error), message: None }))
    };
    let counted = limits::count_sign_in(&mut *app.db.acquire().await?, address, &form.email, now).await;
    match counted {
        Ok(()) => {}
        Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => {
            return refused(StatusCode::TOO_MANY_REQUESTS, problem.detail);
        }
        Err(problem) => return Err(problem),
    }
    let user = match check_password(&app.db, &app.passwords, &form.email, form.password.clone()).await {
        Ok(user) => user,
        Err(SignInError::Wrong) => {
            return refused(StatusCode::UNAUTHORIZED, "E-mail address or password is wrong.".to_owned());
        }
        Err(SignInError::Busy) => {
            return refused(StatusCode::SERVICE_UNAVAILABLE, "Too many people sign in at once. Try again.".to_owned());
        }
        Err(SignInError::Database(error)) => return Err(error.into()),
    };
    let mut conn = app.db.acquire().await?;
    limits::sign_in_succeeded(&mut conn, address, &form.email).await?;
    let new = sessions::create(&mut conn, user.id, now, &app.entropy).await?;
    Ok(signed_in(&app, &new, way_on(form.next.as_deref())))
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

fn way_on(next: Option<&str>) -> &str {
    next.and_then(local_path).unwrap_or("/dashboard")
}

impl SignInPage {
    pub fn samples() -> Vec<(&'static str, Self)> {
        let empty =
            Self { csrf: "sample-token".to_owned(), email: String::new(), next: None, error: None, message: None };
        let refused = Self {
            email: "ada@acme.example".to_owned(),
            next: Some("/dashboard/inbox?item=0190\"><script>alert(1)</script>".to_owned()),
            error: Some("E-mail address or password is wrong.".to_owned()),
            ..empty.clone()
        };
        let signed_out = Self { message: Some("You are signed out.".to_owned()), ..empty.clone() };
        vec![("empty", empty), ("refused", refused), ("signed-out", signed_out)]
    }
}
