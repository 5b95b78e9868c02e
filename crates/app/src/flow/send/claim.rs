//! The first round of a send: takes up what is due, or says why not. What the gate keeps back is parked or returned right here, so that
//! no thread is read for it.

use super::attempts::{self, Attempt};
use super::gate::{self, Answer, Rules};
use super::job::PostSend;
use super::situation::{self, Situation, Switches};
use super::{LEASE, parking};
use crate::app::App;
use crate::clock::Moment;
use crate::coord::rounds::Work;
use crate::flow::etiquette::{self, Manners};
use crate::flow::suggestion::{self, Change, Step, Suggestion};
use crate::model::{Stage, Status};
use async_trait::async_trait;
use sqlx::PgConnection;
use std::collections::HashMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Somebody decides on it at this moment.
const BUSY: Duration = Duration::seconds(1);

pub(super) struct Claims {
    pub app: App,
    pub rules: Rules,
}

pub(super) struct Ask {
    pub job: PostSend,
    pub request_id: Option<String>,
}

#[derive(Debug)]
pub(super) enum Claimed {
    /// Ours until the lease ends; the gate said yes.
    Go {
        suggestion: Box<Suggestion>,
        situation: Box<Situation>,
    },
    /// An attempt stands open: the platform is read back before anything else.
    ReadBack {
        suggestion: Box<Suggestion>,
        attempt: Box<Attempt>,
    },
    Later {
        at: OffsetDateTime,
        reason: String,
    },
    /// Nothing to do for this job, now or later.
    Over,
}

#[async_trait]
impl Work for Claims {
    type Ask = Ask;
    type Answer = Claimed;

    async fn round(&self, asks: &[Ask]) -> Result<Vec<Claimed>, sqlx::Error> {
        let moment = self.app.moment();
        let mut tx = self.app.batch.begin().await?;
        let mut round = Round::read(self, &mut tx, &moment, asks).await?;
        let answers: Vec<Planned> = asks.iter().map(|ask| round.plan(&self.rules, ask, moment.now)).collect();
        let answers = round.hold_switches(self, &mut tx, &moment, asks, answers).await?;
        let claimed = round.write(&mut tx, &moment, asks, answers).await?;
        tx.commit().await?;
        Ok(claimed)
    }
}

/// What is to be done with one ask.
enum Planned {
    Now(Claimed),
    Change { suggestion: Box<Suggestion>, change: Change, answer: Answer },
}

struct Round {
    suggestions: HashMap<Uuid, Suggestion>,
    open: HashMap<Uuid, Attempt>,
    situations: HashMap<Uuid, Situation>,
    manners: HashMap<Uuid, Manners>,
}

impl Round {
    async fn read(
        claims: &Claims,
        conn: &mut PgConnection,
        moment: &Moment,
        asks: &[Ask],
    ) -> Result<Self, sqlx::Error> {
        let ids: Vec<Uuid> = asks.iter().map(|ask| ask.job.suggestion_id).collect();
        let suggestions = suggestion::lock_all(conn, &ids, false).await?;
        let in_flight = |suggestion: &&Suggestion| matches!(suggestion.state.stage, Stage::Sending | Stage::Uncertain);
        let in_flight: Vec<Uuid> = suggestions.iter().filter(in_flight).map(|suggestion| suggestion.id).collect();
        let open = if in_flight.is_empty() { Vec::new() } else { attempts::open_of(conn, &in_flight).await? };
        let accounts = accounts(&suggestions);
        let readers = &claims.app.readers;
        let mut situations = situation::load(conn, readers, &accounts, moment.now, Switches::MayTurn).await?;
        situation::add_recent(conn, &mut situations, moment.now).await?;
        let manners = etiquette::of(conn, &ids).await?;
        Ok(Self {
            manners,
            suggestions: suggestions.into_iter().map(|suggestion| (suggestion.id, suggestion)).collect(),
            open: open.into_iter().map(|attempt| (attempt.suggestion_id, attempt)).collect(),
            situations,
        })
    }

