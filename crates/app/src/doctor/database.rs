//! The database: that it answers, what stands in it, and whether it gives us what we need of it.

use super::{Finding, Look, Place, key, queue};
use crate::database::{self, Schema};
use crate::error::chain;
use crate::lifecycle::CONNECTIONS;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use std::time::{Duration, Instant};
use time::{OffsetDateTime, format_description};

/// What is left out when it does not answer.
const NEED_IT: [&str; 7] = ["schema", "notifications", "partitions", "connections", "clock", "encryption_key", "queue"];
/// The oldest that its makers still mend.
const OLDEST_VERSION: i32 = 140_000;
const SLOW: Duration = Duration::from_millis(50);
const HEARD_WITHIN: Duration = Duration::from_secs(3);
const CHANNEL: &str = "rejoinder_doctor";
/// Leases, token lifetimes and approvals bear this much.
const SKEW_SEEN: time::Duration = time::Duration::seconds(2);
const SKEW_HARMFUL: time::Duration = time::Duration::seconds(30);

pub(super) async fn check(look: &Look<'_>, place: &Place) -> Vec<Finding> {
    let options = match &place.options {
        Ok(options) => options.clone().application_name("rejoinder doctor"),
        Err(finding) => return without(finding.clone()),
    };
    let reached = look.within("database", reach(&options)).await;
    if reached.state == super::State::Fail {
        return without(reached);
    }
    let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(look.limit).connect_lazy_with(options);
    let (schema, heard, partitions, connections, clock, key, queue) = tokio::join!(
        look.within("schema", told("schema", schema(&pool))),
        look.within("notifications", told("notifications", hears(&pool, &pool))),
        look.within("partitions", told("partitions", partitions(&pool, look.clock.now()))),
        look.within("connections", told("connections", connections(&pool))),
        look.within("clock", told("clock", clock(&pool, look))),
        look.within("encryption_key", told("encryption_key", key::check(&pool, look.config))),
        look.within("queue", told("queue", queue::check(&pool, look.clock.now()))),
    );
    pool.close().await;
    vec![reached, schema, heard, partitions, connections, clock, key, queue]
}

fn without(finding: Finding) -> Vec<Finding> {
    std::iter::once(finding).chain(NEED_IT.map(Finding::skip)).collect()
}

async fn told(check: &'static str, work: impl Future<Output = Result<Finding, sqlx::Error>>) -> Finding {
    work.await.unwrap_or_else(|error| {
        Finding::fail(check, format!("The database refused the question: {}.", chain(&error)), "Look at its log.")
    })
}

async fn reach(options: &PgConnectOptions) -> Finding {
    match answers(options).await {
        Ok(finding) => finding,
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
            let todo = match code.as_str() {
                "28P01" | "28000" => "Check the user and the password in DATABASE_URL.",
                "3D000" => "Make the database, or mend its name in DATABASE_URL.",
                "53300" => "All connections are taken: raise max_connections, or stop what holds them.",
                "57P03" => "It is starting or recovering; try again in a moment.",
                _ => "Check DATABASE_URL, that the server runs, and that it listens for this machine.",
            };
            Finding::fail("database", format!("The database cannot be reached: {}.", chain(&error)), todo)
        }
    }
}

async fn answers(options: &PgConnectOptions) -> Result<Finding, sqlx::Error> {
    let mut conn = PgConnection::connect_with(options).await?;
    let (version, number): (String, i32) =
        sqlx::query_as("select current_setting('server_version'), current_setting('server_version_num')::integer")
            .fetch_one(&mut conn)
            .await?;
    let mut quickest = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        conn.ping().await?;
        quickest = quickest.min(began.elapsed());
    }
    conn.close().await?;
    let text = format!("PostgreSQL {version} answers in {:.1} ms.", quickest.as_secs_f64() * 1000.0);
    Ok(if number < OLDEST_VERSION {
        Finding::warn("database", text, "Its version gets no repairs any more; move to 14 or later.")
    } else if quickest > SLOW {
        Finding::warn("database", text, "Every request waits for it several times: bring server and database closer.")
    } else {
        Finding::ok("database", text)
    })
}

async fn schema(pool: &PgPool) -> Result<Finding, sqlx::Error> {
    let check = "schema";
    let Schema { known, pending, unknown, broken, allowed, needed, queue } =
        database::schema(&mut *pool.acquire().await?).await?;
    let newer = "Start the newer version; it was here before.";
    let migrate = "The next start applies what is missing; `rejoinder migrate` does only that.";
    Ok(if let Some(needed) = needed {
        let text = format!("The database asks for a newer Rejoinder (schema {needed}): this one does not start on it.");
        Finding::fail(check, text, newer)
    } else if let Some(first) = unknown.first().filter(|_| !allowed) {
        let text = format!(
            "The database has the migration {first}, which this Rejoinder does not know: it does not start on it."
        );
        Finding::fail(check, text, newer)
    } else if let Some(first) = broken.first() {
        let text = format!("The migration {first} ended half-way, or stands there in other words than ours.");
        Finding::fail(check, text, "Restore the database from before it, then start this version.")
    } else if pending == known {
        Finding::warn(check, "The database is empty.", migrate)
    } else if pending > 0 || !queue {
        let what = if pending > 0 {
            format!("{pending} of {known} migrations are")
        } else {
            "The queue's tables are".to_owned()
        };
        Finding::warn(check, format!("{what} missing."), migrate)
    } else if let Some(first) = unknown.first() {
        let text =
            format!("The database has the migration {first} of a newer Rejoinder, which lets this one work with it.");
        Finding::warn(check, text, "Go on with the newer version when you can.")
    } else {
        Finding::ok(check, format!("All {known} migrations are applied."))
    })
}

