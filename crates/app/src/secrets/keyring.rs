//! Seals and opens values, and keeps the table `data_keys`.
//!
//! A data key is made on demand and serves new values for 30 days; older ones go on opening what they sealed. The key for
//! sealing is asked of the database each time, never remembered: a key made in a transaction that was rolled back must not
//! seal anything. Hence also: store a sealed value through the connection that it was sealed on.
//! Two processes may make a key at the same moment; both are good, the newest is used from then on.

use super::SealError;
use super::envelope::{self, Place};
use super::kek::Kek;
use super::key::SecretKey32;
use crate::clock::Entropy;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgConnection, Row};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use uuid::Uuid;

const DATA_KEY_LIFETIME: time::Duration = time::Duration::days(30);
const MAX_REMEMBERED_KEYS: usize = 64;
const REMEMBERED_FOR: Duration = Duration::from_secs(300);

/// Cheap to clone; clones share the remembered keys.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    kek: Kek,
    remembered: Mutex<HashMap<Uuid, Remembered>>,
}

struct Remembered {
    key: SecretKey32,
    since: Instant,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(..)")
    }
}

impl Keyring {
    pub fn new(kek: Kek) -> Self {
        Self(Arc::new(Inner { kek, remembered: Mutex::default() }))
    }

    /// Stored in the database at the first start; a start with another key is refused.
    pub fn fingerprint(&self) -> String {
        self.0.kek.fingerprint().to_owned()
    }

    /// Encrypts `plain` for `place`. May add a row to `data_keys` on `conn`: store the result on the same connection.
    pub async fn seal(
        &self,
        conn: &mut PgConnection,
        now: OffsetDateTime,
        entropy: &Entropy,
        place: Place,
        plain: &SecretString,
    ) -> Result<Vec<u8>, SealError> {
        let (id, key) = match self.newest_key(conn, now).await? {
            Some(newest) => newest,
            None => self.add_key(conn, now, entropy).await?,
        };
        Ok(envelope::seal(id, &key, place, plain.expose_secret(), entropy))
    }

    /// Decrypts what was sealed for `place`.
    pub async fn open(&self, conn: &mut PgConnection, place: Place, sealed: &[u8]) -> Result<SecretString, SealError> {
        let id = envelope::key_id(sealed)?;
        let key = match self.recall(id) {
            Some(key) => key,
            None => {
                let wrapped = sqlx::query_scalar::<_, Vec<u8>>("select wrapped from data_keys where id = $1")
                    .bind(id)
                    .fetch_optional(conn)
                    .await?
                    .ok_or(SealError::UnknownKey(id))?;
                self.unwrap_and_remember(id, &wrapped).await?
            }
        };
        let plain = envelope::open(&key, place, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| SealError::Damaged)?;
        Ok(SecretString::from(text))
    }

    /// The key that seals new values, unless it is time for another.
    async fn newest_key(
        &self,
        conn: &mut PgConnection,
        now: OffsetDateTime,
    ) -> Result<Option<(Uuid, SecretKey32)>, SealError> {
        let row = sqlx::query(
            "select id, wrapped from data_keys
             where kek_provider = $1 and kek_key_id = $2 and kek_version = $3 and retired_at is null and created_at > $4
             order by created_at desc, id desc
             limit 1",
        )
        .bind(self.0.kek.provider())
        .bind(self.0.kek.key_id())
        .bind(self.0.kek.version())
        .bind(now - DATA_KEY_LIFETIME)
        .fetch_optional(conn)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (id, wrapped): (Uuid, Vec<u8>) = (row.try_get("id")?, row.try_get("wrapped")?);
        let key = match self.recall(id) {
            Some(key) => key,
            None => self.unwrap_and_remember(id, &wrapped).await?,
        };
        Ok(Some((id, key)))
    }

    async fn add_key(
        &self,
        conn: &mut PgConnection,
        now: OffsetDateTime,
        entropy: &Entropy,
    ) -> Result<(Uuid, SecretKey32), SealError> {
        let (id, key) = (entropy.uuid_v7(now), SecretKey32::generate(entropy));
        let wrapped = self.0.kek.wrap(id, &key, entropy).await?;
        sqlx::query(
            "insert into data_keys (id, kek_provider, kek_key_id, kek_version, wrapped, created_at)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(id)
        .bind(self.0.kek.provider())
        .bind(self.0.kek.key_id())
        .bind(self.0.kek.version())
        .bind(wrapped)
        .bind(now)
        .execute(conn)
        .await?;
        Ok((id, key))
    }

    async fn unwrap_and_remember(&self, id: Uuid, wrapped: &[u8]) -> Result<SecretKey32, SealError> {
        let key = self.0.kek.unwrap(id, wrapped).await?;
        self.remember(id, key.clone());
        Ok(key)
    }

    fn recall(&self, id: Uuid) -> Option<SecretKey32> {
        let mut remembered = self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let found = remembered.get(&id)?;
        if found.since.elapsed() < REMEMBERED_FOR {
            return Some(found.key.clone());
        }
        remembered.remove(&id);
        None
    }

    fn remember(&self, id: Uuid, key: SecretKey32) {
        let mut remembered = self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|_, old| old.since.elapsed() < REMEMBERED_FOR);
        if remembered.len() >= MAX_REMEMBERED_KEYS {
            let oldest = remembered.iter().min_by_key(|(_, old)| old.since).map(|(id, _)| *id);
            oldest.map(|oldest| remembered.remove(&oldest));
        }
        remembered.insert(id, Remembered { key, since: Instant::now() });
    }
}

#[cfg(test)]
mod tests;
