//! `Authorization: Bearer`: our own API tokens begin with `rjn_`; whatever else is a person's token of the identity provider.
//!
//! A bearer request carries no cookie that counts, so nobody can be made to send it from another site. Every refusal is a 401
//! whose code tells a program whether to get a new token.

use super::{Caller, clerk};
use crate::app::App;
use crate::error::Problem;
use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};

const OURS: &str = "rjn_";

pub(super) fn is_ours(token: &SecretString) -> bool {
    token.expose_secret().starts_with(OURS)
}

/// Who made the API token of that `token_hash`.
pub(super) async fn api_token(_app: &App, _hash: [u8; 32]) -> Result<Caller, Problem> {
    Err(refused("token-unknown", "There is no such API token. Make one on the dashboard under API tokens."))
}

/// The person whom the identity provider's token names.
pub(super) async fn bearer_person(app: &App, token: &SecretString) -> Result<Caller, Problem> {
    match &app.clerk {
        Some(clerk) => clerk::by_header(app, clerk, token).await,
        None => Err(refused("token-unknown", "This is no API token of this server: those begin with rjn_.")),
    }
}

pub(super) fn malformed() -> Problem {
    refused("authorization-malformed", "Send one header of the shape: Authorization: Bearer <token>")
}

/// 401 with its own code.
pub(super) fn refused(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, "Not signed in", detail)
}
