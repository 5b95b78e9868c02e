//! SQL of posts, comments and inbox items. One statement per batch, whatever its size.

use super::standing::check_at;
use super::{Source, normalise};
use crate::clock::Moment;
use rejoinder_platforms::{InboundComment, InboundPost};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

const HANDLE_CHARS: usize = 100;

/// Whether the text was written by the connected account.
fn is_own(source: &Source, author_id: Option<&str>, author_name: Option<&str>) -> bool {
    match author_id {
        Some(id) => id == source.account_id,
        None => author_name.is_some_and(|name| name.eq_ignore_ascii_case(&source.account_name)),
    }
}

#[derive(Default)]
struct PostColumns {
    id: Vec<Uuid>,
    platform_id: Vec<String>,
    author_id: Vec<Option<String>>,
    author_handle: Vec<Option<String>>,
    own: Vec<bool>,
    title: Vec<Option<String>>,
    body: Vec<String>,
    community: Vec<Option<String>>,
    permalink: Vec<Option<String>>,
    locked: Vec<bool>,
    platform_created_at: Vec<OffsetDateTime>,
    edited_at: Vec<Option<OffsetDateTime>>,
    by_hand: Vec<Option<String>>,
    check_at: Vec<OffsetDateTime>,
}

pub async fn upsert_posts(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    posts: &[InboundPost],
) -> Result<(), sqlx::Error> {
    if posts.is_empty() {
        return Ok(());
    }
    let mut columns = PostColumns::default();
    for post in posts {
        columns.id.push(moment.id());
        columns.platform_id.push(post.id.clone());
        columns.author_id.push(post.author_id.clone());
        columns.author_handle.push(post.author_name.as_deref().map(|name| normalise::line(name, HANDLE_CHARS)));
        columns.own.push(is_own(source, post.author_id.as_deref(), post.author_name.as_deref()));
        columns.title.push(post.title.as_deref().map(normalise::title));
        columns.body.push(normalise::text(&post.body));
        columns.community.push(post.community.as_deref().map(|name| normalise::line(name, HANDLE_CHARS)));
        columns.permalink.push(post.permalink.as_ref().map(ToString::to_string));
        columns.locked.push(post.locked);
        columns.platform_created_at.push(post.created_at);
        columns.edited_at.push(post.edited_at);
        columns.by_hand.push(post.by_hand.clone());
        columns.check_at.push(check_at(moment.now, post.created_at));
    }
    sqlx::query!(
        r#"insert into posts (id, team_id, integration_id, platform, platform_post_id, author_platform_id, author_handle, own, title,
               body, community, permalink, locked, platform_created_at, edited_at, by_hand, check_at, fetched_at, created_at)
           select row.id, $1, $2, $3, row.platform_id, row.author_id, row.author_handle, row.own, row.title, row.body, row.community,
                  row.permalink, row.locked, row.platform_created_at, row.edited_at, row.by_hand, row.check_at, $4, $4
           from unnest($5::uuid[], $6::text[], $7::text[], $8::text[], $9::bool[], $10::text[], $11::text[], $12::text[], $13::text[],
                       $14::bool[], $15::timestamptz[], $16::timestamptz[], $17::text[], $18::timestamptz[])
                as row (id, platform_id, author_id, author_handle, own, title, body, community, permalink, locked,
                        platform_created_at, edited_at, by_hand, check_at)
           on conflict on constraint posts_platform_id_key do update
           set author_platform_id = excluded.author_platform_id, author_handle = excluded.author_handle, title = excluded.title,
               body = excluded.body, permalink = coalesce(excluded.permalink, posts.permalink), locked = excluded.locked, edited_at = excluded.edited_at,
               -- A refusal of the platform is not forgotten because the text reads as before.
               by_hand = coalesce(excluded.by_hand, posts.by_hand), check_at = excluded.check_at, deleted_at = null,
               fetched_at = excluded.fetched_at"#,
        source.team_id,
        source.integration_id,
        source.platform,
        moment.now,
        &columns.id,
        &columns.platform_id,
        &columns.author_id as &[Option<String>],
        &columns.author_handle as &[Option<String>],
        &columns.own,
        &columns.title as &[Option<String>],
        &columns.body,
        &columns.community as &[Option<String>],
        &columns.permalink as &[Option<String>],
        &columns.locked,
        &columns.platform_created_at,
        &columns.edited_at as &[Option<OffsetDateTime>],
        &columns.by_hand as &[Option<String>],
        &columns.check_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(Default)]
struct CommentColumns {
    id: Vec<Uuid>,
    platform_id: Vec<String>,
    post_id: Vec<String>,
    parent_id: Vec<Option<String>>,
    author_handle: Vec<Option<String>>,
    author_id: Vec<Option<String>>,
    own: Vec<bool>,
    text: Vec<String>,
    permalink: Vec<Option<String>>,
    platform_created_at: Vec<OffsetDateTime>,
    edited_at: Vec<Option<OffsetDateTime>>,
    deleted_at: Vec<Option<OffsetDateTime>>,
    by_hand: Vec<Option<String>>,
    check_at: Vec<OffsetDateTime>,
}

