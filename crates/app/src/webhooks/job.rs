//! The job that calls an endpoint with what is due, one call after the other, and the sweep behind it.
//!
//! Each call is claimed before it begins, with the time at which somebody else would try if this process died; so a call may happen
//! twice and is never lost. The transaction is over before the call.

use super::KEPT;
use super::endpoints::{self, Endpoint};
use super::settle::{self, Attempted, Claimed};
use crate::app::App;
use crate::clients::outbound::{OutboundError, TIMEOUT};
use crate::clock::Moment;
use crate::engine::Engine;
use crate::error::chain;
use crate::jobs;
use crate::queue::{Class, Job, JobContext, JobError};
use crate::secrets::SealError;
use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// One run goes on for so long, or to the first call that is not taken; what is left goes to the end of the line, behind other receivers.
const RUN: Duration = Duration::from_secs(10);
/// Deliveries that nobody took up are found by the sweep after this.
const LATE: time::Duration = time::Duration::minutes(2);
const SWEEP: i64 = 1_000;
/// Longer than all repeats take: what still waits then belongs to a receiver that takes less than it is told.
const LONGEST_WAIT: time::Duration = time::Duration::days(3);

/// Calls one endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookDeliver {
    pub team_id: Uuid,
    pub endpoint_id: Uuid,
    /// Comes for what failed before; at most one waits per endpoint.
    pub again: bool,
}

#[async_trait]
impl Job<Arc<Engine>> for WebhookDeliver {
    const NAME: &'static str = "webhook.deliver";
    const CLASS: Class = Class::Webhook;
    const MAX_ATTEMPTS: i16 = 10;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn key(&self) -> Option<String> {
        self.again.then(|| format!("webhook:{}", self.endpoint_id))
    }

    fn serial_queue(&self) -> Option<String> {
        Some(format!("webhook:{}", self.endpoint_id))
    }

    async fn run(self, engine: &Arc<Engine>, _: &JobContext) -> Result<(), JobError> {
        let app = &engine.app;
        let began = Instant::now();
        let which = (self.team_id, self.endpoint_id);
        while began.elapsed() < RUN {
            let moment = app.moment();
            let Some((endpoint, claimed)) = settle::claim(app, &moment, which).await? else { break };
            let attempted = attempt(app, &moment, &endpoint, &claimed).await?;
            settle::settle(app, &endpoint, &claimed, &attempted).await?;
            if attempted.error.is_some() {
                break;
            }
        }
        let mut tx = app.db.begin().await?;
        if let Some(due) = settle::next_due(&mut tx, which).await? {
            let again = Self { again: true, ..self };
            jobs::enqueue(&mut tx, &again, due.max(app.clock.now())).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// One call; whatever comes of it is an outcome. The error is ours: the secret cannot be opened now.
async fn attempt(app: &App, moment: &Moment, endpoint: &Endpoint, claimed: &Claimed) -> Result<Attempted, JobError> {
    let mut conn = app.db.acquire().await?;
    let secrets = match endpoints::signing(app, &mut conn, endpoint, moment.now).await {
        Ok(secrets) => secrets,
        Err(SealError::Database(error)) => return Err(error.into()),
        Err(error) => {
            tracing::error!(error = %chain(&error), endpoint = %endpoint.id, "a webhook cannot be signed");
            let error = Some("The signing secret cannot be opened; rotate it.".to_owned());
            return Ok(Attempted { status: None, took: Duration::ZERO, error, answer: None });
        }
    };
    drop(conn);
    let id = claimed.event_id.to_string();
    let signatures: Vec<String> =
        secrets.iter().map(|secret| secret.sign(&id, moment.now, claimed.body.as_bytes())).collect();
    let headers = [
        ("webhook-id", id),
        ("webhook-timestamp", moment.now.unix_timestamp().to_string()),
        ("webhook-signature", signatures.join(" ")),
    ];
    let headers: HeaderMap = headers
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?)))
        .collect();
    let began = Instant::now();
    let called = app.outbound.post(&endpoint.url, headers, claimed.body.clone()).await;
    let took = began.elapsed();
    Ok(match called {
        Ok(taken) => {
            let status = taken.status;
            let error = (!(200..300).contains(&status)).then(|| refusal(status));
            Attempted { status: Some(status), took, error, answer: Some(taken.answer) }
        }
        Err(OutboundError::Refused(why)) => {
            Attempted { status: None, took, error: Some(format!("not called: the address {why}")), answer: None }
        }
        Err(OutboundError::Call(error)) => {
            Attempted { status: None, took, error: Some(error.to_string()), answer: None }
        }
    })
}

fn refusal(status: u16) -> String {
    match status {
        300..400 => format!("{status}: a redirect, which is not followed; enter the address that it leads to"),
        410 => "410: the receiver is gone".to_owned(),
        _ => format!("the receiver answered {status}"),
    }
}

/// Finds deliveries whose job got lost, and forgets those that are too old.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WebhookSweep {}

#[async_trait]
impl Job<Arc<Engine>> for WebhookSweep {
    const NAME: &'static str = "webhook.sweep";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 1;
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn key(&self) -> Option<String> {
        Some(Self::NAME.to_owned())
    }

    async fn run(self, engine: &Arc<Engine>, ctx: &JobContext) -> Result<(), JobError> {
        let mut tx = engine.app.db.begin().await?;
        for (team_id, endpoint_id) in settle::late(&mut tx, ctx.now - LATE, SWEEP).await? {
            jobs::enqueue_if_absent(&mut tx, &WebhookDeliver { team_id, endpoint_id, again: true }, ctx.now).await?;
        }
        settle::give_up_waiting(&mut tx, ctx.now, ctx.now - LONGEST_WAIT, SWEEP).await?;
        settle::forget_old(&mut tx, ctx.now - KEPT, SWEEP).await?;
        tx.commit().await?;
        Ok(())
    }
}

const _: () = assert!(TIMEOUT.as_secs() + RUN.as_secs() < 120, "a run ends before its limit");
