//! What goes wrong and when: plans that requests use up in order, shares that each request draws from, and holds that stop writes in the
//! middle. A fault changes only how a vendor answers. What really happened stands in the world and is never hidden from the control handle.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::mix::Mix;

/// How one public write (comment, edit, delete) goes. Seconds are of the sandbox clock where something happens later in
/// the world, and of real time where an answer is slow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WriteFault {
    /// As if nothing was planned.
    Ok,
    /// Nothing happens; HTTP 200 with this code among the errors.
    Refuse { code: String },
    /// Nothing happens; HTTP 200 with RATELIMIT and the wait in words.
    RateLimited { secs: u64 },
    /// Nothing happens; HTTP 429 as an HTML page with `retry-after`.
    TooManyRequests { secs: u64 },
    /// Nothing happens; HTTP 403.
    Forbidden,
    /// Nothing happens; HTTP 400 in the words of a community's own rule.
    CommunityRule { explanation: String },
    /// Nothing happens; HTTP 402: the app has not paid.
    PaymentRequired,
    /// Nothing happens; HTTP 503 as an HTML page.
    ServerErrorBefore,
    /// It happens; HTTP 500 as JSON.
    DoneThenServerError,
    /// It happens; the connection closes without an answer.
    DoneThenDropped,
    /// It happens; the connection closes without an answer, and readers see it only this much later.
    DroppedAndHidden { millis: u64 },
    /// It does not happen; the connection closes without an answer.
    DroppedBefore,
    /// It happens at once; the answer takes this long.
    Slow { millis: u64 },
    /// The connection closes without an answer; it happens this much later.
    LandsAfter { millis: u64 },
    /// It happens and is answered as a success; readers see it only this much later.
    HiddenFor { millis: u64 },
    /// It happens, but the answer shows neither an error nor a comment.
    EmptyThings,
    /// Nothing happens; the token expires and the answer is 401.
    TokenExpired,
}

/// How one API read (GET) goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReadFault {
    Ok,
    /// This status with the vendor's usual JSON body.
    Status {
        code: u16,
    },
    /// This status with an HTML page.
    Html {
        code: u16,
    },
    /// HTTP 429 as an HTML page with `retry-after`.
    TooManyRequests {
        secs: u64,
    },
    /// The answer shows the world as it was this long ago.
    Stale {
        millis: u64,
    },
    Slow {
        millis: u64,
    },
    /// The first half of the body, as if that was all.
    Half,
    /// The connection closes without an answer.
    Dropped,
}

/// How one call of the language model goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AiFault {
    Ok,
    /// 500, 503, 504, 404 ... in the vendor's error shape.
    Status {
        code: u16,
    },
    /// HTTP 429 with the delay in the body only.
    RateLimited {
        secs: u64,
    },
    /// HTTP 200 with a block reason and no candidate.
    Blocked,
    /// HTTP 200 with a candidate that stopped for safety and has no text.
    BlockedAnswer,
    /// HTTP 200 with half of the text.
    MaxTokens,
    /// HTTP 200 with text that is not JSON.
    Garbage,
    Slow {
        millis: u64,
    },
    BadKey,
    /// The connection closes without an answer.
    Dropped,
}

/// Where a held write waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldPoint {
    /// Received, nothing has happened yet.
    BeforeEffect,
    /// It has happened, nothing is answered yet.
    AfterEffect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Waiting,
    Go,
    Discard,
}

/// One hold: writes that meet it wait until its verdict.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) point: HoldPoint,
    /// Only writes of this `User-Agent`; None: all.
    agent: Option<String>,
    verdict: watch::Sender<Verdict>,
    arrived: watch::Sender<u64>,
}

impl Hold {
    pub(crate) fn new(point: HoldPoint, agent: Option<String>) -> Self {
        Self { point, agent, verdict: watch::Sender::new(Verdict::Waiting), arrived: watch::Sender::new(0) }
    }

    /// Called by a write: says that it is here and waits for the verdict.
    pub(crate) async fn wait(&self) -> Verdict {
        self.arrived.send_modify(|count| *count += 1);
        let mut verdict = self.verdict.subscribe();
        match verdict.wait_for(|verdict| *verdict != Verdict::Waiting).await {
            Ok(verdict) => *verdict,
            Err(_) => Verdict::Go,
        }
    }

    pub(crate) fn decide(&self, verdict: Verdict) {
        self.verdict.send_if_modified(|current| {
            let first = *current == Verdict::Waiting;
            if first {
                *current = verdict;
            }
            first
        });
    }

    pub(crate) async fn arrived(&self, at_least: u64) {
        // The sender lives in self, so the channel cannot close while we wait.
        let _ = self.arrived.subscribe().wait_for(|count| *count >= at_least).await;
    }

    pub(crate) fn arrived_count(&self) -> u64 {
        *self.arrived.borrow()
    }
}

/// Everything planned for the coming requests.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    pub(crate) writes: VecDeque<WriteFault>,
    /// Planned for writes that answer this thing.
    pub(crate) writes_under: HashMap<String, VecDeque<WriteFault>>,
    pub(crate) reads: VecDeque<ReadFault>,
    pub(crate) ai: VecDeque<AiFault>,
    pub(crate) write_mix: Option<Mix<WriteFault>>,
    pub(crate) read_mix: Option<Mix<ReadFault>>,
    hold: Option<Arc<Hold>>,
}

impl FaultPlan {
    /// For a write under this thing: its own plan first, then the common one, then the shares.
    pub(crate) fn next_write(&mut self, under: &str) -> WriteFault {
        let own = self.writes_under.get_mut(under).and_then(VecDeque::pop_front);
        let planned = own.or_else(|| self.writes.pop_front());
        planned.or_else(|| self.write_mix.as_mut()?.draw(under)).unwrap_or(WriteFault::Ok)
    }

    pub(crate) fn next_read(&mut self) -> ReadFault {
        let planned = self.reads.pop_front();
        planned.or_else(|| self.read_mix.as_mut()?.draw("")).unwrap_or(ReadFault::Ok)
    }

    /// Everything but holds.
    pub(crate) fn clear(&mut self) {
        *self = Self { hold: self.hold.take(), ..Self::default() };
    }

    pub(crate) fn next_ai(&mut self) -> AiFault {
        self.ai.pop_front().unwrap_or(AiFault::Ok)
    }

    /// The hold that a write at this point must respect.
    pub(crate) fn hold_at(&self, point: HoldPoint, agent: &str) -> Option<Arc<Hold>> {
        let meant = |hold: &Hold| hold.point == point && hold.agent.as_deref().is_none_or(|only| only == agent);
        self.hold.clone().filter(|hold| meant(hold))
    }

    pub(crate) fn hold(&self) -> Option<Arc<Hold>> {
        self.hold.clone()
    }

    /// Starts a hold. An older one lets its writes go.
    pub(crate) fn start_hold(&mut self, point: HoldPoint, agent: Option<String>) -> Arc<Hold> {
        self.end_hold(None, Verdict::Go);
        let hold = Arc::new(Hold::new(point, agent));
        self.hold = Some(hold.clone());
        hold
    }

    /// Ends the current hold, or only the given one if it is still the current one.
    pub(crate) fn end_hold(&mut self, only: Option<&Arc<Hold>>, verdict: Verdict) {
        if let Some(given) = only {
            given.decide(verdict);
            if !self.hold.as_ref().is_some_and(|current| Arc::ptr_eq(current, given)) {
                return;
            }
        }
        if let Some(hold) = self.hold.take() {
            hold.decide(verdict);
        }
    }
}
