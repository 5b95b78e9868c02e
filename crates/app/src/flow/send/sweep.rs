//! The job `reconcile.sweep`: finds approved replies that wait for a job that does not exist, whatever the cause, and adds it.

use super::PostSend;
use crate::jobs::{self, State};
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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
        let mut tx = state.app.db.begin().await?;
        let waiting = sqlx::query_as!(
            PostSend,
            "select id as suggestion_id, team_id, integration_id from suggestions
             where (status = 'approved' and stage in ('queued', 'parked') and send_after <= $1)
                or (stage in ('sending', 'uncertain') and (lease_until is null or lease_until <= $1) and coalesce(send_after, $1) <= $1)
             order by send_after
             limit $2",
            ctx.now - time::Duration::seconds(10),
            SWEEP,
        )
        .fetch_all(&mut *tx)
        .await?;
        for job in waiting {
            jobs::enqueue_if_absent(&mut tx, &job, ctx.now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
