use super::tree::take_all;
use super::{Api, RedditConfig, calls, wire};
use crate::permits::AppCredentials;
use crate::types::{Account, Session};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

thread_local! {
    /// Building a client loads root certificates, which is slow.
    static CLIENT: reqwest::Client = crate::http::read_client().unwrap();
}

pub(super) fn api() -> Api {
    let config = RedditConfig {
        app: Some(AppCredentials { client_id: "app".into(), client_secret: "secret".into() }),
        user_agent: "test:rejoinder:0 (by /u/acme)".into(),
        auth_base: Url::parse("https://www.reddit.com").unwrap(),
        api_base: Url::parse("https://oauth.reddit.com").unwrap(),
        write_timeout: Duration::from_secs(20),
        settle_window: Duration::from_secs(120),
        marks_read: true,
    };
    Api { config: Arc::new(config), read: CLIENT.with(Clone::clone) }
}

pub(super) fn session() -> Session {
    Session { account: Account { id: "t2_me".into(), name: "acme".into() }, access_token: "token".into() }
}

fn site() -> Url {
    Url::parse("https://www.reddit.com").unwrap()
}

fn comment(mut data: Value) -> Result<crate::InboundComment, String> {
    for (key, value) in [("name", json!("t1_a")), ("parent_id", json!("t3_p")), ("created_utc", json!(1.0))] {
        if data.get(key).is_none() {
            data[key] = value;
        }
    }
    wire::comment(&json!({"kind": "t1", "data": data}), "t3_p", &site(), &session().account)
}

#[test]
fn times_are_float_seconds_and_edited_can_be_false() {
    let read = comment(json!({"created_utc": 1458444463.25, "edited": false, "body": "hi", "author": "x"})).unwrap();
    assert_eq!(read.created_at.unix_timestamp_nanos(), 1_458_444_463_250_000_000);
    assert_eq!(read.edited_at, None);
    let edited = comment(json!({"edited": "1458444463.0"})).unwrap();
    assert_eq!(edited.edited_at.unwrap().unix_timestamp(), 1458444463);
    assert!(comment(json!({"created_utc": 1e300})).is_err());
    assert!(comment(json!({"created_utc": null})).is_err());
}

#[test]
fn a_text_is_gone_only_where_its_author_is_gone_too() {
    assert!(comment(json!({"author": "[deleted]", "body": "[removed]"})).unwrap().deleted);
    assert!(comment(json!({"author": null, "body": "[deleted]"})).unwrap().deleted);
    assert!(!comment(json!({"author": "x", "body": "[deleted]"})).unwrap().deleted);
    let orphan = comment(json!({"author": "[deleted]", "body": "still here"})).unwrap();
    assert!(!orphan.deleted && orphan.author_name.is_none());
}

#[test]
fn our_own_things_carry_our_id_also_where_only_the_name_stands() {
    assert_eq!(comment(json!({"author": "Acme"})).unwrap().author_id.as_deref(), Some("t2_me"));
    let other = comment(json!({"author": "acme", "author_fullname": "t2_other"})).unwrap();
    assert_eq!(other.author_id.as_deref(), Some("t2_other"));
}

#[test]
fn a_link_leads_to_the_site_and_nowhere_else() {
    for bad in ["//evil.example/x", "https://evil.example/", "javascript:alert(1)", "/\\evil.example/"] {
        let link = comment(json!({"permalink": bad})).unwrap().permalink.unwrap();
        assert_eq!(link.as_str(), "https://www.reddit.com/comments/p/_/a/", "{bad}");
    }
}

#[test]
fn an_id_of_another_shape_is_never_taken() {
    for bad in ["t1_../../api", "t1_", "t1_a b", ""] {
        assert!(comment(json!({"name": bad})).is_err(), "{bad}");
    }
    assert!(calls::bare_id("t3_abc?x=1", "t3_").is_err());
    assert_eq!(calls::bare_id("t3_abc", "t3_"), Ok("abc"));
}

#[test]
fn texts_are_equal_across_escapes_spaces_and_composition() {
    assert_eq!(wire::normalised("a &lt;b&gt; &amp; c\u{a0}d \n"), wire::normalised("a <b> & c d"));
    assert_eq!(wire::normalised("cafe\u{301}"), wire::normalised("café"));
    assert_ne!(wire::normalised("Thanks!"), wire::normalised("Thanks"));
}

#[test]
fn the_accounts_id_gets_the_prefix_that_listings_use() {
    let me = calls::account(&json!({"id": "abc", "name": "acme", "is_suspended": false})).unwrap();
    assert_eq!(me, Account { id: "t2_abc".into(), name: "acme".into() });
    assert!(calls::account(&json!({"id": "abc", "name": "acme", "is_suspended": true})).is_err());
    assert!(calls::account(&json!({"name": "acme"})).is_err());
}

#[test]
fn one_bad_comment_costs_only_itself() {
    let good = |id: &str| json!({"kind": "t1", "data": {"id": id, "parent_id": "t3_p", "created_utc": 5}});
    let tree = take_all(
        &api(),
        &session(),
        "t3_p",
        &[good("a"), json!({"kind": "t1", "data": 7}), json!({"kind": "zz"}), good("b")],
    );
    let ids: Vec<_> = tree.comments.iter().map(|comment| comment.id.as_str()).collect();
    assert_eq!((ids, tree.problems.len()), (vec!["t1_a", "t1_b"], 2));
}

#[test]
fn a_nested_tree_is_walked_to_its_leaves() {
    let mut replies = json!("");
    for id in 0..20 {
        let data = json!({"id": format!("c{id}"), "parent_id": "t3_p", "created_utc": 5, "replies": replies});
        replies = json!({"kind": "Listing", "data": {"children": [{"kind": "t1", "data": data}]}});
    }
    let children = replies["data"]["children"].as_array().unwrap();
    assert_eq!(take_all(&api(), &session(), "t3_p", children).comments.len(), 20);
}

/// Values that look like Reddit's, with wrong types and odd numbers mixed in.
fn things() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(t[1-6]_)?[a-z0-9_]{0,5}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "kind",
        "data",
        "children",
        "replies",
        "name",
        "id",
        "parent_id",
        "link_id",
        "created_utc",
        "edited",
        "author",
        "author_fullname",
        "permalink",
        "body",
        "selftext",
        "num_comments",
        "after",
        "json",
        "things",
        "errors",
    ]);
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner.clone()), 0..6).prop_map(|pairs| pairs.into_iter().collect()),
            (prop::sample::select(vec!["t1", "t3", "more", "Listing"]), inner)
                .prop_map(|(kind, data)| json!({"kind": kind, "data": data})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_listing_makes_the_parsers_panic(value in things()) {
        let session = session();
        let _ = wire::listing(&value).map(|listing| listing.children.len());
        let _ = wire::post(&value, &site(), &session.account);
        let _ = wire::comment(&value, "t3_p", &site(), &session.account);
        let _ = take_all(&api(), &session, "t3_p", std::slice::from_ref(&value));
        let _ = calls::account(&value);
        let _ = wire::refusal(Some(&value));
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in "\\PC{0,60}") {
        let _ = wire::normalised(&text);
        let _ = wire::bare(&text, "t1_");
        let _ = wire::shortened(&text, 7);
    }
}
