//! Sessions of the dashboard that stand for sessions at Clerk.
//!
//! Clerk's own token lives for a minute, which only a script of Clerk's in the page could renew; our pages run none of others. So a
//! token that is shown once opens a session of ours that names Clerk's. It ends when a webhook says that Clerk's ended, and after
//! twelve hours (`sessions`); then the browser is sent past Clerk again, which nobody notices who is still signed in there. Of a
//! session that ended we keep the id for longer than any token of it counts, so that its last one opens nothing.

use crate::accounts::sessions::{self, NewSession};
use crate::clock::Moment;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Among the webhooks seen, since that is how we know.
const ENDED: &str = "clerk-session-ended";

/// None: that session has ended.
pub(super) async fn open(
    db: &PgPool,
    moment: &Moment,
    user_id: Uuid,
    session: &str,
) -> sqlx::Result<Option<NewSession>> {
    let mut tx = db.begin().await?;
    hold(&mut tx, session).await?;
    if ended(&mut tx, session).await? {
        return Ok(None);
    }
    let new = sessions::create(&mut tx, user_id, moment.now, moment.entropy()).await?;
    sqlx::query!("update sessions set clerk_session = $2 where id = $1", new.id, session).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Some(new))
}

/// Whether we were told that this session at Clerk is over.
pub async fn ended(conn: &mut PgConnection, session: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from webhook_seen where platform = $1 and key = $2) as "ended!""#,
        ENDED,
        session
    )
    .fetch_one(conn)
    .await
}

/// One session is opened or ended at a time, until the transaction ends: otherwise one could be opened while it ends.
async fn hold(conn: &mut PgConnection, session: &str) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", format!("{ENDED}:{session}"))
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends what stands for a session at Clerk that is over, for good. False: we knew.
pub(super) async fn end(conn: &mut PgConnection, moment: &Moment, session: &str) -> sqlx::Result<bool> {
    hold(conn, session).await?;
    let noted = sqlx::query!(
        "insert into webhook_seen (platform, key, received_at) values ($1, $2, $3)
        on conflict on constraint webhook_seen_pkey do nothing",
        ENDED,
        session,
        moment.now
    )
    .execute(&mut *conn)
    .await?;
    let closed = sqlx::query!("delete from sessions where clerk_session = $1", session).execute(conn).await?;
    Ok(noted.rows_affected() + closed.rows_affected() > 0)
}