/// A comment whose post is not stored is left out: it comes again with its post.
pub async fn upsert_comments(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    comments: &[InboundComment],
) -> Result<(), sqlx::Error> {
    if comments.is_empty() {
        return Ok(());
    }
    let mut columns = CommentColumns::default();
    for comment in comments {
        let gone = comment.deleted;
        columns.id.push(moment.id());
        columns.platform_id.push(comment.id.clone());
        columns.post_id.push(comment.post_id.clone());
        columns.parent_id.push(comment.parent_comment_id.clone());
        let handle = comment.author_name.as_deref().filter(|_| !gone).map(|name| normalise::line(name, HANDLE_CHARS));
        columns.author_handle.push(handle);
        columns.author_id.push(comment.author_id.clone().filter(|_| !gone));
        columns.own.push(is_own(source, comment.author_id.as_deref(), comment.author_name.as_deref()));
        columns.text.push(if gone { String::new() } else { normalise::text(&comment.text) });
        columns.permalink.push(comment.permalink.as_ref().map(ToString::to_string));
        columns.platform_created_at.push(comment.created_at);
        columns.edited_at.push(comment.edited_at);
        columns.deleted_at.push(gone.then_some(moment.now));
        columns.by_hand.push(comment.by_hand.clone());
        columns.check_at.push(check_at(moment.now, comment.created_at));
    }
    sqlx::query!(
        r#"insert into comments (id, team_id, integration_id, post_id, platform_comment_id, platform_parent_id, author_handle, author_platform_id, own,
               text, permalink, platform_created_at, edited_at, deleted_at, by_hand, check_at, fetched_at, created_at)
           select row.id, $1, $2, p.id, row.platform_id, row.parent_id, row.author_handle, row.author_id, row.own, row.text, row.permalink,
                  row.platform_created_at, row.edited_at, row.deleted_at, row.by_hand, row.check_at, $3, $3
           from unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bool[], $11::text[], $12::text[],
                       $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::text[], $17::timestamptz[])
                as row (id, platform_id, post_platform_id, parent_id, author_handle, author_id, own, text, permalink,
                        platform_created_at, edited_at, deleted_at, by_hand, check_at)
           join posts p on p.integration_id = $2 and p.platform_post_id = row.post_platform_id
           on conflict on constraint comments_platform_id_key do update
           set author_handle = excluded.author_handle, author_platform_id = excluded.author_platform_id, text = excluded.text,
               permalink = coalesce(excluded.permalink, comments.permalink), edited_at = excluded.edited_at,
               deleted_at = case when excluded.deleted_at is null then null
                                 else coalesce(comments.deleted_at, excluded.deleted_at) end,
               by_hand = coalesce(excluded.by_hand, comments.by_hand),
               integration_id = excluded.integration_id, check_at = excluded.check_at,
               fetched_at = excluded.fetched_at"#,
        source.team_id,
        source.integration_id,
        moment.now,
        &columns.id,
        &columns.platform_id,
        &columns.post_id,
        &columns.parent_id as &[Option<String>],
        &columns.author_handle as &[Option<String>],
        &columns.author_id as &[Option<String>],
        &columns.own,
        &columns.text,
        &columns.permalink as &[Option<String>],
        &columns.platform_created_at,
        &columns.edited_at as &[Option<OffsetDateTime>],
        &columns.deleted_at as &[Option<OffsetDateTime>],
        &columns.by_hand as &[Option<String>],
        &columns.check_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Points comments at their parents, in whatever order they were read.
pub async fn link_parents(conn: &mut PgConnection, source: &Source, ids: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update comments c
         set parent_comment_id = parent.id
         from comments parent, posts p
         where c.parent_comment_id is null
           and c.platform_parent_id = parent.platform_comment_id
           and parent.post_id = c.post_id
           and p.id = c.post_id
           and p.integration_id = $1
           and (c.platform_comment_id = any($2) or parent.platform_comment_id = any($2))",
        source.integration_id,
        ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Opens an item for each stranger's comment that has none. Returns the new ones.
pub async fn open_items(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    comment_ids: &[String],
) -> Result<Vec<Uuid>, sqlx::Error> {
    // What was said long before the account was connected is context, not work.
    let fresh = sqlx::query!(
        "select c.id, c.post_id, c.platform_comment_id, c.platform_created_at
         from comments c
         join posts p on p.id = c.post_id and p.integration_id = $1
         where c.platform_comment_id = any($2)
           and not c.own
           and c.deleted_at is null
           and c.platform_created_at >= $3
           and not exists (select 1 from inbox_items i
                           where i.integration_id = $1 and i.target_platform_id = c.platform_comment_id)",
        source.integration_id,
        comment_ids,
        source.items_since,
    )
    .fetch_all(&mut *conn)
    .await?;
    if fresh.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        "insert into inbox_items (id, team_id, integration_id, target_kind, target_platform_id, post_id, comment_id, state,
             last_activity_at, created_at, updated_at)
         select row.id, $1, $2, 'comment', row.platform_id, row.post_id, row.comment_id, 'open', row.at, $3, $3
         from unnest($4::uuid[], $5::text[], $6::uuid[], $7::uuid[], $8::timestamptz[]) as row (id, platform_id, post_id, comment_id, at)
         on conflict on constraint inbox_items_target_key do nothing returning id",
        source.team_id,
        source.integration_id,
        moment.now,
        &fresh.iter().map(|_| moment.id()).collect::<Vec<_>>(),
        &fresh.iter().map(|row| row.platform_comment_id.clone()).collect::<Vec<_>>(),
        &fresh.iter().map(|row| row.post_id).collect::<Vec<_>>(),
        &fresh.iter().map(|row| row.id).collect::<Vec<_>>(),
        &fresh.iter().map(|row| row.platform_created_at).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await
}

