//! The request budgets: one per client id and host of a platform, shared by all accounts of all teams that were connected
//! through it, and by all processes.
//!
//! Acts here: every request to a platform, through `Permits`. It asks before it goes and tells how it ended; `window` says
//! who may go. The row in Postgres is the truth; a process takes a handful of permits at a time from it and writes what it
//! heard with the next handful, so that most requests cost no statement.
//!
//! What can go wrong: a process dies with permits in hand, and they are lost until the window ends. The database does not
//! answer, and nothing goes out.

mod db;
mod ledger;
mod share;
pub mod window;

use crate::coord::usage;
use ledger::Ledger;
use rejoinder_platforms::{Admission, Charge, Ended, Hold, Host, Pass, Permits, Unpaid};
pub use share::{Share, measure, share_of};
use sqlx::PgPool;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

use crate::clock::Clock;
use crate::error::chain;

/// Who goes first where there is not enough for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Replies on their way, and reading back what became of them.
    Send,
    /// Consents and tokens.
    Token,
    /// Reading threads where people talk right now.
    Busy,
    /// Everything else.
    Rest,
}

impl Lane {
    pub const ALL: [Self; 4] = [Self::Send, Self::Token, Self::Busy, Self::Rest];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Token => "token",
            Self::Busy => "busy",
            Self::Rest => "rest",
        }
    }
}

/// How much a piece of work presses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Urgency {
    pub lane: Lane,
    /// How long it has been due.
    pub late: time::Duration,
}

impl Urgency {
    pub const SEND: Self = Self::of(Lane::Send);
    pub const TOKEN: Self = Self::of(Lane::Token);
    pub const REST: Self = Self::of(Lane::Rest);

    pub const fn of(lane: Lane) -> Self {
        Self { lane, late: time::Duration::ZERO }
    }
}

/// Whose budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub platform: String,
    pub client_id: String,
}

/// All budgets, as this process knows them. Cheap to clone.
#[derive(Clone)]
pub struct Budgets(Arc<Shared>);

struct Shared {
    db: PgPool,
    clock: Clock,
    ledgers: Mutex<HashMap<(Key, Host), Arc<Ledger>>>,
}

impl Budgets {
    pub fn new(db: PgPool, clock: Clock) -> Self {
        Self(Arc::new(Shared { db, clock, ledgers: Mutex::default() }))
    }

    /// For the calls of one piece of work, which this team pays.
    pub fn permits(&self, key: Key, team_id: Uuid, urgency: Urgency) -> Permits {
        Permits::by(Arc::new(Door { budgets: self.clone(), key, team_id, urgency }))
    }

    /// Writes what this process heard and did not write yet. For tests and for the end of a process.
    pub async fn settle(&self) -> Result<(), sqlx::Error> {
        let ledgers: Vec<Arc<Ledger>> = self.ledgers().values().cloned().collect();
        for ledger in ledgers {
            ledger.settle(&self.0.db, self.0.clock.now()).await?;
        }
        Ok(())
    }

    fn ledgers(&self) -> std::sync::MutexGuard<'_, HashMap<(Key, Host), Arc<Ledger>>> {
        self.0.ledgers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self, key: &Key, host: Host) -> Arc<Ledger> {
        let mut ledgers = self.ledgers();
        if let Some(ledger) = ledgers.get(&(key.clone(), host)) {
            return ledger.clone();
        }
        let ledger = Arc::new(Ledger::new(key.clone(), host));
        ledgers.insert((key.clone(), host), ledger.clone());
        ledger
    }
}

struct Door {
    budgets: Budgets,
    key: Key,
    team_id: Uuid,
    urgency: Urgency,
}

#[async_trait::async_trait]
impl Admission for Door {
    async fn admit(&self, host: Host) -> Result<Pass, Duration> {
        let shared = &self.budgets.0;
        let ledger = self.budgets.ledger(&self.key, host);
        ledger.admit(&shared.db, self.urgency, shared.clock.now()).await
    }

    async fn ended(&self, host: Host, pass: Pass, ended: Ended) {
        let shared = &self.budgets.0;
        let ledger = self.budgets.ledger(&self.key, host);
        ledger.ended(&shared.db, pass, ended, shared.clock.now()).await;
    }

    /// What is on its way to be posted, and what a person does, never waits for money.
    async fn afford(&self, most_micro_usd: u64) -> Result<Hold, Unpaid> {
        if matches!(self.urgency.lane, Lane::Send | Lane::Token) {
            return Ok(Hold::default());
        }
        let shared = &self.budgets.0;
        usage::afford(&shared.db, self.team_id, most_micro_usd, shared.clock.now()).await
    }

    async fn charged(&self, hold: Hold, charges: &[Charge]) -> Result<(), String> {
        let shared = &self.budgets.0;
        let payer =
            usage::Payer { team_id: self.team_id, platform: &self.key.platform, client_id: &self.key.client_id };
        let counted = usage::settle(&shared.db, payer, hold, charges, shared.clock.now()).await;
        counted.map_err(|error| {
            tracing::error!(error = %chain(&error), "what a platform charges could not be counted");
            "what the answer costs could not be counted: the database did not answer".to_owned()
        })
    }

    fn unused(&self, host: Host, pass: Pass) {
        self.budgets.ledger(&self.key, host).unused(pass);
    }
}
