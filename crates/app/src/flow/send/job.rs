//! The job `post.send`: one suggestion, as far as it can go now.

use super::arm::{self, Arm, Armed};
use super::claim::{self, Claimed};
use super::gate::Answer;
use super::situation::Situation;
use super::{Sender, WRITE_WITHIN, parking, reconcile};
use crate::accounts::integrations::{self, Integration};
use crate::accounts::tokens::{self, TokenError};
use crate::clock::Moment;
use crate::coord::budget::Urgency;
use crate::flow::suggestion::{self, ChangeError, Suggestion};
use crate::jobs::State;
use crate::model::{Stage, Switch};
use crate::queue::{Class, Job, JobContext, JobError};
use crate::request_id;
use crate::telemetry::{self, SendFailure};
use async_trait::async_trait;
use rejoinder_platforms::{FetchError, Host, OutboundReply, PostedReply, SendError, Session, TargetState};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use uuid::Uuid;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PostSend {
    pub suggestion_id: Uuid,
    pub team_id: Uuid,
    pub integration_id: Uuid,
}

impl PostSend {
    pub fn of(suggestion: &Suggestion) -> Self {
        Self { suggestion_id: suggestion.id, team_id: suggestion.team_id, integration_id: suggestion.integration_id }
    }

    pub fn key_of(suggestion_id: Uuid) -> String {
        format!("send:{suggestion_id}")
    }
}

#[async_trait]
impl Job<State> for PostSend {
    const NAME: &'static str = "post.send";
    const CLASS: Class = Class::Send;
    const MAX_ATTEMPTS: i16 = 25;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn key(&self) -> Option<String> {
        Some(Self::key_of(self.suggestion_id))
    }

    /// One call at a time per account: platforms count per account, and order is what people expect.
    fn serial_queue(&self) -> Option<String> {
        Some(format!("send:{}", self.integration_id))
    }

    async fn run(self, state: &State, _ctx: &JobContext) -> Result<(), JobError> {
        let sender =
            state.sender.as_ref().ok_or_else(|| JobError::Permanent("this process holds no writer".to_owned()))?;
        let send = Send { state, sender };
        let now = state.app.clock.now();
        self.go(&send).await.map_err(|error| match error {
            // Passing trouble, of the database mostly. A person waits for this reply: minutes of backoff would be too long.
            JobError::Retry(reason) => JobError::RetryAt { at: now + TRY_AGAIN, reason },
            other => other,
        })
    }
}

/// After passing trouble.
const TRY_AGAIN: Duration = Duration::from_secs(10);

impl PostSend {
    async fn go(self, send: &Send<'_>) -> Result<(), JobError> {
        let sender = send.sender;
        match sender.claims.ask(claim::Ask { job: self, request_id: request_id::current() }).await? {
            Claimed::Go { suggestion, situation } => send.prepare(&suggestion, *situation).await,
            Claimed::ReadBack { suggestion, attempt } => reconcile::run(send, &suggestion, *attempt).await,
            Claimed::Later { at, reason } => Err(JobError::RetryAt { at, reason }),
            Claimed::Over => Ok(()),
        }
    }
}

/// One run of the protocol.
pub(super) struct Send<'a> {
    pub state: &'a State,
    pub sender: &'a Sender,
}

/// Why the thread could not be looked at.
enum Unread {
    NoToken(TokenError),
    Platform(FetchError),
}

/// What was prepared before arming.
pub(super) struct Ready {
    pub integration: Integration,
    pub session: Session,
}

