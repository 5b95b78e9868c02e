//! The egress gate: every public write passes here, before the thread is read and again at arming with the rows held. It answers
//! what to do, and when that is not "go", why, in words for a person. Pure: what stands in the rows decides.

use super::situation::Situation;
use crate::flow::etiquette::Manners;
use crate::flow::safety;
use crate::flow::suggestion::Suggestion;
use crate::flow::suggestion::machine::APPROVAL_LASTS;
use crate::model::{IntegrationState, Switch};
use time::{Duration, OffsetDateTime};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Allow,
    /// Not now; this time it may go.
    WaitUntil {
        at: OffsetDateTime,
        reason: String,
    },
    /// Not while a switch stands; somebody has to turn it back.
    WaitFor {
        switch: Switch,
        reason: String,
    },
    /// A person must look again.
    ReturnToPerson {
        reasons: Vec<String>,
    },
    /// Never.
    Refuse {
        reason: String,
    },
}

/// What the server's operator has set.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// No write request leaves the machine.
    pub dry_run: bool,
    pub plan: Plan,
    /// Replies of one team and its local day, where the operator has set it: for people's replies too.
    pub team_cap: Option<u32>,
    /// Replies of the installation and the UTC day.
    pub instance_cap: Option<u32>,
    /// Between two replies of one account, unless the team says otherwise.
    pub gap: Duration,
}

/// Replies that rules may send in one day where nobody has set a cap.
const CAP_OF_RULES: u32 = 100;

/// What the team has paid for. Without billing everything is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    SelfHosted,
}

impl Plan {
    fn allows_replies(self) -> bool {
        match self {
            Self::SelfHosted => true,
        }
    }
}

/// Why something goes back that was approved too long ago.
pub const TOO_OLD: &str = "the approval is older than 24 hours and the thread may have moved on";

/// Why nothing goes out to somebody.
pub const OPTED_OUT: &str = "its author asked not to be answered; an admin may lift that on the page Etiquette";

impl Rules {
    /// How many replies the team may send in a day, as far as this one is concerned: the team's own word, else the operator's, else a
    /// limit for rules alone.
    pub fn cap_for(&self, suggestion: &Suggestion, situation: &Situation) -> Option<i64> {
        let of_rules = suggestion.state.approved_by.is_none().then_some(CAP_OF_RULES);
        situation.team.daily_cap.map(i64::from).or_else(|| self.team_cap.or(of_rules).map(i64::from))
    }

    pub fn gap_for(&self, situation: &Situation) -> Duration {
        situation.team.gap_secs.map_or(self.gap, |secs| Duration::seconds(secs.into()))
    }
}

/// `now` must be the time for which the situation was read.
pub fn check(
    rules: &Rules,
    suggestion: &Suggestion,
    situation: Option<&Situation>,
    manners: &Manners,
    now: OffsetDateTime,
) -> Answer {
    let state = &suggestion.state;
    if state.text.as_deref().is_none_or(|text| text.trim().is_empty()) {
        return Answer::Refuse { reason: "there is no text to send".to_owned() };
    }
    let Some(approved_at) = state.approved_at else {
        return Answer::Refuse { reason: "nobody approved it".to_owned() };
    };
    if approved_at + APPROVAL_LASTS <= now {
        return back(TOO_OLD);
    }
    if rules.dry_run {
        return back("not sent: dry run is on (DRY_RUN), so nothing leaves this server");
    }
    let Some(situation) = situation else { return back("the account is not connected any more") };
    let first = switches(situation)
        .or_else(|| (!rules.plan.allows_replies()).then(|| back("the team's plan does not include replies")))
        .or_else(|| etiquette(suggestion, manners))
        .or_else(|| unsafe_text(suggestion, situation, manners))
        .or_else(|| hours_and_caps(rules, suggestion, situation));
    first.unwrap_or(Answer::Allow)
}

/// Why what stands on a platform may not be changed now.
pub enum NotNow {
    Refused {
        code: &'static str,
        reason: String,
    },
    /// It may when that is turned back.
    WaitFor {
        switch: Switch,
        reason: String,
    },
}

