//! Requests of one caller a minute, counted in this process so that none costs a database write.
//!
//! What a request shows counts as somebody only once it was confirmed by whoever looks it up (`LookedUp`): an API token, or the person
//! of a session or of a token of Clerk. Until then, and again when it opens nothing any more, the request counts
//! against its address. So made-up credentials have no allowance of their own, and who is known is not held up by what others send
//! from the same address.

use super::{DOOR_PER_MINUTE, address_of, is_door, line_of, too_many_attempts, whole_secs};
use crate::accounts::token_hash;
use crate::app::App;
use crate::error::Problem;
use crate::http::cookies::{Credential, credential};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use time::OffsetDateTime;
use uuid::Uuid;

const PER_MINUTE: f64 = 600.0;
/// Half of what is remembered at most.
const GENERATION: usize = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    /// Confirmed.
    Caller(Uuid),
    Address(u128),
    /// Attempts of an address to get in.
    Door(u128),
}

impl Key {
    fn per_minute(self) -> f64 {
        match self {
            Self::Caller(_) | Self::Address(_) => PER_MINUTE,
            Self::Door(_) => DOOR_PER_MINUTE,
        }
    }
}

/// What became of the credential of a request: stays empty where no route asked.
#[derive(Debug, Clone, Default)]
pub struct LookedUp(Arc<OnceLock<Option<Uuid>>>);

impl LookedUp {
    /// `caller`: as whom its requests count; None: it opens nothing.
    pub fn tell(&self, caller: Option<Uuid>) {
        // The first answer stands.
        let _ = self.0.set(caller);
    }
}

/// The callers of this process. Bounded: when half of the places are new, those that were idle longest are forgotten.
#[derive(Debug, Clone, Default)]
pub struct CallerLimits(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    buckets: Generations<Key, Bucket>,
    /// By hash of the credential.
    confirmed: Generations<[u8; 32], Uuid>,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Generations<K, V> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Eq + Hash, V: Copy> Generations<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn forget(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    refilled_at: OffsetDateTime,
}

impl Memory {
    fn bucket(&self, key: Key, now: OffsetDateTime) -> Bucket {
        let most = key.per_minute();
        self.buckets.get(&key).map_or(Bucket { tokens: most, refilled_at: now }, |bucket| {
            let gained = (now - bucket.refilled_at).as_seconds_f64().max(0.0) * most / 60.0;
            Bucket { tokens: (bucket.tokens + gained).min(most), refilled_at: bucket.refilled_at.max(now) }
        })
    }

    /// Takes one, or says after how many seconds one request is possible.
    fn take(&mut self, key: Key, now: OffsetDateTime) -> Result<(), u64> {
        let mut bucket = self.bucket(key, now);
        if bucket.tokens < 1.0 {
            return Err(whole_secs((1.0 - bucket.tokens) * 60.0 / key.per_minute()));
        }
        bucket.tokens -= 1.0;
        self.buckets.put(key, bucket);
        Ok(())
    }

    fn give_back(&mut self, key: Key, now: OffsetDateTime) {
        let mut bucket = self.bucket(key, now);
        bucket.tokens = (bucket.tokens + 1.0).min(key.per_minute());
        self.buckets.put(key, bucket);
    }
}

impl CallerLimits {
    fn with<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, key: Key, now: OffsetDateTime) -> Result<(), u64> {
        self.with(|memory| memory.take(key, now))
    }

    fn caller_of(&self, shown: [u8; 32]) -> Option<Uuid> {
        self.with(|memory| {
            let caller = memory.confirmed.get(&shown)?;
            memory.confirmed.put(shown, caller);
            Some(caller)
        })
    }

    /// It was charged to `charged` before anybody knew.
    fn confirmed(&self, shown: [u8; 32], caller: Uuid, charged: Option<Key>, now: OffsetDateTime) {
        self.with(|memory| {
            memory.confirmed.put(shown, caller);
            if let Some(key) = charged {
                memory.give_back(key, now);
            }
            // After the fact: where nothing is left, the next one is refused.
            let _ = memory.take(Key::Caller(caller), now);
        });
    }

    fn ended(&self, shown: &[u8; 32], line: u128, now: OffsetDateTime) {
        self.with(|memory| {
            memory.confirmed.forget(shown);
            let _ = memory.take(Key::Address(line), now);
        });
    }
}

