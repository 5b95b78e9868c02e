//! Looking a job up by its key.

use super::JobError;
use sqlx::PgConnection;

/// The job that waits or runs under a key, if there is one.
pub async fn job_id(conn: &mut PgConnection, key: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("select id from graphile_worker._private_jobs where key = $1")
        .bind(key)
        .fetch_optional(conn)
        .await
}

impl From<sqlx::Error> for JobError {
    /// The database is away or refused: the next try may find it again.
    fn from(error: sqlx::Error) -> Self {
        Self::Retry(format!("database: {error}"))
    }
}
