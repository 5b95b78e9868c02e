//! Accounts and posts of X, and what reading and writing them costs. A post that was made stays for ever (deleting is a mark), so that
//! a test can count what really happened.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::activity::Activity;
use super::grants::Grants;
use super::links;

const ID_EPOCH_MILLIS: i128 = 1_288_834_974_657;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    /// The @name.
    pub(crate) name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tweet {
    pub(crate) id: u64,
    pub(crate) author: u64,
    pub(crate) text: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    pub(crate) conversation: u64,
    pub(crate) replied_to: Option<u64>,
    pub(crate) quoted: Option<u64>,
    pub(crate) deleted: bool,
    /// By the author of the conversation: still to be read.
    pub(crate) hidden: bool,
    /// Ids of all versions of an edited post, oldest first.
    #[serde(default)]
    pub(crate) versions: Vec<u64>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) unseen_until: Option<OffsetDateTime>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Landing {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    pub(crate) author: u64,
    pub(crate) text: String,
    pub(crate) replied_to: u64,
}

/// What the vendor charges for, since the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XBill {
    /// Posts that answers held, also as what others refer to; the same post on the same day of UTC counts once.
    pub post_reads: u64,
    /// Likewise users.
    #[serde(default)]
    pub user_reads: u64,
    pub posts: u64,
    pub posts_with_link: u64,
    pub deletes: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct XWorld {
    pub(crate) users: Vec<User>,
    /// By id, so in the order of time.
    pub(crate) tweets: BTreeMap<u64, Tweet>,
    pub(crate) grants: Grants,
    pub(crate) landings: Vec<Landing>,
    pub(crate) bill: XBill,
    /// What was read on the last day that anything was read.
    read_day: i64,
    read_that_day: BTreeSet<u64>,
    #[serde(default)]
    users_read_that_day: BTreeSet<u64>,
    #[serde(default)]
    pub(crate) activity: Activity,
    /// What strangers have still to say.
    #[serde(default)]
    pub(crate) prepared: Vec<(String, String, Option<u64>)>,
}

/// Why X refused a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum XRefusal {
    NoText,
    TooLong,
    UnknownTarget,
    NotSummoned,
    Duplicate,
}

impl Tweet {
    pub(crate) fn is_newest(&self) -> bool {
        self.versions.last().is_none_or(|last| *last == self.id)
    }
}

impl XWorld {
    pub(crate) fn user(&self, id: u64) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(crate) fn user_named(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn ensure_user(&mut self, name: &str) -> u64 {
        if let Some(user) = self.user_named(name) {
            return user.id;
        }
        // Larger than what a double holds exactly, so that a client that reads ids as numbers is found out.
        let id = 1_577_730_467_436_138_500 + 7 * self.users.len() as u64 + 1;
        self.users.push(User { id, name: name.to_owned() });
        id
    }

    /// Adds a post without asking whether the vendor would take it. Who answers somebody names them first.
    pub(crate) fn add(
        &mut self,
        author: u64,
        text: &str,
        replied_to: Option<u64>,
        quoted: Option<u64>,
        at: OffsetDateTime,
    ) -> u64 {
        let millis = (at.unix_timestamp_nanos() / 1_000_000 - ID_EPOCH_MILLIS).max(1);
        let made = u64::try_from(millis).unwrap_or(1) << 22;
        let id = self.tweets.keys().next_back().map_or(made, |last| made.max(last + 1));
        // Who answers a post answers what stands there now, whichever version was named.
        let replied_to = replied_to.map(|parent| self.newest(parent));
        let parent = replied_to.and_then(|parent| self.tweets.get(&parent));
        let named = parent.and_then(|parent| self.user(parent.author)).filter(|user| user.id != author);
        let text = match named.map(|user| format!("@{}", user.name)) {
            Some(named) if !text.to_lowercase().contains(&named.to_lowercase()) => format!("{named} {text}"),
            _ => text.to_owned(),
        };
        let conversation = parent.map_or(id, |parent| parent.conversation);
        let tweet = Tweet {
            id,
            author,
            text,
            at,
            conversation,
            replied_to,
            quoted,
            deleted: false,
            hidden: false,
            versions: Vec::new(),
            unseen_until: None,
        };
        self.tweets.insert(id, tweet);
        self.tell(id, at);
        id
    }

    fn newest(&self, id: u64) -> u64 {
        self.tweets.get(&id).and_then(|tweet| tweet.versions.last().copied()).unwrap_or(id)
    }

    /// A new version, with an id and a time of its own; the old one can still be read by its id.
    pub(crate) fn edit(&mut self, id: u64, text: &str, at: OffsetDateTime) -> Option<u64> {
        let first = self.tweets.get(&id)?.clone();
        let newer = self.add(first.author, text, first.replied_to, first.quoted, at);
        let mut versions = if first.versions.is_empty() { vec![id] } else { first.versions };
        versions.push(newer);
        for version in &versions {
            let tweet = self.tweets.get_mut(version)?;
            (tweet.conversation, tweet.versions) = (first.conversation, versions.clone());
        }
        Some(newer)
    }

    /// Adds a post the way the vendor does it for an app.
    pub(crate) fn try_add(
        &mut self,
        author: u64,
        text: &str,
        replied_to: Option<u64>,
        at: OffsetDateTime,
    ) -> Result<u64, XRefusal> {
        if text.trim().is_empty() {
            return Err(XRefusal::NoText);
        }
        if text.chars().count() > 560 {
            return Err(XRefusal::TooLong);
        }
        if let Some(parent) = replied_to {
            let parent = self.tweets.get(&parent).filter(|parent| !parent.deleted).ok_or(XRefusal::UnknownTarget)?;
            if !self.may_answer(author, parent) {
                return Err(XRefusal::NotSummoned);
            }
        }
        let day_ago = at - time::Duration::DAY;
        let same = |known: &&Tweet| {
            known.author == author && !known.deleted && known.at > day_ago && spoken(&known.text) == spoken(text)
        };
        if self.tweets.values().rev().take_while(|known| known.at > day_ago).any(|known| same(&known)) {
            return Err(XRefusal::Duplicate);
        }
        Ok(self.add(author, text, replied_to, None, at))
    }

    /// The rule since 2026-02: only where the author of the post mentions or quotes the account, or answers its post.
    fn may_answer(&self, author: u64, target: &Tweet) -> bool {
        let quotes = target.quoted.and_then(|id| self.tweets.get(&id)).is_some_and(|quoted| quoted.author == author);
        target.author == author || quotes || self.mentioned(&target.text).any(|(.., user)| user.id == author)
    }

    /// Places (in code points, end exclusive) of each @name that is an account.
    pub(crate) fn mentioned<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, usize, &'a User)> {
        let letters: Vec<char> = text.chars().collect();
        let starts = (0..letters.len()).filter(move |at| letters[*at] == '@').collect::<Vec<_>>();
        let letters: Vec<char> = text.chars().collect();
        starts.into_iter().filter_map(move |at| {
            let name: String =
                letters[at + 1..].iter().take_while(|sign| sign.is_ascii_alphanumeric() || **sign == '_').collect();
            Some((at, at + 1 + name.len(), self.user_named(&name)?))
        })
    }

