//! All jobs and schedules of the product. A stage hands over to the next by `enqueue` on its own transaction.

use crate::flow::ingest::IntegrationPoll;
use crate::flow::send::{PostSend, ReconcileSweep};
use crate::flow::suggest::AiGenerate;
use crate::http::request_id;
use crate::lifecycle::Engine;
use crate::queue::{self, Job, Registry};
use crate::upkeep::{PollSweep, TokenSweep, Upkeep};
use sqlx::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// What every job runs with.
pub type State = Arc<Engine>;

pub fn registry() -> Registry<State> {
    Registry::new()
        .job::<AiGenerate>()
        .job::<PostSend>()
        .job::<IntegrationPoll>()
        .every::<PollSweep>(Duration::from_secs(5))
        .every::<ReconcileSweep>(Duration::from_secs(15))
        .every::<TokenSweep>(Duration::from_secs(3600))
        .every::<Upkeep>(Duration::from_secs(3600))
}

/// Adds a job on the caller's transaction; it runs from `at` on. A job of the same key is replaced.
pub async fn enqueue<J: Job<State>>(conn: &mut PgConnection, job: &J, at: OffsetDateTime) -> Result<i64, sqlx::Error> {
    queue::enqueue::<State, J>(conn, job, at, request_id::current().as_deref()).await
}

/// Adds a job only where none of its key waits. For sweeps.
pub async fn enqueue_if_absent<J: Job<State>>(
    conn: &mut PgConnection,
    job: &J,
    at: OffsetDateTime,
) -> Result<Option<i64>, sqlx::Error> {
    queue::enqueue_if_absent::<State, J>(conn, job, at, None).await
}
