//! The job `post.send`: one suggestion, as far as it can go now.

use super::attempts;
use super::gate::{self, Answer};
use super::{LEASE, Sender, WRITE_WITHIN, reconcile};
use crate::accounts::integrations::{self, Integration};
use crate::accounts::tokens::{self, TokenError};
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::suggestion::{self, Change, ChangeError, Suggestion};
use crate::jobs::State;
use crate::model::{Stage, Status};
use crate::queue::{Class, Job, JobContext, JobError};
use crate::telemetry::{self, SendFailure};
use async_trait::async_trait;
use rejoinder_platforms::{FetchError, OutboundReply, PostedReply, SendError, Session, TargetState};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
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
        let mut conn = state.app.db.acquire().await?;
        let Some(suggestion) = suggestion::load(&mut conn, self.team_id, self.suggestion_id).await? else {
            return Ok(());
        };
        let open = attempts::open(&mut conn, suggestion.id).await?;
        drop(conn);
        if suggestion.state.status != Status::Approved {
            return Ok(());
        }
        match (suggestion.state.stage, open) {
            (Stage::Queued | Stage::Parked, _) => send.claim_and_go(&suggestion).await,
            (Stage::Sending | Stage::Uncertain, Some(attempt)) => reconcile::run(&send, &suggestion, attempt).await,
            (Stage::Sending | Stage::Uncertain, None) => send.take_over(&suggestion).await,
            _ => Ok(()),
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
    pub lease_until: OffsetDateTime,
}

