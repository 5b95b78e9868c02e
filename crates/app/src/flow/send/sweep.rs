//! The job `reconcile.sweep`: finds approved replies that wait for a job that does not exist, whatever the cause, and adds it. Wakes those
//! whose switch was turned back. Gives back what cannot go out any more.

use super::{PostSend, ReplyAct, act, attempts, gate};
use crate::app::App;
use crate::clock::Moment;
use crate::flow::suggestion::machine::APPROVAL_LASTS;
use crate::flow::suggestion::{self, Change, ChangeError, Step};
use crate::jobs::{self, State};
use crate::queue::{self, Class, Decision, Job, JobContext, JobError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;

const SWEEP: i64 = 500;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReconcileSweep {}

#[async_trait]
impl Job<State> for ReconcileSweep {
    const NAME: &'static str = "reconcile.sweep";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 1;
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn key(&self) -> Option<String> {
        Some(Self::NAME.to_owned())
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let app = &state.app;
        let moment = Moment::at(ctx.now, &app.entropy);
        let mut conn = app.db.acquire().await?;
        let waiting = waiting(&mut conn, ctx.now).await?;
        let expired = expired(&mut conn, ctx.now).await?;
        for action in act::waiting(&mut conn, ctx.now - time::Duration::seconds(10), SWEEP).await? {
            jobs::enqueue_if_absent(&mut conn, &ReplyAct::of(&action), ctx.now).await?;
        }
        drop(conn);
        for job in waiting {
            let mut tx = app.db.begin().await?;
            take_up(&mut tx, &moment, &job).await?;
            tx.commit().await?;
        }
        for job in expired {
            let mut tx = app.db.begin().await?;
            give_back(&mut tx, &moment, &job, vec![gate::TOO_OLD.to_owned()]).await?;
            queue::remove(&mut tx, &PostSend::key_of(job.suggestion_id)).await?;
            tx.commit().await?;
        }
        while wake_some(app, &moment).await? == SWEEP {}
        Ok(())
    }
}

/// Someone turned a switch back: what waited for it goes on at once, not at the next sweep.
pub async fn wake(conn: &mut PgConnection, moment: &Moment) -> Result<(), sqlx::Error> {
    jobs::enqueue(conn, &ReconcileSweep {}, moment.now).await?;
    Ok(())
}

/// Replies whose switch does not stand any more are queued, oldest approval first. Gives how many were looked at.
async fn wake_some(app: &App, moment: &Moment) -> Result<i64, JobError> {
    let mut tx = app.db.begin().await?;
    let ids = sqlx::query_scalar!(
        "select s.id from suggestions s
         join integrations i on i.id = s.integration_id
         left join team_settings t on t.team_id = s.team_id
         join instance_switches w on w.name = 'sending'
         where s.waits_for is not null
           and case s.waits_for when 'instance' then w.paused_at is null when 'team' then t.paused_at is null
                                else i.state not in ('paused', 'needs_reconnect') end
         order by s.approved_at
         limit $1",
        SWEEP,
    )
    .fetch_all(&mut *tx)
    .await?;
    let asleep = suggestion::lock_all(&mut tx, &ids, false).await?;
    let found = i64::try_from(asleep.len()).unwrap_or(i64::MAX);
    let steps =
        asleep.into_iter().map(|current| Step { current, change: Change::Resume, actor: None, request_id: None });
    let woken = suggestion::change_all(&mut tx, moment, steps.collect()).await?;
    let jobs: Vec<PostSend> = woken.iter().flatten().map(PostSend::of).collect();
    jobs::enqueue_many(&mut tx, &jobs, moment.now).await?;
    tx.commit().await?;
    Ok(found)
}

async fn waiting(conn: &mut PgConnection, now: OffsetDateTime) -> Result<Vec<PostSend>, sqlx::Error> {
    sqlx::query_as!(
        PostSend,
        "select id as suggestion_id, team_id, integration_id from suggestions
         where (status = 'approved' and stage in ('queued', 'parked') and send_after <= $1 and waits_for is null)
            or (stage in ('sending', 'uncertain') and (lease_until is null or lease_until <= $1) and coalesce(send_after, $1) <= $1)
         order by send_after
         limit $2",
        now - time::Duration::seconds(10),
        SWEEP,
    )
    .fetch_all(conn)
    .await
}

/// Approved and still here a day later, whatever it waits for: nobody sends it any more.
async fn expired(conn: &mut PgConnection, now: OffsetDateTime) -> Result<Vec<PostSend>, sqlx::Error> {
    sqlx::query_as!(
        PostSend,
        "select id as suggestion_id, team_id, integration_id from suggestions
         where status = 'approved' and stage in ('ready', 'parked') and approved_at <= $1
         order by approved_at
         limit $2",
        now - APPROVAL_LASTS,
        SWEEP,
    )
    .fetch_all(conn)
    .await
}

/// Adds the job where none waits. One that ended for good, such as one that keeps killing its process, is not begun again:
/// a person gets the reply back, unless something of it may stand on the platform.
async fn take_up(conn: &mut PgConnection, moment: &Moment, job: &PostSend) -> Result<(), JobError> {
    let failure = queue::dead_job(conn, &PostSend::key_of(job.suggestion_id)).await?;
    let for_good = failure.filter(|failure| failure.decision == Decision::Permanent);
    match for_good {
        Some(failure) if attempts::open(conn, job.suggestion_id).await?.is_none() => {
            give_back(conn, moment, job, vec![format!("sending failed for good: {}", failure.reason)]).await
        }
        _ => {
            jobs::enqueue_if_absent(conn, job, moment.now).await?;
            Ok(())
        }
    }
}

async fn give_back(
    conn: &mut PgConnection,
    moment: &Moment,
    job: &PostSend,
    reasons: Vec<String>,
) -> Result<(), JobError> {
    let returned =
        suggestion::change(conn, moment, job.team_id, job.suggestion_id, None, Change::Return { reasons }).await;
    match returned {
        // Decided meanwhile.
        Ok(_) | Err(ChangeError::Refused(_) | ChangeError::NotFound) => Ok(()),
        Err(ChangeError::Database(error)) => Err(error.into()),
    }
}
