//! What holds for every request, whatever it asks for: headers that keep browsers strict, a time limit, a measure, and an answer
//! even when a handler panics.

use crate::app::App;
use crate::error::Problem;
use crate::http::pages;
use crate::telemetry;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::time::{Duration, Instant};

/// Until an answer begins; a stream may go on for longer.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Middleware: strict headers on every answer; a page may bring a policy of its own.
pub(super) async fn secure(State(app): State<App>, request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    add(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    add(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    add(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    add(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(pages::CSP));
    if api {
        add(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if app.config.public_url.scheme() == "https" {
        add(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// Middleware: how long the answer took, by route.
pub(super) async fn measure(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    telemetry::http_answered(&method, route, response.status(), began.elapsed());
    response
}

/// Middleware: nobody waits for ever.
pub(super) async fn limit_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIME_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!("a request took too long and was given up");
            Problem::unavailable(
                "It took longer than 30 s and was given up. Look whether it happened before you repeat it.",
            )
            .into_response()
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

pub(super) fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response<Body> {
    let said = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned());
    Problem::internal(&Panicked(said)).into_response()
}
