//! How what we stored stands on the platform now: gone there means gone here, within a day; what was edited there is edited
//! here. Called by the sweep, which asks for everything, and by each poll for what it happens to read.
//!
//! Always: texts, titles, names and handles of what is gone are wiped, open items close with the reason, and drafts for it are
//! rejected and emptied, since a draft may quote. A reply on its way is left to the send stage, which looks at the thread itself.

use super::{Source, inbox, normalise};
use crate::clock::Moment;
use crate::coord::events;
use crate::flow::approve;
use crate::flow::suggestion::{self, Change, ChangeError};
use rejoinder_platforms::{InboundComment, Standing, ThingState};
use sqlx::PgConnection;
use std::collections::HashMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const DELETED: &str = "the text was deleted on the platform";
const REMOVED: &str = "the text was removed on the platform by its moderators or a filter";
const ERASED: &str = "its author, or the owner of the account it was read through, had it deleted";
const EDITED: &str = "the text that it answers was edited after this draft was written";

/// When a thing that was read now is looked up again: recent ones more often, all within a day.
pub fn check_at(now: OffsetDateTime, created_at: OffsetDateTime) -> OffsetDateTime {
    let age = now - created_at;
    now + if age < Duration::DAY {
        Duration::hours(4)
    } else if age < Duration::WEEK {
        Duration::hours(8)
    } else {
        Duration::hours(20)
    }
}

/// A stored thing that is to be looked up.
#[derive(Debug, Clone)]
pub struct Thing {
    pub id: Uuid,
    pub platform_id: String,
    pub is_post: bool,
    pub created_at: OffsetDateTime,
}

