//! The calls of each endpoint: what waits, and the log of what became of the others.

use super::announce::test_of;
use super::endpoints::{Endpoint, WebhookError};
use super::job::WebhookDeliver;
use super::{MOST_REPLAYED, TEST_EVENT};
use crate::clock::Moment;
use crate::jobs;
use crate::model::DeliveryState;
use sqlx::PgConnection;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) struct NewDelivery {
    pub team_id: Uuid,
    pub endpoint_id: Uuid,
    pub event_id: Uuid,
    pub event_type: String,
    pub body: String,
    pub replay_of: Option<Uuid>,
}

#[derive(Debug, Clone)]
pub struct DeliveryRow {
    pub id: Uuid,
    pub team_id: Uuid,
    pub endpoint_id: Uuid,
    pub event_id: Uuid,
    pub event_type: String,
    pub body: String,
    pub state: String,
    pub attempts: i32,
    pub next_attempt_at: Option<OffsetDateTime>,
    pub last_attempt_at: Option<OffsetDateTime>,
    pub last_status: Option<i32>,
    pub last_duration_ms: Option<i32>,
    pub last_error: Option<String>,
    pub last_answer: Option<String>,
    pub replay_of: Option<Uuid>,
    pub created_at: OffsetDateTime,
    pub finished_at: Option<OffsetDateTime>,
}

impl DeliveryRow {
    pub fn state(&self) -> DeliveryState {
        self.state.clone().into()
    }
}

/// Writes deliveries that are due now, with the jobs that carry them out. The jobs have no key: two changes of a team that commit at the
/// same time would wait for each other.
pub(super) async fn insert(conn: &mut PgConnection, moment: &Moment, new: &[NewDelivery]) -> Result<(), sqlx::Error> {
    if new.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into webhook_deliveries (id, team_id, endpoint_id, event_id, event_type, body, state, next_attempt_at, replay_of, created_at)
         select id, team_id, endpoint_id, event_id, event_type, body, 'pending', $1, replay_of, $1
         from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::uuid[])
             as new (id, team_id, endpoint_id, event_id, event_type, body, replay_of)",
        moment.now,
        &new.iter().map(|_| moment.id()).collect::<Vec<_>>(),
        &new.iter().map(|one| one.team_id).collect::<Vec<_>>(),
        &new.iter().map(|one| one.endpoint_id).collect::<Vec<_>>(),
        &new.iter().map(|one| one.event_id).collect::<Vec<_>>(),
        &new.iter().map(|one| one.event_type.clone()).collect::<Vec<_>>(),
        &new.iter().map(|one| one.body.clone()).collect::<Vec<_>>(),
        &new.iter().map(|one| one.replay_of).collect::<Vec<_>>() as &[Option<Uuid>],
    )
    .execute(&mut *conn)
    .await?;
    let endpoints: BTreeSet<_> = new.iter().map(|one| (one.team_id, one.endpoint_id)).collect();
    let job = |(team_id, endpoint_id)| WebhookDeliver { team_id, endpoint_id, again: false };
    jobs::enqueue_many(conn, &endpoints.into_iter().map(job).collect::<Vec<_>>(), moment.now).await?;
    Ok(())
}

macro_rules! select_deliveries {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            DeliveryRow,
            "select id, team_id, endpoint_id, event_id, event_type, body, state, attempts, next_attempt_at, last_attempt_at, last_status,
                    last_duration_ms, last_error, last_answer, replay_of, created_at, finished_at
             from webhook_deliveries " + $rest,
            $($args),*
        )
    };
}

