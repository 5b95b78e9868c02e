//! Webhooks of Instagram: believed when signed, kept before they are answered, worked once, whatever comes and in whatever order.

use crate::client::Client;
use crate::harness::{Harness, START};
use crate::instagram::{APP_SECRET, BRAND, connected, consent, world};
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use hmac::{Hmac, KeyInit, Mac};
use rejoinder_app::accounts::connect;
use rejoinder_app::flow::ingest::intake::LARGEST_BYTES;
use rejoinder_app::http::router;
use serde_json::{Value, json};
use sha2::Sha256;
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const PATH: &str = "/api/webhooks/meta/instagram";

fn signed(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

async fn ask(h: &Harness, method: Method, path: &str, signature: Option<&str>, body: Vec<u8>) -> (u16, String) {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    // Room is taken by the length that a sender announces.
    request = request.header("content-length", body.len());
    if let Some(signature) = signature {
        request = request.header("x-hub-signature-256", signature);
    }
    let router = router(h.app.clone(), CancellationToken::new());
    let response = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

pub async fn deliver(h: &Harness, body: &[u8]) -> (u16, String) {
    ask(h, Method::POST, PATH, Some(&signed(APP_SECRET, body)), body.to_vec()).await
}

pub async fn delivered(h: &Harness, body: &Value) {
    let (status, answer) = deliver(h, body.to_string().as_bytes()).await;
    assert_eq!(status, 200, "{answer}");
}

pub fn change(h: &Harness, value: &Value) -> Value {
    let account = h.platform.instagram_account(BRAND);
    json!({"object": "instagram", "entry": [{"id": account, "time": h.now().unix_timestamp(),
        "changes": [{"field": "comments", "value": value}]}]})
}

/// A stranger's comment on the platform, and the change that tells of it.
pub fn comment(h: &Harness, media: &str, text: &str) -> (String, Value) {
    let id = h.platform.instagram_comment("curious_cat", media, text);
    let from = h.platform.instagram_account("curious_cat");
    let value = json!({"id": id, "text": text, "from": {"id": from, "username": "curious_cat"},
        "media": {"id": media, "media_product_type": "FEED"}});
    (id, value)
}

/// A comment that a webhook tells of, worked.
pub async fn told_of(h: &Harness, media: &str) {
    let (_, value) = comment(h, media, "Told");
    delivered(h, &change(h, &value)).await;
    h.run_due().await;
}

/// An event about a post that nobody has read.
pub async fn names_a_new_post(h: &Harness) {
    let fresh = h.platform.instagram_media(BRAND, "New today");
    let (_, value) = comment(h, &fresh, "First!");
    delivered(h, &change(h, &value)).await;
    h.run_due().await;
}

pub async fn count(h: &Harness, what: &'static str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {what}"))).fetch_one(h.pool()).await.unwrap()
}

/// How each kept event ended.
pub async fn outcomes(h: &Harness) -> Vec<Option<String>> {
    sqlx::query_scalar("select outcome from webhook_events order by id").fetch_all(h.pool()).await.unwrap()
}

#[tokio::test]
async fn a_signed_comment_is_kept_before_the_answer_and_becomes_an_item_without_a_call() {
    let (h, media) = connected().await;
    let (id, value) = comment(&h, &media, "Which setting for a V60?");
    let before = h.platform.requests();
    delivered(&h, &change(&h, &value)).await;
    assert_eq!(count(&h, "webhook_events where processed_at is null").await, 1, "kept, and not worked yet");
    h.run_due().await;
    let item = h.item_of(&id).await.expect("the event became an item");
    assert_eq!((item.state.as_str(), item.author_handle.as_deref()), ("open", Some("curious_cat")));
    assert_eq!(h.platform.requests(), before, "all was in the event");
    let kept: String =
        sqlx::query_scalar("select raw_payload::text from webhook_events").fetch_one(h.pool()).await.unwrap();
    assert!(!kept.contains("V60") && !kept.contains("curious_cat") && kept.contains(&id), "{kept}");
    h.poll().await;
    assert_eq!(h.items().await.len(), 1, "the poll finds the same comment");
    h.finish().await;
}

#[tokio::test]
async fn what_is_not_signed_with_a_secret_is_refused_and_leaves_nothing() {
    let (h, media) = connected().await;
    let (_, value) = comment(&h, &media, "Hello");
    let body = change(&h, &value).to_string().into_bytes();
    let other = signed("another secret", &body);
    let of_other_bytes = signed(APP_SECRET, b"{}");
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let counted = metrics::set_default_local_recorder(&recorder);
    for signature in [None, Some(""), Some("sha256="), Some("sha1=00"), Some(other.as_str()), Some(&of_other_bytes)] {
        let (status, answer) = ask(&h, Method::POST, PATH, signature, body.clone()).await;
        assert_eq!(status, 401, "{signature:?}: {answer}");
        assert!(answer.contains("signature-invalid"));
    }
    drop(counted);
    let told = recorder.handle().render();
    assert!(
        told.contains("platform_webhooks_total{platform=\"instagram\",outcome=\"unsigned\"} 6"),
        "each is counted: {told}"
    );
    assert_eq!(count(&h, "webhook_events").await + count(&h, "webhook_seen").await, 0);
    let large = vec![b' '; 5 << 20];
    assert_eq!(deliver(&h, &large).await.0, 413);
    assert_eq!(count(&h, "webhook_events").await, 0);
    h.finish().await;
}

#[tokio::test]
async fn without_room_a_delivery_is_turned_away_and_taken_when_it_comes_again() {
    let (h, media) = connected().await;
    let (id, value) = comment(&h, &media, "Hello");
    let body = change(&h, &value).to_string().into_bytes();
    // As much is being read as memory was set aside for.
    let mut under_way = Vec::new();
    for bytes in [LARGEST_BYTES, 0] {
        while let Some(room) = h.app.intake.room(bytes) {
            under_way.push(room);
        }
    }
    assert!(under_way.len() > 15, "{}", under_way.len());
    let (status, answer) = deliver(&h, &body).await;
    assert_eq!(status, 503, "{answer}");
    assert_eq!(ask(&h, Method::POST, PATH, None, body.clone()).await.0, 401, "what is not signed takes no room");
    assert_eq!(count(&h, "webhook_events").await + count(&h, "webhook_seen").await, 0);
    drop(under_way);
    assert_eq!(deliver(&h, &body).await.0, 200);
    h.run_due().await;
    assert!(h.item_of(&id).await.is_some());
    assert!(h.app.intake.room(60 << 20).is_some(), "the room of an answered delivery is free again");
    h.finish().await;
}

#[tokio::test]
async fn repetitions_and_disorder_change_nothing() {
    let (h, media) = connected().await;
    let (top, first) = comment(&h, &media, "How loud is it?");
    let below = h.platform.instagram_comment("moka_marie", &top, "And how heavy?");
    let second = json!({"id": below, "text": "And how heavy?", "parent_id": top, "from": {"id": "77", "username": "moka_marie"},
        "media": {"id": media}});
    // The answer comes before what it answers, and both come again, also in one delivery.
    delivered(&h, &change(&h, &second)).await;
    h.run_due().await;
    delivered(&h, &change(&h, &first)).await;
    let mut both = change(&h, &first);
    both["entry"][0]["changes"]
        .as_array_mut()
        .unwrap()
        .extend([json!({"field": "comments", "value": second}), json!({"field": "comments", "value": first})]);
    for _ in 0..3 {
        delivered(&h, &both).await;
        h.run_due().await;
    }
    assert_eq!((count(&h, "webhook_events").await, count(&h, "comments").await, h.items().await.len()), (2, 2, 2));
    let linked: i64 = count(&h, "comments where parent_comment_id is not null").await;
    assert_eq!(linked, 1, "the answer found what it answers");
    h.finish().await;
}

#[tokio::test]
async fn our_own_words_open_no_item_whoever_is_named() {
    let (h, media) = connected().await;
    let (id, value) = comment(&h, &media, "Nice!");
    delivered(&h, &change(&h, &value)).await;
    h.run_due().await;
    let item = h.item_of(&id).await.unwrap();
    let suggestion = h.write_reply(&item, "Thank you!").await;
    h.approve(&suggestion).await.unwrap();
    h.run_due().await;
    let reply = h.suggestion(suggestion.id).await.state.platform_reply_id.unwrap();
    let account = h.platform.instagram_account(BRAND);
    let by_hand = h.platform.instagram_comment(BRAND, &id, "PS: enjoy.");
    let marked = h.platform.instagram_comment(BRAND, &id, "PPS: really.");
    for value in [
        // By another id than the one that we know the account by: our sent id tells.
        json!({"id": reply, "text": "Thank you!", "parent_id": id, "from": {"id": "4242"}, "media": {"id": media}}),
        json!({"id": by_hand, "text": "PS: enjoy.", "parent_id": id, "from": {"id": account}, "media": {"id": media}}),
        json!({"id": marked, "text": "PPS", "parent_id": id, "from": {"id": "9", "self_ig_scoped_id": "1"}, "media": {"id": media}}),
    ] {
        delivered(&h, &change(&h, &value)).await;
    }
    h.run_due().await;
    assert_eq!(h.items().await.len(), 1);
    assert_eq!(count(&h, "comments where own").await, 3);
    h.finish().await;
}

#[tokio::test]
async fn what_an_event_leaves_out_is_read() {
    let (h, media) = connected().await;
    // A post that no poll has seen, a comment without author and post, a shape with comment_id, a flat entry.
    let fresh = h.platform.instagram_media(BRAND, "New today");
    let (on_fresh, value) = comment(&h, &fresh, "First!");
    delivered(&h, &change(&h, &value)).await;
    let (bare, _) = comment(&h, &media, "Bare");
    delivered(&h, &change(&h, &json!({"id": bare, "text": "Bare"}))).await;
    let (named, mut value) = comment(&h, &media, "Named otherwise");
    let id = value.as_object_mut().unwrap().remove("id").unwrap();
    value["comment_id"] = id;
    delivered(&h, &change(&h, &value)).await;
    let (flat, value) = comment(&h, &media, "Flat");
    let account = h.platform.instagram_account(BRAND);
    let entry = json!({"id": account, "time": h.now().unix_timestamp(), "field": "comments", "value": value});
    delivered(&h, &json!([{"object": "instagram", "entry": [entry]}])).await;
    h.run_due().await;
    for id in [on_fresh, bare, named, flat] {
        assert!(h.item_of(&id).await.is_some(), "{id}: {:?}", outcomes(&h).await);
    }
    h.finish().await;
}

#[tokio::test]
async fn what_cannot_be_read_now_is_read_later_and_what_is_gone_is_over() {
    let (h, _) = connected().await;
    let fresh = h.platform.instagram_media(BRAND, "New today");
    let (id, value) = comment(&h, &fresh, "First!");
    delivered(&h, &change(&h, &value)).await;
    delivered(&h, &change(&h, &json!({"id": "17899999999999999", "text": "gone"}))).await;
    let away = || rejoinder_sandbox::ReadFault::Html { code: 503 };
    h.platform.plan_reads(vec![away(), away()]);
    h.run_due().await;
    assert!(h.item_of(&id).await.is_none(), "the post could not be read");
    assert_eq!(count(&h, "webhook_events where processed_at is null").await, 2, "nothing is lost");
    h.run_for(Duration::minutes(2)).await;
    assert!(h.item_of(&id).await.is_some());
    let over = outcomes(&h).await.into_iter().flatten().filter(|outcome| outcome.contains("gone")).count();
    assert_eq!(over, 1, "{:?}", outcomes(&h).await);
    h.finish().await;
}

#[tokio::test]
async fn what_cannot_be_read_holds_up_nothing_else() {
    let (h, _) = connected().await;
    let fresh = h.platform.instagram_media(BRAND, "New today");
    let (id, value) = comment(&h, &fresh, "First!");
    delivered(&h, &change(&h, &json!({"id": "17899999999999999", "text": "asked for first"}))).await;
    delivered(&h, &change(&h, &value)).await;
    h.platform.plan_reads(vec![rejoinder_sandbox::ReadFault::Html { code: 503 }]);
    h.run_due().await;
    assert!(h.item_of(&id).await.is_some());
    assert_eq!(count(&h, "webhook_events where processed_at is null").await, 1, "nothing is lost");
    h.run_for(Duration::minutes(2)).await;
    assert_eq!(count(&h, "webhook_events where processed_at is null").await, 0);
    h.finish().await;
}

#[tokio::test]
async fn rubbish_that_is_signed_is_kept_and_seen_in_the_log() {
    let (h, _) = connected().await;
    for body in [&b"not json at all"[..], b"{\"object\":\"instagram\",\"entry\":7}", b"", b"\xff\xfe", b"\"\\u0000\""] {
        assert_eq!(deliver(&h, body).await.0, 200);
        assert_eq!(deliver(&h, body).await.0, 200, "sent again");
    }
    let nameless = change(&h, &json!({"text": "\u{0}\u{ffff}"}));
    delivered(&h, &nameless).await;
    assert_eq!(count(&h, "webhook_events where parse_error is not null").await, 6);
    let log = h.activity().await;
    let told: Vec<&Value> =
        log.iter().filter(|row| row.kind == "integration.event_unreadable").map(|row| &row.payload["reason"]).collect();
    assert_eq!(told.len(), 6, "{told:?}");
    assert!(told.iter().any(|reason| reason.as_str().unwrap().contains("without an id")), "{told:?}");
    h.run_due().await;
    assert_eq!(h.items().await.len(), 0);
    h.finish().await;
}

#[tokio::test]
async fn messages_insights_and_old_replays_bring_nothing() {
    let (h, media) = connected().await;
    let account = h.platform.instagram_account(BRAND);
    for body in [
        json!({"object": "page", "entry": [{"id": 1, "time": 1457764198246_u64, "messaging": [{"sender": {"id": 2}}]}]}),
        json!({"object": "instagram", "entry": [{"id": account, "time": 5, "messaging": [{"message": {"text": "private"}}]}]}),
        json!({"object": "instagram", "entry": [{"id": account, "changes": [{"field": "story_insights", "value": {"reach": 1}}]}]}),
    ] {
        delivered(&h, &body).await;
    }
    assert_eq!(count(&h, "webhook_events").await, 0, "private messages are not kept");
    let (_, value) = comment(&h, &media, "A year ago");
    let mut old = change(&h, &value);
    old["entry"][0]["time"] = json!((START - Duration::days(365)).unix_timestamp());
    delivered(&h, &old).await;
    h.run_due().await;
    assert_eq!(h.items().await.len(), 0);
    assert!(outcomes(&h).await[0].as_ref().unwrap().contains("older"));
    h.finish().await;
}

#[tokio::test]
async fn a_batch_of_a_thousand_becomes_a_thousand_items() {
    let (h, media) = connected().await;
    let changes: Vec<Value> = (0..1000)
        .map(|n| {
            let value = json!({"id": (17_700_000_000_000_000_u64 + n).to_string(), "text": format!("comment {n}"),
                "from": {"id": "77", "username": "fan"}, "media": {"id": media}});
            json!({"field": "comments", "value": value})
        })
        .collect();
    let mut body = change(&h, &json!({}));
    body["entry"][0]["changes"] = json!(changes);
    delivered(&h, &body).await;
    h.run_due().await;
    assert_eq!(
        (count(&h, "inbox_items").await, count(&h, "webhook_events where processed_at is null").await),
        (1000, 0)
    );
    h.finish().await;
}

#[tokio::test]
async fn deliveries_at_once_share_their_commits_and_are_all_kept() {
    let (h, media) = connected().await;
    let bodies: Vec<Vec<u8>> = (0..40)
        .map(|n| {
            let value = json!({"id": (17_700_000_000_000_000_u64 + n).to_string(), "text": "Hi \u{1F600}",
                "from": {"id": "77", "username": "fan"}, "media": {"id": media}});
            change(&h, &value).to_string().into_bytes()
        })
        .collect();
    let answers = futures::future::join_all(bodies.iter().map(|body| deliver(&h, body))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    assert_eq!(count(&h, "webhook_events").await, 40);
    h.run_due().await;
    assert_eq!(count(&h, "inbox_items").await, 40);
    h.finish().await;
}

#[tokio::test]
async fn events_of_an_account_that_is_connected_later_are_adopted() {
    let (mut h, media) = world().await;
    let (id, value) = comment(&h, &media, "Anybody there?");
    delivered(&h, &change(&h, &value)).await;
    let test_event = json!({"object": "instagram", "entry": [{"id": "0", "time": h.now().unix_timestamp(),
        "changes": [{"field": "comments", "value": {"id": "123456789", "text": "This is an example."}}]}]});
    delivered(&h, &test_event).await;
    assert_eq!(count(&h, "webhook_events where integration_id is null").await, 2, "kept for nobody yet");
    h.run_due().await;
    match consent(&mut h, None).await {
        Ok(connect::Arrived::Connected(integration_id)) => h.integration_id = integration_id,
        other => panic!("{other:?}"),
    }
    assert_eq!(count(&h, "webhook_events where integration_id is null").await, 1);
    h.run_due().await;
    assert!(h.item_of(&id).await.is_some());
    assert_eq!(count(&h, "webhook_events where outcome = 'stored'").await, 1);
    h.finish().await;
}

#[tokio::test]
async fn meta_is_told_the_challenge_for_the_right_token_only() {
    let (h, _) = world().await;
    let query = |token: &str| format!("{PATH}?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
    let told = ask(&h, Method::GET, &query("verify%7Cme"), None, Vec::new()).await;
    assert_eq!(told, (200, "1158201444".to_owned()));
    for token in ["", "verify", "verify%7Cme2"] {
        assert_eq!(ask(&h, Method::GET, &query(token), None, Vec::new()).await.0, 401, "{token}");
    }
    let script = query("verify%7Cme").replace("1158201444", "%3Cscript%3E");
    assert_eq!(ask(&h, Method::GET, &script, None, Vec::new()).await.0, 401);
    h.finish().await;
}

#[tokio::test]
async fn a_server_without_instagram_takes_no_webhooks() {
    let h = Harness::start().await;
    assert_eq!(Client::signed_in(&h).await.post(PATH, &json!({})).await.0, 404);
    h.finish().await;
}
