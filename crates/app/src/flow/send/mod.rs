//! Posting, at most once. Actor: the job `post.send`, with the only `Writer`s of the process.
//!
//! A database lease cannot fence a platform, so every write goes through these steps, and a crash between any two of them is
//! repaired by what the steps before have written:
//!
//! 1. *claim* the suggestion (`queued -> sending`, compare-and-set, leased);
//! 2. an open attempt from before? Then nothing is written; the platform is read back first (`reconcile`);
//! 3. a valid token, then the target as it stands now: gone, locked, edited or answered goes back to a person;
//! 4. *arm*, one transaction: the gate once more, the reply slot, the attempt row `uncertain` with this worker's identity;
//! 5. the write, unless five seconds have passed since arming;
//! 6. *settle*, one transaction: outcome, suggestion, slot, item, activity.
//!
//! Dead after 4: the attempt says `uncertain`, and whoever comes next reads the platform back before anything else, once the
//! worker's session lock is free. Dead between 1 and 4: nothing was written; the lease ends and another worker starts over.

mod attempts;
pub mod gate;
mod identity;
mod job;
mod reconcile;
mod resolve;
mod settle;
mod sweep;
#[cfg(doctest)]
mod walls;

pub use attempts::{Attempt, list as attempts};
pub use identity::Identity;
pub use job::PostSend;
pub use resolve::{Seen, resolve};
pub use sweep::ReconcileSweep;

use rejoinder_platforms::{Writer, Writers};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Nothing is written any more when arming lies this far back: the process was held up and the world may have moved on.
const WRITE_WITHIN: time::Duration = time::Duration::seconds(5);
/// How long a worker may take from claiming to arming.
const LEASE: time::Duration = time::Duration::seconds(60);
/// Total time that the HTTP client gives a write.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Reads without finding the reply before it counts as never posted.
const ABSENT_READS: i32 = 3;

/// The only holder of the writers. Lives in the worker role; no handler can reach it.
pub struct Sender {
    writers: Writers,
    identity: Identity,
    /// Attempts that this process is writing right now.
    in_flight: Mutex<HashSet<Uuid>>,
}

impl Sender {
    pub fn new(writers: Writers, identity: Identity) -> Self {
        Self { writers, identity, in_flight: Mutex::new(HashSet::new()) }
    }

    fn writer(&self, platform: &str) -> Option<&dyn Writer> {
        self.writers.get(platform)
    }

    fn in_flight(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks an attempt as being written until the guard drops, however the job ends.
    fn writing(&self, attempt_id: Uuid) -> Writing<'_> {
        self.in_flight().insert(attempt_id);
        Writing { sender: self, attempt_id }
    }
}

struct Writing<'a> {
    sender: &'a Sender,
    attempt_id: Uuid,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.sender.in_flight().remove(&self.attempt_id);
    }
}
