//! Clerk: an instance's frontend API with its keys, sessions and hosted page, and its webhooks.
//!
//! One person at most is signed in at the instance ("the browser"). Tokens live 60 seconds. All keys of the instance share
//! one id, as Clerk's do. Nothing of it outlives the process.

mod handshake;
mod signer;
pub(crate) mod webhook;

use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::Shared;
use crate::connection::CutSwitch;

pub use webhook::SignedMessage;

/// The id of the instance and of each of its keys.
pub(crate) const KEY_ID: &str = "ins_sandbox";
/// What the backend API wants to see.
pub(crate) const SECRET_KEY: &str = "sk_test_sandbox";
const TOKEN_SECS: i64 = 60;

/// The state of the instance.
#[derive(Debug)]
pub(crate) struct Instance {
    /// The key that signs now.
    pub(crate) key: usize,
    /// The keys that are published.
    pub(crate) published: Vec<usize>,
    pub(crate) outage: Option<Outage>,
    /// Who is signed in at the instance.
    pub(crate) browser: Option<Session>,
    pub(crate) sessions: u64,
    pub(crate) messages: u64,
}

/// How the instance fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// The connection ends without an answer.
    Cut,
    Status(u16),
    /// A good status with something else in it.
    Nonsense,
    /// An empty list of keys.
    NoKeys,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) id: String,
    pub(crate) since: OffsetDateTime,
}

impl Default for Instance {
    fn default() -> Self {
        Self { key: 0, published: vec![0], outage: None, browser: None, sessions: 0, messages: 0 }
    }
}

impl Instance {
    /// Signs any header and claims with the key of now.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        signer::sign(self.key, header, claims)
    }

    /// The next key signs. The one before stays published, or goes at once.
    pub(crate) fn rotate(&mut self, keep: bool) {
        let before = self.key;
        self.key = (self.key + 1) % signer::KEYS;
        self.published = if keep { vec![before, self.key] } else { vec![self.key] };
    }

    pub(crate) fn sign_in(&mut self, user: &str, now: OffsetDateTime) {
        self.sessions += 1;
        self.browser = Some(Session { user: user.to_owned(), id: format!("sess_{:04}", self.sessions), since: now });
    }
}

/// The header of session tokens.
pub(crate) fn token_header() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID, "cat": "cl_B7d4PD111AAA", "oiat": 1_700_000_000 })
}

/// The claims of a session token of version 2.
pub(crate) fn token_claims(issuer: &str, user: &str, session: &str, party: &str, now: OffsetDateTime) -> Value {
    let now = now.unix_timestamp();
    json!({
        "azp": party, "exp": now + TOKEN_SECS, "fva": [0, -1], "iat": now, "iss": issuer,
        "jti": format!("{session}-{now}"), "nbf": now - 10, "sid": session, "sts": "active", "sub": user, "v": 2,
    })
}

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route("/v1/jwks", get(backend_jwks))
        .route("/v1/client/handshake", get(handshake::handshake))
        .route("/sign-in", get(handshake::sign_in_page).post(handshake::sign_in))
}

async fn jwks(State(shared): State<Arc<Shared>>, ConnectInfo(cut): ConnectInfo<CutSwitch>) -> Response {
    let (outage, published) = {
        let world = shared.world();
        (world.clerk.outage, world.clerk.published.clone())
    };
    match outage {
        None => Json(json!({ "keys": published.into_iter().map(signer::jwk).collect::<Vec<_>>() })).into_response(),
        Some(Outage::Status(code)) => failed(code),
        Some(Outage::Nonsense) => "<html>Bad gateway</html>".into_response(),
        Some(Outage::NoKeys) => Json(json!({ "keys": [] })).into_response(),
        Some(Outage::Cut) => {
            cut.cut();
            StatusCode::OK.into_response()
        }
    }
}

async fn backend_jwks(state: State<Arc<Shared>>, cut: ConnectInfo<CutSwitch>, headers: HeaderMap) -> Response {
    let expected = format!("Bearer {SECRET_KEY}");
    if headers.get(header::AUTHORIZATION).is_none_or(|sent| sent != expected.as_str()) {
        return failed(401);
    }
    jwks(state, cut).await
}

/// An error in the vendor's shape.
fn failed(code: u16) -> Response {
    let message = "The sandbox was told to fail.";
    let body = json!({
        "errors": [{ "code": "sandbox_failure", "message": message, "long_message": message }],
        "clerk_trace_id": "0000000000000000",
    });
    (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body)).into_response()
}
