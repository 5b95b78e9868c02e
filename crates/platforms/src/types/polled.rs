//! What reading brings: one round of polling, the posts and comments in it, and where to go on.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;

/// Where a poll goes on. Opaque outside the adapter; stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub serde_json::Value);

impl Cursor {
    pub(crate) fn of(place: &impl Serialize) -> Self {
        Self(serde_json::to_value(place).unwrap_or_default())
    }

    /// The place that was stored. One that cannot be read (an older or newer form) is told and begins afresh: reading twice does no harm.
    pub(crate) fn place<T: DeserializeOwned + Default>(&self, problems: &mut Vec<String>) -> T {
        if self.0.is_null() {
            return T::default();
        }
        T::deserialize(&self.0).unwrap_or_else(|_| {
            problems.push("the stored position could not be read; starting afresh".to_owned());
            T::default()
        })
    }
}

/// One round of polling: what is new or changed, where to go on, what is left of the request budget.
#[derive(Debug, Clone, Default)]
pub struct Polled {
    pub items: Vec<InboundItem>,
    pub cursor: Cursor,
    /// More is waiting: poll again soon instead of at the next interval.
    pub more: bool,
    pub budget: Option<Budget>,
    /// The round ended early because no request may go out before this has passed.
    pub wait: Option<std::time::Duration>,
    /// It ended so because the rest could cost more than what is left of the month's budget.
    pub over_budget: bool,
    /// Things on the platform that could not be read, each with a reason; the rest went on.
    pub problems: Vec<String>,
}

/// What a round reads, where the platform can be read in parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// The list of the account's own posts.
    pub own_posts: bool,
    /// Answers and mentions, also in threads of others.
    pub inbox: bool,
    /// Own posts whose comments were counted since the last round: where the number is another one, they are read.
    pub counted: Vec<PostCount>,
}

impl Parts {
    pub fn all() -> Self {
        Self { own_posts: true, inbox: true, counted: Vec::new() }
    }
}

/// How many comments stand under a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostCount {
    pub id: String,
    pub created_at: OffsetDateTime,
    pub comments: u64,
}

/// Request budget as the platform told it last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    pub limit: f64,
    pub remaining: f64,
    pub resets_in: std::time::Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub enum InboundItem {
    Post(InboundPost),
    /// A post that only gives a comment its place: nobody has to answer it.
    Thread(InboundPost),
    Comment(InboundComment),
}

impl InboundItem {
    /// Of the post that it is or stands under.
    pub fn post_id(&self) -> &str {
        match self {
            Self::Post(post) | Self::Thread(post) => &post.id,
            Self::Comment(comment) => &comment.post_id,
        }
    }

    /// None of a post.
    pub fn comment_id(&self) -> Option<&str> {
        match self {
            Self::Comment(comment) => Some(&comment.id),
            Self::Post(_) | Self::Thread(_) => None,
        }
    }

    /// A date in the future would stand above everything until then: it counts as now.
    pub(crate) fn not_later_than(&mut self, now: OffsetDateTime) {
        let (created_at, edited_at) = match self {
            Self::Post(post) | Self::Thread(post) => (&mut post.created_at, &mut post.edited_at),
            Self::Comment(comment) => (&mut comment.created_at, &mut comment.edited_at),
        };
        *created_at = (*created_at).min(now);
        *edited_at = edited_at.map(|at| at.min(now));
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct InboundPost {
    /// Id as replies must name it (Reddit: fullname `t3_...`).
    pub id: String,
    /// None where the author is deleted.
    pub author_id: Option<String>,
    pub author_name: Option<String>,
    pub title: Option<String>,
    pub body: String,
    /// The place it stands in, as people write it ("r/espresso").
    pub community: Option<String>,
    pub permalink: Option<Url>,
    pub created_at: OffsetDateTime,
    pub edited_at: Option<OffsetDateTime>,
    /// Nobody can reply here any more (locked, archived).
    pub locked: bool,
    /// Why the API takes no reply to it while a person on the website can write one; None where it does.
    pub by_hand: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct InboundComment {
    pub id: String,
    pub post_id: String,
    /// The comment it answers; None when it answers the post itself.
    pub parent_comment_id: Option<String>,
    pub author_id: Option<String>,
    pub author_name: Option<String>,
    pub text: String,
    pub permalink: Option<Url>,
    pub created_at: OffsetDateTime,
    pub edited_at: Option<OffsetDateTime>,
    /// The text is gone on the platform.
    pub deleted: bool,
    /// As for a post.
    pub by_hand: Option<String>,
}
