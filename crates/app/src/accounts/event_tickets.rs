//! Tickets for live events: a browser's EventSource can send no header, so it shows one of these in the address. Each opens one
//! stream, once, within 30 s; the database keeps its SHA-256. The only writer of `event_tickets`.

use super::token_hash;
use crate::clock::Moment;
use secrecy::SecretString;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub const LIFETIME: Duration = Duration::seconds(30);

/// Who may listen, and to what that right is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    pub team_id: Uuid,
    pub user_id: Uuid,
    pub session_id: Option<Uuid>,
    pub api_token_id: Option<Uuid>,
    /// The session at Clerk, by its id there.
    pub clerk_session: Option<String>,
}

pub async fn issue(conn: &mut PgConnection, moment: &Moment, listener: Listener) -> sqlx::Result<SecretString> {
    let ticket = moment.entropy().token(32);
    sqlx::query!(
        "insert into event_tickets (token_hash, team_id, user_id, session_id, api_token_id, expires_at, clerk_session)
         values ($1, $2, $3, $4, $5, $6, $7)",
        &token_hash(&ticket)[..],
        listener.team_id,
        listener.user_id,
        listener.session_id,
        listener.api_token_id,
        moment.now + LIFETIME,
        listener.clerk_session,
    )
    .execute(conn)
    .await?;
    Ok(ticket.into())
}

/// Uses the ticket up. None: unknown, used before, too old, or another team's.
pub async fn redeem(
    conn: &mut PgConnection,
    team_id: Uuid,
    ticket: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Listener>> {
    sqlx::query_as!(
        Listener,
        "delete from event_tickets where token_hash = $1 and team_id = $2 and expires_at > $3
         returning team_id, user_id, session_id, api_token_id, clerk_session",
        &token_hash(ticket)[..],
        team_id,
        now,
    )
    .fetch_optional(conn)
    .await
}

/// Upkeep: removes at most `limit` tickets that nobody used in time.
pub async fn delete_expired(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> sqlx::Result<u64> {
    let gone = sqlx::query!(
        "delete from event_tickets where token_hash in (
             select token_hash from event_tickets where expires_at <= $1 order by expires_at limit $2 for update skip locked
         )",
        now,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(gone.rows_affected())
}
