//! SQL of webhook events. One statement per batch, whatever its size.

use crate::clock::Moment;
use rejoinder_platforms::{KnownPosts, Pushed};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use std::collections::HashSet;
use time::{Duration, OffsetDateTime};
use url::Url;
use uuid::Uuid;

/// How long an event waits for its account to be connected.
const ADOPTED_FOR: Duration = Duration::DAY;
/// Rows that nobody will work keep what strangers wrote no longer than this.
const UNREADABLE_FOR: Duration = Duration::days(30);
const LONGEST_REASON: usize = 300;

/// Whom a batch was about, and what of it cannot be worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub integration_id: Option<Uuid>,
    pub team_id: Option<Uuid>,
    pub problem: Option<String>,
}

#[derive(Default)]
struct Columns {
    id: Vec<Uuid>,
    account_id: Vec<Option<String>>,
    kind: Vec<String>,
    key: Vec<String>,
    payload: Vec<String>,
    sent_at: Vec<Option<OffsetDateTime>>,
    problem: Vec<Option<String>>,
}

/// The same for every repetition of a change that has no name.
fn key_of(pushed: &Pushed) -> String {
    pushed.key.clone().unwrap_or_else(|| {
        let hash: String = Sha256::digest(pushed.payload.as_bytes())[..16].iter().map(|b| format!("{b:02x}")).collect();
        format!("unreadable:{hash}")
    })
}

/// Stores what was not seen before, assigned to the account that each change names. Returns each account once, and each problem.
pub async fn keep(
    conn: &mut PgConnection,
    moment: &Moment,
    platform: &str,
    events: &[Pushed],
) -> Result<Vec<Told>, sqlx::Error> {
    let mut columns = Columns::default();
    let mut seen = HashSet::new();
    for event in events {
        let key = key_of(event);
        if !seen.insert(key.clone()) {
            continue;
        }
        columns.id.push(moment.id());
        columns.account_id.push(event.account_id.clone());
        columns.kind.push(event.kind.to_owned());
        columns.key.push(key);
        columns.payload.push(event.payload.clone());
        columns.sent_at.push(event.sent_at);
        columns.problem.push(event.problem.as_deref().map(|why| why.chars().take(LONGEST_REASON).collect()));
    }
    if columns.id.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as!(
        Told,
        r#"with pushed as materialized (
               select *
               from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::text[])
                   as pushed (id, account_id, kind, key, payload, sent_at, problem)
           ), fresh as (
               insert into webhook_seen (platform, key, received_at)
               -- Two batches that overlap take the rows in the same order.
               select $1::text, key, $2::timestamptz from pushed order by key
               on conflict on constraint webhook_seen_pkey do nothing
               returning key
           ), owned as materialized (
               select pushed.*, i.id as integration_id, i.team_id
               from pushed
               join fresh on fresh.key = pushed.key
               left join integrations i
                   on i.platform = $1 and i.platform_account_id = pushed.account_id and i.state <> 'disconnected'
           ), stored as (
               insert into webhook_events (id, integration_id, platform, platform_account_id, event_type, raw_payload, verified,
                   received_at, sent_at, parse_error, processed_at, outcome)
               select id, integration_id, $1::text, account_id, kind, payload::json, true, $2::timestamptz, sent_at, problem,
                      case when problem is not null then $2::timestamptz end, case when problem is not null then 'unreadable' end
               from owned
           )
           select distinct integration_id as "integration_id?", team_id as "team_id?", problem as "problem?"
           from owned
           where integration_id is not null or problem is not null"#,
        platform,
        moment.now,
        &columns.id,
        &columns.account_id as &[Option<String>],
        &columns.kind,
        &columns.key,
        &columns.payload,
        &columns.sent_at as &[Option<OffsetDateTime>],
        &columns.problem as &[Option<String>],
    )
    .fetch_all(conn)
    .await
}

/// Teams with a live account of a platform, and one account of each: they are told what belongs to nobody.
pub async fn teams_of(conn: &mut PgConnection, platform: &str) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let rows = sqlx::query!(
        "select distinct on (team_id) team_id, id from integrations
         where platform = $1 and state <> 'disconnected' order by team_id, id limit 50",
        platform,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.team_id, row.id)).collect())
}

/// An event that waits to be worked.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub id: Uuid,
    pub received_at: OffsetDateTime,
    pub payload: String,
}

