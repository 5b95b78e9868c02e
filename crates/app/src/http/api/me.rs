//! Who is asking, and in which teams.

use super::teams::TeamAnswer;
use crate::accounts::users;
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::http::auth::Caller;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct VerifyAnswer {
    pub user_id: Uuid,
    #[schema(example = "Ada Byron")]
    pub name: String,
    /// How the caller showed who it is.
    #[schema(example = "session")]
    pub auth: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MeAnswer {
    pub id: Uuid,
    #[schema(example = "ada@example.com")]
    pub email: Option<String>,
    #[schema(example = "Ada Byron")]
    pub name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    pub teams: Vec<TeamAnswer>,
}

/// Check a credential
///
/// 200 while the session or the token counts, else 401 with the reason.
#[utoipa::path(get, path = "/api/auth/verify", responses((status = 200, description = "Signed in.", body = VerifyAnswer)))]
pub async fn verify(caller: Caller) -> Json<VerifyAnswer> {
    Json(VerifyAnswer { user_id: caller.user_id, auth: caller.auth.kind(), name: caller.name })
}

/// The caller's account and teams
#[utoipa::path(get, path = "/api/me", responses((status = 200, description = "The account.", body = MeAnswer)))]
pub async fn me(State(app): State<App>, caller: Caller) -> ApiResult<Json<MeAnswer>> {
    let mut conn = app.db.acquire().await?;
    let user = users::by_id(&mut conn, caller.user_id).await?.ok_or_else(|| Problem::not_found("account"))?;
    let teams = caller.memberships(&mut conn).await?.into_iter().map(TeamAnswer::from).collect();
    Ok(Json(MeAnswer { id: user.id, email: user.email, name: user.name, created_at: user.created_at, teams }))
}
