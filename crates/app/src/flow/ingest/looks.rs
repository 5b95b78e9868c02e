//! The job `posts.look`: how many comments stand under own posts, a hundred posts a request, over all accounts of all teams that
//! were connected through one app. A number is public, so any of these accounts may ask; where it changed, the account of the post
//! reads the comments (`integration.poll`).
//!
//! A post that another account does not see (a private community) is left to the list of its own account. What cannot be asked
//! now is asked later; nothing is forgotten, since a post stays due until it was told.

use super::{IntegrationPoll, Source, rhythm};
use crate::accounts::integrations::{self, Integration};
use crate::accounts::{platform_apps, tokens};
use crate::clock::Moment;
use crate::coord::budget::{self, Lane, Urgency};
use crate::engine::Engine;
use crate::jobs;
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{FetchError, PostCount};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Posts of one request.
pub const BATCH: usize = 100;
const REQUESTS_PER_RUN: usize = 10;
/// A request is filled up with what is due within this time.
pub const AHEAD: time::Duration = time::Duration::minutes(5);
/// How long a post waits for others, so that requests fill.
pub const GATHER: time::Duration = time::Duration::seconds(30);
/// After trouble that is not one account's.
const TROUBLE: time::Duration = time::Duration::MINUTE;
/// Accounts that are asked as before a batch is put off.
const CANDIDATES: usize = 3;
/// Posts whose changes one round of an account takes.
const PER_ROUND: i64 = 200;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PostsLook {
    pub platform: String,
    /// None: the app of the installation.
    pub app_id: Option<Uuid>,
}

#[async_trait]
impl Job<Arc<Engine>> for PostsLook {
    const NAME: &'static str = "posts.look";
    const CLASS: Class = Class::Poll;
    const MAX_ATTEMPTS: i16 = 3;
    const TIMEOUT: Duration = Duration::from_secs(120);
    /// Before the polls: one request tells of many accounts.
    const PRIORITY: i16 = -10;

    fn key(&self) -> Option<String> {
        let app = self.app_id.map_or_else(|| "own".to_owned(), |id| id.to_string());
        Some(format!("look:{}:{app}", self.platform))
    }

    async fn run(self, engine: &Arc<Engine>, ctx: &JobContext) -> Result<(), JobError> {
        let moment = Moment::at(ctx.now, &engine.app.entropy);
        let look = Look { engine, moment: &moment };
        for _ in 0..REQUESTS_PER_RUN {
            let mut conn = engine.app.db.acquire().await?;
            let due = due(&mut conn, &self, ctx.now + AHEAD).await?;
            drop(conn);
            if due.first().is_none_or(|post| post.look_at > ctx.now) {
                break;
            }
            look.batch(&due).await?;
        }
        Ok(())
    }
}

/// A followed post.
struct Post {
    id: Uuid,
    integration_id: Uuid,
    platform_id: String,
    created_at: OffsetDateTime,
    look_at: OffsetDateTime,
    told: Option<i32>,
    changed_at: Option<OffsetDateTime>,
}

struct Look<'a> {
    engine: &'a Engine,
    moment: &'a Moment,
}

