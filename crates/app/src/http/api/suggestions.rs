//! Suggestions: asking for one, and a person's decisions. Each decision is one transaction; whoever loses a race gets
//! 409 with who did what, when.

use super::suggestion_answers::{AskedAnswer, JobAnswer, SuggestionAnswer};
use crate::accounts::integrations;
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::flow::approve::{self, Approve, Approved, Decision, TextError, checked_text};
use crate::flow::ingest::{normalise, thread};
use crate::flow::send::{self, Seen};
use crate::flow::suggest::{self, Request, RequestError};
use crate::flow::suggestion::{self, ChangeError, Suggestion};
use crate::http::auth::{Editor, Loaded, PostRef, SuggestionRef};
use crate::http::body::{JsonBody, Nothing};
use crate::model::{Mode, Status};
use crate::request_id;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use rejoinder_platforms::LengthRule;
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

const REASON_CHARS: usize = 500;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskBody {
    /// Draft along this intent; without it the best match.
    #[serde(alias = "intentId")]
    intent_id: Option<Uuid>,
    /// `draft` unless named.
    mode: Option<Mode>,
    /// The comment to answer; without it the post itself.
    #[serde(alias = "commentId")]
    comment_id: Option<Uuid>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostCommentBody {
    #[schema(example = "It does! Any 58 mm basket fits.")]
    text: String,
    /// The comment to answer; without it the post itself.
    #[serde(alias = "commentId")]
    comment_id: Option<Uuid>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditBody {
    #[schema(example = "It does! Any 58 mm basket fits.")]
    text: String,
    /// The version that the new text is based on.
    #[schema(example = 2)]
    version: Option<i32>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// Queue it right away; otherwise it waits for `/send`.
    #[serde(alias = "autoPost", default = "yes")]
    #[schema(default = true)]
    auto_post: bool,
    /// Approve this text instead of the stored one.
    text: Option<String>,
    /// The version that was seen; required once the draft was changed.
    #[schema(example = 2)]
    version: Option<i32>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectBody {
    /// At most 500 characters.
    #[schema(example = "Better not to answer this one.")]
    reason: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveBody {
    /// Address of the reply on the platform.
    #[schema(example = "https://www.reddit.com/r/espresso/comments/1abc/grinder/kx1/")]
    found: Option<String>,
    /// It does not stand there.
    absent: Option<bool>,
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NotFound(what) => Self::not_found(what),
            RequestError::NotEligible { code, reason } => Self::conflict(code, reason),
            RequestError::Database(error) => error.into(),
        }
    }
}

fn wrong_text(error: TextError) -> Problem {
    Problem::field("text", error.to_string())
}

/// Of a reply on the platform.
fn length(app: &App, platform: &str) -> ApiResult<LengthRule> {
    let reader = app.readers.get(platform);
    let reader = reader.map_err(|error| Problem::conflict("not-configured", format!("{error}.")))?;
    Ok(reader.capabilities().length)
}

async fn length_of(app: &App, conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> ApiResult<LengthRule> {
    let suggestion = suggestion::load(conn, team_id, id).await?.ok_or(ChangeError::NotFound)?;
    let integration = integrations::load(conn, team_id, suggestion.integration_id).await?;
    length(app, &integration.ok_or_else(|| Problem::not_found("integration"))?.platform)
}

/// Ask for a draft
///
/// Asking twice for the same target leads to the same open suggestion. The draft is written in the background.
#[utoipa::path(post, path = "/api/posts/{post_id}/suggestions", request_body = AskBody,
    responses((status = 202, description = "The draft will be written.", body = AskedAnswer)))]
pub async fn ask_suggestion(
    State(app): State<App>,
    post: Loaded<PostRef, Editor>,
    JsonBody(body): JsonBody<AskBody>,
) -> ApiResult<(StatusCode, Json<AskedAnswer>)> {
    let wanted = Request {
        post_id: post.id,
        comment_id: body.comment_id,
        intent_id: body.intent_id,
        mode: body.mode.unwrap_or(Mode::Draft),
        text: None,
    };
    let mut tx = app.db.begin().await?;
    let (suggestion, created) =
        suggest::request(&mut tx, &app.moment(), post.team_id, post.caller.user_id, wanted).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(AskedAnswer::new(&suggestion, created))))
}

