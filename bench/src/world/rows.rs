//! The rows of a world that come by the thousand.

use super::{Suggestion, World};
use anyhow::Result;
use rejoinder_app::clock::Moment;
use sqlx::PgConnection;
use uuid::Uuid;

/// Posts of our own, strangers' comments under them, and an open item for each comment.
pub(super) async fn threads(conn: &mut PgConnection, moment: &Moment, world: &World) -> Result<()> {
    let all = &world.suggestions;
    sqlx::query(
        "insert into posts (id, team_id, integration_id, platform, platform_post_id, author_handle, own, title, body,
             community, platform_created_at, fetched_at, created_at)
         select distinct on (id) id, team_id, integration_id, 'reddit', post, name, true, 'Ask us anything', 'We read all of it.',
             community, $7, $7, $7
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[])
             as given (id, team_id, integration_id, post, name, community)",
    )
    .bind(ids(all, |one| one.thread.post_id))
    .bind(ids(all, |one| world.team_of(one).id))
    .bind(ids(all, |one| world.account_of(one).integration_id))
    .bind(texts(all, |one| &one.thread.post))
    .bind(texts(all, |one| &world.account_of(one).name))
    .bind(texts(all, |one| &one.thread.community))
    .bind(moment.now)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into comments (id, team_id, integration_id, post_id, platform_comment_id, platform_parent_id, author_handle, own, text,
             platform_created_at, fetched_at, created_at)
         select id, team_id, integration_id, post_id, target, post, 'curious_cat', false, question, $8, $8, $8
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[])
             as given (id, team_id, integration_id, post_id, target, post, question)",
    )
    .bind(ids(all, |one| one.thread.comment_id))
    .bind(ids(all, |one| world.team_of(one).id))
    .bind(ids(all, |one| world.account_of(one).integration_id))
    .bind(ids(all, |one| one.thread.post_id))
    .bind(texts(all, |one| &one.target))
    .bind(texts(all, |one| &one.thread.post))
    .bind(texts(all, |one| &one.thread.question))
    .bind(moment.now)
    .execute(&mut *conn)
    .await?;
    items(conn, moment, world).await
}

async fn items(conn: &mut PgConnection, moment: &Moment, world: &World) -> Result<()> {
    let all = &world.suggestions;
    sqlx::query(
        "insert into inbox_items (id, team_id, integration_id, target_kind, target_platform_id, post_id, comment_id, state,
             last_activity_at, created_at, updated_at)
         select id, team_id, integration_id, 'comment', target, post_id, comment_id, 'open', $7, $7, $7
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[])
             as given (id, team_id, integration_id, target, post_id, comment_id)",
    )
    .bind(ids(all, |one| one.thread.item_id))
    .bind(ids(all, |one| world.team_of(one).id))
    .bind(ids(all, |one| world.account_of(one).integration_id))
    .bind(texts(all, |one| &one.target))
    .bind(ids(all, |one| one.thread.post_id))
    .bind(ids(all, |one| one.thread.comment_id))
    .bind(moment.now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Drafts that wait for a person, never changed since they were written.
pub(super) async fn suggestions(
    conn: &mut PgConnection,
    moment: &Moment,
    world: &World,
    given: &[Suggestion],
) -> Result<()> {
    sqlx::query(
        "insert into suggestions (id, team_id, integration_id, item_id, post_id, comment_id, target_kind, target_platform_id,
             post_platform_id, generated_by, mode, text, original_text, confidence, status, stage, generation_id, created_by,
             changed_by, changed_how, created_at, updated_at)
         select id, team_id, integration_id, item_id, post_id, comment_id, 'comment', target, post, 'ai', 'draft', text, text, 0.9,
             'pending', 'ready', id, user_id, user_id, 'drafted', $11, $11
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::text[], $10::text[])
             as given (id, team_id, user_id, integration_id, item_id, post_id, comment_id, target, post, text)
         on conflict (id) do nothing",
    )
    .bind(ids(given, |one| one.id))
    .bind(ids(given, |one| world.team_of(one).id))
    .bind(ids(given, |one| world.team_of(one).user_id))
    .bind(ids(given, |one| world.account_of(one).integration_id))
    .bind(ids(given, |one| one.thread.item_id))
    .bind(ids(given, |one| one.thread.post_id))
    .bind(ids(given, |one| one.thread.comment_id))
    .bind(texts(given, |one| &one.target))
    .bind(texts(given, |one| &one.thread.post))
    .bind(texts(given, |one| &one.text))
    .bind(moment.now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Nobody reads the accounts for a day: only sending is measured.
pub(super) async fn put_off_polls(conn: &mut PgConnection, moment: &Moment) -> Result<()> {
    let later = moment.now + time::Duration::days(1);
    sqlx::query("update integrations set next_poll_at = $1, sweep_at = $1").bind(later).execute(conn).await?;
    Ok(())
}

fn ids(all: &[Suggestion], of: impl Fn(&Suggestion) -> Uuid) -> Vec<Uuid> {
    all.iter().map(of).collect()
}

fn texts<'a>(all: &'a [Suggestion], of: impl Fn(&'a Suggestion) -> &'a String) -> Vec<String> {
    all.iter().map(|one| of(one).clone()).collect()
}