impl Send<'_> {
    pub fn moment(&self) -> Moment {
        self.state.app.moment()
    }

    /// Token and staleness: network, no transaction.
    async fn prepare(&self, suggestion: &Suggestion, situation: Situation) -> Result<(), JobError> {
        let (app, integration) = (&self.state.app, situation.integration);
        let moment = self.moment();
        let session = match tokens::session_for(app, &moment, &integration, None, Urgency::SEND).await {
            Ok(session) => session,
            Err(error) => return self.no_token(suggestion, &integration, error).await,
        };
        match self.target_problem(suggestion, &integration, session).await {
            Ok((session, None)) => self.arm_and_write(suggestion, Ready { integration, session }).await,
            Ok((_, Some(reason))) => self.not_now(suggestion, Answer::ReturnToPerson { reasons: vec![reason] }).await,
            Err(Unread::NoToken(error)) => self.no_token(suggestion, &integration, error).await,
            Err(Unread::Platform(error)) => {
                let after = match &error {
                    FetchError::RateLimited { retry_after } => *retry_after,
                    _ => Duration::from_secs(30),
                };
                let reason = format!("the thread could not be read: {error}");
                self.not_now(suggestion, Answer::WaitUntil { at: moment.now + after, reason }).await
            }
        }
    }

    /// Why the reply does not fit the thread any more, and the session that was good for reading it: an ended token is
    /// refreshed once.
    async fn target_problem(
        &self,
        suggestion: &Suggestion,
        integration: &Integration,
        mut session: Session,
    ) -> Result<(Session, Option<String>), Unread> {
        let app = &self.state.app;
        let reader = app
            .readers
            .get(&integration.platform)
            .map_err(|error| Unread::Platform(FetchError::Unavailable(error.to_string())))?;
        let target = &suggestion.target;
        let mut read = reader.target_state(&session, &target.post_platform_id, &target.platform_id).await;
        if read == Err(FetchError::AuthExpired) {
            let dead = session.access_token;
            session = tokens::session_for(app, &self.moment(), integration, Some(&dead), Urgency::SEND)
                .await
                .map_err(Unread::NoToken)?;
            read = reader.target_state(&session, &target.post_platform_id, &target.platform_id).await;
        }
        let now_there = read.map_err(Unread::Platform)?;
        Ok((session, stale(&now_there, suggestion)))
    }

    async fn arm_and_write(&self, suggestion: &Suggestion, ready: Ready) -> Result<(), JobError> {
        // In hand before arming: between arming and the first byte nothing may wait.
        if let Err(after) = ready.session.access_token.permits().secure(Host::Api).await {
            let reason = "the request budget of the platform is used up".to_owned();
            return self.not_now(suggestion, Answer::WaitUntil { at: self.moment().now + after, reason }).await;
        }
        let ask = arm::Ask {
            suggestion_id: suggestion.id,
            lease_until: suggestion.state.lease_until,
            request_id: request_id::current(),
        };
        match self.sender.arming.ask(ask).await? {
            Armed::Go(arm) => {
                let result = self.write(suggestion, &ready, &arm).await;
                self.settle(suggestion, &ready, arm.attempt_id, result).await
            }
            Armed::Later { at, reason } => Err(JobError::RetryAt { at, reason }),
            Armed::Over => Ok(()),
        }
    }

    async fn write(&self, suggestion: &Suggestion, ready: &Ready, arm: &Arm) -> Result<PostedReply, SendError> {
        let platform = &ready.integration.platform;
        let writer = self
            .sender
            .writer(platform)
            .ok_or_else(|| SendError::NotSent(format!("{platform} is not configured on this server")))?;
        let reply = OutboundReply {
            target_id: suggestion.target.platform_id.clone(),
            post_id: suggestion.target.post_platform_id.clone(),
            text: suggestion.state.text.clone().unwrap_or_default(),
        };
        // Two clocks: one that may be set back, and one that stands still while the machine sleeps.
        if self.state.app.clock.now() >= arm.armed_at + WRITE_WITHIN || arm.began.elapsed() >= WRITE_WITHIN {
            return Err(SendError::NotSent("the worker was held up after arming".to_owned()));
        }
        let started = Instant::now();
        #[allow(clippy::disallowed_methods, reason = "the one place that posts")]
        let result = writer.reply(&ready.session, &reply).await;
        match &result {
            Ok(_) => telemetry::reply_posted(platform, started.elapsed()),
            Err(error) => telemetry::reply_not_posted(platform, failure(error), started.elapsed()),
        }
        result
    }

    /// The thread says no, or there is no token: nothing was armed.
    async fn not_now(&self, suggestion: &Suggestion, answer: Answer) -> Result<(), JobError> {
        let Some(change) = parking(suggestion, &answer) else { return Ok(()) };
        let moment = self.moment();
        let mut tx = self.state.app.db.begin().await?;
        let current = suggestion::lock(&mut tx, suggestion.team_id, suggestion.id).await?;
        // A worker that was held up so long that another took over has nothing to say any more: that one may be writing.
        let Some(current) = current.filter(|current| {
            current.state.stage == Stage::Sending && current.state.lease_until == suggestion.state.lease_until
        }) else {
            tracing::warn!("the lease went to another worker before the answer");
            return Ok(());
        };
        suggestion::change_held(&mut tx, &moment, current, None, change).await.map_err(retry)?;
        tx.commit().await?;
        match answer {
            Answer::WaitUntil { at, reason } => Err(JobError::RetryAt { at, reason }),
            _ => Ok(()),
        }
    }

    async fn no_token(
        &self,
        suggestion: &Suggestion,
        integration: &Integration,
        error: TokenError,
    ) -> Result<(), JobError> {
        let moment = self.moment();
        match error {
            TokenError::Wait { after, reason } => {
                self.not_now(suggestion, Answer::WaitUntil { at: moment.now + after, reason }).await
            }
            TokenError::App(reason) => {
                let mut tx = self.state.app.db.begin().await?;
                let reason = format!("the platform refuses the app that it was connected through: {reason}");
                let app_of = (integration.platform.as_str(), integration.app_id);
                integrations::pause_app(&mut tx, &moment, app_of, &reason).await?;
                tx.commit().await?;
                self.not_now(suggestion, Answer::WaitFor { switch: Switch::Integration, reason }).await
            }
            TokenError::Reconnect(reason) => {
                let mut tx = self.state.app.db.begin().await?;
                integrations::needs_reconnect(&mut tx, &moment, integration, &reason).await?;
                tx.commit().await?;
                let reason = format!("the account must be connected again: {reason}");
                self.not_now(suggestion, Answer::WaitFor { switch: Switch::Integration, reason }).await
            }
        }
    }
}

/// Why the thread does not fit the approved text any more.
fn stale(now_there: &TargetState, suggestion: &Suggestion) -> Option<String> {
    let approved_at = suggestion.state.approved_at?;
    if !now_there.exists {
        return Some("the text that it answers is gone on the platform".to_owned());
    }
    if now_there.locked {
        return Some("the thread is locked; nobody can reply there any more".to_owned());
    }
    if let Some(reason) = &now_there.by_hand {
        return Some(reason.clone());
    }
    if now_there.own_reply.is_some() {
        return Some("a reply of this account stands there already".to_owned());
    }
    if now_there.edited_at.is_some_and(|at| at > approved_at) {
        return Some("the text that it answers was edited after the approval".to_owned());
    }
    None
}

fn failure(error: &SendError) -> SendFailure {
    match error {
        SendError::Refused { .. } => SendFailure::Refused,
        SendError::RateLimited { .. } | SendError::AuthExpired { .. } | SendError::NotSent(_) => SendFailure::NotSent,
        SendError::Uncertain { .. } | SendError::Unseen { .. } => SendFailure::Uncertain,
    }
}

pub(super) fn retry(error: ChangeError) -> JobError {
    JobError::Retry(error.to_string())
}
