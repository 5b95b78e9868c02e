//! The API describes itself: the OpenAPI document, and a small page of it without scripts.

use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::http::openapi::{self, Route};
use askama::Template;
use axum::extract::State;
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

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
code,pre{font-size:.9rem}pre{overflow-x:auto;padding:.6rem .8rem;border:1px solid #8886;border-radius:6px}\
details{border-bottom:1px solid #8886}summary{padding:.5rem 0;cursor:pointer}summary code{overflow-wrap:anywhere}\
dt{font-weight:600}dd{margin:0 0 .6rem}h2{margin-top:2rem}.role{opacity:.75;font-size:.9rem}";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Rejoinder API</title><style>{{ style|safe }}</style></head>
<body>
<h1>Rejoinder API</h1>
<p>Everything about the fields stands in <a href="/api/openapi.json">openapi.json</a> (OpenAPI 3.1), from which clients can be generated.</p>
<h2>Sign in</h2>
<p>Make an API token on the page <a href="/dashboard/tokens">API tokens</a> and send it with every request. It counts for the lesser of its
own role and yours at the time.</p>
<pre>curl -H "Authorization: Bearer rjn_…" {{ base }}api/me</pre>
<p>401 says why a token opens nothing; 403 names the role that is needed; 404 is also the answer for what another team owns. Errors are
<code>application/problem+json</code> with a stable <code>type</code>. A POST with <code>Idempotency-Key</code> is carried out once and
answered alike for 24 hours. A frontend on another origin is named in <code>CORS_ORIGINS</code>; there only tokens count.</p>
{% for (tag, routes) in groups %}
<h2>{{ tag }}</h2>
{% for route in routes %}<details><summary><code>{{ route.method }}</code> <code>{{ route.path }}</code> {{ route.summary }} <span class="role">{% if route.role == "none" %}open{% else if route.role == "caller" %}signed in{% else %}{{ route.role }}{% endif %}</span></summary>
{% if !route.about.is_empty() %}<p>{{ route.about }}</p>{% endif %}
{% match route.body %}{% when Some with (body) %}<p>Body</p><pre>{{ body }}</pre>{% when None %}{% endmatch %}
<dl>{% for answer in route.answers %}<dt>{{ answer.status }}</dt><dd>{{ answer.meaning }}{% match answer.example %}{% when Some with (example) %}<pre>{{ example }}</pre>{% when None %}{% endmatch %}</dd>{% endfor %}</dl>
</details>
{% endfor %}{% endfor %}
</body>
</html>
"#
)]
struct DocsPage {
    style: &'static str,
    /// Address of this server, with a slash at its end.
    base: String,
    groups: Vec<(String, Vec<Route>)>,
}

/// A page with all routes
#[utoipa::path(get, path = "/api/docs", security(()),
    responses((status = 200, description = "A page for people.", content_type = "text/html")))]
pub async fn docs_page(State(app): State<App>) -> ApiResult<Response> {
    docs(app.config.public_url.as_str())
}

fn docs(base: &str) -> ApiResult<Response> {
    let page = DocsPage { style: STYLE, base: base.to_owned(), groups: openapi::by_tag() };
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
        let response = docs("https://replies.example/").unwrap();
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let html = String::from_utf8(body.to_vec()).unwrap();
        assert!(!html.contains("<script"));
        assert!(html.contains("Authorization: Bearer rjn_") && html.contains("https://replies.example/api/me"));
        assert!(html.contains("&#34;role&#34;: &#34;viewer&#34;"), "examples are shown");
        for (_, path) in crate::http::api::TABLE {
            assert!(html.contains(&format!("<code>{path}</code>")), "{path} is missing");
        }
    }
}
