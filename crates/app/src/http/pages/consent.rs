//! Why a consent brought no account: what happened and how to try again, for the accounts page.

/// As the callback names it (`?integration=failed&reason=...`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentOutcome {
    /// The person (or the platform) said no on the consent page.
    Declined,
    /// The address that the browser came back to is none that this server gave out.
    Unknown,
    /// Left open for too long, or used before: a reload or a second tab.
    Spent,
    /// Neither a code nor an error came back.
    Incomplete,
    /// The ticket of somebody else, or none.
    OtherPerson,
    /// The consent is good, and nothing that it shares leads to an account.
    NoAccount,
    /// The consent lacks what is needed to find an account at all.
    NoPermission,
    /// The role was taken away meanwhile.
    NotAdmin,
    /// The platform does not know our app, or does not want it.
    Refused,
    /// No answer, or one that nobody can read.
    Unavailable,
}

impl ConsentOutcome {
    pub fn of(reason: &str) -> Self {
        match reason {
            "declined" => Self::Declined,
            "unknown" => Self::Unknown,
            "spent" => Self::Spent,
            "incomplete" => Self::Incomplete,
            "other_person" => Self::OtherPerson,
            "no_account" => Self::NoAccount,
            "no_permission" => Self::NoPermission,
            "not_admin" => Self::NotAdmin,
            "refused" => Self::Refused,
            _ => Self::Unavailable,
        }
    }

    pub fn what_happened(&self, platform: &str) -> String {
        match self {
            Self::Declined => format!("{platform} was not connected: access was declined on its consent page."),
            Self::Spent => format!(
                "{platform} was not connected: a consent works once, for ten minutes, and this one was used or is older."
            ),
            Self::Unknown => format!("{platform} was not connected: this server began no such consent."),
            Self::Incomplete => format!("{platform} was not connected: it sent you back without a code."),
            Self::OtherPerson => format!(
                "{platform} is not connected: this confirmation was used before, is older than ten minutes, or someone else began it."
            ),
            Self::NoAccount => format!(
                "{platform} was not connected: no Page that you shared on Facebook has a professional account linked to it."
            ),
            Self::NoPermission => format!(
                "{platform} was not connected: the consent lacks a permission without which no account can be found."
            ),
            Self::NotAdmin => format!("{platform} was not connected: only an admin of the team may connect accounts."),
            Self::Refused => format!("{platform} was not connected: it does not accept this server's app."),
            Self::Unavailable => format!("{platform} was not connected: it did not answer."),
        }
    }

    pub fn what_to_do(&self, platform: &str) -> String {
        match self {
            Self::Declined => "If this was a slip, connect again and allow access.".to_owned(),
            Self::Spent => "Look below first, it may be connected. If not, connect again.".to_owned(),
            Self::Unknown => "Connect it from here.".to_owned(),
            Self::Incomplete => "Connect again; if it stays, look whether the platform has trouble.".to_owned(),
            Self::OtherPerson => {
                "Sign in as the person who began it, or look below whether it is connected, and connect again if not."
                    .to_owned()
            }
            Self::NoAccount => "Link the account to a Facebook Page (settings of the Page, Linked accounts), then connect again and choose that Page on Facebook's consent page.".to_owned(),
            Self::NoPermission => "Connect again and leave every permission ticked.".to_owned(),
            Self::NotAdmin => "Ask an admin of the team to do it, or to give you the role.".to_owned(),
            Self::Refused => {
                format!("Whoever runs this server checks the app's id, secret and callback address on {platform}.")
            }
            Self::Unavailable => "Try again in a few minutes.".to_owned(),
        }
    }

    /// Beside the declared samples of the accounts page.
    pub const EVERY: [Self; 10] = [
        Self::Declined,
        Self::Unknown,
        Self::Spent,
        Self::Incomplete,
        Self::OtherPerson,
        Self::NoAccount,
        Self::NoPermission,
        Self::NotAdmin,
        Self::Refused,
        Self::Unavailable,
    ];
}

#[cfg(test)]
mod tests {
    use super::ConsentOutcome;

    #[test]
    fn every_outcome_says_what_to_do() {
        let told: std::collections::BTreeSet<_> =
            ConsentOutcome::EVERY.iter().map(|outcome| outcome.what_to_do("Reddit")).collect();
        assert_eq!(told.len(), ConsentOutcome::EVERY.len());
    }
}
