//! The list pane, also alone at `/dashboard/inbox/list`: one row per item, newest activity first.

use super::marks::{Mark, Tone};
use super::person::Person;
use super::place::{self, Place};
use super::samples;
use crate::accounts::integrations;
use crate::flow::ingest::inbox::{self, ItemRow};
use crate::model::{ItemState, Stage, Status};
use askama::Template;
use askama::filters::HtmlSafe;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

const ROWS: usize = 50;

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
    Done,
    All,
}

impl Filter {
    pub const EVERY: [Self; 3] = [Self::Waiting, Self::Done, Self::All];

    /// Value of `?filter=`.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::All => "all",
        }
    }

    pub fn parse(slug: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|filter| filter.slug() == slug)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Done => "Done",
            Self::All => "All",
        }
    }

    fn state(self) -> Option<ItemState> {
        match self {
            Self::Waiting => Some(ItemState::Open),
            Self::Done => Some(ItemState::Done),
            Self::All => None,
        }
    }
}

/// What the list was asked to show.
#[derive(Debug, Clone)]
pub struct Shown {
    pub filter: Filter,
    pub query: String,
    pub before: Option<Place>,
    /// This row alone, whatever the filter says: for a row that changed while it is on show.
    pub only: Option<Uuid>,
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
    /// Nobody did anything about it yet.
    pub is_new: bool,
    pub suggestion_id: Option<Uuid>,
    pub intent: Option<String>,
    pub confidence: Option<f64>,
    pub state: RowState,
    /// What the watch that found it follows: "r/espresso", "“grinder”".
    pub found_by: Option<String>,
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
    /// Cannot go out now: "the account is paused".
    Parked(String),
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
    /// From the newest suggestion, and without one from the item.
    fn of(row: &ItemRow) -> Self {
        let why = || row.suggestion_reason.clone().unwrap_or_default();
        let (Some(status), Some(stage)) = (row.suggestion_status.clone(), row.suggestion_stage.clone()) else {
            return match ItemState::from(row.state.clone()) {
                ItemState::Open | ItemState::Snoozed => Self::NoDraft,
                ItemState::AnsweredElsewhere => Self::AnsweredElsewhere,
                ItemState::Done | ItemState::Ignored => Self::Done,
            };
        };
        match (Status::from(status), Stage::from(stage)) {
            (Status::Pending, _) if row.state != ItemState::Open.as_str() => Self::Done,
            (Status::Pending, Stage::Drafting) => Self::Drafting,
            (Status::Pending, _) => match held(row).as_slice() {
                [] => Self::DraftReady,
                reasons => Self::Held(reasons.join("; ")),
            },
            (Status::Approved, Stage::Queued) => Self::Queued,
            (Status::Approved, Stage::Parked) => Self::Parked(why()),
            (Status::Approved, Stage::Sending) => Self::Sending,
            (Status::Approved, Stage::Uncertain) => Self::Uncertain,
            (Status::Approved, _) => Self::Approved,
            (Status::Posted, _) => Self::Posted,
            (Status::Rejected, _) => Self::Rejected,
            (Status::Failed, _) => Self::Failed(why()),
        }
    }

    pub fn words(&self) -> String {
        match self {
            Self::NoDraft => "no draft yet".to_owned(),
            Self::Drafting => "drafting".to_owned(),
            Self::DraftReady => "draft ready".to_owned(),
            Self::Held(why) => format!("held: {why}"),
            Self::Approved => "approved, not sent".to_owned(),
            Self::Queued => "going out".to_owned(),
            Self::Parked(why) => format!("waits: {why}"),
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
            Self::Held(_) | Self::Parked(_) | Self::Uncertain => Tone::Held,
            Self::Failed(_) => Tone::Bad,
        }
    }
}

fn held(row: &ItemRow) -> Vec<String> {
    row.suggestion_held.clone().and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}

impl Row {
    fn of(row: ItemRow) -> Self {
        let mark = Mark::of(&row.platform);
        let state = RowState::of(&row);
        let text = row.excerpt.filter(|text| !text.trim().is_empty()).or(row.post_title);
        Self {
            id: row.id,
            author: row.author_handle.map_or_else(|| "[deleted]".to_owned(), |name| mark.handle(&name)),
            mark,
            place: row.community,
            excerpt: text.unwrap_or_default(),
            last_activity_at: row.last_activity_at,
            is_new: state == RowState::NoDraft,
            suggestion_id: row.suggestion_id,
            intent: row.intent_name,
            confidence: row.suggestion_confidence,
            state,
            found_by: row.watch_text.map(|text| match row.watch_kind.as_deref() {
                Some("community") => format!("r/{text}"),
                _ => format!("\u{201C}{text}\u{201D}"),
            }),
        }
    }
}

impl ListPane {
    pub async fn load(
        conn: &mut PgConnection,
        person: &Person,
        shown: &Shown,
        selected: Option<Uuid>,
    ) -> Result<Self, sqlx::Error> {
        let filter = match shown.only {
            Some(id) => inbox::Filter { only: Some(id), ..inbox::Filter::default() },
            None => inbox::Filter {
                state: shown.filter.state(),
                search: (!shown.query.is_empty()).then(|| shown.query.clone()),
                before: shown.before,
                only: None,
            },
        };
        let mut items = inbox::list(conn, person.team_id, &filter, ROWS as i64 + 1).await?;
        let more = items.len() > ROWS;
        items.truncate(ROWS);
        let older = items.last().filter(|_| more).map(|row| place::written((row.last_activity_at, row.id)));
        let no_accounts = items.is_empty() && integrations::list(conn, person.team_id).await?.is_empty();
        Ok(Self {
            now: person.now,
            filter: shown.filter,
            query: shown.query.clone(),
            rows: items.into_iter().map(Row::of).collect(),
            selected,
            focus_selected: false,
            older,
            no_accounts,
        })
    }

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
