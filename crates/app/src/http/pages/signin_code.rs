//! The second step of signing in: a code of the authenticator app, or a recovery code.
//!
//! What always holds: the password was right within the last five minutes, in this browser; a wrong code counts against the account,
//! from wherever it comes; the step opens a session once.

use super::asked::see_other;
use super::signin::{in_pre_session, signed_in, way_on, with_wait};
use crate::accounts::second_factor::{self, FactorError};
use crate::accounts::second_steps::{self, SecondStep};
use crate::accounts::sessions;
use crate::accounts::users;
use crate::app::App;
use crate::error::Problem;
use crate::http::cookies;
use crate::http::csrf::{PreSession, PreSessionForm};
use crate::http::device::Device;
use crate::http::limits;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

/// Nobody has to know which of the reasons it was.
const BEGIN_AGAIN: &str = "/signin?late=1";

#[derive(Debug, Clone, Template)]
#[template(path = "signin_code.html")]
pub struct CodePage {
    pub csrf: String,
    pub next: Option<String>,
    pub error: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct CodeQuery {
    next: Option<String>,
}

#[derive(Deserialize)]
pub struct CodeForm {
    code: String,
    next: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    session: PreSession,
    Query(query): Query<CodeQuery>,
) -> Result<Response, Problem> {
    if step(&app, &headers).await?.is_none() {
        return Ok(see_other(BEGIN_AGAIN));
    }
    let page = CodePage { csrf: session.csrf.clone(), next: query.next, error: None };
    Ok(in_pre_session(session, super::page(StatusCode::OK, &page)))
}

pub async fn submit(
    State(app): State<App>,
    headers: HeaderMap,
    device: Device,
    session: PreSession,
    PreSessionForm(form): PreSessionForm<CodeForm>,
) -> Result<Response, Problem> {
    let Some(step) = step(&app, &headers).await? else { return Ok(see_other(BEGIN_AGAIN)) };
    let (csrf, next) = (session.csrf, form.next.clone());
    let refused = |error: String| CodePage { csrf, next, error: Some(error) };
    let counted = limits::count_code(&mut *app.db.acquire().await?, step.user_id, app.clock.now()).await;
    match counted {
        Ok(()) => {}
        Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => {
            let page = refused(problem.detail.clone());
            return Ok(with_wait(super::page(StatusCode::TOO_MANY_REQUESTS, &page), &problem));
        }
        Err(problem) => return Err(problem),
    }
    match enter(&app, step, &form.code, &device).await {
        Ok(Some(new)) => {
            let mut answer = signed_in(&app, &new, way_on(form.next.as_deref()));
            let clear = cookies::clear_second_step(&app.config.public_url);
            answer.headers_mut().append(header::SET_COOKIE, clear);
            Ok(answer)
        }
        Ok(None) => Ok(see_other(BEGIN_AGAIN)),
        Err(FactorError::Wrong) => {
            let why = "This code is wrong, too old or was used already. Wait for the next one.".to_owned();
            Ok(super::page(StatusCode::UNAUTHORIZED, &refused(why)))
        }
        // Turned off meanwhile: the password alone opens the door now, asked for anew.
        Err(FactorError::NotThere | FactorError::AlreadyOn) => Ok(see_other(BEGIN_AGAIN)),
        Err(FactorError::Seal(error)) => Err(Problem::internal(&error)),
        Err(FactorError::Database(error)) => Err(error.into()),
    }
}

/// Code, step and session in one transaction. None: the step was used from elsewhere meanwhile.
async fn enter(
    app: &App,
    step: SecondStep,
    code: &str,
    device: &Device,
) -> Result<Option<sessions::NewSession>, FactorError> {
    let moment = app.moment();
    let mut tx = app.db.begin().await?;
    users::hold_ways_in(&mut tx, step.user_id).await?;
    if !second_steps::close(&mut tx, step.id).await? {
        return Ok(None);
    }
    second_factor::take(&mut tx, app, &moment, step.user_id, code).await?;
    let new = sessions::create(&mut tx, step.user_id, moment.now, &app.entropy).await?;
    sessions::remember_device(&mut tx, new.id, &device.0).await?;
    limits::code_was_right(&mut tx, step.user_id).await?;
    tx.commit().await?;
    Ok(Some(new))
}

async fn step(app: &App, headers: &HeaderMap) -> Result<Option<SecondStep>, sqlx::Error> {
    match cookies::second_step_hash(headers, &app.config.public_url) {
        Some(hash) => second_steps::lookup(&mut *app.db.acquire().await?, &hash, app.clock.now()).await,
        None => Ok(None),
    }
}

impl CodePage {
    pub fn samples() -> Vec<(&'static str, Self)> {
        let empty = Self { csrf: "sample-token".to_owned(), next: None, error: None };
        let refused = Self {
            next: Some("/dashboard/inbox?item=0190\"><script>alert(1)</script>".to_owned()),
            error: Some("This code is wrong, too old or was used already. Wait for the next one.".to_owned()),
            ..empty.clone()
        };
        vec![("empty", empty), ("refused", refused)]
    }
}
