//! Between password and code: the browser holds 32 random bytes for five minutes, the database their SHA-256. They open no page;
//! with a code they become a session, once. A new password ends them all.

use super::token_hash;
use crate::clock::Moment;
use secrecy::SecretString;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub const LIFETIME: Duration = Duration::minutes(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondStep {
    pub id: Uuid,
    pub user_id: Uuid,
}

/// The password was right: the token for the cookie.
pub async fn open(conn: &mut PgConnection, moment: &Moment, user_id: Uuid) -> sqlx::Result<SecretString> {
    let token = moment.entropy().token(32);
    sqlx::query!(
        "insert into second_steps (id, user_id, token_hash, created_at, expires_at) values ($1, $2, $3, $4, $5)",
        moment.id(),
        user_id,
        &token_hash(&token)[..],
        moment.now,
        moment.now + LIFETIME
    )
    .execute(conn)
    .await?;
    Ok(token.into())
}

/// By `token_hash`; None: unknown, used or too old.
pub async fn lookup(conn: &mut PgConnection, hash: &[u8; 32], now: OffsetDateTime) -> sqlx::Result<Option<SecondStep>> {
    sqlx::query_as!(
        SecondStep,
        "select id, user_id from second_steps where token_hash = $1 and expires_at > $2",
        &hash[..],
        now
    )
    .fetch_optional(conn)
    .await
}

/// Whether it was still there: of two that use it at once, one gets in.
pub async fn close(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    Ok(sqlx::query!("delete from second_steps where id = $1", id).execute(conn).await?.rows_affected() == 1)
}

pub async fn delete_all_of(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from second_steps where user_id = $1", user_id).execute(conn).await?;
    Ok(())
}

pub async fn delete_expired(conn: &mut PgConnection, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!("delete from second_steps where expires_at <= $1", now).execute(conn).await?;
    Ok(())
}
