//! The API describes itself: the OpenAPI document, and a small page of it without scripts.

use crate::error::{ApiResult, Problem};
use crate::http::openapi::{self, Route};
use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The OpenAPI 3.1 document
#[utoipa::path(get, path = "/api/openapi.json", security(()),
    responses((status = 200, description = "This document.", content_type = "application/json")))]
pub async fn openapi_json() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi::document()).into_response()
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #ccc}\
code{font-size:.9rem}caption{text-align:left;font-weight:600;padding:1.5rem 0 .3rem}";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Rejoinder API</title><style>{{ style|safe }}</style></head>
<body>
<h1>Rejoinder API</h1>
<p>Everything about the fields stands in <a href="/api/openapi.json">openapi.json</a> (OpenAPI 3.1). Requests need the session
cookie of the dashboard. Errors are <code>application/problem+json</code>.</p>
{% for (tag, routes) in groups %}
<table>
<caption>{{ tag }}</caption>
<thead><tr><th scope="col">Method</th><th scope="col">Path</th><th scope="col">What it does</th><th scope="col">Answers</th></tr></thead>
<tbody>
{% for route in routes %}<tr><td><code>{{ route.method }}</code></td><td><code>{{ route.path }}</code></td><td>{{ route.summary }}</td><td>{{ route.answers }}</td></tr>
{% endfor %}</tbody>
</table>
{% endfor %}
</body>
</html>
"#
)]
struct DocsPage {
    style: &'static str,
    groups: Vec<(String, Vec<Route>)>,
}

/// A page with all routes
#[utoipa::path(get, path = "/api/docs", security(()),
    responses((status = 200, description = "A page for people.", content_type = "text/html")))]
pub async fn docs_page() -> ApiResult<Response> {
    let page = DocsPage { style: STYLE, groups: openapi::by_tag() };
    let html = page.render().map_err(|error| Problem::internal(&error))?;
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        STANDARD.encode(Sha256::digest(STYLE))
    );
    let policy = HeaderValue::from_str(&policy).expect("base64 and fixed words");
    Ok(([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_page_names_every_route_and_needs_no_script() {
        let response = docs_page().await.unwrap();
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert!(!html.contains("<script"));
        for (_, path) in crate::http::api::TABLE {
            assert!(html.contains(&format!("<code>{path}</code>")), "{path} is missing");
        }
    }
}