/// Oldest first.
pub async fn waiting(conn: &mut PgConnection, integration_id: Uuid, limit: i64) -> Result<Vec<Waiting>, sqlx::Error> {
    sqlx::query_as!(
        Waiting,
        r#"select id, received_at, raw_payload::text as "payload!" from webhook_events
           where integration_id = $1 and processed_at is null
           order by received_at, id
           limit $2"#,
        integration_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Accounts with events that have waited since before `since`.
pub async fn left_waiting(
    conn: &mut PgConnection,
    since: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select distinct integration_id as "id!" from webhook_events
           where processed_at is null and integration_id is not null and received_at < $1 limit $2"#,
        since,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// An event that was worked, and what is kept of it.
#[derive(Debug, Clone)]
pub struct Done {
    pub id: Uuid,
    pub received_at: OffsetDateTime,
    pub outcome: String,
    pub payload: String,
}

pub async fn done(conn: &mut PgConnection, moment: &Moment, events: &[Done]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update webhook_events e
         set processed_at = $1, outcome = row.outcome, raw_payload = row.payload::json
         from unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::text[]) as row (id, received_at, outcome, payload)
         where e.id = row.id and e.received_at = row.received_at",
        moment.now,
        &events.iter().map(|event| event.id).collect::<Vec<_>>(),
        &events.iter().map(|event| event.received_at).collect::<Vec<_>>(),
        &events.iter().map(|event| event.outcome.clone()).collect::<Vec<_>>(),
        &events.iter().map(|event| event.payload.clone()).collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The events of the last day that no account claimed become this account's.
pub async fn adopt(
    conn: &mut PgConnection,
    moment: &Moment,
    integration_id: Uuid,
    platform: &str,
    account_id: &str,
) -> Result<u64, sqlx::Error> {
    let adopted = sqlx::query!(
        "update webhook_events set integration_id = $1
         where platform = $2 and platform_account_id = $3 and integration_id is null and processed_at is null and received_at >= $4",
        integration_id,
        platform,
        account_id,
        moment.now - ADOPTED_FOR,
    )
    .execute(conn)
    .await?;
    Ok(adopted.rows_affected())
}

/// Of these things of the platform, those that we sent ourselves.
pub async fn sent_by_us(
    conn: &mut PgConnection,
    (team_id, integration_id): (Uuid, Uuid),
    ids: &[String],
) -> Result<HashSet<String>, sqlx::Error> {
    let sent = sqlx::query_scalar!(
        r#"select platform_reply_id as "id!" from suggestions
           where team_id = $1 and integration_id = $2 and platform_reply_id = any($3)"#,
        team_id,
        integration_id,
        ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(sent.into_iter().collect())
}

/// Of these comments, those that are stored and are gone on the platform.
pub async fn gone(
    conn: &mut PgConnection,
    (team_id, integration_id): (Uuid, Uuid),
    ids: &[String],
) -> Result<HashSet<String>, sqlx::Error> {
    let gone = sqlx::query_scalar!(
        "select platform_comment_id from comments
         where team_id = $1 and integration_id = $2 and platform_comment_id = any($3) and deleted_at is not null",
        team_id,
        integration_id,
        ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(gone.into_iter().collect())
}

/// Of these posts, those that are stored, with their addresses.
pub async fn known_posts(
    conn: &mut PgConnection,
    (team_id, integration_id): (Uuid, Uuid),
    ids: &[String],
) -> Result<KnownPosts, sqlx::Error> {
    let known = sqlx::query!(
        "select platform_post_id, permalink from posts where team_id = $1 and integration_id = $2 and platform_post_id = any($3)",
        team_id,
        integration_id,
        ids,
    )
    .fetch_all(conn)
    .await?;
    let address = |text: Option<String>| text.and_then(|text| Url::parse(&text).ok());
    Ok(known.into_iter().map(|row| (row.platform_post_id, address(row.permalink))).collect())
}

/// What waits to be worked for these accounts is dropped: their owner wants it deleted.
pub async fn forget_accounts(
    conn: &mut PgConnection,
    platform: &str,
    integrations: &[Uuid],
    account_ids: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from webhook_events
         where platform = $1 and processed_at is null and (integration_id = any($2) or platform_account_id = any($3))",
        platform,
        integrations,
        account_ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes the partitions of this month and the next three.
pub async fn prepare_months(conn: &mut PgConnection, moment: &Moment) -> Result<(), sqlx::Error> {
    sqlx::query!("select webhook_events_prepare_months($1, 3)", moment.now.date()).fetch_one(conn).await?;
    Ok(())
}

/// Upkeep: what no account claimed in time goes, and so does what could not be read. At most `limit` rows; returns how many.
pub async fn forget_old(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!(
        "delete from webhook_events
         where (id, received_at) in (
             select id, received_at from webhook_events
             where received_at < $1 and processed_at is null and integration_id is null
             union all
             select id, received_at from webhook_events where received_at < $2
             limit $3
         )",
        now - ADOPTED_FOR,
        now - UNREADABLE_FOR,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(gone.rows_affected())
}
