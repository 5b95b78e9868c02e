//! Background jobs: a thin layer on graphile_worker.
//!
//! Acts here: whoever changes state enqueues the follow-up job on its own transaction ([`enqueue`]); one worker
//! per [`Class`] runs what is due ([`start`]); tests run due jobs by hand in simulated time ([`drain`]).
//!
//! Always holds:
//! - a job and the change that asked for it commit together or not at all;
//! - a job runs at least once. A worker that only stalls may be taken for dead and its job run again elsewhere, so
//!   whoever does something that must happen once guards itself;
//! - at most one unfinished job per key, at most one run at a time per serial queue name;
//! - the handler decides how a failure goes on ([`JobError`]); the decision stands in `last_error` in a form that
//!   [`Failure::parse`] reads back.
//!
//! What can go wrong, and then: a handler panics or outlives its timeout = a retry. The process dies = another worker
//! takes the job over after the heartbeat is missed; a job that keeps killing its process ends as failed. Postgres
//! restarts or a worker stalls = the watchdog builds a new worker. A payload cannot be read = failed at once.

mod cleanup;
mod depth;
mod drain;
mod enqueue;
mod envelope;
mod key;
mod registry;
mod run;
mod schedule;
mod start;
mod supervise;
mod watchdog;
mod worker;

use std::time::Duration;

use async_trait::async_trait;
use graphile_worker::WorkerUtils;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgPool;
use time::OffsetDateTime;

pub use cleanup::{Cleaned, cleanup};
pub use depth::{Depth, alive, depth};
pub use drain::{DeadJob, DrainReport, Ran, drain, drain_with_clock};
pub use enqueue::{enqueue, enqueue_if_absent, enqueue_many, remove};
pub use envelope::{Decision, Failure};
pub use key::{dead_job, due_at, job_id};
pub use registry::Registry;
pub use schedule::schedule_due;
pub use start::{Clock, Concurrency, Recovery, Running, Settings, start};

/// The schema that the queue engine owns; our migrations never touch it.
const SCHEMA: &str = "graphile_worker";
/// The queue's own job: collects unused queue names and old failures, daily.
const QUEUE_CLEANUP: &str = "queue.cleanup";

/// The kinds of work. Each has its own worker and its own number of slots, so slow drafting never delays a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Ai,
    Send,
    Poll,
    Upkeep,
    Webhook,
}

impl Class {
    pub const ALL: [Self; 5] = [Self::Ai, Self::Send, Self::Poll, Self::Upkeep, Self::Webhook];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ai => "ai",
            Self::Send => "send",
            Self::Poll => "poll",
            Self::Upkeep => "upkeep",
            Self::Webhook => "webhook",
        }
    }
}

/// One kind of job: its payload, its policy and what it does. `S` is the application state.
#[async_trait]
pub trait Job<S>: Serialize + DeserializeOwned + Send + Sync + 'static
where
    S: Clone + Send + Sync + 'static,
{
    /// Stored with every job, so it never changes: `post.send`.
    const NAME: &'static str;
    const CLASS: Class;
    /// Tries for passing trouble ([`JobError::Retry`]).
    const MAX_ATTEMPTS: i16;
    /// Limit of one whole run; then the run is dropped and counts as a retry.
    const TIMEOUT: Duration;
    /// Lower runs first among the due jobs of a class.
    const PRIORITY: i16 = 0;

    /// At most one unfinished job per key; see [`enqueue`] and [`enqueue_if_absent`] for what a second one does.
    fn key(&self) -> Option<String> {
        None
    }

    /// At most one job runs at a time per name.
    fn serial_queue(&self) -> Option<String> {
        None
    }

    async fn run(self, state: &S, ctx: &JobContext) -> Result<(), JobError>;
}

/// What a run knows about itself.
#[derive(Debug, Clone)]
pub struct JobContext {
    pub job_id: i64,
    /// 1 for the first try.
    pub attempt: i16,
    /// `attempt == max_attempts`: a [`JobError::Retry`] now ends the job.
    pub max_attempts: i16,
    /// The clock of this run: wall clock in workers, simulated time in [`drain`].
    pub now: OffsetDateTime,
    /// The request that led to this job, for the logs.
    pub request_id: Option<String>,
}

/// How a failed run goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// Come back then; costs no attempt (Retry-After, a closed gate). From the 500th time or the 7th day on each costs one.
    #[error("{reason}")]
    RetryAt { at: OffsetDateTime, reason: String },
    /// Passing trouble: exponential backoff, costs an attempt.
    #[error("{0}")]
    Retry(String),
    /// Trying again cannot help.
    #[error("{0}")]
    Permanent(String),
}

/// Why the queue could not be prepared or read.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The database is away or refused: try again later.
    #[error("the job queue's database: {0}")]
    Database(#[from] sqlx::Error),
    /// The engine's schema cannot be installed or is newer than this binary: an operator has to look.
    #[error("the job queue's schema: {0}")]
    Schema(String),
}

/// Installs or updates the engine's schema. Safe to run from several processes at once.
pub async fn migrate(pool: &PgPool) -> Result<(), QueueError> {
    let mut turn = pool.begin().await?;
    // It only holds the lock while others work.
    sqlx::query("set local idle_in_transaction_session_timeout = 0").execute(&mut *turn).await?;
    sqlx::query("select pg_advisory_xact_lock(hashtext('rejoinder queue migrate'))").execute(&mut *turn).await?;
    WorkerUtils::new(pool, SCHEMA).migrate().await.map_err(|error| QueueError::Schema(error.to_string()))?;
    turn.commit().await?;
    Ok(())
}
