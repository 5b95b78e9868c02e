//! Starting and stopping the queue in one process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::registry::Registry;
use super::schedule::schedule_due;
use super::supervise::{Supervisor, supervise, watch};
use super::watchdog::{Activity, server_start};
use super::{Class, QueueError, migrate};

/// The time of day, as a parameter.
pub type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// Slots per class in this process; 0 = this class does not run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    pub ai: usize,
    pub send: usize,
    pub poll: usize,
    pub upkeep: usize,
    /// One slow receiver takes one.
    pub webhook: usize,
}

impl Concurrency {
    pub(super) fn of(self, class: Class) -> usize {
        match class {
            Class::Ai => self.ai,
            Class::Send => self.send,
            Class::Poll => self.poll,
            Class::Upkeep => self.upkeep,
            Class::Webhook => self.webhook,
        }
    }
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { ai: 8, send: 128, poll: 8, upkeep: 16, webhook: 32 }
    }
}

/// How the death of a worker is noticed and what then happens to its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    pub heartbeat: Duration,
    pub sweep: Duration,
    /// Silent for this long = dead.
    pub dead_after: Duration,
    /// Before a recovered job runs again; four times as long after a second death, sixteen times from the third on.
    pub delay: Duration,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(2),
            sweep: Duration::from_secs(3),
            dead_after: Duration::from_secs(10),
            delay: Duration::from_secs(2),
        }
    }
}

/// How the queue runs in this process. Each class with slots keeps one connection of the pool for LISTEN (in session
/// mode); give the pool at least that many and 8 more. The pool's connections need `idle_in_transaction_session_timeout`
/// (30 s): a process that stalls inside a recovery sweep would otherwise hold up the recovery of all others.
#[derive(Clone)]
pub struct Settings {
    pub concurrency: Concurrency,
    pub now: Clock,
    /// Whether this process adds the jobs of the schedules. Any number may.
    pub scheduler: bool,
    pub schedule_every: Duration,
    pub recovery: Recovery,
    pub watch_every: Duration,
    /// A worker that starts nothing for this long while jobs are due is replaced.
    pub stall_after: Duration,
}

impl Settings {
    pub fn new(now: Clock) -> Self {
        Self {
            concurrency: Concurrency::default(),
            now,
            scheduler: true,
            schedule_every: Duration::from_secs(5),
            recovery: Recovery::default(),
            watch_every: Duration::from_secs(5),
            stall_after: Duration::from_secs(60),
        }
    }
}

/// The running queue. Dropped without [`Running::shutdown`] it stops at once and its jobs run again elsewhere.
pub struct Running {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    cut: CancellationToken,
    broken: CancellationToken,
    activities: Vec<(Class, Arc<Activity>)>,
}

/// Starts one worker per class that has slots, the watchdog and, if asked for, the scheduler.
pub async fn start<S>(
    registry: Arc<Registry<S>>,
    state: S,
    pool: PgPool,
    settings: Settings,
) -> Result<Running, QueueError>
where
    S: Clone + Send + Sync + 'static,
{
    migrate(&pool).await?;
    let server_since = server_start(&pool).await?;
    let mut running = Running {
        tasks: JoinSet::new(),
        stop: CancellationToken::new(),
        cut: CancellationToken::new(),
        broken: CancellationToken::new(),
        activities: Vec::new(),
    };
    let mut supervisors = Vec::new();
    for class in Class::ALL {
        let concurrency = settings.concurrency.of(class);
        if concurrency == 0 || registry.of_class(class).next().is_none() {
            continue;
        }
        let supervisor =
            Arc::new(Supervisor::new(class, concurrency, &registry, &state, &pool, &settings, &running.cut));
        running.activities.push((class, supervisor.activity()));
        supervisors.push(Arc::clone(&supervisor));
        running.spawn(supervise(supervisor, running.stop.clone()));
    }
    running.spawn(watch(supervisors, pool.clone(), settings.clone(), server_since, running.stop.clone()));
    if settings.scheduler {
        running.spawn(keep_scheduling(registry, pool, settings, running.stop.clone()));
    }
    Ok(running)
}

async fn keep_scheduling<S>(registry: Arc<Registry<S>>, pool: PgPool, settings: Settings, stop: CancellationToken)
where
    S: Clone + Send + Sync + 'static,
{
    loop {
        if let Err(error) = schedule_due(&registry, &pool, (settings.now)()).await {
            tracing::warn!(%error, "schedules are late");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(settings.schedule_every) => {}
        }
    }
}

impl Running {
    /// Runs a part of the queue that must not end before the stop.
    fn spawn(&mut self, part: impl Future<Output = ()> + Send + 'static) {
        let (stop, broken) = (self.stop.clone(), self.broken.clone());
        self.tasks.spawn(async move {
            let ended = std::panic::AssertUnwindSafe(part);
            let ended = futures::FutureExt::catch_unwind(ended).await;
            if ended.is_err() || !stop.is_cancelled() {
                tracing::error!("a part of the job queue ended by itself");
                broken.cancel();
            }
        });
    }

    /// Ends when a part of the queue broke for good: the process should stop with a failure.
    pub async fn stopped(&self) {
        self.broken.cancelled().await;
    }

    /// How often the worker of this class was replaced.
    pub fn restarts(&self, class: Class) -> u32 {
        let of_class = self.activities.iter().find(|(of, _)| *of == class);
        of_class.map_or(0, |(_, activity)| activity.restarts.load(Ordering::Relaxed))
    }

    /// Takes no new jobs and waits for the running ones. After `grace` the rest is interrupted and goes back to the
    /// queue without losing an attempt.
    pub async fn shutdown(mut self, grace: Duration) {
        const LAST_WORDS: Duration = Duration::from_secs(5);
        self.stop.cancel();
        if tokio::time::timeout(grace, join_all(&mut self.tasks)).await.is_ok() {
            return;
        }
        self.cut.cancel();
        if tokio::time::timeout(LAST_WORDS, join_all(&mut self.tasks)).await.is_err() {
            tracing::warn!("the job queue did not stop in time; what it held is recovered later");
        }
    }
}

async fn join_all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut.cancel();
    }
}
