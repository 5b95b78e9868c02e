//! The only door to the wall clock and to randomness. Everything else takes a `Clock` or an `Entropy`, or the values made
//! from them, so that a test can stand at a fixed instant and draw the same ids on every run.
//!
//! Instants carry whole microseconds, because Postgres keeps no more: what is written is what is read back.
//! If the operating system gives no random bytes the process stops: no key or token may be made without them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Tells the time in UTC. Clones of a test clock share one hand.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    #[default]
    System,
    Test(TestClock),
}

impl Clock {
    pub fn now(&self) -> OffsetDateTime {
        match self {
            #[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
            Self::System => whole_micros(OffsetDateTime::now_utc()),
            Self::Test(clock) => clock.now(),
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct TestClock {
    hand: Arc<RwLock<OffsetDateTime>>,
}

impl TestClock {
    pub fn at(instant: OffsetDateTime) -> Self {
        Self { hand: Arc::new(RwLock::new(whole_micros(instant))) }
    }

    /// A `Clock` that follows this one.
    pub fn clock(&self) -> Clock {
        Clock::Test(self.clone())
    }

    pub fn now(&self) -> OffsetDateTime {
        *self.hand.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, instant: OffsetDateTime) {
        *self.hand.write().unwrap_or_else(PoisonError::into_inner) = whole_micros(instant);
    }

    pub fn advance(&self, by: Duration) {
        let mut hand = self.hand.write().unwrap_or_else(PoisonError::into_inner);
        *hand = whole_micros(*hand + by);
    }
}

/// One instant and a source of ids: what a change needs besides its data. Taken once, so that all rows of the change carry the same time.
#[derive(Debug, Clone)]
pub struct Moment {
    pub now: OffsetDateTime,
    entropy: Entropy,
    drawn_ids: Arc<AtomicU16>,
}

impl Moment {
    pub fn new(clock: &Clock, entropy: &Entropy) -> Self {
        Self::at(clock.now(), entropy)
    }

    pub fn at(now: OffsetDateTime, entropy: &Entropy) -> Self {
        Self { now, entropy: entropy.clone(), drawn_ids: Arc::default() }
    }

    /// A fresh id that sorts by this instant, and among the first 4,096 of this moment by the order in which they were drawn:
    /// rows of one change carry the same time and are still listed in the order in which they were written.
    pub fn id(&self) -> Uuid {
        let number = self.drawn_ids.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut bytes = self.entropy.bytes::<10>();
        bytes[..2].copy_from_slice(&number);
        uuid_v7(self.now, bytes)
    }

    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

fn uuid_v7(now: OffsetDateTime, bytes: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

fn whole_micros(instant: OffsetDateTime) -> OffsetDateTime {
    let instant = instant.to_offset(time::UtcOffset::UTC);
    instant - Duration::nanoseconds(i64::from(instant.nanosecond() % 1_000))
}

/// Random bytes, ids and tokens. Clones of a seeded source draw from the same sequence.
#[derive(Clone, Default)]
pub enum Entropy {
    /// The operating system's generator.
    #[default]
    System,
    /// Same seed, same bytes. For tests only: who knows the seed knows every key.
    Seeded(Arc<Seeded>),
}

pub struct Seeded {
    seed: u64,
    drawn_blocks: AtomicU64,
}

impl Entropy {
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Seeded { seed, drawn_blocks: AtomicU64::new(0) }))
    }

    /// Fills `target` with random bytes. Panics when the operating system has none to give.
    pub fn fill(&self, target: &mut [u8]) {
        match self {
            #[allow(clippy::disallowed_methods, reason = "the one place that asks the system for randomness")]
            Self::System => getrandom::fill(target).expect("the operating system gives random bytes"),
            Self::Seeded(source) => source.fill(target),
        }
    }

    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A time-ordered id: sorts by the millisecond of `now`, random within it.
    pub fn uuid_v7(&self, now: OffsetDateTime) -> Uuid {
        uuid_v7(now, self.bytes::<10>())
    }

    /// `n_bytes` random bytes as base64url without padding: fit for links, cookies and headers.
    pub fn token(&self, n_bytes: usize) -> String {
        let mut bytes = zeroize::Zeroizing::new(vec![0; n_bytes]);
        self.fill(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes.as_slice())
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "Entropy(system)",
            Self::Seeded(_) => "Entropy(seeded)",
        })
    }
}

impl Seeded {
    fn fill(&self, target: &mut [u8]) {
        for chunk in target.chunks_mut(32) {
            let block = self.drawn_blocks.fetch_add(1, Ordering::Relaxed);
            let digest =
                Sha256::new().chain_update(self.seed.to_le_bytes()).chain_update(block.to_le_bytes()).finalize();
            chunk.copy_from_slice(&digest[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn an_instant_has_no_more_than_microseconds() {
        let clock = TestClock::at(datetime!(2026-03-01 12:00:00.123456789 +02:00));
        assert_eq!(clock.now(), datetime!(2026-03-01 10:00:00.123456 UTC));
        assert_eq!(Clock::System.now().nanosecond() % 1_000, 0);
    }

    #[test]
    fn every_clone_follows_the_moved_clock() {
        let hand = TestClock::at(datetime!(2026-03-01 12:00 UTC));
        let clock = hand.clock();
        hand.advance(Duration::minutes(5));
        assert_eq!(clock.clone().now(), datetime!(2026-03-01 12:05 UTC));
        hand.set(datetime!(2026-01-01 0:00 UTC));
        assert_eq!(clock.now(), datetime!(2026-01-01 0:00 UTC));
    }

    #[test]
    fn a_seed_gives_the_same_sequence_and_never_the_same_bytes_twice() {
        let (one, two) = (Entropy::seeded(7), Entropy::seeded(7));
        let first = one.bytes::<40>();
        assert_eq!(first, two.bytes::<40>());
        assert_ne!(first, one.bytes::<40>());
        assert_ne!(first, Entropy::seeded(8).bytes::<40>());
        assert_ne!(Entropy::System.bytes::<32>(), Entropy::System.bytes::<32>());
    }

    #[test]
    fn ids_sort_by_their_instant() {
        let entropy = Entropy::seeded(1);
        let earlier = entropy.uuid_v7(datetime!(2026-03-01 12:00:00.001 UTC));
        let later = entropy.uuid_v7(datetime!(2026-03-01 12:00:00.002 UTC));
        assert!(earlier < later);
        assert_eq!(earlier.get_version_num(), 7);
    }

    #[test]
    fn ids_of_one_moment_sort_in_the_order_in_which_they_were_drawn() {
        let moment = Moment::at(datetime!(2026-03-01 12:00 UTC), &Entropy::System);
        let ids: Vec<Uuid> = (0..1_000).map(|_| moment.clone().id()).collect();
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(ids[999].get_version_num(), 7);
    }

    #[test]
    fn a_token_carries_all_its_bytes_in_a_safe_alphabet() {
        let token = Entropy::System.token(32);
        assert_eq!(token.len(), 43);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }
}
