//! What a team follows beside its own posts.

use super::paging::{Page, Paging};
use crate::app::App;
use crate::error::ApiResult;
use crate::flow::watches::{self, NewWatch, WatchError, WatchFields, WatchRow};
use crate::http::auth::{Editor, Loaded, TeamMember, Viewer, WatchRef};
use crate::http::body::{JsonBody, Query};
use crate::model::WatchKind;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct WatchAnswer {
    pub id: Uuid,
    pub team_id: Uuid,
    /// The account that looks, and that would answer.
    pub integration_id: Uuid,
    pub kind: WatchKind,
    /// Name of the community, or the words that are looked for.
    #[schema(example = "espresso")]
    pub text: String,
    /// A keyword in this community only.
    pub community: Option<String>,
    /// Its own switch: off, it finds nothing.
    pub active: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_polled_at: Option<OffsetDateTime>,
    /// Why the last round did not bring everything.
    pub last_problem: Option<String>,
    /// Items in the inbox that it found.
    #[schema(example = 12)]
    pub found: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl From<WatchRow> for WatchAnswer {
    fn from(row: WatchRow) -> Self {
        Self {
            id: row.id,
            team_id: row.team_id,
            integration_id: row.integration_id,
            kind: row.kind(),
            text: row.text,
            community: row.community,
            active: row.active,
            last_polled_at: row.last_polled_at,
            last_problem: row.last_problem,
            found: row.found,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWatchBody {
    /// The account that looks.
    #[serde(alias = "integrationId")]
    integration_id: Uuid,
    #[schema(example = "community")]
    kind: WatchKind,
    /// Name of a community, or the words to look for.
    #[schema(example = "espresso")]
    text: String,
    /// For a keyword: in this community only.
    community: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchBody {
    /// Off, it stops at once.
    active: Option<bool>,
    /// Other words begin anew.
    text: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WatchesQuery {
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

/// What a team follows, the newest first
#[utoipa::path(get, path = "/api/teams/{team_id}/watches", tag = "watches", params(WatchesQuery),
    responses((status = 200, description = "One page of watches.", body = Page<WatchAnswer>)))]
pub async fn list_watches(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    Query(query): Query<WatchesQuery>,
) -> ApiResult<Json<Page<WatchAnswer>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let rows = watches::list(&mut *app.db.acquire().await?, member.team_id, paging.from, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.created_at, row.id))))
}

/// Follow a community or words
///
/// New posts that it finds stand in the inbox, marked with the watch. The first round brings the newest that stand there.
#[utoipa::path(post, path = "/api/teams/{team_id}/watches", tag = "watches", request_body = NewWatchBody,
    responses((status = 201, description = "It looks from now on.", body = WatchAnswer)))]
pub async fn create_watch(
    State(app): State<App>,
    member: TeamMember<Editor>,
    JsonBody(body): JsonBody<NewWatchBody>,
) -> ApiResult<(StatusCode, Json<WatchAnswer>)> {
    let new =
        NewWatch { integration_id: body.integration_id, kind: body.kind, text: body.text, community: body.community };
    let mut tx = app.db.begin().await?;
    let row = watches::create(&mut tx, &app.readers, &app.moment(), member.team_id, member.caller.user_id, new).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// One watch
#[utoipa::path(get, path = "/api/watches/{id}", tag = "watches",
    responses((status = 200, description = "The watch.", body = WatchAnswer)))]
pub async fn get_watch(State(app): State<App>, wanted: Loaded<WatchRef, Viewer>) -> ApiResult<Json<WatchAnswer>> {
    let row = watches::load(&mut *app.db.acquire().await?, wanted.team_id, wanted.id).await?;
    Ok(Json(row.ok_or(WatchError::NotFound("watch"))?.into()))
}

/// Turn a watch on or off, or look for other words
#[utoipa::path(patch, path = "/api/watches/{id}", tag = "watches", request_body = WatchBody,
    responses((status = 200, description = "The watch as it is now.", body = WatchAnswer)))]
pub async fn update_watch(
    State(app): State<App>,
    wanted: Loaded<WatchRef, Editor>,
    JsonBody(body): JsonBody<WatchBody>,
) -> ApiResult<Json<WatchAnswer>> {
    let fields = WatchFields { active: body.active, text: body.text };
    let mut tx = app.db.begin().await?;
    let row = watches::change(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id, fields).await?;
    tx.commit().await?;
    Ok(Json(row.into()))
}

/// Follow it no more
///
/// What it found stays in the inbox.
#[utoipa::path(delete, path = "/api/watches/{id}", tag = "watches", responses((status = 204, description = "Deleted.")))]
pub async fn delete_watch(State(app): State<App>, wanted: Loaded<WatchRef, Editor>) -> ApiResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    watches::delete(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
