//! Notices of a team: pauses, unknown sends, accounts that want a new consent.

use super::paging::{Page, Paging};
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::flow::notices::{self, NoticeRow, Which};
use crate::http::auth::{Editor, Loaded, NoticeRef, TeamMember, Viewer};
use crate::http::body::{JsonBody, Nothing, Query};
use crate::model::NoticeKind;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct NoticeAnswer {
    pub id: Uuid,
    pub team_id: Uuid,
    pub kind: NoticeKind,
    /// What it is about: "integration", "suggestion", "webhook" or "team".
    #[schema(example = "integration")]
    pub subject_kind: String,
    pub subject_id: Uuid,
    #[schema(
        example = "moka_and_co (Reddit) is paused (holidays). Nothing goes out from it until an admin resumes it on the page Accounts; comments still come in."
    )]
    pub text: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its cause was gone.
    #[serde(with = "time::serde::rfc3339::option")]
    pub resolved_at: Option<OffsetDateTime>,
    /// When a person put it aside.
    #[serde(with = "time::serde::rfc3339::option")]
    pub dismissed_at: Option<OffsetDateTime>,
    pub dismissed_by: Option<Uuid>,
    pub dismissed_by_name: Option<String>,
}

impl From<NoticeRow> for NoticeAnswer {
    fn from(row: NoticeRow) -> Self {
        Self {
            id: row.id,
            team_id: row.team_id,
            kind: row.kind(),
            subject_kind: row.subject_kind,
            subject_id: row.subject_id,
            text: row.text,
            created_at: row.created_at,
            resolved_at: row.resolved_at,
            dismissed_at: row.dismissed_at,
            dismissed_by: row.dismissed_by,
            dismissed_by_name: row.dismissed_by_name,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NoticesQuery {
    /// Only those whose cause still stands and that nobody put aside.
    open: Option<bool>,
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

/// What a team was told, the newest first
#[utoipa::path(get, path = "/api/teams/{team_id}/notices", params(NoticesQuery),
    responses((status = 200, description = "One page of notices.", body = Page<NoticeAnswer>)))]
pub async fn list_notices(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    Query(query): Query<NoticesQuery>,
) -> ApiResult<Json<Page<NoticeAnswer>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let which = if query.open == Some(true) { Which::Open } else { Which::All };
    let mut conn = app.db.acquire().await?;
    let rows = notices::list(&mut conn, member.team_id, which, paging.from, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.created_at, row.id))))
}

/// Put a notice aside, for the whole team
///
/// Its cause, where it still stands, is not touched. Dismissing it again changes nothing.
#[utoipa::path(post, path = "/api/notices/{id}/dismiss",
    responses((status = 200, description = "The notice as it stands.", body = NoticeAnswer)))]
pub async fn dismiss_notice(
    State(app): State<App>,
    wanted: Loaded<NoticeRef, Editor>,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<NoticeAnswer>> {
    let mut tx = app.db.begin().await?;
    notices::dismiss(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    let row = notices::load(&mut tx, wanted.team_id, wanted.id).await?;
    tx.commit().await?;
    Ok(Json(row.ok_or_else(|| Problem::not_found("notice"))?.into()))
}
