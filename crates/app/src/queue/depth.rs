//! How much work waits: the source of the metric `queue_length` and of the age alarm.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::registry::Registry;
use super::{Class, QueueError};

/// The jobs of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// `None`: nobody here knows this name.
    pub class: Option<Class>,
    pub name: String,
    /// Due and not taken.
    pub ready: u64,
    /// Taken by a worker: running, or next in its hand.
    pub taken: u64,
    /// Due later.
    pub waiting: u64,
    /// Ended as failed.
    pub failed: u64,
    /// For how long the oldest ready job has been due.
    pub oldest_ready: Option<Duration>,
}

type Row = (String, i64, i64, i64, i64, Option<OffsetDateTime>);

/// Counts all jobs, by name.
pub async fn depth<S>(registry: &Registry<S>, pool: &PgPool, now: OffsetDateTime) -> Result<Vec<Depth>, QueueError>
where
    S: Clone + Send + Sync + 'static,
{
    let rows: Vec<Row> = sqlx::query_as(
        "select tasks.identifier,
                count(*) filter (where is_available and run_at <= $1),
                count(*) filter (where locked_at is not null),
                count(*) filter (where is_available and run_at > $1),
                count(*) filter (where locked_at is null and attempts >= max_attempts),
                min(run_at) filter (where is_available and run_at <= $1)
         from graphile_worker._private_jobs as jobs
         join graphile_worker._private_tasks as tasks on tasks.id = jobs.task_id
         group by tasks.identifier
         order by tasks.identifier",
    )
    .bind(now)
    .fetch_all(pool)
    .await?;
    let to_depth = |(name, ready, taken, waiting, failed, oldest): Row| Depth {
        class: registry.get(&name).map(|entry| entry.class),
        name,
        ready: ready.cast_unsigned(),
        taken: taken.cast_unsigned(),
        waiting: waiting.cast_unsigned(),
        failed: failed.cast_unsigned(),
        oldest_ready: oldest.map(|due| Duration::try_from(now - due).unwrap_or_default()),
    };
    Ok(rows.into_iter().map(to_depth).collect())
}

/// How many workers gave a sign of life within the last half minute. Both times are the database's own: it writes the signs.
pub async fn alive(conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let alive: i64 = sqlx::query_scalar(
        "select count(*) from graphile_worker._private_workers where last_heartbeat_at > clock_timestamp() - interval '30 seconds'",
    )
    .fetch_one(conn)
    .await?;
    Ok(alive.cast_unsigned())
}
