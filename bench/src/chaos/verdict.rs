//! The rows held against the truth of the platform.

use super::approvals::Given;
use crate::home::Home;
use crate::rows::{self, Attempt, Row};
use crate::truth;
use crate::world::{Suggestion, World};
use anyhow::Result;
use rejoinder_sandbox::{Arrival, CommentView};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

const LEAST_POSTED: f64 = 0.97;
/// Suggestions that did not settle, and are told in full.
const UNSETTLED_TOLD: usize = 5;

/// How a suggestion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Posted,
    RefusedByPlatform,
    /// Nobody could find out; a person was asked.
    AskedPerson,
    /// Pending again, with what a person should look at.
    Returned,
    /// Approved and still on its way.
    Unsettled,
    /// Anything else: nobody would ever look at it again.
    Lost,
}

impl End {
    pub(super) const ALL: [(Self, &'static str); 6] = [
        (Self::Posted, "posted"),
        (Self::RefusedByPlatform, "refused by the platform"),
        (Self::AskedPerson, "unknown, a person was asked"),
        (Self::Returned, "returned to a person"),
        (Self::Unsettled, "still on its way"),
        (Self::Lost, "lost"),
    ];

    fn of(row: &Row) -> Self {
        let reason = row.stage_reason.as_deref().is_some_and(|reason| !reason.is_empty());
        match row.status.as_str() {
            "posted" => Self::Posted,
            "failed" if reason => Self::RefusedByPlatform,
            "approved" if row.for_a_person && reason => Self::AskedPerson,
            "approved" if !row.for_a_person => Self::Unsettled,
            "pending" if !row.held_reasons.is_empty() => Self::Returned,
            _ => Self::Lost,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub ends: BTreeMap<End, usize>,
    /// The same for the second ones of pairs.
    pub second_ends: BTreeMap<End, usize>,
    /// Why suggestions ended otherwise than posted, with how many did.
    pub reasons: BTreeMap<String, usize>,
    pub replies: usize,
    pub most_per_target: usize,
    pub most_per_suggestion: usize,
    pub writes: usize,
    pub attempts: usize,
    /// Attempts of unknown outcome that were found on the platform, and that were certainly not there.
    pub found: usize,
    pub absent: usize,
    pub share_posted: f64,
    pub breaches: Vec<String>,
}

/// All that is known in the end.
struct Known<'a> {
    world: &'a World,
    rows: HashMap<Uuid, Row>,
    attempts: Vec<Attempt>,
    replies: HashMap<String, Vec<CommentView>>,
    arrivals: Vec<Arrival>,
}

pub(super) async fn reach(home: &Home, world: &World, given: &Given, unsettled: usize) -> Result<Verdict> {
    let known = Known {
        world,
        rows: rows::suggestions(&home.pool).await?.into_iter().map(|row| (row.id, row)).collect(),
        attempts: rows::attempts(&home.pool).await?,
        replies: truth::replies(&home.control, world),
        arrivals: home.control.arrivals(),
    };
    let mut verdict = Verdict { writes: known.arrivals.len(), attempts: known.attempts.len(), ..Verdict::default() };
    let reasons = known.attempts.iter().filter_map(|attempt| attempt.reason.as_deref());
    verdict.found = reasons.clone().filter(|reason| reason.contains("stands on the platform")).count();
    verdict.absent = reasons.filter(|reason| reason.contains("never posted")).count();
    for suggestion in &world.suggestions {
        let end = known.judge(suggestion, &mut verdict);
        *verdict.ends.entry(end).or_default() += 1;
    }
    for suggestion in &given.seconds {
        let end = known.judge(suggestion, &mut verdict);
        *verdict.second_ends.entry(end).or_default() += 1;
    }
    known.judge_targets(given, &mut verdict);
    let posted = verdict.ends.get(&End::Posted).copied().unwrap_or_default();
    verdict.share_posted = posted as f64 / world.suggestions.len().max(1) as f64;
    if verdict.share_posted < LEAST_POSTED {
        let percent = verdict.share_posted * 100.0;
        verdict.breaches.push(format!("only {percent:.1}% were posted, {:.0}% is the least", LEAST_POSTED * 100.0));
    }
    if unsettled > 0 {
        verdict
            .breaches
            .push(format!("{unsettled} suggestions were still on their way when the time to settle was over"));
        let all = world.suggestions.iter().chain(&given.seconds);
        for suggestion in all.filter(|suggestion| known.on_its_way(suggestion)).take(UNSETTLED_TOLD) {
            let job = rows::job_of(&home.pool, suggestion.id).await?;
            verdict.breaches.push(format!("still on its way: {}\n      job: {job}", known.story(suggestion)));
        }
    }
    Ok(verdict)
}

impl Known<'_> {
    /// How one suggestion ended, with every breach of it.
    fn judge(&self, suggestion: &Suggestion, verdict: &mut Verdict) -> End {
        let Some(row) = self.rows.get(&suggestion.id) else {
            verdict.breaches.push(format!("the row of {} is gone", suggestion.id));
            return End::Lost;
        };
        let end = End::of(row);
        let replies = self.replies_of(suggestion);
        verdict.most_per_suggestion = verdict.most_per_suggestion.max(replies.len());
        if replies.len() > 1 {
            verdict.breaches.push(format!("{} replies of one suggestion: {}", replies.len(), self.story(suggestion)));
        }
        let named = row.platform_reply_id.as_deref();
        if end == End::Posted && !replies.iter().any(|reply| named == Some(reply.fullname.as_str())) {
            verdict.breaches.push(format!("posted, but no such reply stands there: {}", self.story(suggestion)));
        }
        if !replies.is_empty() && matches!(end, End::RefusedByPlatform | End::Returned | End::Lost) {
            verdict
                .breaches
                .push(format!("a reply stands there, but its row says otherwise: {}", self.story(suggestion)));
        }
        if end == End::Lost {
            verdict
                .breaches
                .push(format!("it ended without a reason that anybody could see: {}", self.story(suggestion)));
        }
        if end != End::Posted {
            let reason = row.held_reasons.first().or(row.stage_reason.as_ref()).cloned().unwrap_or_default();
            *verdict.reasons.entry(reason).or_default() += 1;
        }
        end
    }

    /// At most one reply of an account under each target, and none that nobody asked for.
    fn judge_targets(&self, given: &Given, verdict: &mut Verdict) {
        let asked: HashMap<(&str, &str), &Suggestion> = self
            .world
            .suggestions
            .iter()
            .chain(&given.seconds)
            .map(|one| ((one.target.as_str(), one.text.as_str()), one))
            .collect();
        for (target, replies) in &self.replies {
            verdict.replies += replies.len();
            verdict.most_per_target = verdict.most_per_target.max(replies.len());
            let known = replies.iter().filter_map(|reply| asked.get(&(target.as_str(), reply.text.as_str()))).next();
            match known {
                Some(suggestion) if replies.len() > 1 => {
                    verdict.breaches.push(format!(
                        "{} replies under one target: {}",
                        replies.len(),
                        self.story(suggestion)
                    ));
                }
                Some(_) => {}
                None => verdict.breaches.push(format!("a reply under {target} that nobody asked for: {replies:?}")),
            }
        }
    }

    fn on_its_way(&self, suggestion: &Suggestion) -> bool {
        self.rows.get(&suggestion.id).is_some_and(Row::on_its_way)
    }

    fn replies_of(&self, suggestion: &Suggestion) -> Vec<&CommentView> {
        let account = &self.world.account_of(suggestion).name;
        let there = self.replies.get(&suggestion.target).into_iter().flatten();
        there.filter(|reply| reply.text == suggestion.text && reply.author == *account).collect()
    }

    /// Everything that happened to it and under its target, for whoever looks for the cause.
    fn story(&self, suggestion: &Suggestion) -> String {
        let mut lines = vec![format!("suggestion {} for {}", suggestion.id, suggestion.target)];
        if let Some(row) = self.rows.get(&suggestion.id) {
            lines.push(format!(
                "row: {} {} {:?} {:?} {:?}",
                row.status, row.stage, row.stage_reason, row.held_reasons.0, row.platform_reply_id
            ));
        }
        let attempts = self.attempts.iter().filter(|attempt| attempt.suggestion_id == suggestion.id);
        lines.extend(attempts.map(|attempt| {
            format!(
                "attempt {} armed {} by {}: {} after {} absent reads, {:?}",
                attempt.number,
                attempt.armed_at,
                attempt.worker_id,
                attempt.outcome,
                attempt.absent_reads,
                attempt.reason
            )
        }));
        let arrivals = self.arrivals.iter().filter(|arrival| arrival.thing == suggestion.target);
        lines.extend(
            arrivals.map(|arrival| format!("write {} from {}: {:?}", arrival.at, arrival.agent, arrival.fault)),
        );
        let replies = self.replies.get(&suggestion.target).into_iter().flatten();
        lines
            .extend(replies.map(|reply| format!("reply {} made {}: {}", reply.fullname, reply.created_at, reply.text)));
        lines.join("\n      ")
    }
}
