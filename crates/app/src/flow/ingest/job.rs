//! The job `integration.poll`: one account, one round. Reads the platform without a transaction, stores in one. Where the platform can
//! be read in parts, a round reads the inbox, now and then the list of own posts, and the threads that `posts.look` found changed;
//! between rounds such threads alone are read. Whoever asks for a round gets all of it.
//!
//! A dead token is refreshed once and the round repeated; a refused account is paused, with the reason, until a person resumes it,
//! and read now and then; anything passing is tried again at the next round, so a poll never piles up retries.

use super::{Source, Stored, looks, rhythm, store};
use crate::accounts::integrations::{self, Integration, PauseCause, Rhythm, Round};
use crate::accounts::platform_apps;
use crate::accounts::subscriptions;
use crate::accounts::tokens::{self, TokenError};
use crate::clock::Moment;
use crate::coord::budget::{self, Lane, Urgency};
use crate::engine::Engine;
use crate::flow::etiquette::opt_outs;
use crate::flow::places;
use crate::flow::usage;
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{Cursor, FetchError, Parts, Polled, Scope};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// How long an account waits at least after passing trouble.
const AFTER_TROUBLE: time::Duration = time::Duration::seconds(60);
/// How long an account waits that the platform refuses to let read.
const REFUSED_AGAIN: time::Duration = time::Duration::HOUR;
/// When more is waiting, and nothing of the last round was news: old threads of a new account, in no hurry.
const BACKLOG: time::Duration = time::Duration::seconds(30);

const SHORTEST: time::Duration = time::Duration::ZERO;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IntegrationPoll {
    pub integration_id: Uuid,
}

#[async_trait]
impl Job<Arc<Engine>> for IntegrationPoll {
    const NAME: &'static str = "integration.poll";
    const CLASS: Class = Class::Poll;
    const MAX_ATTEMPTS: i16 = 3;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn key(&self) -> Option<String> {
        Some(format!("poll:{}", self.integration_id))
    }

    async fn run(self, engine: &Arc<Engine>, ctx: &JobContext) -> Result<(), JobError> {
        let app = &engine.app;
        let moment = Moment::at(ctx.now, &app.entropy);
        let mut conn = app.db.acquire().await?;
        let Some(integration) = integrations::load_any_team(&mut conn, self.integration_id).await? else {
            return Ok(());
        };
        if !integration.is_read() {
            return Ok(());
        }
        let before = integrations::rhythm(&mut conn, &integration).await?;
        let counted = looks::unread(&mut conn, &integration).await?;
        drop(conn);
        let round = integration.next_poll_at <= ctx.now || counted.is_empty();
        let parts = Parts { inbox: round, own_posts: round && before.list_at.is_none_or(|at| at <= ctx.now), counted };
        let poll = Poll { engine, moment: &moment, integration: &integration, before, parts };
        match poll.read().await {
            Ok((polled, requests)) => poll.keep(polled, requests).await,
            Err(problem) => poll.put_off(problem).await,
        }
    }
}

/// Why a round brought nothing.
enum Problem {
    NoPermit(Duration),
    /// Until the next month.
    OverBudget(Duration),
    Wait {
        after: Duration,
        reason: String,
    },
    Account {
        cause: PauseCause,
        reason: String,
    },
    /// Trouble of every account that was connected through the same app.
    App(String),
    TokenDead(String),
}

/// How a round ended, for the plan of the next one.
struct Next {
    again: Option<time::Duration>,
    at_once: bool,
    stretch: f64,
    requests: u32,
}

/// One round of one account.
struct Poll<'a> {
    engine: &'a Engine,
    moment: &'a Moment,
    integration: &'a Integration,
    before: Rhythm,
    parts: Parts,
}

