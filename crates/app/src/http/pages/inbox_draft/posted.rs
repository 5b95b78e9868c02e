//! From rows to the state of a reply that went out: what stands there, what a person wants done to it.

use super::load::approver;
use super::{DraftState, Mishap, Posted};
use crate::flow::send::{self, ActionRow};
use crate::flow::suggestion::Suggestion;
use crate::http::pages::marks::Mark;
use crate::http::pages::words::WebLink;
use crate::model::{ActionKind, ActionState, ReplyStanding};
use sqlx::PgConnection;

pub(super) async fn state(
    conn: &mut PgConnection,
    suggestion: &Suggestion,
    mark: &Mark,
    mishap: &Mishap,
) -> Result<DraftState, sqlx::Error> {
    let reply = send::replies::load(conn, suggestion.team_id, suggestion.id).await?;
    let last = send::actions(conn, suggestion.team_id, suggestion.id).await?.pop();
    let standing = reply.as_ref().map_or(ReplyStanding::Here, |reply| reply.standing.clone().into());
    let revised = reply.as_ref().and_then(|reply| reply.text.clone());
    let text = revised.or(suggestion.state.text.clone()).unwrap_or_default();
    if let (ReplyStanding::Unpublished, Some(reply)) = (standing, &reply) {
        let by = reply.unpublished_by_name.clone().unwrap_or_else(|| "somebody".to_owned());
        return Ok(DraftState::Unpublished { text, by, at: reply.gone_at.unwrap_or(suggestion.updated_at) });
    }
    let place = reply.as_ref().and_then(|reply| reply.community.clone()).unwrap_or_else(|| mark.name.clone());
    let gone = match standing {
        ReplyStanding::Removed => Some(format!("Removed by moderators or a filter of {place}.")),
        ReplyStanding::Deleted => Some(format!("Deleted on {}; it does not stand there any more.", mark.name)),
        ReplyStanding::Here | ReplyStanding::Unpublished => None,
    };
    Ok(DraftState::Posted(Posted {
        suggestion_id: suggestion.id,
        text,
        by: approver(conn, suggestion).await?,
        seen_at: suggestion.state.posted_at.unwrap_or(suggestion.updated_at),
        edited_at: reply.as_ref().and_then(|reply| reply.edited_at),
        permalink: suggestion.state.platform_reply_url.as_deref().and_then(WebLink::parse),
        gone,
        score: reply.as_ref().and_then(|reply| reply.score),
        change: last.as_ref().and_then(|action| under_way(action, mark)),
        not_changed: last.as_ref().and_then(not_made),
        typed: mishap.revision.as_ref().map(|revision| revision.text.clone()),
        held_seen: mishap.revision.as_ref().is_some_and(|revision| revision.held),
    }))
}

fn under_way(action: &ActionRow, mark: &Mark) -> Option<String> {
    let by = action.requested_by_name.as_deref().unwrap_or("somebody");
    let what = match action.kind() {
        ActionKind::Delete => format!("Being taken down from {}, as {by} wished", mark.name),
        ActionKind::Edit => format!("Being changed on {}, as {by} wished", mark.name),
    };
    let why = action.reason.as_deref().map(|reason| format!(" ({})", reason.trim_end_matches('.'))).unwrap_or_default();
    match action.state() {
        ActionState::Waiting => Some(format!("{what}{why}.")),
        ActionState::Uncertain => Some(format!("{what}. We look on {} before anything else{why}.", mark.name)),
        ActionState::Done | ActionState::NotDone => None,
    }
}

fn not_made(action: &ActionRow) -> Option<String> {
    let what = if action.kind() == ActionKind::Delete { "taken down" } else { "changed" };
    let reason = action.reason.as_deref().unwrap_or("no reason is known").trim_end_matches('.');
    (action.state() == ActionState::NotDone).then(|| format!("The reply was not {what}: {reason}."))
}
