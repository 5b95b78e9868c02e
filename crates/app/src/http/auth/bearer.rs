//! `Authorization: Bearer`: our own API tokens begin with `rjn_`; whatever else is a person's token of the identity provider.
//!
//! A bearer request carries no cookie that counts, so nobody can be made to send it from another site. Every refusal is a 401
//! whose code tells a program whether to get a new token.

use super::{Auth, Caller, clerk};
use crate::accounts::api_tokens::{self, Dead, Holder};
use crate::accounts::token_hash;
use crate::app::App;
use crate::error::Problem;
use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};

pub(super) fn is_ours(token: &SecretString) -> bool {
    token.expose_secret().starts_with(api_tokens::PREFIX)
}

/// The person who made this API token, acting through it.
pub(super) async fn api_token(app: &App, token: &SecretString) -> Result<Caller, Problem> {
    let token = token.expose_secret();
    if !api_tokens::is_well_formed(token) {
        return Err(dead(Dead::Unknown));
    }
    let found = api_tokens::lookup(&mut *app.db.acquire().await?, &token_hash(token), app.clock.now()).await?;
    let Holder { id, team_id, user_id, user_name, role } = found.map_err(dead)?;
    Ok(Caller { user_id, name: user_name, auth: Auth::Token { id, team_id, role }, csrf: String::new() })
}

/// The person whom the identity provider's token names.
pub(super) async fn bearer_person(app: &App, token: &SecretString) -> Result<Caller, Problem> {
    match &app.clerk {
        Some(clerk) => clerk::by_header(app, clerk, token).await,
        None => Err(refused("token-unknown", "This is no API token of this server: those begin with rjn_.")),
    }
}

fn dead(why: Dead) -> Problem {
    let (code, detail) = match why {
        Dead::Unknown => ("token-unknown", "There is no such API token. Make one on the dashboard under API tokens."),
        Dead::Revoked => ("token-revoked", "This API token was revoked. Make a new one on the dashboard."),
        Dead::Expired => ("token-expired", "This API token has expired. Make a new one on the dashboard."),
        Dead::MakerGone => (
            "token-maker-gone",
            "Whoever made this API token is not in the team any more. A member has to make a new one.",
        ),
    };
    refused(code, detail)
}

pub(super) fn malformed() -> Problem {
    refused("authorization-malformed", "Send one header of the shape: Authorization: Bearer <token>")
}

/// 401 with its own code.
pub(super) fn refused(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, "Not signed in", detail)
}
