//! Dashboard sessions. The browser holds 32 random bytes, the database their SHA-256.
//!
//! A session lives 14 days from its last use and 90 days from its start, whichever ends first. Use is written down at most
//! every 5 minutes, so a page view is a read. Ended ones are removed in batches by upkeep.

use super::{security, token_hash};
use crate::clock::{Entropy, Moment};
use crate::flow::activity::Kind;
use secrecy::SecretString;
use serde_json::json;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub const IDLE_LIFETIME: Duration = Duration::days(14);
pub const ABSOLUTE_LIFETIME: Duration = Duration::days(90);
/// Of those that stand for a session elsewhere: as long as its end may go unnoticed where no webhook tells of it.
pub const BORROWED_LIFETIME: Duration = Duration::hours(12);
const TOUCH_EVERY: Duration = Duration::minutes(5);

/// A session just made; the only moment in which its token is known.
#[derive(Debug)]
pub struct NewSession {
    pub id: Uuid,
    /// Goes into the cookie and nowhere else.
    pub token: SecretString,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: Uuid,
    pub user_id: Uuid,
    pub user_name: String,
}

pub async fn create(
    conn: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
    entropy: &Entropy,
) -> sqlx::Result<NewSession> {
    let id = entropy.uuid_v7(now);
    let token = entropy.token(32);
    sqlx::query!(
        "insert into sessions (id, user_id, token_hash, created_at, last_seen_at, expires_at)
        values ($1, $2, $3, $4, $4, $5)",
        id,
        user_id,
        &token_hash(&token)[..],
        now,
        now + IDLE_LIFETIME
    )
    .execute(conn)
    .await?;
    Ok(NewSession { id, token: token.into() })
}

/// The live session of a token, by `token_hash`. Using it keeps it alive.
pub async fn lookup(conn: &mut PgConnection, hash: &[u8; 32], now: OffsetDateTime) -> sqlx::Result<Option<Session>> {
    let found = sqlx::query!(
        "select s.id, s.user_id, u.name, s.created_at, s.last_seen_at
        from sessions s
        join users u on u.id = s.user_id
        where s.token_hash = $1 and s.expires_at > $2 and u.deleted_at is null and (s.clerk_session is null or s.created_at > $3)",
        &hash[..],
        now,
        now - BORROWED_LIFETIME
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = found else { return Ok(None) };
    if now - row.last_seen_at >= TOUCH_EVERY {
        sqlx::query!(
            "update sessions set last_seen_at = $2, expires_at = $3 where id = $1 and last_seen_at < $2",
            row.id,
            now,
            expiry(row.created_at, now)
        )
        .execute(conn)
        .await?;
    }
    Ok(Some(Session { id: row.id, user_id: row.user_id, user_name: row.name }))
}

/// Whether it would still open something.
pub async fn is_live(conn: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from sessions where id = $1 and expires_at > $2) as "live!""#, id, now)
        .fetch_one(conn)
        .await
}

fn expiry(created_at: OffsetDateTime, used_at: OffsetDateTime) -> OffsetDateTime {
    (used_at + IDLE_LIFETIME).min(created_at + ABSOLUTE_LIFETIME)
}

/// Notes what a session runs on, as `device::summary` words it.
pub async fn remember_device(conn: &mut PgConnection, id: Uuid, device: &str) -> sqlx::Result<()> {
    sqlx::query!("update sessions set device = $2 where id = $1", id, device).execute(conn).await?;
    Ok(())
}

/// A live session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub id: Uuid,
    pub device: Option<String>,
    pub created_at: OffsetDateTime,
    pub last_seen_at: OffsetDateTime,
}

/// The live sessions of a person, the last used first; nobody looks through more than a hundred.
pub async fn live(conn: &mut PgConnection, user_id: Uuid, now: OffsetDateTime) -> sqlx::Result<Vec<SessionRow>> {
    sqlx::query_as!(
        SessionRow,
        "select id, device, created_at, last_seen_at
        from sessions
        where user_id = $1 and expires_at > $2
        order by last_seen_at desc, id desc
        limit 100",
        user_id,
        now
    )
    .fetch_all(conn)
    .await
}

/// Signs a person out of one session of theirs. False: there is none of that id.
pub async fn end(conn: &mut PgConnection, moment: &Moment, user_id: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let done =
        sqlx::query!("delete from sessions where id = $1 and user_id = $2", id, user_id).execute(&mut *conn).await?;
    let ended = done.rows_affected() == 1;
    if ended {
        let payload = json!({ "sessions_ended": 1 });
        security::record(conn, moment, user_id, Some(user_id), Kind::AccountSessionsEnded, payload).await?;
    }
    Ok(ended)
}

/// Signs a person out of all sessions but one. Says how many.
pub async fn end_others(conn: &mut PgConnection, moment: &Moment, user_id: Uuid, keep: Uuid) -> sqlx::Result<u64> {
    let ended = delete_others(conn, user_id, keep).await?;
    if ended > 0 {
        let payload = json!({ "sessions_ended": ended });
        security::record(conn, moment, user_id, Some(user_id), Kind::AccountSessionsEnded, payload).await?;
    }
    Ok(ended)
}

pub(super) async fn delete_others(conn: &mut PgConnection, user_id: Uuid, keep: Uuid) -> sqlx::Result<u64> {
    let done =
        sqlx::query!("delete from sessions where user_id = $1 and id <> $2", user_id, keep).execute(conn).await?;
    Ok(done.rows_affected())
}

pub async fn delete(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from sessions where id = $1", id).execute(conn).await?;
    Ok(())
}

/// Signs a person out everywhere.
pub async fn delete_all_of(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<u64> {
    Ok(sqlx::query!("delete from sessions where user_id = $1", user_id).execute(conn).await?.rows_affected())
}

/// Removes at most `limit` ended sessions and says how many; fewer than `limit` means that none is left.
pub async fn delete_expired(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from sessions
        where id in (
            select id from sessions where expires_at <= $1 order by expires_at limit $2 for update skip locked
        )",
        now,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn use_keeps_a_session_alive_but_never_past_ninety_days() {
        let start = datetime!(2026-03-01 12:00 UTC);
        assert_eq!(expiry(start, start + Duration::days(3)), start + Duration::days(17));
        assert_eq!(expiry(start, start + Duration::days(89)), start + Duration::days(90));
    }
}
