//! Repair and upkeep: jobs that take no input, look at what stands in the database and act. Running one twice does no harm.

use crate::accounts::tokens::TokenError;
use crate::accounts::{
    clerk, connect, event_tickets, invitations, mails, password_resets, second_steps, sessions, subscriptions, tokens,
};
use crate::clock::Moment;
use crate::coord::{buckets, budget, idempotency, usage};
use crate::flow::ingest::{IntegrationPoll, PostProcess, StandingSweep, looks, webhook_events};
use crate::flow::{activity, places};
use crate::jobs::{self, State};
use crate::privacy;
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::accounts::integrations;

/// Accounts taken up by one sweep.
const SWEEP: i64 = 500;
/// Webhook events forgotten in one statement, and how many statements of an hour.
const EVENT_STEP: i64 = 5_000;
const EVENT_STEPS: usize = 40;
/// A webhook event that waits longer may have lost its job.
const LEFT_WAITING: time::Duration = time::Duration::minutes(10);

/// Finds the accounts whose next round is due, the posts that are to be looked at, and the accounts whose stored texts are to be
/// looked up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PollSweep {}

#[async_trait]
impl Job<State> for PollSweep {
    const NAME: &'static str = "poll.sweep";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 1;
    const TIMEOUT: Duration = Duration::from_secs(30);

    fn key(&self) -> Option<String> {
        Some(Self::NAME.to_owned())
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let mut tx = state.app.db.begin().await?;
        budget::measure(&mut tx, &state.app.own_clients(), ctx.now).await?;
        for look in looks::apps_due(&mut tx, ctx.now).await? {
            jobs::enqueue_if_absent(&mut tx, &look, ctx.now).await?;
        }
        for integration_id in integrations::due(&mut tx, ctx.now, SWEEP).await? {
            jobs::enqueue_if_absent(&mut tx, &IntegrationPoll { integration_id }, ctx.now).await?;
        }
        for integration_id in integrations::sweeps_due(&mut tx, ctx.now, SWEEP).await? {
            jobs::enqueue_if_absent(&mut tx, &StandingSweep { integration_id }, ctx.now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Refreshes tokens before they end, so that no send has to wait for it, and tells the team where that fails again and again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TokenSweep {}

#[async_trait]
impl Job<State> for TokenSweep {
    const NAME: &'static str = "token.refresh";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 3;
    const TIMEOUT: Duration = Duration::from_secs(300);

    fn key(&self) -> Option<String> {
        Some(Self::NAME.to_owned())
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let app = &state.app;
        let moment = Moment::at(ctx.now, &app.entropy);
        let mut conn = app.db.acquire().await?;
        let mut due = Vec::new();
        for (platform, reader) in app.readers.iter() {
            let ahead = reader.refresh_ahead().try_into().unwrap_or(time::Duration::hours(2));
            let expiring = integrations::expiring(&mut conn, platform, ctx.now + ahead, SWEEP).await?;
            due.extend(expiring.into_iter().map(|integration| (integration, ahead > time::Duration::WEEK)));
        }
        drop(conn);
        for (integration, lasts) in due {
            let renewed = tokens::renew(app, &moment, &integration).await;
            let mut tx = app.db.begin().await?;
            match renewed {
                Ok(()) => integrations::access_renewed(&mut tx, &moment, &integration).await?,
                Err(TokenError::Reconnect(reason)) => {
                    integrations::needs_reconnect(&mut tx, &moment, &integration, &reason).await?;
                }
                Err(TokenError::App(reason)) => {
                    let reason = format!("the platform refuses the app that it was connected through: {reason}");
                    let app_of = (integration.platform.as_str(), integration.app_id);
                    integrations::pause_app(&mut tx, &moment, app_of, &reason).await?;
                }
                Err(TokenError::Wait { reason, .. }) if lasts => {
                    integrations::access_ends(&mut tx, &moment, &integration, &reason).await?;
                }
                Err(TokenError::Wait { .. }) => {}
            }
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Partitions for the months to come; sessions, states and buckets that nobody needs any more.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Upkeep {}

#[async_trait]
impl Job<State> for Upkeep {
    const NAME: &'static str = "upkeep";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 3;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn key(&self) -> Option<String> {
        Some(Self::NAME.to_owned())
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let moment = Moment::at(ctx.now, &state.app.entropy);
        let mut conn = state.app.db.acquire().await?;
        activity::prepare_months(&mut conn, &moment).await?;
        webhook_events::prepare_months(&mut conn, &moment).await?;
        forget_events(&mut conn, ctx.now).await?;
        for integration_id in webhook_events::left_waiting(&mut conn, ctx.now - LEFT_WAITING, SWEEP).await? {
            jobs::enqueue_if_absent(&mut conn, &PostProcess { integration_id }, ctx.now).await?;
        }
        let pushing = state.app.readers.iter().filter(|(_, reader)| reader.takes_webhooks());
        let pushing: Vec<String> = pushing.map(|(platform, _)| platform.to_owned()).collect();
        subscriptions::look_again(&mut conn, &pushing, ctx.now, SWEEP).await?;
        privacy::take_up(&mut conn, ctx.now, SWEEP).await?;
        sessions::delete_expired(&mut conn, ctx.now, SWEEP).await?;
        second_steps::delete_expired(&mut conn, ctx.now).await?;
        password_resets::delete_old(&mut conn, ctx.now).await?;
        invitations::delete_old(&mut conn, ctx.now, SWEEP).await?;
        mails::forget_old(&mut conn, ctx.now).await?;
        event_tickets::delete_expired(&mut conn, ctx.now, SWEEP).await?;
        connect::forget_old_states(&mut conn, &moment).await?;
        idempotency::delete_old(&mut conn, ctx.now, SWEEP).await?;
        places::forget_old(&mut conn, ctx.now - time::Duration::days(30)).await?;
        usage::forget_old(&mut conn, ctx.now).await?;
        buckets::delete_idle(&mut conn, ctx.now - time::Duration::days(1), SWEEP).await?;
        Ok(())
    }
}

/// Webhooks come in bursts, so they go in many steps.
async fn forget_events(conn: &mut sqlx::PgConnection, now: time::OffsetDateTime) -> Result<(), sqlx::Error> {
    for _ in 0..EVENT_STEPS {
        let events = webhook_events::forget_old(conn, now, EVENT_STEP).await?;
        let seen = clerk::webhook::forget_old(conn, now - time::Duration::days(30), EVENT_STEP).await?;
        if events == 0 && seen == 0 {
            break;
        }
    }
    Ok(())
}
