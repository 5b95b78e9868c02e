//! The job `person.erase`: deletes what is stored of a person who asked for it. Their accounts are disconnected, what was read through them and
//! what they wrote elsewhere is wiped as if it were gone on the platform, a few hundred things a transaction, and at last the accounts and
//! the request itself forget whose they were.
//!
//! A read that was under way may store something after the account was disconnected; so the last step waits until none can be left.

use super::deletions::{self, Open};
use crate::accounts::integrations::{self, Integration};
use crate::accounts::subscriptions;
use crate::app::App;
use crate::clock::Moment;
use crate::flow::ingest::standing::{self, Wanted};
use crate::flow::ingest::{Source, webhook_events};
use crate::jobs::State;
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::time::Duration;
use uuid::Uuid;

const BATCH: i64 = 500;
/// No job that reads runs for so long.
const READS_END: time::Duration = time::Duration::minutes(5);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PersonErase {
    pub deletion_id: Uuid,
}

#[async_trait]
impl Job<State> for PersonErase {
    const NAME: &'static str = "person.erase";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 10;
    const TIMEOUT: Duration = Duration::from_secs(300);

    fn key(&self) -> Option<String> {
        Some(format!("erase:{}", self.deletion_id))
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let app = &state.app;
        let moment = Moment::at(ctx.now, &app.entropy);
        let Some(asked) = deletions::open(&mut *app.db.acquire().await?, self.deletion_id).await? else {
            return Ok(());
        };
        let accounts = disconnect(app, &moment, &asked).await?;
        let mut authors: Vec<String> = accounts.iter().map(|account| account.platform_account_id.clone()).collect();
        authors.push(asked.app_user_id.clone());
        wipe(app, &moment, &asked.platform, &accounts, &authors).await?;
        let quiet_from = accounts.iter().map(|account| account.state_since + READS_END).max();
        if let Some(at) = quiet_from.filter(|at| *at > ctx.now) {
            let reason = "a read that was under way may store something yet".to_owned();
            return Err(JobError::RetryAt { at, reason });
        }
        let mut tx = app.db.begin().await?;
        for account in &accounts {
            integrations::erase(&mut tx, &moment, account).await?;
            subscriptions::forget(&mut tx, account.team_id, account.id).await?;
        }
        deletions::done(&mut tx, self.deletion_id, &asked, ctx.now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The person's accounts, as they stand afterwards.
async fn disconnect(app: &App, moment: &Moment, asked: &Open) -> Result<Vec<Integration>, sqlx::Error> {
    let mut tx = app.db.begin().await?;
    let owned = async |conn: &mut PgConnection| {
        integrations::owned_by(conn, &asked.platform, &asked.app_user_id, asked.asked_at).await
    };
    for account in owned(&mut tx).await? {
        integrations::withdraw(&mut tx, moment, &account).await?;
    }
    let accounts = owned(&mut tx).await?;
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.id).collect();
    let names: Vec<String> = accounts.iter().map(|account| account.platform_account_id.clone()).collect();
    webhook_events::forget_accounts(&mut tx, &asked.platform, &ids, &names).await?;
    tx.commit().await?;
    Ok(accounts)
}

async fn wipe(
    app: &App,
    moment: &Moment,
    platform: &str,
    accounts: &[Integration],
    authors: &[String],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.id).collect();
    loop {
        let mut tx = app.db.begin().await?;
        let wanted = standing::of_person(&mut tx, platform, &ids, authors, BATCH).await?;
        if wanted.is_empty() {
            return Ok(());
        }
        for of_account in wanted.chunk_by(|one, next| one.integration_id == next.integration_id) {
            erase_things(&mut tx, moment, of_account).await?;
        }
        tx.commit().await?;
    }
}

/// Things of one account.
async fn erase_things(conn: &mut PgConnection, moment: &Moment, things: &[Wanted]) -> Result<(), sqlx::Error> {
    let Some(first) = things.first() else { return Ok(()) };
    let Some(account) = integrations::load(conn, first.team_id, first.integration_id).await? else { return Ok(()) };
    let ids: Vec<Uuid> = things.iter().map(|thing| thing.id).collect();
    standing::erase(conn, moment, &Source::of(&account), &ids).await
}
