//! Posting, at most once. Actor: the job `post.send`, with the only `Writer`s of the process.
//!
//! A database lease cannot fence a platform, so every write goes through these steps, and a crash between any two of them is
//! repaired by what the steps before have written:
//!
//! 1. *claim* the suggestion (`queued -> sending`, compare-and-set, leased), unless the gate keeps it back already;
//! 2. an open attempt from before? Then nothing is written; the platform is read back first (`reconcile`);
//! 3. a valid token, then the target as it stands now: gone, locked, edited or answered goes back to a person;
//! 4. *arm*, one transaction: the gate once more with the switches held, turn, place and slot, the attempt row `uncertain` with this
//!    worker's identity;
//! 5. the write, unless five seconds have passed since arming;
//! 6. *finish*, one transaction: outcome, suggestion, slot, item, activity.
//!
//! Dead after 4: the attempt says `uncertain`, and whoever comes next reads the platform back before anything else, once the
//! worker's session lock is free. Dead between 1 and 4: nothing was written; the lease ends and another worker starts over.
//!
//! What stands there already is changed under the same protocol (`act`).
//!
//! Steps 1, 4 and 6 of many jobs share transactions (`rounds`): each suggestion is decided by itself, the commit serves all.

mod act;
mod arm;
mod attempts;
mod claim;
mod finish;
pub mod gate;
mod identity;
mod job;
mod pause;
mod reconcile;
pub mod replies;
mod reserve;
mod resolve;
mod settle;
mod situation;
mod sweep;
mod trouble;
pub mod uncertain;
#[cfg(doctest)]
mod walls;
mod watch;

pub use act::{ActionRow, ReplyAct, Wanted, change_posted, list as actions};
pub use attempts::{Attempt, list as attempts};
pub use identity::Identity;
pub use job::PostSend;
pub use pause::{Paused, REASON_CHARS, SWITCH_LOCK, Standing, SwitchError, SwitchScope, Switches, standing};
pub use resolve::{ResolveError, Seen, resolve};
pub use sweep::{ReconcileSweep, wake};
pub use uncertain::Unknown;
pub use watch::{WatchReplies, WatchSweep};

use crate::app::App;
use crate::coord::rounds::Rounds;
use crate::flow::suggestion::machine::APPROVAL_LASTS;
use crate::flow::suggestion::{Change, Suggestion};
use gate::{Answer, Plan, Rules};
use rejoinder_platforms::{Writer, Writers};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Nothing is written any more when arming lies this far back: the process was held up and the world may have moved on.
pub const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// How long a worker may take from claiming to arming.
const LEASE: time::Duration = time::Duration::seconds(60);
/// Total time that the HTTP client gives a write.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// After arming, a call that was made at all is over by then.
pub const CALL_OVER: Duration = Duration::from_secs(25);
/// Reads without finding the reply before it counts as never posted.
const ABSENT_READS: i32 = 3;

/// The only holder of the writers. Lives in the worker role; no handler can reach it.
pub struct Sender {
    writers: Writers,
    identity: Arc<Identity>,
    in_flight: InFlight,
    claims: Rounds<claim::Claims>,
    arming: Rounds<arm::Arming>,
    finishing: Rounds<finish::Finishing>,
}

impl Sender {
    pub fn new(app: &App, writers: Writers, identity: Identity) -> Self {
        let (identity, in_flight, rules) = (Arc::new(identity), InFlight::default(), rules(app));
        let arming =
            arm::Arming { app: app.clone(), rules, identity: Arc::clone(&identity), in_flight: in_flight.clone() };
        Self {
            writers,
            identity,
            in_flight,
            claims: Rounds::start(claim::Claims { app: app.clone(), rules }, 1),
            arming: Rounds::start(arming, 1),
            finishing: Rounds::start(finish::Finishing { app: app.clone() }, 1),
        }
    }

    fn writer(&self, platform: &str) -> Option<&dyn Writer> {
        self.writers.get(platform)
    }
}

fn rules(app: &App) -> Rules {
    let config = &app.config;
    Rules {
        dry_run: config.dry_run,
        plan: Plan::SelfHosted,
        team_cap: config.team_cap,
        instance_cap: config.instance_cap,
        gap: config.send_gap,
    }
}

/// Attempts that this process is writing right now.
#[derive(Clone, Default)]
struct InFlight(Arc<Mutex<HashSet<Uuid>>>);

impl InFlight {
    /// Marks an attempt as being written until the guard drops, however the job ends.
    fn mark(&self, attempt_id: Uuid) -> Writing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt_id);
        Writing { in_flight: self.clone(), attempt_id }
    }

    fn contains(&self, attempt_id: Uuid) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&attempt_id)
    }
}

struct Writing {
    in_flight: InFlight,
    attempt_id: Uuid,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.attempt_id);
    }
}

/// What an answer of the gate makes of the suggestion; None where it says yes.
fn parking(suggestion: &Suggestion, answer: &Answer) -> Option<Change> {
    match answer {
        Answer::Allow => None,
        Answer::WaitUntil { at, reason } => Some(Change::Park { until: *at, reason: reason.clone(), waits_for: None }),
        Answer::WaitFor { switch, reason } => {
            let until = suggestion.state.approved_at.unwrap_or(suggestion.updated_at) + APPROVAL_LASTS;
            Some(Change::Park { until, reason: reason.clone(), waits_for: Some(*switch) })
        }
        Answer::ReturnToPerson { reasons } => Some(Change::Return { reasons: reasons.clone() }),
        Answer::Refuse { reason } => Some(Change::Refused { reason: reason.clone() }),
    }
}
