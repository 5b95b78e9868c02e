//! A suggestion's life told from its rows: who drafted, changed and approved it, what it waited for and until when, each attempt
//! with its answer, each look on the platform, and where it stands. Ours and people's words only: no stranger's text is in these rows.

use crate::flow::activity::{self, ActivityRow};
use crate::flow::send::{self, Attempt};
use crate::model::{GeneratedBy, Outcome, Switch};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Older entries of a very long life are left out.
const ENTRIES: i64 = 300;

/// What kind of thing happened, in the order in which things of one moment happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Requested,
    Drafted,
    DraftFailed,
    AskedAgain,
    Edited,
    Held,
    Approved,
    Queued,
    Retried,
    Undone,
    Rejected,
    /// An attempt was written down, just before its call.
    Armed,
    /// Nobody knows whether it stands there.
    Uncertain,
    /// Looked for on the platform, and not there.
    ReadBack,
    /// What came of an attempt.
    Answered,
    Waited,
    Resumed,
    Returned,
    Refused,
    /// Seen on the platform.
    Posted,
    /// A person wants it changed or taken down there.
    ChangeAsked,
    ChangeFailed,
    Revised,
    Unpublished,
    /// Moderators or a filter took it down; or it is gone in another way.
    Removed,
    /// It stands there again.
    Back,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Step {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub what: What,
    /// The person; null where the machine acted.
    pub by: Option<String>,
    /// All of it as a sentence.
    #[schema(example = "Ana Lima approved the reply")]
    pub text: String,
    /// When it goes on by itself.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// The switch that somebody has to turn before it goes on.
    pub waits_for: Option<Switch>,
    /// Number of the attempt.
    pub attempt: Option<i32>,
    /// HTTP status of the platform's answer.
    pub status: Option<i16>,
    /// How often in a row, where more than once.
    pub times: Option<u32>,
    /// Where the reply stands.
    pub link: Option<String>,
}

/// Oldest first.
pub async fn of(conn: &mut PgConnection, team_id: Uuid, suggestion_id: Uuid) -> Result<Vec<Step>, sqlx::Error> {
    let rows = activity::list(conn, team_id, Some(suggestion_id), None, ENTRIES).await?;
    let attempts = send::attempts(conn, team_id, suggestion_id).await?;
    Ok(tell(&rows, &attempts))
}

/// Pure. `rows` in any order.
fn tell(rows: &[ActivityRow], attempts: &[Attempt]) -> Vec<Step> {
    let told = Told { rows, attempts };
    let mut steps: Vec<Step> = rows.iter().filter_map(|row| told.event(row)).collect();
    steps.extend(attempts.iter().map(armed));
    steps.extend(attempts.iter().filter_map(|attempt| told.ended(attempt)));
    steps.sort_by_key(|step| (step.at, step.what, step.attempt));
    in_a_row(steps)
}

struct Told<'a> {
    rows: &'a [ActivityRow],
    attempts: &'a [Attempt],
}

