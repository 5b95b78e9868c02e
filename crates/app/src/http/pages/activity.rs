//! The log: one line per event, who did what to which object; open for before and after and the redacted exchange
//! with the platform. The log itself holds ids and hashes; texts are filled in when the page is drawn.

use super::frame::{Frame, Section};
use super::marks::{Mark, Tone};
use super::samples;
use askama::Template;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, Template)]
#[template(path = "activity.html")]
pub struct ActivityPage {
    pub frame: Frame,
    pub events: Vec<Event>,
    /// Keyset cursor of the next page; None on the last one.
    pub older: Option<String>,
    /// True on a page that was reached through "older".
    pub is_older: bool,
}

#[derive(Debug, Clone)]
pub struct Event {
    pub id: Uuid,
    pub at: OffsetDateTime,
    pub actor: Actor,
    /// "approved the reply to u/beanfan"
    pub what: String,
    /// Machine name: "suggestion.approved".
    pub kind: String,
    pub tone: Tone,
    pub mark: Option<Mark>,
    /// Words and path of the object's own page.
    pub object: Option<(String, String)>,
    pub before: Option<String>,
    pub after: Option<String>,
    /// Secrets are gone before it is stored.
    pub exchange: Option<Exchange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    Person(String),
    /// An automation rule by name.
    Rule(String),
    /// The server itself.
    Rejoinder,
}

#[derive(Debug, Clone)]
pub struct Exchange {
    pub request: String,
    pub answer: String,
}

impl Actor {
    pub fn name(&self) -> &str {
        match self {
            Self::Person(name) => name,
            Self::Rule(name) => name,
            Self::Rejoinder => "Rejoinder",
        }
    }

    /// Said before the name where it is no person.
    pub fn is_rule(&self) -> bool {
        matches!(self, Self::Rule(_))
    }
}

impl Event {
    pub fn has_more(&self) -> bool {
        self.before.is_some() || self.after.is_some() || self.exchange.is_some()
    }
}

impl ActivityPage {
    pub fn section(&self) -> Section {
        Section::Log
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::activity::pages()
    }
}
