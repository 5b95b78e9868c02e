//! Reading: who am I, mentions, an account's posts, search of the last week, posts by id.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};
use time::Duration;

use super::shapes::{self, Wanted};
use super::things::{Tweet, XWorld};
use super::{Caller, Params, answer, invalid, problem, query};
use crate::Shared;
use crate::world::base36;

type Me = Extension<Caller>;
type Asked = HashMap<String, String>;

impl Caller {
    pub(super) fn sees(&self, tweet: &Tweet) -> bool {
        !tweet.deleted
            && tweet.unseen_until.is_none_or(|until| until <= self.now)
            && self.as_of.is_none_or(|as_of| tweet.at <= as_of)
    }
}

pub(super) async fn me(State(shared): State<Arc<Shared>>, Extension(caller): Me) -> Response {
    let mut world = shared.world();
    let Some(user) = world.x.user(caller.user).map(shapes::user) else { return super::plain(401) };
    let body = Map::from_iter([("data".to_owned(), user)]);
    world.x.charge_answer(&body, true, caller.now);
    answer(StatusCode::OK, Value::Object(body))
}

/// One page, newest first. Pages are cut before what is gone is left out, so they may be short, or empty and not the last.
fn page(
    shared: &Shared,
    caller: &Caller,
    asked: &Asked,
    least: usize,
    wanted_one: impl Fn(&Tweet, &XWorld) -> bool,
) -> Response {
    let number = |name: &str| asked.get(name).map(|told| told.parse::<u64>());
    let size = match asked.get("max_results").map(|told| told.parse::<usize>()) {
        None => 10,
        Some(Ok(size)) if (least..=100).contains(&size) => size,
        Some(_) => {
            let message = format!("The `max_results` query parameter value is not between {least} and 100");
            return invalid("max_results", asked.get("max_results").map_or("", String::as_str), &message);
        }
    };
    let (since, until) = match (number("since_id").transpose(), number("until_id").transpose()) {
        (Ok(since), Ok(until)) => (since.unwrap_or(0), until.unwrap_or(u64::MAX)),
        _ => return invalid("since_id", "", "an id is made of digits"),
    };
    let token = asked.get("pagination_token").or_else(|| asked.get("next_token"));
    let below = match token.map(|token| u64::from_str_radix(token, 36)) {
        None => until,
        Some(Ok(below)) => below.min(until),
        Some(Err(_)) => return invalid("pagination_token", token.map_or("", String::as_str), "unknown token"),
    };
    let mut guard = shared.world();
    let all: Vec<u64> = guard
        .x
        .tweets
        .range(..below)
        .rev()
        .take_while(|(id, _)| **id > since)
        .filter(|(_, tweet)| tweet.is_newest() && wanted_one(tweet, &guard.x))
        .map(|(id, _)| *id)
        .take(size + 1)
        .collect();
    let cut = &all[..all.len().min(size)];
    let shown: Vec<&Tweet> =
        cut.iter().filter_map(|id| guard.x.tweets.get(id)).filter(|tweet| caller.sees(tweet)).collect();
    let mut body = shapes::body(&guard.x, &shown, &Wanted::of(asked), |tweet| caller.sees(tweet));
    let mut meta = json!({"result_count": shown.len()});
    if let (Some(first), Some(last)) = (shown.first(), shown.last()) {
        meta["newest_id"] = json!(first.id.to_string());
        meta["oldest_id"] = json!(last.id.to_string());
    }
    if all.len() > size {
        meta["next_token"] = json!(cut.last().map(|last| base36(*last)));
    }
    body.insert("meta".into(), meta);
    guard.x.charge_answer(&body, false, caller.now);
    answer(StatusCode::OK, Value::Object(body))
}

pub(super) async fn own(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Me,
    Path(id): Path<String>,
    Query(asked): Params,
) -> Response {
    let no_replies = asked.get("exclude").is_some_and(|told| told.split(',').any(|part| part == "replies"));
    page(&shared, &caller, &asked, 5, |tweet, _| {
        tweet.author.to_string() == id && !(no_replies && tweet.replied_to.is_some())
    })
}

