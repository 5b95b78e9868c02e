//! A person's decisions on a suggestion. Each is one transaction: the change of state, its activity entry and the job that
//! follows. A lost race is answered with who did what when.

mod round;

use rejoinder_platforms::LengthRule;
pub use round::{Approvals, Approved, Ask};

use crate::clock::Moment;
use crate::flow::ingest::{inbox, normalise};
use crate::flow::safety;
use crate::flow::send::PostSend;
use crate::flow::suggestion::{self, Change, ChangeError, Refusal, Suggestion};
use crate::jobs;
use crate::model::{ItemState, Stage, Status};
use crate::queue;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who decides on which suggestion.
#[derive(Debug, Clone, Copy)]
pub struct Decision {
    pub team_id: Uuid,
    pub suggestion_id: Uuid,
    pub by: Uuid,
}

#[derive(Debug, Clone)]
pub struct Approve {
    pub text: Option<String>,
    pub version: Option<i32>,
    /// Queue it right away; otherwise it waits for `send`.
    pub auto_post: bool,
    /// How long it can be taken back before it goes out.
    pub undo_window: time::Duration,
    /// Of a reply on the platform.
    pub length: LengthRule,
}

#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error("the text is empty")]
    Empty,
    #[error("the text has {has} characters as the platform counts them, and it takes at most {max}")]
    TooLong { has: usize, max: usize },
}

/// The text of a reply as it is stored and sent.
pub fn checked_text(raw: &str, length: LengthRule) -> Result<String, TextError> {
    let text = normalise::text(raw).trim().to_owned();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    let has = length.of(&text);
    if has > length.max {
        return Err(TextError::TooLong { has, max: length.max });
    }
    Ok(text)
}

fn refused(code: &'static str, detail: String) -> ChangeError {
    ChangeError::Refused(Refusal { code, detail })
}

/// Approves; with `auto_post` the send job is enqueued too. Returns the id of the job, the same one when repeated. A suggestion that
/// comes back pending was held: its reasons stand beside it now, and approving it again accepts them.
pub async fn approve(
    conn: &mut PgConnection,
    moment: &Moment,
    decision: Decision,
    approve: Approve,
) -> Result<(Suggestion, Option<i64>), ChangeError> {
    let text = match &approve.text {
        Some(raw) => {
            Some(checked_text(raw, approve.length).map_err(|error| refused("invalid-text", error.to_string()))?)
        }
        None => None,
    };
    let send_after = approve.auto_post.then(|| moment.now + approve.undo_window);
    let current = held(conn, decision).await?;
    let to_post = text.as_deref().or(current.state.text.as_deref()).unwrap_or_default().to_owned();
    let holds = holds(conn, moment, &current, approve.length, &to_post).await?;
    let change = Change::Approve { text, version: approve.version, send_after, holds };
    let suggestion = suggestion::change_held(conn, moment, current, Some(decision.by), change).await?;
    let still_open = suggestion.state.status == Status::Approved;
    let job = if approve.auto_post && still_open { queue_send(conn, &suggestion).await? } else { None };
    forget_edit(conn, decision).await?;
    Ok((suggestion, job))
}

/// Queues an approved suggestion.
pub async fn send(
    conn: &mut PgConnection,
    moment: &Moment,
    decision: Decision,
) -> Result<(Suggestion, Option<i64>), ChangeError> {
    let suggestion = apply(conn, moment, decision, Change::Send { send_after: moment.now }).await?;
    let job = queue_send(conn, &suggestion).await?;
    Ok((suggestion, job))
}

/// Sends a failed reply once more, by a person's word. Never one whose outcome is unknown.
pub async fn retry(
    conn: &mut PgConnection,
    moment: &Moment,
    decision: Decision,
) -> Result<(Suggestion, Option<i64>), ChangeError> {
    let suggestion = apply(conn, moment, decision, Change::Retry { send_after: moment.now }).await?;
    let job = queue_send(conn, &suggestion).await?;
    Ok((suggestion, job))
}

/// Takes an approval back while it has not begun to go out.
pub async fn undo(conn: &mut PgConnection, moment: &Moment, decision: Decision) -> Result<Suggestion, ChangeError> {
    let suggestion = apply(conn, moment, decision, Change::Undo).await?;
    queue::remove(conn, &PostSend::key_of(suggestion.id)).await?;
    Ok(suggestion)
}

/// Closes the suggestion and its item: nobody answers here.
pub async fn reject(
    conn: &mut PgConnection,
    moment: &Moment,
    decision: Decision,
    reason: Option<String>,
) -> Result<Suggestion, ChangeError> {
    let suggestion = apply(conn, moment, decision, Change::Reject { reason }).await?;
    inbox::set_state(conn, moment, decision.team_id, suggestion.item_id, Some(decision.by), ItemState::Done).await?;
    forget_edit(conn, decision).await?;
    Ok(suggestion)
}