/// Post a text of one's own
///
/// The same way out as any reply: a suggestion made and approved by the caller, then queued.
#[utoipa::path(post, path = "/api/posts/{post_id}/post-comment", request_body = PostCommentBody,
    responses((status = 202, description = "The reply is queued.", body = JobAnswer)))]
pub async fn post_comment(
    State(app): State<App>,
    post: Loaded<PostRef, Editor>,
    JsonBody(body): JsonBody<PostCommentBody>,
) -> ApiResult<(StatusCode, Json<JobAnswer>)> {
    let (team_id, by) = (post.team_id, post.caller.user_id);
    let moment = app.moment();
    let mut tx = app.db.begin().await?;
    let row = thread::post(&mut tx, team_id, post.id).await?.ok_or_else(|| Problem::not_found("post"))?;
    let length = length(&app, &row.platform)?;
    let text = checked_text(&body.text, length).map_err(wrong_text)?;
    let wanted =
        Request { post_id: post.id, comment_id: body.comment_id, intent_id: None, mode: Mode::Draft, text: Some(text) };
    let (suggestion, created) = suggest::request(&mut tx, &moment, team_id, by, wanted).await?;
    if !created {
        let detail =
            format!("A suggestion for it is open already: approve or reject /api/suggestions/{}.", suggestion.id);
        return Err(Problem::conflict("suggestion-open", detail));
    }
    let approval = Approve { text: None, version: None, auto_post: true, undo_window: undo_window(&app), length };
    let decision = Decision { team_id, suggestion_id: suggestion.id, by };
    let (suggestion, job) = approve::approve(&mut tx, &moment, decision, approval).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, approved(&suggestion, job)?))
}

fn undo_window(app: &App) -> time::Duration {
    app.config.timing.undo_api.try_into().unwrap_or(time::Duration::ZERO)
}

type Wanted = Loaded<SuggestionRef, Editor>;

fn decision(wanted: &Wanted) -> Decision {
    Decision { team_id: wanted.team_id, suggestion_id: wanted.id, by: wanted.caller.user_id }
}

fn as_it_is_now(suggestion: Suggestion) -> Json<SuggestionAnswer> {
    Json(suggestion.into())
}

/// Change the text
#[utoipa::path(patch, path = "/api/suggestions/{id}", request_body = EditBody,
    responses((status = 200, description = "The suggestion as it is now.", body = SuggestionAnswer)))]
pub async fn edit_suggestion(
    State(app): State<App>,
    wanted: Wanted,
    JsonBody(body): JsonBody<EditBody>,
) -> ApiResult<Json<SuggestionAnswer>> {
    let mut tx = app.db.begin().await?;
    let length = length_of(&app, &mut tx, wanted.team_id, wanted.id).await?;
    let text = checked_text(&body.text, length).map_err(wrong_text)?;
    let edited = approve::edit(&mut tx, &app.moment(), decision(&wanted), &text, body.version, length).await?;
    tx.commit().await?;
    Ok(as_it_is_now(edited))
}

/// Approve, and queue it for posting
///
/// The same approval again by the same person answers with the same job.
#[utoipa::path(post, path = "/api/suggestions/{id}/approve", request_body = ApproveBody,
    responses((status = 200, description = "Approved.", body = JobAnswer)))]
