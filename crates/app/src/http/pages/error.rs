//! The page behind every failed request of the dashboard: what happened, what we keep, what to do.

use super::asked::is_part;
use crate::error::Problem;
use askama::Template;
use axum::extract::Request;
use axum::http::header::{ACCEPT, RETRY_AFTER};
use axum::middleware::Next;
use axum::response::Response;

#[derive(Debug, Clone, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub status: u16,
    /// "This page does not exist."
    pub title: String,
    pub what_happened: String,
    pub what_we_keep: String,
    pub what_to_do: String,
    pub request_id: String,
    /// Where the main link leads and what it says.
    pub way_on: (String, String),
}

/// Middleware: what a browser would get as problem+json is drawn as a page. Scripts and the API keep the JSON.
pub async fn as_page(request: Request, next: Next) -> Response {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let for_browser = is_part(request.headers()) || accepts.is_some_and(|accepts| accepts.contains("text/html"));
    let wanted = for_browser && !request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    if !wanted {
        return response;
    }
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => {
            let mut drawn = super::page(problem.status_code(), &ErrorPage::of(&problem));
            if let Some(after) = response.headers().get(RETRY_AFTER) {
                drawn.headers_mut().insert(RETRY_AFTER, after.clone());
            }
            drawn
        }
        None => response,
    }
}

impl ErrorPage {
    fn of(problem: &Problem) -> Self {
        let (title, to_do) = match problem.status {
            403 => ("You cannot do this", "Ask an admin of your team, or load the page again and repeat."),
            404 => ("There is nothing at this address", "Check the link, or find the item in the inbox."),
            409 => (problem.title, "Look at it again, then decide."),
            429 => (problem.title, "Wait that long, then repeat."),
            500.. => (
                problem.title,
                "Try again in a minute. If it stays like this, give the number below to whoever runs this server.",
            ),
            _ => (problem.title, "Go back, change what is named above and send it again."),
        };
        let kept = match problem.status {
            500.. => "Everything that was saved before.",
            _ => "Everything that was saved before. This request changed nothing.",
        };
        Self {
            status: problem.status,
            title: title.to_owned(),
            what_happened: problem.detail.clone(),
            what_we_keep: kept.to_owned(),
            what_to_do: to_do.to_owned(),
            request_id: problem
                .request_id
                .as_deref()
                .map(str::to_owned)
                .or_else(crate::request_id::current)
                .unwrap_or_default(),
            way_on: ("/dashboard/inbox".to_owned(), "Go to the inbox".to_owned()),
        }
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        let inbox = ("/dashboard/inbox".to_owned(), "Go to the inbox".to_owned());
        let missing = Self {
            status: 404,
            title: "There is nothing at this address".to_owned(),
            what_happened: "The item was removed, or it belongs to a team that you are not in.".to_owned(),
            what_we_keep: "Nothing was changed.".to_owned(),
            what_to_do: "Check the link, or find the item in the inbox.".to_owned(),
            request_id: "01938c2e-4b1f-7a90-8d3e-5f6a7b8c9d0e".to_owned(),
            way_on: inbox.clone(),
        };
        let broken = Self {
            status: 503,
            title: "The database does not answer".to_owned(),
            what_happened: "We waited 5 seconds for the database and got no answer.".to_owned(),
            what_we_keep: "Everything that was saved before. Your last click was not carried out.".to_owned(),
            what_to_do:
                "Try again in a minute. If it stays like this, give the number below to whoever runs this server."
                    .to_owned(),
            ..missing.clone()
        };
        let hostile = Self {
            title: "<script>alert('title')</script>".to_owned(),
            request_id: "\"><img src=x onerror=alert(1)>".to_owned(),
            ..missing.clone()
        };
        vec![("not-found", missing), ("unavailable", broken), ("injection", hostile)]
    }
}
