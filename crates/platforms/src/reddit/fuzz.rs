//! Entrances for a fuzzer: bytes as they could come from the wire, through everything that reads them. Nothing may panic, run away or
//! make a reply out of nothing.

use super::verdict::{self, Expected, Verdict};
use super::{Api, RedditConfig, calls, inbox, oauth, place, states, tree, wire};
use crate::error::Scope;
use crate::http::{self, Answer};
use crate::permits::AppCredentials;
use crate::types::{Account, Polled, Session};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use url::Url;

fn site() -> Url {
    Url::parse("https://www.reddit.com").expect("a constant")
}

fn session() -> Session {
    Session { account: Account { id: "t2_me".into(), name: "acme".into() }, access_token: "token".into() }
}

fn api() -> &'static Api {
    static API: OnceLock<Api> = OnceLock::new();
    API.get_or_init(|| {
        let config = RedditConfig {
            app: Some(AppCredentials { client_id: "app".into(), client_secret: "secret".into() }),
            user_agent: "fuzz".into(),
            auth_base: site(),
            api_base: site(),
            write_timeout: Duration::from_secs(1),
            settle_window: Duration::from_secs(1),
            marks_read: false,
        };
        Api { config: Arc::new(config), read: http::read_client().expect("a client") }
    })
}

/// Listings, things by id, rules, the inbox, the account.
pub fn listing(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let account = session().account;
    let mut polled = Polled::default();
    if let Some(listing) = wire::listing(&value) {
        for thing in listing.children {
            let _ = wire::post(thing, &site(), &account);
            let _ = wire::comment(thing, "t3_p", &site(), &account);
            let state = states::state(thing);
            assert!(state.is_none_or(|state| state.id.len() > 3), "a thing without an id");
        }
        let (fresh, _) = inbox::Seen::default().fresh(listing.children, &mut polled);
        assert!(fresh.len() <= listing.children.len(), "more entries than there are");
    }
    let _ = place::rules(&value);
    let _ = calls::account(&value);
    let _ = wire::refusal(Some(&value));
}

/// Comment trees with their stubs.
pub fn tree(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let listings: Vec<&Value> = value.as_array().map_or_else(|| vec![&value], |both| both.iter().collect());
    for listing in listings {
        let things = wire::listing(listing).map(|listing| listing.children);
        let things = things.or_else(|| listing.pointer("/json/data/things")?.as_array().map(Vec::as_slice));
        let Some(things) = things else { continue };
        let tree = tree::take_all(api(), &session(), "t3_p", things);
        let mut ids: Vec<&str> = tree.comments.iter().map(|comment| comment.id.as_str()).collect();
        ids.sort_unstable();
        let taken = ids.len();
        ids.dedup();
        assert_eq!(taken, ids.len(), "a comment was taken twice");
    }
}

/// Answers to a reply and of the token endpoint: the first two bytes are the status, the third whether it is called JSON.
pub fn answer(data: &[u8]) {
    let [high, low, kind, body @ ..] = data else { return };
    let mut headers = HeaderMap::new();
    let told = if kind % 4 == 0 { "text/html" } else { "application/json; charset=UTF-8" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(told));
    let status = if *high < 128 { 200 } else { u16::from_be_bytes([high % 4, *low]) };
    let answer = Answer { status, headers, body: Bytes::copy_from_slice(body) };
    let verdict = verdict::decide(&answer, &Expected::Under("t1_aaa"), &site());
    if let Verdict::Posted { id, .. } = &verdict {
        assert!(wire::bare(id, "t1_").is_some() && status == 200 && kind % 4 != 0, "posted without an id");
    }
    let _ = verdict::for_the_log(&answer);
    let _ = verdict::decide(&answer, &Expected::Same("t1_aaa"), &site());
    let _ = calls::decide(&answer, Scope::Item);
    let _ = oauth::decide(&answer);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_make_the_entrances_panic(data in prop::collection::vec(any::<u8>(), 0..80)) {
            super::listing(&data);
            super::tree(&data);
            super::answer(&data);
        }
    }

    /// What the fuzzer starts from goes through as well.
    #[test]
    fn the_seeds_go_through() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/fuzz/seeds");
        let mut seen = 0;
        for target in ["listing", "tree", "answer"] {
            for file in std::fs::read_dir(format!("{seeds}/{target}")).unwrap() {
                let data = std::fs::read(file.unwrap().path()).unwrap();
                super::listing(&data);
                super::tree(&data);
                super::answer(&data);
                seen += 1;
            }
        }
        assert!(seen >= 8, "{seen} seeds");
    }
}
