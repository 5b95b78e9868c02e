//! The state machine, pure. `step` says what a change makes of a state, that it changes nothing (the same request again), or why
//! it is refused. Results of a draft are guarded by their generation, results of a send by their attempt.

use super::change::Change;
use crate::flow::activity::Actor;
use crate::model::{GeneratedBy, Stage, Status, Switch};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// An approval that could not go out for this long goes back to a person: the thread has moved on.
pub const APPROVAL_LASTS: Duration = Duration::hours(24);

/// The part of a suggestion that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub status: Status,
    pub stage: Stage,
    /// Why it stands there, in words for a person.
    pub stage_reason: Option<String>,
    pub version: i32,
    pub generation_id: Uuid,
    pub text: Option<String>,
    pub original_text: Option<String>,
    pub edited: bool,
    /// Drafted anew at a person's wish: who saw the first draft has not seen this one.
    pub redrafted: bool,
    pub alternatives: Vec<String>,
    pub draft: Draft,
    pub send_after: Option<OffsetDateTime>,
    pub lease_until: Option<OffsetDateTime>,
    pub approved_by: Option<Uuid>,
    pub approved_at: Option<OffsetDateTime>,
    pub platform_reply_id: Option<String>,
    pub platform_reply_url: Option<String>,
    pub posted_at: Option<OffsetDateTime>,
    /// Why a person must look before it goes out.
    pub held_reasons: Vec<String>,
    /// Those that stood there when a person approved it all the same.
    pub accepted_reasons: Vec<String>,
    /// Parked until this is turned back.
    pub waits_for: Option<Switch>,
}

/// What the model or the template said besides the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub generated_by: GeneratedBy,
    pub intent_id: Option<Uuid>,
    pub tone: Option<String>,
    pub language: Option<String>,
    pub confidence: Option<f64>,
    pub should_reply: Option<bool>,
    pub reason: Option<String>,
    pub sensitive_topic: Option<String>,
    pub model: Option<String>,
    pub prompt_hash: Option<String>,
    pub tokens_prompt: Option<i64>,
    pub tokens_output: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub detail: String,
}

fn refuse<T>(code: &'static str, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { code, detail: detail.into() })
}

/// `Ok(None)`: the change was made already, or came too late to matter.
pub fn step(state: &State, change: &Change, actor: Actor, now: OffsetDateTime) -> Result<Option<State>, Refusal> {
    let mut next = state.clone();
    next.version += 1;
    let changed = match change {
        Change::Drafted { generation_id, draft, variations, holds } => {
            drafted(&mut next, *generation_id, draft, variations, holds)
        }
        Change::DraftFailed { generation_id, reason } => draft_failed(&mut next, *generation_id, reason),
        Change::Edit { text, version, holds } => edit(&mut next, state, text, *version, holds)?,
        Change::Approve { text, version, send_after, holds } => {
            let approval = Approval { text: text.as_deref(), version: *version, send_after: *send_after, holds };
            approve(&mut next, state, &approval, actor, now)?
        }
        Change::Send { send_after } => send(&mut next, *send_after)?,
        Change::Undo => undo(&mut next)?,
        Change::Reject { reason } => reject(&mut next, reason.as_deref())?,
        Change::Regenerate { generation_id } => regenerate(&mut next, *generation_id)?,
        Change::Retry { send_after } => retry(&mut next, *send_after, actor, now)?,
        Change::Claim { lease_until } => claim(&mut next, *lease_until, now)?,
        Change::Reclaim { lease_until } => reclaim(&mut next, *lease_until, now)?,
        Change::Park { until, reason, waits_for } => park(&mut next, reason, *until, *waits_for)?,
        Change::Resume => resume(&mut next, now),
        Change::Uncertain { reason, look_again_at } => uncertain(&mut next, reason, *look_again_at)?,
        Change::Return { reasons } => return_to_person(&mut next, reasons)?,
        Change::TargetGone { reason } => target_gone(&mut next, reason),
        Change::TargetEdited { reason } => target_edited(&mut next, reason)?,
        Change::Posted { reply_id, url } => posted(&mut next, reply_id, url.as_deref(), now)?,
        Change::Refused { reason } => refused(&mut next, reason)?,
    };
    Ok(changed.then_some(next))
}

