//! Recorded and documented payloads, where `REJOINDER_FIXTURES` names their folder. Each exchange goes through the decision that its case
//! asks for and has that decision printed; what a case must never become is asserted.

use super::wire_tests::account;
use super::write::{self, Verdict};
use super::{calls, errors, oauth, usage, wire};
use crate::error::{AuthError, FetchError, Scope};
use crate::http::Answer;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

struct Payload {
    name: String,
    case: String,
    answer: Option<Answer>,
}

fn payloads() -> Vec<Payload> {
    let Some(folder) = std::env::var_os("REJOINDER_FIXTURES") else {
        println!("REJOINDER_FIXTURES is not set: recorded payloads are skipped");
        return Vec::new();
    };
    let folder = std::path::Path::new(&folder).join("instagram");
    let files = std::fs::read_dir(folder).expect("the folder has payloads of Instagram");
    let paths = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    let mut all: Vec<Payload> =
        paths.map(|path| payload(&serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn payload(file: &Value) -> Payload {
    let word = |key: &str| wire::text(file, key).unwrap_or_default().to_owned();
    Payload { name: word("name"), case: word("case"), answer: file.get("response").map(answer) }
}

fn answer(response: &Value) -> Answer {
    let mut headers = HeaderMap::new();
    for (name, value) in response["headers"].as_object().into_iter().flatten() {
        let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value) {
            headers.insert(name, value);
        }
    }
    // A recording of the headers that matter may leave the plainest one out.
    headers.entry("content-type").or_insert(HeaderValue::from_static("application/json"));
    let body = response["body_raw"].as_str().map_or_else(|| response["body"].to_string(), str::to_owned);
    Answer { status: response["status"].as_u64().unwrap_or_default() as u16, headers, body: Bytes::from(body) }
}

/// An answer to a read or to a login proves nothing about a reply.
fn as_a_reply(payload: &Payload, answer: &Answer) -> Verdict {
    let verdict = write::decide(answer);
    let never = || format!("{}: {verdict:?}", payload.name);
    assert!(!matches!(verdict, Verdict::Posted { .. }) || payload.case == "comment-created", "{}", never());
    let told_to_wait = matches!(errors::decide(answer, Scope::Item), errors::Decision::Wait { .. });
    assert!(told_to_wait || !matches!(verdict, Verdict::RateLimited { .. }), "{}", never());
    verdict
}

/// Every thing of a list or node, read; all of it is real, so nothing may be unreadable.
fn things(payload: &Payload, answer: &Answer) -> String {
    let body = calls::decide(answer, Scope::Item).unwrap_or_else(|error| panic!("{}: {error}", payload.name)).body;
    let inner = body.get("mentioned_comment").or_else(|| body.get("mentioned_media")).unwrap_or(&body);
    let list = inner.get("data").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![inner.clone()]);
    let (mut media, mut comments, mut others) = (0, 0, 0);
    for data in &list {
        let post = wire::PostRef { id: "1", permalink: None };
        if data.get("media_type").is_some() && data.get("timestamp").is_some() {
            media += wire::media(data, &account()).map(|_| 1).unwrap_or_else(|why| panic!("{}: {why}", payload.name));
        } else if data.get("text").is_some() {
            comments += wire::comment(data, &post, None, &account())
                .map(|_| 1 + wire::replies(data).0.len())
                .unwrap_or_else(|why| panic!("{}: {why}", payload.name));
        } else {
            others += 1;
        }
    }
    format!("{media} media, {comments} comments, {others} others, more: {}", wire::after(&body).is_some())
}

fn decision(payload: &Payload, answer: &Answer) -> String {
    let name = &payload.name;
    let verdict = as_a_reply(payload, answer);
    match payload.case.as_str() {
        "comment-created" => {
            assert!(matches!(verdict, Verdict::Posted { .. }), "{name}: {verdict:?}");
            format!("{verdict:?}")
        }
        "token-ig-login" => {
            let grant = oauth::short_lived(answer).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                grant.scopes.iter().any(|scope| scope == "instagram_business_manage_comments"),
                "{name}: {grant:?}"
            );
            format!("{:?}", grant.scopes)
        }
        "token-ig-exchange" => {
            let grant = oauth::long_lived(answer).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(grant.expires_in.is_some_and(|life| life.whole_days() == 59), "{name}: {grant:?}");
            format!("a token for {} days", grant.expires_in.unwrap().whole_days())
        }
        "error-oauth-flat" => {
            let error: AuthError = oauth::short_lived(answer).expect_err(name);
            assert!(!matches!(error, AuthError::Unavailable { .. }), "{name}: {error:?}");
            format!("{error:?}")
        }
        "user" => format!("{:?}", calls::decide(answer, Scope::Account).and_then(|read| calls::account(&read.body))),
        "media" | "media-page" | "comment" | "replies" | "comments-page" | "mention" => things(payload, answer),
        "rate-header" => {
            let budget = usage::budget(&answer.headers).unwrap_or_else(|| panic!("{name}: no budget"));
            format!("{budget:?}")
        }
        "paging" => {
            let read = calls::decide(answer, Scope::Item).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(
                wire::after(&read.body).is_some(),
                name.ends_with("-next") && !name.ends_with("no-next"),
                "{name}"
            );
            format!("more: {}", wire::after(&read.body).is_some())
        }
        case if case.starts_with("error-") => {
            let error: FetchError = calls::decide(answer, Scope::Item).expect_err(name);
            format!("read: {error:?}; write: {verdict:?}")
        }
        // A case of tomorrow: it has a decision, whatever it is.
        _ => {
            format!("as an answer to a reply: {verdict:?}; as a read: {:?}", calls::decide(answer, Scope::Item).is_ok())
        }
    }
}

#[test]
fn every_recorded_answer_has_a_decision() {
    for payload in payloads() {
        if let Some(answer) = &payload.answer {
            println!("{} [{}]: {}", payload.name, payload.case, decision(&payload, answer));
        }
    }
}

/// A recorded answer that is cut anywhere must not turn into a reply that stands.
#[test]
fn a_recorded_answer_that_breaks_off_is_never_posted() {
    for payload in payloads() {
        let Some(mut answer) = payload.answer else { continue };
        let whole = answer.body.clone();
        for cut in [1, whole.len() / 3, whole.len().saturating_sub(1)] {
            answer.body = whole.slice(..cut.min(whole.len()));
            assert!(!matches!(write::decide(&answer), Verdict::Posted { .. }), "{} cut at {cut}", payload.name);
        }
    }
}

/// Codes of tomorrow, with any status: never posted, never told to wait, never sent again as if nothing had happened.
#[test]
fn unknown_keys_are_never_posted_nor_repeated() {
    let known = [1, 2, 3, 4, 10, 17, 25, 32, 100, 102, 190, 341, 368, 463, 467, 506, 613, 2500];
    let unknown = (0..700).chain(36_000..36_010).chain(2_207_000..2_207_010).chain([-1, 99_999, i64::MAX]);
    for code in unknown.filter(|code| !known.contains(code) && !(200..300).contains(code)) {
        for status in [200, 400, 403, 500, 503] {
            let body = json!({"error": {"code": code, "error_subcode": 7, "message": "new"}});
            let answer = answer(&json!({"status": status, "headers": {}, "body": body}));
            let expected_uncertain = status >= 500;
            match write::decide(&answer) {
                Verdict::Refused { scope: Scope::Item, .. } if !expected_uncertain => {}
                Verdict::Uncertain(_) if expected_uncertain => {}
                other => panic!("{code} with {status}: {other:?}"),
            }
        }
    }
}
