//! The people of a team and their roles.

use super::paging::{Page, Paging};
use crate::accounts::members::{self, Member, MemberError};
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::http::auth::{Admin, InPerson, TeamMember, Viewer, require_role};
use crate::http::body::{JsonBody, Path, Query};
use crate::model::Role;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct MemberAnswer {
    pub user_id: Uuid,
    #[schema(example = "Ada Byron")]
    pub name: String,
    #[schema(example = "ada@example.com")]
    pub email: Option<String>,
    pub role: Role,
    /// Whether the team is this person's.
    pub is_owner: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub joined_at: OffsetDateTime,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleBody {
    role: Role,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MembersQuery {
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

impl From<Member> for MemberAnswer {
    fn from(member: Member) -> Self {
        let Member { user_id, name, email, role, is_owner, joined_at } = member;
        Self { user_id, name, email, role, is_owner, joined_at }
    }
}

impl From<MemberError> for Problem {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NotFound => Self::not_found("member"),
            MemberError::IsOwner => Self::conflict("is-owner", error.to_string()),
            MemberError::LastAdmin => Self::conflict("last-admin", error.to_string()),
            MemberError::ActorChanged => Self::conflict("role-changed", error.to_string()),
            MemberError::NotOwner => Self::new(StatusCode::FORBIDDEN, "not-owner", "Not allowed", error.to_string()),
            MemberError::Database(error) => error.into(),
        }
    }
}

/// The members of a team, in the order in which they came
#[utoipa::path(get, path = "/api/teams/{team_id}/members", params(MembersQuery),
    responses((status = 200, description = "One page of members.", body = Page<MemberAnswer>)))]
pub async fn list_members(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    Query(query): Query<MembersQuery>,
) -> ApiResult<Json<Page<MemberAnswer>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let mut conn = app.db.acquire().await?;
    let rows = members::list(&mut conn, member.team_id, paging.from, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.joined_at, row.user_id))))
}

/// Give a member another role
///
/// Not the owner's, and the last admin stays one (409). Of two admins who take the role from each other at once, the second is
/// told (409).
#[utoipa::path(patch, path = "/api/teams/{team_id}/members/{user_id}", request_body = RoleBody,
    responses((status = 200, description = "The member as it is now.", body = MemberAnswer)))]
pub async fn update_member(
    State(app): State<App>,
    member: TeamMember<Admin>,
    _: InPerson,
    Path((team_id, user_id)): Path<(Uuid, Uuid)>,
    JsonBody(body): JsonBody<RoleBody>,
) -> ApiResult<Json<MemberAnswer>> {
    let mut tx = app.db.begin().await?;
    let by = member.caller.user_id;
    let changed = members::change_role(&mut tx, &app.moment(), team_id, by, user_id, body.role).await?;
    tx.commit().await?;
    Ok(Json(changed.into()))
}

/// Remove a member, or leave
///
/// Admins remove others; everybody may leave by naming themselves. The owner and the last admin cannot (409).
#[utoipa::path(delete, path = "/api/teams/{team_id}/members/{user_id}",
    responses((status = 204, description = "Done.")))]
pub async fn remove_member(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    _: InPerson,
    Path((team_id, user_id)): Path<(Uuid, Uuid)>,
) -> ApiResult<StatusCode> {
    let by = member.caller.user_id;
    if by == user_id {
    } else {
        require_role(member.role, Role::Admin)?;
    }
    let mut tx = app.db.begin().await?;
    members::remove(&mut tx, &app.moment(), team_id, by, user_id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
