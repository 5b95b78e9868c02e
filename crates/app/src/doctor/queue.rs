//! Whether work gets done: how long the oldest job has been due, and who is there to take it.

use super::Finding;
use crate::jobs;
use crate::queue::{self, QueueError};
use sqlx::PgPool;
use std::time::Duration;
use time::OffsetDateTime;

const CHECK: &str = "queue";
/// A job that is due is taken within a second.
const LATE: Duration = Duration::from_secs(60);
const STUCK: Duration = Duration::from_secs(600);

pub(super) async fn check(pool: &PgPool, now: OffsetDateTime) -> Result<Finding, sqlx::Error> {
    let there: bool =
        sqlx::query_scalar("select to_regclass('graphile_worker._private_jobs') is not null").fetch_one(pool).await?;
    if !there {
        return Ok(Finding::ok(CHECK, "The queue is not there yet; the first start makes it."));
    }
    let depths = match queue::depth(&jobs::registry(), pool, now).await {
        Ok(depths) => depths,
        Err(QueueError::Database(error)) => return Err(error),
        Err(error) => return Ok(Finding::fail(CHECK, format!("{error}."), "Look at the database's log.")),
    };
    let alive = queue::alive(&mut *pool.acquire().await?).await?;
    let ready: u64 = depths.iter().map(|depth| depth.ready).sum();
    let failed: u64 = depths.iter().map(|depth| depth.failed).sum();
    let oldest = depths.iter().filter_map(|depth| depth.oldest_ready).max().unwrap_or_default();
    let workers = match alive {
        0 => "no worker is alive".to_owned(),
        1 => "1 worker is alive".to_owned(),
        n => format!("{n} workers are alive"),
    };
    let due = if ready == 1 { "1 job is".to_owned() } else { format!("{ready} jobs are") };
    let failures = if failed > 0 {
        format!(" {failed} ended as failed and stay for a while to be looked at.")
    } else {
        String::new()
    };
    if oldest < LATE {
        return Ok(Finding::ok(CHECK, format!("{due} due and {workers}.{failures}")));
    }
    let text = format!("{due} due, the oldest for {}, and {workers}.{failures}", told(oldest));
    let todo = if alive == 0 {
        "Start a server with the role worker."
    } else {
        "Look at the log of the workers: they may wait for a platform or the AI service, or be too few."
    };
    Ok(if oldest >= STUCK { Finding::fail(CHECK, text, todo) } else { Finding::warn(CHECK, text, todo) })
}

fn told(age: Duration) -> String {
    match age.as_secs() {
        secs @ 0..120 => format!("{secs} s"),
        secs @ 120..7_200 => format!("{} min", secs / 60),
        secs => format!("{} h", secs / 3600),
    }
}
