//! The egress gate: every public write passes here, at arming, with the account's row held. It answers what to do, and when it is
//! not "go", why, in words for a person. Caps, pacing, kill switches and safety checks join the list in `check`.

use crate::accounts::integrations::Integration;
use crate::flow::suggestion::Suggestion;
use crate::flow::suggestion::machine::APPROVAL_LASTS;
use crate::model::IntegrationState;
use time::{Duration, OffsetDateTime};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Allow,
    /// Not now; this time it may go.
    WaitUntil {
        at: OffsetDateTime,
        reason: String,
    },
    /// Not while a switch stands; somebody has to turn it. It is looked at again from time to time.
    WaitFor {
        switch: String,
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

/// How often something that waits for a switch is looked at again.
pub const LOOK_AGAIN: Duration = Duration::seconds(60);

#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// No write request leaves the machine.
    pub dry_run: bool,
}

/// Pure: what stands in the rows decides.
pub fn check(rules: Rules, suggestion: &Suggestion, integration: Option<&Integration>, now: OffsetDateTime) -> Answer {
    if suggestion.state.text.as_deref().is_none_or(|text| text.trim().is_empty()) {
        return Answer::Refuse { reason: "there is no text to send".to_owned() };
    }
    let Some(approved_at) = suggestion.state.approved_at else {
        return Answer::Refuse { reason: "nobody approved it".to_owned() };
    };
    if approved_at + APPROVAL_LASTS <= now {
        return back("the approval is older than 24 hours and the thread may have moved on");
    }
    if rules.dry_run {
        return back("not sent: dry run is on (DRY_RUN), so nothing leaves this server");
    }
    let Some(integration) = integration else { return back("the account is not connected any more") };
    match integration.state() {
        IntegrationState::Connected => Answer::Allow,
        IntegrationState::Paused => {
            let why = integration.state_reason.as_deref().unwrap_or("by a person");
            Answer::WaitFor { switch: format!("the account is paused: {why}") }
        }
        IntegrationState::NeedsReconnect => {
            Answer::WaitFor { switch: "the account must be connected again".to_owned() }
        }
        IntegrationState::Disconnected => back("the account is not connected any more"),
    }
}

fn back(reason: &str) -> Answer {
    Answer::ReturnToPerson { reasons: vec![reason.to_owned()] }
}