pub(super) async fn mentions(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Me,
    Path(id): Path<String>,
    Query(asked): Params,
) -> Response {
    page(&shared, &caller, &asked, 5, |tweet, world| {
        let named = world.mentioned(&tweet.text).any(|(.., user)| user.id.to_string() == id);
        tweet.author.to_string() != id && named
    })
}

pub(super) async fn search(State(shared): State<Arc<Shared>>, Extension(caller): Me, Query(asked): Params) -> Response {
    let words = asked.get("query").map_or("", String::as_str);
    if words.chars().count() > 512 {
        return invalid("query", words, "Rule length exceeds the allowed length of 512 characters.");
    }
    let Some(query) = query::parse(words) else {
        return invalid("query", words, "There were errors processing your request");
    };
    let week_ago = caller.now - Duration::WEEK;
    let since = asked.get("since_id").and_then(|told| told.parse::<u64>().ok());
    let first = shared.world().x.tweets.values().find(|tweet| tweet.at > week_ago).map(|tweet| tweet.id);
    if since
        .is_some_and(|since| (since >> 22) as i128 + 1_288_834_974_657 < week_ago.unix_timestamp_nanos() / 1_000_000)
    {
        let message = format!(
            "'since_id' must be a tweet id created after {}. Please use a larger id than {first:?}",
            shapes::at(week_ago)
        );
        return invalid("since_id", asked.get("since_id").map_or("", String::as_str), &message);
    }
    page(&shared, &caller, &asked, 10, |tweet, world| tweet.at > week_ago && query.finds(tweet, world))
}

pub(super) async fn many(State(shared): State<Arc<Shared>>, Extension(caller): Me, Query(asked): Params) -> Response {
    let ids: Vec<&str> = asked.get("ids").map(|ids| ids.split(',').collect()).unwrap_or_default();
    if ids.is_empty() || ids.len() > 100 || ids.iter().any(|id| id.parse::<u64>().is_err()) {
        return invalid("ids", &ids.join(","), "The `ids` query parameter takes 1 to 100 ids");
    }
    by_ids(&shared, &caller, &asked, &ids.iter().filter_map(|id| id.parse().ok()).collect::<Vec<u64>>(), false)
}

/// A post that is gone is a 200 with nothing but errors.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Me,
    Path(id): Path<String>,
    Query(asked): Params,
) -> Response {
    match id.parse::<u64>() {
        Ok(id) => by_ids(&shared, &caller, &asked, &[id], true),
        Err(_) => {
            problem(400, "Invalid Request", "One or more parameters to your request was invalid.", "invalid-request")
        }
    }
}

fn by_ids(shared: &Shared, caller: &Caller, asked: &Asked, ids: &[u64], alone: bool) -> Response {
    let mut guard = shared.world();
    let shown: Vec<&Tweet> =
        ids.iter().filter_map(|id| guard.x.tweets.get(id)).filter(|tweet| caller.sees(tweet)).collect();
    let mut body = shapes::body(&guard.x, &shown, &Wanted::of(asked), |tweet| caller.sees(tweet));
    if alone && let Some(Value::Array(mut data)) = body.remove("data") {
        body.insert("data".into(), data.remove(0));
    }
    let gone = ids.iter().filter(|id| !shown.iter().any(|tweet| tweet.id == **id));
    let mut errors: Vec<Value> = gone.map(|id| shapes::missing(if alone { "id" } else { "ids" }, *id)).collect();
    if let Some(Value::Array(more)) = body.remove("errors") {
        errors.extend(more);
    }
    if !errors.is_empty() {
        body.insert("errors".into(), json!(errors));
    }
    guard.x.charge_answer(&body, false, caller.now);
    answer(StatusCode::OK, Value::Object(body))
}
