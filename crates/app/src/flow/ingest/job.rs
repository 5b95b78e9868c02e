//! The job `integration.poll`: one account, one round. Reads the platform without a transaction, stores in one.
//!
//! A dead token is refreshed once and the round repeated; a refused account is paused, with the reason, until a person resumes it,
//! and read now and then; anything passing is tried again at the next round, so a poll never piles up retries.

use super::{Source, store};
use crate::accounts::integrations::{self, Integration, PauseCause};
use crate::accounts::tokens::{self, TokenError};
use crate::clock::Moment;
use crate::engine::Engine;
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{Cursor, FetchError, Polled, Scope};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long an account waits between two rounds.
pub const INTERVAL: time::Duration = time::Duration::seconds(60);
/// How long an account waits that the platform refuses to let read.
const REFUSED_AGAIN: time::Duration = time::Duration::HOUR;
/// When more is waiting than one round takes.
const SOON: time::Duration = time::Duration::seconds(2);

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
        drop(conn);
        if !integration.is_read() {
            return Ok(());
        }
        match read(engine, &moment, &integration).await {
            Ok(polled) => keep(engine, &moment, &integration, polled).await,
            Err(problem) => put_off(engine, &moment, &integration, problem).await,
        }
    }
}

/// Why a round brought nothing.
enum Problem {
    Wait { after: Duration, reason: String },
    Account { cause: PauseCause, reason: String },
    TokenDead(String),
}

async fn read(engine: &Engine, moment: &Moment, integration: &Integration) -> Result<Polled, Problem> {
    let reader = engine
        .app
        .readers
        .get(&integration.platform)
        .map_err(|error| Problem::Account { cause: PauseCause::App, reason: error.to_string() })?;
    let cursor = Cursor(integration.poll_cursor.clone());
    let mut session = tokens::session(&engine.app, moment, integration, None).await?;
    for refreshed in [false, true] {
        match reader.poll(&session, &cursor).await {
            Ok(polled) => return Ok(polled),
            Err(FetchError::AuthExpired) if !refreshed => {
                session = tokens::session(&engine.app, moment, integration, Some(&session.access_token)).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::TokenDead("the platform does not accept a fresh token".to_owned()))
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Reconnect(reason) => Self::TokenDead(reason),
            TokenError::Wait { after, reason } => Self::Wait { after, reason },
        }
    }
}

impl From<FetchError> for Problem {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::RateLimited { retry_after } => {
                Self::Wait { after: retry_after, reason: "the request budget of the platform is used up".to_owned() }
            }
            FetchError::AuthExpired => Self::TokenDead("the platform does not accept a fresh token".to_owned()),
            FetchError::Refused { code, reason, scope: Scope::Account } => {
                Self::Account { cause: PauseCause::Failures, reason: format!("{reason} ({code})") }
            }
            FetchError::Refused { code, reason, scope: Scope::App } => {
                Self::Account { cause: PauseCause::App, reason: format!("{reason} ({code})") }
            }
            FetchError::Refused { code, reason, scope: Scope::Item } => {
                Self::Wait { after: Duration::from_secs(300), reason: format!("{reason} ({code})") }
            }
            FetchError::Unavailable(reason) => Self::Wait { after: Duration::from_secs(60), reason },
        }
    }
}

async fn keep(engine: &Engine, moment: &Moment, integration: &Integration, polled: Polled) -> Result<(), JobError> {
    let source = Source {
        team_id: integration.team_id,
        integration_id: integration.id,
        platform: integration.platform.clone(),
        account_id: integration.platform_account_id.clone(),
        account_name: integration.display_name.clone(),
    };
    let soon = polled.wait.and_then(|wait| wait.try_into().ok()).map_or(SOON, |wait: time::Duration| wait.max(SOON));
    let next = moment.now + if polled.more || polled.wait.is_some() { soon } else { INTERVAL };
    let problem = (!polled.problems.is_empty()).then(|| polled.problems.join("; "));
    let mut tx = engine.app.db.begin().await?;
    let stored = store(&mut tx, moment, &source, polled.items).await?;
    integrations::polled(&mut tx, moment, &source, &polled.cursor.0, next, problem.as_deref()).await?;
    tx.commit().await?;
    tracing::debug!(?stored, "polled");
    Ok(())
}

async fn put_off(
    engine: &Engine,
    moment: &Moment,
    integration: &Integration,
    problem: Problem,
) -> Result<(), JobError> {
    let mut tx = engine.app.db.begin().await?;
    match problem {
        Problem::Wait { after, reason } => {
            let wait = time::Duration::try_from(after).unwrap_or(INTERVAL).max(INTERVAL);
            integrations::poll_put_off(&mut tx, integration, moment.now + wait, &reason).await?;
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
