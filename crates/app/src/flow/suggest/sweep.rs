//! The job `suggest.sweep`: a draft whose job is gone, whatever the cause, fails with the reason, so that nobody waits for ever.

use crate::clock::Moment;
use crate::flow::suggestion::{self, Change, ChangeError};
use crate::jobs::State;
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longer than all tries of a draft together.
const GIVEN_UP_AFTER: time::Duration = time::Duration::minutes(15);
const SWEEP: i64 = 200;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SuggestSweep {}

#[async_trait]
impl Job<State> for SuggestSweep {
    const NAME: &'static str = "suggest.sweep";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 1;
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn key(&self) -> Option<String> {
        Some(Self::NAME.to_owned())
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let moment = Moment::at(ctx.now, &state.app.entropy);
        let mut conn = state.app.db.acquire().await?;
        let stuck = suggestion::drafting_since(&mut conn, ctx.now - GIVEN_UP_AFTER, SWEEP).await?;
        drop(conn);
        for (id, team_id, generation_id) in stuck {
            let reason = "drafting did not come to an end; ask for it again".to_owned();
            let mut tx = state.app.db.begin().await?;
            match suggestion::change(&mut tx, &moment, team_id, id, None, Change::DraftFailed { generation_id, reason })
                .await
            {
                Ok(_) => tx.commit().await?,
                Err(ChangeError::Database(error)) => return Err(error.into()),
                Err(error) => tracing::info!(%error, "draft ended meanwhile"),
            }
        }
        Ok(())
    }
}
