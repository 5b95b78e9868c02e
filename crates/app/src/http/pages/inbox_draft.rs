//! The draft pane with its facts, also alone at `/dashboard/inbox/draft`. Its state is told as a sentence.
//!
//! What always holds: a text that a person typed is shown again whatever happens, also where saving lost a race
//! (`conflict` then says who was quicker and the editor holds the person's words).

use super::marks::{Mark, Tone};
use super::samples;
use super::words::{WebLink, grouped};
use askama::Template;
use askama::filters::HtmlSafe;
use rejoinder_platforms::LengthRule;
use time::OffsetDateTime;
use uuid::Uuid;

mod load;
mod posted;

#[derive(Debug, Clone, Template)]
#[template(path = "inbox_draft.html")]
pub struct DraftPane {
    pub now: OffsetDateTime,
    pub csrf: String,
    pub item_id: Uuid,
    /// Where the reply goes.
    pub mark: Mark,
    /// Of a reply there.
    pub length: LengthRule,
    pub state: DraftState,
    /// What went wrong with the person's last action here, as a sentence with the way on.
    pub conflict: Option<String>,
    /// Words of the person that have no editor to stand in any more.
    pub typed: Option<String>,
    pub intents: Vec<IntentChoice>,
    pub facts: Facts,
    /// False for viewers: they see all and change nothing.
    pub may_act: bool,
}

/// The pane escapes its own texts, so a page takes it as it is.
impl HtmlSafe for DraftPane {}

/// What a person's last action came to, where it was not done.
#[derive(Debug, Clone, Default)]
pub struct Mishap {
    pub sentence: Option<String>,
    /// What the person had typed; it is shown again.
    pub typed: Option<String>,
    /// The same for the address of a reply of unknown outcome.
    pub address: Option<String>,
    /// The words of an edit of a posted reply that was held: its reasons are in the sentence.
    pub revision: Option<Revision>,
}

/// What a person wanted to make of a posted reply.
#[derive(Debug, Clone)]
pub struct Revision {
    pub text: String,
    pub held: bool,
}

#[derive(Debug, Clone)]
pub enum DraftState {
    /// Nobody asked for a draft yet.
    Nothing,
    /// The item is settled without a reply of ours: "No reply was needed."
    Closed {
        sentence: String,
    },
    /// Its author asked not to be answered: "u/curious_cat said “stop” 2 days ago and is answered no more."
    Silent {
        sentence: String,
    },
    /// The model could not write one: "No draft: the model did not answer."
    NoDraft {
        reason: String,
    },
    /// We cannot post there by API: write, copy and open. The sentence says why.
    ByHand {
        reason: String,
        permalink: Option<WebLink>,
        /// The words of a draft, to be copied.
        text: Option<String>,
    },
    Drafting {
        since: OffsetDateTime,
    },
    Ready(Editor),
    /// Approved without sending.
    Approved {
        suggestion_id: Uuid,
        version: i64,
        text: String,
        by: String,
        at: OffsetDateTime,
    },
    Queued {
        suggestion_id: Uuid,
        text: String,
        goes_out_at: OffsetDateTime,
    },
    /// Approved, but it cannot go out now.
    Parked {
        suggestion_id: Uuid,
        text: String,
        /// "the account is paused: too many refusals"
        why: String,
        next_try_at: Option<OffsetDateTime>,
    },
    Sending {
        suggestion_id: Uuid,
        text: String,
        since: OffsetDateTime,
    },
    Posted(Posted),
    /// A person took it down again.
    Unpublished {
        text: String,
        by: String,
        at: OffsetDateTime,
    },
    Uncertain {
        suggestion_id: Uuid,
        text: String,
        /// "Nobody knows yet whether it stands there: no answer within 20 s"
        reason: String,
        next_look_at: Option<OffsetDateTime>,
        /// The address that the person gave, where it was not the right one.
        address: Option<String>,
    },
    Failed {
        suggestion_id: Uuid,
        version: i64,
        text: String,
        reason: String,
        what_to_do: String,
        may_retry: bool,
    },
    Rejected {
        suggestion_id: Uuid,
        text: String,
        by: String,
        at: OffsetDateTime,
    },
}

