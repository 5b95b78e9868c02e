//! Attempt rows and reply slots: what was tried, by whom, and who may write where.

use super::reserve::Reserved;
use crate::accounts::integrations::Integration;
use crate::clock::Moment;
use crate::flow::suggestion::Suggestion;
use crate::model::{Outcome, Reach};
use rejoinder_platforms::Exchange;
use serde_json::Value;
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use time::{Date, OffsetDateTime};
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
    /// When the call was over, whatever came of it.
    pub call_ended_at: Option<OffsetDateTime>,
    /// The platform said that it took it: however often it is not found, it is not sent again.
    pub taken: bool,
    /// It said that these words stand there already, while an earlier attempt had ended without an answer.
    pub words_there: bool,
}

macro_rules! select_attempts {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            Attempt,
            "select id, suggestion_id, number, worker_id, armed_at, outcome, reason, status, request, answer, platform_reply_id, absent_reads,
                    last_read_at, finished_at, call_ended_at, taken, words_there
             from send_attempts " + $rest,
            $($args),*
        )
    };
}

/// Oldest first.
pub async fn list(conn: &mut PgConnection, team_id: Uuid, suggestion_id: Uuid) -> Result<Vec<Attempt>, sqlx::Error> {
    select_attempts!("where suggestion_id = $1 and team_id = $2 order by number", suggestion_id, team_id)
        .fetch_all(conn)
        .await
}

/// The attempt whose outcome nobody knows, if there is one.
pub(super) async fn open(conn: &mut PgConnection, suggestion_id: Uuid) -> Result<Option<Attempt>, sqlx::Error> {
    select_attempts!("where suggestion_id = $1 and outcome = 'uncertain'", suggestion_id).fetch_optional(conn).await
}

/// The same of many suggestions.
pub(super) async fn open_of(conn: &mut PgConnection, suggestion_ids: &[Uuid]) -> Result<Vec<Attempt>, sqlx::Error> {
    select_attempts!("where suggestion_id = any($1) and outcome = 'uncertain'", suggestion_ids).fetch_all(conn).await
}

/// Takes the right to reply to each target with its account, all targets being different. Gives those that have it; another
/// suggestion may hold it.
pub(super) async fn take_slots(
    conn: &mut PgConnection,
    moment: &Moment,
    wanted: &[(&Suggestion, &Integration)],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    // In one order for all workers, so that two never wait for each other.
    let mut wanted: Vec<_> = wanted.to_vec();
    wanted.sort_by_key(|(suggestion, account)| (&account.platform_account_id, &suggestion.target.platform_id));
    let taken = sqlx::query_scalar!(
        "insert into reply_slots (platform, account_id, target_platform_id, suggestion_id, taken_at)
         select platform, account_id, target, suggestion_id, $5
         from unnest($1::text[], $2::text[], $3::text[], $4::uuid[]) as slot (platform, account_id, target, suggestion_id)
         on conflict on constraint reply_slots_pkey do update set taken_at = reply_slots.taken_at
             where reply_slots.suggestion_id = excluded.suggestion_id
         returning suggestion_id",
        &wanted.iter().map(|(_, account)| account.platform.as_str()).collect::<Vec<_>>() as &[&str],
        &wanted.iter().map(|(_, account)| account.platform_account_id.as_str()).collect::<Vec<_>>() as &[&str],
        &wanted.iter().map(|(suggestion, _)| suggestion.target.platform_id.as_str()).collect::<Vec<_>>() as &[&str],
        &wanted.iter().map(|(suggestion, _)| suggestion.id).collect::<Vec<_>>(),
        moment.now,
    )
    .fetch_all(conn)
    .await?;
    Ok(taken.into_iter().collect())
}

/// Gives the right back: nothing of ours stands there.
pub(super) async fn release_slot(conn: &mut PgConnection, suggestion_id: Uuid) -> Result<(), sqlx::Error> {
    release_slots(conn, &[suggestion_id]).await
}

pub(super) async fn release_slots(conn: &mut PgConnection, suggestion_ids: &[Uuid]) -> Result<(), sqlx::Error> {
    if suggestion_ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "delete from reply_slots
         where target_platform_id = any(array(select target_platform_id from suggestions where id = any($1))) and suggestion_id = any($1)",
        suggestion_ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An attempt that is about to be made.
pub(super) struct NewAttempt<'a> {
    pub id: Uuid,
    pub suggestion: &'a Suggestion,
    pub place: Reserved,
}

