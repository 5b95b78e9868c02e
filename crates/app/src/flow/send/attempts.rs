//! Attempt rows and reply slots: what was tried, by whom, and who may write where.

use crate::clock::Moment;
use crate::flow::suggestion::Suggestion;
use crate::model::Outcome;
use rejoinder_platforms::Exchange;
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// One attempt to post, as the story of a suggestion shows it.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub id: Uuid,
    pub suggestion_id: Uuid,
    pub number: i32,
    pub worker_id: Uuid,
    pub armed_at: OffsetDateTime,
    pub outcome: String,
    pub reason: Option<String>,
    pub status: Option<i16>,
    pub request: Value,
    pub answer: Value,
    pub platform_reply_id: Option<String>,
    pub absent_reads: i32,
    pub last_read_at: Option<OffsetDateTime>,
    pub finished_at: Option<OffsetDateTime>,
}

/// Oldest first.
pub async fn list(conn: &mut PgConnection, team_id: Uuid, suggestion_id: Uuid) -> Result<Vec<Attempt>, sqlx::Error> {
    sqlx::query_as!(
        Attempt,
        "select id, suggestion_id, number, worker_id, armed_at, outcome, reason, status, request, answer, platform_reply_id, absent_reads,
                last_read_at, finished_at
         from send_attempts where suggestion_id = $1 and team_id = $2 order by number",
        suggestion_id,
        team_id,
    )
    .fetch_all(conn)
    .await
}

/// The attempt whose outcome nobody knows, if there is one.
pub(super) async fn open(conn: &mut PgConnection, suggestion_id: Uuid) -> Result<Option<Attempt>, sqlx::Error> {
    sqlx::query_as!(
        Attempt,
        "select id, suggestion_id, number, worker_id, armed_at, outcome, reason, status, request, answer, platform_reply_id, absent_reads,
                last_read_at, finished_at
         from send_attempts where suggestion_id = $1 and outcome = 'uncertain'",
        suggestion_id,
    )
    .fetch_optional(conn)
    .await
}

/// Takes the right to reply to the target with this account; false when another suggestion has it.
pub(super) async fn take_slot(
    conn: &mut PgConnection,
    moment: &Moment,
    platform: &str,
    account_id: &str,
    suggestion: &Suggestion,
) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query!(
        "insert into reply_slots (platform, account_id, target_platform_id, suggestion_id, taken_at) values ($1, $2, $3, $4, $5)
         on conflict on constraint reply_slots_pkey do update set taken_at = reply_slots.taken_at
             where reply_slots.suggestion_id = excluded.suggestion_id",
        platform,
        account_id,
        suggestion.target.platform_id,
        suggestion.id,
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Gives the right back: nothing of ours stands there.
pub(super) async fn release_slot(conn: &mut PgConnection, suggestion_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from reply_slots where suggestion_id = $1", suggestion_id).execute(conn).await?;
    Ok(())
}

/// Writes the attempt before the call. From here on the outcome is unknown until it is settled.
pub(super) async fn insert(
    conn: &mut PgConnection,
    moment: &Moment,
    suggestion: &Suggestion,
    worker_id: Uuid,
) -> Result<(Uuid, i32), sqlx::Error> {
    let id = moment.id();
    let number = sqlx::query_scalar!(
        r#"insert into send_attempts (id, team_id, suggestion_id, number, worker_id, armed_at, outcome)
           select $1, $2, $3, coalesce(max(number), 0) + 1, $4, $5, 'uncertain' from send_attempts where suggestion_id = $3
           returning number"#,
        id,
        suggestion.team_id,
        suggestion.id,
        worker_id,
        moment.now,
    )
    .fetch_one(conn)
    .await?;
    Ok((id, number))
}

/// What became of an attempt.
pub(super) struct Settled<'a> {
    pub outcome: Outcome,
    pub reason: Option<&'a str>,
    pub exchange: Option<&'a Exchange>,
    pub platform_reply_id: Option<&'a str>,
}

/// Settles an open attempt; false when somebody settled it before.
pub(super) async fn settle(
    conn: &mut PgConnection,
    moment: &Moment,
    attempt_id: Uuid,
    settled: &Settled<'_>,
) -> Result<bool, sqlx::Error> {
    let empty = Exchange::default();
    let exchange = settled.exchange.unwrap_or(&empty);
    let known = settled.exchange.is_some();
    let done = sqlx::query!(
        "update send_attempts
         set outcome = $2, reason = $3, status = coalesce($4, status), request = case when $5 then $6 else request end,
             answer = case when $5 then $7 else answer end, platform_reply_id = $8,
             finished_at = case when $2 = 'uncertain' then finished_at else $9 end
         where id = $1 and outcome = 'uncertain'",
        attempt_id,
        settled.outcome.as_str(),
        settled.reason,
        exchange.status.and_then(|status| i16::try_from(status).ok()),
        known,
        exchange.request,
        exchange.answer,
        settled.platform_reply_id,
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How many of the latest attempts ended with a refused token, without another outcome between them.
pub(super) async fn refused_tokens_in_a_row(conn: &mut PgConnection, suggestion_id: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "n!" from send_attempts a
           where a.suggestion_id = $1 and a.status = 401
             and a.number > coalesce((select max(number) from send_attempts
                                      where suggestion_id = $1 and outcome <> 'uncertain' and status is distinct from 401), 0)"#,
        suggestion_id,
    )
    .fetch_one(conn)
    .await
}

/// One more reading that did not find the reply. Returns how many there are now.
pub(super) async fn count_absent(
    conn: &mut PgConnection,
    moment: &Moment,
    attempt_id: Uuid,
) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(
        "update send_attempts set absent_reads = absent_reads + 1, last_read_at = $2 where id = $1 returning absent_reads",
        attempt_id,
        moment.now,
    )
    .fetch_one(conn)
    .await
}