fn drafted(next: &mut State, generation_id: Uuid, draft: &Draft, variations: &[String], holds: &[String]) -> bool {
    if next.generation_id != generation_id || next.status != Status::Pending {
        return false;
    }
    match (next.stage, next.edited) {
        // A person wrote meanwhile: their text stands, ours is offered beside it.
        (_, true) => next.alternatives = variations.to_vec(),
        (Stage::Drafting, false) => {
            let before = next.text.take();
            next.text = variations.first().cloned();
            next.original_text.clone_from(&next.text);
            next.alternatives = variations.iter().skip(1).cloned().chain(before).collect();
        }
        // The same draft once more, from a job that ran twice: what people have seen stays.
        _ => return false,
    }
    next.draft = draft.clone();
    next.stage = Stage::Ready;
    next.stage_reason = None;
    let sensitive = draft.sensitive_topic.iter().map(|topic| format!("names a sensitive topic: {topic}"));
    next.held_reasons =
        if next.edited { next.held_reasons.clone() } else { holds.iter().cloned().chain(sensitive).collect() };
    true
}

fn draft_failed(next: &mut State, generation_id: Uuid, reason: &str) -> bool {
    if next.generation_id != generation_id || next.stage != Stage::Drafting {
        return false;
    }
    if next.text.is_some() {
        // Only a further version failed; the one before stays usable.
        next.stage = Stage::Ready;
    } else {
        next.status = Status::Failed;
        next.stage = Stage::Done;
    }
    next.stage_reason = Some(format!("No draft: {reason}"));
    true
}

fn check_version(state: &State, version: Option<i32>) -> Result<(), Refusal> {
    match version {
        Some(seen) if seen != state.version => refuse(
            "version-changed",
            format!("You saw version {seen}, it is now version {}. Look at it again, then decide.", state.version),
        ),
        _ => Ok(()),
    }
}

fn edit(next: &mut State, state: &State, text: &str, version: Option<i32>, holds: &[String]) -> Result<bool, Refusal> {
    match (state.status, state.stage) {
        (Status::Pending, Stage::Ready) => {}
        (Status::Pending, _) => {
            return refuse("still-drafting", "The draft is still being written. Edit it when it is there.");
        }
        (Status::Approved, _) => return refuse("approved", "An approved text cannot change. Undo the approval first."),
        _ => return refuse("closed", format!("It is {} and cannot be edited.", state.status)),
    }
    check_version(state, version)?;
    if state.text.as_deref() == Some(text) {
        return Ok(false);
    }
    next.text = Some(text.to_owned());
    next.edited = true;
    next.held_reasons = holds.to_vec();
    Ok(true)
}

struct Approval<'a> {
    text: Option<&'a str>,
    version: Option<i32>,
    send_after: Option<OffsetDateTime>,
    holds: &'a [String],
}

fn approve(
    next: &mut State,
    state: &State,
    approval: &Approval<'_>,
    actor: Actor,
    now: OffsetDateTime,
) -> Result<bool, Refusal> {
    let &Approval { text, version, send_after, holds } = approval;
    match (state.status, state.stage) {
        (Status::Pending, Stage::Ready) => {}
        (Status::Pending, _) => {
            return refuse("still-drafting", "The draft is still being written. Approve it when it is there.");
        }
        (Status::Approved, Stage::Ready) if send_after.is_some() && same_text(state, text) => {
            queue(next, send_after);
            return Ok(true);
        }
        // The same approval once more, by the same person: nothing to do.
        (Status::Approved | Status::Posted, _) if state.approved_by == actor && same_text(state, text) => {
            return Ok(false);
        }
        (Status::Approved, _) => return refuse("already-approved", "It is approved already."),
        _ => return refuse("closed", format!("It is {} and cannot be approved.", state.status)),
    }
    check_version(state, version)?;
    if version.is_none() && (state.edited || state.redrafted) {
        return refuse(
            "version-needed",
            "The draft was changed since it was first written. Send the version that you saw, so that nobody approves unseen words.",
        );
    }
    if let Some(text) = text
        && state.text.as_deref() != Some(text)
    {
        next.text = Some(text.to_owned());
        next.edited = true;
    }
    let unseen = holds.iter().any(|reason| !state.held_reasons.contains(reason));
    if unseen || (actor.is_none() && !holds.is_empty()) {
        // Nobody has seen these beside the text yet. Approving it again, with them in view, accepts them.
        next.held_reasons = holds.to_vec();
        next.stage_reason = Some(format!("Held: {}", holds.join("; ")));
        return Ok(true);
    }
    next.status = Status::Approved;
    next.stage = Stage::Ready;
    next.stage_reason = None;
    next.approved_by = actor;
    next.approved_at = Some(now);
    next.accepted_reasons = std::mem::take(&mut next.held_reasons);
    if send_after.is_some() {
        queue(next, send_after);
    }
    Ok(true)
}

