//! Frontends on other origins: exactly those of `CORS_ORIGINS` may read the API, with a bearer token. Never `*` and never
//! credentials: a cookie that comes from another origin counts for nothing (`csrf`).

use crate::app::App;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const HEADERS: &str = "authorization, content-type, idempotency-key, if-match, last-event-id, x-request-id";
const EXPOSED: &str = "x-request-id, retry-after, etag, idempotent-replayed, www-authenticate";
/// How long a browser may remember what it may send.
const REMEMBERED_SECS: &str = "600";

/// Middleware around everything that answers, errors included.
pub(super) async fn allow(State(app): State<App>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/api/") {
        return next.run(request).await;
    }
    let origin = allowed_origin(request.headers(), &app.config.cors_origins).cloned();
    let asks_first =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        Some(_) if asks_first => may_send(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    response
}

/// Byte for byte, as browsers write it.
fn allowed_origin<'a>(headers: &'a HeaderMap, allowed: &[String]) -> Option<&'a HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    allowed.iter().any(|known| known.as_bytes() == origin.as_bytes()).then_some(origin)
}

fn may_send() -> Response {
    let fixed = HeaderValue::from_static;
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, fixed(METHODS)),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, fixed(HEADERS)),
        (header::ACCESS_CONTROL_MAX_AGE, fixed(REMEMBERED_SECS)),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_allowed_exactly_or_not_at_all() {
        let allowed = ["https://app.example".to_owned(), "http://localhost:5173".to_owned()];
        let is = |origin: &str| {
            let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_str(origin).unwrap())]);
            allowed_origin(&headers, &allowed).is_some()
        };
        assert!(is("https://app.example") && is("http://localhost:5173"));
        for origin in [
            "https://app.example.evil.example",
            "https://evil-app.example",
            "http://app.example",
            "https://app.example:8443",
            "https://app.example/",
            "https://sub.app.example",
            "HTTPS://APP.EXAMPLE",
            "null",
            "*",
            "",
        ] {
            assert!(!is(origin), "{origin}");
        }
        assert!(allowed_origin(&HeaderMap::new(), &allowed).is_none());
    }
}
