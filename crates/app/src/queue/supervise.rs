//! Keeps one engine worker alive per class: builds it, builds it again when it ends or is found stuck, stops it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use graphile_worker::{
    JobFail, JobPermanentlyFail, JobRecovery, LocalQueueConfig, LocalQueueGetJobsComplete, RefetchDelayConfig, Worker,
    WorkerOptions,
};
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::registry::Registry;
use super::start::Settings;
use super::watchdog::{Activity, Watched, free_queues, look, server_start};
use super::worker::{Extension, Shared, recovery, settle_moment};
use super::{Class, SCHEMA};

const POLL_INTERVAL: Duration = Duration::from_millis(200);
const BREATH: Duration = Duration::from_millis(25);
/// Ended jobs are taken off together.
const COMPLETION_DELAY: Duration = Duration::from_millis(12);
/// Jobs of upkeep are short: many are fetched at once. Elsewhere a fetched job would wait for a slow one.
const FAST_PREFETCH: usize = 200;
/// A fetched job that waits this long for a slot goes back to the table.
const PREFETCH_TTL: Duration = Duration::from_secs(20);
/// On top of its longest run a replaced worker gets this long to end by itself.
const WIND_DOWN: Duration = Duration::from_secs(10);
/// A worker that lived this long is built again without a long pause.
const LONG_LIFE: Duration = Duration::from_secs(60);
/// We end runs ourselves (timeouts, `Running::shutdown`), so the engine's own limit must never come first.
const ENGINE_GRACE: Duration = Duration::from_secs(24 * 3600);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One class of one process.
pub(super) struct Supervisor<S> {
    class: Class,
    concurrency: usize,
    names: Vec<String>,
    longest_run: Duration,
    shared: Arc<Shared<S>>,
    pool: PgPool,
    settings: Settings,
}

impl<S> Supervisor<S>
where
    S: Clone + Send + Sync + 'static,
{
    pub(super) fn new(
        class: Class,
        concurrency: usize,
        registry: &Arc<Registry<S>>,
        state: &S,
        pool: &PgPool,
        settings: &Settings,
        cut: &CancellationToken,
    ) -> Self {
        Self {
            class,
            concurrency,
            names: registry.of_class(class).map(|entry| entry.name.to_owned()).collect(),
            longest_run: registry.of_class(class).map(|entry| entry.timeout).max().unwrap_or_default(),
            shared: Arc::new(Shared {
                registry: Arc::clone(registry),
                state: state.clone(),
                now: Arc::clone(&settings.now),
                cut: cut.clone(),
                activity: Arc::new(Activity::new()),
            }),
            pool: pool.clone(),
            settings: settings.clone(),
        }
    }

    pub(super) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.shared.activity)
    }

    async fn build(&self) -> Result<Worker, graphile_worker::WorkerBuildError> {
        let prefetch = match self.class {
            Class::Upkeep => FAST_PREFETCH,
            Class::Ai | Class::Send | Class::Poll | Class::Webhook => self.concurrency,
        };
        // Without a pause the engine's fetch wakes itself and asks again at once, for ever. A new job ends the pause of those whose jobs
        // somebody waits for; the others would be woken by each of these, and look through all of them for their own.
        let wakes = match self.class {
            Class::Send => 1,
            Class::Ai | Class::Poll | Class::Upkeep | Class::Webhook => usize::MAX,
        };
        let pause = RefetchDelayConfig::builder().duration(POLL_INTERVAL).threshold(0);
        let pause = pause.max_abort_threshold(wakes).build();
        let times = self.settings.recovery;
        let options = WorkerOptions::default()
            .database(self.pool.clone())
            .schema(SCHEMA)
            .concurrency(self.concurrency)
            .poll_interval(POLL_INTERVAL)
            .local_queue(
                LocalQueueConfig::default().with_size(prefetch).with_ttl(PREFETCH_TTL).with_refetch_delay(pause),
            )
            .complete_job_batch_delay(COMPLETION_DELAY)
            .heartbeat_interval(times.heartbeat)
            .sweep_interval(times.sweep)
            .sweep_threshold(times.dead_after)
            .recovery_delay(times.delay)
            .listen_os_shutdown_signals(false)
            .shutdown_grace_period(ENGINE_GRACE)
            .add_extension(Extension(Arc::clone(&self.shared)))
            .define_jobs(self.shared.registry.of_class(self.class).map(|entry| (entry.define)()));
        self.with_breath(self.with_hooks(options)).init().await
    }

    /// A fetch costs the same for one job as for many. One that brought few is followed by a breath, in which more come together.
    fn with_breath(&self, options: WorkerOptions) -> WorkerOptions {
        let enough = self.concurrency / 4;
        options.on(LocalQueueGetJobsComplete, move |ctx| async move {
            if ctx.jobs_count < enough {
                tokio::time::sleep(BREATH).await;
            }
        })
    }

    fn with_hooks(&self, options: WorkerOptions) -> WorkerOptions {
        let (pool, now) = (self.pool.clone(), Arc::clone(&self.settings.now));
        let (pool_at_end, now_at_end) = (pool.clone(), Arc::clone(&now));
        let (recovery_now, delay) = (Arc::clone(&now), self.settings.recovery.delay);
        options
            .on(JobFail, move |ctx| settle_moment(pool.clone(), now(), *ctx.job.id(), ctx.error))
            .on(JobPermanentlyFail, move |ctx| {
                settle_moment(pool_at_end.clone(), now_at_end(), *ctx.job.id(), ctx.error)
            })
            .on(JobRecovery, move |ctx| {
                let answer = recovery(&ctx, recovery_now(), delay);
                async move { answer }
            })
    }
}

