//! What the API says about suggestions.

use crate::flow::send::replies::Reply;
use crate::flow::send::{ActionRow, Attempt};
use crate::flow::story::Step;
use crate::flow::suggestion::{Card, Suggestion};
use crate::model::{ActionKind, ActionState, GeneratedBy, Mode, Outcome, ReplyStanding, Stage, Status, TargetKind};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A suggestion in full.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuggestionAnswer {
    pub id: Uuid,
    pub team_id: Uuid,
    pub integration_id: Uuid,
    pub item_id: Uuid,
    pub post_id: Uuid,
    pub comment_id: Option<Uuid>,
    pub target_kind: TargetKind,
    /// What the reply answers, as the platform names it.
    #[schema(example = "t1_2fghij")]
    pub target_platform_id: String,
    pub generated_by: GeneratedBy,
    pub mode: Mode,
    pub status: Status,
    pub stage: Stage,
    /// Why it stands there, in words for a person.
    pub stage_reason: Option<String>,
    #[schema(example = json!(["links to a host that the team did not name"]))]
    pub held_reasons: Vec<String>,
    /// Rises with each change; name the one that you saw when you edit or approve.
    #[schema(example = 2)]
    pub version: i32,
    /// Null while it is being drafted.
    #[schema(example = "It does! Any 58 mm basket fits.")]
    pub text: Option<String>,
    pub original_text: Option<String>,
    pub edited: bool,
    #[schema(example = json!(["Yes, any 58 mm basket."]))]
    pub alternatives: Vec<String>,
    pub intent_id: Option<Uuid>,
    pub tone: Option<String>,
    #[schema(example = "en")]
    pub language: Option<String>,
    /// From 0 to 1.
    #[schema(example = 0.87)]
    pub confidence: Option<f64>,
    pub should_reply: Option<bool>,
    pub draft_reason: Option<String>,
    pub sensitive_topic: Option<String>,
    pub model: Option<String>,
    pub tokens_prompt: Option<i64>,
    pub tokens_output: Option<i64>,
    /// When it goes out, once it is queued.
    #[serde(with = "time::serde::rfc3339::option")]
    pub send_after: Option<OffsetDateTime>,
    pub approved_by: Option<Uuid>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub approved_at: Option<OffsetDateTime>,
    pub platform_reply_id: Option<String>,
    pub platform_reply_url: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A suggestion with what was tried to post it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuggestionStory {
    #[serde(flatten)]
    pub suggestion: SuggestionAnswer,
    /// The oldest first.
    pub attempts: Vec<AttemptAnswer>,
    /// What stands on the platform; null while nothing was posted.
    pub reply: Option<ReplyAnswer>,
    /// What people wanted changed there, the oldest first.
    pub actions: Vec<ActionAnswer>,
}

/// A reply as it stands on the platform.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplyAnswer {
    #[schema(example = "t1_2fghij")]
    pub platform_reply_id: String,
    /// As it was seen last: `removed` by moderators or a filter, `deleted` by its account, `unpublished` by us.
    pub standing: ReplyStanding,
    /// The words there, where they were changed after posting; null: as approved.
    pub text: Option<String>,
    #[schema(example = "r/espresso")]
    pub community: Option<String>,
    #[schema(example = 3)]
    pub score: Option<i64>,
    #[serde(with = "time::serde::rfc3339")]
    pub posted_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub edited_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub gone_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub checked_at: Option<OffsetDateTime>,
}

/// A change of a posted reply that a person wants.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActionAnswer {
    pub id: Uuid,
    pub suggestion_id: Uuid,
    pub kind: ActionKind,
    pub state: ActionState,
    /// Why it was not done, or not yet.
    pub reason: Option<String>,
    /// What an edit is to make of it.
    pub text: Option<String>,
    pub requested_by: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

/// What happened to a suggestion.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoryAnswer {
    /// The oldest first.
    pub steps: Vec<Step>,
}

/// One try to post.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptAnswer {
    pub id: Uuid,
    #[schema(example = 1)]
    pub number: i32,
    pub outcome: Outcome,
    pub reason: Option<String>,
    /// HTTP status of the platform's answer.
    #[schema(example = 200)]
    pub status: Option<i16>,
    /// What was sent, without tokens.
    pub request: Value,
    pub answer: Value,
    pub platform_reply_id: Option<String>,
    /// How often the platform was read back without finding the reply.
    pub absent_reads: i32,
    #[serde(with = "time::serde::rfc3339")]
    pub armed_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

/// A suggestion in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuggestionCard {
    pub id: Uuid,
    pub item_id: Uuid,
    pub post_id: Uuid,
    pub comment_id: Option<Uuid>,
    pub status: Status,
    pub stage: Stage,
    pub stage_reason: Option<String>,
    pub text: Option<String>,
    pub confidence: Option<f64>,
    pub intent_id: Option<Uuid>,
    pub version: i32,
    #[serde(with = "time::serde::rfc3339::option")]
    pub send_after: Option<OffsetDateTime>,
    pub platform_reply_url: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A suggestion that was asked for. The id stands there under both spellings.
