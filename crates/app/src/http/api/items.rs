//! The inbox of a team: what waits for an answer, and closing it without one of ours.

use super::paging::{Page, Paging};
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::flow::ingest::inbox::{self, Filter, ItemRow};
use crate::flow::ingest::normalise;
use crate::http::auth::{Editor, ItemRef, Loaded, TeamMember, Viewer};
use crate::http::body::{JsonBody, Nothing, Query};
use crate::model::{ItemState, Stage, Status, TargetKind, WatchKind};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

const SEARCH_CHARS: usize = 200;

#[derive(Debug, Serialize, ToSchema)]
pub struct ItemAnswer {
    pub id: Uuid,
    pub integration_id: Uuid,
    #[schema(example = "reddit")]
    pub platform: String,
    pub target_kind: TargetKind,
    #[schema(example = "t1_2fghij")]
    pub target_platform_id: String,
    pub post_id: Uuid,
    pub comment_id: Option<Uuid>,
    pub state: ItemState,
    pub post_title: Option<String>,
    #[schema(example = "r/espresso")]
    pub community: Option<String>,
    pub author_handle: Option<String>,
    /// The first 240 characters of what is to be answered.
    pub excerpt: Option<String>,
    /// The latest suggestion for it, if there is one.
    pub suggestion: Option<ItemSuggestion>,
    /// What the watch that found it follows; null: it came from the account's own posts.
    pub found_by: Option<FoundBy>,
    #[serde(with = "time::serde::rfc3339")]
    pub last_activity_at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FoundBy {
    pub kind: WatchKind,
    #[schema(example = "grinder")]
    pub text: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ItemSuggestion {
    pub id: Uuid,
    pub status: Status,
    pub stage: Stage,
    pub stage_reason: Option<String>,
    pub confidence: Option<f64>,
    pub intent_name: Option<String>,
}

impl From<ItemRow> for ItemAnswer {
    fn from(row: ItemRow) -> Self {
        let suggestion = match (row.suggestion_id, row.suggestion_status, row.suggestion_stage) {
            (Some(id), Some(status), Some(stage)) => Some(ItemSuggestion {
                id,
                status: status.into(),
                stage: stage.into(),
                stage_reason: row.suggestion_reason,
                confidence: row.suggestion_confidence,
                intent_name: row.intent_name,
            }),
            _ => None,
        };
        Self {
            id: row.id,
            integration_id: row.integration_id,
            platform: row.platform,
            target_kind: row.target_kind.into(),
            target_platform_id: row.target_platform_id,
            post_id: row.post_id,
            comment_id: row.comment_id,
            state: row.state.into(),
            post_title: row.post_title,
            community: row.community,
            author_handle: row.author_handle,
            excerpt: row.excerpt,
            suggestion,
            found_by: row.watch_kind.zip(row.watch_text).map(|(kind, text)| FoundBy { kind: kind.into(), text }),
            last_activity_at: row.last_activity_at,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ItemsQuery {
    /// Only items in this state; without it all.
    state: Option<ItemState>,
    /// Only items whose text, title or author contains this.
    #[param(max_length = 200)]
    q: Option<String>,
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The inbox, the latest activity first
#[utoipa::path(get, path = "/api/teams/{team_id}/items", params(ItemsQuery),
    responses((status = 200, description = "One page of items.", body = Page<ItemAnswer>)))]
pub async fn list_items(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    Query(query): Query<ItemsQuery>,
) -> ApiResult<Json<Page<ItemAnswer>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    // As strangers' texts are stored, so that they can be found.
    let search = query.q.map(|text| normalise::line(&text, SEARCH_CHARS + 1)).filter(|text| !text.is_empty());
    if search.as_ref().is_some_and(|text| text.chars().count() > SEARCH_CHARS) {
        return Err(Problem::field("q", format!("may have at most {SEARCH_CHARS} characters")));
    }
    let filter = Filter { state: query.state, search, before: paging.from, only: None };
    let rows = inbox::list(&mut *app.db.acquire().await?, member.team_id, &filter, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.last_activity_at, row.id))))
}

/// Close an item: nobody answers it
#[utoipa::path(post, path = "/api/items/{id}/done",
    responses((status = 200, description = "The item, closed.", body = ItemAnswer)))]
pub async fn item_done(
    State(app): State<App>,
    item: Loaded<ItemRef, Editor>,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<ItemAnswer>> {
    close(&app, item, ItemState::Done).await
}

/// Close an item: it was answered on the platform itself
#[utoipa::path(post, path = "/api/items/{id}/answered-elsewhere",
    responses((status = 200, description = "The item, closed.", body = ItemAnswer)))]
pub async fn item_answered_elsewhere(
    State(app): State<App>,
    item: Loaded<ItemRef, Editor>,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<ItemAnswer>> {
    close(&app, item, ItemState::AnsweredElsewhere).await
}

async fn close(app: &App, item: Loaded<ItemRef, Editor>, state: ItemState) -> ApiResult<Json<ItemAnswer>> {
    let (team_id, actor) = (item.team_id, Some(item.caller.user_id));
    let mut tx = app.db.begin().await?;
    inbox::set_state(&mut tx, &app.moment(), team_id, item.id, actor, state)
        .await?
        .ok_or_else(|| Problem::not_found("item"))?;
    let filter = Filter { only: Some(item.id), ..Filter::default() };
    let row = inbox::list(&mut tx, team_id, &filter, 1).await?.pop().ok_or_else(|| Problem::not_found("item"))?;
    tx.commit().await?;
    Ok(Json(row.into()))
}
