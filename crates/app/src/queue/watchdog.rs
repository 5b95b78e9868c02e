//! Watches the workers of this process: a restarted Postgres (their LISTEN is gone and a finished job may not have been
//! taken off), due jobs that nobody starts although slots are free, and jobs that stay taken long after they must have ended.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::Notify;

/// Frees serial queue names that a dead worker took and that no job of it explains any more. The engine frees a name with the job
/// that it recovers; where that job was taken off or moved meanwhile, the name would stay taken for ever.
pub(super) async fn free_queues(pool: &PgPool, taken_before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let freed = sqlx::query(
        "update graphile_worker._private_job_queues as queues
         set locked_by = null, locked_at = null
         where queues.locked_at < $1
           and not exists (select from graphile_worker._private_workers as workers where workers.id = queues.locked_by)
           and not exists (select from graphile_worker._private_jobs as jobs
                           where jobs.job_queue_id = queues.id and jobs.locked_by = queues.locked_by)",
    )
    .bind(taken_before)
    .execute(pool)
    .await?;
    if freed.rows_affected() > 0 {
        tracing::warn!(names = freed.rows_affected(), "serial queue names of dead workers are free again");
    }
    Ok(freed.rows_affected())
}

/// What one worker does right now.
pub(super) struct Activity {
    running: AtomicUsize,
    last_begin: Mutex<Instant>,
    worker_id: Mutex<String>,
    pub(super) restart: Notify,
    pub(super) restarts: AtomicU32,
}

/// Counts a running job for as long as it lives.
pub(super) struct Begun<'a>(&'a Activity);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            running: AtomicUsize::new(0),
            last_begin: Mutex::new(Instant::now()),
            worker_id: Mutex::new(String::new()),
            restart: Notify::new(),
            restarts: AtomicU32::new(0),
        }
    }

    pub(super) fn begin(&self) -> Begun<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.touch();
        Begun(self)
    }

    fn touch(&self) {
        *self.last_begin.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
    }

    /// A new worker took the place of the old one. What was asked of the old one does not concern it.
    pub(super) fn renew(&self, worker_id: &str) {
        worker_id.clone_into(&mut self.worker_id.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.touch();
        let _old_request = self.restart.notified().now_or_never();
    }

    /// There is no worker until the next one is built.
    pub(super) fn retire(&self) {
        self.worker_id.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }

    fn worker_id(&self) -> String {
        self.worker_id.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn idle_for(&self) -> Duration {
        self.last_begin.lock().unwrap_or_else(std::sync::PoisonError::into_inner).elapsed()
    }
}

/// What is known about one worker at one moment.
#[derive(Debug, Clone, Copy)]
struct Signs {
    /// For how long the oldest job that could run has been due.
    oldest_ready: Option<Duration>,
    /// How long ago the last run began.
    idle_for: Duration,
    slots_free: bool,
    /// Jobs that this worker has held for longer than any of its runs may take.
    forgotten: i64,
}

/// Why the worker must be replaced, if it must.
fn trouble(signs: Signs, stall_after: Duration) -> Option<&'static str> {
    let waits = signs.oldest_ready.is_some_and(|age| age > stall_after);
    if waits && signs.slots_free && signs.idle_for > stall_after {
        return Some("due jobs are not started");
    }
    (signs.forgotten > 0).then_some("ended jobs were not taken off")
}

/// One worker under watch.
pub(super) struct Watched<'a> {
    pub(super) activity: &'a Activity,
    pub(super) names: &'a [String],
    pub(super) concurrency: usize,
    /// The longest run of this class.
    pub(super) longest_run: Duration,
}

/// Looks at one worker; gives the reason why it must be replaced.
pub(super) async fn look(
    pool: &PgPool,
    watched: &Watched<'_>,
    now: OffsetDateTime,
    stall_after: Duration,
) -> Result<Option<&'static str>, sqlx::Error> {
    let worker_id = watched.activity.worker_id();
    if worker_id.is_empty() {
        return Ok(None);
    }
    // A prefetched job waits for the run before it, so twice the longest run is still honest.
    let forgotten_since = now - (watched.longest_run * 2 + stall_after);
    let (oldest, forgotten): (Option<OffsetDateTime>, i64) = sqlx::query_as(
        "select
           (select min(jobs.run_at)
            from graphile_worker._private_jobs as jobs
            join graphile_worker._private_tasks as tasks on tasks.id = jobs.task_id
            left join graphile_worker._private_job_queues as queues on queues.id = jobs.job_queue_id
            where jobs.is_available and jobs.run_at <= $1 and tasks.identifier = any($2)
              and (queues.id is null or queues.is_available)),
           (select count(*) from graphile_worker._private_jobs where locked_by = $3 and locked_at < $4)",
    )
    .bind(now)
    .bind(watched.names)
    .bind(&worker_id)
    .bind(forgotten_since)
    .fetch_one(pool)
    .await?;
    let signs = Signs {
        oldest_ready: oldest.map(|due| Duration::try_from(now - due).unwrap_or_default()),
        idle_for: watched.activity.idle_for(),
        slots_free: watched.activity.running.load(Ordering::Relaxed) < watched.concurrency,
        forgotten,
    };
    Ok(trouble(signs, stall_after))
}

/// Since when the server runs: another moment than before = it was restarted or failed over.
pub(super) async fn server_start(pool: &PgPool) -> Result<OffsetDateTime, sqlx::Error> {
    let (since,) = sqlx::query_as("select pg_postmaster_start_time()").fetch_one(pool).await?;
    Ok(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(60);
    const CALM: Signs = Signs {
        oldest_ready: Some(Duration::from_secs(600)),
        idle_for: Duration::from_secs(61),
        slots_free: true,
        forgotten: 0,
    };

    #[test]
    fn a_worker_that_starts_nothing_while_jobs_wait_is_replaced() {
        assert!(trouble(CALM, STALL).is_some());
    }

    #[test]
    fn a_worker_is_left_alone_while_it_works_waits_or_is_full() {
        let busy = Signs { idle_for: Duration::from_secs(1), ..CALM };
        let empty = Signs { oldest_ready: None, ..CALM };
        let full = Signs { slots_free: false, ..CALM };
        let fresh = Signs { oldest_ready: Some(Duration::from_secs(59)), ..CALM };
        for signs in [busy, empty, full, fresh] {
            assert_eq!(trouble(signs, STALL), None, "{signs:?}");
        }
    }

    #[test]
    fn a_request_to_replace_a_worker_does_not_hit_the_next_one() {
        let activity = Activity::new();
        activity.restart.notify_one();
        activity.renew("next");
        assert!(activity.restart.notified().now_or_never().is_none());
    }

    #[test]
    fn a_worker_that_lost_the_end_of_a_job_is_replaced() {
        let lost = Signs { oldest_ready: None, forgotten: 1, ..CALM };
        assert!(trouble(lost, STALL).is_some());
    }
}