    fn plan(&mut self, rules: &Rules, ask: &Ask, now: OffsetDateTime) -> Planned {
        let id = ask.job.suggestion_id;
        // Taken out: the same job twice in one round is answered once.
        let Some(suggestion) = self.suggestions.remove(&id) else {
            return Planned::Now(Claimed::Later {
                at: now + BUSY,
                reason: "somebody decides on it right now".to_owned(),
            });
        };
        if suggestion.state.status != Status::Approved || suggestion.team_id != ask.job.team_id {
            return Planned::Now(Claimed::Over);
        }
        let suggestion = Box::new(suggestion);
        match (suggestion.state.stage, self.open.remove(&id)) {
            (Stage::Sending | Stage::Uncertain, Some(attempt)) => {
                Planned::Now(Claimed::ReadBack { suggestion, attempt: Box::new(attempt) })
            }
            (Stage::Queued | Stage::Parked, _) => match suggestion.state.send_after {
                Some(at) if at > now && suggestion.state.waits_for.is_none() => {
                    Planned::Now(Claimed::Later { at, reason: "not due yet".to_owned() })
                }
                _ => self.ask_gate(rules, suggestion, Change::Claim { lease_until: now + LEASE }, now),
            },
            (Stage::Sending | Stage::Uncertain, None) => match suggestion.state.lease_until {
                Some(until) if until > now => {
                    let at = until + Duration::SECOND;
                    Planned::Now(Claimed::Later { at, reason: "another worker holds it".to_owned() })
                }
                // Claimed by a worker that is gone before it armed: nothing was written.
                _ => self.ask_gate(rules, suggestion, Change::Reclaim { lease_until: now + LEASE }, now),
            },
            _ => Planned::Now(Claimed::Over),
        }
    }

    fn ask_gate(&self, rules: &Rules, suggestion: Box<Suggestion>, claim: Change, now: OffsetDateTime) -> Planned {
        let situation = self.situations.get(&suggestion.integration_id);
        let manners = self.manners.get(&suggestion.id).cloned().unwrap_or_default();
        let answer = gate::check(rules, &suggestion, situation, &manners, now);
        if let Answer::WaitFor { switch, reason } = &answer
            && suggestion.state.waits_for == Some(*switch)
            && suggestion.state.stage_reason.as_ref() == Some(reason)
        {
            return Planned::Now(Claimed::Over);
        }
        let change = parking(&suggestion, &answer).unwrap_or(claim);
        Planned::Change { suggestion, change, answer }
    }

    /// Whoever is to wait for a switch waits only if it stands with its row held: one that is turned back at this moment would
    /// never wake it.
    async fn hold_switches(
        &mut self,
        claims: &Claims,
        conn: &mut PgConnection,
        moment: &Moment,
        asks: &[Ask],
        planned: Vec<Planned>,
    ) -> Result<Vec<Planned>, sqlx::Error> {
        let waits = |planned: &Planned| matches!(planned, Planned::Change { answer: Answer::WaitFor { .. }, .. });
        if !planned.iter().any(waits) {
            return Ok(planned);
        }
        let accounts: Vec<Uuid> = self.situations.keys().copied().collect();
        let readers = &claims.app.readers;
        self.situations = situation::load(conn, readers, &accounts, moment.now, Switches::Held).await?;
        situation::add_recent(conn, &mut self.situations, moment.now).await?;
        let again = planned.into_iter().zip(asks).map(|(planned, ask)| match planned {
            Planned::Change { suggestion, answer: Answer::WaitFor { .. }, .. } => {
                self.suggestions.insert(suggestion.id, *suggestion);
                self.plan(&claims.rules, ask, moment.now)
            }
            decided => decided,
        });
        Ok(again.collect())
    }

    async fn write(
        &mut self,
        conn: &mut PgConnection,
        moment: &Moment,
        asks: &[Ask],
        planned: Vec<Planned>,
    ) -> Result<Vec<Claimed>, sqlx::Error> {
        let (mut steps, mut claimed) = (Vec::new(), Vec::new());
        for (planned, ask) in planned.into_iter().zip(asks) {
            match planned {
                Planned::Now(answer) => claimed.push(Some(Ok(answer))),
                Planned::Change { suggestion, change, answer } => {
                    claimed.push(Some(Err(answer)));
                    steps.push(Step { current: *suggestion, change, actor: None, request_id: ask.request_id.clone() });
                }
            }
        }
        let mut changed = suggestion::change_all(conn, moment, steps).await?.into_iter();
        let answers = claimed.into_iter().map(|answer| match answer {
            Some(Ok(now)) => now,
            Some(Err(answer)) => self.answer(answer, changed.next()),
            None => Claimed::Over,
        });
        Ok(answers.collect())
    }

    fn answer(&self, answer: Answer, changed: Option<Result<Suggestion, suggestion::Refusal>>) -> Claimed {
        let Some(Ok(suggestion)) = changed else { return Claimed::Over };
        match answer {
            Answer::WaitUntil { at, reason } => Claimed::Later { at, reason },
            Answer::Allow => match self.situations.get(&suggestion.integration_id) {
                Some(situation) => {
                    Claimed::Go { suggestion: Box::new(suggestion), situation: Box::new(situation.clone()) }
                }
                None => Claimed::Over,
            },
            // The sweep wakes it when the switch is turned back, or ends it after a day.
            Answer::WaitFor { .. } | Answer::ReturnToPerson { .. } | Answer::Refuse { .. } => Claimed::Over,
        }
    }
}

pub(super) fn accounts(suggestions: &[Suggestion]) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = suggestions.iter().map(|suggestion| suggestion.integration_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