impl Poll<'_> {
    fn urgency(&self) -> Urgency {
        let now = self.moment.now;
        // Somebody spoke just now where a thread changed.
        let lane = match self.parts.counted.is_empty() {
            true => rhythm::lane(rhythm::wanted(now, self.before.last_heard_at)),
            false => Lane::Busy,
        };
        let late = self.before.due_at.map_or(time::Duration::ZERO, |due| (now - due).max(time::Duration::ZERO));
        Urgency { lane, late }
    }

    /// Gives the number of requests too.
    async fn read(&self) -> Result<(Polled, u32), Problem> {
        let (app, integration) = (&self.engine.app, self.integration);
        let reader = app
            .readers
            .get(&integration.platform)
            .map_err(|error| Problem::Account { cause: PauseCause::App, reason: error.to_string() })?;
        let cursor = Cursor(integration.poll_cursor.clone());
        let urgency = self.urgency();
        let mut session = tokens::session_for(app, self.moment, integration, None, urgency).await?;
        for refreshed in [false, true] {
            match reader.poll_parts(&session, &cursor, &self.parts).await {
                Ok(polled) => return Ok((polled, session.access_token.permits().spent())),
                Err(FetchError::AuthExpired) if !refreshed => {
                    let dead = Some(&session.access_token);
                    session = tokens::session_for(app, self.moment, integration, dead, urgency).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Problem::TokenDead("the platform does not accept a fresh token".to_owned()))
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Reconnect(reason) => Self::TokenDead(reason),
            TokenError::Wait { after, reason } => Self::Wait { after, reason },
            TokenError::App(reason) => {
                Self::App(format!("the platform refuses the app that it was connected through: {reason}"))
            }
        }
    }
}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        // The person has to consent again; pausing would promise that resuming helps.
        if let Some(reason) = error.lacks_permission() {
            return Self::TokenDead(reason.to_owned());
        }
        match error {
            FetchError::RateLimited { retry_after } => Self::NoPermit(retry_after),
            FetchError::OverBudget { retry_after } => Self::OverBudget(retry_after),
            FetchError::AuthExpired => Self::TokenDead("the platform does not accept a fresh token".to_owned()),
            FetchError::Refused { code, reason, scope: Scope::Account } => {
                Self::Account { cause: PauseCause::Failures, reason: format!("{reason} ({code})") }
            }
            FetchError::Refused { code, reason, scope: Scope::App } => {
                Self::App(format!("the platform refuses the whole app: {reason} ({code})"))
            }
            FetchError::Refused { code, reason, scope: Scope::Item } => {
                Self::Wait { after: Duration::from_secs(300), reason: format!("{reason} ({code})") }
            }
            FetchError::Unavailable(reason) => Self::Wait { after: Duration::from_secs(60), reason },
        }
    }
}

