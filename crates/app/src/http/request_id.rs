//! Every request has an id: the caller's `X-Request-Id` where it is sane, else one of ours. It is in the answer, in each log line,
//! in problem details, in the activity log and in the jobs that the request started.

use crate::app::App;
use crate::request_id::scope;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

const HEADER: &str = "x-request-id";

/// Middleware: outermost, so that every answer carries the id.
pub async fn assign(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|value| is_sane(value))
        .map_or_else(|| app.entropy.uuid_v7(app.clock.now()).simple().to_string(), str::to_owned);
    let header = HeaderValue::from_str(&id).expect("checked to be visible ASCII");
    request.headers_mut().insert(HEADER, header.clone());
    let span =
        tracing::info_span!("request", request_id = %id, method = %request.method(), path = request.uri().path());
    let mut response = scope(id, next.run(request)).instrument(span).await;
    response.headers_mut().insert(HEADER, header);
    response
}

fn is_sane(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
