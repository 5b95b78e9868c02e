//! The way in for webhooks, built for bursts. Deliveries that arrive together share one transaction: whoever asks while a commit is under
//! way is part of the next one. The answer comes after the commit, so what was answered is kept, whatever dies then.
//!
//! Memory is bounded: deliveries take room as their bodies come in, by what has come and not by what was announced, and where none is left
//! the sender is told to come back, which it does. What a delivery says is worked later by `post.process`.

use super::process::PostProcess;
use super::webhook_events;
use crate::clock::{Clock, Entropy, Moment};
use crate::coord::rounds::{RoundError, Rounds, Work};
use crate::flow::activity::{self, Entry, Kind, Subject};
use crate::jobs;
use async_trait::async_trait;
use rejoinder_platforms::Pushed;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Largest delivery: Meta's thousand changes with long texts are about one.
pub const LARGEST_BYTES: usize = 4 * 1024 * 1024;
const ROOM_KIB: usize = 64 * 1024;
/// What a delivery costs beside its body.
const LEAST_KIB: usize = 16;

pub struct Intake {
    rounds: Rounds<Keep>,
    room: Arc<Semaphore>,
}

/// A place for one delivery, held until it is stored, also where whoever sent it hung up meanwhile.
pub struct Room {
    held: OwnedSemaphorePermit,
    of: Arc<Semaphore>,
}

impl Room {
    /// Takes as much more as a body of this size needs. False: too much is under way.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let more = needed(bytes).saturating_sub(self.held.num_permits());
        match u32::try_from(more).ok().and_then(|more| Arc::clone(&self.of).try_acquire_many_owned(more).ok()) {
            Some(more) => {
                self.held.merge(more);
                true
            }
            None => false,
        }
    }
}

/// KiB for a body of this size.
fn needed(bytes: usize) -> usize {
    (bytes.div_ceil(1024) + LEAST_KIB).min(ROOM_KIB)
}

impl Intake {
    pub fn start(db: PgPool, clock: Clock, entropy: Entropy) -> Self {
        Self { rounds: Rounds::start(Keep { db, clock, entropy }, 1), room: Arc::new(Semaphore::new(ROOM_KIB)) }
    }

    /// Room for a body of this size. None: too much is under way.
    pub fn room(&self, bytes: usize) -> Option<Room> {
        let kib = u32::try_from(needed(bytes)).ok()?;
        let held = Arc::clone(&self.room).try_acquire_many_owned(kib).ok()?;
        Some(Room { held, of: Arc::clone(&self.room) })
    }

    /// Returns once the changes are stored for good.
    pub async fn keep(&self, platform: &'static str, changes: Vec<Pushed>, room: Room) -> Result<(), RoundError> {
        self.rounds.ask(Delivery { platform, changes, _room: room }).await
    }
}

struct Delivery {
    platform: &'static str,
    changes: Vec<Pushed>,
    _room: Room,
}

struct Keep {
    db: PgPool,
    clock: Clock,
    entropy: Entropy,
}

#[async_trait]
impl Work for Keep {
    type Ask = Delivery;
    type Answer = ();

    async fn round(&self, asks: &[Delivery]) -> Result<Vec<()>, sqlx::Error> {
        let moment = Moment::new(&self.clock, &self.entropy);
        let mut tx = self.db.begin().await?;
        for platform in asks.iter().map(|ask| ask.platform).collect::<BTreeSet<_>>() {
            let of_platform = asks.iter().filter(|ask| ask.platform == platform);
            let changes: Vec<Pushed> = of_platform.flat_map(|ask| ask.changes.iter().cloned()).collect();
            store(&mut tx, &moment, platform, &changes).await?;
        }
        tx.commit().await?;
        Ok(vec![(); asks.len()])
    }
}

async fn store(
    conn: &mut PgConnection,
    moment: &Moment,
    platform: &str,
    changes: &[Pushed],
) -> Result<(), sqlx::Error> {
    let told = webhook_events::keep(conn, moment, platform, changes).await?;
    let accounts: BTreeSet<Uuid> =
        told.iter().filter(|told| told.problem.is_none()).filter_map(|told| told.integration_id).collect();
    let work: Vec<PostProcess> = accounts.into_iter().map(|integration_id| PostProcess { integration_id }).collect();
    if !work.is_empty() {
        jobs::enqueue_many(conn, &work, moment.now).await?;
    }
    let unreadable: Vec<&webhook_events::Told> = told.iter().filter(|told| told.problem.is_some()).collect();
    if !unreadable.is_empty() {
        tell(conn, moment, platform, &unreadable).await?;
    }
    Ok(())
}

/// Whoever has an account there sees that something came which nobody understands.
async fn tell(
    conn: &mut PgConnection,
    moment: &Moment,
    platform: &str,
    unreadable: &[&webhook_events::Told],
) -> Result<(), sqlx::Error> {
    let everybody = webhook_events::teams_of(conn, platform).await?;
    let mut entries = Vec::new();
    for told in unreadable {
        let own = told.team_id.zip(told.integration_id);
        for (team_id, integration_id) in own.map_or_else(|| everybody.clone(), |own| vec![own]) {
            entries.push(Entry {
                team_id,
                actor: None,
                kind: Kind::EventUnreadable,
                subject: Subject::Integration(integration_id),
                payload: json!({ "platform": platform, "reason": told.problem }),
                request_id: None,
            });
        }
    }
    activity::record_all(conn, moment, entries).await
}
