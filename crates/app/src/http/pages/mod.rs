//! The dashboard's pages. Each page is a typed struct with an askama template and declared samples; a handler
//! fills the struct and returns it through [`page`].
//!
//! What always holds: every text is escaped by the template engine, so strangers' words are only ever data; a page
//! carries no inline script and no inline style, which the strict [`CSP`] also forbids; forms work without scripts
//! and htmx only makes them quicker. What can go wrong: a template that fails to render answers a plain 500.

pub mod accounts;
pub mod activity;
pub mod assets;
pub mod consent;
pub mod error;
pub mod frame;
pub mod inbox;
pub mod inbox_draft;
pub mod inbox_list;
pub mod inbox_thread;
pub mod intents;
pub mod marks;
pub mod samples;
pub mod setup;
pub mod signin;
pub mod when;
pub mod words;

use askama::Template;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

pub use assets::asset_path;
pub use frame::{Frame, Notice, PauseBar, Section};
pub use marks::{Icon, Mark, Tone, icon};
pub use when::{ago, rel, when};
pub use words::WebLink;

/// What a page of ours may load and where its forms may go.
pub const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Renders a page or a fragment with the headers that every one of them carries.
pub fn page<T: Template>(status: StatusCode, template: &T) -> Response {
    respond(status, template, HeaderValue::from_static(CSP))
}

/// Like [`page`], for pages whose forms end on a platform's consent page. Browsers apply `form-action` to the
/// redirect after a form as well, so the authorize origins must be named ("https://www.reddit.com").
pub fn page_with_form_origins<T: Template>(status: StatusCode, template: &T, origins: &[&str]) -> Response {
    let allowed = format!("form-action 'self' {}", origins.join(" "));
    let csp = CSP.replace("form-action 'self'", allowed.trim_end());
    match HeaderValue::from_str(&csp) {
        Ok(value) => respond(status, template, value),
        // An origin that is no header text can be no origin: keep the strict form.
        Err(_) => page(status, template),
    }
}

fn respond<T: Template>(status: StatusCode, template: &T, csp: HeaderValue) -> Response {
    match template.render() {
        Ok(html) => (status, headers(csp, "text/html; charset=utf-8"), html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            let text = "This page could not be drawn. Nothing was changed. Reload it, please.\n";
            let headers = headers(csp, "text/plain; charset=utf-8");
            (StatusCode::INTERNAL_SERVER_ERROR, headers, text).into_response()
        }
    }
}

fn headers(csp: HeaderValue, content_type: &'static str) -> [(HeaderName, HeaderValue); 5] {
    [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CONTENT_SECURITY_POLICY, csp),
        // Pages hold strangers' texts and a form token: no cache keeps them, not even the browser's.
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ]
}

#[cfg(test)]
mod tests;