impl Told<'_> {
    /// None for entries that say nothing which an attempt's own step does not say better.
    fn event(&self, row: &ActivityRow) -> Option<Step> {
        let reason = row.payload["reason"].as_str();
        let step = |what, words: &str| Some(Step { by: row.actor_name.clone(), ..sentence(row, what, words) });
        let with =
            |what, words: &str| step(what, &reason.map_or(words.to_owned(), |reason| format!("{words}: {reason}")));
        match row.kind.as_str() {
            "suggestion.requested" => step(What::Requested, "asked for a reply"),
            "suggestion.drafted" => step(What::Drafted, &drafted(&row.payload)),
            "suggestion.draft_failed" => with(What::DraftFailed, "could not write a draft"),
            "suggestion.edited" => step(What::Edited, "changed the text"),
            "suggestion.held" => step(What::Held, &format!("held it for a second look: {}", listed(&row.payload))),
            "suggestion.approved" => Some(Step { until: until(row), ..step(What::Approved, "approved the reply")? }),
            "suggestion.queued" => Some(Step { until: until(row), ..step(What::Queued, "queued the reply")? }),
            "suggestion.undone" => step(What::Undone, "took the approval back"),
            "suggestion.rejected" => with(What::Rejected, "rejected the draft"),
            "suggestion.regenerated" => step(What::AskedAgain, "asked for a new draft"),
            "suggestion.retried" => Some(Step { until: until(row), ..step(What::Retried, "wants it sent again")? }),
            "suggestion.parked" => self.waited(row),
            "suggestion.resumed" => step(What::Resumed, "took the waiting reply up again"),
            "suggestion.returned" => with(What::Returned, "gave it back to a person"),
            "reply.refused" if !self.ended_at(row.created_at) => with(What::Refused, "refused to send it"),
            "reply.uncertain" if !self.answered_at(row.created_at) => {
                with(What::Uncertain, "cannot tell what became of it")
            }
            "reply.exchange" if row.payload["outcome"] == "uncertain" => Some(self.unclear(row)),
            "reply.read_back" => {
                let attempt = self.attempt(row).map(|attempt| attempt.number);
                Some(Step { attempt, ..step(What::ReadBack, "looked on the platform: the reply is not there")? })
            }
            "reply.posted" => {
                let link = row.payload["platform_reply_url"].as_str().map(str::to_owned);
                let words = if row.actor_name.is_some() {
                    "found the reply on the platform"
                } else {
                    "saw the reply on the platform"
                };
                Some(Step { link, ..step(What::Posted, words)? })
            }
            "reply.unpublish_requested" => step(What::ChangeAsked, "wants the reply taken down"),
            "reply.revise_requested" => step(What::ChangeAsked, "wants the reply changed there"),
            "reply.change_put_off" => with(What::Waited, "tries the change later"),
            "reply.change_uncertain" => with(What::Uncertain, "does not know yet whether the change was made"),
            "reply.change_failed" => with(What::ChangeFailed, "did not make the change"),
            "reply.unpublished" => step(What::Unpublished, "took the reply down"),
            "reply.removed" => step(What::Removed, "saw that the reply was removed by moderators or a filter"),
            "reply.vanished" => step(What::Removed, "saw that the reply does not stand there any more"),
            "reply.back" => step(What::Back, "saw the reply stand there again"),
            "reply.revised" => step(What::Revised, "changed the reply on the platform"),
            _ => None,
        }
    }

    fn attempt(&self, row: &ActivityRow) -> Option<&Attempt> {
        let id = row.payload["attempt_id"].as_str()?.parse::<Uuid>().ok()?;
        self.attempts.iter().find(|attempt| attempt.id == id)
    }

    fn ended_at(&self, at: OffsetDateTime) -> bool {
        self.attempts.iter().any(|attempt| attempt.finished_at == Some(at))
    }

    fn answered_at(&self, at: OffsetDateTime) -> bool {
        self.rows.iter().any(|row| row.kind == "reply.exchange" && row.created_at == at)
    }

    /// What an attempt ended with has said the reason already; what goes on at once does not wait.
    fn waited(&self, row: &ActivityRow) -> Option<Step> {
        let reason = row.payload["reason"].as_str();
        let said =
            |attempt: &Attempt| attempt.finished_at == Some(row.created_at) && attempt.reason.as_deref() == reason;
        let reason = reason.filter(|_| !self.attempts.iter().any(said));
        let waits_for: Option<Switch> = row.payload["waits_for"].as_str().and_then(|name| name.parse().ok());
        // What waits for a switch goes back to a person then, not on.
        let until = until(row).filter(|_| waits_for.is_none());
        if reason.is_none() && until.is_none() && waits_for.is_none() {
            return None;
        }
        let text = reason.map_or("Waits".to_owned(), |reason| format!("Waits: {reason}"));
        Some(Step { text, until, waits_for, ..sentence(row, What::Waited, "") })
    }

    fn unclear(&self, row: &ActivityRow) -> Step {
        let attempt = self.attempt(row).map(|attempt| attempt.number);
        let status = row.payload["status"].as_i64().and_then(|status| i16::try_from(status).ok());
        let text = attempt_text(attempt, "no clear answer", status, row.payload["reason"].as_str());
        Step { text, attempt, status, ..sentence(row, What::Uncertain, "") }
    }

    /// How an attempt ended; None while nobody knows.
    fn ended(&self, attempt: &Attempt) -> Option<Step> {
        let at = attempt.finished_at?;
        let words = match Outcome::from(attempt.outcome.clone()) {
            Outcome::Uncertain => return None,
            Outcome::Posted => "the platform took it",
            Outcome::Refused => "the platform refused it",
            Outcome::NotSent => "nothing was posted",
        };
        // The status of a call without a clear answer is told with that call.
        let unclear = self.rows.iter().any(|row| {
            row.kind == "reply.exchange"
                && row.payload["outcome"] == "uncertain"
                && self.attempt(row).is_some_and(|of| of.id == attempt.id)
        });
        let status = attempt.status.filter(|_| !unclear);
        let text = attempt_text(Some(attempt.number), words, status, attempt.reason.as_deref());
        Some(Step { status, attempt: Some(attempt.number), ..plain(at, What::Answered, text) })
    }
}

