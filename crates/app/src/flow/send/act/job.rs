//! The job `reply.act`: one change, as far as it can go now.

use super::super::gate::{self, NotNow};
use super::super::situation::{self, Switches};
use super::super::{Sender, WRITE_WITHIN, Writing, attempts, replies, rules, trouble};
use super::db::{self, ActionRow, Next};
use super::read_back;
use crate::accounts::integrations::{self, Integration};
use crate::accounts::tokens::{self, TokenError};
use crate::coord::budget::Urgency;
use crate::flow::activity::{self, Kind, Subject};
use crate::jobs::State;
use crate::model::{ActionKind, ActionState};
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{Acted, Action, Exchange, Host, Remedy, SendError, Session};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use uuid::Uuid;

/// Calls that the platform may turn away before anything was done.
const TRIES: i32 = 5;
/// A person who asked this long ago does not wait any more.
const PATIENCE: time::Duration = time::Duration::hours(1);
/// When the app is refused, which somebody has to mend.
const APP_REFUSED: time::Duration = time::Duration::minutes(5);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplyAct {
    pub action_id: Uuid,
    pub integration_id: Uuid,
}

impl ReplyAct {
    pub fn of(action: &ActionRow) -> Self {
        Self { action_id: action.id, integration_id: action.integration_id }
    }
}

#[async_trait]
impl Job<State> for ReplyAct {
    const NAME: &'static str = "reply.act";
    const CLASS: Class = Class::Send;
    const MAX_ATTEMPTS: i16 = 25;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn key(&self) -> Option<String> {
        Some(format!("act:{}", self.action_id))
    }

    /// The same as of sends: one write at a time per account.
    fn serial_queue(&self) -> Option<String> {
        Some(format!("send:{}", self.integration_id))
    }

    async fn run(self, state: &State, _ctx: &JobContext) -> Result<(), JobError> {
        let sender =
            state.sender.as_ref().ok_or_else(|| JobError::Permanent("this process holds no writer".to_owned()))?;
        let acting = Acting { state, sender };
        let action = db::load(&mut *state.app.db.acquire().await?, self.action_id).await?;
        match action {
            Some(action) if action.state() == ActionState::Waiting => acting.act(&action).await,
            Some(action) if action.state() == ActionState::Uncertain => read_back::run(&acting, &action).await,
            _ => Ok(()),
        }
    }
}

pub(super) struct Acting<'a> {
    pub state: &'a State,
    pub sender: &'a Sender,
}

/// The right to make one call, for a few seconds.
struct Arm {
    armed_at: OffsetDateTime,
    began: Instant,
    _writing: Writing,
}

