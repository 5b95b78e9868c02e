//! How a request for deletion stands, for whoever holds its code: the state and its times, nothing of whom it is about.

use crate::app::App;
use crate::error::Problem;
use crate::privacy;
use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use time::OffsetDateTime;

#[derive(Debug, Clone, Template)]
#[template(path = "deletion.html")]
pub struct DeletionPage {
    /// None: there is no such request.
    pub request: Option<Request>,
    pub now: OffsetDateTime,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub asked_at: OffsetDateTime,
    pub done_at: Option<OffsetDateTime>,
}

pub async fn show(State(app): State<App>, Path(code): Path<String>) -> Result<Response, Problem> {
    let looked = privacy::look(&mut *app.db.acquire().await?, &code).await?;
    let request = looked.map(|looked| Request { asked_at: looked.asked_at, done_at: looked.done_at });
    let status = if request.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok(super::page(status, &DeletionPage { request, now: app.clock.now() }))
}

impl DeletionPage {
    pub fn samples() -> Vec<(&'static str, Self)> {
        let at = |minutes| super::samples::ago(minutes);
        let page = |request| Self { request, now: super::samples::NOW };
        vec![
            ("under-way", page(Some(Request { asked_at: at(2), done_at: None }))),
            ("done", page(Some(Request { asked_at: at(2_000), done_at: Some(at(1_995)) }))),
            ("unknown", page(None)),
        ]
    }
}
