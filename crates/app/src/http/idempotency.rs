//! `Idempotency-Key` on POSTs to the API: the same key, body and caller are carried out once, and answered alike for 24 hours.
//!
//! What was refused changed nothing and is not kept: the same key may try again. Once claimed, the request is carried out to its
//! end even when the client goes away, so that its answer is there when the client comes back. If the process dies between the
//! change and the keeping of its answer, the key opens again after a minute; the change itself then guards against a repetition.

use super::auth::Caller;
use crate::app::App;
use crate::coord::idempotency::{self, Claim, Key};
use crate::error::{ApiResult, Problem};
use crate::request_id;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::panic::resume_unwind;
use time::OffsetDateTime;
use tracing::Instrument;

/// Put into an answer that holds a secret: it is given once and not kept. Whoever repeats the request learns that it was done.
#[derive(Debug, Clone, Copy)]
pub struct SecretAnswer;

const HEADER: &str = "idempotency-key";
const REPLAYED: &str = "idempotent-replayed";
const KEY_CHARS: usize = 255;

/// Middleware inside the cross-site guard and the limits.
pub(super) async fn once(State(app): State<App>, request: Request, next: Next) -> Response {
    if !concerned(request.method(), request.uri().path(), request.headers()) {
        return next.run(request).await;
    }
    answer(app, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

/// Whether answers of this address are kept. Those that hold a secret are not: beginning a consent again does no harm, and a
/// second invitation to an address replaces the first; at the caller's own door a repetition is refused; a
/// second webhook or signing secret shows on its page. Who looks at an invitation need not be anybody.
pub(super) fn keeps(path: &str) -> bool {
    !path.starts_with("/api/me/")
        && !["/oauth/start", "/invitations", "/renew", "/invitations/preview", "/webhooks", "/rotate-secret"]
            .iter()
            .any(|end| path.ends_with(end))
}

fn concerned(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    method == Method::POST && path.starts_with("/api/") && keeps(path) && headers.contains_key(HEADER)
}

async fn answer(app: App, request: Request, next: Next) -> ApiResult<Response> {
    let (mut parts, body) = request.into_parts();
    let caller = match Caller::from_request_parts(&mut parts, &app).await {
        Ok(caller) => caller,
        // Nobody's request is repeated; whether it needs somebody is for the route to say.
        Err(problem) if problem.status == StatusCode::UNAUTHORIZED.as_u16() => {
            return Ok(next.run(Request::from_parts(parts, body)).await);
        }
        Err(problem) => return Err(problem),
    };
    let key = Key {
        caller_id: caller.key_owner(),
        method: parts.method.to_string(),
        path: address_of(&parts.uri),
        key: key_of(&parts.headers)?,
    };
    let body = to_bytes(body, super::BODY_LIMIT_BYTES).await.map_err(|_| super::body::too_large())?;
    let body_hash: [u8; 32] = Sha256::digest(&body).into();
    let claimed_at = app.clock.now();
    let claim = idempotency::claim(&mut *app.db.acquire().await?, &key, &body_hash, claimed_at).await?;
    match claim {
        Claim::Run => {}
        Claim::Done { status, answer } => return Ok(replay(status, answer)),
        Claim::InFlight => {
            let mut problem = Problem::conflict("in-flight", "The same request is being carried out. Ask again soon.");
            problem.retry_after_secs = Some(1);
            return Err(problem);
        }
        Claim::OtherBody => {
            return Err(Problem::field(
                "Idempotency-Key",
                "was used for another body. Take a new key for a new request.",
            ));
        }
    }
    let request = Request::from_parts(parts, Body::from(body));
    let work = async move {
        let response = next.run(request).await;
        settle(&app, &key, claimed_at, response).await
    };
    // A client that goes away drops this future, but not the task.
    let work = request_id::scope(request_id::current().unwrap_or_default(), work).in_current_span();
    match tokio::spawn(work).await {
        Ok(answered) => answered,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err(Problem::unavailable("The server is stopping. Ask again with the same key.")),
        },
    }
}

/// Path and query: the query may name the team. As a hash, since it may be longer than an index takes.
fn address_of(uri: &Uri) -> String {
    match uri.query() {
        None => uri.path().to_owned(),
        Some(query) => {
            let hash: String = Sha256::digest(query.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}?{hash}", uri.path())
        }
    }
}

fn key_of(headers: &HeaderMap) -> ApiResult<String> {
    let key = headers.get(HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sane = (1..=KEY_CHARS).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !sane {
        let message = format!("must have 1 to {KEY_CHARS} visible ASCII characters");
        return Err(Problem::field("Idempotency-Key", message));
    }
    Ok(key.to_owned())
}

/// The change is made or refused by now: whatever fails here, the caller gets its answer.
async fn settle(app: &App, key: &Key, claimed_at: OffsetDateTime, response: Response) -> ApiResult<Response> {
    let status = response.status();
    let (parts, body) = response.into_parts();
    let secret = parts.extensions.get::<SecretAnswer>().is_some();
    let bytes = to_bytes(body, usize::MAX).await.map_err(|error| Problem::internal(&error))?;
    let stored = async {
        let mut conn = app.db.acquire().await?;
        if status.is_success() && secret {
            let told = serde_json::to_value(was_done()).unwrap_or(Value::Null);
            idempotency::keep(&mut conn, key, claimed_at, StatusCode::CONFLICT.as_u16(), &told).await
        } else if status.is_success() {
            let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            idempotency::keep(&mut conn, key, claimed_at, status.as_u16(), &answer).await
        } else {
            idempotency::release(&mut conn, key, claimed_at).await
        }
    };
    if let Err(error) = stored.await {
        tracing::warn!(error = %error, "the answer to a request with an idempotency key was not kept");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn was_done() -> Problem {
    Problem::conflict(
        "answer-not-kept",
        "This request was carried out. Its answer held a secret, which is shown once and not kept. Look what was made, or send a new key to make another.",
    )
}

fn replay(status: u16, answer: Value) -> Response {
    if status == StatusCode::CONFLICT.as_u16() {
        return was_done().into_response();
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = match answer {
        Value::Null => status.into_response(),
        answer => (status, Json(answer)).into_response(),
    };
    response.headers_mut().insert(REPLAYED, axum::http::HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with_key(key: &str) -> HeaderMap {
        HeaderMap::from_iter([(HEADER.parse().unwrap(), HeaderValue::from_str(key).unwrap())])
    }

    #[test]
    fn only_posts_to_the_api_that_bring_a_key_are_kept() {
        let keyed = with_key("k");
        assert!(concerned(&Method::POST, "/api/posts/1/post-comment", &keyed));
        assert!(!concerned(&Method::POST, "/api/posts/1/post-comment", &HeaderMap::new()));
        assert!(!concerned(&Method::GET, "/api/me", &keyed));
        assert!(!concerned(&Method::POST, "/items/1/done", &keyed));
        assert!(!concerned(&Method::POST, "/api/integrations/reddit/oauth/start", &keyed), "its answer is a secret");
        for path in [
            "/api/teams/1/invitations",
            "/api/teams/1/invitations/2/renew",
            "/api/invitations/preview",
            "/api/teams/1/webhooks",
            "/api/webhook-endpoints/1/rotate-secret",
        ] {
            assert!(!concerned(&Method::POST, path, &keyed), "{path}");
        }
        assert!(concerned(&Method::POST, "/api/invitations/accept", &keyed));
    }

    #[test]
    fn another_query_is_another_request() {
        let of = |text: &str| address_of(&text.parse().unwrap());
        assert_eq!(of("/api/tokens"), "/api/tokens");
        assert_ne!(of("/api/tokens?team_id=1"), of("/api/tokens?team_id=2"));
        assert_ne!(of("/api/tokens?team_id=1"), of("/api/tokens"));
        assert_eq!(of("/api/tokens?team_id=1"), of("/api/tokens?team_id=1"));
        assert!(of(&format!("/api/tokens?x={}", "y".repeat(9_000))).len() < 100);
    }

    #[test]
    fn a_key_is_short_and_readable() {
        assert_eq!(key_of(&with_key("2f1c-7a")).unwrap(), "2f1c-7a");
        for key in ["", "two words", &"k".repeat(256)] {
            let problem = key_of(&with_key(key)).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].field.as_str()), (422, "Idempotency-Key"));
        }
    }

    #[test]
    fn a_repeated_answer_says_that_it_is_one() {
        let response = replay(202, serde_json::json!({ "job_id": "7" }));
        assert_eq!(
            (response.status().as_u16(), &response.headers()[REPLAYED]),
            (202, &HeaderValue::from_static("true"))
        );
    }
}