#[derive(Debug, Serialize, ToSchema)]
pub struct AskedAnswer {
    pub suggestion_id: Uuid,
    #[serde(rename = "suggestionId")]
    pub suggestion_id_camel: Uuid,
    #[schema(example = "pending")]
    pub status: Status,
    pub stage: Stage,
    /// False when an open suggestion for the same target was there already: this is it.
    pub created: bool,
}

/// A reply on its way. The ids stand there under both spellings.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobAnswer {
    pub suggestion_id: Uuid,
    #[serde(rename = "suggestionId")]
    pub suggestion_id_camel: Uuid,
    /// Null when it is not queued: it waits for `/send`, or has gone out already.
    #[schema(example = "4711")]
    pub job_id: Option<String>,
    #[serde(rename = "jobId")]
    #[schema(example = "4711")]
    pub job_id_camel: Option<String>,
    #[schema(example = "approved")]
    pub status: Status,
    pub stage: Stage,
    pub version: i32,
    #[serde(with = "time::serde::rfc3339::option")]
    pub send_after: Option<OffsetDateTime>,
}

impl AskedAnswer {
    pub fn new(suggestion: &Suggestion, created: bool) -> Self {
        Self {
            suggestion_id: suggestion.id,
            suggestion_id_camel: suggestion.id,
            status: suggestion.state.status,
            stage: suggestion.state.stage,
            created,
        }
    }
}

impl JobAnswer {
    pub fn new(suggestion: &Suggestion, job: Option<i64>) -> Self {
        let job_id = job.map(|id| id.to_string());
        Self {
            suggestion_id: suggestion.id,
            suggestion_id_camel: suggestion.id,
            job_id: job_id.clone(),
            job_id_camel: job_id,
            status: suggestion.state.status,
            stage: suggestion.state.stage,
            version: suggestion.state.version,
            send_after: suggestion.state.send_after,
        }
    }
}

impl From<Suggestion> for SuggestionAnswer {
    fn from(suggestion: Suggestion) -> Self {
        let (state, target) = (suggestion.state, suggestion.target);
        let draft = state.draft;
        Self {
            id: suggestion.id,
            team_id: suggestion.team_id,
            integration_id: suggestion.integration_id,
            item_id: suggestion.item_id,
            post_id: suggestion.post_id,
            comment_id: suggestion.comment_id,
            target_kind: target.kind,
            target_platform_id: target.platform_id,
            generated_by: draft.generated_by,
            mode: suggestion.mode,
            status: state.status,
            stage: state.stage,
            stage_reason: state.stage_reason,
            held_reasons: state.held_reasons,
            version: state.version,
            text: state.text,
            original_text: state.original_text,
            edited: state.edited,
            alternatives: state.alternatives,
            intent_id: draft.intent_id,
            tone: draft.tone,
            language: draft.language,
            confidence: draft.confidence,
            should_reply: draft.should_reply,
            draft_reason: draft.reason,
            sensitive_topic: draft.sensitive_topic,
            model: draft.model,
            tokens_prompt: draft.tokens_prompt,
            tokens_output: draft.tokens_output,
            send_after: state.send_after,
            approved_by: state.approved_by,
            approved_at: state.approved_at,
            platform_reply_id: state.platform_reply_id,
            platform_reply_url: state.platform_reply_url,
            created_at: suggestion.created_at,
            updated_at: suggestion.updated_at,
        }
    }
}

impl From<Attempt> for AttemptAnswer {
    fn from(row: Attempt) -> Self {
        Self {
            id: row.id,
            number: row.number,
            outcome: row.outcome.into(),
            reason: row.reason,
            status: row.status,
            request: row.request,
            answer: row.answer,
            platform_reply_id: row.platform_reply_id,
            absent_reads: row.absent_reads,
            armed_at: row.armed_at,
            finished_at: row.finished_at,
        }
    }
}

impl From<Reply> for ReplyAnswer {
    fn from(row: Reply) -> Self {
        Self {
            platform_reply_id: row.platform_reply_id,
            standing: row.standing.into(),
            text: row.text,
            community: row.community,
            score: row.score,
            posted_at: row.posted_at,
            edited_at: row.edited_at,
            gone_at: row.gone_at,
            checked_at: row.checked_at,
        }
    }
}

impl From<ActionRow> for ActionAnswer {
    fn from(row: ActionRow) -> Self {
        Self {
            id: row.id,
            suggestion_id: row.suggestion_id,
            kind: row.kind(),
            state: row.state(),
            reason: row.reason,
            text: row.text,
            requested_by: row.requested_by,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

impl From<Card> for SuggestionCard {
    fn from(row: Card) -> Self {
        Self {
            id: row.id,
            item_id: row.item_id,
            post_id: row.post_id,
            comment_id: row.comment_id,
            status: row.status.into(),
            stage: row.stage.into(),
            stage_reason: row.stage_reason,
            text: row.text,
            confidence: row.confidence,
            intent_id: row.intent_id,
            version: row.version,
            send_after: row.send_after,
            platform_reply_url: row.platform_reply_url,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
