//! Real recorded answers, where `REJOINDER_FIXTURES` names their folder. Each goes through the decision that its group asks
//! for and has that decision printed; what a group must never become is asserted.

use super::wire_tests::{api, session};
use super::write::{self, Expected, Verdict};
use super::{calls, oauth, tree, wire};
use crate::error::{AuthError, FetchError, Scope};
use crate::http::Answer;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

struct Exchange {
    id: String,
    group: String,
    fragment: bool,
    request_body: String,
    answer: Answer,
}

fn headers(told: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in told.as_object().into_iter().flatten() {
        let value = value.as_str().or_else(|| value.get(0)?.as_str()).unwrap_or_default();
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

fn exchange(file: &Value) -> Exchange {
    let word = |pointer: &str| file.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    Exchange {
        id: word("/id"),
        group: word("/group"),
        fragment: file["body_is_fragment"] == true,
        request_body: word("/request/body"),
        answer: Answer {
            status: file.pointer("/response/status").and_then(Value::as_u64).unwrap_or_default() as u16,
            headers: headers(&file["response"]["headers"]),
            body: Bytes::from(word("/response/body")),
        },
    }
}

fn exchanges() -> Vec<Exchange> {
    let Some(folder) = std::env::var_os("REJOINDER_FIXTURES") else {
        println!("REJOINDER_FIXTURES is not set: recorded answers are skipped");
        return Vec::new();
    };
    let files =
        std::fs::read_dir(std::path::Path::new(&folder).join("reddit")).expect("the folder has recordings of Reddit");
    let paths = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    let mut all: Vec<_> =
        paths.map(|path| exchange(&serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())).collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

/// A quoted fragment holds only the list of errors; the answer around it is the known one.
fn whole(exchange: &Exchange) -> Answer {
    let mut answer = exchange.answer.clone();
    if exchange.fragment
        && let Ok(errors @ Value::Array(_)) = serde_json::from_slice::<Value>(&answer.body)
    {
        answer.body = Bytes::from(json!({"json": {"errors": errors}}).to_string());
        answer.headers.insert("content-type", HeaderValue::from_static("application/json"));
    }
    answer
}

fn write_verdict(exchange: &Exchange) -> Verdict {
    let form = form_urlencoded::parse(exchange.request_body.as_bytes());
    let target = form.into_iter().find(|(key, _)| key == "thing_id").map(|(_, value)| value.into_owned());
    let site = Url::parse("https://www.reddit.com").unwrap();
    let expected = Expected::Under(target.as_deref().unwrap_or("t1_unknown"));
    write::decide(&whole(exchange), &expected, &site)
}

fn never_posted_nor_sent_again(verdict: &Verdict, exchange: &Exchange) {
    assert!(!matches!(verdict, Verdict::Posted { .. }), "{}: {verdict:?}", exchange.id);
    let said_so = exchange.answer.status == 429 || String::from_utf8_lossy(&exchange.answer.body).contains("RATELIMIT");
    assert!(said_so || !matches!(verdict, Verdict::RateLimited { .. }), "{}: {verdict:?}", exchange.id);
}

/// Every thing in a listing or tree, read; what cannot be read is a failure here, since all of it is real.
fn read_things(exchange: &Exchange) -> String {
    let body = match calls::decide(&exchange.answer, Scope::Item) {
        Ok(read) => read.body,
        Err(error) => return format!("{error:?}"),
    };
    let listings: Vec<&Value> = body.as_array().map_or_else(|| vec![&body], |both| both.iter().collect());
    let (mut posts, mut comments, mut others) = (0, 0, 0);
    for listing in listings.iter().filter_map(|listing| wire::listing(listing)) {
        let (of_tree, rest): (Vec<_>, Vec<_>) =
            listing.children.iter().partition(|thing| matches!(wire::kind(thing), "t1" | "more"));
        let of_tree: Vec<Value> = of_tree.into_iter().cloned().collect();
        let tree = tree::take_all(&api(), &session(), "t3_unknown", &of_tree);
        assert_eq!(tree.problems, Vec::<String>::new(), "{}", exchange.id);
        comments += tree.comments.len();
        for thing in rest {
            match wire::kind(thing) {
                "t3" => posts += wire::post(thing, &api().config.auth_base, &session().account).map(|_| 1).unwrap(),
                _ => others += 1,
            }
        }
    }
    format!("{posts} posts, {comments} comments, {others} others")
}

fn decision(exchange: &Exchange) -> String {
    let (id, answer) = (&exchange.id, &exchange.answer);
    match exchange.group.as_str() {
        "comment-post-ok" => {
            let verdict = write_verdict(exchange);
            assert!(matches!(verdict, Verdict::Posted { .. }), "{id}: {verdict:?}");
            format!("{verdict:?}")
        }
        "comment-post-empty-things" => {
            let verdict = write_verdict(exchange);
            assert!(matches!(verdict, Verdict::Uncertain(_)), "{id}: {verdict:?}");
            format!("{verdict:?}")
        }
        "in-band-error" => {
            let verdict = write_verdict(exchange);
            never_posted_nor_sent_again(&verdict, exchange);
            format!("{verdict:?}")
        }
        "oauth-token" => format!("{:?}", oauth::decide(answer).unwrap_or_else(|error| panic!("{id}: {error}"))),
        "oauth-error" => {
            let error: AuthError = oauth::decide(answer).expect_err(id);
            format!("{error:?}")
        }
        "auth-failure" | "http-error" => {
            let error: FetchError = calls::decide(answer, Scope::Item).expect_err(id);
            let verdict = write_verdict(exchange);
            assert!(!matches!(verdict, Verdict::Posted { .. }), "{id}: {verdict:?}");
            format!("read: {error:?}; write: {verdict:?}")
        }
        "me" => format!("{:?}", calls::decide(answer, Scope::Account).and_then(|read| calls::account(&read.body))),
        "comments-tree" | "user-submitted" | "subreddit-new" | "info" => read_things(exchange),
        // Answers to other calls prove nothing about a reply, and a group of tomorrow proves nothing either.
        _ => {
            let verdict = write_verdict(exchange);
            never_posted_nor_sent_again(&verdict, exchange);
            format!("as an answer to a reply: {verdict:?}")
        }
    }
}

#[test]
fn every_recorded_answer_has_a_decision() {
    for exchange in exchanges() {
        println!("{} [{}]: {}", exchange.id, exchange.group, decision(&exchange));
    }
}

/// A recorded answer that is cut anywhere must not turn into a post.
#[test]
fn a_recorded_answer_that_breaks_off_is_never_posted() {
    for mut exchange in exchanges() {
        let full = exchange.answer.body.clone();
        for cut in [1, full.len() / 3, full.len().saturating_sub(2)] {
            exchange.answer.body = full.slice(..cut.min(full.len().saturating_sub(1)));
            exchange.fragment = false;
            let verdict = write_verdict(&exchange);
            assert!(!matches!(verdict, Verdict::Posted { .. }), "{} cut at {cut}", exchange.id);
        }
    }
}
