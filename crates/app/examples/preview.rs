//! Serves every sample of every page on loopback, with the real headers and files, to be looked at:
//! `cargo run -p rejoinder-app --example preview -- 4400`, then http://127.0.0.1:4400/preview.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rejoinder_app::http::pages::{CSP, assets, samples};

fn html(status: StatusCode, body: String) -> Response {
    let headers: [(HeaderName, &str); 2] = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, CSP)];
    (status, headers, body).into_response()
}

async fn list() -> Response {
    let samples = samples::all().unwrap_or_default();
    let lines: String = samples
        .iter()
        .map(|s| format!("<li><a href=\"/preview/{0}/{1}\">{0}: {1}</a></li>", s.page, s.sample))
        .collect();
    html(StatusCode::OK, format!("<!doctype html><title>Samples</title><h1>Samples</h1><ul>{lines}</ul>"))
}

async fn show(Path((page, sample)): Path<(String, String)>) -> Response {
    let samples = samples::all().unwrap_or_default();
    match samples.into_iter().find(|s| s.page == page && s.sample == sample) {
        Some(found) => html(StatusCode::OK, found.html),
        None => html(StatusCode::NOT_FOUND, "<h1>No such sample</h1>".to_owned()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(4400), |port| port.parse())?;
    let router = Router::new()
        .route("/preview", get(list))
        .route("/preview/{page}/{sample}", get(show))
        .route(assets::ROUTE, get(assets::serve));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://127.0.0.1:{port}/preview");
    axum::serve(listener, router).await?;
    Ok(())
}
