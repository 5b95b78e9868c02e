//! Posts and users in the vendor's form: only the members that were asked for, ids as text, `&`, `<` and `>` escaped, indices by code point.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::things::{Tweet, User, XWorld};

/// What a call asked to see.
pub(super) struct Wanted {
    fields: BTreeSet<String>,
    expansions: BTreeSet<String>,
    /// Asked in the names of the API description of 2026: posts instead of tweets. The answer then speaks likewise.
    posts: bool,
}

impl Wanted {
    pub(super) fn of(query: &HashMap<String, String>) -> Self {
        let list = |name: &str| {
            let told = query.get(name).map_or("", String::as_str);
            told.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let expansions: BTreeSet<String> = list("expansions");
        let posts = query.contains_key("post.fields") || expansions.contains("referenced_posts");
        let mut fields: BTreeSet<String> = list("tweet.fields");
        fields.extend(list("post.fields"));
        Self { fields, expansions, posts }
    }

    /// As events show a post.
    pub(super) fn everything() -> Self {
        let names = [
            "author_id",
            "created_at",
            "conversation_id",
            "in_reply_to_user_id",
            "referenced_tweets",
            "reply_settings",
            "entities",
            "note_tweet",
        ];
        Self { fields: names.map(str::to_owned).into(), expansions: BTreeSet::new(), posts: false }
    }

    /// A field, or one that an expansion brings along.
    fn asked(&self, field: &str) -> bool {
        self.fields.contains(field) || self.fields.contains(renamed(field)) || self.expands(field)
    }

    fn expands(&self, field: &str) -> bool {
        match field {
            "referenced_tweets" => {
                ["referenced_tweets.id", "referenced_posts"].iter().any(|name| self.expansions.contains(*name))
            }
            _ => self.expansions.contains(field),
        }
    }

    fn name(&self, field: &'static str) -> &'static str {
        if self.posts { renamed(field) } else { field }
    }
}

fn renamed(field: &str) -> &str {
    match field {
        "referenced_tweets" => "referenced_posts",
        "edit_history_tweet_ids" => "edit_history_post_ids",
        "note_tweet" => "note_post",
        "tweets" => "posts",
        same => same,
    }
}

pub(super) fn at(at: OffsetDateTime) -> String {
    let millis = at.millisecond();
    format!("{}T{:02}:{:02}:{:02}.{millis:03}Z", at.date(), at.hour(), at.minute(), at.second())
}

/// The text with each address as a short link, and where those stand.
fn shortened(text: &str, id: u64) -> (String, Vec<Value>) {
    let (mut told, mut links) = (String::new(), Vec::new());
    for (number, word) in text.split_inclusive(char::is_whitespace).enumerate() {
        let address = word.trim_end();
        if !address.starts_with("http://") && !address.starts_with("https://") {
            told.push_str(word);
            continue;
        }
        let url = format!("https://t.co/{}", crate::world::base36(id % 2_000_000_000 + number as u64));
        let start = escaped(&told).chars().count();
        links.push(json!({"start": start, "end": start + url.len(), "url": url, "expanded_url": address,
            "display_url": address.trim_start_matches("https://").trim_start_matches("http://")}));
        told.push_str(&url);
        told.push_str(&word[address.len()..]);
    }
    (told, links)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn tweet(world: &XWorld, tweet: &Tweet, wanted: &Wanted) -> Value {
    let (text, links) = shortened(&tweet.text, tweet.id);
    let whole = escaped(&text);
    let long = whole.chars().count() > 280;
    let shown: String = if long { whole.chars().take(270).chain("…".chars()).collect() } else { whole.clone() };
    let id = tweet.id.to_string();
    let mut told = Map::new();
    told.insert("id".into(), json!(id));
    told.insert("text".into(), json!(shown));
    let versions = if tweet.versions.is_empty() { vec![tweet.id] } else { tweet.versions.clone() };
    let versions: Vec<String> = versions.iter().map(u64::to_string).collect();
    told.insert(wanted.name("edit_history_tweet_ids").into(), json!(versions));
    if wanted.asked("author_id") {
        told.insert("author_id".into(), json!(tweet.author.to_string()));
    }
    if wanted.asked("created_at") {
        told.insert("created_at".into(), json!(at(tweet.at)));
    }
    if wanted.asked("conversation_id") {
        told.insert("conversation_id".into(), json!(tweet.conversation.to_string()));
    }
    if wanted.asked("reply_settings") {
        told.insert("reply_settings".into(), json!("everyone"));
    }
    let parent = tweet.replied_to.and_then(|parent| world.tweets.get(&parent));
    if let Some(parent) = parent.filter(|_| wanted.asked("in_reply_to_user_id")) {
        told.insert("in_reply_to_user_id".into(), json!(parent.author.to_string()));
    }
    if wanted.asked("referenced_tweets") {
        let both = [("replied_to", tweet.replied_to), ("quoted", tweet.quoted)];
        let all: Vec<Value> =
            both.iter().filter_map(|(kind, id)| Some(json!({"type": kind, "id": (*id)?.to_string()}))).collect();
        if !all.is_empty() {
            told.insert(wanted.name("referenced_tweets").into(), json!(all));
        }
    }
    if wanted.asked("entities") {
        let mentions: Vec<Value> = world
            .mentioned(&whole)
            .map(|(start, end, user)| json!({"start": start, "end": end, "username": user.name, "id": user.id.to_string()}))
            .collect();
        let mut entities = Map::new();
        if !mentions.is_empty() {
            entities.insert("mentions".into(), json!(mentions));
        }
        if !links.is_empty() {
            entities.insert("urls".into(), json!(links));
        }
        if !entities.is_empty() {
            told.insert("entities".into(), json!(entities));
        }
    }
    if long && wanted.asked("note_tweet") {
        told.insert(wanted.name("note_tweet").into(), json!({"text": whole}));
    }
    Value::Object(told)
}

pub(super) fn user(user: &User) -> Value {
    json!({"id": user.id.to_string(), "name": user.name, "username": user.name})
}

/// The posts, what they refer to as far as that was asked for, and an error for each of those that is gone.
pub(super) fn body(
    world: &XWorld,
    tweets: &[&Tweet],
    wanted: &Wanted,
    visible: impl Fn(&Tweet) -> bool,
) -> Map<String, Value> {
    let mut body = Map::new();
    if !tweets.is_empty() {
        body.insert("data".into(), tweets.iter().map(|one| tweet(world, one, wanted)).collect());
    }
    let (mut included, mut errors): (Vec<&Tweet>, Vec<Value>) = (Vec::new(), Vec::new());
    if wanted.expands("referenced_tweets") {
        for id in tweets.iter().flat_map(|tweet| [tweet.replied_to, tweet.quoted]).flatten().collect::<BTreeSet<u64>>()
        {
            match world.tweets.get(&id).filter(|tweet| visible(tweet)) {
                Some(other) => included.push(other),
                None => errors.push(missing("referenced_tweets.id", id)),
            }
        }
    }
    let mut includes = Map::new();
    if wanted.expands("author_id") && !tweets.is_empty() {
        let authors: BTreeSet<u64> = tweets.iter().chain(&included).map(|tweet| tweet.author).collect();
        let users: Vec<Value> = authors.into_iter().filter_map(|id| world.user(id)).map(user).collect();
        includes.insert("users".into(), json!(users));
    }
    if !included.is_empty() {
        includes.insert(wanted.name("tweets").into(), included.iter().map(|one| tweet(world, one, wanted)).collect());
    }
    if !includes.is_empty() {
        body.insert("includes".into(), Value::Object(includes));
    }
    if !errors.is_empty() {
        body.insert("errors".into(), json!(errors));
    }
    body
}

pub(super) fn missing(parameter: &str, id: u64) -> Value {
    let id = id.to_string();
    json!({
        "resource_id": id, "parameter": parameter, "resource_type": "tweet", "title": "Not Found Error", "value": id,
        "detail": format!("Could not find tweet with {parameter}: [{id}]."),
        "type": "https://api.x.com/2/problems/resource-not-found",
    })
}
