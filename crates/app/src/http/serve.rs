//! Listening, and stopping without cutting anyone off.

use crate::app::App;
use crate::telemetry::Metrics;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until `stopping`; open requests finish, live streams end.
pub async fn serve(app: App, listener: TcpListener, stopping: CancellationToken) {
    let router = super::router(app, stopping.clone()).into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await {
        tracing::error!(%error, "the listener failed");
    }
}

/// `/metrics` on its own address, for the operator's network only.
pub async fn serve_metrics(listener: TcpListener, metrics: Metrics, stopping: CancellationToken) {
    let render = move || {
        let text = metrics.render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    let router = Router::new().route("/metrics", get(render));
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await {
        tracing::error!(%error, "the metrics listener failed");
    }
}