/// Stores a changed text. The version that the person saw guards against overwriting another's words.
pub async fn edit(
    conn: &mut PgConnection,
    moment: &Moment,
    decision: Decision,
    raw: &str,
    version: Option<i32>,
    length: LengthRule,
) -> Result<Suggestion, ChangeError> {
    let text = checked_text(raw, length).map_err(|error| refused("invalid-text", error.to_string()))?;
    let current = held(conn, decision).await?;
    let holds = holds(conn, moment, &current, length, &text).await?;
    let change = Change::Edit { text, version, holds };
    let suggestion = suggestion::change_held(conn, moment, current, Some(decision.by), change).await?;
    forget_edit(conn, decision).await?;
    Ok(suggestion)
}

async fn apply(
    conn: &mut PgConnection,
    moment: &Moment,
    decision: Decision,
    change: Change,
) -> Result<Suggestion, ChangeError> {
    suggestion::change(conn, moment, decision.team_id, decision.suggestion_id, Some(decision.by), change).await
}

async fn held(conn: &mut PgConnection, decision: Decision) -> Result<Suggestion, ChangeError> {
    suggestion::lock(conn, decision.team_id, decision.suggestion_id).await?.ok_or(ChangeError::NotFound)
}

/// What the safety checks say of a text that could be posted; not asked where it could not.
async fn holds(
    conn: &mut PgConnection,
    moment: &Moment,
    suggestion: &Suggestion,
    length: LengthRule,
    text: &str,
) -> Result<Vec<String>, sqlx::Error> {
    if suggestion.state.status != Status::Pending {
        return Ok(Vec::new());
    }
    safety::holds_for(conn, suggestion, length, text, moment.now).await
}

/// The job of a queued suggestion, added or left as it is. None where it is past queueing.
async fn queue_send(conn: &mut PgConnection, suggestion: &Suggestion) -> Result<Option<i64>, sqlx::Error> {
    let job = PostSend::of(suggestion);
    if matches!(suggestion.state.stage, Stage::Queued | Stage::Parked)
        && let Some(at) = suggestion.state.send_after
    {
        return jobs::enqueue(conn, &job, at).await.map(Some);
    }
    queue::job_id(conn, &PostSend::key_of(suggestion.id)).await
}

/// A text that a person typed and did not decide on yet; it survives a closed tab. Bumps no version.
#[derive(Debug, Clone)]
pub struct UnsavedEdit {
    pub text: String,
    pub base_version: i32,
    pub updated_at: OffsetDateTime,
}

/// Keeps what a person types. Longer than any platform takes is refused, so that the table stays small.
pub async fn autosave(
    conn: &mut PgConnection,
    moment: &Moment,
    decision: Decision,
    text: &str,
    base_version: i32,
) -> Result<(), ChangeError> {
    if text.chars().count() > normalise::MAX_CHARS {
        return Err(refused("invalid-text", format!("the text has more than {} characters", normalise::MAX_CHARS)));
    }
    let text = text.replace('\0', "");
    let saved = sqlx::query!(
        "insert into draft_edits (suggestion_id, user_id, text, base_version, updated_at)
         select s.id, $3, $4, $5, $6 from suggestions s where s.id = $1 and s.team_id = $2
         on conflict on constraint draft_edits_pkey do update
         set text = excluded.text, base_version = excluded.base_version, updated_at = excluded.updated_at",
        decision.suggestion_id,
        decision.team_id,
        decision.by,
        text,
        base_version,
        moment.now,
    )
    .execute(conn)
    .await?;
    if saved.rows_affected() == 0 { Err(ChangeError::NotFound) } else { Ok(()) }
}

pub async fn unsaved_edit(conn: &mut PgConnection, decision: Decision) -> Result<Option<UnsavedEdit>, sqlx::Error> {
    sqlx::query_as!(
        UnsavedEdit,
        "select e.text, e.base_version, e.updated_at from draft_edits e join suggestions s on s.id = e.suggestion_id
         where e.suggestion_id = $1 and s.team_id = $2 and e.user_id = $3",
        decision.suggestion_id,
        decision.team_id,
        decision.by,
    )
    .fetch_optional(conn)
    .await
}

async fn forget_edit(conn: &mut PgConnection, decision: Decision) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from draft_edits where suggestion_id = $1 and user_id = $2",
        decision.suggestion_id,
        decision.by
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What people typed and did not send, for suggestions whose text to answer is gone.
pub async fn forget_edits(conn: &mut PgConnection, suggestion_ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from draft_edits where suggestion_id = any($1)", suggestion_ids).execute(conn).await?;
    Ok(())
}
