//! The jobs `watches.sweep`, which finds the watches that are due, and `watch.poll`, one watch, one round: reads the platform without a
//! transaction, stores in one, and only while the watch is still on. A round that fails is put off; nothing piles up.

use super::WatchRow;
use crate::accounts::integrations::{self, Integration};
use crate::accounts::tokens;
use crate::clock::Moment;
use crate::flow::ingest::{self, Source};
use crate::flow::places;
use crate::jobs::{self, State};
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{Cursor, FetchError, InboundItem, Polled};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const SWEEP: i64 = 200;
/// How long a watch waits between two rounds: nobody speaks to us there, so it comes after our own posts.
const INTERVAL: time::Duration = time::Duration::minutes(5);
const SOON: time::Duration = time::Duration::seconds(30);
/// After a refusal that concerns this watch alone: a private community, words that the platform does not take.
const REFUSED_AGAIN: time::Duration = time::Duration::HOUR;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WatchesSweep {}

#[async_trait]
impl Job<State> for WatchesSweep {
    const NAME: &'static str = "watches.sweep";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 1;
    const TIMEOUT: Duration = Duration::from_secs(30);

    fn key(&self) -> Option<String> {
        Some(Self::NAME.to_owned())
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let mut tx = state.app.db.begin().await?;
        for watch_id in due(&mut tx, ctx.now, SWEEP).await? {
            jobs::enqueue_if_absent(&mut tx, &WatchPoll { watch_id }, ctx.now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WatchPoll {
    pub watch_id: Uuid,
}

#[async_trait]
impl Job<State> for WatchPoll {
    const NAME: &'static str = "watch.poll";
    const CLASS: Class = Class::Poll;
    const MAX_ATTEMPTS: i16 = 3;
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// After the account's own threads.
    const PRIORITY: i16 = 10;

    fn key(&self) -> Option<String> {
        Some(format!("watch.poll:{}", self.watch_id))
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let app = &state.app;
        let moment = Moment::at(ctx.now, &app.entropy);
        let mut conn = app.db.acquire().await?;
        let Some(watch) = super::load_any_team(&mut conn, self.watch_id).await?.filter(|watch| watch.active) else {
            return Ok(());
        };
        let Some(integration) = integrations::load(&mut conn, watch.team_id, watch.integration_id).await? else {
            return Ok(());
        };
        if !integration.is_read() {
            let why = "the account is not connected; it goes on when an admin has connected it again";
            return Ok(put_off(&mut conn, &watch, ctx.now + REFUSED_AGAIN, why).await?);
        }
        drop(conn);
        match read(state, &moment, &integration, &watch).await {
            Ok(polled) => keep(state, &moment, &integration, &watch, polled).await,
            Err((after, reason)) => Ok(put_off(&mut *app.db.acquire().await?, &watch, ctx.now + after, &reason).await?),
        }
    }
}

async fn read(
    state: &State,
    moment: &Moment,
    integration: &Integration,
    watch: &WatchRow,
) -> Result<Polled, (time::Duration, String)> {
    let app = &state.app;
    let reader = app.readers.get(&integration.platform).map_err(|error| (REFUSED_AGAIN, error.to_string()))?;
    let wanted = super::what(watch.kind(), &watch.text, watch.community.as_deref());
    let cursor = Cursor(watch.cursor.clone());
    let mut dead = None;
    loop {
        let session = tokens::session(app, moment, integration, dead.as_ref()).await;
        let session = session.map_err(|error| (INTERVAL, error.to_string()))?;
        let error = match reader.watch(&session, &wanted, &cursor).await {
            Ok(polled) => return Ok(polled),
            Err(FetchError::AuthExpired) if dead.is_none() => {
                dead = Some(session.access_token);
                continue;
            }
            Err(error) => error,
        };
        let after = match &error {
            FetchError::RateLimited { retry_after } => time::Duration::try_from(*retry_after).unwrap_or(INTERVAL),
            FetchError::OverBudget { .. } | FetchError::Refused { .. } => REFUSED_AGAIN,
            FetchError::AuthExpired | FetchError::Unavailable(_) => INTERVAL,
        };
        return Err((after.max(INTERVAL), error.to_string()));
    }
}

async fn keep(
    state: &State,
    moment: &Moment,
    integration: &Integration,
    watch: &WatchRow,
    polled: Polled,
) -> Result<(), JobError> {
    let source = Source::of(integration);
    let soon = polled.wait.and_then(|wait| wait.try_into().ok()).map_or(SOON, |wait: time::Duration| wait.max(SOON));
    let next = moment.now + if polled.more || polled.wait.is_some() { soon } else { INTERVAL };
    let problem = (!polled.problems.is_empty()).then(|| polled.problems.join("; "));
    let posts: Vec<String> = polled.items.iter().filter_map(post_id).collect();
    let mut tx = state.app.db.begin().await?;
    // Turned off, deleted or begun anew since it was read: nothing of this round counts.
    if !moved(&mut tx, moment, watch, &polled.cursor.0, next, problem.as_deref()).await? {
        return Ok(());
    }
    ingest::store(&mut tx, moment, &source, polled.items).await?;
    ingest::found_by(&mut tx, moment, &source, watch.id, &posts).await?;
    places::wanted(&mut tx, moment, &source, &posts).await?;
    tx.commit().await?;
    Ok(())
}

fn post_id(item: &InboundItem) -> Option<String> {
    match item {
        InboundItem::Post(post) => Some(post.id.clone()),
        InboundItem::Thread(_) | InboundItem::Comment(_) => None,
    }
}

async fn due(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select id from watches where active and next_poll_at <= $1 order by next_poll_at limit $2",
        now,
        limit
    )
    .fetch_all(conn)
    .await
}

/// The position after a round, compare-and-set; false where the watch is another one by now.
async fn moved(
    conn: &mut PgConnection,
    moment: &Moment,
    watch: &WatchRow,
    cursor: &Value,
    next_poll_at: OffsetDateTime,
    problem: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query!(
        "update watches set cursor = $3, last_polled_at = $4, next_poll_at = $5, last_problem = $6
         where id = $1 and team_id = $2 and active and updated_at = $7",
        watch.id,
        watch.team_id,
        cursor,
        moment.now,
        next_poll_at,
        problem,
        watch.updated_at,
    )
    .execute(conn)
    .await?;
    Ok(moved.rows_affected() == 1)
}

async fn put_off(
    conn: &mut PgConnection,
    watch: &WatchRow,
    until: OffsetDateTime,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update watches set next_poll_at = $3, last_problem = $4 where id = $1 and team_id = $2 and updated_at = $5",
        watch.id,
        watch.team_id,
        until,
        reason,
        watch.updated_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}
