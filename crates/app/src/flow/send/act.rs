//! Changing what stands there: a person wants a posted reply edited or taken down. Actor: the job `reply.act`, with the writers of
//! this stage, under the protocol of a send.
//!
//! Always: a change is one row that is written before its call; one change at a time per reply; the switches are looked at when it
//! is asked for and again, held, when it is armed. What meets a switch that stands waits for it, a day at most, and another wish
//! takes its place; when the switch is turned back the sweep goes on with it.
//! A call whose answer was lost leaves the row `uncertain`: the platform is read back, and what is not seen there in the end counts
//! as not done. It is never called again by itself; the person may ask once more.

mod db;
mod job;
mod read_back;

pub use db::{ActionRow, list};
pub(super) use db::{in_flight, left_of, waiting};
pub use job::ReplyAct;

use super::gate::{self, NotNow};
use super::replies::{self, Reply};
use super::rules;
use super::situation::{self, Switches};
use crate::app::App;
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::approve::{Decision, checked_text};
use crate::flow::safety;
use crate::flow::suggestion::{self, ChangeError, Refusal, Suggestion};
use crate::jobs;
use crate::model::{ActionKind, ActionState, ReplyStanding, Status};
use serde_json::json;
use sqlx::PgConnection;

/// What is to become of the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Unpublish,
    /// `held_seen`: the person saw what speaks against the text and wants it all the same.
    Revise {
        text: String,
        held_seen: bool,
    },
}

fn refuse<T>(code: &'static str, detail: impl Into<String>) -> Result<T, ChangeError> {
    Err(ChangeError::Refused(Refusal { code, detail: detail.into() }))
}

/// Takes the wish down and queues it. The same wish again leads to the same row.
pub async fn change_posted(app: &App, decision: Decision, wanted: Wanted) -> Result<ActionRow, ChangeError> {
    let moment = app.moment();
    let mut tx = app.db.begin().await?;
    let suggestion = suggestion::lock(&mut tx, decision.team_id, decision.suggestion_id).await?;
    let suggestion = suggestion.ok_or(ChangeError::NotFound)?;
    let reply = standing_reply(&mut tx, &suggestion).await?;
    let (kind, text) = match &wanted {
        Wanted::Unpublish => (ActionKind::Delete, None),
        Wanted::Revise { text, held_seen } => {
            let text = checked(app, &mut tx, &moment, &suggestion, &reply, text, *held_seen).await?;
            (ActionKind::Edit, Some(text))
        }
    };
    if let Some(open) = db::open_of(&mut tx, suggestion.id).await? {
        if open.kind() == kind && open.text == text {
            return Ok(open);
        }
        if open.waits_for.is_none() {
            return refuse("change-open", "A change of this reply is under way. Look again in a moment.");
        }
        give_way(&mut tx, &moment, &open, decision).await?;
    }
    let account = [suggestion.integration_id];
    let found = situation::load(&mut tx, &app.readers, &account, moment.now, Switches::MayTurn).await?;
    let parked = match gate::check_change(&rules(app), found.get(&suggestion.integration_id)) {
        Ok(()) => None,
        Err(NotNow::WaitFor { switch, reason }) => Some((switch, reason)),
        Err(NotNow::Refused { code, reason }) => return refuse(code, format!("Nothing was changed: {reason}.")),
    };
    let id = db::insert(&mut tx, &moment, &suggestion, &reply, kind, text.as_deref(), decision.by).await?;
    let asked = if kind == ActionKind::Delete { Kind::ReplyUnpublishAsked } else { Kind::ReplyReviseAsked };
    let payload = json!({
        "action_id": id, "platform_reply_id": reply.platform_reply_id,
        "before": { "text": reply.text.as_ref().or(suggestion.state.text.as_ref()) }, "after": { "text": text },
    });
    let subject = Subject::Suggestion(suggestion.id);
    activity::record(&mut tx, &moment, suggestion.team_id, Some(decision.by), asked, subject, payload).await?;
    if let Some((switch, reason)) = &parked {
        db::park(&mut tx, id, *switch, reason).await?;
    }
    let row = db::load(&mut tx, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    if parked.is_none() {
        jobs::enqueue(&mut tx, &ReplyAct::of(&row), moment.now).await?;
    }
    tx.commit().await?;
    Ok(row)
}

/// A change that waits for a switch was never begun: another wish takes its place.
async fn give_way(
    conn: &mut PgConnection,
    moment: &Moment,
    open: &ActionRow,
    decision: Decision,
) -> Result<(), ChangeError> {
    let reason = "another wish took its place before it was begun";
    let next = db::Next { state: ActionState::NotDone, reason: Some(reason), exchange: None };
    db::settle(conn, moment, open.id, &next).await?;
    let payload = json!({ "action_id": open.id, "kind": open.kind, "reason": reason });
    let subject = Subject::Suggestion(open.suggestion_id);
    activity::record(conn, moment, open.team_id, Some(decision.by), Kind::ReplyChangeFailed, subject, payload).await?;
    Ok(())
}

/// The reply, if one of ours still stands there as far as we know.
async fn standing_reply(conn: &mut PgConnection, suggestion: &Suggestion) -> Result<Reply, ChangeError> {
    let held = match suggestion.state.status {
        Status::Posted => replies::hold(conn, suggestion.id).await?,
        _ => None,
    };
    let Some(reply) = held else {
        return refuse("not-posted", format!("No reply of it stands on the platform. {}", suggestion.last_change()));
    };
    match ReplyStanding::from(reply.standing.clone()) {
        // One that moderators removed is still ours to take down.
        ReplyStanding::Here | ReplyStanding::Removed => Ok(reply),
        ReplyStanding::Deleted | ReplyStanding::Unpublished => {
            refuse("not-there", "The reply does not stand on the platform any more; there is nothing to change.")
        }
    }
}

/// The new words as they go out, once nothing speaks against them that the person has not seen.
async fn checked(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    suggestion: &Suggestion,
    reply: &Reply,
    raw: &str,
    held_seen: bool,
) -> Result<String, ChangeError> {
    let integration = crate::accounts::integrations::load(conn, suggestion.team_id, suggestion.integration_id).await?;
    let reader = integration.as_ref().and_then(|integration| app.readers.get(&integration.platform).ok());
    let Some(reader) = reader else { return refuse("not-connected", "The account is not connected any more.") };
    let length = reader.capabilities().length;
    let text = match checked_text(raw, length) {
        Ok(text) => text,
        Err(error) => return refuse("invalid-text", error.to_string()),
    };
    if reply.text.as_ref().or(suggestion.state.text.as_ref()) == Some(&text) {
        return refuse("same-text", "These words stand there already.");
    }
    let holds = safety::holds_for(conn, suggestion, length, &text, moment.now).await?;
    if !holds.is_empty() && !held_seen {
        let reasons = holds.join("; ");
        return refuse("held", format!("Not changed yet, for a person should look once more: {reasons}."));
    }
    Ok(text)
}
