//! Requests that carry a key of the caller's, so that sending one twice does it once. The only writer of `idempotency_keys`.
//!
//! `claim` gives the right to run; `keep` stores the answer for whoever repeats; `release` forgets a request that changed nothing.
//! A claim that was never settled, because the process died, is open again after a minute: longer than any request may take.

use serde_json::Value;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How long an answer is repeated.
const KEPT: Duration = Duration::hours(24);
/// A request may take 30 s.
const RUNS_AT_MOST: Duration = Duration::seconds(60);

/// Whose request it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub caller_id: Uuid,
    pub method: String,
    pub path: String,
    pub key: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Nobody has sent it before: run it.
    Run,
    /// It was done; this is what was answered.
    Done { status: u16, answer: Value },
    /// It runs right now.
    InFlight,
    /// The key was used for another body.
    OtherBody,
}

/// Takes the key, or says what became of it.
pub async fn claim(
    conn: &mut PgConnection,
    key: &Key,
    body_hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<Claim, sqlx::Error> {
    let claimed = sqlx::query!(
        "insert into idempotency_keys as k (caller_id, method, path, key, body_hash, created_at) values ($1, $2, $3, $4, $5, $6)
         on conflict on constraint idempotency_keys_pkey do update
         set body_hash = excluded.body_hash, status = null, answer = null, created_at = excluded.created_at
         where k.created_at <= $7 or (k.status is null and k.created_at <= $8 and k.body_hash = excluded.body_hash)",
        key.caller_id,
        key.method,
        key.path,
        key.key,
        &body_hash[..],
        now,
        now - KEPT,
        now - RUNS_AT_MOST,
    )
    .execute(&mut *conn)
    .await?;
    if claimed.rows_affected() == 1 {
        return Ok(Claim::Run);
    }
    let row = sqlx::query!(
        "select body_hash, status, answer from idempotency_keys where caller_id = $1 and method = $2 and path = $3 and key = $4",
        key.caller_id,
        key.method,
        key.path,
        key.key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(match row {
        Some(row) if row.body_hash != body_hash => Claim::OtherBody,
        Some(row) => match row.status.and_then(|status| u16::try_from(status).ok()) {
            Some(status) => Claim::Done { status, answer: row.answer.unwrap_or(Value::Null) },
            None => Claim::InFlight,
        },
        // Released between the two statements: whoever asks again may run.
        None => Claim::InFlight,
    })
}

/// Stores the answer of the claim that was made at `claimed_at`.
pub async fn keep(
    conn: &mut PgConnection,
    key: &Key,
    claimed_at: OffsetDateTime,
    status: u16,
    answer: &Value,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update idempotency_keys set status = $6, answer = $7
         where caller_id = $1 and method = $2 and path = $3 and key = $4 and created_at = $5",
        key.caller_id,
        key.method,
        key.path,
        key.key,
        claimed_at,
        i16::try_from(status).unwrap_or(i16::MAX),
        answer,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets the claim that was made at `claimed_at`: nothing was changed, so the same key may try again.
pub async fn release(conn: &mut PgConnection, key: &Key, claimed_at: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from idempotency_keys
         where caller_id = $1 and method = $2 and path = $3 and key = $4 and created_at = $5 and status is null",
        key.caller_id,
        key.method,
        key.path,
        key.key,
        claimed_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Upkeep: removes at most `limit` keys that are too old to be repeated.
pub async fn delete_old(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!(
        "delete from idempotency_keys where (caller_id, method, path, key) in (
             select caller_id, method, path, key from idempotency_keys where created_at <= $1 order by created_at limit $2
         )",
        now - KEPT,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(gone.rows_affected())
}