/// Whether what is said on one connection is heard on another: workers and live pages wait for it.
pub async fn hears(listening: &PgPool, speaking: &PgPool) -> Result<Finding, sqlx::Error> {
    let mut listener = PgListener::connect_with(listening).await?;
    listener.listen(CHANNEL).await?;
    let word = std::process::id().to_string();
    sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(&word).execute(speaking).await?;
    let heard = tokio::time::timeout(HEARD_WITHIN, async {
        while listener.recv().await?.payload() != word {}
        Ok::<_, sqlx::Error>(())
    });
    Ok(match heard.await {
        Ok(heard) => heard.map(|()| Finding::ok("notifications", "LISTEN and NOTIFY work."))?,
        Err(_) => Finding::fail(
            "notifications",
            "A NOTIFY was not heard: jobs would start late and pages would stand still.",
            "A pooler between needs session mode (PgBouncer: pool_mode = session), or DATABASE_URL leads past it.",
        ),
    })
}

async fn partitions(pool: &PgPool, now: OffsetDateTime) -> Result<Finding, sqlx::Error> {
    let check = "partitions";
    let there: bool = sqlx::query_scalar("select to_regclass('activity_logs') is not null").fetch_one(pool).await?;
    if !there {
        return Ok(Finding::ok(check, "The log is not there yet; the first start makes it."));
    }
    let (ahead, strays): (i64, bool) = sqlx::query_as(
        "select (select count(*) from generate_series(0, 3) as ahead
                 where to_regclass('activity_logs_' || to_char($1 + make_interval(months => ahead), 'YYYYMM')) is not null),
                exists (select 1 from activity_logs_default)",
    )
    .bind(now.date())
    .fetch_one(pool)
    .await?;
    let todo = "A server with the role scheduler makes them every hour; is one running?";
    Ok(match (ahead, strays) {
        (_, true) => {
            let text = "Entries of the log stand in activity_logs_default: no month was prepared for them, and retention does not reach them.";
            Finding::fail(check, text, "Move them to a partition of their month, then keep a scheduler running.")
        }
        (0 | 1, false) => Finding::warn(check, "The log has no partition for next month.", todo),
        (months, false) => {
            Finding::ok(check, format!("The log has partitions for this month and {} more.", months - 1))
        }
    })
}

async fn connections(pool: &PgPool) -> Result<Finding, sqlx::Error> {
    let check = "connections";
    let most: i32 = sqlx::query_scalar(
        "select least(current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
                      nullif(d.datconnlimit, -1), nullif(r.rolconnlimit, -1))
         from pg_database d, pg_roles r
         where d.datname = current_database() and r.rolname = current_user",
    )
    .fetch_one(pool)
    .await?;
    let most = u32::try_from(most).unwrap_or(0);
    let todo = "Raise max_connections (or the limit of the role or database), or put a pooler in session mode between.";
    let text = format!("The database gives {most} connections; a process of ours takes up to {CONNECTIONS}.");
    Ok(match most / CONNECTIONS {
        0 => Finding::fail(check, text, todo),
        1 => Finding::warn(check, format!("{text} A second one beside it, as during an update, would not fit."), todo),
        _ => Finding::ok(check, text),
    })
}

async fn clock(pool: &PgPool, look: &Look<'_>) -> Result<Finding, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let before = look.clock.now();
    // The one place that wants to know what the database thinks of the time.
    let theirs: OffsetDateTime = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *conn).await?;
    let passed: time::Duration = look.clock.now() - before;
    let ours: OffsetDateTime = before + passed / 2;
    let skew: time::Duration = theirs - ours;
    let text = || {
        let way = if skew.is_positive() { "ahead of" } else { "behind" };
        format!("The database's clock is {:.1} s {way} ours.", skew.abs().as_seconds_f64())
    };
    let todo = "Keep both machines on time with chrony or systemd-timesyncd.";
    Ok(if skew.abs() > SKEW_HARMFUL {
        Finding::fail("clock", text(), todo)
    } else if skew.abs() > SKEW_SEEN {
        Finding::warn("clock", text(), todo)
    } else {
        let form = format_description::well_known::Rfc3339;
        let now = ours.replace_nanosecond(0).ok().and_then(|now| now.format(&form).ok()).unwrap_or_default();
        Finding::ok("clock", format!("It is {now}, here and in the database."))
    })
}
