//! Taking up a call, and what it came to: done, again later, given up; and the endpoint that nobody answers at any more.

use super::endpoints::{self, Endpoint};
use super::{GIVE_UP_AFTER, RETRIES};
use crate::app::App;
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::notices::{self, Notice};
use crate::model::NoticeKind;
use crate::telemetry::{self, WebhookOutcome};
use serde_json::json;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Longer than a call can take: who has not told by then is dead.
const LEASE: time::Duration = time::Duration::seconds(60);
const GONE: u16 = 410;
const ERROR_CHARS: usize = 500;

#[derive(Debug, Clone)]
pub(super) struct Claimed {
    pub id: Uuid,
    pub event_id: Uuid,
    pub body: String,
    /// This one counted.
    pub attempts: i32,
}

#[derive(Debug, Clone)]
pub(super) struct Attempted {
    pub status: Option<u16>,
    pub took: Duration,
    /// None: taken.
    pub error: Option<String>,
    pub answer: Option<String>,
}

/// The next call that is due, counted as begun. None: nothing is due, or the endpoint is not called any more; what was written for it
/// while it was being disabled is dropped then.
pub(super) async fn claim(
    app: &App,
    moment: &Moment,
    (team_id, endpoint_id): (Uuid, Uuid),
) -> Result<Option<(Endpoint, Claimed)>, sqlx::Error> {
    let mut conn = app.db.acquire().await?;
    let Some(endpoint) = endpoints::load(&mut conn, team_id, endpoint_id).await? else { return Ok(None) };
    if !endpoint.is_enabled() {
        endpoints::drop_waiting(&mut conn, moment, team_id, endpoint_id).await?;
        return Ok(None);
    }
    let claimed = sqlx::query_as!(
        Claimed,
        "update webhook_deliveries set attempts = attempts + 1, last_attempt_at = $3, next_attempt_at = $4
         where id = (select id from webhook_deliveries
                     where endpoint_id = $1 and team_id = $2 and state = 'pending' and next_attempt_at <= $3
                     order by next_attempt_at, id limit 1 for update skip locked)
         returning id, event_id, body, attempts",
        endpoint.id,
        endpoint.team_id,
        moment.now,
        moment.now + LEASE,
    )
    .fetch_optional(&mut *conn)
    .await?;
    Ok(claimed.map(|claimed| (endpoint, claimed)))
}

pub(super) async fn next_due(
    conn: &mut PgConnection,
    (team_id, endpoint_id): (Uuid, Uuid),
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    let next = sqlx::query_scalar!(
        "select next_attempt_at from webhook_deliveries
         where endpoint_id = $1 and team_id = $2 and state = 'pending' order by next_attempt_at limit 1",
        endpoint_id,
        team_id,
    );
    Ok(next.fetch_optional(conn).await?.flatten())
}

/// Writes down what came of a call, and disables an endpoint that is gone.
pub(super) async fn settle(
    app: &App,
    endpoint: &Endpoint,
    claimed: &Claimed,
    attempted: &Attempted,
) -> Result<(), sqlx::Error> {
    let moment = app.moment();
    let gone = attempted.status == Some(GONE);
    let wait = usize::try_from(claimed.attempts - 1).ok().and_then(|done| RETRIES.get(done)).filter(|_| !gone);
    let (state, next) = match (&attempted.error, wait) {
        (None, _) => ("delivered", None),
        (Some(_), Some(wait)) => ("pending", Some(moment.now + *wait)),
        (Some(_), None) => ("failed", None),
    };
    let mut tx = app.db.begin().await?;
    // Always the endpoint first: two that settle for one never wait for each other crosswise.
    let Some(current) = endpoints::hold(&mut tx, endpoint.team_id, endpoint.id).await? else { return Ok(()) };
    let error = attempted.error.as_ref().map(|text| text.chars().take(ERROR_CHARS).collect::<String>());
    // Disabled meanwhile, a call that was taken is told as taken all the same.
    sqlx::query!(
        "update webhook_deliveries
         set state = $4, next_attempt_at = $5, last_status = $6, last_duration_ms = $7, last_error = $8, last_answer = $9,
             finished_at = case when $4 = 'pending' then null else $10::timestamptz end
         where id = $1 and team_id = $2 and attempts = $3 and (state = 'pending' or $4 = 'delivered')",
        claimed.id,
        endpoint.team_id,
        claimed.attempts,
        state,
        next,
        attempted.status.map(i32::from),
        i32::try_from(attempted.took.as_millis()).unwrap_or(i32::MAX),
        error,
        attempted.answer,
        moment.now,
    )
    .execute(&mut *tx)
    .await?;
    judge(&mut tx, &moment, &current, attempted, gone).await?;
    tx.commit().await?;
    telemetry::webhook_called(match state {
        "delivered" => WebhookOutcome::Delivered,
        "pending" => WebhookOutcome::Retried,
        _ => WebhookOutcome::GivenUp,
    });
    Ok(())
}

