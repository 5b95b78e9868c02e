//! Who this worker is: a random id and a session lock on it, held on a connection of its own. While the lock is held, nobody
//! touches this worker's open attempts; when the process dies the database frees it at once. A worker that lost the connection
//! is somebody new from then on and starts no write under its old name.

use crate::clock::Entropy;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};
use std::time::Duration;
use tokio::sync::Mutex;
use uuid::Uuid;

/// A check that takes longer than this counts as lost.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

pub struct Identity {
    options: PgConnectOptions,
    entropy: Entropy,
    held: Mutex<Option<Held>>,
}

struct Held {
    id: Uuid,
    connection: PgConnection,
}

impl Identity {
    pub fn new(options: PgConnectOptions, entropy: Entropy) -> Self {
        Self { options, entropy, held: Mutex::new(None) }
    }

    /// The id under which this worker may write now. The lock was seen to be alive a moment ago.
    pub async fn confirm(&self) -> Result<Uuid, sqlx::Error> {
        let mut held = self.held.lock().await;
        if let Some(current) = held.as_mut() {
            let alive = tokio::time::timeout(CHECK_TIMEOUT, current.connection.execute("select 1")).await;
            if matches!(alive, Ok(Ok(_))) {
                return Ok(current.id);
            }
            tracing::warn!(worker_id = %current.id, "lost the connection that holds the worker's lock; going on under a new id");
            *held = None;
        }
        let id = Uuid::from_bytes(self.entropy.bytes::<16>());
        let mut connection = PgConnection::connect_with(&self.options).await?;
        sqlx::query!("select pg_advisory_lock($1)", lock_key(id)).execute(&mut connection).await?;
        *held = Some(Held { id, connection });
        Ok(id)
    }
}

fn lock_key(worker_id: Uuid) -> i64 {
    let (high, low) = worker_id.as_u64_pair();
    i64::from_ne_bytes((high ^ low).to_ne_bytes())
}

/// Whether the worker of an attempt is certainly gone. The lock is tried for the length of this statement only. `conn` must not
/// be the connection that holds it.
pub async fn is_gone(conn: &mut PgConnection, worker_id: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "free!""#, lock_key(worker_id)).fetch_one(conn).await
}