/// What is due until an instant, longest due first.
pub async fn due(
    conn: &mut PgConnection,
    integration_id: Uuid,
    until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Thing>, sqlx::Error> {
    sqlx::query_as!(
        Thing,
        r#"select id as "id!", platform_id as "platform_id!", is_post as "is_post!", created_at as "created_at!"
           from (
               (select id, platform_post_id as platform_id, true as is_post, platform_created_at as created_at, check_at
                from posts where integration_id = $1 and deleted_at is null and check_at <= $2
                order by check_at limit $3)
               union all
               (select id, platform_comment_id, false, platform_created_at, check_at
                from comments where integration_id = $1 and deleted_at is null and check_at <= $2
                order by check_at limit $3)
           ) things
           order by check_at, id
           limit $3"#,
        integration_id,
        until,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Comments that a server from before stored without their account. Returns how many were put in place.
pub async fn place_comments(conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let placed = sqlx::query!(
        "update comments c set integration_id = p.integration_id from posts p where p.id = c.post_id and c.integration_id is null"
    )
    .execute(conn)
    .await?;
    Ok(placed.rows_affected())
}

/// What an answer changed here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    pub gone: usize,
    pub edited: usize,
}

/// Stores how things stand, on the caller's transaction. `asked` are the things that the states belong to.
pub async fn apply(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    asked: &[Thing],
    states: &[ThingState],
) -> Result<Changes, sqlx::Error> {
    let told: HashMap<&str, &ThingState> = states.iter().map(|state| (state.id.as_str(), state)).collect();
    let mut gone: Vec<(Uuid, &str)> = Vec::new();
    let mut here: Vec<(&Thing, &ThingState)> = Vec::new();
    for thing in asked {
        let Some(state) = told.get(thing.platform_id.as_str()) else { continue };
        match state.standing {
            Standing::Here => here.push((thing, state)),
            Standing::Removed => gone.push((thing.id, REMOVED)),
            Standing::Deleted => gone.push((thing.id, DELETED)),
        }
    }
    let edited = refresh_comments(conn, moment, source, &here).await?;
    let edited_posts = refresh_posts(conn, moment, source, &here).await?;
    let edited = [edited, edited_posts].concat();
    wipe(conn, moment, source, &gone.iter().map(|(id, _)| *id).collect::<Vec<_>>()).await?;
    tell(conn, moment, source, &gone, &edited).await?;
    Ok(Changes { gone: gone.len(), edited: edited.len() })
}

/// Gives the comments whose text is another one now.
async fn refresh_comments(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    here: &[(&Thing, &ThingState)],
) -> Result<Vec<Uuid>, sqlx::Error> {
    let comments: Vec<_> = here.iter().filter(|(thing, _)| !thing.is_post).collect();
    if comments.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"with told as (
               select * from unnest($3::uuid[], $4::text[], $5::bool[], $6::timestamptz[], $7::timestamptz[])
                   as t (id, text, has_author, edited_at, check_at)
           ), before as (
               select c.id, c.text from comments c join told t on t.id = c.id
               where c.team_id = $1 and c.deleted_at is null order by c.id for update of c
           )
           update comments c
           set text = coalesce(t.text, c.text), edited_at = coalesce(t.edited_at, c.edited_at),
               author_handle = case when t.has_author then c.author_handle end,
               author_platform_id = case when t.has_author then c.author_platform_id end,
               check_at = t.check_at, fetched_at = $2
           from told t join before b on b.id = t.id
           where c.id = t.id
           returning c.id, b.text <> coalesce(t.text, b.text) as "changed!""#,
        source.team_id,
        moment.now,
        &comments.iter().map(|(thing, _)| thing.id).collect::<Vec<_>>(),
        &comments.iter().map(|(_, state)| state.text.as_deref().map(normalise::text)).collect::<Vec<_>>()
            as &[Option<String>],
        &comments.iter().map(|(_, state)| !state.author_gone).collect::<Vec<_>>(),
        &comments.iter().map(|(_, state)| state.edited_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &comments.iter().map(|(thing, _)| check_at(moment.now, thing.created_at)).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter(|row| row.changed).map(|row| row.id).collect())
}

async fn refresh_posts(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    here: &[(&Thing, &ThingState)],
) -> Result<Vec<Uuid>, sqlx::Error> {
    let posts: Vec<_> = here.iter().filter(|(thing, _)| thing.is_post).collect();
    if posts.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"with told as (
               select * from unnest($3::uuid[], $4::text[], $5::text[], $6::bool[], $7::bool[], $8::timestamptz[], $9::timestamptz[])
                   as t (id, body, title, has_author, locked, edited_at, check_at)
           ), before as (
               select p.id, p.body from posts p join told t on t.id = p.id
               where p.team_id = $1 and p.deleted_at is null order by p.id for update of p
           )
           update posts p
           set body = coalesce(t.body, p.body), title = coalesce(t.title, p.title), locked = t.locked,
               edited_at = coalesce(t.edited_at, p.edited_at),
               author_handle = case when t.has_author then p.author_handle end,
               author_platform_id = case when t.has_author then p.author_platform_id end,
               check_at = t.check_at, fetched_at = $2
           from told t join before b on b.id = t.id
           where p.id = t.id
           returning p.id, b.body <> coalesce(t.body, b.body) as "changed!""#,
        source.team_id,
        moment.now,
        &posts.iter().map(|(thing, _)| thing.id).collect::<Vec<_>>(),
        &posts.iter().map(|(_, state)| state.text.as_deref().map(normalise::text)).collect::<Vec<_>>()
            as &[Option<String>],
        &posts.iter().map(|(_, state)| state.title.as_deref().map(normalise::title)).collect::<Vec<_>>()
            as &[Option<String>],
        &posts.iter().map(|(_, state)| !state.author_gone).collect::<Vec<_>>(),
        &posts.iter().map(|(_, state)| state.locked).collect::<Vec<_>>(),
        &posts.iter().map(|(_, state)| state.edited_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        &posts.iter().map(|(thing, _)| check_at(moment.now, thing.created_at)).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter(|row| row.changed).map(|row| row.id).collect())
}

/// Nothing of these stays but that they were there. A post's address names its title, also in its comments' addresses.
async fn wipe(conn: &mut PgConnection, moment: &Moment, source: &Source, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update comments
         set text = '', author_handle = null, author_platform_id = null, metadata = '{}', deleted_at = $3, fetched_at = $3
         where team_id = $1 and id = any($2) and deleted_at is null",
        source.team_id,
        ids,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update posts
         set title = null, body = '', media = '[]', author_handle = null, author_platform_id = null, permalink = null,
             deleted_at = $3, fetched_at = $3
         where team_id = $1 and id = any($2) and deleted_at is null",
        source.team_id,
        ids,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update comments set permalink = null where team_id = $1 and post_id = any($2) and permalink is not null",
        source.team_id,
        ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A stored thing that somebody wants deleted.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub id: Uuid,
    pub integration_id: Uuid,
    pub team_id: Uuid,
}

