//! The people of a run: they approve when they are let, try again when no answer came, and put a second suggestion beside the first one
//! of each pair as soon as that is posted.

use super::Args;
use crate::api::{Answer, Api};
use crate::home::Home;
use crate::rng::Rng;
use crate::words;
use crate::world::{Suggestion, World};
use anyhow::{Result, bail};
use rejoinder_app::clock::Entropy;
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

const CONNECTIONS: usize = 16;
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// The API and its database are away for seconds, never for this long.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was approved in the end.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Second suggestions of a pair.
    pub seconds: Vec<Suggestion>,
    /// Requests that were made again because no answer came, or none that settled it.
    pub repeated: usize,
}

pub(super) struct Approvals {
    permits: Arc<Semaphore>,
    progress: watch::Receiver<usize>,
    /// Said when no first one of a pair will be posted any more.
    settled: watch::Sender<bool>,
    people: JoinSet<Result<()>>,
    pairs: JoinHandle<Result<Vec<Suggestion>>>,
    repeated: Arc<AtomicUsize>,
    count: usize,
}

#[derive(Clone)]
struct Person {
    api: Api,
    world: Arc<World>,
    next: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
    repeated: Arc<AtomicUsize>,
    progress: Arc<watch::Sender<usize>>,
}

impl Approvals {
    /// Nobody approves before `allow`.
    pub(super) fn start(home: &Home, world: &Arc<World>, args: &Args) -> Result<Self> {
        let (progress, seen) = watch::channel(0);
        let person = Person {
            api: Api::new(home.base())?,
            world: world.clone(),
            next: Arc::default(),
            permits: Arc::new(Semaphore::new(0)),
            repeated: Arc::default(),
            progress: Arc::new(progress),
        };
        let mut people = JoinSet::new();
        for _ in 0..CONNECTIONS {
            people.spawn(person.clone().approve_all());
        }
        let (settled, told) = watch::channel(false);
        let pairs = args.pairs.min(world.suggestions.len());
        let pairs =
            Pairs { person: person.clone(), pool: home.pool.clone(), waiting: pairs, seed: args.seed, settled: told };
        Ok(Self {
            permits: person.permits,
            progress: seen,
            settled,
            people,
            pairs: tokio::spawn(pairs.approve_seconds()),
            repeated: person.repeated,
            count: world.suggestions.len(),
        })
    }

    /// So many more may be approved now.
    pub(super) fn allow(&self, more: usize) {
        self.permits.add_permits(more);
    }

    pub(super) fn done(&self) -> usize {
        *self.progress.borrow()
    }

    pub(super) fn all_done(&self) -> bool {
        self.done() >= self.count
    }

    /// An error where one of them could not go on.
    pub(super) fn check(&mut self) -> Result<()> {
        while let Some(ended) = self.people.try_join_next() {
            ended??;
        }
        Ok(())
    }

    /// Waits until everybody has approved everything.
    pub(super) async fn people_are_done(&mut self) -> Result<()> {
        while let Some(ended) = self.people.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// What was approved; pairs whose first one is not posted by now stay without a second.
    pub(super) async fn given(self) -> Result<Given> {
        self.settled.send_replace(true);
        let seconds = self.pairs.await??;
        Ok(Given { seconds, repeated: self.repeated.load(Ordering::Relaxed) })
    }
}

impl Person {
    async fn approve_all(self) -> Result<()> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(suggestion) = self.world.suggestions.get(number) else { return Ok(()) };
            self.permits.acquire().await?.forget();
            self.approve(suggestion, number).await?;
            self.progress.send_modify(|done| *done += 1);
        }
    }

    /// Until an answer came. Whoever asks again may meet what the first request has done already.
    async fn approve(&self, suggestion: &Suggestion, number: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut repeated = false;
        loop {
            let session = self.world.session_for(suggestion, number);
            match self.api.approve(session, suggestion.id).await {
                Ok(Answer { status: 200, .. }) => return Ok(()),
                Ok(Answer { status: 409, .. }) if repeated => return Ok(()),
                Ok(Answer { status: 429 | 502 | 503, .. }) | Err(_) if Instant::now() < deadline => {}
                Ok(answer) => {
                    bail!("the approval of {} was answered {}: {}", suggestion.id, answer.status, answer.detail())
                }
                Err(error) => {
                    bail!("the approval of {} got no answer for {} s: {error}", suggestion.id, PATIENCE.as_secs())
                }
            }
            repeated = true;
            self.repeated.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}

struct Pairs {
    person: Person,
    pool: PgPool,
    /// The first so many suggestions are each the first of a pair.
    waiting: usize,
    seed: u64,
    settled: watch::Receiver<bool>,
}

impl Pairs {
    /// The second of each pair, given while readers do not see the first reply yet.
    async fn approve_seconds(self) -> Result<Vec<Suggestion>> {
        let (mut rng, entropy) = (Rng::new(self.seed).fork("pairs"), Entropy::seeded(self.seed ^ 0x7061_6972));
        let world = &self.person.world;
        let mut firsts: Vec<&Suggestion> = world.suggestions.iter().take(self.waiting).collect();
        let mut seconds: Vec<Suggestion> = Vec::new();
        while !firsts.is_empty() {
            let last = *self.settled.borrow();
            // Without a database nobody is known to be posted; later then.
            let posted = posted(&self.pool, &firsts).await.unwrap_or_default();
            for first in firsts.iter().filter(|first| posted.contains(&first.id)) {
                let number = world.suggestions.len() + seconds.len();
                let second = first.second(&entropy, words::reply(&mut rng, number));
                self.insert(&second).await?;
                self.person.approve(&second, number).await?;
                seconds.push(second);
            }
            firsts.retain(|first| !posted.contains(&first.id));
            if last {
                break;
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
        Ok(seconds)
    }

    async fn insert(&self, second: &Suggestion) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.person.world.insert(&self.pool, second).await {
            if Instant::now() > deadline {
                return Err(error);
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
        Ok(())
    }
}

/// Which of them are posted.
async fn posted(pool: &PgPool, firsts: &[&Suggestion]) -> Result<Vec<Uuid>, sqlx::Error> {
    let ids: Vec<Uuid> = firsts.iter().map(|first| first.id).collect();
    sqlx::query_scalar("select id from suggestions where id = any($1) and status = 'posted'")
        .bind(ids)
        .fetch_all(pool)
        .await
}