pub async fn approve_suggestion(
    State(app): State<App>,
    wanted: Wanted,
    JsonBody(body): JsonBody<ApproveBody>,
) -> ApiResult<Json<JobAnswer>> {
    let ask = approve::Ask {
        decision: decision(&wanted),
        text: body.text.clone(),
        version: body.version,
        auto_post: body.auto_post,
        undo_window: undo_window(&app),
        request_id: request_id::current(),
    };
    if let Approved::Decided(decided) = app.approvals.ask(ask).await? {
        let (suggestion, job) = *decided?;
        return approved(&suggestion, job);
    }
    let mut tx = app.db.begin().await?;
    let length = length_of(&app, &mut tx, wanted.team_id, wanted.id).await?;
    let text = body.text.as_deref().map(|raw| checked_text(raw, length)).transpose().map_err(wrong_text)?;
    let approval =
        Approve { text, version: body.version, auto_post: body.auto_post, undo_window: undo_window(&app), length };
    let (suggestion, job) = approve::approve(&mut tx, &app.moment(), decision(&wanted), approval).await?;
    tx.commit().await?;
    approved(&suggestion, job)
}

/// The answer to an approval. One that was held stands pending with its reasons beside it.
fn approved(suggestion: &Suggestion, job: Option<i64>) -> ApiResult<Json<JobAnswer>> {
    match &suggestion.state {
        state if state.status == Status::Pending => Err(Problem::conflict(
            "held",
            format!(
                "Not approved yet, for a person should look once more: {}. Approve version {} of suggestion {} to send it all the same.",
                state.held_reasons.join("; "),
                state.version,
                suggestion.id,
            ),
        )),
        _ => Ok(Json(JobAnswer::new(suggestion, job))),
    }
}

/// Reject: nobody answers here
#[utoipa::path(post, path = "/api/suggestions/{id}/reject", request_body = RejectBody,
    responses((status = 200, description = "Rejected; its item is closed.", body = SuggestionAnswer)))]
pub async fn reject_suggestion(
    State(app): State<App>,
    wanted: Wanted,
    JsonBody(body): JsonBody<RejectBody>,
) -> ApiResult<Json<SuggestionAnswer>> {
    let reason = body.reason.map(|reason| normalise::text(&reason).trim().to_owned());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS) {
        return Err(Problem::field("reason", format!("may have at most {REASON_CHARS} characters")));
    }
    let reason = reason.filter(|reason| !reason.is_empty());
    let mut tx = app.db.begin().await?;
    let rejected = approve::reject(&mut tx, &app.moment(), decision(&wanted), reason).await?;
    tx.commit().await?;
    Ok(as_it_is_now(rejected))
}

/// Queue an approved suggestion
#[utoipa::path(post, path = "/api/suggestions/{id}/send",
    responses((status = 200, description = "Queued.", body = JobAnswer)))]
pub async fn send_suggestion(
    State(app): State<App>,
    wanted: Wanted,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<JobAnswer>> {
    let mut tx = app.db.begin().await?;
    let (suggestion, job) = approve::send(&mut tx, &app.moment(), decision(&wanted)).await?;
    tx.commit().await?;
    Ok(Json(JobAnswer::new(&suggestion, job)))
}

/// Take an approval back
///
/// Possible until it begins to go out.
#[utoipa::path(post, path = "/api/suggestions/{id}/undo",
    responses((status = 200, description = "Pending again.", body = SuggestionAnswer)))]
pub async fn undo_suggestion(
    State(app): State<App>,
    wanted: Wanted,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<SuggestionAnswer>> {
    let mut tx = app.db.begin().await?;
    let undone = approve::undo(&mut tx, &app.moment(), decision(&wanted)).await?;
    tx.commit().await?;
    Ok(as_it_is_now(undone))
}

/// Send a failed reply once more
///
/// Only where nothing of it can be on the platform.
#[utoipa::path(post, path = "/api/suggestions/{id}/retry",
    responses((status = 200, description = "Queued again.", body = JobAnswer)))]
