//! The arming round: one transaction with switches and suggestions held, in which the gate is asked once more, turn, place and slot are
//! taken and the attempt is written as `uncertain`. After its commit, and not before, a call may be made.

use super::attempts::{self, NewAttempt};
use super::gate::{self, Answer, Rules};
use super::parking;
use super::reserve::{self, Reserved};
use super::situation::{self, Situation, Switches};
use super::{Identity, Writing, claim};
use crate::app::App;
use crate::clock::Moment;
use crate::coord::rounds::Work;
use crate::flow::activity::{self, Entry, Kind, Subject};
use crate::flow::etiquette::{self, Manners};
use crate::flow::suggestion::{self, Step, Suggestion};
use crate::model::Stage;
use async_trait::async_trait;
use serde_json::json;
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) struct Arming {
    pub app: App,
    pub rules: Rules,
    pub identity: Arc<Identity>,
    pub in_flight: super::InFlight,
}

pub(super) struct Ask {
    pub suggestion_id: Uuid,
    /// The lease under which it was claimed: another worker's would differ.
    pub lease_until: Option<OffsetDateTime>,
    pub request_id: Option<String>,
}

pub(super) enum Armed {
    Go(Arm),
    Later {
        at: OffsetDateTime,
        reason: String,
    },
    /// Decided otherwise, and written: nothing goes out.
    Over,
}

/// The right to make one call, for a few seconds.
pub(super) struct Arm {
    pub attempt_id: Uuid,
    pub armed_at: OffsetDateTime,
    /// The same by a clock that nobody sets.
    pub began: Instant,
    /// While it lives this process says that it is writing.
    pub _writing: Writing,
}

#[async_trait]
impl Work for Arming {
    type Ask = Ask;
    type Answer = Armed;

    async fn round(&self, asks: &[Ask]) -> Result<Vec<Armed>, sqlx::Error> {
        let began = Instant::now();
        let worker_id = self.identity.confirm().await?;
        let moment = self.app.moment();
        let mut tx = self.app.batch.begin().await?;
        let ids: Vec<Uuid> = asks.iter().map(|ask| ask.suggestion_id).collect();
        let suggestions = suggestion::lock_all(&mut tx, &ids, true).await?;
        let accounts = claim::accounts(&suggestions);
        let readers = &self.app.readers;
        let situations = situation::load(&mut tx, readers, &accounts, moment.now, Switches::Held).await?;
        let targets: Vec<String> = suggestions.iter().map(|one| one.target.platform_id.clone()).collect();
        etiquette::hold_targets(&mut tx, &targets).await?;
        let manners = etiquette::of(&mut tx, &ids).await?;
        let leases: HashMap<Uuid, &Ask> = asks.iter().map(|ask| (ask.suggestion_id, ask)).collect();
        let mut round = Round {
            rules: &self.rules,
            situations: &situations,
            manners: &manners,
            answers: HashMap::new(),
            go: Vec::new(),
        };
        for suggestion in &suggestions {
            round.judge(suggestion, leases[&suggestion.id].lease_until, moment.now);
        }
        let reserved = round.reserve(&mut tx, moment.now).await?;
        let slots = round.take_slots(&mut tx, &moment).await?;
        round.give_back(&mut tx, &reserved, &slots).await?;
        let armed = round.write(&mut tx, &moment, worker_id, &leases, &reserved).await?;
        // Marked before the commit, so that no moment exists in which the row stands and this process does not know of it.
        let mut arms: HashMap<Uuid, Arm> = HashMap::new();
        for (suggestion_id, attempt_id) in armed {
            let writing = self.in_flight.mark(attempt_id);
            arms.insert(suggestion_id, Arm { attempt_id, armed_at: moment.now, began, _writing: writing });
        }
        tx.commit().await?;
        Ok(asks.iter().map(|ask| round.answer(ask.suggestion_id, &mut arms)).collect())
    }
}

struct Round<'a> {
    rules: &'a Rules,
    situations: &'a HashMap<Uuid, Situation>,
    manners: &'a HashMap<Uuid, Manners>,
    /// What the gate or a slot said to those that do not go.
    answers: HashMap<Uuid, (&'a Suggestion, Answer)>,
    go: Vec<&'a Suggestion>,
}

impl<'a> Round<'a> {
    fn judge(&mut self, suggestion: &'a Suggestion, lease_until: Option<OffsetDateTime>, now: OffsetDateTime) {
        if suggestion.state.stage != Stage::Sending || suggestion.state.lease_until != lease_until {
            tracing::warn!(suggestion_id = %suggestion.id, "the lease went to another worker before arming");
            return;
        }
        let situation = self.situations.get(&suggestion.integration_id);
        let manners = self.manners.get(&suggestion.id).cloned().unwrap_or_default();
        match gate::check(self.rules, suggestion, situation, &manners, now) {
            Answer::Allow => self.go.push(suggestion),
            answer => drop(self.answers.insert(suggestion.id, (suggestion, answer))),
        }
    }

