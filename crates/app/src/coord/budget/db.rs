//! The rows of the budgets. A change is one conditional statement on the version that was read last; who lost a race reads
//! the row under a lock.

use super::window::{Tally, Window};
use super::{Key, Urgency};
use rejoinder_platforms::Host;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use time::OffsetDateTime;

/// The row as it was read or written last.
#[derive(Debug, Clone)]
pub(super) struct Row {
    version: i64,
    window: Window,
}

pub(super) struct Ask {
    pub urgency: Urgency,
    pub want: u32,
}

/// Permits, or how long to wait.
pub(super) type Taken = Result<Given, Duration>;

#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub window: i64,
    pub ends_at: OffsetDateTime,
    pub count: u32,
}

/// Applies what was heard, then takes what is asked for. `known` is what this process wrote last.
pub(super) async fn exchange(
    pool: &PgPool,
    key: &Key,
    host: Host,
    known: &mut Option<Row>,
    tallies: &[Tally],
    ask: Option<&Ask>,
    now: OffsetDateTime,
) -> Result<Taken, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    if let Some(row) = known.take() {
        let (window, taken) = change(row.window.clone(), tallies, ask, now);
        if window == row.window {
            // Nothing to write: a refusal, which another process may have made untrue meanwhile.
            if taken.is_ok() {
                *known = Some(row);
                return Ok(taken);
            }
        } else if write(&mut conn, key, host, row.version, &window, now).await? {
            *known = Some(Row { version: row.version + 1, window });
            return Ok(taken);
        }
    }
    drop(conn);
    let mut tx = pool.begin().await?;
    let row = lock(&mut tx, key, host, now).await?;
    let (window, taken) = change(row.window, tallies, ask, now);
    write(&mut tx, key, host, row.version, &window, now).await?;
    tx.commit().await?;
    *known = Some(Row { version: row.version + 1, window });
    Ok(taken)
}

fn change(mut window: Window, tallies: &[Tally], ask: Option<&Ask>, now: OffsetDateTime) -> (Window, Taken) {
    for tally in tallies {
        window.apply(tally, now);
    }
    let taken = ask.map_or(Ok(0), |ask| window.take(ask.urgency, ask.want, now));
    let taken = taken.map(|count| Given { window: window.number, ends_at: window.ends_at, count });
    (window, taken)
}

async fn write(
    conn: &mut PgConnection,
    key: &Key,
    host: Host,
    version: i64,
    window: &Window,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update request_budgets
         set version = $4 + 1, number = $5, requests_limit = $6, remaining = $7, outstanding = $8, ends_at = $9, assumed = $10,
             closed_until = $11, updated_at = $12, overlap = $13, carried = $14
         where platform = $1 and client_id = $2 and host = $3 and version = $4",
        key.platform,
        key.client_id,
        host.as_str(),
        version,
        window.number,
        window.limit,
        window.remaining,
        window.outstanding,
        window.ends_at,
        window.assumed,
        window.closed_until,
        now,
        window.overlap,
        window.carried,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The row, held to the end of the transaction; made where there is none.
async fn lock(conn: &mut PgConnection, key: &Key, host: Host, now: OffsetDateTime) -> Result<Row, sqlx::Error> {
    let fresh = Window::unknown(host, now);
    sqlx::query!(
        "insert into request_budgets (platform, client_id, host, version, number, requests_limit, remaining, outstanding, ends_at,
             assumed, updated_at)
         values ($1, $2, $3, 0, $4, $5, $6, 0, $7, true, $8)
         on conflict do nothing",
        key.platform,
        key.client_id,
        host.as_str(),
        fresh.number,
        fresh.limit,
        fresh.remaining,
        fresh.ends_at,
        now,
    )
    .execute(&mut *conn)
    .await?;
    let row = sqlx::query!(
        "select version, number, requests_limit, remaining, outstanding, ends_at, assumed, closed_until, overlap, carried
         from request_budgets where platform = $1 and client_id = $2 and host = $3 for update",
        key.platform,
        key.client_id,
        host.as_str(),
    )
    .fetch_one(conn)
    .await?;
    let window = Window {
        number: row.number,
        limit: row.requests_limit,
        remaining: row.remaining,
        outstanding: row.outstanding,
        ends_at: row.ends_at,
        assumed: row.assumed,
        closed_until: row.closed_until,
        overlap: row.overlap,
        carried: row.carried,
    };
    Ok(Row { version: row.version, window })
}
