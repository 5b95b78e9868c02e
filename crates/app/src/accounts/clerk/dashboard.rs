//! Sessions of the dashboard that stand for sessions at Clerk.
//!
//! Clerk's own token lives for a minute, which only a script of Clerk's in the page could renew; our pages run none of others. So a
//! token that is shown once opens a session of ours that names Clerk's. It ends when a webhook says that Clerk's ended, and after
//! twelve hours (`sessions`); then the browser is sent past Clerk again, which nobody notices who is still signed in there.

use crate::accounts::sessions::{self, NewSession};
use crate::clock::Moment;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub(super) async fn open(db: &PgPool, moment: &Moment, user_id: Uuid, session: &str) -> sqlx::Result<NewSession> {
    let mut tx = db.begin().await?;
    let new = sessions::create(&mut tx, user_id, moment.now, moment.entropy()).await?;
    sqlx::query!("update sessions set clerk_session = $2 where id = $1", new.id, session).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(new)
}

/// Ends what stands for a session at Clerk that is over. False: nothing does.
pub(super) async fn end(conn: &mut PgConnection, session: &str) -> sqlx::Result<bool> {
    let done = sqlx::query!("delete from sessions where clerk_session = $1", session).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}
