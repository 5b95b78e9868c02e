//! The truth of the sandbox: accounts, communities, posts, comments, and a journal of every request that changed
//! something. Vendors show parts of it in their own shapes; the control handle shows all of it.
//!
//! Always: the truth is reached through `World` only, which remembers that it was touched (`unsaved`), so no change
//! misses the file. A comment that was created stays in `comments` for ever (deleting and removing are marks), so a test can
//! count what really happened. Panics on a parent or post that does not exist belong to the caller's test.

pub(crate) mod faults;
mod mix;
pub(crate) mod oauth;
pub(crate) mod rates;
mod things;
pub(crate) mod truth;

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::clock::Clock;
use faults::FaultPlan;
pub(crate) use mix::Mix;
pub(crate) use things::{Account, Comment, Community, Message, Post, Rule, Shown, View, base36};
pub use things::{CommentView, CommunityAccess, PostView};
pub(crate) use truth::PreparedComment;
use truth::{Landing, Truth};

/// One request (or one act through the control handle) that changed the world.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JournalEntry {
    pub number: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub method: String,
    pub path: String,
    /// Who did it, where that is known.
    pub account: Option<String>,
    /// `comment`, `edit`, `delete`, `grant`, `token`, `refresh`, `revoke`, `mark_read`.
    pub effect: String,
    /// The fullname that was created or changed.
    pub thing: Option<String>,
}

/// One public write that came in, whatever became of it. A restart forgets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    pub at: OffsetDateTime,
    /// The `User-Agent`: which process it came from.
    pub agent: String,
    pub account: String,
    /// What it answers, edits or deletes.
    pub thing: String,
    /// How it went; None while it is held before its effect.
    pub fault: Option<faults::WriteFault>,
    /// When its call was over, answered or cut off; None while it is under way.
    pub ended_at: Option<OffsetDateTime>,
}

/// Why the world refused a comment; the vendor turns it into its own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoText,
    TooLong,
    Locked,
    Archived,
    ParentDeleted,
    UnknownParent,
    /// The community lets nobody in.
    Closed,
    Suspended,
}

pub(crate) const MAX_COMMENT_CHARS: usize = 10_000;
const KEPT_AI_REQUESTS: usize = 200;

/// The truth, and beside it what a restart forgets: planned faults, held writes, counters, the request budget.
#[derive(Debug)]
pub(crate) struct World {
    truth: Truth,
    /// True from the first change of the truth until a file holds it. Every way to change the truth sets it.
    pub(crate) unsaved: bool,
    pub(crate) clock: Clock,
    pub(crate) faults: FaultPlan,
    pub(crate) requests: BTreeMap<String, u64>,
    pub(crate) ai_requests: VecDeque<serde_json::Value>,
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) clerk: crate::vendors::clerk::Instance,
    pub(crate) instagram_calls: crate::vendors::instagram::store::Calls,
    pub(crate) x_windows: crate::vendors::x::Windows,
    pub(crate) rates: rates::Rates,
}

impl Deref for World {
    type Target = Truth;

    fn deref(&self) -> &Truth {
        &self.truth
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Truth {
        self.unsaved = true;
        &mut self.truth
    }
}

impl World {
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        Self { unsaved: true, ..Self::resume(clock, Truth::new(seed)) }
    }

