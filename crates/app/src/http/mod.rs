//! The web server.

pub mod auth;
pub mod body;
pub mod cookies;
pub mod csrf;
pub mod limits;
pub mod pages;
pub mod request_id;
mod serve;

pub use serve::{serve, serve_metrics};

/// Every route.
pub fn router(app: crate::app::App, _stopping: tokio_util::sync::CancellationToken) -> axum::Router {
    axum::Router::new().merge(pages::routes()).with_state(app)
}
