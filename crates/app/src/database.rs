//! The schema: brought up to date at every start, by one process at a time.

use crate::queue::{self, QueueError};
use sqlx::migrate::Migrator;
use sqlx::{PgConnection, PgPool};
use std::borrow::Cow;
use time::OffsetDateTime;

/// What this binary can work with. A schema that asks for more refuses to be used by it: a migration that old code does not survive sets
/// `min_binary_schema` in `instance_facts` and raises this.
const BINARY_SCHEMA: i32 = 1;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

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
    let needed = if there { needed(&mut conn).await? } else { None };
    if let Some(needed) = needed.filter(|needed| *needed > BINARY_SCHEMA) {
        return Err(MigrateError::TooOld { needed });
    }
    drop(conn);
    // Later migrations than ours are no fault where the database says that we may work with them: so the version before can be started
    // again after an update. A database that says nothing may be anybody's.
    let mut migrations = Migrator { migrations: Cow::Borrowed(&MIGRATIONS.migrations), ..Migrator::DEFAULT };
    migrations.set_ignore_missing(needed.is_some());
    migrations.run(pool).await?;
    queue::migrate(pool).await?;
    Ok(())
}

/// How a database stands to this binary.
#[derive(Debug)]
pub struct Schema {
    /// How many migrations this binary brings.
    pub known: usize,
    /// How many of them are not applied.
    pub pending: usize,
    /// Applied, and not among ours: a newer binary was here.
    pub unknown: Vec<i64>,
    /// Ended half-way, or applied in other words than ours.
    pub broken: Vec<i64>,
    /// It says that this binary may use it.
    pub allowed: bool,
    /// What it asks for, where that is more than this binary is.
    pub needed: Option<i32>,
    /// The queue's own tables are there.
    pub queue: bool,
}

/// Reads only, from any database: an empty one too.
pub async fn schema(conn: &mut PgConnection) -> Result<Schema, sqlx::Error> {
    let (migrations, facts, queue): (bool, bool, bool) = sqlx::query_as(
        "select to_regclass('_sqlx_migrations') is not null, to_regclass('instance_facts') is not null,
                to_regclass('graphile_worker._private_jobs') is not null",
    )
    .fetch_one(&mut *conn)
    .await?;
    let applied: Vec<(i64, bool, Vec<u8>)> = if migrations {
        sqlx::query_as("select version, success, checksum from _sqlx_migrations order by version")
            .fetch_all(&mut *conn)
            .await?
    } else {
        Vec::new()
    };
    let needed = if facts { needed(conn).await? } else { None };
    let ours = |version: i64| MIGRATIONS.iter().find(|migration| migration.version == version);
    let unknown = applied.iter().map(|(version, ..)| *version).filter(|version| ours(*version).is_none());
    let broken = applied.iter().filter(|(version, success, checksum)| {
        !success || ours(*version).is_some_and(|migration| *migration.checksum != **checksum)
    });
    let there = |version: i64| applied.iter().any(|(applied, ..)| *applied == version);
    Ok(Schema {
        known: MIGRATIONS.iter().count(),
        pending: MIGRATIONS.iter().filter(|migration| !there(migration.version)).count(),
        unknown: unknown.collect(),
        broken: broken.map(|(version, ..)| *version).collect(),
        allowed: needed.is_some_and(|needed| needed <= BINARY_SCHEMA),
        needed: needed.filter(|needed| *needed > BINARY_SCHEMA),
        queue,
    })
}

/// The smallest binary that may use the schema. None: it does not say.
async fn needed(conn: &mut PgConnection) -> Result<Option<i32>, sqlx::Error> {
    let value = sqlx::query_scalar!("select value from instance_facts where name = 'min_binary_schema'")
        .fetch_optional(conn)
        .await?;
    // What we cannot read is not for us.
    Ok(value.map(|value| value.parse().unwrap_or(i32::MAX)))
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
