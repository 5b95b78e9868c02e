//! API tokens: made and revoked by people, never by a token. The token itself is answered once and stands nowhere else.

use super::paging::{Page, Paging};
use crate::accounts::api_tokens::{self, ApiToken, CreateError, NewToken};
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::http::auth::{ApiTokenRef, InPerson, Loaded, TeamMember, Viewer};
use crate::http::body::{JsonBody, Query};
use crate::http::idempotency::SecretAnswer;
use crate::model::Role;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// An API token, without the token itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenAnswer {
    pub id: Uuid,
    pub team_id: Uuid,
    #[schema(example = "Nightly report")]
    pub name: String,
    /// At most; it counts for the lesser of this and its maker's role at the time of a request.
    pub role: Role,
    /// What it counts for now; null: its maker is not in the team any more, and it opens nothing.
    pub effective_role: Option<Role>,
    /// The last signs of the token.
    #[schema(example = "x7Qw")]
    pub last_signs: String,
    pub created_by: Uuid,
    #[schema(example = "Ada Byron")]
    pub created_by_name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Null: it does not expire.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// Within a minute; null: never used.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
}

/// The only answer that ever shows the token.
#[derive(Serialize, ToSchema)]
pub struct NewTokenAnswer {
    #[serde(flatten)]
    pub about: TokenAnswer,
    /// Keep it now: it is shown once. Send it as `Authorization: Bearer <token>`.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String, example = "rjn_2mQ0v8nqHq3fK1dZrX5aYtUo7wPcS9gLbEjR4iTkN6Mh1yVCQ")]
    pub token: SecretString,
}

fn exposed<S: serde::Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTokenBody {
    /// What it is for.
    #[schema(example = "Nightly report", min_length = 1, max_length = 100)]
    name: String,
    /// At most your own.
    role: Role,
    /// Left out: it does not expire.
    #[serde(default, alias = "expiresAt", with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TokensQuery {
    /// May be left out by who is in one team.
    #[serde(alias = "teamId")]
    #[allow(dead_code, reason = "read by `TeamMember`")]
    team_id: Option<Uuid>,
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TeamQuery {
    /// May be left out by who is in one team.
    #[serde(alias = "teamId")]
    #[allow(dead_code, reason = "read by `TeamMember`")]
    team_id: Option<Uuid>,
}

impl From<ApiToken> for TokenAnswer {
    fn from(row: ApiToken) -> Self {
        Self {
            id: row.id,
            team_id: row.team_id,
            effective_role: row.effective(),
            name: row.name,
            role: row.role,
            last_signs: row.last_signs,
            created_by: row.created_by,
            created_by_name: row.created_by_name,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Field { field, message } => Self::field(field, message),
            CreateError::AboveOwnRole(_) => Self::forbidden(error.to_string()),
            CreateError::TooMany => Self::conflict("full", error.to_string()),
            CreateError::Database(error) => error.into(),
        }
    }
}

/// The API tokens of a team, the newest first
///
/// Your own; an admin sees all of the team. Revoked ones are gone.
#[utoipa::path(get, path = "/api/tokens", tag = "tokens", params(TokensQuery),
    responses((status = 200, description = "One page of tokens.", body = Page<TokenAnswer>)))]
pub async fn list_tokens(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    Query(query): Query<TokensQuery>,
) -> ApiResult<Json<Page<TokenAnswer>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let made_by = (member.role < Role::Admin).then_some(member.caller.user_id);
    let mut conn = app.db.acquire().await?;
    let rows = api_tokens::list(&mut conn, member.team_id, made_by, paging.from, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.created_at, row.id))))
}

/// Make an API token
///
/// Its role is at most your own. A token can make none. The answer is not kept for a repetition with the same
/// `Idempotency-Key`: that answers 409.
#[utoipa::path(post, path = "/api/tokens", tag = "tokens", params(TeamQuery), request_body = NewTokenBody,
    responses((status = 201, description = "The new token, shown this once.", body = NewTokenAnswer)))]
pub async fn create_token(
    State(app): State<App>,
    _: InPerson,
    member: TeamMember<Viewer>,
    Query(TeamQuery { .. }): Query<TeamQuery>,
    JsonBody(body): JsonBody<NewTokenBody>,
) -> ApiResult<(StatusCode, Extension<SecretAnswer>, Json<NewTokenAnswer>)> {
    let mut tx = app.db.begin().await?;
    let new = NewToken { name: &body.name, role: body.role, expires_at: body.expires_at };
    let by = (member.caller.user_id, member.role);
    let (row, token) = api_tokens::create(&mut tx, &app.moment(), member.team_id, by, new).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Extension(SecretAnswer), Json(NewTokenAnswer { about: row.into(), token })))
}

/// Revoke an API token
///
/// From now on it opens nothing. Your own; an admin revokes any of the team.
#[utoipa::path(delete, path = "/api/tokens/{id}", tag = "tokens", responses((status = 204, description = "Revoked.")))]
pub async fn revoke_token(
    State(app): State<App>,
    _: InPerson,
    wanted: Loaded<ApiTokenRef, Viewer>,
) -> ApiResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    api_tokens::revoke(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
