//! The list of all jobs and schedules of a program: workers and the test driver run from the same one.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use futures::future::BoxFuture;
use graphile_worker::JobDefinition;
use serde_json::Value;
use sqlx::PgPool;

use super::cleanup::Cleanup;
use super::enqueue::Spec;
use super::worker::definition;
use super::{Class, Job, JobContext, JobError, QUEUE_CLEANUP};

/// One kind of job with its type erased.
pub(super) struct Entry<S> {
    pub(super) name: &'static str,
    pub(super) class: Class,
    pub(super) timeout: Duration,
    pub(super) run: fn(Value, S, JobContext, PgPool) -> RunFuture,
    pub(super) define: fn() -> JobDefinition,
}

pub(super) type RunFuture = BoxFuture<'static, Result<(), JobError>>;

/// What the engine must know at compile time about a kind of job: [`Of`] for those of the program, and our own.
pub(super) trait Handler<S>: 'static {
    const NAME: &'static str;
    fn run(fields: Value, state: S, ctx: JobContext, pool: PgPool) -> RunFuture;
}

pub(super) struct Of<J>(PhantomData<fn() -> J>);

impl<S, J> Handler<S> for Of<J>
where
    S: Clone + Send + Sync + 'static,
    J: Job<S>,
{
    const NAME: &'static str = J::NAME;

    fn run(fields: Value, state: S, ctx: JobContext, _pool: PgPool) -> RunFuture {
        Box::pin(async move {
            let job: J = serde_json::from_value(fields)
                .map_err(|error| JobError::Permanent(format!("the job's fields cannot be read: {error}")))?;
            job.run(&state, &ctx).await
        })
    }
}

/// A job that is due again and again.
pub(super) struct Schedule {
    pub(super) spec: Spec,
    pub(super) key: String,
    pub(super) period: Duration,
}

/// All jobs and schedules. Two jobs of one name are a bug in the program; the later one wins.
pub struct Registry<S> {
    entries: BTreeMap<&'static str, Entry<S>>,
    pub(super) schedules: Vec<Schedule>,
}

impl<S> Default for Registry<S>
where
    S: Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Registry<S>
where
    S: Clone + Send + Sync + 'static,
{
    /// Knows only the queue's own daily cleanup.
    pub fn new() -> Self {
        let mut new = Self { entries: BTreeMap::new(), schedules: Vec::new() };
        new.add::<Cleanup>(Class::Upkeep, Duration::from_secs(120));
        new.add_schedule(Spec::of_queue(QUEUE_CLEANUP), Duration::from_secs(24 * 3600));
        new
    }

    /// Adds a kind of job.
    #[must_use]
    pub fn job<J: Job<S>>(mut self) -> Self {
        self.add::<Of<J>>(J::CLASS, J::TIMEOUT);
        self
    }

    /// Adds a job every `period`, counted from the epoch (so every process means the same moments), unless the one
    /// before is still waiting or running. Adds the kind of job too. Periods under a second are a second.
    #[must_use]
    pub fn every<J: Job<S> + Default>(mut self, period: Duration) -> Self {
        self.add::<Of<J>>(J::CLASS, J::TIMEOUT);
        let spec = Spec::of::<S, J>(&J::default(), None).expect("a job that can be stored serialises");
        self.add_schedule(spec, period);
        self
    }

    fn add<H: Handler<S>>(&mut self, class: Class, timeout: Duration) {
        let entry = Entry { name: H::NAME, class, timeout, run: H::run, define: definition::<S, H> };
        self.entries.insert(H::NAME, entry);
    }

    fn add_schedule(&mut self, mut spec: Spec, period: Duration) {
        let key = spec.key.get_or_insert_with(|| format!("every:{}", spec.name)).clone();
        let period = period.max(Duration::from_secs(1));
        self.schedules.push(Schedule { spec, key, period });
    }

    pub(super) fn get(&self, name: &str) -> Option<&Entry<S>> {
        self.entries.get(name)
    }

    pub(super) fn of_class(&self, class: Class) -> impl Iterator<Item = &Entry<S>> {
        self.entries.values().filter(move |entry| entry.class == class)
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.entries.keys().copied().collect()
    }
}