fn too_many(secs: u64) -> Problem {
    Problem::too_many(secs, format!("The limit is 600 requests a minute. Try again in {secs} s."))
}

/// Middleware inside `request_id::assign`, around everything that costs work. State: `(App, CallerLimits)`.
pub async fn per_caller(
    State((app, limits)): State<(App, CallerLimits)>,
    mut request: Request,
    next: Next,
) -> Response {
    if is_platform_webhook(request.uri().path()) {
        return next.run(request).await;
    }
    let now = app.clock.now();
    let line = line_of(address_of(request.extensions(), request.headers(), &app));
    if is_door(request.method(), request.uri().path())
        && let Err(secs) = limits.take(Key::Door(line), now)
    {
        return too_many_attempts(secs).into_response();
    }
    let (shown, token) = match credential(request.headers(), &app.config.public_url) {
        Credential::Session(hash) => (Some(hash), None),
        Credential::Bearer(token) => (Some(token_hash(token.expose_secret())), Some(token)),
        Credential::None | Credential::Malformed => (None, None),
    };
    let known = shown.and_then(|shown| limits.caller_of(shown));
    let key = known.map_or(Key::Address(line), Key::Caller);
    let charged = match limits.take(key, now) {
        Ok(()) => Some(key),
        Err(_) if known.is_none() && is_signed(&app, token.as_ref()).await => None,
        Err(secs) => return too_many(secs).into_response(),
    };
    let looked_up = LookedUp::default();
    request.extensions_mut().insert(looked_up.clone());
    let response = next.run(request).await;
    match (shown, looked_up.0.get()) {
        (Some(shown), Some(Some(caller))) if known.is_none() => limits.confirmed(shown, *caller, charged, now),
        (Some(shown), Some(None)) if known.is_some() => limits.ended(&shown, line, now),
        _ => {}
    }
    response
}

/// Platforms send in bursts, all from a few addresses, and what is not signed costs one hash. A limit would let anybody behind the same
/// proxy keep their deliveries out.
fn is_platform_webhook(path: &str) -> bool {
    path.starts_with("/api/webhooks/meta/") || path == "/api/webhooks/x"
}

/// Whether a token that this process has not seen yet is a good one of Clerk's, as each is once a minute: its signature is checked
/// without the database, so that a crowded address keeps nobody out who is signed in.
async fn is_signed(app: &App, token: Option<&SecretString>) -> bool {
    match (&app.clerk, token) {
        (Some(clerk), Some(token)) => clerk.verify(token.expose_secret()).await.is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    #[test]
    fn a_caller_gets_600_a_minute_and_then_learns_when_to_come_back() {
        let limits = CallerLimits::default();
        let key = Key::Address(1);
        for _ in 0..600 {
            assert_eq!(limits.take(key, NOW), Ok(()));
        }
        assert_eq!(limits.take(key, NOW), Err(1));
        assert_eq!(limits.take(Key::Address(2), NOW), Ok(()), "others are not held up");
        assert_eq!(limits.take(key, NOW + Duration::seconds(1)), Ok(()));
        assert_eq!(limits.take(key, NOW - Duration::hours(1)), Ok(()), "a clock that jumps back takes nothing away");
    }

    #[test]
    fn the_memory_of_callers_is_bounded_and_the_active_are_kept() {
        let limits = CallerLimits::default();
        let busy = Key::Address(0);
        for n in 0..600 {
            limits.take(busy, NOW).unwrap();
            for stranger in 0..40 {
                limits.take(Key::Address(1 + n * 40 + stranger), NOW).unwrap();
            }
        }
        assert_eq!(limits.take(busy, NOW), Err(1));
        for n in 0..3 * GENERATION as u128 {
            let shown: [u8; 32] = std::array::from_fn(|i| n.to_be_bytes()[i % 16]);
            limits.confirmed(shown, Uuid::from_u128(n), None, NOW);
            limits.caller_of(shown);
        }
        let memory = limits.0.lock().unwrap();
        assert!(memory.buckets.young.len() + memory.buckets.old.len() <= 2 * GENERATION);
        assert!(memory.confirmed.young.len() + memory.confirmed.old.len() <= 2 * GENERATION);
    }
}
