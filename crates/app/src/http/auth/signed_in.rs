//! For what only the person may do who sits at the dashboard: password, second factor, sessions. A session is asked for; a token of
//! the API, or of somebody whom another service signs in, is refused whatever its role.

use super::{Auth, Caller};
use crate::app::App;
use crate::error::Problem;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedInPerson {
    pub user_id: Uuid,
    /// The session that asks.
    pub session_id: Uuid,
}

impl SignedInPerson {
    pub fn of(caller: &Caller) -> Result<Self, Problem> {
        let session_id = session_of(&caller.auth).ok_or_else(|| {
            Problem::new(
                StatusCode::FORBIDDEN,
                "session-only",
                "Not allowed with this credential",
                "Only a session of the dashboard may do this, not a token. Sign in with e-mail and password.",
            )
        })?;
        Ok(Self { user_id: caller.user_id, session_id })
    }
}

fn session_of(auth: &Auth) -> Option<Uuid> {
    match auth {
        Auth::Session(id) => Some(*id),
        Auth::Token { .. } | Auth::Clerk { .. } => None,
    }
}

impl FromRequestParts<App> for SignedInPerson {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Self::of(&Caller::from_request_parts(parts, app).await?)
    }
}