/// Writes attempts before their calls. From here on each outcome is unknown until it is settled. Gives their numbers.
pub(super) async fn insert_all(
    conn: &mut PgConnection,
    moment: &Moment,
    worker_id: Uuid,
    new: &[NewAttempt<'_>],
) -> Result<HashMap<Uuid, i32>, sqlx::Error> {
    if new.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        "insert into send_attempts (id, team_id, suggestion_id, integration_id, number, worker_id, armed_at, outcome, usage_day, instance_day)
         select n.id, n.team_id, n.suggestion_id, n.integration_id,
                (select coalesce(max(a.number), 0) + 1 from send_attempts a where a.suggestion_id = n.suggestion_id),
                $1, $2, 'uncertain', n.usage_day, n.instance_day
         from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::date[], $8::date[])
              as n (id, team_id, suggestion_id, integration_id, usage_day, instance_day)
         returning id, number",
        worker_id,
        moment.now,
        &new.iter().map(|attempt| attempt.id).collect::<Vec<_>>(),
        &new.iter().map(|attempt| attempt.suggestion.team_id).collect::<Vec<_>>(),
        &new.iter().map(|attempt| attempt.suggestion.id).collect::<Vec<_>>(),
        &new.iter().map(|attempt| attempt.suggestion.integration_id).collect::<Vec<_>>(),
        &new.iter().map(|attempt| attempt.place.day).collect::<Vec<_>>(),
        &new.iter().map(|attempt| attempt.place.instance_day).collect::<Vec<_>>() as &[Option<Date>],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.number)).collect())
}

/// What became of an attempt.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub outcome: Outcome,
    pub reason: Option<String>,
    /// Of a failure: how far it reaches.
    pub reach: Option<Reach>,
    pub exchange: Option<Exchange>,
    pub platform_reply_id: Option<String>,
    pub taken: bool,
    pub words_there: bool,
}

impl Settled {
    pub fn of(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            reason: Some(reason.into()),
            reach: None,
            exchange: None,
            platform_reply_id: None,
            taken: false,
            words_there: false,
        }
    }
}

/// An attempt that was settled now: what it had reserved.
pub(super) struct Freed {
    pub attempt_id: Uuid,
    pub usage_day: Option<Date>,
    pub instance_day: Option<Date>,
}

/// Settles open attempts; those that somebody settled before are left out of the answer.
pub(super) async fn settle_all(
    conn: &mut PgConnection,
    moment: &Moment,
    settled: &[(Uuid, &Settled)],
) -> Result<Vec<Freed>, sqlx::Error> {
    let exchange = |settled: &Settled| settled.exchange.clone().unwrap_or_default();
    sqlx::query_as!(
        Freed,
        "update send_attempts a
         set outcome = n.outcome, reason = n.reason, scope = n.scope, status = coalesce(n.status, a.status),
             request = case when n.known then n.request else a.request end, answer = case when n.known then n.answer else a.answer end,
             platform_reply_id = n.reply_id, taken = a.taken or n.taken, words_there = a.words_there or n.words_there,
             call_ended_at = coalesce(a.call_ended_at, $1),
             finished_at = case when n.outcome = 'uncertain' then a.finished_at else $1 end
         from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::int2[], $7::bool[], $8::jsonb[], $9::jsonb[], $10::text[], $11::bool[],
                     $12::bool[])
              as n (id, outcome, reason, scope, status, known, request, answer, reply_id, taken, words_there)
         where a.id = n.id and a.id = any($2) and a.outcome = 'uncertain'
         returning a.id as attempt_id, a.usage_day, a.instance_day",
        moment.now,
        &settled.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &settled.iter().map(|(_, settled)| settled.outcome.as_str()).collect::<Vec<_>>() as &[&str],
        &settled.iter().map(|(_, settled)| settled.reason.clone()).collect::<Vec<_>>() as &[Option<String>],
        &settled.iter().map(|(_, settled)| settled.reach.map(Reach::as_str)).collect::<Vec<_>>() as &[Option<&str>],
        &settled
            .iter()
            .map(|(_, settled)| exchange(settled).status.and_then(|status| i16::try_from(status).ok()))
            .collect::<Vec<_>>() as &[Option<i16>],
        &settled.iter().map(|(_, settled)| settled.exchange.is_some()).collect::<Vec<_>>(),
        &settled.iter().map(|(_, settled)| exchange(settled).request).collect::<Vec<_>>(),
        &settled.iter().map(|(_, settled)| exchange(settled).answer).collect::<Vec<_>>(),
        &settled.iter().map(|(_, settled)| settled.platform_reply_id.clone()).collect::<Vec<_>>() as &[Option<String>],
        &settled.iter().map(|(_, settled)| settled.taken).collect::<Vec<_>>(),
        &settled.iter().map(|(_, settled)| settled.words_there).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await
}

/// When the first of the other attempts was armed whose call ended without an answer that says what came of it.
pub(super) async fn first_without_answer(
    conn: &mut PgConnection,
    suggestion_id: Uuid,
    but: Uuid,
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    sqlx::query_scalar!(
        "select min(armed_at) from send_attempts
         where suggestion_id = $1 and id <> $2 and (status is null or status in (408, 425, 499) or status >= 500)",
        suggestion_id,
        but,
    )
    .fetch_one(conn)
    .await
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

/// Only a person can settle it: that counts against the account.
pub(super) async fn reaches_account(conn: &mut PgConnection, attempt_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("update send_attempts set scope = 'account' where id = $1 and outcome = 'uncertain'", attempt_id)
        .execute(conn)
        .await?;
    Ok(())
}