fn same_text(state: &State, text: Option<&str>) -> bool {
    text.is_none_or(|text| state.text.as_deref() == Some(text))
}

fn queue(next: &mut State, send_after: Option<OffsetDateTime>) {
    next.stage = Stage::Queued;
    next.stage_reason = None;
    next.send_after = send_after;
    next.waits_for = None;
}

fn send(next: &mut State, send_after: OffsetDateTime) -> Result<bool, Refusal> {
    match (next.status, next.stage) {
        (Status::Approved, Stage::Ready) => {
            queue(next, Some(send_after));
            Ok(true)
        }
        (Status::Approved | Status::Posted, _) => Ok(false),
        (Status::Pending, _) => refuse("not-approved", "It is not approved. Approve it first."),
        _ => refuse("closed", format!("It is {} and cannot be sent.", next.status)),
    }
}

fn undo(next: &mut State) -> Result<bool, Refusal> {
    match (next.status, next.stage) {
        (Status::Approved, Stage::Ready | Stage::Queued | Stage::Parked) => {
            back_to_pending(next, None);
            Ok(true)
        }
        (Status::Approved, _) => {
            refuse("already-going-out", "It is already going out and cannot be taken back any more.")
        }
        (Status::Pending, _) => Ok(false),
        _ => refuse("closed", format!("It is {}; there is nothing to undo.", next.status)),
    }
}

fn back_to_pending(next: &mut State, reason: Option<String>) {
    next.status = Status::Pending;
    next.stage = Stage::Ready;
    next.stage_reason = reason;
    next.approved_by = None;
    next.approved_at = None;
    next.send_after = None;
    next.lease_until = None;
    next.waits_for = None;
}

fn reject(next: &mut State, reason: Option<&str>) -> Result<bool, Refusal> {
    match next.status {
        Status::Pending => {
            next.status = Status::Rejected;
            next.stage = Stage::Done;
            next.stage_reason = reason.map(str::to_owned);
            Ok(true)
        }
        Status::Rejected => Ok(false),
        Status::Approved => refuse("approved", "It is approved. Undo the approval first."),
        Status::Posted | Status::Failed => refuse("closed", format!("It is {} and cannot be rejected.", next.status)),
    }
}

fn regenerate(next: &mut State, generation_id: Uuid) -> Result<bool, Refusal> {
    match (next.status, next.stage) {
        (Status::Pending, Stage::Drafting) => return Ok(false),
        (Status::Pending, _) => {}
        (Status::Failed, _) if next.approved_at.is_none() => {}
        (Status::Failed, _) => {
            return refuse("closed", "The reply failed, not the draft. Retry it, or ask for a new draft.");
        }
        (Status::Approved, _) => return refuse("approved", "It is approved. Undo the approval first."),
        _ => return refuse("closed", format!("It is {}. Ask for a new draft instead.", next.status)),
    }
    next.status = Status::Pending;
    next.stage = Stage::Drafting;
    next.stage_reason = None;
    next.generation_id = generation_id;
    // Asking anew gives the text up for replacement; it stays visible until the new one is there, and then among the alternatives.
    next.edited = false;
    next.redrafted = true;
    Ok(true)
}

fn retry(next: &mut State, send_after: OffsetDateTime, actor: Actor, now: OffsetDateTime) -> Result<bool, Refusal> {
    match (next.status, next.stage) {
        (Status::Failed, _) if next.approved_at.is_some() => {
            next.status = Status::Approved;
            next.approved_by = actor;
            next.approved_at = Some(now);
            queue(next, Some(send_after));
            Ok(true)
        }
        (Status::Failed, _) => refuse("no-draft", "Drafting failed; there is no text to send. Regenerate it."),
        (Status::Approved, Stage::Uncertain) => refuse(
            "outcome-unknown",
            "Nobody knows yet whether the reply stands on the platform. It is read back first; sending again now could post it twice.",
        ),
        _ => refuse("not-failed", format!("Only a failed reply can be retried; this one is {}.", next.status)),
    }
}

fn claim(next: &mut State, lease_until: OffsetDateTime, now: OffsetDateTime) -> Result<bool, Refusal> {
    if next.status != Status::Approved || !matches!(next.stage, Stage::Queued | Stage::Parked) {
        return refuse("not-queued", "It is not waiting to be sent.");
    }
    if next.send_after.is_some_and(|at| at > now) {
        return refuse("not-due", "It is not due yet.");
    }
    next.stage = Stage::Sending;
    next.stage_reason = None;
    next.waits_for = None;
    next.lease_until = Some(lease_until);
    Ok(true)
}

