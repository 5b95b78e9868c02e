//! What the platform's answer to a write means: which outcome, which change of the suggestion, and what it says of the account.

use super::attempts::{self, Settled};
use super::finish;
use super::job::{Ready, Send};
use super::trouble;
use crate::accounts::integrations;
use crate::accounts::tokens::{self, TokenError};
use crate::coord::budget::Urgency;
use crate::flow::ingest;
use crate::flow::suggestion::{Change, Suggestion};
use crate::model::{Outcome, Reach};
use crate::queue::JobError;
use crate::request_id;
use rejoinder_platforms::{Exchange, PostedReply, Remedy, Scope, SendError};
use time::OffsetDateTime;
use uuid::Uuid;

/// Fresh tokens that the platform may refuse in a row before a person is asked.
const MAX_REFUSED_TOKENS: i64 = 2;

impl Send<'_> {
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
                    reason: (!posted.visible).then(|| "taken by the platform, not shown in the thread".to_owned()),
                    reach: None,
                    exchange: Some(posted.exchange),
                    platform_reply_id: Some(posted.id),
                    taken: true,
                    words_there: false,
                };
                self.posted(suggestion, attempt_id, settled, url).await
            }
            Err(SendError::Refused { code, reason, scope, remedy, exchange }) => {
                let reason = format!("{} says: {reason} ({code})", self.platform_name(ready));
                self.refused(suggestion, ready, attempt_id, (scope, remedy, reason), exchange).await
            }
            Err(SendError::Unseen { reason, exchange }) => {
                let settled = Settled { taken: true, ..failed(Outcome::Uncertain, &reason, Some(exchange)) };
                self.uncertain(suggestion, attempt_id, settled, &reason).await
            }
            Err(SendError::RateLimited { retry_after, scope, exchange }) => {
                let until = self.moment().now + retry_after;
                let name = self.platform_name(ready);
                let reason = format!("{name} says: try again in {} s. We will.", retry_after.as_secs());
                trouble::slow_down(&self.state.app, &ready.integration, scope, until, &reason).await?;
                self.not_sent(suggestion, attempt_id, Some(exchange), until, reason).await
            }
            Err(SendError::AuthExpired { exchange }) => {
                self.token_refused(suggestion, ready, attempt_id, exchange).await
            }
            Err(SendError::NotSent(reason)) => {
                let until = self.moment().now + time::Duration::seconds(15);
                self.not_sent(suggestion, attempt_id, None, until, reason).await
            }
            Err(SendError::Uncertain { reason, exchange }) => {
                let settled = failed(Outcome::Uncertain, &reason, Some(exchange));
                self.uncertain(suggestion, attempt_id, settled, &reason).await
            }
        }
    }

    /// The reply fails, unless it is the account that must be looked after: then that stops at once, and the reply waits for it.
    async fn refused(
        &self,
        suggestion: &Suggestion,
        ready: &Ready,
        attempt_id: Uuid,
        (scope, remedy, reason): (Scope, Remedy, String),
        exchange: Exchange,
    ) -> Result<(), JobError> {
        let app = &self.state.app;
        match remedy {
            Remedy::StopAccount => trouble::stop(app, &ready.integration, &reason).await?,
            Remedy::Reconnect => trouble::reconnect(app, &ready.integration, &reason).await?,
            Remedy::EditUnlessOurs if self.may_be_ours(suggestion, attempt_id).await? => {
                let settled = Settled { words_there: true, ..failed(Outcome::Uncertain, &reason, Some(exchange)) };
                return self.uncertain(suggestion, attempt_id, settled, &reason).await;
            }
            Remedy::Nothing | Remedy::Edit | Remedy::EditUnlessOurs | Remedy::ByHand => {
                let edit = matches!(remedy, Remedy::Edit | Remedy::EditUnlessOurs);
                let edit = if edit { ". Change the text, then send it again." } else { "" };
                let reason = format!("{reason}{edit}");
                let settled =
                    Settled { reach: Some(reach(scope)), ..failed(Outcome::Refused, &reason, Some(exchange)) };
                if remedy == Remedy::ByHand {
                    // Before the outcome stands: whoever dies in between has not forgotten it.
                    let mut conn = app.db.acquire().await?;
                    let target = (suggestion.integration_id, suggestion.target.platform_id.as_str());
                    ingest::leave_to_people(&mut conn, suggestion.team_id, target, &reason).await?;
                }
                self.finish(suggestion, attempt_id, settled, Change::Refused { reason: reason.clone() }).await?;
                return Ok(trouble::refused(app, &ready.integration, scope, &reason).await?);
            }
        }
        self.not_sent(suggestion, attempt_id, Some(exchange), self.moment().now, reason).await
    }

    /// Whether an earlier attempt may have put these words there.
    async fn may_be_ours(&self, suggestion: &Suggestion, attempt_id: Uuid) -> Result<bool, JobError> {
        let mut conn = self.state.app.db.acquire().await?;
        Ok(attempts::first_without_answer(&mut conn, suggestion.id, attempt_id).await?.is_some())
    }

    /// Refreshes and goes on. A platform that refuses fresh tokens as well wants a person.
    async fn token_refused(
        &self,
        suggestion: &Suggestion,
        ready: &Ready,
        attempt_id: Uuid,
        exchange: Exchange,
    ) -> Result<(), JobError> {
        let app = &self.state.app;
        let moment = self.moment();
        let mut conn = app.db.acquire().await?;
        let refused_before = attempts::refused_tokens_in_a_row(&mut conn, suggestion.id).await?;
        drop(conn);
        let dead = Some(&ready.session.access_token);
        let dead = match tokens::session_for(app, &moment, &ready.integration, dead, Urgency::SEND).await {
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
        settled: Settled,
        url: Option<String>,
    ) -> Result<(), JobError> {
        let reply_id = settled.platform_reply_id.clone().unwrap_or_default();
        self.finish(suggestion, attempt_id, settled, Change::Posted { reply_id, url }).await?;
        Ok(())
    }

    /// Settles the attempt and changes the suggestion together; false when somebody settled it before.
    pub async fn finish(
        &self,
        suggestion: &Suggestion,
        attempt_id: Uuid,
        settled: Settled,
        change: Change,
    ) -> Result<bool, JobError> {
        let request_id = request_id::current();
        let ask = finish::Ask { suggestion_id: suggestion.id, attempt_id, settled, change, request_id };
        Ok(self.sender.finishing.ask(ask).await?)
    }

    /// Nothing was posted; it goes on at `until`.
    pub async fn not_sent(
        &self,
        suggestion: &Suggestion,
        attempt_id: Uuid,
        exchange: Option<Exchange>,
        until: OffsetDateTime,
        reason: String,
    ) -> Result<(), JobError> {
        let settled = failed(Outcome::NotSent, &reason, exchange);
        let change = Change::Park { until, reason: reason.clone(), waits_for: None };
        if self.finish(suggestion, attempt_id, settled, change).await? {
            return Err(JobError::RetryAt { at: until, reason });
        }
        Ok(())
    }

    async fn uncertain(
        &self,
        suggestion: &Suggestion,
        attempt_id: Uuid,
        settled: Settled,
        reason: &str,
    ) -> Result<(), JobError> {
        let look_again_at = self.moment().now + time::Duration::seconds(2);
        let change =
            Change::Uncertain { reason: format!("Nobody knows yet whether it stands there: {reason}"), look_again_at };
        self.finish(suggestion, attempt_id, settled, change).await?;
        Err(JobError::RetryAt { at: look_again_at, reason: reason.to_owned() })
    }
}

fn failed(outcome: Outcome, reason: &str, exchange: Option<Exchange>) -> Settled {
    Settled { exchange, ..Settled::of(outcome, reason) }
}

fn reach(scope: Scope) -> Reach {
    match scope {
        Scope::Item => Reach::Item,
        Scope::Account => Reach::Account,
        Scope::App => Reach::App,
    }
}
