//! How the accounts that share a budget stretch their rounds: measured once a minute from what their rounds and the looks at
//! their posts cost.

use super::Key;
use crate::flow::ingest::rhythm;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

const MEASURED_EVERY: Duration = Duration::MINUTE;

/// What an account's rounds get.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// How many times longer its intervals are than wanted.
    pub stretch: f64,
    /// Accounts that share the budget.
    pub accounts: i32,
}

pub async fn share_of(conn: &mut PgConnection, key: &Key) -> Result<Share, sqlx::Error> {
    let share = sqlx::query_as!(
        Share,
        "select stretch, accounts from request_budgets where platform = $1 and client_id = $2 and host = 'api'",
        key.platform,
        key.client_id,
    );
    Ok(share.fetch_optional(conn).await?.unwrap_or(Share { stretch: 1.0, accounts: 1 }))
}

/// Measures anew what was not measured for a minute. `own`: the client id of the installation's app, by platform.
pub async fn measure(conn: &mut PgConnection, own: &[(&str, &str)], now: OffsetDateTime) -> Result<(), sqlx::Error> {
    let due = sqlx::query!(
        "select platform, client_id, requests_limit from request_budgets
         where host = 'api' and (measured_at is null or measured_at <= $1)
         order by platform, client_id for no key update skip locked",
        now - MEASURED_EVERY,
    )
    .fetch_all(&mut *conn)
    .await?;
    if due.is_empty() {
        return Ok(());
    }
    let wants = sqlx::query!(
        r#"select i.platform, a.client_id as "client_id?", count(*) as "accounts!",
                  sum(i.poll_cost::float8 / greatest(coalesce(i.poll_wanted_secs, 300), 60)) as "rounds!",
                  sum(i.look_per_sec::float8) as "looks!"
           from integrations i
           left join platform_apps a on a.id = i.app_id
           where i.state in ('connected', 'paused')
           group by i.platform, a.client_id"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut wanted: BTreeMap<(String, String), (i64, f64, f64)> = BTreeMap::new();
    for want in wants {
        let own = own.iter().find(|(platform, _)| *platform == want.platform).map(|(_, client)| (*client).to_owned());
        let Some(client_id) = want.client_id.or(own) else { continue };
        let sum = wanted.entry((want.platform, client_id)).or_default();
        *sum = (sum.0 + want.accounts, sum.1 + want.rounds, sum.2 + want.looks);
    }
    for row in due {
        let key = (row.platform, row.client_id);
        let (accounts, rounds, looks) = wanted.get(&key).copied().unwrap_or_default();
        sqlx::query!(
            "update request_budgets set stretch = $3, accounts = $4, measured_at = $5
             where platform = $1 and client_id = $2 and host = 'api'",
            key.0,
            key.1,
            rhythm::stretch(rounds, looks, row.requests_limit),
            i32::try_from(accounts).unwrap_or(i32::MAX),
            now,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}