/// A reply that went out, as it stands there.
#[derive(Debug, Clone)]
pub struct Posted {
    pub suggestion_id: Uuid,
    /// The words that stand there now.
    pub text: String,
    pub by: String,
    pub seen_at: OffsetDateTime,
    pub edited_at: Option<OffsetDateTime>,
    pub permalink: Option<WebLink>,
    /// "Removed by moderators or a filter of r/espresso."
    pub gone: Option<String>,
    pub score: Option<i64>,
    /// A change that is under way: "Being taken down from Reddit, as Ada wished."
    pub change: Option<String>,
    /// What came of the last change, where it was not made.
    pub not_changed: Option<String>,
    /// What the person typed for an edit that was refused.
    pub typed: Option<String>,
    /// The edit was held: its reasons were shown, sending it again accepts them.
    pub held_seen: bool,
}

/// A suggestion that a person may still change.
#[derive(Debug, Clone)]
pub struct Editor {
    pub suggestion_id: Uuid,
    /// Goes back with the form; a newer one on the server answers 409.
    pub version: i64,
    /// What stands in the field: the person's own draft if there is one, else the suggestion.
    pub text: String,
    /// What the draft said at first, where it was changed since.
    pub original_text: Option<String>,
    /// What stands on the server now, where the person's own words in the field were typed over an older version.
    pub theirs: Option<String>,
    pub alternatives: Vec<String>,
    /// Why only a person may send it: "names a health topic".
    pub held: Vec<String>,
    /// When the person's unsent words were last kept.
    pub saved_at: Option<OffsetDateTime>,
    /// Seconds in which an approval can be taken back.
    pub undo_secs: u64,
}

#[derive(Debug, Clone)]
pub struct IntentChoice {
    pub id: Uuid,
    pub name: String,
    pub selected: bool,
}

/// The side panel. What is not known is left out.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub author: Option<String>,
    /// How often we answered this author, this time included.
    pub times_answered: Option<u64>,
    pub comments: Option<u64>,
    pub account: Option<String>,
    /// House rules of the place that apply to comments.
    pub rules: Vec<HouseRule>,
    /// What else to know of the place: "r/x is quarantined: ...".
    pub caution: Option<String>,
    /// When the author asked not to be answered.
    pub silent_since: Option<OffsetDateTime>,
    /// The watch that found it: "r/espresso".
    pub found_by: Option<String>,
    pub intent: Option<String>,
    /// 0 to 1.
    pub confidence: Option<f64>,
    pub tone: Option<String>,
    /// Language tag of the draft: "en".
    pub language: Option<String>,
    /// Checks passed and checks done.
    pub safety: Option<(u64, u64)>,
    pub written_by: Option<String>,
    pub tokens: Option<u64>,
    pub cost_millionths: Option<u64>,
    /// Newest first.
    pub history: Vec<HistoryLine>,
}

#[derive(Debug, Clone)]
pub struct HouseRule {
    pub title: String,
    /// Empty for none.
    pub description: String,
}

#[derive(Debug, Clone)]
pub struct HistoryLine {
    pub at: OffsetDateTime,
    pub text: String,
    /// When it goes on by itself.
    pub until: Option<OffsetDateTime>,
    /// Where the reply stands.
    pub link: Option<WebLink>,
}

impl DraftPane {
    pub fn tone(&self) -> Tone {
        match &self.state {
            DraftState::Nothing | DraftState::Closed { .. } => Tone::Plain,
            DraftState::Silent { .. } => Tone::Held,
            DraftState::Ready(editor) if !editor.held.is_empty() => Tone::Held,
            DraftState::Ready(_) | DraftState::Approved { .. } | DraftState::ByHand { .. } => Tone::Ask,
            DraftState::Drafting { .. } | DraftState::Queued { .. } | DraftState::Sending { .. } => Tone::Busy,
            DraftState::Posted(posted) if posted.gone.is_some() || posted.not_changed.is_some() => Tone::Held,
            DraftState::Posted(posted) if posted.change.is_some() => Tone::Busy,
            DraftState::Posted(_) => Tone::Good,
            DraftState::Unpublished { .. } => Tone::Plain,
            DraftState::Uncertain { .. } | DraftState::Parked { .. } => Tone::Held,
            DraftState::Failed { .. } | DraftState::NoDraft { .. } => Tone::Bad,
            DraftState::Rejected { .. } => Tone::Plain,
        }
    }