/// What was read through these accounts or written by these authors, by account. Rare: it reads the tables from end to end.
pub async fn of_person(
    conn: &mut PgConnection,
    platform: &str,
    accounts: &[Uuid],
    authors: &[String],
    limit: i64,
) -> Result<Vec<Wanted>, sqlx::Error> {
    place_comments(conn).await?;
    sqlx::query_as!(
        Wanted,
        r#"select thing.id as "id!", thing.integration_id as "integration_id!", thing.team_id as "team_id!"
           from (
               select id, integration_id, team_id, author_platform_id from comments where deleted_at is null
               union all
               select id, integration_id, team_id, author_platform_id from posts where deleted_at is null
           ) thing
           join integrations i on i.id = thing.integration_id and i.team_id = thing.team_id and i.platform = $1
           where thing.integration_id = any($2) or thing.author_platform_id = any($3)
           order by thing.integration_id, thing.id
           limit $4"#,
        platform,
        accounts,
        authors,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Deletes things of one account because a person wants it, however they stand on the platform.
pub async fn erase(conn: &mut PgConnection, moment: &Moment, source: &Source, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    wipe(conn, moment, source, ids).await?;
    let gone: Vec<(Uuid, &str)> = ids.iter().map(|id| (*id, ERASED)).collect();
    tell(conn, moment, source, &gone, &[]).await?;
    events::notify(conn, source.team_id, events::Kind::Item, source.integration_id).await
}

/// The stored comments whose text differs from what was read now. Asked before it is stored.
pub(super) async fn edited_among(
    conn: &mut PgConnection,
    source: &Source,
    comments: &[InboundComment],
) -> Result<Vec<Uuid>, sqlx::Error> {
    let told: Vec<_> = comments.iter().filter(|comment| !comment.deleted && comment.edited_at.is_some()).collect();
    if told.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        "select c.id
         from unnest($2::text[], $3::text[], $4::text[]) as t (post_id, platform_id, text)
         join posts p on p.integration_id = $1 and p.platform_post_id = t.post_id
         join comments c on c.post_id = p.id and c.platform_comment_id = t.platform_id
         where c.text <> t.text and c.deleted_at is null",
        source.integration_id,
        &told.iter().map(|comment| comment.post_id.clone()).collect::<Vec<_>>(),
        &told.iter().map(|comment| comment.id.clone()).collect::<Vec<_>>(),
        &told.iter().map(|comment| normalise::text(&comment.text)).collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await
}

/// The comments that a poll found gone. Asked after it was stored.
pub(super) async fn gone_among(
    conn: &mut PgConnection,
    source: &Source,
    platform_ids: &[String],
) -> Result<Vec<(Uuid, &'static str)>, sqlx::Error> {
    if platform_ids.is_empty() {
        return Ok(Vec::new());
    }
    let gone = sqlx::query_scalar!(
        "select c.id from comments c join posts p on p.id = c.post_id
         where p.integration_id = $1 and c.platform_comment_id = any($2) and c.deleted_at is not null",
        source.integration_id,
        platform_ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(gone.into_iter().map(|id| (id, DELETED)).collect())
}

/// Items and drafts follow. True where something changed that people see.
pub(super) async fn tell(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    gone: &[(Uuid, &str)],
    edited: &[Uuid],
) -> Result<bool, sqlx::Error> {
    let closed = inbox::close_gone(conn, moment, source.team_id, gone).await?;
    let mut changed = closed > 0 || !edited.is_empty();
    for (id, reason) in gone {
        let change = Change::TargetGone { reason: format!("Closed: {reason}.") };
        let closed = change_drafts(conn, moment, source, *id, change).await?;
        changed |= !closed.is_empty();
        approve::forget_edits(conn, &closed).await?;
        suggestion::forget_drafts(conn, source.team_id, *id).await?;
    }
    for id in edited {
        let change = Change::TargetEdited { reason: EDITED.to_owned() };
        changed |= !change_drafts(conn, moment, source, *id, change).await?.is_empty();
    }
    Ok(changed)
}

async fn change_drafts(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    thing_id: Uuid,
    change: Change,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let open = suggestion::open_for_thing(conn, source.team_id, thing_id).await?;
    for id in &open {
        match suggestion::change(conn, moment, source.team_id, *id, None, change.clone()).await {
            Ok(_) | Err(ChangeError::NotFound | ChangeError::Refused(_)) => {}
            Err(ChangeError::Database(error)) => return Err(error),
        }
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::check_at;
    use proptest::prelude::*;
    use time::{Duration, macros::datetime};

    proptest! {
        /// The sweep looks every three hours, an hour ahead.
        #[test]
        fn everything_is_looked_up_within_a_day_and_the_young_not_later_than_the_old(age in 0_i64..4_000_000, more in 0_i64..400_000) {
            let now = datetime!(2026-03-01 12:00 UTC);
            let wait = |age| check_at(now, now - Duration::seconds(age)) - now;
            prop_assert!(wait(age) <= Duration::hours(21));
            prop_assert!(wait(age) <= wait(age + more));
        }
    }
}