type EngineRun = BoxFuture<'static, Result<(), String>>;

enum Ended {
    Stopped,
    ByItself,
    /// To be replaced: it takes nothing new, but what it runs may end.
    Replaced(EngineRun),
}

/// Runs the worker of one class until the stop.
pub(super) async fn supervise<S>(supervisor: Arc<Supervisor<S>>, stop: CancellationToken)
where
    S: Clone + Send + Sync + 'static,
{
    let class = supervisor.class.as_str();
    let mut replaced = JoinSet::new();
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let built = tokio::select! {
            () = stop.cancelled() => break,
            built = supervisor.build() => built,
        };
        match built {
            Err(error) => tracing::warn!(class, %error, "a queue worker could not be built"),
            Ok(worker) => {
                let began = Instant::now();
                supervisor.shared.activity.renew(worker.worker_id());
                tracing::info!(class, worker_id = worker.worker_id(), "queue worker started");
                match run_one(Arc::new(worker), &supervisor.shared.activity, &stop, class).await {
                    Ended::Stopped => break,
                    Ended::ByItself => {}
                    Ended::Replaced(rest) => {
                        replaced.spawn(wind_down(rest, supervisor.longest_run + WIND_DOWN, class));
                    }
                }
                supervisor.shared.activity.retire();
                if began.elapsed() > LONG_LIFE {
                    pause = FIRST_PAUSE;
                }
                supervisor.shared.activity.restarts.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("queue_worker_restarts_total", "class" => class).increment(1);
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    while replaced.join_next().await.is_some() {}
}

/// The engine's run is part of this future: dropped with it, the worker stops.
async fn run_one(worker: Arc<Worker>, activity: &Activity, stop: &CancellationToken, class: &'static str) -> Ended {
    let engine = Arc::clone(&worker);
    let mut run: EngineRun = Box::pin(async move { engine.run().await.map_err(|error| error.to_string()) });
    tokio::select! {
        ended = &mut run => {
            tracing::warn!(class, ?ended, "a queue worker ended by itself");
            Ended::ByItself
        }
        () = activity.restart.notified() => {
            worker.request_shutdown();
            Ended::Replaced(run)
        }
        () = stop.cancelled() => {
            worker.request_shutdown();
            if let Err(error) = run.await {
                tracing::warn!(class, error, "a queue worker stopped with an error");
            }
            Ended::Stopped
        }
    }
}

/// Lets a replaced worker end its runs. One that does not end is dropped with its heartbeat, so that what it holds is
/// recovered.
async fn wind_down(rest: EngineRun, patience: Duration, class: &'static str) {
    match tokio::time::timeout(patience, rest).await {
        Ok(ended) => tracing::info!(class, ?ended, "a replaced queue worker ended"),
        Err(_elapsed) => tracing::warn!(class, "a stuck queue worker is given up"),
    }
}

/// Replaces workers that got stuck, and all of them after Postgres was restarted.
pub(super) async fn watch<S>(
    supervisors: Vec<Arc<Supervisor<S>>>,
    pool: PgPool,
    settings: Settings,
    mut server_since: OffsetDateTime,
    stop: CancellationToken,
) where
    S: Clone + Send + Sync + 'static,
{
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(settings.watch_every) => {}
        }
        let round = tokio::select! {
            () = stop.cancelled() => return,
            round = watch_once(&supervisors, &pool, &settings, server_since) => round,
        };
        match round {
            Ok(since) => server_since = since,
            Err(error) => tracing::warn!(%error, "the queue's watchdog cannot reach the database"),
        }
    }
}

async fn watch_once<S>(
    supervisors: &[Arc<Supervisor<S>>],
    pool: &PgPool,
    settings: &Settings,
    server_since: OffsetDateTime,
) -> Result<OffsetDateTime, sqlx::Error>
where
    S: Clone + Send + Sync + 'static,
{
    let since = server_start(pool).await?;
    let restarted = since != server_since;
    free_queues(pool, (settings.now)() - settings.recovery.dead_after).await?;
    for supervisor in supervisors {
        let activity = &supervisor.shared.activity;
        let watched = Watched {
            activity,
            names: &supervisor.names,
            concurrency: supervisor.concurrency,
            longest_run: supervisor.longest_run,
        };
        let reason = match restarted {
            true => Some("Postgres was restarted"),
            false => look(pool, &watched, (settings.now)(), settings.stall_after).await?,
        };
        if let Some(reason) = reason {
            tracing::warn!(class = supervisor.class.as_str(), reason, "a queue worker is replaced");
            activity.restart.notify_one();
        }
    }
    Ok(since)
}
