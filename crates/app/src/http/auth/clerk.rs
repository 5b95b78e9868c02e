//! Clerk's session tokens as credentials: which answer each refusal gets.

use super::bearer::refused;
use super::{Auth, Caller};
use crate::accounts::clerk::token::TokenError;
use crate::accounts::clerk::{Clerk, SignInError};
use crate::app::App;
use crate::error::Problem;
use axum::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};

/// Whom the token of the `Authorization` header names.
pub(super) async fn by_header(app: &App, clerk: &Clerk, token: &SecretString) -> Result<Caller, Problem> {
    let claims = clerk.verify(token.expose_secret()).await.map_err(problem)?;
    let person = clerk.person(&app.db, &app.moment(), &claims).await.map_err(problem)?;
    let auth = Auth::Clerk { session: claims.session, acting: claims.actor };
    Ok(Caller { user_id: person.id, name: person.name, auth, csrf: String::new() })
}

/// The answer to who shows such a token.
pub fn problem(error: SignInError) -> Problem {
    match error {
        SignInError::Token(error) => of_token(error),
        SignInError::NoKeys => Problem::unavailable(
            "The sign-in service does not answer, so nobody can be told apart. Nothing was changed; try again in a few seconds.",
        ),
        SignInError::Impersonated => impersonated(),
        SignInError::Ended => refused("session_ended", "The session at the sign-in service has ended. Sign in again."),
        SignInError::Deleted => Problem::new(
            StatusCode::UNAUTHORIZED,
            "account_deleted",
            "Not signed in",
            "This account was deleted. Make a new one to go on; it starts without teams.",
        ),
        SignInError::Database(error) => error.into(),
    }
}

/// 403 for who acts as somebody else and asks for what only the person may do.
pub(super) fn impersonated() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "impersonated", "Not allowed", SignInError::Impersonated.to_string())
}

fn of_token(error: TokenError) -> Problem {
    refused(error.code(), error.to_string())
}