    pub(crate) fn settle(&mut self, now: OffsetDateTime) {
        let (due, waiting) = std::mem::take(&mut self.landings).into_iter().partition(|landing| landing.at <= now);
        self.landings = waiting;
        let due: Vec<Landing> = due;
        for landing in due {
            let _ = self.try_add(landing.author, &landing.text, Some(landing.replied_to), landing.at);
        }
    }

    /// Every resource that an answer holds is charged (docs.x.com, pricing).
    pub(crate) fn charge_answer(&mut self, body: &Map<String, Value>, data_is_user: bool, now: OffsetDateTime) {
        self.begin_day(now);
        let includes = |name: &str| ids_in(body.get("includes").and_then(|includes| includes.get(name)));
        let (mut posts, mut users) = (includes("tweets"), includes("users"));
        posts.extend(includes("posts"));
        if data_is_user { &mut users } else { &mut posts }.extend(ids_in(body.get("data")));
        for id in posts {
            self.bill.post_reads += u64::from(self.read_that_day.insert(id));
        }
        for id in users {
            self.bill.user_reads += u64::from(self.users_read_that_day.insert(id));
        }
    }

    fn begin_day(&mut self, now: OffsetDateTime) {
        let day = now.unix_timestamp().div_euclid(86_400);
        if day != self.read_day {
            self.read_day = day;
            self.read_that_day.clear();
            self.users_read_that_day.clear();
        }
    }

    /// An event that tells of a post costs what reading it does.
    pub(super) fn charge_event(&mut self, id: u64, now: OffsetDateTime) {
        self.begin_day(now);
        self.bill.post_reads += u64::from(self.read_that_day.insert(id));
    }

    pub(crate) fn charge_post(&mut self, text: &str) {
        let counter = if links::holds_link(text) { &mut self.bill.posts_with_link } else { &mut self.bill.posts };
        *counter += 1;
    }
}

/// Of one resource, or of a list.
fn ids_in(resources: Option<&Value>) -> Vec<u64> {
    let all = match resources {
        Some(Value::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    all.iter().filter_map(|one| one.get("id")?.as_str()?.parse().ok()).collect()
}

/// Without the names at the beginning, which the vendor adds.
pub(super) fn spoken(text: &str) -> String {
    text.split_whitespace().skip_while(|word| word.starts_with('@')).collect::<Vec<_>>().join(" ")
}
