//! One run of one job, the same in workers and in the test driver: limits, span, metrics, and the verdict.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use crate::request_id;
use futures::FutureExt;
use serde_json::Value;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::envelope::{Decision, Envelope, Failure, MAX_PARKED};
use super::registry::Entry;
use super::{JobContext, JobError};

/// A process may die this often in a row under a job before the job ends as failed.
const MAX_DEATHS: u32 = 3;
const SOONEST: Duration = Duration::from_secs(1);

/// A job as it was taken from the table.
pub(super) struct Taken {
    pub(super) id: i64,
    /// This run included.
    pub(super) attempts: i16,
    pub(super) max_attempts: i16,
    pub(super) payload: Value,
    pub(super) last_error: Option<String>,
}

/// How a run ended.
pub(super) enum Verdict {
    Done,
    Failed {
        failure: Failure,
        /// `false`: gives the attempt back.
        costs_attempt: bool,
        /// `None`: the payload stays as it is.
        envelope: Option<Envelope>,
    },
}

/// The payload and the reason why it must not run, if any.
pub(super) struct Opened {
    pub(super) envelope: Envelope,
    /// The last run ended with the death of its process: count this one before it starts.
    pub(super) suspect: bool,
}

/// Reads the payload; a job that cannot be read or keeps killing its process gets its verdict at once.
pub(super) fn open(taken: &Taken) -> Result<Opened, Verdict> {
    let mut envelope = Envelope::decode(&taken.payload)
        .map_err(|error| permanent(&format!("the job's payload cannot be read: {error}"), None))?;
    let last = taken.last_error.as_deref().map(Failure::parse);
    let suspect = last.is_some_and(|failure| failure.decision == Decision::Crashed);
    if suspect && envelope.deaths >= MAX_DEATHS {
        let reason = format!("the process died {} times while it ran this job", MAX_DEATHS + 1);
        return Err(permanent(&reason, Some(envelope)));
    }
    if suspect {
        envelope.deaths += 1;
    }
    Ok(Opened { envelope, suspect })
}

fn permanent(reason: &str, envelope: Option<Envelope>) -> Verdict {
    Verdict::Failed { failure: Failure::new(Decision::Permanent, reason), costs_attempt: true, envelope }
}

/// Runs the handler. `cut` drops the run: the server stops and can wait no longer.
pub(super) async fn run<S>(
    entry: &Entry<S>,
    state: S,
    pool: PgPool,
    taken: &Taken,
    opened: Opened,
    now: OffsetDateTime,
    cut: &CancellationToken,
) -> Verdict
where
    S: Clone + Send + Sync + 'static,
{
    let mut envelope = opened.envelope;
    let ctx = JobContext {
        job_id: taken.id,
        attempt: taken.attempts,
        max_attempts: taken.max_attempts,
        now,
        request_id: envelope.request_id.clone(),
    };
    let span = tracing::info_span!(
        "job",
        job_id = ctx.job_id,
        job = entry.name,
        attempt = ctx.attempt,
        request_id = ctx.request_id.as_deref(),
    );
    let fields = envelope.job.clone();
    let handler = async move { (entry.run)(fields, state, ctx, pool).await };
    // What the job does belongs to the request that asked for it.
    let handler = match envelope.request_id.clone() {
        Some(id) => request_id::scope(id, handler).left_future(),
        None => handler.right_future(),
    };
    let handler = AssertUnwindSafe(handler).catch_unwind();
    let began = Instant::now();
    let end = async {
        tokio::select! {
            biased;
            ended = tokio::time::timeout(entry.timeout, handler) => end_of(ended, entry.timeout),
            () = cut.cancelled() => End::Interrupted,
        }
    }
    .instrument(span.clone())
    .await;

    let _in_span = span.enter();
    metrics::histogram!("job_duration_seconds", "job" => entry.name, "outcome" => end.outcome())
        .record(began.elapsed().as_secs_f64());
    log(&end, taken);
    // Whatever the end was, the process lived to see it.
    let had_deaths = std::mem::take(&mut envelope.deaths) > 0;
    verdict(end, envelope, had_deaths, now)
}

enum End {
    Done,
    Failed(JobError),
    TimedOut(Duration),
    Panicked(String),
    Interrupted,
}

impl End {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed(JobError::Retry(_)) => "retry",
            Self::Failed(JobError::RetryAt { .. }) => "retry_at",
            Self::Failed(JobError::Permanent(_)) => "permanent",
            Self::TimedOut(_) => "timeout",
            Self::Panicked(_) => "panic",
            Self::Interrupted => "interrupted",
        }
    }
}

type Ended = Result<Result<Result<(), JobError>, Box<dyn std::any::Any + Send>>, tokio::time::error::Elapsed>;

fn end_of(ended: Ended, timeout: Duration) -> End {
    match ended {
        Ok(Ok(Ok(()))) => End::Done,
        Ok(Ok(Err(error))) => End::Failed(error),
        Ok(Err(panic)) => End::Panicked(panic_text(panic.as_ref())),
        Err(_elapsed) => End::TimedOut(timeout),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}

fn log(end: &End, taken: &Taken) {
    let left = taken.max_attempts.saturating_sub(taken.attempts);
    match end {
        End::Done => tracing::debug!("job done"),
        End::Failed(JobError::Retry(reason)) => {
            tracing::warn!(reason, attempts_left = left, "job failed")
        }
        End::Failed(JobError::RetryAt { at, reason }) => {
            tracing::info!(reason, %at, "job comes back later")
        }
        End::Failed(JobError::Permanent(reason)) => tracing::error!(reason, "job failed for good"),
        End::TimedOut(after) => tracing::warn!(?after, attempts_left = left, "job timed out"),
        End::Panicked(text) => tracing::error!(text, attempts_left = left, "job panicked"),
        End::Interrupted => tracing::info!("job interrupted by the shutdown"),
    }
}

fn verdict(end: End, mut envelope: Envelope, had_deaths: bool, now: OffsetDateTime) -> Verdict {
    let (decision, reason, costs_attempt) = match end {
        End::Done => return Verdict::Done,
        End::Failed(JobError::Retry(reason)) => (Decision::Retry, reason, true),
        End::TimedOut(after) => (Decision::Retry, format!("timed out after {after:?}"), true),
        End::Panicked(text) => (Decision::Retry, format!("panicked: {text}"), true),
        End::Failed(JobError::Permanent(reason)) => (Decision::Permanent, reason, true),
        End::Interrupted => (Decision::Interrupted, "the server was stopping".to_owned(), false),
        End::Failed(JobError::RetryAt { at, reason }) => {
            let free = envelope.park(now);
            let at = at.clamp(now + SOONEST, now + MAX_PARKED);
            (Decision::RetryAt(at), reason, !free)
        }
    };
    let changed = had_deaths || matches!(decision, Decision::RetryAt(_));
    Verdict::Failed { failure: Failure::new(decision, &reason), costs_attempt, envelope: changed.then_some(envelope) }
}
