//! The web server: the router, what lies around it, and serving until told to stop.
//!
//! Layers from the outside in: request id, strict headers, measure, panics, size and time limits, cross-site guard, caller limits.

pub mod api;
pub mod auth;
pub mod body;
pub mod cookies;
pub mod csrf;
pub mod events;
pub mod layers;
pub mod limits;
pub mod openapi;
pub mod request_id;

use crate::app::App;
use crate::error::Problem;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

const BODY_LIMIT_BYTES: usize = 256 * 1024;
/// How long requests that are under way may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(20);

pub fn router(app: App) -> Router {
    router_until(app, CancellationToken::new())
}

/// `stop` ends live event streams, which have no end of their own.
fn router_until(app: App, stop: CancellationToken) -> Router {
    Router::new()
        .merge(api::routes())
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_method)
        .layer(Extension(events::Streams::new(stop)))
        .layer(from_fn_with_state((app.clone(), limits::CallerLimits::default()), limits::per_caller))
        .layer(from_fn_with_state(app.clone(), csrf::guard))
        .layer(from_fn(layers::limit_time))
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .layer(CatchPanicLayer::custom(layers::answer_panic))
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

/// Serves until `shutdown`, then lets requests that are under way end. Live event streams end at once.
pub async fn serve(app: App, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
    let service = router_until(app, shutdown.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let stop = shutdown.clone();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move { stop.cancelled().await });
    let patience = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = async { server.await } => ended,
        () = patience => {
            tracing::warn!("some requests did not end in time and are cut off");
            Ok(())
        }
    }
}
