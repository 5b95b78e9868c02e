//! Replies that went out without a clear answer: what the page of them shows. Reads only.

use super::{CALL_OVER, PostSend};
use crate::queue;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// One such reply with its open attempt.
#[derive(Debug, Clone)]
pub struct Unknown {
    pub suggestion_id: Uuid,
    pub item_id: Uuid,
    pub text: String,
    /// What is known so far, in words.
    pub stage_reason: Option<String>,
    pub next_look_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub approved_by: Option<String>,
    pub platform: String,
    pub account: String,
    pub author_handle: Option<String>,
    pub post_title: Option<String>,
    /// Of the text that it answers.
    pub permalink: Option<String>,
    pub attempt: i32,
    pub armed_at: OffsetDateTime,
    /// Null where the worker stopped before it could say.
    pub answer: Option<String>,
    pub status: Option<i16>,
    pub absent_reads: i32,
    pub last_read_at: Option<OffsetDateTime>,
    /// Reading back failed for good: a person has to look.
    pub wants_person: bool,
}

impl Unknown {
    /// From then on nothing of the write can land or appear any more.
    pub fn settles_at(&self, settle_window: Duration) -> OffsetDateTime {
        self.armed_at + CALL_OVER + settle_window
    }
}

/// Newest suggestion first, keyset-paged.
pub async fn list(
    conn: &mut PgConnection,
    team_id: Uuid,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<Unknown>, sqlx::Error> {
    let (before_at, before_id) = before.unzip();
    let mut unknown = sqlx::query_as!(
        Unknown,
        r#"select s.id as suggestion_id, s.item_id, coalesce(s.text, '') as "text!", s.stage_reason, s.send_after as next_look_at,
                  s.created_at, u.name as "approved_by?", i.platform, i.display_name as account,
                  case when s.comment_id is null then p.author_handle else c.author_handle end as author_handle,
                  p.title as post_title, coalesce(c.permalink, p.permalink) as permalink,
                  a.number as attempt, a.armed_at, a.reason as answer, a.status, a.absent_reads, a.last_read_at,
                  a.scope is not null as "wants_person!"
           from suggestions s
           join send_attempts a on a.suggestion_id = s.id and a.outcome = 'uncertain'
           join integrations i on i.id = s.integration_id
           join posts p on p.id = s.post_id
           left join comments c on c.id = s.comment_id
           left join users u on u.id = s.approved_by
           where s.team_id = $1 and s.stage = 'uncertain'
             and ($2::timestamptz is null or (s.created_at, s.id) < ($2, $3))
           order by s.created_at desc, s.id desc
           limit $4"#,
        team_id,
        before_at,
        before_id,
        limit,
    )
    .fetch_all(&mut *conn)
    .await?;
    // Looks between the first and the last are told to the job alone.
    let keys: Vec<String> = unknown.iter().map(|row| PostSend::key_of(row.suggestion_id)).collect();
    let due = queue::due_at(conn, &keys).await?;
    for (row, key) in unknown.iter_mut().zip(&keys) {
        row.next_look_at = due.get(key).copied().or(row.next_look_at);
    }
    Ok(unknown)
}

pub async fn count(conn: &mut PgConnection, team_id: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "n!" from suggestions where team_id = $1 and stage = 'uncertain'"#,
        team_id
    )
    .fetch_one(conn)
    .await
}
