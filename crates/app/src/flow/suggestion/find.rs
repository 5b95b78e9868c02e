//! Looking suggestions up: by what they answer, for lists, and what was posted before. Reads only.

use super::db::{Suggestion, load};
use crate::flow::safety::Elsewhere;
use crate::model::{Stage, Status};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// The open suggestion for a target, if there is one.
pub async fn open_for_target(
    conn: &mut PgConnection,
    team_id: Uuid,
    integration_id: Uuid,
    target_platform_id: &str,
) -> Result<Option<Suggestion>, sqlx::Error> {
    let id = sqlx::query_scalar!(
        "select id from suggestions
         where integration_id = $1 and target_platform_id = $2 and status in ('pending', 'approved') and team_id = $3",
        integration_id,
        target_platform_id,
        team_id,
    )
    .fetch_optional(&mut *conn)
    .await?;
    match id {
        Some(id) => load(conn, team_id, id).await,
        None => Ok(None),
    }
}

/// Replies under the same post that the account's other suggestions became, the last ones first.
pub async fn replies_of_others(conn: &mut PgConnection, suggestion: &Suggestion) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select platform_reply_id as "id!" from suggestions
           where team_id = $1 and integration_id = $2 and post_id = $3 and id <> $4
             and posted_at is not null and platform_reply_id is not null
           order by posted_at desc limit 500"#,
        suggestion.team_id,
        suggestion.integration_id,
        suggestion.post_id,
        suggestion.id,
    )
    .fetch_all(conn)
    .await
}

/// Suggestions that have been drafting since before `before`: id, team, generation.
pub async fn drafting_since(
    conn: &mut PgConnection,
    before: OffsetDateTime,
    limit: i64,
) -> Result<Vec<(Uuid, Uuid, Uuid)>, sqlx::Error> {
    let rows = sqlx::query!(
        "select id, team_id, generation_id from suggestions where stage = 'drafting' and updated_at < $1 order by updated_at limit $2",
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.team_id, row.generation_id)).collect())
}

/// Whether a reply of ours stands under the target already. One that a person took down does not.
pub async fn replied_to(
    conn: &mut PgConnection,
    team_id: Uuid,
    integration_id: Uuid,
    target_platform_id: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select 1 from suggestions s
                          where integration_id = $1 and target_platform_id = $2 and team_id = $3 and status = 'posted'
                            and not exists (select 1 from replies r
                                            where r.suggestion_id = s.id and r.standing = 'unpublished')) as "yes!""#,
        integration_id,
        target_platform_id,
        team_id,
    )
    .fetch_one(conn)
    .await
}

/// What these accounts posted lately, newest first, at most 50 texts each.
pub async fn posted_texts(
    conn: &mut PgConnection,
    integration_ids: &[Uuid],
    since: OffsetDateTime,
) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select i.id as "integration_id!", s.text as "text!"
           from unnest($1::uuid[]) as i (id)
           cross join lateral (
               select text, posted_at from suggestions
               where integration_id = i.id and posted_at > $2 and text is not null
               order by posted_at desc limit 50
           ) s
           order by s.posted_at desc"#,
        integration_ids,
        since,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.integration_id, row.text)).collect())
}

/// What the installation posted lately in communities, with the platform it stands on, newest first: the last 200 texts. What people
/// changed after posting counts as it stands now.
pub async fn posted_everywhere(
    conn: &mut PgConnection,
    platforms: &[String],
    since: OffsetDateTime,
) -> Result<Vec<(String, Elsewhere)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select i.platform, coalesce(r.text, s.text) as "text!", r.community as "community!"
           from (select suggestion_id, integration_id, community, text, posted_at from replies
                 where posted_at > $2 and community is not null order by posted_at desc limit 200) r
           join integrations i on i.id = r.integration_id
           join suggestions s on s.id = r.suggestion_id
           where i.platform = any($1) and coalesce(r.text, s.text) is not null
           order by r.posted_at desc"#,
        platforms,
        since,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.platform, Elsewhere { community: row.community, text: row.text })).collect())
}

/// The newest suggestion of an inbox item.
pub async fn latest_of_item(
    conn: &mut PgConnection,
    team_id: Uuid,
    item_id: Uuid,
) -> Result<Option<Suggestion>, sqlx::Error> {
    let newest = list(conn, team_id, Filter { item_id: Some(item_id), ..Filter::default() }, 1).await?.pop();
    match newest {
        Some(card) => load(conn, team_id, card.id).await,
        None => Ok(None),
    }
}

/// Which suggestions a list shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    pub status: Option<Status>,
    pub stage: Option<Stage>,
    pub item_id: Option<Uuid>,
    pub before: Option<(OffsetDateTime, Uuid)>,
}

/// One row of a list: enough to choose, without the long parts.
#[derive(Debug, Clone)]
pub struct Card {
    pub id: Uuid,
    pub item_id: Uuid,
    pub post_id: Uuid,
    pub comment_id: Option<Uuid>,
    pub status: String,
    pub stage: String,
    pub stage_reason: Option<String>,
    pub text: Option<String>,
    pub confidence: Option<f64>,
    pub intent_id: Option<Uuid>,
    pub version: i32,
    pub send_after: Option<OffsetDateTime>,
    pub platform_reply_url: Option<String>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

pub type Listed = Vec<Card>;

/// Newest first, keyset-paged.
pub async fn list(conn: &mut PgConnection, team_id: Uuid, filter: Filter, limit: i64) -> Result<Listed, sqlx::Error> {
    let (before_at, before_id) = filter.before.unzip();
    sqlx::query_as!(
        Card,
        "select id, item_id, post_id, comment_id, status, stage, stage_reason, text, confidence, intent_id, version, send_after,
                platform_reply_url, created_at, updated_at
         from suggestions
         where team_id = $1
           and ($2::text is null or status = $2)
           and ($3::uuid is null or item_id = $3)
           and ($4::timestamptz is null or (created_at, id) < ($4, $5))
           and ($7::text is null or stage = $7)
         order by created_at desc, id desc
         limit $6",
        team_id,
        filter.status.map(|status| status.as_str()),
        filter.item_id,
        before_at,
        before_id,
        limit,
        filter.stage.map(|stage| stage.as_str()),
    )
    .fetch_all(conn)
    .await
}

/// The open ones that answer this post or comment of ours.
pub async fn open_for_thing(conn: &mut PgConnection, team_id: Uuid, thing_id: Uuid) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select s.id
         from (select p.integration_id, c.platform_comment_id as platform_id
               from comments c join posts p on p.id = c.post_id where c.id = $2
               union all
               select integration_id, platform_post_id from posts where id = $2) thing
         join suggestions s on s.integration_id = thing.integration_id and s.target_platform_id = thing.platform_id
         where s.team_id = $1 and s.status in ('pending', 'approved')
         order by s.id",
        team_id,
        thing_id,
    )
    .fetch_all(conn)
    .await
}