    /// The state as a sentence, without the parts that count time.
    pub fn sentence(&self) -> String {
        let platform = &self.mark.name;
        match &self.state {
            DraftState::Nothing => "No draft yet.".to_owned(),
            DraftState::Closed { sentence } | DraftState::Silent { sentence } => sentence.clone(),
            DraftState::NoDraft { reason } | DraftState::ByHand { reason, .. } => reason.clone(),
            DraftState::Drafting { .. } => "Writing a draft. This takes a few seconds.".to_owned(),
            DraftState::Ready(editor) if editor.held.is_empty() => "Ready for you.".to_owned(),
            DraftState::Ready(editor) => {
                format!("Held: {}. Only a person may send it.", editor.held.join("; "))
            }
            DraftState::Approved { by, .. } => {
                format!("Approved by {by}. It goes out when you send it.")
            }
            DraftState::Queued { .. } => format!("On its way to {platform}."),
            DraftState::Sending { .. } => format!("Being sent to {platform} now."),
            DraftState::Posted(posted) => {
                posted.change.clone().or(posted.gone.clone()).unwrap_or_else(|| format!("Seen on {platform}."))
            }
            DraftState::Unpublished { by, .. } => format!("Taken down from {platform} by {by}."),
            DraftState::Parked { why, .. } => format!("Approved, but it waits: {}.", why.trim_end_matches('.')),
            DraftState::Uncertain { reason, .. } => {
                format!(
                    "{}. We look on {platform} before anything else; nothing is sent twice.",
                    reason.trim_end_matches('.')
                )
            }
            DraftState::Failed { reason, .. } => format!("Not posted: {reason}"),
            DraftState::Rejected { by, .. } => format!("Rejected by {by}. Nothing goes out."),
        }
    }

    /// The suggestion on show, for scripts that match live updates.
    pub fn suggestion_id(&self) -> Option<Uuid> {
        match &self.state {
            DraftState::Ready(editor) => Some(editor.suggestion_id),
            DraftState::Approved { suggestion_id, .. }
            | DraftState::Queued { suggestion_id, .. }
            | DraftState::Parked { suggestion_id, .. }
            | DraftState::Sending { suggestion_id, .. }
            | DraftState::Uncertain { suggestion_id, .. }
            | DraftState::Failed { suggestion_id, .. }
            | DraftState::Rejected { suggestion_id, .. } => Some(*suggestion_id),
            DraftState::Posted(posted) => Some(posted.suggestion_id),
            _ => None,
        }
    }

    /// States that pass by themselves look again every few seconds, also while live events are down.
    pub fn refresh_trigger(&self) -> &'static str {
        match self.state {
            DraftState::Drafting { .. } | DraftState::Sending { .. } => "draft-changed, every 3s",
            DraftState::Posted(ref posted) if posted.change.is_some() => "draft-changed, every 3s",
            DraftState::Queued { .. } | DraftState::Parked { .. } | DraftState::Uncertain { .. } => {
                "draft-changed, every 15s"
            }
            _ => "draft-changed",
        }
    }

    /// Whether a text of ours is on show already.
    pub fn has_draft(&self) -> bool {
        !matches!(
            self.state,
            DraftState::Nothing
                | DraftState::Closed { .. }
                | DraftState::Silent { .. }
                | DraftState::NoDraft { .. }
                | DraftState::ByHand { .. }
        )
    }

    /// Whether the form that asks for a draft stands here; it then holds `typed`.
    pub fn asks(&self) -> bool {
        let settled = matches!(self.state, DraftState::Rejected { .. } | DraftState::Unpublished { .. });
        (settled || !self.has_draft()) && !matches!(self.state, DraftState::ByHand { .. } | DraftState::Silent { .. })
    }

    /// "214/10,000"
    pub fn counter(&self, text: &str) -> String {
        format!("{}/{}", grouped(&(self.length.of(text) as u64)), grouped(&(self.length.max as u64)))
    }

    pub fn too_long(&self, text: &str) -> bool {
        !self.length.fits(text)
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::drafts::panes()
    }
}

impl Facts {
    /// "3 house rules"
    pub fn rules_label(&self) -> String {
        super::words::count(&(self.rules.len() as u64), "house rule", "house rules")
    }

    pub fn about_draft(&self) -> bool {
        self.intent.is_some()
            || self.confidence.is_some()
            || self.tone.is_some()
            || self.language.is_some()
            || self.safety.is_some()
            || self.written_by.is_some()
            || self.tokens.is_some()
    }
}
