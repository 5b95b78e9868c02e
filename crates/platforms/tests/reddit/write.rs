//! A reply goes out at most once, and its outcome is never guessed.

use crate::site::{Canned, Site, config, json, reply, session};
use rejoinder_platforms::{PostedReply, SendError, Settings, connect};
use serde_json::json as j;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use url::Url;

async fn send(site: &Site) -> Result<PostedReply, SendError> {
    let (_, writers) = site.connect();
    writers.get("reddit").unwrap().reply(&session(), &reply()).await
}

#[tokio::test]
async fn a_reply_is_one_form_with_our_token_and_user_agent() {
    let site = Site::start(|_| {
        let data =
            j!({"name": "t1_new", "parent_id": "t1_aaa", "link_id": "t3_p", "permalink": "/r/x/comments/p/t/new/"});
        json(j!({"json": {"errors": [], "data": {"things": [{"kind": "t1", "data": data}]}}}))
    })
    .await;
    let posted = send(&site).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.visible), ("t1_new", true));
    assert_eq!(posted.permalink, Some(site.base.join("/r/x/comments/p/t/new/").unwrap()));
    let [asked] = &site.asked()[..] else { panic!("one request") };
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/api/comment"));
    assert_eq!(asked.query["raw_json"], "1");
    let form = |key: &str| asked.form[key].clone();
    assert_eq!([form("api_type"), form("thing_id"), form("text")], ["json", "t1_aaa", "Thanks & welcome"]);
    let head = asked.head.to_ascii_lowercase();
    assert!(
        head.contains("authorization: bearer our-token")
            && head.contains("user-agent: web:org.example.test:0.1 (by /u/acme)")
    );
    let logged = serde_json::to_string(&posted.exchange).unwrap();
    assert!(!logged.contains("our-token") && !logged.contains("Thanks"), "{logged}");
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let settings = Settings { reddit: Some(config(&base, Duration::from_secs(2))), ..Settings::default() };
    let (_, writers) = connect(settings, Arc::new(|| crate::site::at(0))).unwrap();
    let error = writers.get("reddit").unwrap().reply(&session(), &reply()).await.unwrap_err();
    let SendError::NotSent(reason) = error else { panic!("{error:?}") };
    assert!(!reason.contains(base.as_str().trim_end_matches('/')), "{reason}");
}

#[tokio::test]
async fn a_connection_that_dies_after_the_request_is_uncertain_and_not_repeated() {
    let site = Site::start(|_| Canned::Drop).await;
    let error = send(&site).await.unwrap_err();
    assert!(matches!(error, SendError::Uncertain { .. }), "{error:?}");
    assert_eq!(site.times_asked("/api/comment"), 1);
}

#[tokio::test]
async fn silence_is_uncertain_after_the_time_given() {
    let site = Site::start(|_| Canned::Silence).await;
    let (_, writers) = site.connect_with(Duration::from_millis(800));
    let error = writers.get("reddit").unwrap().reply(&session(), &reply()).await.unwrap_err();
    assert!(matches!(&error, SendError::Uncertain { reason, .. } if reason.contains("timed out")), "{error:?}");
}

#[tokio::test]
async fn a_redirect_of_a_write_is_not_followed() {
    let site =
        Site::start(|_| Canned::Bytes(b"HTTP/1.1 307 X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_vec()))
            .await;
    let error = send(&site).await.unwrap_err();
    assert!(matches!(error, SendError::Uncertain { .. }), "{error:?}");
    assert_eq!(site.asked().len(), 1);
}

#[tokio::test]
async fn a_success_that_breaks_off_or_never_ends_is_uncertain() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let cut = format!("{head}content-length: 900\r\n\r\n{{\"json\": {{\"errors\": []").into_bytes();
    let huge = format!("{head}content-length: 99999999\r\n\r\n{{").into_bytes();
    for bytes in [cut, huge] {
        let site = Site::start(move |_| Canned::Bytes(bytes.clone())).await;
        let error = send(&site).await.unwrap_err();
        assert!(matches!(error, SendError::Uncertain { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_refusal_counts_even_where_its_body_breaks_off() {
    let site = Site::start(|_| Canned::Bytes(b"HTTP/1.1 404 X\r\ncontent-length: 50\r\n\r\nNot".to_vec())).await;
    let error = send(&site).await.unwrap_err();
    assert!(matches!(error, SendError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_target_of_another_kind_never_leaves() {
    let site = Site::start(|_| Canned::Drop).await;
    let (_, writers) = site.connect();
    let mut bad = reply();
    bad.target_id = "t4_message".into();
    let error = writers.get("reddit").unwrap().reply(&session(), &bad).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent(_)), "{error:?}");
    assert!(site.asked().is_empty());
}

/// A site that takes a reply without showing it; the account's own list holds these comments.
async fn taken_without_showing(own: serde_json::Value) -> Site {
    Site::start(move |asked| match asked.path.as_str() {
        "/api/comment" => json(j!({"json": {"errors": [], "data": {"things": []}}})),
        "/user/acme/comments" => json(j!({"kind": "Listing", "data": {"children": own, "after": null}})),
        _ => Canned::Drop,
    })
    .await
}

#[tokio::test]
async fn a_reply_that_is_taken_and_not_shown_is_found_in_our_own_list() {
    let comment = |id: &str, parent: &str, text: &str, age: i64| {
        j!({"kind": "t1", "data": {"name": id, "parent_id": parent, "link_id": "t3_p", "author": "Acme", "body": text,
            "created_utc": (crate::site::NOW - age) as f64}})
    };
    let own = j!([
        comment("t1_other", "t1_bbb", "Thanks & welcome", 1),
        comment("t1_words", "t1_aaa", "Something else", 2),
        comment("t1_ours", "t1_aaa", "Thanks &amp; welcome", 3),
        comment("t1_older", "t1_aaa", "Thanks & welcome", 4000),
    ]);
    let posted = send(&taken_without_showing(own.clone()).await).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.visible), ("t1_ours", false));
    let without_it = j!([own[0], own[1], own[3]]);
    let site = taken_without_showing(without_it).await;
    let error = send(&site).await.unwrap_err();
    assert!(matches!(error, SendError::Unseen { .. }), "{error:?}");
    assert_eq!(site.times_asked("/api/comment"), 1);
}

#[tokio::test]
async fn a_reply_that_is_taken_and_cannot_be_looked_for_is_not_sent_again() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/api/comment" => json(j!({"json": {"errors": [], "data": {"things": []}}})),
        _ => Canned::Json(503, "<html>".into()),
    })
    .await;
    let error = send(&site).await.unwrap_err();
    assert!(matches!(error, SendError::Unseen { .. }), "{error:?}");
}
