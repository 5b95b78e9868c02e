//! X's JSON as plain values. Names are moving from "tweet" to "post", so each is read in both spellings; ids are decimal strings
//! of 64 bits and never pass through a float; text arrives with `&`, `<` and `>` escaped and its indices count code points.

use crate::http::address;
use crate::types::{Account, FoundReply, InboundComment, InboundPost};
use serde_json::{Map, Value};
use std::collections::HashMap;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use unicode_normalization::UnicodeNormalization;
use url::Url;

/// Milliseconds between 1970 and the first moment that an id can name.
const ID_EPOCH_MILLIS: i128 = 1_288_834_974_657;
/// Ids below this were counted, not made from the time.
const FIRST_TIMED_ID: u64 = 1 << 36;

pub(super) fn text<'a>(data: &'a Value, key: &str) -> Option<&'a str> {
    data.get(key)?.as_str()
}

/// `{start}tweet{end}`, else the same with "post".
fn named<'a>(data: &'a Value, start: &str, end: &str) -> Option<&'a Value> {
    data.get(format!("{start}tweet{end}")).or_else(|| data.get(format!("{start}post{end}")))
}

/// A decimal id of 64 bits, whether it came as text or as a whole number.
pub(super) fn as_id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => number_of(text).map(|_| text.clone()),
        other => other.as_u64().map(|number| number.to_string()),
    }
}

fn id_at(data: &Value, key: &str) -> Option<String> {
    as_id(data.get(key)?)
}

/// The number behind an id, by which ids are ordered.
pub(super) fn number_of(id: &str) -> Option<u64> {
    let plain = !id.is_empty() && id.len() <= 20 && id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|_| plain)
}

pub(super) fn is_id(id: &str) -> bool {
    number_of(id).is_some()
}

/// The first id that a post of this moment could have; 0 before there were such ids.
pub(super) fn first_id_at(at: OffsetDateTime) -> u64 {
    let millis = at.unix_timestamp_nanos() / 1_000_000 - ID_EPOCH_MILLIS;
    u64::try_from(millis).map_or(0, |millis| millis.min(u64::MAX >> 22) << 22)
}

/// When a post was made, by its id.
pub(super) fn time_of(id: &str) -> Option<OffsetDateTime> {
    let number = number_of(id).filter(|number| *number >= FIRST_TIMED_ID)?;
    let millis = i128::from(number >> 22) + ID_EPOCH_MILLIS;
    OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).ok()
}

/// A post as X shows it, with what the `includes` of the answer say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tweet {
    /// Of its first version: an edit makes a new id, and all versions are one thing to us.
    pub id: String,
    /// Of the version that the page shows: what pages are cut by.
    pub listed_id: String,
    /// The newest version, where this is an older one.
    pub newer: Option<String>,
    pub text: String,
    pub author_id: Option<String>,
    pub author_name: Option<String>,
    pub conversation_id: Option<String>,
    pub replied_to: Option<String>,
    pub replied_to_user: Option<String>,
    pub quoted_author: Option<String>,
    pub retweet: bool,
    pub created_at: Option<OffsetDateTime>,
    pub edited_at: Option<OffsetDateTime>,
    /// Ids and, in lower case, names that the text mentions.
    mentions: Vec<String>,
}

impl Tweet {
    pub fn is_by(&self, account: &Account) -> bool {
        self.author_id.as_ref().is_some_and(|id| *id == account.id)
    }

    /// The first post of its conversation.
    pub fn is_root(&self) -> bool {
        self.replied_to.is_none() && self.conversation_id.as_ref().is_none_or(|root| *root == self.id)
    }

    /// X takes a reply by API only from who was asked: by a mention, a quote, or an answer to a post of their own.
    /// X: changelog of 2026-02-23, "Manage Posts".
    pub fn summons(&self, account: &Account) -> bool {
        let name = account.name.to_ascii_lowercase();
        self.is_by(account)
            || self.mentions.iter().any(|mentioned| *mentioned == account.id || *mentioned == name)
            || self.quoted_author.as_ref() == Some(&account.id)
            || self.replied_to_user.as_ref() == Some(&account.id)
    }

    pub fn made_at(&self) -> Option<OffsetDateTime> {
        self.created_at.or_else(|| time_of(&self.id))
    }

    pub fn permalink(&self, site: &Url) -> Option<Url> {
        permalink(site, self.author_name.as_deref(), &self.id)
    }

    pub fn found(&self, site: &Url) -> FoundReply {
        FoundReply { id: self.id.clone(), permalink: self.permalink(site), created_at: self.made_at() }
    }

