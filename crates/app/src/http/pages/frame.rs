//! What surrounds every page of a signed-in person: navigation, team, messages, the bar that says what is paused.

use super::marks::Tone;
use time::OffsetDateTime;
use uuid::Uuid;

/// Filled once per request, the same for all pages.
#[derive(Debug, Clone)]
pub struct Frame {
    pub team_id: Uuid,
    pub team_name: String,
    pub user_name: String,
    /// Token that every form of this session carries.
    pub csrf: String,
    /// The moment that all relative times on the page count from.
    pub now: OffsetDateTime,
    /// Items that wait for a person.
    pub waiting: u64,
    /// Accounts that need one.
    pub account_problems: u64,
    pub pause: Option<PauseBar>,
    pub notice: Option<Notice>,
}

/// Which entry of the navigation is the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Inbox,
    Accounts,
    Intents,
    Log,
}

/// One bar across the top while something is paused.
#[derive(Debug, Clone)]
pub struct PauseBar {
    /// "Sending on Reddit is paused."
    pub what: String,
    pub why: String,
    pub by: String,
    pub since: OffsetDateTime,
    /// Where the person's resume form posts to; None for those who may not resume.
    pub resume_path: Option<String>,
}

/// What the last action came to.
#[derive(Debug, Clone)]
pub struct Notice {
    pub tone: Tone,
    pub text: String,
}

impl Frame {
    /// "A" for "Ada": stands in for a picture.
    pub fn initial(&self) -> String {
        self.user_name.chars().next().map(|c| c.to_uppercase().collect()).unwrap_or_default()
    }
}
