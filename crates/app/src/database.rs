//! The schema: brought up to date at every start, by one process at a time.

use crate::queue::{self, QueueError};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

/// What this binary can work with. A schema that asks for more refuses to be used by it.
const BINARY_SCHEMA: i32 = 1;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("the database schema could not be brought up to date: {0}")]
    Failed(#[from] sqlx::migrate::MigrateError),
    #[error(
        "the database was made by a newer Rejoinder (schema {needed}, this one knows {BINARY_SCHEMA}); start the newer version"
    )]
    TooOld { needed: i32 },
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
}

/// Applies what is missing, under an advisory lock: of several processes that start at once, one does it and the others wait.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut conn = pool.acquire().await?;
    let there = sqlx::query_scalar!(r#"select to_regclass('instance_facts') is not null as "there!""#)
        .fetch_one(&mut *conn)
        .await?;
    if there {
        let needed = sqlx::query_scalar!("select value from instance_facts where name = 'min_binary_schema'")
            .fetch_optional(&mut *conn)
            .await?
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        if needed > BINARY_SCHEMA {
            return Err(MigrateError::TooOld { needed });
        }
    }
    drop(conn);
    MIGRATIONS.run(pool).await?;
    queue::migrate(pool).await?;
    Ok(())
}

/// Whether the database answers and its schema is the one that this binary brought.
pub async fn is_ready(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let applied =
        sqlx::query_scalar::<_, i64>("select count(*) from _sqlx_migrations where success").fetch_one(conn).await?;
    Ok(usize::try_from(applied).is_ok_and(|applied| applied >= MIGRATIONS.iter().count()))
}

/// Remembers the key's fingerprint at the first start; afterwards tells whether this is the same key.
pub async fn claim_key(conn: &mut PgConnection, fingerprint: &str, now: OffsetDateTime) -> Result<bool, sqlx::Error> {
    sqlx::query!(
        "insert into instance_facts (name, value, updated_at) values ('key_fingerprint', $1, $2) on conflict (name) do nothing",
        fingerprint,
        now,
    )
    .execute(&mut *conn)
    .await?;
    let known =
        sqlx::query_scalar!("select value from instance_facts where name = 'key_fingerprint'").fetch_one(conn).await?;
    Ok(known == fingerprint)
}