pub fn check_change(rules: &Rules, situation: Option<&Situation>) -> Result<(), NotNow> {
    if rules.dry_run {
        let reason = "dry run is on (DRY_RUN), so nothing leaves this server".to_owned();
        return Err(NotNow::Refused { code: "dry-run", reason });
    }
    match situation.map(switches) {
        Some(None) => Ok(()),
        Some(Some(Answer::WaitFor { switch, reason })) => Err(NotNow::WaitFor { switch, reason }),
        _ => {
            let reason = "the account is not connected any more".to_owned();
            Err(NotNow::Refused { code: "not-connected", reason })
        }
    }
}

fn back(reason: &str) -> Answer {
    Answer::ReturnToPerson { reasons: vec![reason.to_owned()] }
}

fn switches(situation: &Situation) -> Option<Answer> {
    let wait = |switch, reason| Some(Answer::WaitFor { switch, reason });
    let because = |reason: &Option<String>| reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    if situation.instance_paused_at.is_some() {
        let why = because(&situation.instance_reason);
        return wait(Switch::Instance, format!("sending is paused on the whole server{why}"));
    }
    if situation.team.paused_at.is_some() {
        return wait(Switch::Team, format!("the team has paused sending{}", because(&situation.team.pause_reason)));
    }
    match situation.integration.state() {
        IntegrationState::Connected => None,
        IntegrationState::Paused => {
            let why = because(&situation.integration.state_reason);
            wait(Switch::Integration, format!("the account is paused{why}"))
        }
        IntegrationState::NeedsReconnect => {
            let why = because(&situation.integration.state_reason);
            wait(Switch::Integration, format!("the account must be connected again{why}"))
        }
        IntegrationState::Disconnected => Some(back("the account is not connected any more")),
    }
}

/// What no approval outweighs, and what only people may do.
fn etiquette(suggestion: &Suggestion, manners: &Manners) -> Option<Answer> {
    if manners.opted_out_at.is_some() {
        return Some(back(OPTED_OUT));
    }
    if suggestion.state.approved_by.is_some() {
        return None;
    }
    if !manners.policy_confirmed {
        return Some(back(
            "no admin has confirmed the platform's policy for this account, so rules post nothing with it (page Accounts)",
        ));
    }
    let why = manners.rules_paused.as_ref()?;
    Some(back(&format!("rules are paused there: {why}")))
}

/// What nobody saw beside the text when it was approved.
fn unsafe_text(suggestion: &Suggestion, situation: &Situation, manners: &Manners) -> Option<Answer> {
    let text = suggestion.state.text.as_deref().unwrap_or_default();
    let context = safety::Context {
        length: situation.length,
        link_domains: &situation.team.link_domains,
        recent: &situation.recent,
        community: manners.community.as_deref(),
        elsewhere: &situation.elsewhere,
        answered_by: manners.answered_by.as_deref(),
    };
    let accepted = &suggestion.state.accepted_reasons;
    let reasons: Vec<String> =
        safety::holds(text, &context).into_iter().filter(|reason| !accepted.contains(reason)).collect();
    (!reasons.is_empty()).then_some(Answer::ReturnToPerson { reasons })
}

fn hours_and_caps(rules: &Rules, suggestion: &Suggestion, situation: &Situation) -> Option<Answer> {
    let until = |at, reason| Some(Answer::WaitUntil { at, reason });
    if let Some(at) = situation.quiet_until {
        return until(at, "the team's quiet hours".to_owned());
    }
    if let Some(cap) = rules.cap_for(suggestion, situation)
        && situation.team_used >= cap
    {
        return Some(over_team_cap(cap, situation));
    }
    if let Some(cap) = rules.instance_cap
        && situation.instance_used >= i64::from(cap)
    {
        return Some(over_instance_cap(cap, situation));
    }
    match situation.next_at {
        Some(at) if at > situation.now => until(at, pace_reason(situation)),
        _ => None,
    }
}

pub fn over_team_cap(cap: i64, situation: &Situation) -> Answer {
    let reason = format!("the team's limit of {cap} replies a day is used up; it goes on when the next day begins");
    Answer::WaitUntil { at: situation.next_day, reason }
}

pub fn over_instance_cap(cap: u32, situation: &Situation) -> Answer {
    let reason = format!("the server's limit of {cap} replies a day is used up; it goes on when the next day begins");
    Answer::WaitUntil { at: situation.next_instance_day, reason }
}

pub fn pace_reason(situation: &Situation) -> String {
    situation.pace_reason.clone().unwrap_or_else(|| "the account keeps a distance between its replies".to_owned())
}
