//! The bridge to the engine: how it calls a job of ours, and how our verdict becomes its bookkeeping.
//!
//! The engine knows one failure: an error text, an attempt used, exponential backoff. So a verdict that differs is
//! written to the job's row while the engine still holds it for us ([`prepare`]); the engine's own release then keeps
//! it. A process that dies in between leaves a job that runs again, never one that is lost. Only the exact moment of a
//! [`Decision::RetryAt`] is set after the release ([`settle_moment`]), since the release adds its backoff.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use graphile_worker::{
    FailureReason, IntoTaskHandlerResult, JobDefinition, JobRecoveryContext, JobRecoveryResult, TaskHandler,
    WorkerContext,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::envelope::{Decision, Envelope, Failure};
use super::registry::{Handler, Registry};
use super::run::{Taken, Verdict, open, run};
use super::start::Clock;
use super::watchdog::Activity;

/// What every run needs; handed to the engine as an extension.
pub(super) struct Shared<S> {
    pub(super) registry: Arc<Registry<S>>,
    pub(super) state: S,
    pub(super) now: Clock,
    pub(super) cut: CancellationToken,
    pub(super) activity: Arc<Activity>,
}

#[derive(Clone)]
pub(super) struct Extension<S>(pub(super) Arc<Shared<S>>);

impl<S> fmt::Debug for Extension<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extension")
    }
}

/// The engine's view of one kind of job. It reads the payload itself, so a broken one gets a verdict of ours.
struct Adapter<S, H>(PhantomData<fn() -> (S, H)>);

pub(super) fn definition<S, H>() -> JobDefinition
where
    S: Clone + Send + Sync + 'static,
    H: Handler<S>,
{
    Adapter::<S, H>::definition()
}

impl<S, H> Serialize for Adapter<S, H> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        serializer.serialize_unit()
    }
}

impl<'de, S, H> Deserialize<'de> for Adapter<S, H> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(PhantomData))
    }
}

impl<S, H> TaskHandler for Adapter<S, H>
where
    S: Clone + Send + Sync + 'static,
    H: Handler<S>,
{
    const IDENTIFIER: &'static str = H::NAME;

    fn run(self, ctx: WorkerContext) -> impl Future<Output = impl IntoTaskHandlerResult> + Send + 'static {
        work::<S>(H::NAME, ctx)
    }
}

/// The text that the engine stores: it prints errors with Debug.
struct Told(String);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

