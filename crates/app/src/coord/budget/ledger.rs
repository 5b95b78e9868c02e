//! What one process holds of a budget: permits at hand, and what it heard since it wrote last.
//!
//! A permit is good in the window that it was taken in and for a few seconds; what lies longer goes back. Only one
//! task of the process asks the database at a time, and takes for those behind it.

use super::window::{Heard, Tally};
use super::{Key, Lane, Urgency, db};
use crate::error::chain;
use rejoinder_platforms::{Budget, Ended, Host, Pass};
use sqlx::PgPool;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;

/// Permits that a process takes at once. Sends are many at a time and must not wait for the database.
const HANDFUL: [(Lane, u32); 4] = [(Lane::Send, 16), (Lane::Token, 1), (Lane::Busy, 4), (Lane::Rest, 4)];
/// Permits at hand are used within this time.
const FRESH: time::Duration = time::Duration::seconds(5);
/// The database did not answer.
const ASK_AGAIN: Duration = Duration::from_secs(5);

pub(super) struct Ledger {
    key: Key,
    host: Host,
    /// One task at a time asks the database.
    turn: tokio::sync::Mutex<Option<db::Row>>,
    hand: Mutex<Hand>,
}

#[derive(Default)]
struct Hand {
    window: i64,
    /// How many, and until when.
    permits: HashMap<Lane, (u32, OffsetDateTime)>,
    heard: BTreeMap<i64, Tally>,
}

impl Hand {
    fn tally(&mut self, window: i64) -> &mut Tally {
        self.heard.entry(window).or_insert_with(|| Tally::of(window))
    }

    fn pick(&mut self, lane: Lane, now: OffsetDateTime) -> Option<Pass> {
        let (count, until) = self.permits.get_mut(&lane).filter(|(count, _)| *count > 0)?;
        // A clock that was set back makes nothing fresh.
        if now >= *until || now < *until - FRESH {
            return None;
        }
        *count -= 1;
        Some(Pass { window: self.window })
    }

    /// What is at hand in this lane goes back with the next word to the database.
    fn give_back(&mut self, lane: Lane) {
        if let Some((count, _)) = self.permits.remove(&lane) {
            let window = self.window;
            self.tally(window).unused += count;
        }
    }
}

impl Ledger {
    pub fn new(key: Key, host: Host) -> Self {
        Self { key, host, turn: tokio::sync::Mutex::default(), hand: Mutex::default() }
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn admit(&self, pool: &PgPool, urgency: Urgency, now: OffsetDateTime) -> Result<Pass, Duration> {
        let lane = urgency.lane;
        if let Some(pass) = self.hand().pick(lane, now) {
            return Ok(pass);
        }
        let mut turn = self.turn.lock().await;
        // Somebody before us may have taken for us.
        if let Some(pass) = self.hand().pick(lane, now) {
            return Ok(pass);
        }
        self.hand().give_back(lane);
        let want = HANDFUL.iter().find(|(of, _)| *of == lane).map_or(1, |(_, want)| *want);
        let ask = db::Ask { urgency, want };
        let taken = self.exchange(pool, &mut turn, Some(&ask), now).await.map_err(|error| {
            tracing::warn!(error = %chain(&error), "no permit: the database did not answer");
            ASK_AGAIN
        })?;
        let db::Given { window, ends_at, count } = taken?;
        let mut hand = self.hand();
        if hand.window != window {
            // What is left of the window before is worth nothing.
            hand.permits.clear();
            hand.window = window;
        }
        hand.permits.insert(lane, (count.saturating_sub(1), ends_at.min(now + FRESH)));
        Ok(Pass { window })
    }

    /// Writes what was heard and takes what is asked for, in one exchange with the database.
    async fn exchange(
        &self,
        pool: &PgPool,
        known: &mut Option<db::Row>,
        ask: Option<&db::Ask>,
        now: OffsetDateTime,
    ) -> Result<db::Taken, sqlx::Error> {
        let heard = std::mem::take(&mut self.hand().heard);
        let tallies: Vec<Tally> = heard.into_values().collect();
        let done = db::exchange(pool, &self.key, self.host, known, &tallies, ask, now).await;
        if done.is_err() {
            let mut hand = self.hand();
            for tally in tallies {
                put_back(hand.tally(tally.window), tally);
            }
        }
        done
    }

    pub async fn ended(&self, pool: &PgPool, pass: Pass, ended: Ended, now: OffsetDateTime) {
        let closed = self.note(pass, ended, now);
        if !closed {
            return;
        }
        // The others must know at once.
        if let Err(error) = self.settle(pool, now).await {
            tracing::warn!(error = %chain(&error), "a closed request budget could not be written");
        }
    }

    /// True where the platform closed the door.
    fn note(&self, pass: Pass, ended: Ended, now: OffsetDateTime) -> bool {
        let mut hand = self.hand();
        let tally = hand.tally(pass.window);
        let Ended::Spent { budget, closed_for } = ended else {
            tally.unused += 1;
            return false;
        };
        match budget {
            Some(budget) => {
                tally.told += 1;
                tally.hear(heard(budget, now));
            }
            None => tally.silent += 1,
        }
        let Some(closed_for) = closed_for else { return false };
        let until = now + closed_for;
        tally.closed_until = Some(tally.closed_until.map_or(until, |before| before.max(until)));
        // What is at hand may not go either.
        for lane in Lane::ALL {
            hand.give_back(lane);
        }
        true
    }

    pub fn unused(&self, pass: Pass) {
        self.hand().tally(pass.window).unused += 1;
    }

    pub async fn settle(&self, pool: &PgPool, now: OffsetDateTime) -> Result<(), sqlx::Error> {
        let mut turn = self.turn.lock().await;
        {
            let mut hand = self.hand();
            for lane in Lane::ALL {
                hand.give_back(lane);
            }
        }
        self.exchange(pool, &mut turn, None, now).await.map(drop)
    }
}

fn heard(budget: Budget, now: OffsetDateTime) -> Heard {
    Heard { limit: budget.limit, remaining: budget.remaining, ends_at: now + budget.resets_in }
}

fn put_back(kept: &mut Tally, lost: Tally) {
    kept.told += lost.told;
    kept.silent += lost.silent;
    kept.unused += lost.unused;
    if let Some(heard) = lost.latest {
        kept.hear(heard);
    }
    kept.closed_until = kept.closed_until.max(lost.closed_until);
}
