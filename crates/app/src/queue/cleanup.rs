//! Daily: every serial queue name is a row of the engine, so unused ones are collected; jobs that ended as failed are
//! kept for a month to be looked at.

use std::time::Duration;

use graphile_worker::WorkerUtils;
use serde_json::Value;
use sqlx::PgPool;
use time::OffsetDateTime;

use super::registry::{Handler, RunFuture};
use super::{JobContext, JobError, QUEUE_CLEANUP, QueueError, SCHEMA};

const KEEP_FAILED: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) struct Cleanup;

impl<S: 'static> Handler<S> for Cleanup {
    const NAME: &'static str = QUEUE_CLEANUP;

    fn run(_fields: Value, _state: S, ctx: JobContext, pool: PgPool) -> RunFuture {
        Box::pin(async move {
            cleanup(&pool, ctx.now).await.map_err(|error| JobError::Retry(error.to_string()))?;
            Ok(())
        })
    }
}

/// What a [`cleanup`] took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleaned {
    pub queue_names: u64,
    pub failed_jobs: u64,
}

/// Collects queue names without jobs and failed jobs older than 30 days.
pub async fn cleanup(pool: &PgPool, now: OffsetDateTime) -> Result<Cleaned, QueueError> {
    let failed = sqlx::query(
        "delete from graphile_worker._private_jobs
         where locked_at is null and attempts >= max_attempts and greatest(updated_at, run_at) < $1",
    )
    .bind(now - KEEP_FAILED)
    .execute(pool)
    .await?;
    let before = count_queue_names(pool).await?;
    // The engine's own collection: it holds the lock that keeps a name from going away under a new job.
    WorkerUtils::new(pool, SCHEMA)
        .cleanup(&[graphile_worker::worker_utils::types::CleanupTask::GcJobQueues])
        .await
        .map_err(|error| QueueError::Schema(error.to_string()))?;
    let after = count_queue_names(pool).await?;
    Ok(Cleaned {
        queue_names: before.saturating_sub(after).max(0).cast_unsigned(),
        failed_jobs: failed.rows_affected(),
    })
}

async fn count_queue_names(pool: &PgPool) -> Result<i64, sqlx::Error> {
    let (count,) = sqlx::query_as("select count(*) from graphile_worker._private_job_queues").fetch_one(pool).await?;
    Ok(count)
}