async fn work<S>(name: &'static str, ctx: WorkerContext) -> Result<(), Told>
where
    S: Clone + Send + Sync + 'static,
{
    let shared = ctx.get_ext::<Extension<S>>().map(|extension| Arc::clone(&extension.0));
    let (Some(shared), Some(pool)) = (shared, ctx.try_pg_pool().cloned()) else {
        return Err(Told("retry: the worker was built without its state".to_owned()));
    };
    let Some(entry) = shared.registry.get(name) else {
        return Err(Told(format!("retry: this process does not know jobs named {name}")));
    };
    let _running = shared.activity.begin();
    let job = ctx.job();
    let taken = Taken {
        id: *job.id(),
        attempts: *job.attempts(),
        max_attempts: *job.max_attempts(),
        payload: job.payload().clone(),
        last_error: job.last_error().clone(),
    };
    let verdict = match open(&taken) {
        Err(verdict) => verdict,
        Ok(opened) => {
            if opened.suspect {
                mark_begun(&pool, taken.id, ctx.worker_id(), &opened.envelope).await?;
            }
            let now = (shared.now)();
            run(entry, shared.state.clone(), pool.clone(), &taken, opened, now, &shared.cut).await
        }
    };
    match verdict {
        Verdict::Done => Ok(()),
        Verdict::Failed { failure, costs_attempt, envelope } => {
            match prepare(&pool, &taken, ctx.worker_id(), &failure, costs_attempt, envelope.as_ref()).await {
                Ok(Prepared::Superseded) => return Ok(()),
                Ok(Prepared::Written) => {}
                Err(error) => {
                    tracing::warn!(job_id = taken.id, %error, "a verdict could not be stored: tried again")
                }
            }
            Err(Told(failure.to_string()))
        }
    }
}

/// Counts the run of a job whose last run killed its process, before it starts.
async fn mark_begun(pool: &PgPool, id: i64, worker_id: &str, envelope: &Envelope) -> Result<(), Told> {
    let marked = sqlx::query(
        "update graphile_worker._private_jobs set payload = $3::text::json where id = $1 and locked_by = $2",
    )
    .bind(id)
    .bind(worker_id)
    .bind(envelope.encode())
    .execute(pool)
    .await
    .map_err(|error| Told(format!("retry: the start could not be noted: {error}")))?;
    match marked.rows_affected() {
        0 => Err(Told("retry: the job was given to another worker".to_owned())),
        _ => Ok(()),
    }
}

enum Prepared {
    Written,
    /// The job was replaced or taken back by its key while it ran: nothing follows its failure.
    Superseded,
}

async fn prepare(
    pool: &PgPool,
    taken: &Taken,
    worker_id: &str,
    failure: &Failure,
    costs_attempt: bool,
    envelope: Option<&Envelope>,
) -> Result<Prepared, sqlx::Error> {
    let superseded = sqlx::query("select id from graphile_worker._private_job_retirements where id = $1")
        .bind(taken.id)
        .fetch_optional(pool)
        .await?;
    if superseded.is_some() {
        return Ok(Prepared::Superseded);
    }
    let attempts = match failure.decision {
        Decision::Permanent => taken.max_attempts,
        _ if costs_attempt => taken.attempts,
        _ => taken.attempts.saturating_sub(1),
    };
    let run_at = match failure.decision {
        Decision::RetryAt(at) => Some(at),
        _ => None,
    };
    // The release adds exp(attempts) seconds to run_at, so that is taken off here.
    sqlx::query(
        "update graphile_worker._private_jobs set
           attempts = $3,
           run_at = coalesce($4 - exp(least($3::int, 10)) * interval '1 second', run_at),
           payload = coalesce($5::text::json, payload)
         where id = $1 and locked_by = $2",
    )
    .bind(taken.id)
    .bind(worker_id)
    .bind(attempts)
    .bind(run_at)
    .bind(envelope.map(Envelope::encode))
    .execute(pool)
    .await?;
    Ok(Prepared::Written)
}

/// After the engine's release: sets the exact moment of a job that asked for one.
pub(super) async fn settle_moment(pool: PgPool, now: OffsetDateTime, job_id: i64, error: String) {
    let run_at = match Failure::parse(&error).decision {
        Decision::RetryAt(at) => at,
        Decision::Interrupted => now,
        _ => return,
    };
    let settled = sqlx::query("select id from graphile_worker.reschedule_jobs(array[$1]::bigint[], run_at => $2)")
        .bind(job_id)
        .bind(run_at)
        .execute(&pool)
        .await;
    if let Err(error) = settled {
        tracing::warn!(job_id, %error, "a job comes back later than it asked for");
    }
}

/// Jobs of a dead worker come back one after the other, and later each time they killed a process: a job that does so
/// meets few others, and these survive it.
pub(super) fn recovery(ctx: &JobRecoveryContext, now: OffsetDateTime, delay: std::time::Duration) -> JobRecoveryResult {
    if ctx.reason != FailureReason::WorkerCrashed {
        return JobRecoveryResult::Default;
    }
    let deaths = Envelope::decode(ctx.job.payload()).map_or(0, |envelope| envelope.deaths);
    let place = u32::try_from(ctx.job.id().rem_euclid(8)).unwrap_or(0);
    let wait = delay * 4u32.pow(deaths.min(2)) + delay * place / 8;
    JobRecoveryResult::Reschedule { run_at: std::time::SystemTime::from(now + wait).into(), attempts: None }
}
