//! Recorded answers, where `REJOINDER_FIXTURES` names their folder. Each goes through the decision that its group asks for and has that
//! decision printed; what a group must never become is asserted. A group of tomorrow proves nothing: it is never a post, never repeated.

use super::wire_tests::{NOW, account, site};
use super::write::{self, Verdict};
use super::{calls, oauth, problem, wire};
use crate::error::{AuthError, FetchError, Scope};
use crate::http::Answer;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

struct Exchange {
    id: String,
    group: String,
    fragment: bool,
    asked: String,
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
    let status = file.pointer("/response/status").and_then(Value::as_u64).unwrap_or_default() as u16;
    let mut exchange = Exchange {
        id: word("/id"),
        group: word("/group"),
        fragment: file["body_is_fragment"] == true,
        asked: format!("{} {}", word("/request/method"), word("/request/uri")),
        request_body: word("/request/body"),
        answer: Answer {
            status,
            headers: headers(&file["response"]["headers"]),
            body: Bytes::from(word("/response/body")),
        },
    };
    // Quoted answers come without headers; those with a JSON body had the type of one.
    let is_json = serde_json::from_slice::<Value>(&exchange.answer.body).is_ok();
    if is_json && !exchange.answer.headers.contains_key(CONTENT_TYPE) {
        exchange.answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    exchange
}

fn exchanges() -> Vec<Exchange> {
    let Some(folder) = std::env::var_os("REJOINDER_FIXTURES") else {
        println!("REJOINDER_FIXTURES is not set: recorded answers are skipped");
        return Vec::new();
    };
    let folder = std::path::Path::new(&folder).join("x");
    let files = std::fs::read_dir(folder).expect("the folder has recordings of X");
    let paths = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    let read = paths.map(|path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap());
    let mut all: Vec<_> = read.filter(|file| file.get("response").is_some()).map(|file| exchange(&file)).collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

fn never_posted_nor_sent_again(exchange: &Exchange) -> Verdict {
    let verdict = write::decide(&exchange.answer, NOW);
    assert!(!matches!(verdict, Verdict::Posted { .. }), "{}: {verdict:?}", exchange.id);
    let told = exchange.answer.status == 429;
    assert!(told || !matches!(verdict, Verdict::RateLimited { .. }), "{}: {verdict:?}", exchange.id);
    verdict
}

/// Every post of a page, made ours; all of it is real, so nothing may be lost.
fn read_posts(exchange: &Exchange) -> String {
    let mut answer = exchange.answer.clone();
    if exchange.fragment
        && let Ok(part @ Value::Array(_)) = serde_json::from_slice::<Value>(&answer.body)
    {
        answer.body = Bytes::from(json!({"data": [], "errors": part}).to_string());
    }
    let body = match calls::decide(&answer, Scope::Item, NOW) {
        Ok(read) => read.body,
        Err(error) => return format!("{error:?}"),
    };
    let Some(page) = wire::page(&body) else { return "no posts".to_owned() };
    assert_eq!(page.problems, Vec::<String>::new(), "{}", exchange.id);
    let (count, missing, next) = (page.tweets.len(), page.missing.len(), page.next.is_some());
    let untimed = page.tweets.into_iter().filter(|one| one.clone().into_post(&site(), &account()).is_none()).count();
    format!("{count} posts ({untimed} without a time), {missing} missing, more: {next}")
}

fn decision(exchange: &Exchange) -> String {
    let (id, answer) = (&exchange.id, &exchange.answer);
    match exchange.group.as_str() {
        "create-delete" if exchange.asked.starts_with("POST") && (200..300).contains(&answer.status) => {
            let verdict = write::decide(answer, NOW);
            assert!(matches!(verdict, Verdict::Posted { .. }), "{id}: {verdict:?}");
            format!("{verdict:?}")
        }
        "create-delete" => format!("{:?}", never_posted_nor_sent_again(exchange)),
        "error-402" => {
            let (read, verdict) = (calls::decide(answer, Scope::Item, NOW), never_posted_nor_sent_again(exchange));
            assert!(matches!(verdict, Verdict::Refused { scope: Scope::App, .. }), "{id}: {verdict:?}");
            assert!(matches!(read, Err(FetchError::Refused { scope: Scope::App, .. })), "{id}: {read:?}");
            format!("{verdict:?}")
        }
        "error-429" => {
            let verdict = write::decide(answer, NOW);
            let cap = problem::said(answer).about(answer.status) == problem::About::UsageCap;
            let scope = match &verdict {
                Verdict::RateLimited { scope, .. } => *scope,
                other => panic!("{id}: {other:?}"),
            };
            assert!(!cap || scope == Scope::App, "{id}: {verdict:?}");
            format!("{verdict:?}")
        }
        "error-400" | "error-401" | "error-403" | "error-404" => {
            let (read, verdict) = (calls::decide(answer, Scope::Item, NOW), never_posted_nor_sent_again(exchange));
            assert!(read.is_err(), "{id}: {read:?}");
            if problem::said(answer).about(answer.status) == problem::About::NotSummoned {
                assert!(matches!(verdict, Verdict::Refused { scope: Scope::Item, .. }), "{id}: {verdict:?}");
            }
            format!("read: {read:?}; write: {verdict:?}")
        }
        "oauth-error" => {
            let asked = if exchange.request_body.contains("refresh_token") {
                oauth::Asked::Refresh
            } else {
                oauth::Asked::Code
            };
            let error: AuthError = oauth::decide(answer, asked).expect_err(id);
            format!("{error:?}")
        }
        "oauth-token" => {
            let grant = oauth::decide(answer, oauth::Asked::Code).unwrap_or_else(|error| panic!("{id}: {error}"));
            format!("{grant:?}")
        }
        "users-me" => {
            let me = calls::decide(answer, Scope::Account, NOW).and_then(|read| calls::account(&read.body));
            format!("{:?}", me.unwrap_or_else(|error| panic!("{id}: {error}")))
        }
        "mentions" | "user-tweets" | "search-recent" | "lookup" | "empty-page" | "partial-error" => {
            read_posts(exchange)
        }
        // Comes to us instead of going out: the post in it must be readable.
        "xaa-event" => {
            let event: Value = serde_json::from_str(&exchange.request_body).unwrap_or_default();
            let payload = event.pointer("/data/payload").unwrap_or(&Value::Null);
            let verdict = never_posted_nor_sent_again(exchange);
            format!(
                "post {:?}; as an answer: {verdict:?}",
                wire::tweet(payload, &Default::default()).map(|tweet| tweet.id)
            )
        }
        _ => format!("as an answer to a reply: {:?}", never_posted_nor_sent_again(exchange)),
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
            let verdict = write::decide(&exchange.answer, NOW);
            assert!(!matches!(verdict, Verdict::Posted { .. }), "{} cut at {cut}", exchange.id);
        }
    }
}
