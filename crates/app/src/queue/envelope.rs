//! What is stored beside a job's own fields, and how a failure reads in `last_error`.
//!
//! The payload column holds an [`Envelope`]; replacing a job by its key starts a new one, so counters never leak from
//! one piece of work to the next. `last_error` holds `retry: ...`, `retry-at <time>: ...`, `permanent: ...` or
//! `interrupted: ...`; the engine wraps the text of a worker run in `TaskError("...")`, which [`Failure::parse`] undoes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The engine's own text on a job that it took back from a dead worker.
const RECOVERED: &str = "Job recovered after worker interruption";
const REASON_MAX_CHARS: usize = 500;

/// Free [`super::JobError::RetryAt`]s of one job.
const MAX_FREE_PARKS: u32 = 500;
pub(super) const MAX_PARKED: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) job: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<String>,
    /// How often the job asked for a later time, and the unix second of the first time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) parks: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parked_since: Option<i64>,
    /// Runs begun since the job was last known to have come out of one alive.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) deaths: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Envelope {
    pub(super) fn new(job: Value, request_id: Option<&str>) -> Self {
        Self { job, request_id: request_id.map(str::to_owned), parks: 0, parked_since: None, deaths: 0 }
    }

    pub(super) fn decode(payload: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(payload)
    }

    pub(super) fn encode(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Counts one more [`super::JobError::RetryAt`]; answers whether it still is free.
    pub(super) fn park(&mut self, now: OffsetDateTime) -> bool {
        let since = *self.parked_since.get_or_insert(now.unix_timestamp());
        self.parks = self.parks.saturating_add(1);
        let parked_secs = now.unix_timestamp().saturating_sub(since);
        self.parks <= MAX_FREE_PARKS && parked_secs < MAX_PARKED.as_secs().cast_signed()
    }
}

/// A failed run as it stands in `last_error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub decision: Decision,
    pub reason: String,
}

/// What was decided about a failed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Retry,
    RetryAt(OffsetDateTime),
    Permanent,
    /// The server stopped before the run was over; it costs no attempt.
    Interrupted,
    /// The process that ran the job died.
    Crashed,
    /// Not written by us.
    Unknown,
}

impl Failure {
    pub(super) fn new(decision: Decision, reason: &str) -> Self {
        Self { decision, reason: reason.chars().take(REASON_MAX_CHARS).collect() }
    }

    /// Reads `last_error` of a job.
    pub fn parse(last_error: &str) -> Self {
        if last_error == RECOVERED {
            return Self::new(Decision::Crashed, "the process that ran it died");
        }
        let text = unwrap_engine_text(last_error);
        let (decision, reason) = match text.split_once(": ") {
            Some(("retry", reason)) => (Decision::Retry, reason),
            Some(("permanent", reason)) => (Decision::Permanent, reason),
            Some(("interrupted", reason)) => (Decision::Interrupted, reason),
            Some((head, reason)) => match parse_retry_at(head) {
                Some(at) => (Decision::RetryAt(at), reason),
                None => (Decision::Unknown, text.as_str()),
            },
            None => (Decision::Unknown, text.as_str()),
        };
        Self::new(decision, reason)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.decision {
            Decision::Retry => write!(f, "retry: {}", self.reason),
            Decision::RetryAt(at) => {
                let at = at.to_utc();
                write!(f, "retry-at {}: {}", at.format(&Rfc3339).map_err(|_| std::fmt::Error)?, self.reason)
            }
            Decision::Permanent => write!(f, "permanent: {}", self.reason),
            Decision::Interrupted => write!(f, "interrupted: {}", self.reason),
            Decision::Crashed | Decision::Unknown => f.write_str(&self.reason),
        }
    }
}

fn parse_retry_at(head: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(head.strip_prefix("retry-at ")?, &Rfc3339).ok()
}

/// `TaskError("...")` is the engine's Debug form of our text.
fn unwrap_engine_text(last_error: &str) -> String {
    let Some(quoted) = last_error.strip_prefix("TaskError(\"").and_then(|rest| rest.strip_suffix("\")")) else {
        return last_error.to_owned();
    };
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        match (char, char == '\\') {
            (_, false) => text.push(char),
            (_, true) => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(escaped) => text.push(escaped),
                None => {}
            },
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_decision_survives_the_way_through_last_error() {
        let at = datetime!(2026-03-01 12:00:00.25 UTC);
        for decision in [Decision::Retry, Decision::RetryAt(at), Decision::Permanent, Decision::Interrupted] {
            let failure = Failure::new(decision, "it said: \"no\" \\ twice\nand left");
            let by_engine = format!("TaskError({:?})", failure.to_string());
            assert_eq!(Failure::parse(&failure.to_string()), failure);
            assert_eq!(Failure::parse(&by_engine), failure);
        }
        assert_eq!(Failure::parse(RECOVERED).decision, Decision::Crashed);
        assert_eq!(Failure::parse("TaskPanic(\"x\")").decision, Decision::Unknown);
    }

    #[test]
    fn parking_is_free_five_hundred_times_or_seven_days() {
        let start = datetime!(2026-03-01 12:00 UTC);
        let mut often = Envelope::new(Value::Null, None);
        assert!((0..500).all(|_| often.park(start)));
        assert!(!often.park(start));

        let mut long = Envelope::new(Value::Null, None);
        assert!(long.park(start));
        assert!(long.park(start + Duration::from_secs(6 * 24 * 3600)));
        assert!(!long.park(start + MAX_PARKED));
    }
}
