//! Many asks, one transaction: whoever asks waits until the round under way has ended; all that wait by then share the next one. An
//! idle worker's ask is a round of its own at once, so nothing waits for company; under load a commit serves dozens.
//!
//! A round that the database refuses is run again ask by ask, so that one poisonous row fails alone. An asker that is gone by the end
//! of its round changes nothing: what the round wrote stands, and whoever comes next reads it.

use crate::error::Problem;
use crate::queue::JobError;
use async_trait::async_trait;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

/// More than this is two rounds.
const LARGEST: usize = 64;
/// A database that takes longer counts as away.
const LONGEST: Duration = Duration::from_secs(30);

/// What a round does. The answers come in the order of the asks; an error means that nothing was written.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    type Ask: Send + Sync + 'static;
    type Answer: Send + 'static;

    async fn round(&self, asks: &[Self::Ask]) -> Result<Vec<Self::Answer>, sqlx::Error>;
}

type Waiting<W> = (<W as Work>::Ask, oneshot::Sender<Result<<W as Work>::Answer, RoundError>>);

/// The door to one kind of round. Dropped, its work ends at once.
pub struct Rounds<W: Work> {
    asks: mpsc::Sender<Waiting<W>>,
    tasks: Vec<JoinHandle<()>>,
}

impl<W: Work> Rounds<W> {
    /// `at_once` rounds may run beside each other, each on a connection of its own.
    pub fn start(work: W, at_once: usize) -> Self {
        let (asks, waiting) = mpsc::channel(LARGEST * 4);
        let (work, waiting) = (Arc::new(work), Arc::new(Mutex::new(waiting)));
        let tasks = (0..at_once).map(|_| tokio::spawn(run(Arc::clone(&work), Arc::clone(&waiting)))).collect();
        Self { asks, tasks }
    }

    pub async fn ask(&self, ask: W::Ask) -> Result<W::Answer, RoundError> {
        let gone = || RoundError("the server is stopping".to_owned());
        let (answer, answered) = oneshot::channel();
        self.asks.send((ask, answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl<W: Work> Drop for Rounds<W> {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn run<W: Work>(work: Arc<W>, waiting: Arc<Mutex<mpsc::Receiver<Waiting<W>>>>) {
    let mut round = Vec::new();
    loop {
        let came = waiting.lock().await.recv_many(&mut round, LARGEST).await;
        if came == 0 {
            return;
        }
        let (asks, answers): (Vec<_>, Vec<_>) = round.drain(..).unzip();
        match attempt(work.as_ref(), &asks).await {
            Ok(done) => {
                for (answer, done) in answers.into_iter().zip(done) {
                    let _ = answer.send(Ok(done));
                }
            }
            Err(Trouble::Row(_)) if asks.len() > 1 => {
                for (ask, answer) in asks.iter().zip(answers) {
                    let alone = attempt(work.as_ref(), std::slice::from_ref(ask)).await;
                    let _ = answer.send(alone.map_err(RoundError::from).map(|mut done| done.remove(0)));
                }
            }
            Err(trouble) => {
                let error = RoundError::from(trouble);
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}

enum Trouble {
    /// The database refused something that stands in it or was asked of it.
    Row(String),
    Other(String),
}

/// The round did not happen: nothing was written. Trying again may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RoundError(String);

impl From<Trouble> for RoundError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Row(reason) | Trouble::Other(reason) => Self(reason),
        }
    }
}

impl From<RoundError> for JobError {
    fn from(error: RoundError) -> Self {
        Self::Retry(error.0)
    }
}

impl From<RoundError> for Problem {
    fn from(error: RoundError) -> Self {
        tracing::error!(reason = error.0, "a shared transaction did not happen");
        Problem::unavailable("The database did not take it. Nothing was changed; try again in a moment.")
    }
}

async fn attempt<W: Work>(work: &W, asks: &[W::Ask]) -> Result<Vec<W::Answer>, Trouble> {
    let round = AssertUnwindSafe(tokio::time::timeout(LONGEST, work.round(asks))).catch_unwind();
    match round.await {
        Ok(Ok(Ok(answers))) if answers.len() == asks.len() => Ok(answers),
        Ok(Ok(Ok(answers))) => Err(Trouble::Row(format!("{} asks, {} answers", asks.len(), answers.len()))),
        Ok(Ok(Err(error @ sqlx::Error::Database(_)))) => Err(Trouble::Row(error.to_string())),
        Ok(Ok(Err(error))) => Err(Trouble::Other(error.to_string())),
        Ok(Err(_)) => Err(Trouble::Other("the database took too long".to_owned())),
        Err(_) => Err(Trouble::Row("the round panicked".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex as StdMutex;
    use tokio::sync::Semaphore;

    /// Doubles numbers; 13 is poison, 99 panics. Runs only when permitted.
    struct Doubling {
        may_run: Arc<Semaphore>,
        sizes: Arc<StdMutex<Vec<usize>>>,
    }

    #[async_trait]
    impl Work for Doubling {
        type Ask = u32;
        type Answer = u32;

        async fn round(&self, asks: &[u32]) -> Result<Vec<u32>, sqlx::Error> {
            self.may_run.acquire().await.unwrap().forget();
            self.sizes.lock().unwrap().push(asks.len());
            if asks.contains(&13) {
                return Err(sqlx::Error::Database(Box::new(Poison)));
            }
            assert!(!asks.contains(&99));
            Ok(asks.iter().map(|number| number * 2).collect())
        }
    }

    #[derive(Debug)]
    struct Poison;

    impl std::fmt::Display for Poison {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("poison")
        }
    }

    impl std::error::Error for Poison {}

    impl sqlx::error::DatabaseError for Poison {
        fn message(&self) -> &str {
            "poison"
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    fn doubling(permits: usize) -> (Rounds<Doubling>, Arc<Semaphore>, Arc<StdMutex<Vec<usize>>>) {
        let (may_run, sizes) = (Arc::new(Semaphore::new(permits)), Arc::default());
        let rounds = Rounds::start(Doubling { may_run: Arc::clone(&may_run), sizes: Arc::clone(&sizes) }, 1);
        (rounds, may_run, sizes)
    }

    #[tokio::test]
    async fn who_waits_together_shares_a_round_and_each_gets_its_own_answer() {
        let (rounds, may_run, sizes) = doubling(0);
        let asked = (0..5).map(|number| rounds.ask(number));
        let release = async {
            tokio::task::yield_now().await;
            may_run.add_permits(10);
        };
        let (answers, ()) = tokio::join!(futures::future::join_all(asked), release);
        assert_eq!(answers, [0, 2, 4, 6, 8].map(Ok));
        assert!(sizes.lock().unwrap().len() < 5, "{sizes:?}");
    }

    #[tokio::test]
    async fn poison_and_panic_fail_alone() {
        let (rounds, may_run, _) = doubling(0);
        let asked = [1, 13, 2, 99, 3].map(|number| rounds.ask(number));
        let release = async {
            tokio::task::yield_now().await;
            may_run.add_permits(100);
        };
        let (answers, ()) = tokio::join!(futures::future::join_all(asked), release);
        let failed: Vec<bool> = answers.iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, true, false, true, false]);
        assert_eq!(rounds.ask(4).await, Ok(8), "it goes on");
    }
}