fn plain(at: OffsetDateTime, what: What, text: String) -> Step {
    Step {
        at,
        what,
        by: None,
        text,
        until: None,
        waits_for: None,
        attempt: None,
        status: None,
        times: None,
        link: None,
    }
}

/// Who did it, then what.
fn sentence(row: &ActivityRow, what: What, words: &str) -> Step {
    let who = row.actor_name.as_deref().unwrap_or("Rejoinder");
    plain(row.created_at, what, format!("{who} {words}"))
}

fn armed(attempt: &Attempt) -> Step {
    let text = format!("Attempt {} began", attempt.number);
    Step { attempt: Some(attempt.number), ..plain(attempt.armed_at, What::Armed, text) }
}

fn attempt_text(number: Option<i32>, words: &str, status: Option<i16>, reason: Option<&str>) -> String {
    let number = number.map_or("An attempt".to_owned(), |number| format!("Attempt {number}"));
    let status = status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{number}: {words}{status}{reason}")
}

/// Our own words and the model's name; what the model said about a stranger's text stays out.
fn drafted(payload: &Value) -> String {
    let draft = &payload["draft"];
    let by: Option<GeneratedBy> = draft["generated_by"].as_str().and_then(|by| by.parse().ok());
    let with = match (by, draft["model"].as_str()) {
        (Some(GeneratedBy::Template), _) => " from a template".to_owned(),
        (_, Some(model)) => format!(" with {model}"),
        _ => String::new(),
    };
    let confidence = draft["confidence"].as_f64().map(|share| format!(", confidence {share:.2}")).unwrap_or_default();
    format!("wrote a draft{with}{confidence}")
}

fn listed(payload: &Value) -> String {
    let reasons = payload["held_reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    reasons.collect::<Vec<_>>().join("; ")
}

fn until(row: &ActivityRow) -> Option<OffsetDateTime> {
    let at = row.payload["send_after"].as_i64().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    at.filter(|at| *at > row.created_at)
}

/// The same thing again and again is one step, told at its last time.
fn in_a_row(steps: Vec<Step>) -> Vec<Step> {
    let mut told: Vec<Step> = Vec::new();
    for step in steps {
        let again = told.last().filter(|last| {
            matches!(step.what, What::ReadBack | What::Waited)
                && (last.what, last.attempt, last.waits_for, &last.text)
                    == (step.what, step.attempt, step.waits_for, &step.text)
        });
        match again.map(|last| last.times.unwrap_or(1)) {
            Some(times) => {
                told.pop();
                told.push(Step { times: Some(times + 1), ..step });
            }
            None => told.push(step),
        }
    }
    told
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
