//! Where a person lands when connecting an account did not work: what happened and how to try again.

use super::marks::Mark;
use askama::Template;

#[derive(Debug, Clone, Template)]
#[template(path = "consent.html")]
pub struct ConsentPage {
    pub mark: Mark,
    pub outcome: ConsentOutcome,
}

/// Why no account was connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentOutcome {
    /// The person (or the platform) said no on the consent page.
    Denied,
    /// The consent page was left open for too long.
    Expired { after_minutes: u64 },
    /// This answer of the platform was used before: a reload or a second tab.
    Used,
    /// Some of the permissions that we need were unticked.
    ScopesMissing { missing: Vec<String> },
    /// The platform did not hand out a token; the sentence says why.
    Refused { reason: String },
}

impl ConsentOutcome {
    pub fn title(&self, platform: &str) -> String {
        match self {
            Self::Denied => format!("{platform} was not connected"),
            Self::Expired { .. } => "The consent page was open for too long".to_owned(),
            Self::Used => "This consent was already used".to_owned(),
            Self::ScopesMissing { .. } => "A permission is missing".to_owned(),
            Self::Refused { .. } => format!("{platform} did not let us in"),
        }
    }

    pub fn what_happened(&self, platform: &str) -> String {
        match self {
            Self::Denied => format!("Access was declined on the consent page of {platform}."),
            Self::Expired { after_minutes } => {
                format!("A consent is good for {after_minutes} minutes. This one is older.")
            }
            Self::Used => "Each consent works once. A reload or a second tab used it before.".to_owned(),
            Self::ScopesMissing { missing } => {
                format!("We cannot work without: {}.", missing.join(", "))
            }
            Self::Refused { reason } => reason.clone(),
        }
    }

    pub fn what_to_do(&self, platform: &str) -> String {
        match self {
            Self::Denied => "If this was a slip, connect again and allow access.".to_owned(),
            Self::Expired { .. } => "Connect again and confirm within that time.".to_owned(),
            Self::Used => "Look at your accounts first: it may be connected. If not, connect again.".to_owned(),
            Self::ScopesMissing { .. } => {
                format!("Connect again and leave all permissions ticked on the page of {platform}.")
            }
            Self::Refused { .. } => "Try again in a few minutes.".to_owned(),
        }
    }
}

impl ConsentPage {
    pub fn samples() -> Vec<(&'static str, Self)> {
        let reddit = || Mark::new("reddit", "Reddit");
        let with = |outcome| Self { mark: reddit(), outcome };
        let missing = vec!["read".to_owned(), "submit <script>alert(1)</script>".to_owned()];
        vec![
            ("denied", with(ConsentOutcome::Denied)),
            ("expired", with(ConsentOutcome::Expired { after_minutes: 10 })),
            ("used", with(ConsentOutcome::Used)),
            ("scopes-missing", with(ConsentOutcome::ScopesMissing { missing })),
            (
                "refused",
                with(ConsentOutcome::Refused { reason: "Reddit answered that our app is not known to it.".to_owned() }),
            ),
        ]
    }
}
