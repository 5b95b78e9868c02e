//! What became of a write: the attempt, the suggestion, the slot, the item and the log, together in one transaction each.

use super::attempts::{self, Settled};
use super::job::{Ready, Send, retry};
use crate::accounts::integrations;
use crate::accounts::tokens::{self, TokenError};
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::ingest::inbox;
use crate::flow::suggestion::{self, Change, Suggestion};
use crate::model::{ItemState, Outcome};
use crate::queue::JobError;
use rejoinder_platforms::{PostedReply, SendError};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Fresh tokens that the platform may refuse in a row before a person is asked.
const MAX_REFUSED_TOKENS: i64 = 2;

impl Send<'_> {
    /// One transaction: what became of it.
    pub async fn settle(
        &self,
        suggestion: &Suggestion,
        ready: &Ready,
        attempt_id: Uuid,
        result: Result<PostedReply, SendError>,
    ) -> Result<(), JobError> {
        match result {
            Ok(posted) => {
                let url = posted.permalink.as_ref().map(ToString::to_string);
                let settled = Settled {
                    outcome: Outcome::Posted,
                    reason: (!posted.visible).then_some("taken by the platform, not shown in the thread"),
                    exchange: Some(&posted.exchange),
                    platform_reply_id: Some(&posted.id),
                };
                self.posted(suggestion, attempt_id, &settled, url).await
            }
            Err(SendError::Refused { code, reason, exchange, .. }) => {
                let reason = format!("{} says: {reason} ({code})", self.platform_name(ready));
                let settled = Settled {
                    outcome: Outcome::Refused,
                    reason: Some(&reason),
                    exchange: Some(&exchange),
                    platform_reply_id: None,
                };
                self.finish(suggestion, attempt_id, &settled, Change::Refused { reason: reason.clone() }).await?;
                Ok(())
            }
            Err(SendError::RateLimited { retry_after, exchange, .. }) => {
                let until = self.moment().now + time::Duration::try_from(retry_after).unwrap_or(time::Duration::HOUR);
                let reason =
                    format!("{} says: try again in {} s. We will.", self.platform_name(ready), retry_after.as_secs());
                self.not_sent(suggestion, attempt_id, Some(&exchange), until, reason).await
            }
            Err(SendError::AuthExpired { exchange }) => {
                self.token_refused(suggestion, ready, attempt_id, &exchange).await
            }
            Err(SendError::NotSent(reason)) => {
                let until = self.moment().now + time::Duration::seconds(15);
                self.not_sent(suggestion, attempt_id, None, until, reason).await
            }
            Err(SendError::Uncertain { reason, exchange }) => {
                self.uncertain(suggestion, attempt_id, &reason, &exchange).await
            }
        }
    }

    /// Refreshes and goes on. A platform that refuses fresh tokens as well wants a person.
    async fn token_refused(
        &self,
        suggestion: &Suggestion,
        ready: &Ready,
        attempt_id: Uuid,
        exchange: &rejoinder_platforms::Exchange,
    ) -> Result<(), JobError> {
        let app = &self.state.app;
        let moment = self.moment();
        let mut conn = app.db.acquire().await?;
        let refused_before = attempts::refused_tokens_in_a_row(&mut conn, suggestion.id).await?;
        drop(conn);
        let dead = match tokens::session(app, &moment, &ready.integration, Some(&ready.session.access_token)).await {
            Err(TokenError::Reconnect(reason)) => Some(reason),
            _ if refused_before >= MAX_REFUSED_TOKENS => Some("the platform refuses fresh tokens too".to_owned()),
            _ => None,
        };
        if let Some(reason) = dead {
            let mut tx = app.db.begin().await?;
            integrations::needs_reconnect(&mut tx, &moment, &ready.integration, &reason).await?;
            tx.commit().await?;
        }
        let reason = "the token had ended; it is refreshed".to_owned();
        self.not_sent(suggestion, attempt_id, Some(exchange), moment.now, reason).await
    }

    fn platform_name(&self, ready: &Ready) -> String {
        let reader = self.state.app.readers.get(&ready.integration.platform);
        reader.map_or_else(|_| ready.integration.platform.clone(), |reader| reader.capabilities().name.to_owned())
    }

    pub async fn posted(
        &self,
        suggestion: &Suggestion,
        attempt_id: Uuid,
        settled: &Settled<'_>,
        url: Option<String>,
    ) -> Result<(), JobError> {
        let reply_id = settled.platform_reply_id.unwrap_or_default().to_owned();
        self.finish(suggestion, attempt_id, settled, Change::Posted { reply_id, url }).await?;
        Ok(())
    }

    /// Settles the attempt and changes the suggestion together. Does nothing when somebody settled it before.
    pub async fn finish(
        &self,
        suggestion: &Suggestion,
        attempt_id: Uuid,
        settled: &Settled<'_>,
        change: Change,
    ) -> Result<(), JobError> {
        let moment = self.moment();
        let mut tx = self.state.app.db.begin().await?;
        // The suggestion first: the same order as arming, so that two workers never wait for each other.
        suggestion::lock(&mut tx, suggestion.team_id, suggestion.id).await?;
        if !attempts::settle(&mut tx, &moment, attempt_id, settled).await? {
            return Ok(());
        }
        if matches!(settled.outcome, Outcome::Refused | Outcome::NotSent) {
            attempts::release_slot(&mut tx, suggestion.id).await?;
        }
        let posted = matches!(change, Change::Posted { .. });
        suggestion::change(&mut tx, &moment, suggestion.team_id, suggestion.id, None, change).await.map_err(retry)?;
        if posted {
            inbox::set_state(&mut tx, &moment, suggestion.team_id, suggestion.item_id, None, ItemState::Done).await?;
        }
        record_exchange(&mut tx, &moment, suggestion, attempt_id, settled).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Nothing was posted; it goes on at `until`.
    pub async fn not_sent(
        &self,
        suggestion: &Suggestion,
        attempt_id: Uuid,
        exchange: Option<&rejoinder_platforms::Exchange>,
        until: OffsetDateTime,
        reason: String,
    ) -> Result<(), JobError> {
        let settled = Settled { outcome: Outcome::NotSent, reason: Some(&reason), exchange, platform_reply_id: None };
        self.finish(suggestion, attempt_id, &settled, Change::Park { until, reason: reason.clone() }).await?;
        Err(JobError::RetryAt { at: until, reason })
    }

    async fn uncertain(
        &self,
        suggestion: &Suggestion,
        attempt_id: Uuid,
        reason: &str,
        exchange: &rejoinder_platforms::Exchange,
    ) -> Result<(), JobError> {
        let look_again_at = self.moment().now + time::Duration::seconds(2);
        let settled = Settled {
            outcome: Outcome::Uncertain,
            reason: Some(reason),
            exchange: Some(exchange),
            platform_reply_id: None,
        };
        let change =
            Change::Uncertain { reason: format!("Nobody knows yet whether it stands there: {reason}"), look_again_at };
        self.finish(suggestion, attempt_id, &settled, change).await?;
        Err(JobError::RetryAt { at: look_again_at, reason: reason.to_owned() })
    }
}

/// The raw exchange, redacted by the adapter, beside the change that it led to.
async fn record_exchange(
    conn: &mut PgConnection,
    moment: &Moment,
    suggestion: &Suggestion,
    attempt_id: Uuid,
    settled: &Settled<'_>,
) -> Result<(), sqlx::Error> {
    let Some(exchange) = settled.exchange else { return Ok(()) };
    let payload = json!({
        "attempt_id": attempt_id, "outcome": settled.outcome, "reason": settled.reason, "request": exchange.request,
        "status": exchange.status, "answer": exchange.answer,
    });
    let subject = Subject::Suggestion(suggestion.id);
    activity::record(conn, moment, suggestion.team_id, None, Kind::ReplyExchange, subject, payload).await
}
