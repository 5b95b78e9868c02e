//! The job `standing.sweep`: asks how everything that is stored of one account stands now, as many things at a time as the platform
//! takes, in the last lane. Reads the platform without a transaction, stores each answer in one.
//!
//! An answer that calls nearly everything gone is more likely the platform's mistake than the truth: it is believed only when
//! it comes again half an hour later. An account that is not read any more is looked after by another one of its team.

use super::standing::{self, Thing};
use super::{Source, rhythm};
use crate::accounts::integrations::{self, Integration};
use crate::accounts::tokens;
use crate::clock::Moment;
use crate::coord::budget::{Lane, Urgency};
use crate::coord::events;
use crate::engine::Engine;
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{FetchError, Standing, States};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const ASKED_PER_RUN: usize = 10;
/// How often an account is swept. Requests are filled up with what would be due until the next time.
pub const EVERY: time::Duration = time::Duration::hours(3);
const AHEAD: time::Duration = time::Duration::HOUR;
/// More is due than one run takes.
const SOON: time::Duration = time::Duration::minutes(1);
/// When an answer that called everything gone is asked for again.
const DOUBT: time::Duration = time::Duration::minutes(30);
/// Fewer things than this may well be gone all at once.
const FEW: usize = 10;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StandingSweep {
    pub integration_id: Uuid,
}

#[async_trait]
impl Job<Arc<Engine>> for StandingSweep {
    const NAME: &'static str = "standing.sweep";
    const CLASS: Class = Class::Poll;
    const MAX_ATTEMPTS: i16 = 3;
    const TIMEOUT: Duration = Duration::from_secs(120);
    /// Behind the polls.
    const PRIORITY: i16 = 10;

    fn key(&self) -> Option<String> {
        Some(format!("standing:{}", self.integration_id))
    }

    async fn run(self, engine: &Arc<Engine>, ctx: &JobContext) -> Result<(), JobError> {
        let moment = Moment::at(ctx.now, &engine.app.entropy);
        let mut conn = engine.app.db.acquire().await?;
        let Some(integration) = integrations::load_any_team(&mut conn, self.integration_id).await? else {
            return Ok(());
        };
        let due_at = integrations::sweep_due_at(&mut conn, &integration).await?;
        standing::place_comments(&mut conn).await?;
        let reader = match integration.is_read() {
            true => Some(integration.clone()),
            false => integrations::another_reader(&mut conn, integration.team_id, &integration.platform).await?,
        };
        drop(conn);
        let next = match reader {
            Some(reader) => {
                let late = due_at.map_or(time::Duration::ZERO, |at| (moment.now - at).max(time::Duration::ZERO));
                Sweep { engine, moment: &moment, integration: &integration, reader: &reader, late }.run().await?
            }
            None => moment.now + EVERY,
        };
        integrations::swept(&mut *engine.app.db.acquire().await?, &integration, next).await?;
        Ok(())
    }
}

struct Sweep<'a> {
    engine: &'a Engine,
    moment: &'a Moment,
    integration: &'a Integration,
    /// As whom the platform is asked.
    reader: &'a Integration,
    late: time::Duration,
}

impl Sweep<'_> {
    /// Gives the time of the next run.
    async fn run(&self) -> Result<OffsetDateTime, JobError> {
        let now = self.moment.now;
        let Ok(reader) = self.engine.app.readers.get(&self.reader.platform) else { return Ok(now + EVERY) };
        let at_once = reader.states_at_once();
        for _ in 0..ASKED_PER_RUN {
            let mut conn = self.engine.app.db.acquire().await?;
            let due = standing::due(&mut conn, self.integration.id, now + AHEAD, at_once as i64).await?;
            drop(conn);
            if due.is_empty() {
                return Ok(now + EVERY);
            }
            let whole = due.len() < at_once;
            match self.ask(&due).await {
                Ok(states) => {
                    if !self.store(&due, states).await? {
                        return Ok(now + DOUBT);
                    }
                }
                Err(wait) => return Ok(now + wait),
            }
            if whole {
                return Ok(now + EVERY);
            }
        }
        Ok(now + SOON)
    }

    /// Err: how long to wait before asking again. What is wrong with the account itself shows in its polls.
    async fn ask(&self, due: &[Thing]) -> Result<States, time::Duration> {
        let app = &self.engine.app;
        let ids: Vec<String> = due.iter().map(|thing| thing.platform_id.clone()).collect();
        let urgency = Urgency { lane: Lane::Rest, late: self.late };
        let later = time::Duration::minutes(10);
        let reader = app.readers.get(&self.reader.platform).map_err(|_| EVERY)?;
        let session = tokens::session_for(app, self.moment, self.reader, None, urgency).await.map_err(|_| later)?;
        let mut states = reader.states(&session, &ids).await;
        if states == Err(FetchError::AuthExpired) {
            let dead = Some(&session.access_token);
            let session = tokens::session_for(app, self.moment, self.reader, dead, urgency).await.map_err(|_| later)?;
            states = reader.states(&session, &ids).await;
        }
        states.map_err(|error| {
            tracing::debug!(%error, "how things stand was not told");
            match error {
                FetchError::RateLimited { retry_after } => rhythm::wait(retry_after),
                // The budget may be raised: looking there costs nothing.
                FetchError::OverBudget { retry_after } => rhythm::wait(retry_after).min(time::Duration::HOUR),
                _ => later,
            }
        })
    }

    /// False where the answer is not believed yet.
    async fn store(&self, due: &[Thing], states: States) -> Result<bool, JobError> {
        let mut tx = self.engine.app.db.begin().await?;
        let gone = states.things.iter().filter(|state| state.standing != Standing::Here).count();
        let nearly_all = due.len() >= FEW && gone * 10 >= due.len() * 9;
        let doubted_since = integrations::sweep_doubt(&mut tx, self.integration).await?;
        let doubted_for = doubted_since.map(|at| self.moment.now - at).filter(|time| *time < time::Duration::DAY);
        if nearly_all && doubted_for.is_none_or(|time| time < DOUBT) {
            if doubted_for.is_none() {
                integrations::doubt_sweep(&mut tx, self.integration, Some(self.moment.now)).await?;
            }
            tx.commit().await?;
            tracing::warn!(gone, asked = due.len(), "nearly everything seems gone; asked again before it is believed");
            return Ok(false);
        }
        if !nearly_all && doubted_since.is_some() {
            integrations::doubt_sweep(&mut tx, self.integration, None).await?;
        }
        let source = Source::of(self.integration);
        let changes = standing::apply(&mut tx, self.moment, &source, due, &states.things).await?;
        if changes != standing::Changes::default() {
            events::notify(&mut tx, source.team_id, events::Kind::Item, source.integration_id).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}
