//! The test driver: runs due jobs one after the other in the order of their times, in simulated time, through the same
//! registry and the same run as the workers. Nothing here reads a clock.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::QueueError;
use super::envelope::{Decision, Envelope, Failure};
use super::registry::Registry;
use super::run::{Taken, Verdict, open, run};

const DRIVER: &str = "drain";
/// A job that keeps asking for the next second would never let the driver end.
const MAX_RUNS: usize = 20_000;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub name: String,
    pub at: OffsetDateTime,
    /// `None` = done.
    pub failure: Option<Failure>,
}

/// A job that ended as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadJob {
    pub name: String,
    pub reason: String,
}

/// What a drain did and what it left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainReport {
    pub ran: Vec<Ran>,
    /// Jobs that are due later, held by somebody else or unknown to the registry, by name.
    pub left: BTreeMap<String, usize>,
    /// All jobs of the table that ended as failed.
    pub dead: Vec<DeadJob>,
}

impl DrainReport {
    pub fn leftover(&self) -> usize {
        self.left.values().sum()
    }
}

/// Runs all jobs that are due up to `until`, those included that the runs add. A run's clock is the later of `now`,
/// the job's own time and the run before.
pub async fn drain<S>(
    registry: &Registry<S>,
    state: &S,
    pool: &PgPool,
    now: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<DrainReport, QueueError>
where
    S: Clone + Send + Sync + 'static,
{
    drain_with_clock(registry, state, pool, now, until, |_| {}).await
}

/// [`drain`], telling `set_clock` the time of each run before it: for a state that holds a clock of its own.
pub async fn drain_with_clock<S>(
    registry: &Registry<S>,
    state: &S,
    pool: &PgPool,
    now: OffsetDateTime,
    until: OffsetDateTime,
    set_clock: impl Fn(OffsetDateTime),
) -> Result<DrainReport, QueueError>
where
    S: Clone + Send + Sync + 'static,
{
    let never = CancellationToken::new();
    let mut clock = now;
    let mut report = DrainReport::default();
    while report.ran.len() < MAX_RUNS {
        let Some((name, due, taken)) = take_next(registry, pool, until.max(now)).await? else {
            break;
        };
        let Some(entry) = registry.get(&name) else {
            break;
        };
        clock = clock.max(due);
        set_clock(clock);
        let verdict = match open(&taken) {
            Err(verdict) => verdict,
            Ok(opened) => run(entry, state.clone(), pool.clone(), &taken, opened, clock, &never).await,
        };
        let failure = settle(pool, &taken, verdict, clock).await?;
        report.ran.push(Ran { name, at: clock, failure });
    }
    rest(pool, &mut report).await?;
    Ok(report)
}

type Row = (String, OffsetDateTime, i64, i16, i16, Value, Option<String>);

async fn take_next<S>(
    registry: &Registry<S>,
    pool: &PgPool,
    until: OffsetDateTime,
) -> Result<Option<(String, OffsetDateTime, Taken)>, sqlx::Error>
where
    S: Clone + Send + Sync + 'static,
{
    let row: Option<Row> = sqlx::query_as(
        "with next as (
           select jobs.id, tasks.identifier
           from graphile_worker._private_jobs as jobs
           join graphile_worker._private_tasks as tasks on tasks.id = jobs.task_id
           left join graphile_worker._private_job_queues as queues on queues.id = jobs.job_queue_id
           where jobs.is_available and jobs.run_at <= $1 and tasks.identifier = any($2)
             and (queues.id is null or queues.is_available)
           order by jobs.run_at, jobs.priority, jobs.id
           limit 1
           for update of jobs skip locked
         )
         update graphile_worker._private_jobs as jobs
         set attempts = jobs.attempts + 1, locked_by = $3, locked_at = $1
         from next
         where jobs.id = next.id
         returning next.identifier, jobs.run_at, jobs.id, jobs.attempts, jobs.max_attempts, jobs.payload, jobs.last_error",
    )
    .bind(until)
    .bind(registry.names())
    .bind(DRIVER)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(name, due, id, attempts, max_attempts, payload, last_error)| {
        let taken = Taken { id, attempts, max_attempts, payload, last_error };
        (name, due, taken)
    }))
}

/// The engine's release and its backoff of exp(attempts) seconds, in simulated time.
async fn settle(
    pool: &PgPool,
    taken: &Taken,
    verdict: Verdict,
    now: OffsetDateTime,
) -> Result<Option<Failure>, sqlx::Error> {
    let Verdict::Failed { failure, costs_attempt, envelope } = verdict else {
        sqlx::query("delete from graphile_worker._private_jobs where id = $1").bind(taken.id).execute(pool).await?;
        return Ok(None);
    };
    let attempts = match failure.decision {
        Decision::Permanent => taken.max_attempts,
        _ if costs_attempt => taken.attempts,
        _ => taken.attempts.saturating_sub(1),
    };
    let run_at = match failure.decision {
        Decision::RetryAt(at) => at,
        _ => now + time::Duration::seconds_f64(f64::from(attempts.min(10)).exp()),
    };
    sqlx::query(
        "with superseded as (
           delete from graphile_worker._private_jobs as jobs
           using graphile_worker._private_job_retirements as retired
           where jobs.id = $1 and retired.id = jobs.id
           returning jobs.id
         )
         update graphile_worker._private_jobs set
           attempts = $2, run_at = $3, last_error = $4, payload = coalesce($5::text::json, payload),
           locked_by = null, locked_at = null
         where id = $1 and not exists (select from superseded)",
    )
    .bind(taken.id)
    .bind(attempts)
    .bind(run_at)
    .bind(failure.to_string())
    .bind(envelope.as_ref().map(Envelope::encode))
    .execute(pool)
    .await?;
    Ok(Some(failure))
}

async fn rest(pool: &PgPool, report: &mut DrainReport) -> Result<(), sqlx::Error> {
    let rows: Vec<(String, bool, Option<String>)> = sqlx::query_as(
        "select tasks.identifier, jobs.locked_at is null and jobs.attempts >= jobs.max_attempts, jobs.last_error
         from graphile_worker._private_jobs as jobs
         join graphile_worker._private_tasks as tasks on tasks.id = jobs.task_id
         order by jobs.id",
    )
    .fetch_all(pool)
    .await?;
    for (name, dead, last_error) in rows {
        if dead {
            let reason = last_error.map(|text| Failure::parse(&text).reason).unwrap_or_default();
            report.dead.push(DeadJob { name, reason });
        } else {
            *report.left.entry(name).or_default() += 1;
        }
    }
    Ok(())
}