impl Acting<'_> {
    async fn act(&self, action: &ActionRow) -> Result<(), JobError> {
        let app = &self.state.app;
        let moment = app.moment();
        if action.patient_until.unwrap_or(action.created_at + PATIENCE) <= moment.now {
            let within = if action.patient_until.is_some() { "a day" } else { "an hour" };
            return self.over(action, &format!("it could not be made within {within}"), None).await;
        }
        let mut conn = app.db.acquire().await?;
        let integration = integrations::load(&mut conn, action.team_id, action.integration_id).await?;
        drop(conn);
        let Some(integration) = integration.filter(|integration| integration.access_token.is_some()) else {
            return self.over(action, "the account is not connected any more", None).await;
        };
        let session = match tokens::session_for(app, &moment, &integration, None, Urgency::SEND).await {
            Ok(session) => session,
            Err(TokenError::Wait { after, reason }) => return again(moment.now + after, &reason),
            Err(TokenError::App(reason)) => return again(moment.now + APP_REFUSED, &reason),
            Err(TokenError::Reconnect(reason)) => {
                let mut tx = app.db.begin().await?;
                integrations::needs_reconnect(&mut tx, &moment, &integration, &reason).await?;
                tx.commit().await?;
                return self.over(action, "the account must be connected again", None).await;
            }
        };
        // In hand before arming: between arming and the first byte nothing may wait.
        if let Err(after) = session.access_token.permits().secure(Host::Api).await {
            return again(moment.now + after, "the request budget of the platform is used up for now");
        }
        let Some(arm) = self.arm(action).await? else { return Ok(()) };
        let result = self.call(action, &integration, &session, &arm).await;
        drop(arm);
        self.settle(action, &integration, &session, result).await
    }

    /// One transaction with the switches held. None: decided otherwise, and written.
    async fn arm(&self, action: &ActionRow) -> Result<Option<Arm>, JobError> {
        let app = &self.state.app;
        let began = Instant::now();
        let worker_id = self.sender.identity.confirm().await?;
        let moment = app.moment();
        let mut tx = app.db.begin().await?;
        let account = [action.integration_id];
        let found = situation::load(&mut tx, &app.readers, &account, moment.now, Switches::Held).await?;
        let Some(action) = db::hold(&mut tx, action.id).await?.filter(|row| row.state() == ActionState::Waiting) else {
            return Ok(None);
        };
        match gate::check_change(&rules(app), found.get(&action.integration_id)) {
            Ok(()) => {}
            Err(NotNow::WaitFor { switch, reason }) => {
                db::park(&mut tx, action.id, switch, &reason).await?;
                let payload =
                    json!({ "action_id": action.id, "kind": action.kind, "reason": reason, "waits_for": switch });
                record(&mut tx, &action, &moment, Kind::ReplyChangePutOff, payload).await?;
                tx.commit().await?;
                return Ok(None);
            }
            Err(NotNow::Refused { reason, .. }) => {
                drop(tx);
                self.over(&action, &reason, None).await?;
                return Ok(None);
            }
        }
        db::arm(&mut tx, &moment, &action, worker_id).await?;
        let payload = json!({ "action_id": action.id, "kind": action.kind, "worker_id": worker_id });
        record(&mut tx, &action, &moment, Kind::ReplyChangeArmed, payload).await?;
        // Marked before the commit, so that no moment exists in which the row stands and this process does not know of it.
        let writing = self.sender.in_flight.mark(action.id);
        tx.commit().await?;
        Ok(Some(Arm { armed_at: moment.now, began, _writing: writing }))
    }

    async fn call(
        &self,
        action: &ActionRow,
        integration: &Integration,
        session: &Session,
        arm: &Arm,
    ) -> Result<Acted, SendError> {
        let platform = &integration.platform;
        let writer = self
            .sender
            .writer(platform)
            .ok_or_else(|| SendError::NotSent(format!("{platform} is not configured on this server")))?;
        let reply_id = action.platform_reply_id.clone();
        let wanted = match action.kind() {
            ActionKind::Edit => Action::Edit { reply_id, text: action.text.clone().unwrap_or_default() },
            ActionKind::Delete => Action::Delete { reply_id },
        };
        // Two clocks: one that may be set back, and one that stands still while the machine sleeps.
        if self.state.app.clock.now() >= arm.armed_at + WRITE_WITHIN || arm.began.elapsed() >= WRITE_WITHIN {
            return Err(SendError::NotSent("the worker was held up after arming".to_owned()));
        }
        #[allow(clippy::disallowed_methods, reason = "the one place that changes what was posted")]
        writer.act(session, &wanted).await
    }

    async fn settle(
        &self,
        action: &ActionRow,
        integration: &Integration,
        session: &Session,
        result: Result<Acted, SendError>,
    ) -> Result<(), JobError> {
        let now = self.state.app.moment().now;
        match result {
            Ok(acted) => self.done(action, Some(&acted.exchange)).await,
            Err(SendError::Refused { code, reason, scope, remedy, exchange }) => {
                let reason = format!("the platform says: {reason} ({code})");
                self.over(action, &reason, Some(&exchange)).await?;
                let app = &self.state.app;
                match remedy {
                    Remedy::StopAccount => trouble::stop(app, integration, &reason).await?,
                    Remedy::Reconnect => trouble::reconnect(app, integration, &reason).await?,
                    Remedy::Nothing | Remedy::Edit | Remedy::EditUnlessOurs | Remedy::ByHand => {
                        trouble::refused(app, integration, scope, &reason).await?
                    }
                }
                Ok(())
            }
            Err(SendError::RateLimited { retry_after, scope, exchange }) => {
                let until = now + retry_after;
                let reason = format!("the platform says: try again in {} s", retry_after.as_secs());
                trouble::slow_down(&self.state.app, integration, scope, until, &reason).await?;
                self.later(action, until, &reason, Some(&exchange)).await
            }
            Err(SendError::AuthExpired { exchange }) => {
                let dead = Some(&session.access_token);
                if let Err(TokenError::Reconnect(reason)) =
                    tokens::session_for(&self.state.app, &self.state.app.moment(), integration, dead, Urgency::SEND)
                        .await
                {
                    return self.over(action, &reason, Some(&exchange)).await;
                }
                self.later(action, now, "the token had ended; it is refreshed", Some(&exchange)).await
            }
            Err(SendError::NotSent(reason)) => {
                self.later(action, now + time::Duration::seconds(15), &reason, None).await
            }
            Err(SendError::Uncertain { reason, exchange } | SendError::Unseen { reason, exchange }) => {
                self.turn(action, ActionState::Uncertain, Some(&reason), Some(&exchange)).await?;
                again(now + time::Duration::seconds(2), &reason)
            }
        }
    }

    /// Nothing was changed there; it is tried again, but not for ever.
    async fn later(
        &self,
        action: &ActionRow,
        until: OffsetDateTime,
        reason: &str,
        exchange: Option<&Exchange>,
    ) -> Result<(), JobError> {
        if action.tries + 1 >= TRIES {
            return self.over(action, reason, exchange).await;
        }
        self.turn(action, ActionState::Waiting, Some(reason), exchange).await?;
        again(until, reason)
    }

    pub async fn over(&self, action: &ActionRow, reason: &str, exchange: Option<&Exchange>) -> Result<(), JobError> {
        self.turn(action, ActionState::NotDone, Some(reason), exchange).await
    }

    pub async fn done(&self, action: &ActionRow, exchange: Option<&Exchange>) -> Result<(), JobError> {
        self.turn(action, ActionState::Done, None, exchange).await
    }

    /// One transaction: the row, what stands of the reply, its slot, the log. Nothing where somebody settled it before.
    async fn turn(
        &self,
        action: &ActionRow,
        state: ActionState,
        reason: Option<&str>,
        exchange: Option<&Exchange>,
    ) -> Result<(), JobError> {
        let moment = self.state.app.moment();
        let mut tx = self.state.app.db.begin().await?;
        let open = db::hold(&mut tx, action.id).await?;
        let Some(open) = open.filter(|row| matches!(row.state(), ActionState::Waiting | ActionState::Uncertain)) else {
            return Ok(());
        };
        db::settle(&mut tx, &moment, open.id, &Next { state, reason, exchange }).await?;
        let kind = match (state, open.kind()) {
            (ActionState::Waiting, _) => Kind::ReplyChangePutOff,
            (ActionState::Uncertain, _) => Kind::ReplyChangeUncertain,
            (ActionState::NotDone, _) => Kind::ReplyChangeFailed,
            (ActionState::Done, ActionKind::Edit) => {
                replies::revised(&mut tx, &moment, open.suggestion_id, open.text.as_deref().unwrap_or_default())
                    .await?;
                Kind::ReplyRevised
            }
            (ActionState::Done, ActionKind::Delete) => {
                replies::unpublished(&mut tx, &moment, open.suggestion_id, open.requested_by).await?;
                attempts::release_slot(&mut tx, open.suggestion_id).await?;
                Kind::ReplyUnpublished
            }
        };
        let exchange = exchange.cloned().unwrap_or_default();
        let payload = json!({
            "action_id": open.id, "kind": open.kind, "reason": reason, "request": exchange.request, "status": exchange.status,
            "answer": exchange.answer,
        });
        record(&mut tx, &open, &moment, kind, payload).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn record(
    conn: &mut PgConnection,
    action: &ActionRow,
    moment: &crate::clock::Moment,
    kind: Kind,
    payload: serde_json::Value,
) -> Result<(), sqlx::Error> {
    let subject = Subject::Suggestion(action.suggestion_id);
    activity::record(conn, moment, action.team_id, None, kind, subject, payload).await
}

pub(super) fn again(at: OffsetDateTime, reason: &str) -> Result<(), JobError> {
    Err(JobError::RetryAt { at, reason: reason.to_owned() })
}