impl Look<'_> {
    async fn batch(&self, due: &[Post]) -> Result<(), JobError> {
        let now = self.moment.now;
        let late = due.first().map_or(time::Duration::ZERO, |post| now - post.look_at);
        let urgency = Urgency { lane: Lane::Busy, late };
        let mut candidates: Vec<Uuid> = Vec::new();
        for post in due {
            if !candidates.contains(&post.integration_id) {
                candidates.push(post.integration_id);
            }
        }
        candidates.truncate(CANDIDATES);
        for &id in &candidates {
            let loaded = integrations::load_any_team(&mut *self.engine.app.db.acquire().await?, id).await?;
            let Some(asking) = loaded.filter(Integration::is_read) else { continue };
            match self.ask(&asking, due, urgency).await {
                Ok(told) => return self.store(&asking, due, &told).await,
                Err(FetchError::RateLimited { retry_after }) => {
                    let reason = "the request budget of the platform is used up for now".to_owned();
                    return Err(JobError::RetryAt { at: now + rhythm::wait(retry_after), reason });
                }
                // Trouble of this account or its team: its own rounds tell it.
                Err(FetchError::AuthExpired | FetchError::Refused { .. } | FetchError::OverBudget { .. }) => {}
                Err(FetchError::Unavailable(reason)) => return Err(JobError::RetryAt { at: now + TROUBLE, reason }),
            }
        }
        // Theirs come later, so that those of other accounts come first next time.
        put_off(&mut *self.engine.app.db.acquire().await?, &candidates, now + TROUBLE * 5).await?;
        Err(JobError::RetryAt { at: now + time::Duration::SECOND, reason: "none of the accounts could ask".to_owned() })
    }

    async fn ask(
        &self,
        asking: &Integration,
        due: &[Post],
        urgency: Urgency,
    ) -> Result<HashMap<String, u64>, FetchError> {
        let app = &self.engine.app;
        let unavailable = |reason: String| FetchError::Unavailable(reason);
        let reader = app.readers.get(&asking.platform).map_err(|error| unavailable(error.to_string()))?;
        let ids: Vec<String> = due.iter().map(|post| post.platform_id.clone()).collect();
        let session = tokens::session_for(app, self.moment, asking, None, urgency).await;
        let session = session.map_err(|_| FetchError::AuthExpired)?;
        let told = reader.counts(&session, &ids).await;
        if told != Err(FetchError::AuthExpired) {
            return told;
        }
        let session = tokens::session_for(app, self.moment, asking, Some(&session.access_token), urgency).await;
        reader.counts(&session.map_err(|_| FetchError::AuthExpired)?, &ids).await
    }

    async fn store(&self, asked_as: &Integration, due: &[Post], told: &HashMap<String, u64>) -> Result<(), JobError> {
        let now = self.moment.now;
        let mut tx = self.engine.app.db.begin().await?;
        let share = budget::share_of(&mut tx, &platform_apps::key_of(&self.engine.app, asked_as)).await?;
        let again = |post: &Post| {
            let count = told.get(&post.platform_id).map(|count| i32::try_from(*count).unwrap_or(i32::MAX));
            let changed = count.is_some() && post.told.is_some() && count != post.told;
            let changed_at = if changed { Some(now) } else { post.changed_at };
            let wanted = rhythm::look_wanted(now, post.created_at, changed_at);
            // Missing though it was asked for as its own account: gone, which the sweep over all that is stored finds out.
            let look_at = (count.is_some() || post.integration_id == asked_as.id)
                .then(|| now + rhythm::stretched(wanted, share.stretch));
            (count, changed_at, look_at)
        };
        let next: Vec<_> = due.iter().map(again).collect();
        let unread = sqlx::query_scalar!(
            r#"with told as (
                   select * from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[])
                       as t (id, count, changed_at, look_at)
               ), held as (
                   select p.id from posts p join told t on t.id = p.id
                   order by p.platform_post_id collate "C", p.integration_id for no key update of p
               )
               update posts p
               set look_at = t.look_at, changed_at = t.changed_at, comments_told = coalesce(t.count, p.comments_told),
                   to_read = p.to_read or (t.count is not null and t.count is distinct from p.comments_told)
               from told t join held h on h.id = t.id
               where p.id = t.id
               returning case when p.to_read then p.integration_id end"#,
            &due.iter().map(|post| post.id).collect::<Vec<_>>(),
            &next.iter().map(|(count, ..)| *count).collect::<Vec<_>>() as &[Option<i32>],
            &next.iter().map(|(_, changed_at, _)| *changed_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
            &next.iter().map(|(.., look_at)| *look_at).collect::<Vec<_>>() as &[Option<OffsetDateTime>],
        )
        .fetch_all(&mut *tx)
        .await?;
        let unseen = due.iter().zip(&next).filter(|(_, (.., look_at))| look_at.is_none());
        let unseen: BTreeSet<Uuid> = unseen.map(|(post, _)| post.integration_id).collect();
        integrations::list_now(&mut tx, &unseen.into_iter().collect::<Vec<_>>()).await?;
        for integration_id in unread.into_iter().flatten().collect::<BTreeSet<Uuid>>() {
            jobs::enqueue_if_absent(&mut tx, &IntegrationPoll { integration_id }, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Apps through which some account was connected whose posts are to be looked at: a request's worth of them, or one that waited.
pub async fn apps_due(conn: &mut PgConnection, now: OffsetDateTime) -> Result<Vec<PostsLook>, sqlx::Error> {
    sqlx::query_as!(
        PostsLook,
        r#"select i.platform, i.app_id
           from integrations i
           cross join lateral (
               select count(*) as posts, min(p.look_at) as since from posts p
               where p.integration_id = i.id and p.look_at <= $1 and p.deleted_at is null
           ) due
           where i.state in ('connected', 'paused')
           group by i.platform, i.app_id
           having sum(due.posts)::bigint >= $2 or min(due.since) <= $3"#,
        now,
        BATCH as i64,
        now - GATHER,
    )
    .fetch_all(conn)
    .await
}

async fn due(conn: &mut PgConnection, of: &PostsLook, until: OffsetDateTime) -> Result<Vec<Post>, sqlx::Error> {
    sqlx::query_as!(
        Post,
        r#"select p.id, p.integration_id, p.platform_post_id as platform_id, p.platform_created_at as created_at,
                  p.look_at as "look_at!", p.comments_told as told, p.changed_at
           from integrations i
           cross join lateral (
               select * from posts p
               where p.integration_id = i.id and p.look_at <= $3 and p.deleted_at is null
               order by p.look_at limit $4
           ) p
           where i.platform = $1 and i.app_id is not distinct from $2 and i.state in ('connected', 'paused')
           order by p.look_at, p.id
           limit $4"#,
        of.platform,
        of.app_id,
        until,
        BATCH as i64,
    )
    .fetch_all(conn)
    .await
}

/// The posts of these accounts are not looked at before.
async fn put_off(conn: &mut PgConnection, integration_ids: &[Uuid], until: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update posts set look_at = $2 where integration_id = any($1) and look_at < $2 and deleted_at is null",
        integration_ids,
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Own posts among these are looked at from now on.
pub async fn follow(
    conn: &mut PgConnection,
    source: &Source,
    post_ids: &[String],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    if post_ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update posts set look_at = $3
         where integration_id = $1 and platform_post_id = any($2) and own and deleted_at is null
           and look_at is null and comments_told is null",
        source.integration_id,
        post_ids,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Posts whose number changed since their comments were read.
pub async fn unread(conn: &mut PgConnection, integration: &Integration) -> Result<Vec<PostCount>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select platform_post_id, platform_created_at, comments_told as "comments!" from posts
           where integration_id = $1 and team_id = $2 and to_read and deleted_at is null and comments_told is not null
           order by changed_at desc nulls last limit $3"#,
        integration.id,
        integration.team_id,
        PER_ROUND,
    )
    .fetch_all(conn)
    .await?;
    let count = |comments: i32| u64::try_from(comments).unwrap_or_default();
    Ok(rows
        .into_iter()
        .map(|row| PostCount {
            id: row.platform_post_id,
            created_at: row.platform_created_at,
            comments: count(row.comments),
        })
        .collect())
}

/// The cursor knows of these numbers now, in the transaction that stores it.
pub async fn handed_over(conn: &mut PgConnection, source: &Source, counted: &[PostCount]) -> Result<(), sqlx::Error> {
    if counted.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update posts p set to_read = false
         from unnest($2::text[], $3::int[]) as t (id, comments)
         where p.integration_id = $1 and p.platform_post_id = t.id and p.comments_told = t.comments",
        source.integration_id,
        &counted.iter().map(|post| post.id.clone()).collect::<Vec<_>>(),
        &counted.iter().map(|post| i32::try_from(post.comments).unwrap_or(i32::MAX)).collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What following an account's posts takes.
pub struct Load {
    pub per_sec: f64,
    /// Some young post is told by the account's own list alone.
    pub listed_only: bool,
}

pub async fn load(conn: &mut PgConnection, source: &Source, now: OffsetDateTime) -> Result<Load, sqlx::Error> {
    let posts = sqlx::query!(
        "select platform_created_at, changed_at, look_at from posts where integration_id = $1 and own and deleted_at is null",
        source.integration_id,
    )
    .fetch_all(conn)
    .await?;
    let followed = posts.iter().filter(|post| post.look_at.is_some());
    let wanted = followed.map(|post| rhythm::look_wanted(now, post.platform_created_at, post.changed_at));
    let per_sec = wanted.map(|time| 1.0 / time.as_seconds_f64()).sum::<f64>() / BATCH as f64;
    let young = |at: OffsetDateTime| now - at < time::Duration::days(30);
    let listed_only = posts.iter().any(|post| post.look_at.is_none() && young(post.platform_created_at));
    Ok(Load { per_sec, listed_only })
}