fn reclaim(next: &mut State, lease_until: OffsetDateTime, now: OffsetDateTime) -> Result<bool, Refusal> {
    if next.status != Status::Approved || !matches!(next.stage, Stage::Sending | Stage::Uncertain) {
        return refuse("not-in-flight", "It is not in flight.");
    }
    if next.stage == Stage::Sending && next.lease_until.is_some_and(|until| until > now) {
        return refuse("leased", "Another worker holds it.");
    }
    next.stage = Stage::Sending;
    next.lease_until = Some(lease_until);
    Ok(true)
}

fn park(next: &mut State, reason: &str, until: OffsetDateTime, waits_for: Option<Switch>) -> Result<bool, Refusal> {
    if next.status != Status::Approved || next.stage == Stage::Ready {
        return refuse("not-queued", "It is not on its way.");
    }
    next.stage = Stage::Parked;
    next.stage_reason = Some(reason.to_owned());
    next.send_after = Some(until);
    next.waits_for = waits_for;
    next.lease_until = None;
    Ok(true)
}

fn resume(next: &mut State, now: OffsetDateTime) -> bool {
    if next.status != Status::Approved || next.stage != Stage::Parked || next.waits_for.is_none() {
        return false;
    }
    queue(next, Some(now));
    true
}

fn uncertain(next: &mut State, reason: &str, look_again_at: OffsetDateTime) -> Result<bool, Refusal> {
    if next.status != Status::Approved || !matches!(next.stage, Stage::Sending | Stage::Uncertain) {
        return refuse("not-in-flight", "It is not in flight.");
    }
    next.stage = Stage::Uncertain;
    next.stage_reason = Some(reason.to_owned());
    next.send_after = Some(look_again_at);
    next.lease_until = None;
    Ok(true)
}

fn return_to_person(next: &mut State, reasons: &[String]) -> Result<bool, Refusal> {
    if next.status != Status::Approved {
        return refuse("not-approved", "It is not approved.");
    }
    back_to_pending(next, Some(reasons.join("; ")));
    next.held_reasons = reasons.to_vec();
    Ok(true)
}

/// Whether it can still be kept from going out.
fn is_at_rest(state: &State) -> bool {
    match state.status {
        Status::Pending => true,
        Status::Approved => matches!(state.stage, Stage::Ready | Stage::Parked | Stage::Queued),
        _ => false,
    }
}

fn target_gone(next: &mut State, reason: &str) -> bool {
    if !is_at_rest(next) {
        return false;
    }
    next.status = Status::Rejected;
    next.stage = Stage::Done;
    next.stage_reason = Some(reason.to_owned());
    (next.text, next.original_text) = (None, None);
    next.alternatives.clear();
    (next.draft.reason, next.draft.sensitive_topic) = (None, None);
    next.held_reasons.clear();
    next.send_after = None;
    next.waits_for = None;
    true
}

fn target_edited(next: &mut State, reason: &str) -> Result<bool, Refusal> {
    if !is_at_rest(next) || next.held_reasons.iter().any(|held| held == reason) {
        return Ok(false);
    }
    match (next.status, next.stage) {
        (Status::Approved, _) => return_to_person(next, &[reason.to_owned()]),
        // What is being written is written for what stood there.
        (_, Stage::Drafting) => Ok(false),
        _ => {
            next.held_reasons.push(reason.to_owned());
            next.stage_reason = Some(format!("Held: {reason}"));
            Ok(true)
        }
    }
}

fn posted(next: &mut State, reply_id: &str, url: Option<&str>, now: OffsetDateTime) -> Result<bool, Refusal> {
    if next.status == Status::Posted {
        return Ok(false);
    }
    if next.status != Status::Approved {
        return refuse("not-in-flight", "It is not in flight.");
    }
    next.status = Status::Posted;
    next.stage = Stage::Done;
    next.stage_reason = None;
    next.platform_reply_id = Some(reply_id.to_owned());
    next.platform_reply_url = url.map(str::to_owned);
    next.posted_at = Some(now);
    next.held_reasons.clear();
    next.send_after = None;
    next.lease_until = None;
    next.waits_for = None;
    Ok(true)
}

fn refused(next: &mut State, reason: &str) -> Result<bool, Refusal> {
    if next.status != Status::Approved {
        return refuse("not-in-flight", "It is not in flight.");
    }
    next.status = Status::Failed;
    next.stage = Stage::Done;
    next.stage_reason = Some(reason.to_owned());
    next.send_after = None;
    next.lease_until = None;
    next.waits_for = None;
    Ok(true)
}
