//! The list pane, also alone at `/dashboard/inbox/list`: one row per item, newest activity first.

use super::marks::{Mark, Tone};
use super::samples;
use askama::Template;
use askama::filters::HtmlSafe;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, Template)]
#[template(path = "inbox_list.html")]
pub struct ListPane {
    pub now: OffsetDateTime,
    pub filter: Filter,
    /// Text of the search field, empty for none.
    pub query: String,
    pub rows: Vec<Row>,
    pub selected: Option<Uuid>,
    /// True on a page, so that the keyboard stands on the open item; false in a fragment, which must not take the
    /// focus from somebody who types.
    pub focus_selected: bool,
    /// Keyset cursor of the next page; None on the last one.
    pub older: Option<String>,
    /// No account is connected yet: the empty list then leads there.
    pub no_accounts: bool,
}

/// The pane escapes its own texts, so a page takes it as it is.
impl HtmlSafe for ListPane {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    Waiting,
    Mine,
    Unassigned,
    All,
}

impl Filter {
    pub const EVERY: [Self; 4] = [Self::Waiting, Self::Mine, Self::Unassigned, Self::All];

    /// Value of `?filter=`.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Mine => "mine",
            Self::Unassigned => "unassigned",
            Self::All => "all",
        }
    }

    pub fn parse(slug: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|filter| filter.slug() == slug)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Mine => "Mine",
            Self::Unassigned => "Unassigned",
            Self::All => "All",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Row {
    pub id: Uuid,
    pub mark: Mark,
    /// As people write it there: "u/beanfan", "@calm".
    pub author: String,
    /// "r/espresso"; None where a platform has no places.
    pub place: Option<String>,
    pub excerpt: String,
    pub last_activity_at: OffsetDateTime,
    pub unread: bool,
    pub intent: Option<String>,
    pub confidence: Option<f64>,
    pub state: RowState,
}

/// What the item waits for, or why it waits no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowState {
    NoDraft,
    Drafting,
    DraftReady,
    /// "sensitive topic"
    Held(String),
    Approved,
    Queued,
    Sending,
    Posted,
    Uncertain,
    /// "no permission in r/espresso"
    Failed(String),
    Rejected,
    /// Our API access cannot post there: "copy and open on X".
    ByHand(String),
    AnsweredElsewhere,
    Done,
}

impl RowState {
    pub fn words(&self) -> String {
        match self {
            Self::NoDraft => "no draft yet".to_owned(),
            Self::Drafting => "drafting".to_owned(),
            Self::DraftReady => "draft ready".to_owned(),
            Self::Held(why) => format!("held: {why}"),
            Self::Approved => "approved, not sent".to_owned(),
            Self::Queued => "going out".to_owned(),
            Self::Sending => "sending".to_owned(),
            Self::Posted => "posted".to_owned(),
            Self::Uncertain => "not sure yet, checking".to_owned(),
            Self::Failed(why) => format!("failed: {why}"),
            Self::Rejected => "draft rejected".to_owned(),
            Self::ByHand(how) => how.clone(),
            Self::AnsweredElsewhere => "answered elsewhere".to_owned(),
            Self::Done => "done".to_owned(),
        }
    }

    pub fn tone(&self) -> Tone {
        match self {
            Self::NoDraft | Self::Rejected | Self::AnsweredElsewhere | Self::Done => Tone::Plain,
            Self::DraftReady | Self::Approved | Self::ByHand(_) => Tone::Ask,
            Self::Drafting | Self::Queued | Self::Sending => Tone::Busy,
            Self::Posted => Tone::Good,
            Self::Held(_) | Self::Uncertain => Tone::Held,
            Self::Failed(_) => Tone::Bad,
        }
    }
}

impl ListPane {
    pub fn is_selected(&self, id: &Uuid) -> bool {
        self.selected == Some(*id)
    }

    /// The query string that keeps filter and search, ready to be followed by `&item=`.
    pub fn address(&self) -> String {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("filter", self.filter.slug());
        if !self.query.is_empty() {
            pairs.append_pair("q", &self.query);
        }
        pairs.finish()
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::inbox::lists()
    }
}