    /// Goes on with a truth that a file already holds.
    pub(crate) fn resume(clock: Clock, truth: Truth) -> Self {
        Self {
            truth,
            unsaved: false,
            clock,
            faults: FaultPlan::default(),
            requests: BTreeMap::new(),
            ai_requests: VecDeque::new(),
            arrivals: Vec::new(),
            clerk: crate::vendors::clerk::Instance::default(),
            instagram_calls: crate::vendors::instagram::store::Calls::default(),
            x_windows: crate::vendors::x::Windows::default(),
            rates: rates::Rates::default(),
        }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// Makes late writes whose time has come happen, dated when they were due. Called before every look at the world.
    pub(crate) fn settle(&mut self) {
        let now = self.now();
        self.settle_instagram(now);
        if self.x.landings.iter().any(|landing| landing.at <= now) {
            self.x.settle(now);
        }
        if self.landings.iter().all(|landing| landing.at > now) {
            return;
        }
        let (due, waiting) = std::mem::take(&mut self.landings).into_iter().partition(|landing| landing.at <= now);
        self.landings = waiting;
        let due: Vec<Landing> = due;
        for landing in due {
            if let Ok(fullname) = self.try_comment(&landing.author, &landing.parent, &landing.text, landing.at) {
                self.note("POST", "(late)", Some(&landing.author), "comment", Some(&fullname));
            }
        }
    }

    fn settle_instagram(&mut self, now: OffsetDateTime) {
        if !self.truth.instagram.anything_due(now) {
            return;
        }
        for (author, id) in self.instagram.settle(now) {
            self.note("POST", "(late)", Some(&author), "comment", Some(&id));
        }
    }

    pub(crate) fn land_later(&mut self, after: Duration, author: &str, parent: &str, text: &str) {
        let at = self.now() + after;
        self.landings.push(Landing { at, author: author.to_owned(), parent: parent.to_owned(), text: text.to_owned() });
    }

    pub(crate) fn note(&mut self, method: &str, path: &str, account: Option<&str>, effect: &str, thing: Option<&str>) {
        let entry = JournalEntry {
            number: self.journal.len() as u64 + 1,
            at: self.now(),
            method: method.to_owned(),
            path: path.to_owned(),
            account: account.map(str::to_owned),
            effect: effect.to_owned(),
            thing: thing.map(str::to_owned),
        };
        self.journal.push(entry);
    }

    pub(crate) fn remember_ai_request(&mut self, request: serde_json::Value) {
        if self.ai_requests.len() == KEPT_AI_REQUESTS {
            self.ai_requests.pop_front();
        }
        self.ai_requests.push_back(request);
    }

    /// Counts one request of an app.
    pub(crate) fn spend_request(&mut self, client_id: &str, host: rates::RateHost) -> rates::Budget {
        let now_secs = self.now().unix_timestamp();
        self.rates.spend(client_id, host, now_secs)
    }

    /// The id of the account with this name, which is made if there is none.
    pub(crate) fn ensure_account(&mut self, name: &str) -> String {
        if let Some(account) = self.account(name) {
            return account.id.clone();
        }
        let id = base36(4_100_000_000 + 37 * self.accounts.len() as u64);
        let created_at = self.now() - Duration::from_secs(400 * 86_400);
        let account = Account { id: id.clone(), name: name.to_owned(), created_at, suspended: false };
        self.accounts.push(account);
        id
    }

    pub(crate) fn add_post(&mut self, post: NewPost<'_>) -> String {
        self.ensure_account(post.author);
        let community = self.ensure_community(post.community);
        let id = base36(3_300_000_000 + 101 * self.posts.len() as u64);
        let fullname = format!("t3_{id}");
        self.push_post(Post {
            id,
            community,
            author: post.author.to_owned(),
            title: post.title.to_owned(),
            body: post.body.to_owned(),
            created_at: post.at,
            edited_at: None,
            deleted: false,
            removed: false,
            locked: false,
            archived: false,
            children: Vec::new(),
        });
        fullname
    }

    /// Adds a comment without asking whether the thread takes one.
    pub(crate) fn add_comment(&mut self, author: &str, parent: &str, text: &str, at: OffsetDateTime) -> Option<String> {
        let post = self.thread_of(parent)?;
        self.ensure_account(author);
        let place = self.comments.len();
        // Steps of different size, as on the real platform ids of neighbours are not neighbours.
        let id = base36(46_000_000_000 + 97 * place as u64 + oauth::scatter(self.seed ^ place as u64) % 97);
        let fullname = format!("t1_{id}");
        self.push_comment(Comment {
            id,
            post,
            parent: parent.to_owned(),
            author: author.to_owned(),
            body: text.to_owned(),
            created_at: at,
            edited_at: None,
            deleted: false,
            removed: false,
            hidden_until: None,
            unlisted: false,
            score: things::first_score(),
            children: Vec::new(),
        });
        Some(fullname)
    }

    /// Adds a comment the way the platform does it for a user: with all its refusals.
    pub(crate) fn try_comment(
        &mut self,
        author: &str,
        parent: &str,
        text: &str,
        at: OffsetDateTime,
    ) -> Result<String, Refusal> {
        if self.account(author).is_some_and(|account| account.suspended) {
            return Err(Refusal::Suspended);
        }
        if text.trim().is_empty() {
            return Err(Refusal::NoText);
        }
        if text.chars().count() > MAX_COMMENT_CHARS {
            return Err(Refusal::TooLong);
        }
        let above = self.comment(parent);
        let post = match above {
            Some(comment) => &self.posts[comment.post],
            None => self.post(parent).ok_or(Refusal::UnknownParent)?,
        };
        let access = self.communities[post.community].access;
        if matches!(access, CommunityAccess::Private | CommunityAccess::Banned) {
            return Err(Refusal::Closed);
        }
        if above.is_some_and(|comment| comment.deleted || comment.removed) {
            return Err(Refusal::ParentDeleted);
        }
        if post.locked {
            return Err(Refusal::Locked);
        }
        if post.archived {
            return Err(Refusal::Archived);
        }
        let fullname = self.add_comment(author, parent, text, at).ok_or(Refusal::UnknownParent)?;
        if access == CommunityAccess::Quarantined
            && let Some(comment) = self.comment_mut(&fullname)
        {
            comment.unlisted = true;
        }
        Ok(fullname)
    }

    /// A prepared stranger speaks. None when everybody has spoken.
    pub(crate) fn trickle(&mut self) -> Option<String> {
        if self.prepared.is_empty() {
            return None;
        }
        let next = self.prepared.pop_front()?;
        let now = self.now();
        self.add_comment(&next.author, &next.parent, &next.text, now)
    }
}

impl World {
    /// The same on X.
    pub(crate) fn x_trickle(&mut self) -> Option<String> {
        if self.x.prepared.is_empty() {
            return None;
        }
        let (name, text, answers) = self.x.prepared.remove(0);
        let now = self.now();
        let author = self.x.ensure_user(&name);
        Some(self.x.add(author, &text, answers, None, now).to_string())
    }
}

/// What a new post needs.
pub(crate) struct NewPost<'a> {
    pub(crate) author: &'a str,
    pub(crate) community: &'a str,
    pub(crate) title: &'a str,
    pub(crate) body: &'a str,
    pub(crate) at: OffsetDateTime,
}
