//! Strangers who asked not to be answered: noted while their words are stored, honoured until an admin lifts it.
//!
//! Only words that are said to us count: an answer to a text of ours, or one that names our account. The row holds the author's id and
//! which words of our list were found; what they said stands in their comment alone.

use super::phrases;
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::ingest::Source;
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct OptOut {
    pub id: Uuid,
    pub team_id: Uuid,
    pub platform: String,
    /// While their comment stands there.
    pub author_handle: Option<String>,
    /// The item of that comment.
    pub item_id: Option<Uuid>,
    pub words: String,
    pub noted_at: OffsetDateTime,
    pub lifted_at: Option<OffsetDateTime>,
    pub lifted_by_name: Option<String>,
}

/// As rows name an author.
pub fn author_key(platform_id: Option<&str>, handle: Option<&str>) -> Option<String> {
    match (platform_id, handle) {
        (Some(id), _) => Some(id.to_owned()),
        (None, Some(handle)) => Some(format!("@{}", handle.to_lowercase())),
        (None, None) => None,
    }
}

struct Said {
    id: Uuid,
    item_id: Option<Uuid>,
    author_key: String,
    text: String,
}

/// Looks through comments that were stored a moment ago, on the same transaction. `instance`: the words of the server.
pub async fn notice(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    comment_ids: &[String],
    instance: &[String],
) -> Result<(), sqlx::Error> {
    let said = said_to_us(conn, source, comment_ids).await?;
    if said.is_empty() {
        return Ok(());
    }
    let own = sqlx::query_scalar!("select opt_out_words from team_settings where team_id = $1", source.team_id)
        .fetch_optional(&mut *conn)
        .await?
        .unwrap_or_default();
    for one in said {
        let Some(words) = phrases::asked_by(&one.text, instance.iter().chain(&own)) else { continue };
        note(conn, moment, source, &one, words).await?;
    }
    Ok(())
}

/// Those that speak to us, by authors who are not on the list, and not from before an admin lifted their wish.
async fn said_to_us(
    conn: &mut PgConnection,
    source: &Source,
    comment_ids: &[String],
) -> Result<Vec<Said>, sqlx::Error> {
    sqlx::query_as!(
        Said,
        r#"select c.id, coalesce(c.author_platform_id, '@' || lower(c.author_handle)) as "author_key!", c.text,
                  (select item.id from inbox_items item where item.comment_id = c.id limit 1) as item_id
           from comments c
           join posts p on p.id = c.post_id and p.integration_id = $1
           left join comments parent on parent.id = c.parent_comment_id
           where c.platform_comment_id = any($2) and not c.own and c.deleted_at is null
             and coalesce(c.author_platform_id, c.author_handle) is not null
             and (coalesce(parent.own, false) or (c.platform_parent_id is null and p.own)
                  or position(lower($3) in lower(c.text)) > 0)
             and not exists (select 1 from opt_outs o
                             where o.team_id = $4 and o.platform = $5
                               and o.author_key = coalesce(c.author_platform_id, '@' || lower(c.author_handle))
                               and (o.lifted_at is null or o.lifted_at >= coalesce(c.edited_at, c.platform_created_at)))
           order by c.platform_created_at, c.id"#,
        source.integration_id,
        comment_ids,
        source.account_name,
        source.team_id,
        source.platform,
    )
    .fetch_all(conn)
    .await
}

async fn note(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    said: &Said,
    words: &str,
) -> Result<(), sqlx::Error> {
    let noted = sqlx::query_scalar!(
        "insert into opt_outs (id, team_id, platform, author_key, comment_id, words, noted_at) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (team_id, platform, author_key) where lifted_at is null do nothing
         returning id",
        moment.id(),
        source.team_id,
        source.platform,
        said.author_key,
        said.id,
        words,
        moment.now,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(id) = noted else { return Ok(()) };
    let payload = json!({ "opt_out_id": id, "words": words, "platform": source.platform });
    let subject = said.item_id.map_or(Subject::Team(source.team_id), Subject::Item);
    activity::record(conn, moment, source.team_id, None, Kind::OptOutNoted, subject, payload).await
}

/// When the author asked for silence; None: they did not, or an admin lifted it.
pub async fn standing(
    conn: &mut PgConnection,
    team_id: Uuid,
    platform: &str,
    author_key: &str,
) -> Result<Option<OptOut>, sqlx::Error> {
    sqlx::query_as!(
        OptOut,
        r#"select o.id, o.team_id, o.platform, c.author_handle as "author_handle?", o.words, o.noted_at, o.lifted_at,
                  (select name from users where users.id = o.lifted_by) as lifted_by_name,
                  (select item.id from inbox_items item where item.comment_id = o.comment_id limit 1) as item_id
           from opt_outs o left join comments c on c.id = o.comment_id
           where o.team_id = $1 and o.platform = $2 and o.author_key = $3 and o.lifted_at is null"#,
        team_id,
        platform,
        author_key,
    )
    .fetch_optional(conn)
    .await
}

/// Newest first, those that were lifted too, keyset-paged.
pub async fn list(
    conn: &mut PgConnection,
    team_id: Uuid,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<OptOut>, sqlx::Error> {
    let (before_at, before_id) = before.unzip();
    sqlx::query_as!(
        OptOut,
        r#"select o.id, o.team_id, o.platform, c.author_handle as "author_handle?", o.words, o.noted_at, o.lifted_at,
                  (select name from users where users.id = o.lifted_by) as lifted_by_name,
                  (select item.id from inbox_items item where item.comment_id = o.comment_id limit 1) as item_id
           from opt_outs o left join comments c on c.id = o.comment_id
           where o.team_id = $1 and ($2::timestamptz is null or (o.noted_at, o.id) < ($2, $3))
           order by o.noted_at desc, o.id desc
           limit $4"#,
        team_id,
        before_at,
        before_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// An admin takes the word back for them. Lifting twice changes nothing. False: there is no such row.
pub async fn lift(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    by: Uuid,
) -> Result<bool, sqlx::Error> {
    let lifted = sqlx::query!(
        "update opt_outs set lifted_at = $3, lifted_by = $4 where id = $1 and team_id = $2 and lifted_at is null",
        id,
        team_id,
        moment.now,
        by,
    )
    .execute(&mut *conn)
    .await?;
    if lifted.rows_affected() == 0 {
        let known = sqlx::query_scalar!("select id from opt_outs where id = $1 and team_id = $2", id, team_id);
        return Ok(known.fetch_optional(conn).await?.is_some());
    }
    let payload = json!({ "opt_out_id": id });
    activity::record(conn, moment, team_id, Some(by), Kind::OptOutLifted, Subject::Team(team_id), payload).await?;
    Ok(true)
}
