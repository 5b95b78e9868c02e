//! Suggestions as they stand: lists, one in full, its story. Viewers too.

use super::paging::{Page, Paging};
use super::suggestion_answers::{StoryAnswer, SuggestionCard, SuggestionStory};
use crate::app::App;
use crate::error::ApiResult;
use crate::flow::suggestion::{self, ChangeError, Filter};
use crate::flow::{send, story};
use crate::http::auth::{Loaded, SuggestionRef, TeamMember, Viewer};
use crate::http::body::Query;
use crate::model::{Stage, Status};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SuggestionsQuery {
    /// Only suggestions of this status.
    status: Option<Status>,
    /// Only suggestions at this point of their way; `uncertain` are those of which nobody knows whether they stand there.
    stage: Option<Stage>,
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The suggestions of a team, the newest first
#[utoipa::path(get, path = "/api/teams/{team_id}/suggestions", tag = "suggestions", params(SuggestionsQuery),
    responses((status = 200, description = "One page of suggestions.", body = Page<SuggestionCard>)))]
pub async fn list_suggestions(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    Query(query): Query<SuggestionsQuery>,
) -> ApiResult<Json<Page<SuggestionCard>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let status = query.status.or(query.stage.and_then(Stage::status));
    let filter = Filter { status, stage: query.stage, item_id: None, before: paging.from };
    let rows = suggestion::list(&mut *app.db.acquire().await?, member.team_id, filter, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.created_at, row.id))))
}

/// One suggestion with what was tried to post it
#[utoipa::path(get, path = "/api/suggestions/{id}", tag = "suggestions",
    responses((status = 200, description = "The suggestion.", body = SuggestionStory)))]
pub async fn get_suggestion(
    State(app): State<App>,
    wanted: Loaded<SuggestionRef, Viewer>,
) -> ApiResult<Json<SuggestionStory>> {
    let mut conn = app.db.acquire().await?;
    let row = suggestion::load(&mut conn, wanted.team_id, wanted.id).await?.ok_or(ChangeError::NotFound)?;
    let attempts = send::attempts(&mut conn, wanted.team_id, wanted.id).await?;
    let reply = send::replies::load(&mut conn, wanted.team_id, wanted.id).await?;
    let actions = send::actions(&mut conn, wanted.team_id, wanted.id).await?;
    Ok(Json(SuggestionStory {
        suggestion: row.into(),
        attempts: attempts.into_iter().map(Into::into).collect(),
        reply: reply.map(Into::into),
        actions: actions.into_iter().map(Into::into).collect(),
    }))
}

/// What happened to a suggestion, step by step
///
/// Who drafted, changed and approved it, what it waited for, each attempt with its answer, each look on the platform.
#[utoipa::path(get, path = "/api/suggestions/{id}/story", tag = "suggestions",
    responses((status = 200, description = "Its life so far.", body = StoryAnswer)))]
pub async fn suggestion_story(
    State(app): State<App>,
    wanted: Loaded<SuggestionRef, Viewer>,
) -> ApiResult<Json<StoryAnswer>> {
    let mut conn = app.db.acquire().await?;
    let steps = story::of(&mut conn, wanted.team_id, wanted.id).await?;
    Ok(Json(StoryAnswer { steps }))
}