    /// Why only a person on the website can answer it; None where the API takes a reply.
    pub fn by_hand(&self, account: &Account) -> Option<String> {
        (!self.summons(account)).then(|| {
            format!(
                "X takes replies through its API only where the author mentions or quotes @{0} or answers a post of @{0}. \
                 On x.com you can answer it yourself.",
                account.name
            )
        })
    }

    pub fn into_post(self, site: &Url, account: &Account) -> Option<InboundPost> {
        Some(InboundPost {
            created_at: self.made_at()?,
            permalink: self.permalink(site),
            by_hand: self.by_hand(account),
            title: None,
            community: None,
            locked: false,
            edited_at: self.edited_at,
            author_id: self.author_id,
            author_name: self.author_name,
            body: self.text,
            id: self.id,
        })
    }

    /// `post_id` is what it stands under.
    pub fn into_comment(self, post_id: String, site: &Url, account: &Account) -> Option<InboundComment> {
        Some(InboundComment {
            created_at: self.made_at()?,
            permalink: self.permalink(site),
            by_hand: self.by_hand(account),
            parent_comment_id: self.replied_to.filter(|parent| *parent != post_id),
            post_id,
            edited_at: self.edited_at,
            deleted: false,
            author_id: self.author_id,
            author_name: self.author_name,
            text: self.text,
            id: self.id,
        })
    }
}

/// `/<name>/status/<id>`; where the name is not known, the form that works without it.
pub(super) fn permalink(site: &Url, name: Option<&str>, id: &str) -> Option<Url> {
    let name = name.filter(|name| is_name(name)).unwrap_or("i/web");
    is_id(id).then(|| address(site, &name.split('/').chain(["status", id]).collect::<Vec<_>>()))
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=20).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// One page of posts, each with what the includes say about it.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub tweets: Vec<Tweet>,
    /// Parents and quoted posts, by id.
    pub others: HashMap<String, Tweet>,
    pub next: Option<String>,
    /// Things of `errors` that are gone or closed to us: id and whether X says "not found".
    pub missing: Vec<Missing>,
    pub problems: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub id: String,
    pub not_found: bool,
    pub detail: String,
}

/// None where it is no answer of a list of posts or of one. An empty page has no `data` at all.
pub(super) fn page(body: &Value) -> Option<Page> {
    let body = body.as_object()?;
    let data: Vec<&Value> = match body.get("data") {
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        Some(_) => return None,
        None if body.contains_key("meta") || body.contains_key("errors") => Vec::new(),
        None => return None,
    };
    let included = body.get("includes").unwrap_or(&Value::Null);
    let names = names(included);
    let mut page = Page::default();
    for other in named(included, "", "s").and_then(Value::as_array).into_iter().flatten() {
        if let Some(tweet) = tweet(other, &names) {
            page.others.insert(id_at(other, "id").unwrap_or_else(|| tweet.id.clone()), tweet);
        }
    }
    for one in data {
        let Some(mut tweet) = tweet(one, &names) else {
            page.problems.push("a post came without a usable id".to_owned());
            continue;
        };
        let quoted = referenced(one, "quoted").and_then(|id| page.others.get(&id)?.author_id.clone());
        tweet.quoted_author = quoted;
        if let Some(parent) = tweet.replied_to.as_ref().and_then(|id| page.others.get(id)) {
            // An answer to a later version answers the same thing.
            tweet.replied_to = Some(parent.id.clone());
            tweet.replied_to_user = tweet.replied_to_user.or_else(|| parent.author_id.clone());
        }
        page.tweets.push(tweet);
    }
    page.next = body.get("meta").and_then(|meta| text(meta, "next_token")).map(str::to_owned);
    page.missing = missing(body);
    Some(page)
}

pub(super) fn names(included: &Value) -> HashMap<String, String> {
    let users = included.get("users").and_then(Value::as_array).into_iter().flatten();
    // Activity events wrap each user once more.
    let users = users.map(|user| user.get("data").unwrap_or(user));
    users.filter_map(|user| Some((id_at(user, "id")?, text(user, "username")?.to_owned()))).collect()
}

fn missing(body: &Map<String, Value>) -> Vec<Missing> {
    let errors = body.get("errors").and_then(Value::as_array).into_iter().flatten();
    errors
        .filter_map(|error| {
            let id = ["resource_id", "value"].iter().find_map(|key| id_at(error, key))?;
            Some(Missing {
                id,
                not_found: super::problem::last_part(text(error, "type").unwrap_or_default()) == "resource-not-found",
                detail: shortened(text(error, "detail").unwrap_or_default(), 300),
            })
        })
        .collect()
}