/// Opens an item for each stranger's post that has none.
pub async fn open_post_items(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    post_ids: &[String],
) -> Result<Vec<Uuid>, sqlx::Error> {
    let fresh = sqlx::query!(
        "select p.id, p.platform_post_id, p.platform_created_at
         from posts p
         where p.integration_id = $1
           and p.platform_post_id = any($2)
           and not p.own
           and p.deleted_at is null
           and p.platform_created_at >= $3
           and not exists (select 1 from inbox_items i
                           where i.integration_id = $1 and i.target_platform_id = p.platform_post_id)",
        source.integration_id,
        post_ids,
        source.items_since,
    )
    .fetch_all(&mut *conn)
    .await?;
    if fresh.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        "insert into inbox_items (id, team_id, integration_id, target_kind, target_platform_id, post_id, state,
             last_activity_at, created_at, updated_at)
         select row.id, $1, $2, 'post', row.platform_id, row.post_id, 'open', row.at, $3, $3
         from unnest($4::uuid[], $5::text[], $6::uuid[], $7::timestamptz[]) as row (id, platform_id, post_id, at)
         on conflict on constraint inbox_items_target_key do nothing returning id",
        source.team_id,
        source.integration_id,
        moment.now,
        &fresh.iter().map(|_| moment.id()).collect::<Vec<_>>(),
        &fresh.iter().map(|row| row.platform_post_id.clone()).collect::<Vec<_>>(),
        &fresh.iter().map(|row| row.id).collect::<Vec<_>>(),
        &fresh.iter().map(|row| row.platform_created_at).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await
}

/// How many of these items stand in threads of others.
pub async fn elsewhere(conn: &mut PgConnection, source: &Source, item_ids: &[Uuid]) -> Result<usize, sqlx::Error> {
    if item_ids.is_empty() {
        return Ok(0);
    }
    let count = sqlx::query_scalar!(
        r#"select count(*) as "n!" from inbox_items i join posts p on p.id = i.post_id
           where i.team_id = $1 and i.id = any($2) and not p.own"#,
        source.team_id,
        item_ids,
    )
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Closes open items that our account answered on the platform itself. A reply that is on its way through us is left to the send stage, which knows its outcome.
pub async fn close_items(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    comment_ids: &[String],
) -> Result<u64, sqlx::Error> {
    let answered = sqlx::query!(
        "update inbox_items i
         set state = 'answered_elsewhere', updated_at = $3
         from comments c
         join posts p on p.id = c.post_id and p.integration_id = $1
         where c.platform_comment_id = any($2)
           and c.own
           and i.integration_id = $1
           and i.target_platform_id = coalesce(c.platform_parent_id, p.platform_post_id)
           and i.state in ('open', 'snoozed')
           and not exists (select 1 from suggestions s
                           where s.integration_id = i.integration_id and s.target_platform_id = i.target_platform_id
                             and (s.status = 'posted' or s.stage in ('sending', 'uncertain')))",
        source.integration_id,
        comment_ids,
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(answered.rows_affected())
}

/// Marks the items that this transaction opened for posts of a watch.
pub async fn found_by(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    watch_id: Uuid,
    post_ids: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update inbox_items set watch_id = $3
         where integration_id = $1 and target_platform_id = any($2) and target_kind = 'post' and watch_id is null and created_at = $4",
        source.integration_id,
        post_ids,
        watch_id,
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Remembers that the platform takes no reply to a text through its API, with the reason. Of this text only.
pub async fn leave_to_people(
    conn: &mut PgConnection,
    team_id: Uuid,
    (integration_id, target_platform_id): (Uuid, &str),
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update comments c set by_hand = $4
         from posts p
         where p.id = c.post_id and c.team_id = $1 and p.integration_id = $2 and c.platform_comment_id = $3",
        team_id,
        integration_id,
        target_platform_id,
        reason,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update posts set by_hand = $4 where team_id = $1 and integration_id = $2 and platform_post_id = $3",
        team_id,
        integration_id,
        target_platform_id,
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}