impl Send<'_> {
    pub fn moment(&self) -> Moment {
        self.state.app.moment()
    }

    async fn claim_and_go(&self, suggestion: &Suggestion) -> Result<(), JobError> {
        let moment = self.moment();
        if let Some(at) = suggestion.state.send_after
            && at > moment.now
        {
            return Err(JobError::RetryAt { at, reason: "not due yet".to_owned() });
        }
        if let Some((at, reason)) = self.still_parked(suggestion, moment.now).await? {
            return Err(JobError::RetryAt { at, reason });
        }
        let lease_until = moment.now + LEASE;
        match self.change(&moment, suggestion, Change::Claim { lease_until }).await {
            Ok(claimed) => self.prepare(&claimed, lease_until).await,
            // Undone or taken by someone else between reading and claiming.
            Err(ChangeError::Refused(refusal)) => {
                tracing::info!(code = refusal.code, "not claimed");
                Ok(())
            }
            Err(error) => Err(retry(error)),
        }
    }

    /// Parked before and kept by the same switch: nothing changed, so nothing is written.
    async fn still_parked(
        &self,
        suggestion: &Suggestion,
        now: OffsetDateTime,
    ) -> Result<Option<(OffsetDateTime, String)>, sqlx::Error> {
        if suggestion.state.stage != Stage::Parked {
            return Ok(None);
        }
        let mut conn = self.state.app.db.acquire().await?;
        let integration = integrations::load(&mut conn, suggestion.team_id, suggestion.integration_id).await?;
        Ok(match gate::check(self.rules(), suggestion, integration.as_ref(), now) {
            Answer::WaitFor { switch } if suggestion.state.stage_reason.as_ref() == Some(&switch) => {
                Some((now + gate::LOOK_AGAIN, switch))
            }
            _ => None,
        })
    }

    /// Claimed by a worker that is gone before it armed: nothing was written.
    async fn take_over(&self, suggestion: &Suggestion) -> Result<(), JobError> {
        let moment = self.moment();
        let lease_until = moment.now + LEASE;
        match self.change(&moment, suggestion, Change::Reclaim { lease_until }).await {
            Ok(claimed) => self.prepare(&claimed, lease_until).await,
            Err(ChangeError::Refused(_)) => {
                let at = suggestion.state.lease_until.unwrap_or(moment.now) + time::Duration::SECOND;
                Err(JobError::RetryAt { at, reason: "another worker holds it".to_owned() })
            }
            Err(error) => Err(retry(error)),
        }
    }

    pub async fn change(
        &self,
        moment: &Moment,
        suggestion: &Suggestion,
        change: Change,
    ) -> Result<Suggestion, ChangeError> {
        let mut tx = self.state.app.db.begin().await?;
        let changed = suggestion::change(&mut tx, moment, suggestion.team_id, suggestion.id, None, change).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// Token and staleness: network, no transaction.
    async fn prepare(&self, suggestion: &Suggestion, lease_until: OffsetDateTime) -> Result<(), JobError> {
        let app = &self.state.app;
        let moment = self.moment();
        let mut conn = app.db.acquire().await?;
        let integration = integrations::load(&mut conn, suggestion.team_id, suggestion.integration_id).await?;
        drop(conn);
        let answer = gate::check(self.rules(), suggestion, integration.as_ref(), moment.now);
        let (Answer::Allow, Some(integration)) = (&answer, integration) else {
            return self.not_now(suggestion, answer).await;
        };
        let session = match tokens::session(app, &moment, &integration, None).await {
            Ok(session) => session,
            Err(error) => return self.no_token(suggestion, &integration, error).await,
        };
        match self.target_problem(suggestion, &integration, session).await {
            Ok((session, None)) => self.arm_and_write(suggestion, Ready { integration, session, lease_until }).await,
            Ok((_, Some(reason))) => self.not_now(suggestion, Answer::ReturnToPerson { reasons: vec![reason] }).await,
            Err(Unread::NoToken(error)) => self.no_token(suggestion, &integration, error).await,
            Err(Unread::Platform(error)) => {
                let at = moment.now + time::Duration::seconds(30);
                let reason = format!("the thread could not be read: {error}");
                self.not_now(suggestion, Answer::WaitUntil { at, reason }).await
            }
        }
    }

    fn rules(&self) -> gate::Rules {
        gate::Rules { dry_run: self.state.app.config.dry_run }
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
            session = tokens::session(app, &self.moment(), integration, Some(&dead)).await.map_err(Unread::NoToken)?;
            read = reader.target_state(&session, &target.post_platform_id, &target.platform_id).await;
        }
        let now_there = read.map_err(Unread::Platform)?;
        Ok((session, stale(&now_there, suggestion)))
    }

    /// One transaction: the gate again with the rows held, the slot, the attempt. Then the write.
    async fn arm_and_write(&self, suggestion: &Suggestion, ready: Ready) -> Result<(), JobError> {
        let worker_id = self.sender.identity.confirm().await?;
        let moment = self.moment();
        let mut tx = self.state.app.db.begin().await?;
        let integration = integrations::hold(&mut tx, suggestion.team_id, suggestion.integration_id).await?;
        let Some(current) = suggestion::lock(&mut tx, suggestion.team_id, suggestion.id).await? else { return Ok(()) };
        if current.state.stage != Stage::Sending || current.state.lease_until != Some(ready.lease_until) {
            tracing::warn!("the lease went to another worker before arming");
            return Ok(());
        }
        let answer = gate::check(self.rules(), &current, integration.as_ref(), moment.now);
        if answer != Answer::Allow {
            drop(tx);
            return self.not_now(suggestion, answer).await;
        }
        let account_id = &ready.integration.platform_account_id;
        if !attempts::take_slot(&mut tx, &moment, &ready.integration.platform, account_id, suggestion).await? {
            drop(tx);
            let reasons =
                vec!["another reply of this account to the same text is on its way or stands there".to_owned()];
            return self.not_now(suggestion, Answer::ReturnToPerson { reasons }).await;
        }
        let (attempt_id, number) = attempts::insert(&mut tx, &moment, suggestion, worker_id).await?;
        let payload = json!({ "attempt_id": attempt_id, "number": number, "worker_id": worker_id });
        let subject = Subject::Suggestion(suggestion.id);
        activity::record(&mut tx, &moment, suggestion.team_id, None, Kind::ReplyArmed, subject, payload).await?;
        // Marked before the commit, so that no moment exists in which the row stands and this process does not know of it.
        let _writing = self.sender.writing(attempt_id);
        tx.commit().await?;
        let result = self.write(suggestion, &ready, moment.now).await;
        self.settle(suggestion, &ready, attempt_id, result).await
    }

    async fn write(
        &self,
        suggestion: &Suggestion,
        ready: &Ready,
        armed_at: OffsetDateTime,
    ) -> Result<PostedReply, SendError> {
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
        if self.state.app.clock.now() >= armed_at + WRITE_WITHIN {
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

    /// The gate or the thread says no, before anything was armed.
    async fn not_now(&self, suggestion: &Suggestion, answer: Answer) -> Result<(), JobError> {
        let moment = self.moment();
        let (change, go_on) = match answer {
            Answer::Allow => return Ok(()),
            Answer::WaitUntil { at, reason } => {
                (Change::Park { until: at, reason: reason.clone() }, Some((at, reason)))
            }
            Answer::WaitFor { switch } => {
                let at = moment.now + gate::LOOK_AGAIN;
                (Change::Park { until: at, reason: switch.clone() }, Some((at, switch)))
            }
            Answer::ReturnToPerson { reasons } => (Change::Return { reasons }, None),
            Answer::Refuse { reason } => (Change::Refused { reason }, None),
        };
        let mut tx = self.state.app.db.begin().await?;
        let current = suggestion::lock(&mut tx, suggestion.team_id, suggestion.id).await?;
        // A worker that was held up so long that another took over has nothing to say any more: that one may be writing.
        if current.is_none_or(|current| {
            current.state.stage != Stage::Sending || current.state.lease_until != suggestion.state.lease_until
        }) {
            tracing::warn!("the lease went to another worker before the answer");
            return Ok(());
        }
        suggestion::change(&mut tx, &moment, suggestion.team_id, suggestion.id, None, change).await.map_err(retry)?;
        tx.commit().await?;
        match go_on {
            Some((at, reason)) => Err(JobError::RetryAt { at, reason }),
            None => Ok(()),
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
                let at = moment.now + time::Duration::try_from(after).unwrap_or(time::Duration::MINUTE);
                self.not_now(suggestion, Answer::WaitUntil { at, reason }).await
            }
            TokenError::Reconnect(reason) => {
                let mut tx = self.state.app.db.begin().await?;
                integrations::needs_reconnect(&mut tx, &moment, integration, &reason).await?;
                tx.commit().await?;
                let switch = format!("the account must be connected again: {reason}");
                self.not_now(suggestion, Answer::WaitFor { switch }).await
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
        SendError::Uncertain { .. } => SendFailure::Uncertain,
    }
}

pub(super) fn retry(error: ChangeError) -> JobError {
    JobError::Retry(error.to_string())
}
