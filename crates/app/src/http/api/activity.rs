//! The activity log of a team.

use super::paging::{Page, Paging};
use crate::app::App;
use crate::error::ApiResult;
use crate::flow::activity::{self, ActivityRow};
use crate::http::auth::{TeamMember, Viewer};
use crate::http::body::Query;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActivityQuery {
    /// Only the story of this object.
    subject: Option<Uuid>,
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

/// What happened in a team, the newest first
#[utoipa::path(get, path = "/api/teams/{team_id}/activity", params(ActivityQuery),
    responses((status = 200, description = "One page of the log.", body = Page<ActivityRow>)))]
pub async fn list_activity(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    Query(query): Query<ActivityQuery>,
) -> ApiResult<Json<Page<ActivityRow>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let mut conn = app.db.acquire().await?;
    let rows = activity::list(&mut conn, member.team_id, query.subject, paging.from, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.created_at, row.id))))
}
