//! The things of the world and who may see them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::World;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    pub(crate) suspended: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) short_name: String,
    pub(crate) description: String,
    /// `all`, `link` or `comment`.
    pub(crate) kind: String,
}

/// Whom a community lets in. Nobody in the sandbox is a member or has opted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommunityAccess {
    #[default]
    Open,
    /// Not to be read; a comment is taken and shown to its author only.
    Quarantined,
    Private,
    /// Closed by the platform.
    Banned,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Community {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) rules: Vec<Rule>,
    #[serde(default)]
    pub(crate) access: CommunityAccess,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Post {
    pub(crate) id: String,
    pub(crate) community: usize,
    pub(crate) author: String,
    pub(crate) title: String,
    pub(crate) body: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) edited_at: Option<OffsetDateTime>,
    pub(crate) deleted: bool,
    /// By the community; its author still sees it.
    #[serde(default)]
    pub(crate) removed: bool,
    pub(crate) locked: bool,
    pub(crate) archived: bool,
    #[serde(skip)]
    pub(crate) children: Vec<usize>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: String,
    pub(crate) post: usize,
    /// Fullname of the post or comment that this answers.
    pub(crate) parent: String,
    pub(crate) author: String,
    pub(crate) body: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) edited_at: Option<OffsetDateTime>,
    /// By its author.
    pub(crate) deleted: bool,
    /// By the community; its author still sees it.
    pub(crate) removed: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) hidden_until: Option<OffsetDateTime>,
    /// Taken without being shown in its thread.
    #[serde(default)]
    pub(crate) unlisted: bool,
    #[serde(default = "first_score")]
    pub(crate) score: i64,
    #[serde(skip)]
    pub(crate) children: Vec<usize>,
}

/// The author's own vote.
pub(crate) fn first_score() -> i64 {
    1
}

/// A private message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
}

impl Post {
    pub(crate) fn fullname(&self) -> String {
        format!("t3_{}", self.id)
    }
}

impl Comment {
    pub(crate) fn fullname(&self) -> String {
        format!("t1_{}", self.id)
    }
}

/// A comment as it really is, seen by nobody in particular.
#[derive(Clone, Debug, Serialize)]
pub struct CommentView {
    pub fullname: String,
    pub parent: String,
    pub post: String,
    pub author: String,
    /// The text, also of deleted and removed comments.
    pub text: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub edited_at: Option<OffsetDateTime>,
    pub deleted: bool,
    pub removed: bool,
    pub score: i64,
    /// False where its thread never shows it.
    pub listed: bool,
    /// False while a planned delay still hides it from every reader.
    pub visible: bool,
}

/// A post as it really is.
#[derive(Clone, Debug, Serialize)]
pub struct PostView {
    pub fullname: String,
    pub community: String,
    pub author: String,
    pub title: String,
    pub body: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    pub deleted: bool,
    pub removed: bool,
    pub locked: bool,
    pub archived: bool,
    /// All comments below it that were ever made.
    pub comments: usize,
}

/// Who looks, and at which state of the world.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) account: Option<String>,
    pub(crate) now: OffsetDateTime,
    /// Set when the reader gets an old copy.
    pub(crate) as_of: Option<OffsetDateTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Whole,
    /// The place is shown, the author and the text are not.
    Deleted,
    Removed,
    Absent,
}

impl View {
    fn too_new(&self, created_at: OffsetDateTime) -> bool {
        self.as_of.is_some_and(|as_of| created_at > as_of)
    }

    pub(crate) fn of_post(&self, post: &Post) -> Shown {
        if self.too_new(post.created_at) {
            return Shown::Absent;
        }
        if post.deleted {
            return Shown::Deleted;
        }
        let author = self.account.as_deref() == Some(post.author.as_str());
        if post.removed && !author { Shown::Removed } else { Shown::Whole }
    }

    pub(crate) fn of_comment(&self, comment: &Comment) -> Shown {
        let hidden = comment.hidden_until.is_some_and(|until| until > self.now);
        if hidden || self.too_new(comment.created_at) {
            return Shown::Absent;
        }
        if comment.deleted {
            return Shown::Deleted;
        }
        if comment.removed && self.account.as_deref() != Some(comment.author.as_str()) {
            return Shown::Removed;
        }
        Shown::Whole
    }
}

impl World {
    pub(crate) fn comment_view(&self, comment: &Comment) -> CommentView {
        let now = self.now();
        CommentView {
            fullname: comment.fullname(),
            parent: comment.parent.clone(),
            post: self.posts[comment.post].fullname(),
            author: comment.author.clone(),
            text: comment.body.clone(),
            created_at: comment.created_at,
            edited_at: comment.edited_at,
            deleted: comment.deleted,
            removed: comment.removed,
            score: comment.score,
            listed: !comment.unlisted,
            visible: comment.hidden_until.is_none_or(|until| until <= now),
        }
    }

    pub(crate) fn post_view(&self, post: &Post) -> PostView {
        let place = self.posts.iter().position(|known| known.id == post.id);
        PostView {
            fullname: post.fullname(),
            community: self.communities[post.community].name.clone(),
            author: post.author.clone(),
            title: post.title.clone(),
            body: post.body.clone(),
            created_at: post.created_at,
            deleted: post.deleted,
            removed: post.removed,
            locked: post.locked,
            archived: post.archived,
            comments: self.comments.iter().filter(|comment| Some(comment.post) == place).count(),
        }
    }

    /// Places of the direct answers to a post or comment.
    pub(crate) fn children_of(&self, fullname: &str) -> &[usize] {
        match (self.comment(fullname), self.post(fullname)) {
            (Some(comment), _) => &comment.children,
            (None, Some(post)) => &post.children,
            (None, None) => &[],
        }
    }

    pub(crate) fn permalink(&self, post: &Post) -> String {
        let community = &self.communities[post.community].name;
        format!("/r/{community}/comments/{}/{}/", post.id, slug(&post.title))
    }

    pub(crate) fn comment_permalink(&self, comment: &Comment) -> String {
        format!("{}{}/", self.permalink(&self.posts[comment.post]), comment.id)
    }
}

/// A number in the platform's id alphabet.
pub(crate) fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// The title as a piece of a path: ASCII letters and digits, at most 50 characters, `_` when nothing is left.
pub(crate) fn slug(title: &str) -> String {
    let mut slug = String::new();
    for letter in title.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
        if slug.len() >= 50 {
            break;
        }
    }
    let slug = slug.trim_matches('_');
    if slug.is_empty() { "_".to_owned() } else { slug.to_owned() }
}
