//! Having events sent: after connecting, and looked at again every day, since platforms drop a subscription without a word. Where it cannot
//! be had, the account is read all the same, only later.

use super::integrations::{self, Integration};
use super::tokens::{self, TokenError};
use crate::clock::Moment;
use crate::jobs::{self, State};
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{FetchError, Subscribed};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const LOOK_AGAIN: time::Duration = time::Duration::DAY;
/// Without an event for so long the account is looked at as if none were sent.
const FLOWING: time::Duration = time::Duration::DAY;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookSubscribe {
    pub integration_id: Uuid,
}

#[async_trait]
impl Job<State> for WebhookSubscribe {
    const NAME: &'static str = "webhook.subscribe";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 5;
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn key(&self) -> Option<String> {
        Some(format!("subscribe:{}", self.integration_id))
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let app = &state.app;
        let moment = Moment::at(ctx.now, &app.entropy);
        let mut conn = app.db.acquire().await?;
        let Some(integration) = integrations::load_any_team(&mut conn, self.integration_id).await? else {
            return Ok(());
        };
        drop(conn);
        let Ok(reader) = app.readers.get(&integration.platform) else { return Ok(()) };
        if !integration.is_read() || !reader.takes_webhooks() {
            return Ok(());
        }
        let session = match tokens::session(app, &moment, &integration, None).await {
            Ok(session) => session,
            Err(TokenError::Wait { after, reason }) => return Err(JobError::RetryAt { at: ctx.now + after, reason }),
            // The next poll says so to the team; connecting again asks anew.
            Err(TokenError::Reconnect(_) | TokenError::App(_)) => return Ok(()),
        };
        let told = match reader.subscribe(&session).await {
            Ok(subscribed) => Ok(subscribed),
            Err(FetchError::Refused { code, reason, .. }) => Err(format!("{reason} ({code})")),
            Err(FetchError::AuthExpired) => Err("the access is not accepted".to_owned()),
            Err(FetchError::RateLimited { retry_after } | FetchError::OverBudget { retry_after }) => {
                let reason = "the request budget of the platform is used up".to_owned();
                return Err(JobError::RetryAt { at: ctx.now + retry_after, reason });
            }
            Err(FetchError::Unavailable(reason)) => return Err(JobError::Retry(reason)),
        };
        keep(&mut *app.db.acquire().await?, &moment, (integration.team_id, integration.id), told).await?;
        Ok(())
    }
}

async fn keep(
    conn: &mut PgConnection,
    moment: &Moment,
    (team_id, integration_id): (Uuid, Uuid),
    told: Result<Subscribed, String>,
) -> Result<(), sqlx::Error> {
    let (subscribed, problem) = match told {
        Ok(subscribed) => (subscribed, None),
        Err(problem) => (Subscribed::default(), Some(problem)),
    };
    sqlx::query!(
        "insert into webhook_subscriptions as kept (integration_id, team_id, fields, problem, app_user_id, checked_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict on constraint webhook_subscriptions_pkey do update
         set fields = excluded.fields, problem = excluded.problem, checked_at = excluded.checked_at,
             app_user_id = coalesce(excluded.app_user_id, kept.app_user_id)",
        integration_id,
        team_id,
        &subscribed.fields,
        problem,
        subscribed.app_user_id,
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Nothing stays of how the account is told of.
pub async fn forget(conn: &mut PgConnection, team_id: Uuid, integration_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from webhook_subscriptions where team_id = $1 and integration_id = $2",
        team_id,
        integration_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Looks again at those that were looked at a day ago. `platforms`: those that send events.
pub async fn look_again(
    conn: &mut PgConnection,
    platforms: &[String],
    now: OffsetDateTime,
    limit: i64,
) -> Result<(), sqlx::Error> {
    let due = sqlx::query_scalar!(
        "select i.id from integrations i
         left join webhook_subscriptions s on s.integration_id = i.id
         where i.platform = any($1) and i.state in ('connected', 'paused') and (s.checked_at is null or s.checked_at < $2)
         limit $3",
        platforms,
        now - LOOK_AGAIN,
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    for integration_id in due {
        jobs::enqueue_if_absent(conn, &WebhookSubscribe { integration_id }, now).await?;
    }
    Ok(())
}

/// Whether the account's events come in: it has them sent, and one came lately.
pub async fn are_flowing(
    conn: &mut PgConnection,
    integration: &Integration,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (
               select from webhook_subscriptions s
               where s.integration_id = $1 and s.team_id = $2 and s.problem is null and s.fields <> '{}'
                 and exists (select from webhook_events e where e.integration_id = s.integration_id and e.received_at > $3)
           ) as "flowing!""#,
        integration.id,
        integration.team_id,
        now - FLOWING,
    )
    .fetch_one(conn)
    .await
}

/// How events reach an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub integration_id: Uuid,
    pub fields: Vec<String>,
    pub problem: Option<String>,
    pub last_event_at: Option<OffsetDateTime>,
}

/// Of the team's accounts that were asked about once.
pub async fn health(conn: &mut PgConnection, team_id: Uuid) -> Result<Vec<Health>, sqlx::Error> {
    sqlx::query_as!(
        Health,
        r#"select s.integration_id, s.fields, s.problem,
                  (select max(e.received_at) from webhook_events e where e.integration_id = s.integration_id) as "last_event_at?"
           from webhook_subscriptions s
           where s.team_id = $1"#,
        team_id,
    )
    .fetch_all(conn)
    .await
}
