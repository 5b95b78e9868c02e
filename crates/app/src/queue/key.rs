//! Looking a job up by its key.

use super::{Failure, JobError};
use sqlx::PgConnection;
use std::collections::HashMap;
use time::OffsetDateTime;

/// The job that waits or runs under a key, if there is one.
pub async fn job_id(conn: &mut PgConnection, key: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("select id from graphile_worker._private_jobs where key = $1")
        .bind(key)
        .fetch_optional(conn)
        .await
}

/// When the waiting job of each key runs; a key without one is left out, and so is one whose job ended for good.
pub async fn due_at(conn: &mut PgConnection, keys: &[String]) -> Result<HashMap<String, OffsetDateTime>, sqlx::Error> {
    let due: Vec<(String, OffsetDateTime)> = sqlx::query_as(
        "select key, run_at from graphile_worker._private_jobs where key = any($1) and attempts < max_attempts",
    )
    .bind(keys)
    .fetch_all(conn)
    .await?;
    Ok(due.into_iter().collect())
}

/// Why the job of a key ended as failed, if it did and nothing has replaced it since.
pub async fn dead_job(conn: &mut PgConnection, key: &str) -> Result<Option<Failure>, sqlx::Error> {
    let last_error: Option<Option<String>> = sqlx::query_scalar(
        "select last_error from graphile_worker._private_jobs where key = $1 and locked_at is null and attempts >= max_attempts",
    )
    .bind(key)
    .fetch_optional(conn)
    .await?;
    Ok(last_error.map(|text| Failure::parse(&text.unwrap_or_default())))
}

impl From<sqlx::Error> for JobError {
    /// The database is away or refused: the next try may find it again.
    fn from(error: sqlx::Error) -> Self {
        Self::Retry(format!("database: {error}"))
    }
}
