//! After posting: are our replies still there? Actors: `watch.sweep`, which finds the accounts with a reply that is due for a look,
//! and `watch.replies`, one account, at most a hundred replies in one call.
//!
//! Looked at is with another account of the team where there is one: a platform may show its author a removed reply as if nothing had
//! happened (Reddit does), so that the account's own look tells what was deleted and the score, and not what was removed.
//!
//! A reply is looked at ten minutes after posting, then ever more seldom, for a week. What changed stands in its row and in the story of its
//! suggestion. Several removals make a pattern, which pauses rules (`etiquette::rule_pauses`). A look that fails is made again later;
//! nothing is concluded from it.

use super::replies::{self, Looked, Reply};
use crate::accounts::integrations::{self, Integration};
use crate::accounts::tokens;
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::etiquette::rule_pauses::{self, Pattern};
use crate::jobs::{self, State};
use crate::model::ReplyStanding;
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{FetchError, Standing, ThingState};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const SWEEP: i64 = 500;
/// As many as one call of the platforms takes.
const AT_ONCE: i64 = 100;
const UNREAD: time::Duration = time::Duration::minutes(15);

/// Finds the accounts whose replies are due for a look.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WatchSweep {}

#[async_trait]
impl Job<State> for WatchSweep {
    const NAME: &'static str = "watch.sweep";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 1;
    const TIMEOUT: Duration = Duration::from_secs(30);

    fn key(&self) -> Option<String> {
        Some(Self::NAME.to_owned())
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let mut tx = state.app.db.begin().await?;
        for integration_id in replies::accounts_due(&mut tx, ctx.now, SWEEP).await? {
            jobs::enqueue_if_absent(&mut tx, &WatchReplies { integration_id }, ctx.now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Looks at the replies of one account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WatchReplies {
    pub integration_id: Uuid,
}

#[async_trait]
impl Job<State> for WatchReplies {
    const NAME: &'static str = "watch.replies";
    const CLASS: Class = Class::Poll;
    const MAX_ATTEMPTS: i16 = 3;
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn key(&self) -> Option<String> {
        Some(format!("watch:{}", self.integration_id))
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let app = &state.app;
        let moment = Moment::at(ctx.now, &app.entropy);
        let mut conn = app.db.acquire().await?;
        let Some(integration) = integrations::load_any_team(&mut conn, self.integration_id).await? else {
            return Ok(());
        };
        let due = replies::due(&mut conn, integration.id, ctx.now, AT_ONCE).await?;
        if due.is_empty() || !integration.is_read() {
            // Not readable now: the next consent or resume finds them due still, one a day.
            return Ok(replies::put_off(&mut conn, integration.id, ctx.now, ctx.now + time::Duration::DAY).await?);
        }
        drop(conn);
        let viewer = viewer(&mut *app.db.acquire().await?, &integration).await?;
        match look(state, &moment, &viewer, &due).await {
            Ok(things) => note(state, &moment, &integration, &due, &things).await,
            Err(reason) => {
                tracing::info!(%reason, "our replies could not be looked at");
                let mut conn = app.db.acquire().await?;
                Ok(replies::put_off(&mut conn, integration.id, ctx.now, ctx.now + UNREAD).await?)
            }
        }
    }
}

/// Who sees what strangers see: another account of the team on the same platform, else the account itself.
async fn viewer(conn: &mut PgConnection, integration: &Integration) -> Result<Integration, sqlx::Error> {
    let mut others = integrations::list(conn, integration.team_id).await?.into_iter();
    let other =
        others.find(|other| other.id != integration.id && other.platform == integration.platform && other.is_read());
    Ok(other.unwrap_or_else(|| integration.clone()))
}

async fn look(
    state: &State,
    moment: &Moment,
    integration: &Integration,
    due: &[Reply],
) -> Result<Vec<ThingState>, String> {
    let app = &state.app;
    let reader = app.readers.get(&integration.platform).map_err(|error| error.to_string())?;
    let ids: Vec<String> = due.iter().map(|reply| reply.platform_reply_id.clone()).collect();
    let mut dead = None;
    loop {
        let session = tokens::session(app, moment, integration, dead.as_ref()).await;
        let session = session.map_err(|error| error.to_string())?;
        match reader.states(&session, &ids).await {
            Ok(states) => return Ok(states.things),
            Err(FetchError::AuthExpired) if dead.is_none() => dead = Some(session.access_token),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// One transaction for all of them.
async fn note(
    state: &State,
    moment: &Moment,
    integration: &Integration,
    due: &[Reply],
    things: &[ThingState],
) -> Result<(), JobError> {
    let pattern = state.app.config.removals;
    let mut tx = state.app.db.begin().await?;
    for (reply, thing) in due.iter().zip(things) {
        // Taken down by a person between the look and now: that is known better.
        let Some(held) = replies::hold(&mut tx, reply.suggestion_id).await? else { continue };
        let before = ReplyStanding::from(held.standing.clone());
        if before == ReplyStanding::Unpublished {
            continue;
        }
        let standing = match thing.standing {
            Standing::Here => ReplyStanding::Here,
            Standing::Removed => ReplyStanding::Removed,
            Standing::Deleted => ReplyStanding::Deleted,
        };
        let looked = Looked { standing, score: thing.score, check_at: next_look(held.posted_at, moment.now) };
        replies::looked(&mut tx, moment, &held, &looked).await?;
        if before != standing {
            tell(&mut tx, moment, integration, &held, standing, &pattern).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

async fn tell(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    reply: &Reply,
    standing: ReplyStanding,
    pattern: &Pattern,
) -> Result<(), sqlx::Error> {
    let kind = match standing {
        ReplyStanding::Removed => Kind::ReplyRemoved,
        ReplyStanding::Deleted => Kind::ReplyVanished,
        ReplyStanding::Here | ReplyStanding::Unpublished => Kind::ReplyBack,
    };
    let payload = json!({
        "before": { "standing": reply.standing }, "after": { "standing": standing }, "platform_reply_id": reply.platform_reply_id,
        "community": reply.community,
    });
    let subject = Subject::Suggestion(reply.suggestion_id);
    activity::record(conn, moment, reply.team_id, None, kind, subject, payload).await?;
    if standing == ReplyStanding::Removed {
        rule_pauses::after_removal(conn, moment, integration, reply.community.as_deref(), pattern).await?;
    }
    Ok(())
}

/// Often at first, for a week at most.
fn next_look(posted_at: OffsetDateTime, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let pause = match now - posted_at {
        age if age < time::Duration::HOUR => time::Duration::minutes(25),
        age if age < time::Duration::DAY => time::Duration::hours(4),
        age if age < time::Duration::WEEK => time::Duration::DAY,
        _ => return None,
    };
    Some(now + pause)
}

#[cfg(test)]
mod tests {
    use super::next_look;
    use time::Duration;
    use time::macros::datetime;

    #[test]
    fn a_reply_is_looked_at_ever_more_seldom_and_after_a_week_no_more() {
        let posted = datetime!(2026-11-22 10:00 UTC);
        let mut at = posted + Duration::minutes(10);
        let mut looks = vec![at];
        while let Some(next) = next_look(posted, at) {
            assert!(next > at);
            at = next;
            looks.push(at);
        }
        assert!(looks.len() < 24, "{looks:?}");
        assert!(at - posted >= Duration::WEEK && at - posted < Duration::days(9), "{looks:?}");
    }
}
