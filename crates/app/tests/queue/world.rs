//! The state and the jobs of these tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rejoinder_app::queue::{
    Class, Concurrency, Failure, Job, JobContext, JobError, Recovery, Registry, Running, Settings, start,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::{Barrier, Semaphore};

pub const ONE_EACH: Concurrency = Concurrency { ai: 0, send: 1, poll: 0, upkeep: 8, webhook: 0 };

#[derive(Clone)]
pub struct World {
    pub pool: PgPool,
    pub in_child: bool,
    /// Runs per job of [`Count`].
    pub counted: Arc<Mutex<HashMap<i64, u32>>>,
    /// How late each run of [`Count`] began.
    pub late: Arc<Mutex<Vec<time::Duration>>>,
    /// Jobs that hold wait for a permit.
    pub gate: Arc<Semaphore>,
    /// Jobs that meet wait for each other.
    pub meeting: Arc<Barrier>,
    /// Now running, and at most so far, by serial queue.
    pub busy: Arc<Mutex<HashMap<String, (u32, u32)>>>,
}

impl World {
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            in_child: false,
            counted: Arc::default(),
            late: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            meeting: Arc::new(Barrier::new(3)),
            busy: Arc::default(),
        }
    }

    pub async fn empty() -> Self {
        Self::new(crate::cluster::database().await)
    }

    pub fn registry() -> Registry<Self> {
        Registry::new().job::<Probe>().job::<Once>().job::<Count>().job::<Tick>()
    }

    pub async fn start(&self) -> Running {
        self.start_with(ONE_EACH).await
    }

    pub async fn start_with(&self, concurrency: Concurrency) -> Running {
        let mut settings = Settings::new(Arc::new(|| rejoinder_app::clock::Clock::System.now()));
        settings.concurrency = concurrency;
        settings.scheduler = false;
        settings.watch_every = Duration::from_millis(200);
        settings.stall_after = Duration::from_secs(2);
        settings.recovery = Recovery {
            heartbeat: Duration::from_millis(200),
            sweep: Duration::from_millis(300),
            dead_after: Duration::from_millis(1500),
            delay: Duration::from_millis(100),
        };
        start(Arc::new(Self::registry()), self.clone(), self.pool.clone(), settings).await.unwrap()
    }

    pub async fn add(&self, job: &Probe) -> i64 {
        self.add_at(job, rejoinder_app::clock::Clock::System.now()).await
    }

    pub async fn add_at(&self, job: &Probe, at: OffsetDateTime) -> i64 {
        let mut conn = self.pool.acquire().await.unwrap();
        rejoinder_app::queue::enqueue(&mut conn, job, at, Some("req-1")).await.unwrap()
    }

    /// `note attempt` of each run so far, in order.
    pub async fn runs(&self) -> Vec<String> {
        sqlx::query_scalar("select note || ' ' || attempt from runs order by id").fetch_all(&self.pool).await.unwrap()
    }

    /// Attempts, maximum, whether taken, and the failure of a job; `None` = gone.
    pub async fn job(&self, id: i64) -> Option<(i16, i16, bool, Option<Failure>)> {
        let row: Option<(i16, i16, bool, Option<String>)> = sqlx::query_as(
            "select attempts, max_attempts, locked_at is not null, last_error from graphile_worker._private_jobs where id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .unwrap();
        row.map(|(attempts, max, taken, error)| (attempts, max, taken, error.map(|text| Failure::parse(&text))))
    }

    pub async fn jobs(&self) -> i64 {
        sqlx::query_scalar("select count(*) from graphile_worker._private_jobs").fetch_one(&self.pool).await.unwrap()
    }

    /// Waits for a condition on a real process, with a deadline.
    pub async fn until(&self, what: &str, sql: &'static str) {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let holds = sqlx::query_scalar::<_, bool>(sql).fetch_one(&self.pool).await;
            if holds.is_ok_and(|holds| holds) {
                return;
            }
            assert!(Instant::now() < deadline, "waited too long until {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn until_idle(&self) {
        self.until("no job is left", "select count(*) = 0 from graphile_worker._private_jobs").await;
    }
}

/// Writes a row per run, then does what it is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Probe {
    pub note: String,
    pub act: Act,
    pub key: Option<String>,
    pub queue: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Act {
    Succeed,
    /// Until the gate gives a permit.
    Hold,
    /// Until two others are there.
    Meet,
    /// For ever in a child process, not at all here.
    HangInChild,
    /// In a child process until another process ran it too, not at all here.
    AwaitAnotherInChild,
    /// Kills a child process.
    Die,
    Refuse,
    Panic,
    Hang,
    /// Fails on the first attempt.
    FailOnce,
    /// On the first run asks to come back after this many milliseconds.
    ComeBack(i64),
    /// Asks for the next second each time.
    ComeBackAlways,
    /// Adds another job that is due at the same moment.
    Follow(String),
}

impl Probe {
    pub fn new(note: &str, act: Act) -> Self {
        Self { note: note.to_owned(), act, key: None, queue: None }
    }

    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    pub fn queue(mut self, queue: &str) -> Self {
        self.queue = Some(queue.to_owned());
        self
    }

    async fn act(&self, world: &World, ctx: &JobContext, earlier_runs: i64) -> Result<(), JobError> {
        match &self.act {
            Act::Succeed => Ok(()),
            Act::Hold => {
                world.gate.acquire().await.unwrap().forget();
                Ok(())
            }
            Act::Meet => {
                world.meeting.wait().await;
                Ok(())
            }
            Act::HangInChild if world.in_child => std::future::pending().await,
            Act::AwaitAnotherInChild if world.in_child => {
                world.until("another process ran it", "select count(*) = 2 from runs").await;
                Ok(())
            }
            Act::HangInChild | Act::AwaitAnotherInChild => Ok(()),
            Act::Die if world.in_child => std::process::abort(),
            Act::Die => Ok(()),
            Act::Refuse => Err(JobError::Permanent("the post is \"gone\"".into())),
            Act::Panic => panic!("a bug"),
            Act::Hang => std::future::pending().await,
            Act::FailOnce if ctx.attempt == 1 => Err(JobError::Retry("not now".into())),
            Act::FailOnce => Ok(()),
            Act::ComeBack(after_ms) if earlier_runs == 0 => Err(JobError::RetryAt {
                at: ctx.now + time::Duration::milliseconds(*after_ms),
                reason: "the window is closed".into(),
            }),
            Act::ComeBack(_) => Ok(()),
            Act::ComeBackAlways => Err(JobError::RetryAt { at: ctx.now, reason: "the window is closed".into() }),
            Act::Follow(note) => {
                world.add_at(&Self::new(note, Act::Succeed), ctx.now).await;
                Ok(())
            }
        }
    }

    async fn run_once(self, world: &World, ctx: &JobContext) -> Result<(), JobError> {
        assert_eq!(ctx.request_id.as_deref(), Some("req-1"));
        let earlier: i64 = sqlx::query_scalar("select count(*) from runs where job_id = $1")
            .bind(ctx.job_id)
            .fetch_one(&world.pool)
            .await
            .unwrap();
        let queue = self.queue.clone().unwrap_or_default();
        {
            let mut busy = world.busy.lock().unwrap();
            let (now, most) = busy.entry(queue.clone()).or_default();
            *now += 1;
            *most = (*most).max(*now);
        }
        sqlx::query("insert into runs (job_id, note, attempt, child, at) values ($1, $2, $3, $4, $5)")
            .bind(ctx.job_id)
            .bind(&self.note)
            .bind(ctx.attempt)
            .bind(world.in_child)
            .bind(ctx.now)
            .execute(&world.pool)
            .await
            .unwrap();
        let result = self.act(world, ctx, earlier).await;
        world.busy.lock().unwrap().entry(queue).or_default().0 -= 1;
        result
    }
}

#[async_trait]
impl Job<World> for Probe {
    const NAME: &'static str = "test.probe";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 5;
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn key(&self) -> Option<String> {
        self.key.clone()
    }

    fn serial_queue(&self) -> Option<String> {
        self.queue.clone()
    }

    async fn run(self, state: &World, ctx: &JobContext) -> Result<(), JobError> {
        self.run_once(state, ctx).await
    }
}

/// A [`Probe`] with one attempt and little time, in a class of one slot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Once(pub Probe);

#[async_trait]
impl Job<World> for Once {
    const NAME: &'static str = "test.once";
    const CLASS: Class = Class::Send;
    const MAX_ATTEMPTS: i16 = 1;
    const TIMEOUT: Duration = Duration::from_secs(30);

    async fn run(self, state: &World, ctx: &JobContext) -> Result<(), JobError> {
        self.0.run_once(state, ctx).await
    }
}

/// Counts its runs in memory only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Count {
    pub due: OffsetDateTime,
    pub work: Duration,
}

#[async_trait]
impl Job<World> for Count {
    const NAME: &'static str = "test.count";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 5;
    const TIMEOUT: Duration = Duration::from_secs(30);

    async fn run(self, state: &World, ctx: &JobContext) -> Result<(), JobError> {
        state.late.lock().unwrap().push(ctx.now - self.due);
        *state.counted.lock().unwrap().entry(ctx.job_id).or_default() += 1;
        if !self.work.is_zero() {
            tokio::time::sleep(self.work).await;
        }
        Ok(())
    }
}

/// A scheduled job, too short of time for what it is asked to do in one test.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tick {
    pub hang: bool,
}

#[async_trait]
impl Job<World> for Tick {
    const NAME: &'static str = "test.tick";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 2;
    const TIMEOUT: Duration = Duration::from_millis(50);

    async fn run(self, _state: &World, _ctx: &JobContext) -> Result<(), JobError> {
        if self.hang {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