/// Newest first, from before `(created_at, id)`; at most `limit` rows.
pub async fn log(
    conn: &mut PgConnection,
    team_id: Uuid,
    endpoint_id: Uuid,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<DeliveryRow>, sqlx::Error> {
    let (before_at, before_id) = before.unzip();
    select_deliveries!(
        "where endpoint_id = $1 and team_id = $2 and ($3::timestamptz is null or (created_at, id) < ($3, $4))
         order by created_at desc, id desc limit $5",
        endpoint_id,
        team_id,
        before_at,
        before_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// The last calls of an endpoint.
pub async fn recent(
    conn: &mut PgConnection,
    team_id: Uuid,
    endpoint_id: Uuid,
) -> Result<Vec<DeliveryRow>, sqlx::Error> {
    log(conn, team_id, endpoint_id, None, 20).await
}

pub async fn load(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<DeliveryRow>, sqlx::Error> {
    select_deliveries!("where id = $1 and team_id = $2", id, team_id).fetch_optional(conn).await
}

/// Tells the same event once more, under the same id. Gives the new delivery.
pub async fn replay(
    conn: &mut PgConnection,
    moment: &Moment,
    endpoint: &Endpoint,
    delivery: &DeliveryRow,
) -> Result<DeliveryRow, WebhookError> {
    let again = NewDelivery {
        team_id: endpoint.team_id,
        endpoint_id: endpoint.id,
        event_id: delivery.event_id,
        event_type: delivery.event_type.clone(),
        body: delivery.body.clone(),
        replay_of: Some(delivery.id),
    };
    by_hand(conn, moment, endpoint, again).await
}

/// Events of one endpoint that came up within a time.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub since: OffsetDateTime,
    pub until: OffsetDateTime,
    /// Those too that the receiver has taken.
    pub taken_too: bool,
}

/// Tells the events of a span once more, the oldest first, each under its own id; tests and what is on its way are left out. Gives how many.
///
/// # Errors
/// `TooMany`: whoever asks takes a shorter span. `Disabled`.
pub async fn replay_span(
    conn: &mut PgConnection,
    moment: &Moment,
    endpoint: &Endpoint,
    span: Span,
) -> Result<usize, WebhookError> {
    if !endpoint.is_enabled() {
        return Err(WebhookError::Disabled);
    }
    let found = sqlx::query_as!(
        Found,
        r#"select d.id, d.event_id, d.event_type, d.body
           from (select (array_agg(id order by created_at, id))[1] as id from webhook_deliveries
                 where endpoint_id = $1 and team_id = $2 and created_at >= $3 and event_type <> $4
                 group by event_id
                 having min(created_at) < $5 and not bool_or(state = 'pending') and ($6 or not bool_or(state = 'delivered'))) first
           join webhook_deliveries d on d.id = first.id and d.team_id = $2
           order by d.created_at, d.event_id limit $7"#,
        endpoint.id,
        endpoint.team_id,
        span.since,
        TEST_EVENT,
        span.until,
        span.taken_too,
        i64::try_from(MOST_REPLAYED + 1).unwrap_or(i64::MAX),
    );
    let found = found.fetch_all(&mut *conn).await?;
    if found.len() > MOST_REPLAYED {
        return Err(WebhookError::TooMany);
    }
    let again = found.into_iter().map(|one| NewDelivery {
        team_id: endpoint.team_id,
        endpoint_id: endpoint.id,
        event_id: one.event_id,
        event_type: one.event_type,
        body: one.body,
        replay_of: Some(one.id),
    });
    let again: Vec<NewDelivery> = again.collect();
    insert(conn, moment, &again).await?;
    Ok(again.len())
}

struct Found {
    id: Uuid,
    event_id: Uuid,
    event_type: String,
    body: String,
}

/// Sends a test event. Gives its delivery.
pub async fn send_test(
    conn: &mut PgConnection,
    moment: &Moment,
    endpoint: &Endpoint,
) -> Result<DeliveryRow, WebhookError> {
    by_hand(conn, moment, endpoint, test_of(endpoint.id, endpoint.team_id, moment)).await
}

async fn by_hand(
    conn: &mut PgConnection,
    moment: &Moment,
    endpoint: &Endpoint,
    new: NewDelivery,
) -> Result<DeliveryRow, WebhookError> {
    if !endpoint.is_enabled() {
        return Err(WebhookError::Disabled);
    }
    let event_id = new.event_id;
    insert(conn, moment, &[new]).await?;
    let newest = log(conn, endpoint.team_id, endpoint.id, None, 100).await?;
    newest.into_iter().find(|row| row.event_id == event_id).ok_or(WebhookError::NotFound)
}
