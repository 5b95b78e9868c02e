//! How things that were read before stand on the platform now.

use super::Budget;
use time::OffsetDateTime;

/// One thing on the platform as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThingState {
    pub id: String,
    pub standing: Standing,
    /// Body of a comment or post; None where it is gone, or where the thing has none.
    pub text: Option<String>,
    /// Of a post.
    pub title: Option<String>,
    /// Its author has no account any more. A platform that does not say who wrote says nothing of that either.
    pub author_gone: bool,
    pub edited_at: Option<OffsetDateTime>,
    /// Nobody can reply here any more (locked, archived).
    pub locked: bool,
    pub score: Option<i64>,
}

impl ThingState {
    /// Nothing is told of it but how it stands.
    pub(crate) fn bare(id: &str, standing: Standing) -> Self {
        Self {
            id: id.to_owned(),
            standing,
            text: None,
            title: None,
            author_gone: false,
            edited_at: None,
            locked: false,
            score: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Here,
    /// Taken down by moderators or a filter.
    Removed,
    /// Deleted by its author, or not known to the platform (any more).
    Deleted,
}

/// How many things stand.
#[derive(Debug, Clone, PartialEq)]
pub struct States {
    /// One per asked id, in the order asked.
    pub things: Vec<ThingState>,
    pub budget: Option<Budget>,
}
