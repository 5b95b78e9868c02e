//! Teams: which ones a person is in, one more, its name and its owner.

use crate::accounts::members::{self, MemberError};
use crate::accounts::teams::{self, Membership, Team, TeamError};
use crate::app::App;
use crate::config::SignUp;
use crate::error::{ApiResult, Problem};
use crate::http::auth::{Admin, Caller, TeamMember, Viewer};
use crate::http::body::JsonBody;
use crate::model::Role;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct TeamAnswer {
    pub id: Uuid,
    #[schema(example = "Moka & Co.")]
    pub name: String,
    /// The caller's role there.
    pub role: Role,
    /// Who may hand the team over, and cannot be removed.
    pub owner_user_id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TeamsAnswer {
    pub items: Vec<TeamAnswer>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamBody {
    #[schema(example = "Moka & Co.", min_length = 1, max_length = 100)]
    name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerBody {
    /// A member of the team.
    #[serde(alias = "userId")]
    user_id: Uuid,
}

impl From<Membership> for TeamAnswer {
    fn from(team: Membership) -> Self {
        let Membership { team_id, team_name, owner_user_id, created_at, role } = team;
        Self { id: team_id, name: team_name, role, owner_user_id, created_at }
    }
}

impl TeamAnswer {
    fn of(team: Team, role: Role) -> Self {
        Self { id: team.id, name: team.name, role, owner_user_id: team.owner_user_id, created_at: team.created_at }
    }
}

impl From<TeamError> for Problem {
    fn from(error: TeamError) -> Self {
        match error {
            TeamError::Name(reason) => Self::field("name", reason.to_string()),
            TeamError::Full => Self::conflict("full", error.to_string()),
            TeamError::AdminsOnly => Self::forbidden(error.to_string()),
            TeamError::Database(error) => error.into(),
        }
    }
}

/// The caller's teams, the oldest first
#[utoipa::path(get, path = "/api/teams", responses((status = 200, description = "The teams.", body = TeamsAnswer)))]
pub async fn list_teams(State(app): State<App>, caller: Caller) -> ApiResult<Json<TeamsAnswer>> {
    let teams = caller.memberships(&mut *app.db.acquire().await?).await?;
    Ok(Json(TeamsAnswer { items: teams.into_iter().map(TeamAnswer::from).collect() }))
}

/// Make a team
///
/// The caller is its owner and first admin. Where the server takes people by invitation (`SIGNUP=invite`), only an admin of a team may make
/// another. At most 20 teams of one owner.
#[utoipa::path(post, path = "/api/teams", request_body = TeamBody,
    responses((status = 201, description = "The new team.", body = TeamAnswer)))]
pub async fn create_team(
    State(app): State<App>,
    caller: Caller,
    JsonBody(body): JsonBody<TeamBody>,
) -> ApiResult<(StatusCode, Json<TeamAnswer>)> {
    let anybody = app.config.signup == SignUp::Open;
    let mut tx = app.db.begin().await?;
    let team = teams::found(&mut tx, &app.moment(), caller.user_id, &body.name, anybody).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(TeamAnswer::of(team, Role::Admin))))
}

/// One team
#[utoipa::path(get, path = "/api/teams/{team_id}", responses((status = 200, description = "The team.", body = TeamAnswer)))]
pub async fn get_team(State(app): State<App>, member: TeamMember<Viewer>) -> ApiResult<Json<TeamAnswer>> {
    let team = teams::load(&mut *app.db.acquire().await?, member.team_id).await?;
    Ok(Json(TeamAnswer::of(team.ok_or_else(|| Problem::not_found("team"))?, member.role)))
}

/// Rename a team
#[utoipa::path(patch, path = "/api/teams/{team_id}", request_body = TeamBody,
    responses((status = 200, description = "The team as it is now.", body = TeamAnswer)))]
pub async fn update_team(
    State(app): State<App>,
    member: TeamMember<Admin>,
    JsonBody(body): JsonBody<TeamBody>,
) -> ApiResult<Json<TeamAnswer>> {
    let mut tx = app.db.begin().await?;
    let team = teams::rename(&mut tx, &app.moment(), member.team_id, member.caller.user_id, &body.name).await?;
    tx.commit().await?;
    Ok(Json(TeamAnswer::of(team, member.role)))
}

/// Hand a team over
///
/// Only its owner can, to a member, who becomes an admin. The owner of before stays an admin. To oneself: nothing changes.
#[utoipa::path(post, path = "/api/teams/{team_id}/owner", request_body = OwnerBody,
    responses((status = 200, description = "The team with its new owner.", body = TeamAnswer)))]
pub async fn transfer_team(
    State(app): State<App>,
    member: TeamMember<Admin>,
    JsonBody(body): JsonBody<OwnerBody>,
) -> ApiResult<Json<TeamAnswer>> {
    let mut tx = app.db.begin().await?;
    let by = member.caller.user_id;
    let moved = members::transfer(&mut tx, &app.moment(), member.team_id, by, body.user_id).await;
    let team = moved.map_err(|error| match error {
        MemberError::NotFound => Problem::field("user_id", "is no member of this team; invite the person first"),
        other => other.into(),
    })?;
    tx.commit().await?;
    Ok(Json(TeamAnswer::of(team, member.role)))
}
