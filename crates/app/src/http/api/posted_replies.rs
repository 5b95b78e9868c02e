//! Replies that stand on a platform: take one down, change its words. What comes of it stands in the suggestion and its story.

use super::suggestion_answers::ActionAnswer;
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::flow::approve::Decision;
use crate::flow::send::{self, Wanted};
use crate::flow::suggestion::ChangeError;
use crate::http::auth::{Editor, Loaded, SuggestionRef};
use crate::http::body::{JsonBody, Nothing};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviseBody {
    /// What is to stand there.
    #[schema(example = "It does! Any 58 mm basket fits. Edit: not the 53 mm one.")]
    text: String,
    /// You saw what speaks against the text (the answer 409 `held` names it) and want it all the same.
    #[serde(default, alias = "heldSeen")]
    held_seen: bool,
}

/// Take a posted reply down
///
/// It is deleted on the platform, under the same protocol as a send: written down before the call, read back where the answer was lost.
/// While sending is paused it waits, a day at most, and says for what; in a dry run nothing is changed. The same wish again answers with the same change.
#[utoipa::path(post, path = "/api/suggestions/{id}/unpublish", tag = "suggestions",
    responses((status = 202, description = "It will be taken down.", body = ActionAnswer)))]
pub async fn unpublish_suggestion(
    State(app): State<App>,
    wanted: Loaded<SuggestionRef, Editor>,
    _: JsonBody<Nothing>,
) -> ApiResult<(StatusCode, Json<ActionAnswer>)> {
    changed(&app, &wanted, Wanted::Unpublish).await
}

/// Change a posted reply
///
/// The new words replace those that stand on the platform. The suggestion keeps what was approved; the reply beside it has the new words.
#[utoipa::path(post, path = "/api/suggestions/{id}/revise", tag = "suggestions", request_body = ReviseBody,
    responses((status = 202, description = "It will be changed.", body = ActionAnswer)))]
pub async fn revise_suggestion(
    State(app): State<App>,
    wanted: Loaded<SuggestionRef, Editor>,
    JsonBody(body): JsonBody<ReviseBody>,
) -> ApiResult<(StatusCode, Json<ActionAnswer>)> {
    changed(&app, &wanted, Wanted::Revise { text: body.text, held_seen: body.held_seen }).await
}

async fn changed(
    app: &App,
    loaded: &Loaded<SuggestionRef, Editor>,
    wanted: Wanted,
) -> ApiResult<(StatusCode, Json<ActionAnswer>)> {
    let decision = Decision { team_id: loaded.team_id, suggestion_id: loaded.id, by: loaded.caller.user_id };
    match send::change_posted(app, decision, wanted).await {
        Ok(action) => Ok((StatusCode::ACCEPTED, Json(action.into()))),
        Err(ChangeError::Refused(refusal)) if refusal.code == "invalid-text" => {
            Err(Problem::field("text", refusal.detail))
        }
        Err(error) => Err(error.into()),
    }
}
