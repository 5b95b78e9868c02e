//! The last round of a send: outcome, suggestion, slot, reservation, item and log together. An attempt that somebody settled before is
//! left as it is, whatever the late answer says.

use super::attempts::{self, Freed, Settled};
use super::{replies, reserve};
use crate::app::App;
use crate::clock::Moment;
use crate::coord::rounds::Work;
use crate::flow::activity::{Entry, Kind, Subject};
use crate::flow::ingest::inbox;
use crate::flow::notices;
use crate::flow::suggestion::{self, Change, Step, Suggestion};
use crate::flow::usage;
use crate::model::{NoticeKind, Outcome, Stage};
use async_trait::async_trait;
use serde_json::json;
use sqlx::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

pub(super) struct Finishing {
    pub app: App,
}

#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub suggestion_id: Uuid,
    pub attempt_id: Uuid,
    pub settled: Settled,
    pub change: Change,
    pub request_id: Option<String>,
}

#[async_trait]
impl Work for Finishing {
    type Ask = Ask;
    /// Whether this was the settling; false when somebody was earlier.
    type Answer = bool;

    async fn round(&self, asks: &[Ask]) -> Result<Vec<bool>, sqlx::Error> {
        let moment = self.app.moment();
        let mut tx = self.app.batch.begin().await?;
        let answers = settle(&mut tx, &moment, asks).await?;
        tx.commit().await?;
        Ok(answers)
    }
}

/// Settles on the caller's transaction.
pub(super) async fn settle(conn: &mut PgConnection, moment: &Moment, asks: &[Ask]) -> Result<Vec<bool>, sqlx::Error> {
    // The suggestions first: the same order as arming, so that two workers never wait for each other.
    let ids: Vec<Uuid> = asks.iter().map(|ask| ask.suggestion_id).collect();
    let mut suggestions: HashMap<Uuid, Suggestion> =
        suggestion::lock_all(conn, &ids, true).await?.into_iter().map(|one| (one.id, one)).collect();
    let settled: Vec<(Uuid, &Settled)> = asks.iter().map(|ask| (ask.attempt_id, &ask.settled)).collect();
    let freed = attempts::settle_all(conn, moment, &settled).await?;
    let freed: HashMap<Uuid, Freed> = freed.into_iter().map(|one| (one.attempt_id, one)).collect();
    let ours: Vec<&Ask> = asks.iter().filter(|ask| freed.contains_key(&ask.attempt_id)).collect();
    release(conn, &ours, &freed, &suggestions).await?;
    let (mut steps, mut posted, mut exchanges, mut known) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut stand, mut charged) = (Vec::new(), Vec::new());
    for ask in &ours {
        let Some(current) = suggestions.remove(&ask.suggestion_id) else { continue };
        if matches!(ask.change, Change::Posted { .. }) {
            posted.push(current.item_id);
            stand.push(current.id);
            charged.extend(usage::Posted::of(&current, &ask.change));
        }
        if current.state.stage == Stage::Uncertain && !matches!(ask.change, Change::Uncertain { .. }) {
            known.push((current.team_id, current.id));
        }
        exchanges.extend(exchange(&current, ask));
        steps.push(Step { current, change: ask.change.clone(), actor: None, request_id: ask.request_id.clone() });
    }
    let mut also = inbox::answered(conn, moment, &posted).await?;
    also.extend(exchanges);
    let changed = suggestion::change_all_and_record(conn, moment, steps, also).await?;
    for refusal in changed.into_iter().filter_map(Result::err) {
        // Nobody but the settling leads out of an open attempt, so this is a hole of ours: the attempt is settled all the same.
        tracing::error!(code = refusal.code, detail = refusal.detail, "an outcome did not fit the suggestion");
    }
    replies::stand(conn, moment, &stand).await?;
    notices::resolve_all(conn, moment, NoticeKind::SendUnknown, &known).await?;
    usage::posted(conn, moment, charged).await?;
    Ok(asks.iter().map(|ask| freed.contains_key(&ask.attempt_id)).collect())
}

/// Nothing stands there: others may write to the target, and the day's counter is one lower.
async fn release(
    conn: &mut PgConnection,
    ours: &[&Ask],
    freed: &HashMap<Uuid, Freed>,
    suggestions: &HashMap<Uuid, Suggestion>,
) -> Result<(), sqlx::Error> {
    let nothing_there = |ask: &&&Ask| matches!(ask.settled.outcome, Outcome::Refused | Outcome::NotSent);
    let slots: Vec<Uuid> = ours.iter().filter(nothing_there).map(|ask| ask.suggestion_id).collect();
    attempts::release_slots(conn, &slots).await?;
    let places = ours.iter().filter(nothing_there).filter_map(|ask| {
        let team_id = suggestions.get(&ask.suggestion_id)?.team_id;
        let attempt = freed.get(&ask.attempt_id)?;
        Some((team_id, attempt.usage_day, attempt.instance_day))
    });
    reserve::give_back(conn, &reserve::places(places)).await
}

/// The raw exchange, redacted by the adapter, beside the change that it led to.
fn exchange(suggestion: &Suggestion, ask: &Ask) -> Option<Entry> {
    let exchange = ask.settled.exchange.as_ref()?;
    Some(Entry {
        team_id: suggestion.team_id,
        actor: None,
        kind: Kind::ReplyExchange,
        subject: Subject::Suggestion(suggestion.id),
        payload: json!({
            "attempt_id": ask.attempt_id, "outcome": ask.settled.outcome, "reason": ask.settled.reason, "request": exchange.request,
            "status": exchange.status, "answer": exchange.answer,
        }),
        request_id: ask.request_id.clone(),
    })
}