pub async fn retry_suggestion(
    State(app): State<App>,
    wanted: Wanted,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<JobAnswer>> {
    let mut tx = app.db.begin().await?;
    let (suggestion, job) = approve::retry(&mut tx, &app.moment(), decision(&wanted)).await?;
    tx.commit().await?;
    Ok(Json(JobAnswer::new(&suggestion, job)))
}

/// Settle a reply whose outcome nobody could find out
///
/// A person looked on the platform: it stands there, or it does not. Possible once the platform cannot show it late any more.
/// The address is read: it must lead to a reply of the account to the same text.
#[utoipa::path(post, path = "/api/suggestions/{id}/resolve", request_body = ResolveBody,
    responses((status = 200, description = "Posted, or pending again.", body = SuggestionAnswer)))]
pub async fn resolve_suggestion(
    State(app): State<App>,
    wanted: Wanted,
    JsonBody(body): JsonBody<ResolveBody>,
) -> ApiResult<Json<SuggestionAnswer>> {
    let seen = match (body.found.as_deref(), body.absent.unwrap_or(false)) {
        (Some(address), false) => Seen::found(address)?,
        (None, true) => Seen::Absent,
        (Some(_), true) => {
            return Err(Problem::field("absent", "cannot be true beside `found`: it stands there or it does not"));
        }
        (None, false) => {
            return Err(Problem::field(
                "found",
                "is missing: give the address of the reply, or say {\"absent\": true}",
            ));
        }
    };
    Ok(as_it_is_now(send::resolve(&app, decision(&wanted), seen).await?))
}

/// Ask for the draft anew
///
/// The old text stays until the new one is there.
#[utoipa::path(post, path = "/api/suggestions/{id}/regenerate",
    responses((status = 202, description = "A new draft will be written.", body = SuggestionAnswer)))]
pub async fn regenerate_suggestion(
    State(app): State<App>,
    wanted: Wanted,
    _: JsonBody<Nothing>,
) -> ApiResult<(StatusCode, Json<SuggestionAnswer>)> {
    let mut tx = app.db.begin().await?;
    let actor = wanted.caller.user_id;
    let suggestion = suggest::regenerate(&mut tx, &app.moment(), wanted.team_id, wanted.id, actor).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, as_it_is_now(suggestion)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::parse;

    #[test]
    fn the_camel_case_names_of_fields_are_taken_too() {
        let id = Uuid::from_u128(7);
        let asked: AskBody = parse(format!(r#"{{"intentId":"{id}","commentId":"{id}"}}"#).as_bytes()).unwrap();
        assert_eq!((asked.intent_id, asked.comment_id, asked.mode), (Some(id), Some(id), None));
        let approval: ApproveBody = parse(br#"{"autoPost":false}"#).unwrap();
        assert!(!approval.auto_post);
    }

    #[test]
    fn an_approval_is_sent_unless_it_says_otherwise() {
        assert!(parse::<ApproveBody>(b"{}").unwrap().auto_post);
    }

    #[test]
    fn a_missing_or_misspelt_field_is_named() {
        let missing = parse::<PostCommentBody>(b"{}").unwrap_err();
        assert_eq!((missing.status, missing.errors[0].field.as_str()), (422, "text"));
        let misspelt = parse::<ApproveBody>(br#"{"autopost":true}"#).unwrap_err();
        assert_eq!((misspelt.status, misspelt.errors[0].field.as_str()), (422, "autopost"));
        let wrong = parse::<AskBody>(br#"{"mode":"quick"}"#).unwrap_err();
        assert_eq!((wrong.status, wrong.errors[0].field.as_str()), (422, "mode"));
    }

    #[test]
    fn what_cannot_be_drafted_says_why() {
        let refused = Problem::from(RequestError::NotEligible { code: "locked", reason: "It is locked.".to_owned() });
        assert_eq!((refused.status, refused.detail.as_str()), (409, "It is locked."));
        assert!(refused_kind(&refused).ends_with("/locked"));
        assert_eq!(Problem::from(RequestError::NotFound("comment")).status, 404);
    }

    fn refused_kind(problem: &Problem) -> String {
        serde_json::to_value(problem).unwrap()["type"].as_str().unwrap().to_owned()
    }
}
