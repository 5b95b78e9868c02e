//! Where the caller is signed in, and signing out elsewhere.

use crate::accounts::sessions::{self, SessionRow};
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::http::auth::SignedInPerson;
use crate::http::body::Path;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct SessionAnswer {
    pub id: Uuid,
    /// As the browser calls itself; null for sessions from before this was kept.
    #[schema(example = "Firefox on Linux")]
    pub device: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Written down at most every 5 minutes.
    #[serde(with = "time::serde::rfc3339")]
    pub last_seen_at: OffsetDateTime,
    /// The session of this request.
    pub current: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SessionsAnswer {
    pub items: Vec<SessionAnswer>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EndedAnswer {
    /// How many sessions ended.
    #[schema(example = 2)]
    pub ended: u64,
}

/// Where the caller is signed in, the last used first
///
/// Only with a session of the dashboard; a token gets 403.
#[utoipa::path(get, path = "/api/me/sessions",
    responses((status = 200, description = "The live sessions.", body = SessionsAnswer)))]
pub async fn list_sessions(State(app): State<App>, person: SignedInPerson) -> ApiResult<Json<SessionsAnswer>> {
    let rows = sessions::live(&mut *app.db.acquire().await?, person.user_id, app.clock.now()).await?;
    let answer = |SessionRow { id, device, created_at, last_seen_at }| SessionAnswer {
        id,
        device,
        created_at,
        last_seen_at,
        current: id == person.session_id,
    };
    Ok(Json(SessionsAnswer { items: rows.into_iter().map(answer).collect() }))
}

/// Sign out one of the caller's sessions
#[utoipa::path(delete, path = "/api/me/sessions/{id}", responses((status = 204, description = "Signed out.")))]
pub async fn end_session(
    State(app): State<App>,
    person: SignedInPerson,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let id = Uuid::parse_str(&id).map_err(|_| Problem::not_found("session"))?;
    let mut tx = app.db.begin().await?;
    let ended = sessions::end(&mut tx, &app.moment(), person.user_id, id).await?;
    tx.commit().await?;
    if ended { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("session")) }
}

/// Sign out everywhere else
///
/// All sessions of the caller but the one of this request.
#[utoipa::path(delete, path = "/api/me/sessions",
    responses((status = 200, description = "The others are signed out.", body = EndedAnswer)))]
pub async fn end_other_sessions(State(app): State<App>, person: SignedInPerson) -> ApiResult<Json<EndedAnswer>> {
    let mut tx = app.db.begin().await?;
    let ended = sessions::end_others(&mut tx, &app.moment(), person.user_id, person.session_id).await?;
    tx.commit().await?;
    Ok(Json(EndedAnswer { ended }))
}
