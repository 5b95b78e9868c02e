//! What a restart must not change: everything that somebody outside has seen or was promised. It is kept as one JSON
//! value; what can be worked out from the rest (places, children) is not written.
//!
//! Always: a comment stands behind what it answers, so one pass over a read truth finds every parent or proves that
//! the file is broken. Ids come from the seed and from how many things there are, so both survive together.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::oauth::OauthStore;
use super::{Account, Comment, Community, CommunityAccess, JournalEntry, Message, Post, base36};

/// A write that the platform took and that shows only later.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Landing {
    #[serde(with = "time::serde::rfc3339")]
    pub(super) at: OffsetDateTime,
    pub(super) author: String,
    pub(super) parent: String,
    pub(super) text: String,
}

/// Something prepared that a stranger will say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PreparedComment {
    pub(crate) author: String,
    pub(crate) parent: String,
    pub(crate) text: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Truth {
    pub(crate) seed: u64,
    pub(crate) brand: Option<String>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) communities: Vec<Community>,
    pub(crate) posts: Vec<Post>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) messages: Vec<Message>,
    pub(super) landings: Vec<Landing>,
    /// What strangers have still to say.
    pub(crate) prepared: VecDeque<PreparedComment>,
    pub(crate) read_marks: BTreeSet<(String, String)>,
    pub(crate) oauth: OauthStore,
    #[serde(default)]
    pub(crate) instagram: crate::vendors::instagram::store::Store,
    pub(crate) x: crate::vendors::x::XWorld,
    pub(crate) journal: Vec<JournalEntry>,
    #[serde(skip)]
    post_index: HashMap<String, usize>,
    #[serde(skip)]
    comment_index: HashMap<String, usize>,
}

impl Truth {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            brand: None,
            accounts: Vec::new(),
            communities: Vec::new(),
            posts: Vec::new(),
            comments: Vec::new(),
            messages: Vec::new(),
            landings: Vec::new(),
            prepared: VecDeque::new(),
            read_marks: BTreeSet::new(),
            oauth: OauthStore::new(seed),
            instagram: crate::vendors::instagram::store::Store::new(seed),
            x: crate::vendors::x::XWorld::default(),
            journal: Vec::new(),
            post_index: HashMap::new(),
            comment_index: HashMap::new(),
        }
    }

    /// Works out places and children again after reading. None: the things do not fit together.
    pub(crate) fn reconnected(mut self) -> Option<Self> {
        for post in std::mem::take(&mut self.posts) {
            if post.community >= self.communities.len() || self.post(&post.fullname()).is_some() {
                return None;
            }
            self.push_post(post);
        }
        for comment in std::mem::take(&mut self.comments) {
            let fits = self.thread_of(&comment.parent) == Some(comment.post);
            if !fits || self.comment(&comment.fullname()).is_some() {
                return None;
            }
            self.push_comment(comment);
        }
        Some(self)
    }

    pub(super) fn push_post(&mut self, post: Post) {
        self.post_index.insert(post.fullname(), self.posts.len());
        self.posts.push(post);
    }

    /// The parent must stand there already.
    pub(super) fn push_comment(&mut self, comment: Comment) {
        let place = self.comments.len();
        match self.comment_index.get(&comment.parent) {
            Some(&above) => self.comments[above].children.push(place),
            None => self.posts[comment.post].children.push(place),
        }
        self.comment_index.insert(comment.fullname(), place);
        self.comments.push(comment);
    }

    /// The place of the post that this post or comment belongs to.
    pub(super) fn thread_of(&self, fullname: &str) -> Option<usize> {
        match fullname.get(..3) {
            Some("t3_") => self.post_index.get(fullname).copied(),
            _ => self.comment(fullname).map(|comment| comment.post),
        }
    }

    pub(crate) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn account_mut(&mut self, name: &str) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|account| account.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn ensure_community(&mut self, name: &str) -> usize {
        if let Some(found) = self.communities.iter().position(|known| known.name.eq_ignore_ascii_case(name)) {
            return found;
        }
        let id = base36(7_200_000 + 11 * self.communities.len() as u64);
        let title = name.to_owned();
        self.communities.push(Community {
            id,
            name: name.to_owned(),
            title,
            rules: Vec::new(),
            access: CommunityAccess::Open,
        });
        self.communities.len() - 1
    }

    pub(crate) fn community(&self, name: &str) -> Option<&Community> {
        self.communities.iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn post(&self, fullname: &str) -> Option<&Post> {
        self.post_index.get(fullname).map(|&at| &self.posts[at])
    }

    pub(crate) fn post_mut(&mut self, fullname: &str) -> Option<&mut Post> {
        self.post_index.get(fullname).map(|&at| &mut self.posts[at])
    }

    pub(crate) fn comment(&self, fullname: &str) -> Option<&Comment> {
        self.comment_index.get(fullname).map(|&at| &self.comments[at])
    }

    pub(crate) fn comment_mut(&mut self, fullname: &str) -> Option<&mut Comment> {
        self.comment_index.get(fullname).map(|&at| &mut self.comments[at])
    }
}
