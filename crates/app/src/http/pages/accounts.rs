//! The accounts page: one card per connected account, problems first, each with the one step that mends it.
//!
//! The handler returns it through `page_with_form_origins`, since "Connect" ends on a platform's consent page.

use super::frame::{Frame, Section};
use super::marks::{Mark, Tone};
use super::samples;
use askama::Template;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, Template)]
#[template(path = "accounts.html")]
pub struct AccountsPage {
    pub frame: Frame,
    /// Platform that was connected a moment ago (`?integration=connected&connected=reddit`).
    pub just_connected: Option<Mark>,
    pub accounts: Vec<AccountCard>,
    pub offers: Vec<Offer>,
    /// Admins connect and disconnect; others only look.
    pub may_change: bool,
}

#[derive(Debug, Clone)]
pub struct AccountCard {
    pub id: Uuid,
    pub mark: Mark,
    /// "u/acme_coffee"
    pub name: String,
    pub state: AccountState,
    pub last_event_at: Option<OffsetDateTime>,
    pub last_poll_at: Option<OffsetDateTime>,
    pub token_until: Option<OffsetDateTime>,
    pub budget: Option<RequestBudget>,
    pub scopes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountState {
    Connected,
    /// Works, but something slows it down: "Reddit says: try again in 9 minutes. We will."
    Slow {
        sentence: String,
    },
    Paused {
        sentence: String,
    },
    NeedsReconnect {
        sentence: String,
    },
    Disconnected {
        sentence: String,
    },
}

/// Requests left of the platform's window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestBudget {
    pub remaining: u64,
    pub limit: u64,
    pub resets_at: OffsetDateTime,
}

/// A platform that can be connected here.
#[derive(Debug, Clone)]
pub struct Offer {
    pub mark: Mark,
    /// Scope and the reason why we ask for it.
    pub scopes: Vec<(String, String)>,
    /// Why it cannot be connected yet: the setting that is missing, as a sentence.
    pub unavailable: Option<String>,
}

impl AccountCard {
    pub fn token_ran_out(&self, now: &OffsetDateTime) -> bool {
        self.token_until.is_some_and(|until| until <= *now)
    }
}

impl AccountState {
    pub fn tone(&self) -> Tone {
        match self {
            Self::Connected => Tone::Plain,
            Self::Slow { .. } | Self::Paused { .. } => Tone::Held,
            Self::NeedsReconnect { .. } => Tone::Bad,
            Self::Disconnected { .. } => Tone::Plain,
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::Slow { .. } => "Slowed down",
            Self::Paused { .. } => "Paused",
            Self::NeedsReconnect { .. } => "Needs a new consent",
            Self::Disconnected { .. } => "Disconnected",
        }
    }

    pub fn sentence(&self) -> &str {
        match self {
            Self::Connected => "We read what people write there and can reply.",
            Self::Slow { sentence }
            | Self::Paused { sentence }
            | Self::NeedsReconnect { sentence }
            | Self::Disconnected { sentence } => sentence,
        }
    }

    /// Whether the card's one step is to connect again.
    pub fn wants_consent(&self) -> bool {
        matches!(self, Self::NeedsReconnect { .. } | Self::Disconnected { .. })
    }

    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected { .. })
    }

    fn rank(&self) -> u8 {
        match self {
            Self::NeedsReconnect { .. } => 0,
            Self::Paused { .. } => 1,
            Self::Slow { .. } => 2,
            Self::Connected => 3,
            Self::Disconnected { .. } => 4,
        }
    }
}

impl AccountsPage {
    /// Problems first, whatever order the handler read them in.
    pub fn in_order(&self) -> Vec<&AccountCard> {
        let mut cards: Vec<_> = self.accounts.iter().collect();
        cards.sort_by(|a, b| (a.state.rank(), &a.name).cmp(&(b.state.rank(), &b.name)));
        cards
    }

    pub fn section(&self) -> Section {
        Section::Accounts
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::accounts::pages()
    }
}
