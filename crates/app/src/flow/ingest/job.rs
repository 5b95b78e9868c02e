//! The job `integration.poll`: one account, one round. Reads the platform without a transaction, stores in one.
//!
//! A dead token is refreshed once and the round repeated; a refused account is paused, with the reason, until a person resumes it,
//! and read now and then; anything passing is tried again at the next round, so a poll never piles up retries.

use super::{Source, rhythm, store};
use crate::accounts::integrations::{self, Integration, PauseCause, Rhythm, Round};
use crate::accounts::platform_apps;
use crate::accounts::tokens::{self, TokenError};
use crate::clock::Moment;
use crate::coord::budget::{self, Urgency};
use crate::engine::Engine;
use crate::flow::etiquette::opt_outs;
use crate::flow::places;
use crate::flow::usage;
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{Cursor, FetchError, InboundItem, Polled, Scope};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long an account waits at least after passing trouble.
const AFTER_TROUBLE: time::Duration = time::Duration::seconds(60);
/// How long an account waits that the platform refuses to let read.
const REFUSED_AGAIN: time::Duration = time::Duration::HOUR;
/// When more is waiting, and nothing of the last round was news: old threads of a new account, in no hurry.
const BACKLOG: time::Duration = time::Duration::seconds(30);

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
        drop(conn);
        let poll = Poll { engine, moment: &moment, integration: &integration, before };
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

/// One round of one account.
struct Poll<'a> {
    engine: &'a Engine,
    moment: &'a Moment,
    integration: &'a Integration,
    before: Rhythm,
}

impl Poll<'_> {
    fn urgency(&self) -> Urgency {
        let now = self.moment.now;
        let lane = rhythm::lane(rhythm::wanted(now, self.before.last_heard_at));
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
            match reader.poll(&session, &cursor).await {
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
        let posts: Vec<String> = polled.items.iter().map(post_id).collect();
        let comments: Vec<String> = polled.items.iter().filter_map(comment_id).collect();
        let stored = store(&mut tx, moment, &source, polled.items).await?;
        opt_outs::notice(&mut tx, moment, &source, &comments, &app.config.opt_out_words).await?;
        places::wanted(&mut tx, moment, &source, &posts).await?;
        let last_heard_at = if stored.new_items > 0 { Some(moment.now) } else { self.before.last_heard_at };
        let wanted = rhythm::wanted(moment.now, last_heard_at);
        let interval = rhythm::stretched(wanted, share.stretch);
        let again = match polled.wait {
            Some(wait) => Some(rhythm::wait(wait)),
            None if polled.more && stored.new_items > 0 => Some(rhythm::SOON),
            None if polled.more => Some(BACKLOG),
            None => None,
        };
        let next = moment.now + again.unwrap_or(interval);
        integrations::polled(&mut tx, moment, &source, &polled.cursor.0, next, problem.as_deref()).await?;
        // What was left over is due at once, whenever there are requests for it.
        let due_at = if polled.wait.is_some() { moment.now } else { next };
        let cost = rhythm::cost(self.before.cost, requests);
        integrations::rounded(&mut tx, integration, Round { due_at, wanted, interval, cost, last_heard_at }).await?;
        if polled.over_budget {
            usage::tell(&mut tx, moment, integration.team_id).await?;
        } else if integration.last_poll_problem.as_deref() == Some(usage::SPENT) {
            usage::goes_on(&mut tx, moment, integration.team_id).await?;
        }
        tx.commit().await?;
        tracing::debug!(?stored, requests, "polled");
        Ok(())
    }

    async fn put_off(&self, problem: Problem) -> Result<(), JobError> {
        let (moment, integration) = (self.moment, self.integration);
        let mut tx = self.engine.app.db.begin().await?;
        match problem {
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

/// Of the thread.
fn post_id(item: &InboundItem) -> String {
    match item {
        InboundItem::Post(post) | InboundItem::Thread(post) => post.id.clone(),
        InboundItem::Comment(comment) => comment.post_id.clone(),
    }
}

fn comment_id(item: &InboundItem) -> Option<String> {
    match item {
        InboundItem::Comment(comment) => Some(comment.id.clone()),
        InboundItem::Post(_) | InboundItem::Thread(_) => None,
    }
}
