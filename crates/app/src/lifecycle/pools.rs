//! How connections to the database are set up and kept: those of everybody, and a few for statements on many rows at once.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A connection that was used a moment ago is not asked whether it lives: that costs as much as most statements.
const MAY_BE_DEAD: Duration = Duration::from_secs(1);

/// What holds for statements on arrays: planned for the arrays of one call they would be planned anew for each, and each looks its few
/// rows up by an index. Other ways read whole tables, and look cheap only by the statistics of a table that was as good as empty.
pub const BATCH_OPTIONS: [(&str, &str); 3] =
    [("plan_cache_mode", "force_generic_plan"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];
/// Of two indexes of an empty table no plan can tell the better one. So none is kept for ever, whatever has become of the table.
const ROUNDS_PER_PLAN: u64 = 64;

pub(super) fn for_ours(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("rejoinder").options([
        // A process that is stopped inside a transaction must not hold its locks for ever.
        ("idle_in_transaction_session_timeout", "30s"),
        // Every query has its index. A plan that was made while a table was empty would read all of it when it is full.
        ("enable_seqscan", "off"),
        // Where a statement of the queue has no index, its price says that everything is worth trying: compiling it, or more processes.
        ("jit", "off"),
        ("max_parallel_workers_per_gather", "0"),
    ])
}

/// `ours`: options that were set up for us.
pub(super) fn for_batches(ours: &PgConnectOptions) -> PgConnectOptions {
    ours.clone().options(BATCH_OPTIONS)
}

pub(super) fn shared(max_connections: u32) -> PgPoolOptions {
    kept(max_connections).before_acquire(|connection, meta| {
        Box::pin(async move {
            if meta.idle_for > MAY_BE_DEAD {
                connection.ping().await?;
            }
            Ok(true)
        })
    })
}

pub(super) fn batch(max_connections: u32) -> PgPoolOptions {
    let rounds = Arc::new(AtomicU64::new(0));
    kept(max_connections).before_acquire(move |connection, meta| {
        let plans_anew = rounds.fetch_add(1, Ordering::Relaxed) % ROUNDS_PER_PLAN == ROUNDS_PER_PLAN - 1;
        Box::pin(async move {
            if plans_anew {
                connection.execute("discard plans").await?;
            } else if meta.idle_for > MAY_BE_DEAD {
                connection.ping().await?;
            }
            Ok(true)
        })
    })
}

fn kept(max_connections: u32) -> PgPoolOptions {
    let pool = PgPoolOptions::new().max_connections(max_connections).acquire_timeout(ACQUIRE_TIMEOUT);
    pool.idle_timeout(IDLE_TIMEOUT).test_before_acquire(false)
}