fn referenced(data: &Value, kind: &str) -> Option<String> {
    let all = named(data, "referenced_", "s")?.as_array()?;
    id_at(all.iter().find(|one| text(one, "type") == Some(kind))?, "id")
}

/// None without an id.
pub(super) fn tweet(data: &Value, names: &HashMap<String, String>) -> Option<Tweet> {
    let own_id = id_at(data, "id")?;
    let versions: Vec<String> = named(data, "edit_history_", "_ids")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(as_id)
        .collect();
    let edited_at = versions.last().filter(|_| versions.len() > 1).and_then(|last| time_of(last));
    let newer = versions.last().filter(|last| **last != own_id).cloned();
    let id = versions.first().cloned().unwrap_or_else(|| own_id.clone());
    let author_id = id_at(data, "author_id");
    let created = text(data, "created_at").and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    let conversation = id_at(data, "conversation_id").map(|root| if root == own_id { id.clone() } else { root });
    Some(Tweet {
        text: whole_text(data),
        author_name: author_id.as_ref().and_then(|id| names.get(id).cloned()),
        conversation_id: conversation,
        replied_to: referenced(data, "replied_to").or_else(|| id_at(data, "in_reply_to_tweet_id")),
        replied_to_user: id_at(data, "in_reply_to_user_id"),
        quoted_author: None,
        retweet: referenced(data, "retweeted").is_some(),
        // A later version carries its own time; the thing is as old as its first one.
        created_at: if edited_at.is_some() { time_of(&id).or(created) } else { created },
        edited_at,
        mentions: mentions(data),
        author_id,
        newer,
        listed_id: own_id,
        id,
    })
}

fn mentions(data: &Value) -> Vec<String> {
    let of = |data: &Value| {
        let all = data.pointer("/entities/mentions").and_then(Value::as_array).into_iter().flatten();
        let each = |one: &Value| [id_at(one, "id"), text(one, "username").map(str::to_ascii_lowercase)];
        all.flat_map(each).flatten().collect::<Vec<_>>()
    };
    let mut all = of(data);
    all.extend(named(data, "note_", "").map(of).unwrap_or_default());
    all
}

/// The text as people read it: long posts whole, short links as where they lead, escapes undone.
fn whole_text(data: &Value) -> String {
    let (holder, raw) = match named(data, "note_", "").and_then(|note| Some((note, text(note, "text")?))) {
        Some(whole) => whole,
        None => (data, text(data, "text").unwrap_or_default()),
    };
    unescaped(&with_links(raw, holder.pointer("/entities/urls").and_then(Value::as_array).map_or(&[], Vec::as_slice)))
}

/// Puts where a short link leads in its place. Indices count code points, the end exclusive; one that does not fit the text is left.
fn with_links(raw: &str, links: &[Value]) -> String {
    let letters: Vec<char> = raw.chars().collect();
    let mut found: Vec<(usize, usize, &str)> = links
        .iter()
        .filter_map(|link| {
            let at = |key| usize::try_from(link.get(key)?.as_u64()?).ok();
            let (start, end) = (at("start")?, at("end")?);
            let stands: String = letters.get(start..end)?.iter().collect();
            let to = text(link, "unwound_url").or_else(|| text(link, "expanded_url"))?;
            (text(link, "url") == Some(&stands)).then_some((start, end, to))
        })
        .collect();
    found.sort_unstable();
    let (mut told, mut from) = (String::with_capacity(raw.len()), 0);
    for (start, end, to) in found.into_iter() {
        if start >= from {
            told.extend(&letters[from..start]);
            told.push_str(to);
            from = end;
        }
    }
    told.extend(&letters[from..]);
    told
}

/// Only these three are escaped; `&amp;lt;` is the text `&lt;`.
pub(super) fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The form in which a reply that stands on X is compared with ours: without the @names at its beginning, which X adds, and with
/// each link as one sign, since X rewrites them.
pub(super) fn comparable(text: &str) -> String {
    let composed: String = text.nfc().collect();
    let mut rest = composed.as_str();
    while let Some(after) = super::length::leading_name(rest) {
        rest = after;
    }
    let mut told = String::new();
    let mut from = 0;
    for link in super::length::urls(rest) {
        told.push_str(&rest[from..link.start]);
        told.push('\u{FFFC}');
        from = link.end;
    }
    told.push_str(&rest[from..]);
    told.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most `chars` characters.
pub(super) fn shortened(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// How far back "recent" reaches: search ends after a week, so nothing else looks further at first.
pub(super) const WEEK: Duration = Duration::days(7);
