//! Token buckets shared by all processes. A bucket fills lazily: nothing runs between two takes.
//!
//! A take is one statement: it succeeds and writes, or finds too little and writes nothing. A clock that runs behind the last
//! taker's refills nothing and never takes back. A full bucket is as good as none, so upkeep removes the idle.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

/// There is too little in the bucket.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Enough will be there at `until`, if nobody else takes.
    #[error("the limit is reached until {until}")]
    Wait { until: OffsetDateTime },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Takes `cost` tokens from the bucket `key`, which holds at most `capacity` and gains `refill_per_sec`. A cost above the
/// capacity counts as the capacity, else it could never be paid.
pub async fn take(
    conn: &mut PgConnection,
    key: &str,
    cost: f64,
    capacity: f64,
    refill_per_sec: f64,
    now: OffsetDateTime,
) -> Result<(), TakeError> {
    let cost = cost.min(capacity);
    let row = sqlx::query!(
        r#"with taken as (
            insert into rate_buckets as b (key, tokens, refilled_at)
            values ($1, $3::float8 - $2::float8, $5)
            on conflict (key) do update set
                tokens = least($3::float8, b.tokens + greatest(0, extract(epoch from ($5 - b.refilled_at))::float8) * $4::float8)
                    - $2::float8,
                refilled_at = greatest(b.refilled_at, $5)
            where least($3::float8, b.tokens + greatest(0, extract(epoch from ($5 - b.refilled_at))::float8) * $4::float8)
                >= $2::float8
            returning 1
        )
        select exists (select from taken) as "taken!", b.tokens as "tokens?", b.refilled_at as "refilled_at?"
        from (values (1)) one (n)
        left join rate_buckets b on b.key = $1"#,
        key,
        cost,
        capacity,
        refill_per_sec,
        now
    )
    .fetch_one(conn)
    .await?;
    if row.taken {
        return Ok(());
    }
    // The outer select saw the row as it was before the statement began; whoever raced us made it only emptier.
    let from = row.refilled_at.map_or(now, |at| at.max(now));
    let missing = match (row.tokens, row.refilled_at) {
        (Some(tokens), Some(at)) => {
            let gained = (now - at).as_seconds_f64().max(0.0) * refill_per_sec;
            cost - (tokens + gained).min(capacity)
        }
        _ => cost,
    };
    Err(TakeError::Wait { until: from + time_to_gain(missing.max(0.0), cost, refill_per_sec) })
}

/// At least the time of a hundredth of the cost, so that "wait" never means "now".
fn time_to_gain(missing: f64, cost: f64, refill_per_sec: f64) -> Duration {
    const LONGEST: Duration = Duration::days(365);
    let secs = missing.max(cost / 100.0) / refill_per_sec;
    if secs.is_finite() { Duration::seconds_f64(secs.min(LONGEST.as_seconds_f64())) } else { LONGEST }
}

/// Empties the memory of a bucket: it is full again.
pub async fn forget(conn: &mut PgConnection, key: &str) -> sqlx::Result<()> {
    sqlx::query!("delete from rate_buckets where key = $1", key).execute(conn).await?;
    Ok(())
}

/// Removes at most `limit` buckets that nobody took from since `before`, and says how many. `before` must lie so far back that
/// every bucket has filled up since.
pub async fn delete_idle(conn: &mut PgConnection, before: OffsetDateTime, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from rate_buckets
        where key in (
            select key from rate_buckets where refilled_at < $1 order by refilled_at limit $2 for update skip locked
        )",
        before,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_now_and_never_without_end() {
        assert_eq!(time_to_gain(1.0, 1.0, 0.5), Duration::seconds(2));
        assert!(time_to_gain(0.0, 1.0, 1.0) > Duration::ZERO);
        assert_eq!(time_to_gain(1.0, 1.0, 0.0), Duration::days(365));
    }
}