    async fn reserve(
        &mut self,
        conn: &mut PgConnection,
        now: OffsetDateTime,
    ) -> Result<HashMap<Uuid, Reserved>, sqlx::Error> {
        let wanted: Vec<_> =
            self.go.iter().map(|suggestion| (*suggestion, &self.situations[&suggestion.integration_id])).collect();
        let mut places = reserve::reserve(conn, self.rules, &wanted, now).await?;
        let mut reserved = HashMap::new();
        let mut go = Vec::new();
        for suggestion in std::mem::take(&mut self.go) {
            match places.remove(&suggestion.id) {
                Some(Ok(place)) => {
                    reserved.insert(suggestion.id, place);
                    go.push(suggestion);
                }
                Some(Err(answer)) => drop(self.answers.insert(suggestion.id, (suggestion, answer))),
                None => {}
            }
        }
        self.go = go;
        Ok(reserved)
    }

    /// The right to reply to each target. Gives those that did not get it.
    async fn take_slots(&mut self, conn: &mut PgConnection, moment: &Moment) -> Result<Vec<Uuid>, sqlx::Error> {
        let mut targets = HashSet::new();
        let (first, second): (Vec<_>, Vec<_>) = std::mem::take(&mut self.go).into_iter().partition(|suggestion| {
            let integration = &self.situations[&suggestion.integration_id].integration;
            let account = (&integration.platform, &integration.platform_account_id);
            targets.insert((account, &suggestion.target.platform_id))
        });
        let slots: Vec<_> = first
            .iter()
            .map(|suggestion| (*suggestion, &self.situations[&suggestion.integration_id].integration))
            .collect();
        let taken = attempts::take_slots(conn, moment, &slots).await?;
        let (go, late): (Vec<_>, Vec<_>) = first.into_iter().partition(|suggestion| taken.contains(&suggestion.id));
        self.go = go;
        let mut without = Vec::new();
        for suggestion in late.into_iter().chain(second) {
            let reason = "another reply of this account to the same text is on its way or stands there".to_owned();
            self.answers.insert(suggestion.id, (suggestion, Answer::ReturnToPerson { reasons: vec![reason] }));
            without.push(suggestion.id);
        }
        Ok(without)
    }

    async fn give_back(
        &self,
        conn: &mut PgConnection,
        reserved: &HashMap<Uuid, Reserved>,
        without_slot: &[Uuid],
    ) -> Result<(), sqlx::Error> {
        let places = without_slot.iter().filter_map(|id| {
            let (suggestion, _) = self.answers.get(id)?;
            let place = reserved.get(id)?;
            Some((suggestion.team_id, Some(place.day), place.instance_day))
        });
        reserve::give_back(conn, &reserve::places(places)).await
    }

    /// Attempts of those that go, changes of those that do not. Gives suggestion and attempt.
    async fn write(
        &self,
        conn: &mut PgConnection,
        moment: &Moment,
        worker_id: Uuid,
        asks: &HashMap<Uuid, &Ask>,
        reserved: &HashMap<Uuid, Reserved>,
    ) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
        let request_id = |suggestion: &Suggestion| asks.get(&suggestion.id).and_then(|ask| ask.request_id.clone());
        let steps = self.answers.values().filter_map(|(suggestion, answer)| {
            let change = parking(suggestion, answer)?;
            Some(Step { current: (*suggestion).clone(), change, actor: None, request_id: request_id(suggestion) })
        });
        suggestion::change_all(conn, moment, steps.collect()).await?;
        let new: Vec<NewAttempt<'_>> = self
            .go
            .iter()
            .filter_map(|suggestion| {
                let place = reserved.get(&suggestion.id)?;
                Some(NewAttempt { id: moment.id(), suggestion, place: *place })
            })
            .collect();
        let numbers = attempts::insert_all(conn, moment, worker_id, &new).await?;
        let entries = new.iter().map(|attempt| Entry {
            team_id: attempt.suggestion.team_id,
            actor: None,
            kind: Kind::ReplyArmed,
            subject: Subject::Suggestion(attempt.suggestion.id),
            payload: json!({ "attempt_id": attempt.id, "number": numbers.get(&attempt.id), "worker_id": worker_id }),
            request_id: request_id(attempt.suggestion),
        });
        activity::record_all(conn, moment, entries.collect()).await?;
        Ok(new.iter().map(|attempt| (attempt.suggestion.id, attempt.id)).collect())
    }

    fn answer(&self, suggestion_id: Uuid, arms: &mut HashMap<Uuid, Arm>) -> Armed {
        if let Some(arm) = arms.remove(&suggestion_id) {
            return Armed::Go(arm);
        }
        match self.answers.get(&suggestion_id) {
            Some((_, Answer::WaitUntil { at, reason })) => Armed::Later { at: *at, reason: reason.clone() },
            _ => Armed::Over,
        }
    }
}
