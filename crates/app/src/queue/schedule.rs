//! The scheduler: any number may run. The job row of the next moment is the only memory: it is added while none with
//! its key waits or runs, so two schedulers cannot add two, and one that was due while all was down runs once after.

use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;

use super::QueueError;
use super::enqueue::add_if_absent;
use super::registry::Registry;

/// Adds the next job of every schedule that has none; gives how many it added.
pub async fn schedule_due<S>(registry: &Registry<S>, pool: &PgPool, now: OffsetDateTime) -> Result<u64, QueueError>
where
    S: Clone + Send + Sync + 'static,
{
    let keys: Vec<&str> = registry.schedules.iter().map(|schedule| schedule.key.as_str()).collect();
    let present: Vec<(String,)> = sqlx::query_as(
        "select key from graphile_worker._private_jobs
         where key = any($1) and (locked_at is not null or attempts < max_attempts)",
    )
    .bind(&keys)
    .fetch_all(pool)
    .await?;
    let mut added = 0;
    for schedule in &registry.schedules {
        if present.iter().any(|(key,)| *key == schedule.key) {
            continue;
        }
        let mut tx = pool.begin().await?;
        let new = add_if_absent(&mut tx, &schedule.spec, next_moment(now, schedule.period)).await?;
        tx.commit().await?;
        added += u64::from(new.is_some());
    }
    Ok(added)
}

/// The first multiple of `period` since the epoch that lies after `now`.
fn next_moment(now: OffsetDateTime, period: Duration) -> OffsetDateTime {
    let period_secs = i64::try_from(period.as_secs()).unwrap_or(i64::MAX).max(1);
    let passed_secs = now.unix_timestamp().rem_euclid(period_secs);
    let start_of_second = now.replace_nanosecond(0).unwrap_or(now);
    start_of_second + time::Duration::seconds(period_secs - passed_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn schedules_fall_on_the_same_moments_everywhere() {
        let minute = Duration::from_secs(60);
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(next_moment(datetime!(2026-03-01 12:00:59.9 UTC), minute), datetime!(2026-03-01 12:01 UTC));
        assert_eq!(next_moment(datetime!(2026-03-01 12:01 UTC), minute), datetime!(2026-03-01 12:02 UTC));
        assert_eq!(next_moment(datetime!(2026-03-01 12:01 +02:00), day), datetime!(2026-03-02 0:00 UTC));
    }
}
