//! Entrances for a fuzzer: bytes as they could come from the wire or from a person's keyboard, through everything that reads them.

use super::write::{self, Verdict};
use super::{calls, length, oauth, webhook, wire};
use crate::error::Scope;
use crate::http::Answer;
use crate::types::Account;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use time::OffsetDateTime;
use unicode_normalization::UnicodeNormalization;
use url::Url;

/// A text of any length and script: what it weighs, where its links are.
pub fn text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let composed: String = text.nfc().collect();
    let weight = length::weighted(text);
    assert_eq!(weight, length::weighted(&composed), "the form that it comes in changes nothing");
    assert!(weight <= 23 * composed.chars().count(), "nothing weighs more than a link of one character");
    let mut end = 0;
    for link in length::urls(&composed) {
        assert!(link.start >= end && link.start < link.end && composed.get(link.clone()).is_some(), "{link:?}");
        end = link.end;
    }
    let _ = wire::comparable(text);
}

/// Pages of posts, lookups and their partial errors.
pub fn page(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let _ = calls::account(&value);
    let Some(page) = wire::page(&value) else { return };
    let site = Url::parse("https://x.com").expect("a constant");
    let us = Account { id: "7".into(), name: "acme".into() };
    for tweet in page.tweets {
        assert!(wire::is_id(&tweet.id), "a post without an id");
        let _ = tweet.by_hand(&us);
        let _ = tweet.clone().into_post(&site, &us);
        let _ = tweet.into_comment("1".to_owned(), &site, &us);
    }
}

/// What comes to the webhook: cut into events, and each of them heard.
pub fn event(data: &[u8]) {
    let Ok(pushed) = webhook::split(data) else { return };
    let site = Url::parse("https://x.com").expect("a constant");
    let us = Account { id: "7".into(), name: "acme".into() };
    for event in pushed {
        assert!(event.key.is_some() != event.problem.is_some(), "{event:?}");
        let mut payload = serde_json::from_str::<Value>(&event.payload).expect("what is kept is JSON");
        let _ = webhook::heard(&site, &us, &payload, OffsetDateTime::UNIX_EPOCH);
        let _ = webhook::charges(&payload);
        webhook::without_words(&mut payload);
        assert!(payload.pointer("/payload/text").is_none(), "{payload}");
    }
}

/// Answers to a reply, to a read and of the token endpoint: the first two bytes are the status, the third whether it is called JSON.
pub fn answer(data: &[u8]) {
    let [high, low, kind, body @ ..] = data else { return };
    let mut headers = HeaderMap::new();
    let told = if kind % 4 == 0 { "text/html" } else { "application/json; charset=UTF-8" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(told));
    let status = if *high < 128 { 201 } else { u16::from_be_bytes([high % 4, *low]) };
    let (answer, now) = (Answer { status, headers, body: Bytes::copy_from_slice(body) }, OffsetDateTime::UNIX_EPOCH);
    if let Verdict::Posted { id } = write::decide(&answer, now) {
        assert!(wire::is_id(&id) && status == 201 && kind % 4 != 0, "posted without an id");
    }
    let _ = calls::decide(&answer, Scope::Item, now);
    let _ = oauth::decide(&answer, oauth::Asked::Refresh);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_make_the_entrances_panic(data in prop::collection::vec(any::<u8>(), 0..80), words in ".{0,60}") {
            for data in [&data[..], words.as_bytes()] {
                super::text(data);
                super::page(data);
                super::answer(data);
                super::event(data);
            }
        }
    }

    /// What the fuzzer starts from goes through as well.
    #[test]
    fn the_seeds_go_through() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/fuzz/seeds");
        let mut seen = 0;
        for target in ["x_text", "x_page", "x_answer", "x_event"] {
            for file in std::fs::read_dir(format!("{seeds}/{target}")).unwrap() {
                let data = std::fs::read(file.unwrap().path()).unwrap();
                super::text(&data);
                super::page(&data);
                super::answer(&data);
                super::event(&data);
                seen += 1;
            }
        }
        assert!(seen >= 6, "{seen} seeds");
    }
}
