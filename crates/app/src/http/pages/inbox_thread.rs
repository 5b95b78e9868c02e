//! The thread pane, also alone at `/dashboard/inbox/thread`: the post, the comments that lead to the target and its
//! neighbours, the target marked. All texts here are strangers' texts or our own replies, as the platform has them.

use super::marks::Mark;
use super::samples;
use super::words::WebLink;
use askama::Template;
use askama::filters::HtmlSafe;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, Template)]
#[template(path = "inbox_thread.html")]
pub struct ThreadPane {
    pub now: OffsetDateTime,
    pub item_id: Uuid,
    pub mark: Mark,
    /// "r/espresso"
    pub place: Option<String>,
    pub title: Option<String>,
    pub permalink: Option<WebLink>,
    /// Nobody can reply there any more.
    pub locked: bool,
    pub post: Utterance,
    /// In reading order: each comment after its parent.
    pub comments: Vec<Comment>,
    /// Comments of the thread that are not shown here.
    pub not_shown: u64,
}

/// The pane escapes its own texts, so a page takes it as it is.
impl HtmlSafe for ThreadPane {}

/// A text by somebody, on a platform.
#[derive(Debug, Clone)]
pub struct Utterance {
    /// None where the author is deleted.
    pub author: Option<String>,
    pub text: String,
    /// None where the platform told no time.
    pub at: Option<OffsetDateTime>,
    pub edited_at: Option<OffsetDateTime>,
    pub deleted: bool,
    /// What we answer here.
    pub is_target: bool,
    /// Written by our account.
    pub is_own: bool,
}

#[derive(Debug, Clone)]
pub struct Comment {
    /// 0 for an answer to the post itself.
    pub depth: u8,
    pub said: Utterance,
}

impl Comment {
    /// Deep threads stop to move right: a phone has no room for it.
    pub fn indent(&self) -> u8 {
        self.depth.min(5)
    }
}

impl Utterance {
    pub fn author_name(&self) -> &str {
        self.author.as_deref().unwrap_or("[deleted]")
    }
}

impl ThreadPane {
    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::threads::panes()
    }
}
