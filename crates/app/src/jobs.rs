//! All jobs and schedules of the product. A stage hands over to the next by `enqueue` on its own transaction.

use crate::accounts::connect::PendingSweep;
use crate::accounts::mails::MailSend;
use crate::accounts::password_resets::PasswordForgot;
use crate::accounts::security::SecurityNotice;
use crate::accounts::subscriptions::WebhookSubscribe;
use crate::engine::Engine;
use crate::flow::ingest::{IntegrationPoll, PostProcess, PostsLook, StandingSweep};
use crate::flow::places::PlaceRead;
use crate::flow::send::{PostSend, ReconcileSweep, ReplyAct, WatchReplies, WatchSweep};
use crate::flow::suggest::{AiGenerate, SuggestSweep};
use crate::flow::watches::{WatchPoll, WatchesSweep};
use crate::privacy::PersonErase;
use crate::queue::{self, Job, Registry};
use crate::request_id;
use crate::telemetry;
use crate::upkeep::{PollSweep, TokenSweep, Upkeep};
use crate::webhooks::{WebhookDeliver, WebhookSweep};
use sqlx::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// What every job runs with.
pub type State = Arc<Engine>;

pub fn registry() -> Registry<State> {
    Registry::new()
        .job::<AiGenerate>()
        .job::<PostSend>()
        .job::<ReplyAct>()
        .job::<IntegrationPoll>()
        .job::<PostProcess>()
        .job::<WebhookSubscribe>()
        .job::<PostsLook>()
        .job::<StandingSweep>()
        .job::<WatchReplies>()
        .job::<WatchPoll>()
        .job::<PlaceRead>()
        .job::<MailSend>()
        .job::<SecurityNotice>()
        .job::<PasswordForgot>()
        .job::<WebhookDeliver>()
        .job::<PersonErase>()
        .every::<PollSweep>(Duration::from_secs(5))
        .every::<ReconcileSweep>(Duration::from_secs(15))
        .every::<WatchSweep>(Duration::from_secs(60))
        .every::<WatchesSweep>(Duration::from_secs(15))
        .every::<SuggestSweep>(Duration::from_secs(60))
        .every::<WebhookSweep>(Duration::from_secs(60))
        .every::<PendingSweep>(Duration::from_secs(60))
        .every::<TokenSweep>(Duration::from_secs(3600))
        .every::<Upkeep>(Duration::from_secs(3600))
}

/// Shows how much waits, per job of the list.
pub fn report_depths(depths: &[queue::Depth]) {
    let mut all = 0;
    for name in NAMES {
        let waiting = depths
            .iter()
            .find(|depth| depth.name == *name)
            .map_or(0, |depth| depth.ready + depth.taken + depth.waiting);
        all += waiting;
        telemetry::queue_length(name, u32::try_from(waiting).unwrap_or(u32::MAX));
    }
    telemetry::queue_length("all", u32::try_from(all).unwrap_or(u32::MAX));
}

const NAMES: &[&str] = &[
    AiGenerate::NAME,
    PostSend::NAME,
    ReplyAct::NAME,
    IntegrationPoll::NAME,
    PostProcess::NAME,
    WebhookSubscribe::NAME,
    PostsLook::NAME,
    StandingSweep::NAME,
    WatchReplies::NAME,
    WatchPoll::NAME,
    PlaceRead::NAME,
    MailSend::NAME,
    SecurityNotice::NAME,
    PasswordForgot::NAME,
    WebhookDeliver::NAME,
    PersonErase::NAME,
    PollSweep::NAME,
    ReconcileSweep::NAME,
    WatchSweep::NAME,
    WatchesSweep::NAME,
    SuggestSweep::NAME,
    WebhookSweep::NAME,
    PendingSweep::NAME,
    TokenSweep::NAME,
    Upkeep::NAME,
];

/// Adds a job on the caller's transaction; it runs from `at` on. A job of the same key is replaced.
pub async fn enqueue<J: Job<State>>(conn: &mut PgConnection, job: &J, at: OffsetDateTime) -> Result<i64, sqlx::Error> {
    queue::enqueue::<State, J>(conn, job, at, request_id::current().as_deref()).await
}

/// Adds a job only where none of its key waits. For sweeps.
pub async fn enqueue_if_absent<J: Job<State>>(
    conn: &mut PgConnection,
    job: &J,
    at: OffsetDateTime,
) -> Result<Option<i64>, sqlx::Error> {
    queue::enqueue_if_absent::<State, J>(conn, job, at, None).await
}

/// Adds many jobs of one kind in one round trip; gives their keys and ids.
pub async fn enqueue_many<J: Job<State>>(
    conn: &mut PgConnection,
    jobs: &[J],
    at: OffsetDateTime,
) -> Result<Vec<(Option<String>, i64)>, sqlx::Error> {
    queue::enqueue_many::<State, J>(conn, jobs, at, request_id::current().as_deref()).await
}