impl Poll<'_> {
    async fn keep(&self, polled: Polled, requests: u32) -> Result<(), JobError> {
        let (app, moment, integration) = (&self.engine.app, self.moment, self.integration);
        let source = Source::of(integration);
        let problem = match (polled.over_budget, polled.problems.is_empty()) {
            (true, _) => Some(usage::SPENT.to_owned()),
            (false, true) => None,
            (false, false) => Some(polled.problems.join("; ")),
        };
        let mut tx = app.db.begin().await?;
        let share = budget::share_of(&mut tx, &platform_apps::key_of(app, integration)).await?;
        let posts: Vec<String> = polled.items.iter().map(|item| item.post_id().to_owned()).collect();
        let comments: Vec<String> =
            polled.items.iter().filter_map(|item| item.comment_id().map(str::to_owned)).collect();
        let stored = store(&mut tx, moment, &source, polled.items).await?;
        opt_outs::notice(&mut tx, moment, &source, &comments, &app.config.opt_out_words).await?;
        places::wanted(&mut tx, moment, &source, &posts).await?;
        looks::handed_over(&mut tx, &source, &self.parts.counted).await?;
        if self.in_parts() {
            looks::follow(&mut tx, &source, &posts, moment.now).await?;
        }
        let again = match polled.wait {
            Some(wait) => Some(rhythm::wait(wait)),
            None if polled.more && stored.new_items > 0 => Some(rhythm::SOON),
            None if polled.more => Some(BACKLOG),
            None => None,
        };
        // What was left over is due at once, whenever there are requests for it.
        let at_once = polled.wait.is_some();
        let next = Next { again, at_once, stretch: share.stretch, requests };
        let next_at = match self.parts.inbox {
            true => self.plan(&mut tx, &source, stored, next).await?,
            // The round itself is still to come.
            false => again.map_or(integration.next_poll_at, |wait| integration.next_poll_at.min(moment.now + wait)),
        };
        let problem = problem.or_else(|| integration.last_poll_problem.clone().filter(|_| !self.parts.inbox));
        integrations::polled(&mut tx, moment, &source, &polled.cursor.0, next_at, problem.as_deref()).await?;
        if polled.over_budget {
            usage::tell(&mut tx, moment, integration.team_id).await?;
        } else if integration.last_poll_problem.as_deref() == Some(usage::SPENT) {
            usage::goes_on(&mut tx, moment, integration.team_id).await?;
        }
        tx.commit().await?;
        tracing::debug!(?stored, requests, "polled");
        Ok(())
    }

    /// Notes how the round went; gives the time of the next one.
    async fn plan(
        &self,
        tx: &mut PgConnection,
        source: &Source,
        stored: Stored,
        next: Next,
    ) -> Result<OffsetDateTime, JobError> {
        let (now, integration) = (self.moment.now, self.integration);
        // What is said under own posts shows when they are looked at; the rounds are for the rest.
        let heard = if self.in_parts() { stored.new_elsewhere } else { stored.new_items };
        let last_heard_at = if heard > 0 { Some(now) } else { self.before.last_heard_at };
        let told = subscriptions::are_flowing(tx, integration, now).await?;
        let wanted = rhythm::wanted(now, last_heard_at).max(if told { rhythm::BESIDE_EVENTS } else { SHORTEST });
        let interval = rhythm::stretched(wanted, next.stretch);
        let next_at = now + next.again.unwrap_or(interval);
        let due_at = if next.at_once { now } else { next_at };
        let cost = rhythm::cost(self.before.cost, next.requests);
        integrations::rounded(tx, integration, Round { due_at, wanted, interval, cost, last_heard_at }).await?;
        if self.parts.own_posts && self.in_parts() {
            let load = looks::load(tx, source, now).await?;
            let list_in = if load.listed_only { interval } else { rhythm::stretched(rhythm::LISTED, next.stretch) };
            integrations::listed(tx, integration, now + list_in, load.per_sec).await?;
        }
        Ok(next_at)
    }

    fn in_parts(&self) -> bool {
        self.engine.app.readers.get(&self.integration.platform).is_ok_and(|reader| reader.reads_parts())
    }

    async fn put_off(&self, problem: Problem) -> Result<(), JobError> {
        let (moment, integration) = (self.moment, self.integration);
        let mut tx = self.engine.app.db.begin().await?;
        match problem {
            // The round itself is still to come: these threads alone are put off.
            Problem::NoPermit(after) if !self.parts.inbox => {
                let reason = "the request budget of the platform is used up for now".to_owned();
                return Err(JobError::RetryAt { at: moment.now + rhythm::wait(after), reason });
            }
            Problem::NoPermit(after) => {
                let reason = "the request budget of the platform is used up for now";
                let until = moment.now + rhythm::wait(after);
                integrations::poll_put_off(&mut tx, integration, until, reason).await?;
            }
            Problem::OverBudget(after) => {
                let until = moment.now + rhythm::wait(after);
                integrations::poll_put_off(&mut tx, integration, until, usage::SPENT).await?;
                usage::tell(&mut tx, moment, integration.team_id).await?;
            }
            Problem::Wait { after, reason } => {
                let wait = time::Duration::try_from(after).unwrap_or(AFTER_TROUBLE).max(AFTER_TROUBLE);
                integrations::poll_put_off(&mut tx, integration, moment.now + wait, &reason).await?;
            }
            Problem::App(reason) => {
                let app_of = (integration.platform.as_str(), integration.app_id);
                integrations::pause_app(&mut tx, moment, app_of, &reason).await?;
                integrations::poll_put_off(&mut tx, integration, moment.now + REFUSED_AGAIN, &reason).await?;
            }
            Problem::Account { cause, reason } => {
                integrations::pause(&mut tx, moment, integration, None, cause, Some(&reason)).await?;
                // Paused accounts are read all the same: whether it was mended shows here.
                integrations::poll_put_off(&mut tx, integration, moment.now + REFUSED_AGAIN, &reason).await?;
            }
            Problem::TokenDead(reason) => integrations::needs_reconnect(&mut tx, moment, integration, &reason).await?,
        }
        tx.commit().await?;
        Ok(())
    }
}