/// What a call says about its endpoint.
async fn judge(
    conn: &mut PgConnection,
    moment: &Moment,
    endpoint: &Endpoint,
    attempted: &Attempted,
    gone: bool,
) -> Result<(), sqlx::Error> {
    let failing_since = attempted.error.as_ref().map(|_| endpoint.failing_since.unwrap_or(moment.now));
    if failing_since != endpoint.failing_since {
        sqlx::query!(
            "update webhook_endpoints set failing_since = $3 where id = $1 and team_id = $2",
            endpoint.id,
            endpoint.team_id,
            failing_since,
        )
        .execute(&mut *conn)
        .await?;
    }
    let hopeless = failing_since.is_some_and(|since| since + GIVE_UP_AFTER <= moment.now);
    if !endpoint.is_enabled() || !(gone || hopeless) {
        return Ok(());
    }
    let reason = if gone { "it answered 410 Gone" } else { "it has taken nothing for five days" };
    disable(conn, moment, endpoint, reason).await
}

async fn disable(
    conn: &mut PgConnection,
    moment: &Moment,
    endpoint: &Endpoint,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update webhook_endpoints set state = 'disabled', state_reason = $3, updated_at = $4 where id = $1 and team_id = $2",
        endpoint.id,
        endpoint.team_id,
        reason,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    endpoints::drop_waiting(conn, moment, endpoint.team_id, endpoint.id).await?;
    let subject = Subject::Webhook(endpoint.id);
    let payload = json!({ "after": { "host": endpoint.host(), "state": "disabled" }, "reason": reason });
    activity::record(conn, moment, endpoint.team_id, None, Kind::WebhookDisabled, subject, payload).await?;
    let text = format!(
        "The webhook to {} is disabled: {reason}. It is told nothing until an admin enables it on the page Webhooks; what it has not taken stands in its log and can be sent again.",
        endpoint.host()
    );
    let notice = Notice { kind: NoticeKind::WebhookDisabled, subject, text };
    notices::raise(conn, moment, endpoint.team_id, notice).await
}

/// Endpoints (team, id) whose deliveries should have been taken up by `before`.
pub(super) async fn late(
    conn: &mut PgConnection,
    before: OffsetDateTime,
    limit: i64,
) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select distinct team_id as "team_id!", endpoint_id as "endpoint_id!" from (
               select team_id, endpoint_id from webhook_deliveries where state = 'pending' and next_attempt_at <= $1
               order by next_attempt_at limit $2) late"#,
        before,
        limit,
    );
    Ok(rows.fetch_all(conn).await?.into_iter().map(|row| (row.team_id, row.endpoint_id)).collect())
}

/// What came up before `before` and still waits is called no more: so a receiver that is slower than its events bounds its own line.
pub(super) async fn give_up_waiting(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    before: OffsetDateTime,
    limit: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update webhook_deliveries
         set state = 'failed', next_attempt_at = null, finished_at = $1,
             last_error = coalesce(last_error || '; then it', 'It') || ' waited too long: the receiver takes less than it is told'
         where id in (select id from webhook_deliveries where state = 'pending' and created_at < $2
                      order by created_at limit $3 for update skip locked)",
        now,
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn forget_old(conn: &mut PgConnection, before: OffsetDateTime, limit: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from webhook_deliveries where id in (
             select id from webhook_deliveries where created_at < $1 and state <> 'pending' order by created_at limit $2)",
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(())
}
