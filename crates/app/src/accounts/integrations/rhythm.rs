//! When an account is read next, and when what is stored of it is looked up: the columns of rounds and sweeps.

use super::Integration;
use crate::clock::Moment;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How an account was read so far.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// When the round was due by its own rhythm.
    pub due_at: Option<OffsetDateTime>,
    pub last_heard_at: Option<OffsetDateTime>,
    /// Requests of a round.
    pub cost: f32,
    /// When the account's own posts are listed next. None: they never were.
    pub list_at: Option<OffsetDateTime>,
}

pub async fn rhythm(conn: &mut PgConnection, integration: &Integration) -> Result<Rhythm, sqlx::Error> {
    sqlx::query_as!(
        Rhythm,
        "select poll_due_at as due_at, last_heard_at, poll_cost as cost, list_at from integrations where id = $1 and team_id = $2",
        integration.id,
        integration.team_id,
    )
    .fetch_one(conn)
    .await
}

/// What a round showed of the account.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    pub due_at: OffsetDateTime,
    pub wanted: Duration,
    pub interval: Duration,
    pub cost: f32,
    pub last_heard_at: Option<OffsetDateTime>,
}

pub async fn rounded(conn: &mut PgConnection, integration: &Integration, round: Round) -> Result<(), sqlx::Error> {
    let secs = |time: Duration| i32::try_from(time.whole_seconds()).unwrap_or(i32::MAX);
    sqlx::query!(
        "update integrations
         set poll_due_at = $3, poll_wanted_secs = $4, poll_interval_secs = $5, poll_cost = $6, last_heard_at = $7
         where id = $1 and team_id = $2",
        integration.id,
        integration.team_id,
        round.due_at,
        secs(round.wanted),
        secs(round.interval),
        round.cost,
        round.last_heard_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The account's own posts were listed: when next, and what looking at them takes.
pub async fn listed(
    conn: &mut PgConnection,
    integration: &Integration,
    next_at: OffsetDateTime,
    look_per_sec: f64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update integrations set list_at = $3, look_per_sec = $4 where id = $1 and team_id = $2",
        integration.id,
        integration.team_id,
        next_at,
        look_per_sec as f32,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Their next rounds list their own posts.
pub async fn list_now(conn: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!("update integrations set list_at = null where id = any($1)", ids).execute(conn).await?;
    Ok(())
}

/// How often an account is read, and with how many others it shares its budget.
#[derive(Debug, Clone)]
pub struct Reading {
    pub integration_id: Uuid,
    pub wanted_secs: i32,
    pub interval_secs: i32,
    pub accounts: i32,
}

/// Of each account of the team that has been read. `own`: platforms with the client id of the installation's app.
pub async fn readings(
    conn: &mut PgConnection,
    team_id: Uuid,
    own: &[(&str, &str)],
) -> Result<Vec<Reading>, sqlx::Error> {
    sqlx::query_as!(
        Reading,
        r#"select i.id as integration_id, i.poll_wanted_secs as "wanted_secs!", i.poll_interval_secs as "interval_secs!",
                  coalesce(b.accounts, 1) as "accounts!"
           from integrations i
           left join platform_apps a on a.id = i.app_id
           left join unnest($2::text[], $3::text[]) as own (platform, client_id) on own.platform = i.platform
           left join request_budgets b
               on b.platform = i.platform and b.client_id = coalesce(a.client_id, own.client_id) and b.host = 'api'
           where i.team_id = $1 and i.state in ('connected', 'paused') and i.poll_interval_secs is not null
             and i.poll_wanted_secs is not null"#,
        team_id,
        &own.iter().map(|(platform, _)| (*platform).to_owned()).collect::<Vec<_>>(),
        &own.iter().map(|(_, client)| (*client).to_owned()).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await
}

/// Accounts, whatever their state, whose stored texts are to be looked up.
pub async fn sweeps_due(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("select id from integrations where sweep_at <= $1 order by sweep_at limit $2", now, limit)
        .fetch_all(conn)
        .await
}

/// None: never swept.
pub async fn sweep_due_at(
    conn: &mut PgConnection,
    integration: &Integration,
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    sqlx::query_scalar!(
        "select nullif(sweep_at, '-infinity') from integrations where id = $1 and team_id = $2",
        integration.id,
        integration.team_id,
    )
    .fetch_one(conn)
    .await
}

pub async fn swept(
    conn: &mut PgConnection,
    integration: &Integration,
    next_at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update integrations set sweep_at = $3 where id = $1 and team_id = $2",
        integration.id,
        integration.team_id,
        next_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Since when nearly everything of the account seems gone. Holds the row.
pub async fn sweep_doubt(
    conn: &mut PgConnection,
    integration: &Integration,
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    sqlx::query_scalar!(
        "select sweep_doubt_at from integrations where id = $1 and team_id = $2 for no key update",
        integration.id,
        integration.team_id,
    )
    .fetch_one(conn)
    .await
}

pub async fn doubt_sweep(
    conn: &mut PgConnection,
    integration: &Integration,
    since: Option<OffsetDateTime>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update integrations set sweep_doubt_at = $3 where id = $1 and team_id = $2",
        integration.id,
        integration.team_id,
        since,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Accounts of the team that are not read for this reason are read at once.
pub async fn poll_those_with(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    problem: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update integrations set next_poll_at = least(next_poll_at, $2) where team_id = $1 and last_poll_problem = $3",
        team_id,
        moment.now,
        problem,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which platform each account is of.
pub async fn platforms_of(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!("select id, platform from integrations where id = any($1)", ids).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.platform)).collect())
}
