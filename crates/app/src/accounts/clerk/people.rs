//! The accounts of people whom Clerk knows: made when a token of theirs is first seen.

use crate::accounts::teams;
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Until a webhook brings the name.
pub(super) const NO_NAME: &str = "Unnamed person";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: Uuid,
    pub name: String,
}

#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    #[error("the account was deleted")]
    Deleted,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The account of that Clerk id; made if there is none. Any number of requests that come first together meet in one row.
pub(super) async fn at_sight(db: &PgPool, moment: &Moment, clerk_id: &str) -> Result<Person, PersonError> {
    let mut conn = db.acquire().await?;
    if let Some(person) = known(&mut conn, clerk_id).await? {
        return Ok(person);
    }
    make(&mut conn, moment, clerk_id).await?;
    // Not there even now: deleted between the two, which no row ever is.
    known(&mut conn, clerk_id).await?.ok_or(PersonError::Deleted)
}

async fn known(conn: &mut PgConnection, clerk_id: &str) -> Result<Option<Person>, PersonError> {
    let row = sqlx::query!(
        r#"select id, name, deleted_at is not null as "deleted!" from users where clerk_id = $1"#,
        clerk_id
    )
    .fetch_optional(conn)
    .await?;
    match row {
        Some(row) if row.deleted => Err(PersonError::Deleted),
        row => Ok(row.map(|row| Person { id: row.id, name: row.name })),
    }
}

/// A row for that Clerk id unless there is one.
pub(super) async fn make(conn: &mut PgConnection, moment: &Moment, clerk_id: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into users (id, name, clerk_id, created_at, updated_at) values ($1, $2, $3, $4, $4)
        on conflict (clerk_id) do nothing",
        moment.id(),
        NO_NAME,
        clerk_id,
        moment.now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes into the log of each team of the person that somebody else acts as them; once for each session.
pub(super) async fn record_impersonation(
    db: &PgPool,
    moment: &Moment,
    user_id: Uuid,
    session: Option<&str>,
    actor: &str,
) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    let first = sqlx::query!(
        "insert into impersonations (user_id, session, actor, first_seen_at) values ($1, $2, $3, $4)
        on conflict on constraint impersonations_pkey do nothing",
        user_id,
        session.unwrap_or_default(),
        actor,
        moment.now
    )
    .execute(&mut *tx)
    .await?;
    if first.rows_affected() == 0 {
        return Ok(());
    }
    tracing::warn!(%user_id, session, actor, "somebody acts as another person");
    for team in teams::memberships(&mut tx, user_id).await? {
        let (subject, payload) = (Subject::Team(team.team_id), json!({ "by": actor, "session": session }));
        activity::record(&mut tx, moment, team.team_id, Some(user_id), Kind::PersonImpersonated, subject, payload)
            .await?;
    }
    tx.commit().await
}
