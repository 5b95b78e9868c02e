//! The web server: every route, and what lies around them.
//!
//! Layers from the outside in: request id, strict headers, measure, other origins, problems as pages, panics, size and time limits, cross-site
//! guard, caller limits, requests sent twice.

pub mod api;
pub mod auth;
pub mod body;
pub mod cookies;
mod cors;
pub mod csrf;
pub mod device;
mod etag;
pub mod events;
pub mod idempotency;
mod layers;
pub mod limits;
pub mod openapi;
pub mod own_account;
pub mod pages;
pub mod request_id;
mod serve;

pub use serve::{serve, serve_metrics};

use crate::app::App;
use crate::error::Problem;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

const BODY_LIMIT_BYTES: usize = 256 * 1024;

/// Every route. `stopping` ends live event streams, which have no end of their own.
pub fn router(app: App, stopping: CancellationToken) -> Router {
    Router::new()
        .merge(api::routes())
        .merge(pages::routes())
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_method)
        .layer(Extension(events::Streams::new(stopping)))
        .layer(from_fn_with_state(app.clone(), idempotency::once))
        .layer(from_fn_with_state((app.clone(), limits::CallerLimits::default()), limits::per_caller))
        .layer(from_fn_with_state(app.clone(), csrf::guard))
        .layer(from_fn(layers::limit_time))
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .layer(CatchPanicLayer::custom(layers::answer_panic))
        .layer(from_fn(pages::error::as_page))
        .layer(from_fn_with_state(app.clone(), cors::allow))
        .layer(from_fn(layers::measure))
        .layer(from_fn_with_state(app.clone(), layers::secure))
        .layer(from_fn_with_state(app.clone(), request_id::assign))
        .with_state(app)
}

async fn nothing_here() -> Problem {
    Problem::not_found("address")
}

async fn not_this_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Not this method",
        "The address exists, but not with this method. The header Allow names those that it takes.",
    )
}
