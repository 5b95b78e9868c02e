//! Events of X: believed when signed, kept before they are answered, worked once, whatever comes and in whatever order.

use crate::harness::{BRAND, Harness};
use crate::instagram_webhooks::{count, outcomes};
use crate::pages::Browser;
use crate::x::{TEXT, World, connect_account, unconnected_with};
use crate::x_cost::{billed, metered};
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use rejoinder_app::http::router;
use rejoinder_app::model::{Stage, Status};
use rejoinder_sandbox::{X_API_SECRET, X_WEBHOOK_ID, x_signature};
use serde_json::{Value, json};
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const PATH: &str = "/api/webhooks/x";

/// As `x::world`, with a webhook that is registered at X.
async fn world() -> World {
    let mut h = unconnected_with(&[("X_API_SECRET", X_API_SECRET), ("X_WEBHOOK_ID", X_WEBHOOK_ID)]).await;
    h.platform.x_webhook("delivered by the test");
    let post = h.platform.x_post(BRAND, "The Mk II ships on Monday. Ask us anything.");
    h.integration_id = connect_account(&h, BRAND).await;
    h.run_due().await;
    World { h, post }
}

async fn ask(h: &Harness, method: Method, path: &str, signature: Option<&str>, body: &str) -> (u16, String) {
    let mut request = Request::builder().method(method).uri(path).header("content-length", body.len());
    if let Some(signature) = signature {
        request = request.header("x-twitter-webhooks-signature", signature);
    }
    let router = router(h.app.clone(), CancellationToken::new());
    let response = router.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

async fn deliver(h: &Harness, body: &str) -> (u16, String) {
    ask(h, Method::POST, PATH, Some(&x_signature(body.as_bytes())), body).await
}

/// X delivers what waits, and is told how it was answered. Gives the bodies.
async fn delivered(h: &Harness) -> Vec<String> {
    let mut bodies = Vec::new();
    for (uuid, message) in h.platform.x_events() {
        let signature = message.headers.iter().find(|(name, _)| *name == "x-twitter-webhooks-signature").unwrap();
        let (status, answer) = ask(h, Method::POST, PATH, Some(&signature.1), &message.body).await;
        assert_eq!(status, 200, "{answer}");
        h.platform.x_event_answered(uuid, status);
        bodies.push(message.body);
    }
    bodies
}

fn reads(h: &Harness) -> u64 {
    h.platform.requests().iter().filter(|(call, _)| call.starts_with("GET /x/2/tweets")).map(|(_, count)| count).sum()
}

#[tokio::test]
async fn a_challenge_is_answered_with_a_signature_of_it() {
    let w = world().await;
    let (status, answer) = ask(&w.h, Method::GET, &format!("{PATH}?crc_token=abc%20d&nonce=1"), None, "").await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, answer["response_token"].as_str()), (200, Some(x_signature(b"abc d").as_str())));
    for path in [PATH.to_owned(), format!("{PATH}?crc_token="), format!("{PATH}?crc_token={}", "x".repeat(501))] {
        assert_eq!(ask(&w.h, Method::GET, &path, None, "").await.0, 400, "{path}");
    }
    let off = crate::x::world().await;
    assert_eq!(ask(&off.h, Method::GET, &format!("{PATH}?crc_token=abc"), None, "").await.0, 404);
    off.h.finish_leaving(&[]).await;
    w.h.finish().await;
}

#[tokio::test]
async fn an_answer_is_kept_before_it_is_answered_and_becomes_an_item_without_a_call() {
    let w = world().await;
    w.h.poll().await;
    let answer = w.h.platform.x_reply("curious_cat", &w.post, "Do the old baskets fit?");
    let before = reads(&w.h);
    assert_eq!(delivered(&w.h).await.len(), 1);
    assert_eq!(count(&w.h, "webhook_events where processed_at is null").await, 1, "kept, and not worked yet");
    w.h.run_due().await;
    let item = w.h.item_of(&answer).await.expect("the event became an item");
    assert_eq!((item.state.as_str(), item.author_handle.as_deref()), ("open", Some("curious_cat")));
    assert_eq!(reads(&w.h), before, "all was in the event");
    let kept: String =
        sqlx::query_scalar("select raw_payload::text from webhook_events").fetch_one(w.h.pool()).await.unwrap();
    assert!(!kept.contains("baskets") && !kept.contains("curious_cat") && kept.contains(&answer), "{kept}");
    w.h.poll().await;
    assert_eq!(w.h.items().await.len(), 1, "the poll finds the same answer");
    let ready = w.h.write_reply(&item, TEXT).await;
    let sent = w.h.approve(&ready).await.unwrap();
    w.h.run_due().await;
    assert_eq!(w.h.stands(&sent).await, (Status::Posted, Stage::Done));
    assert_eq!(w.ours_under(&answer).len(), 1);
    let bill = w.h.platform.x_bill();
    assert_eq!(metered(&w.h).await, billed(&bill), "events are counted as X counts them");
    w.h.finish().await;
}

#[tokio::test]
async fn what_is_not_signed_is_refused_and_leaves_nothing_and_signed_rubbish_is_kept_as_such() {
    let w = world().await;
    w.h.platform.x_reply("curious_cat", &w.post, "Hello");
    let body = w.h.platform.x_events().remove(0).1.body;
    let of_other_bytes = x_signature(b"{}");
    for signature in [None, Some(""), Some("sha256="), Some("sha256=AAAA"), Some(of_other_bytes.as_str())] {
        let (status, answer) = ask(&w.h, Method::POST, PATH, signature, &body).await;
        assert!(status == 401 && answer.contains("signature-invalid"), "{signature:?}: {answer}");
    }
    assert_eq!(count(&w.h, "webhook_events").await + count(&w.h, "webhook_seen").await, 0);
    assert_eq!(deliver(&w.h, "{\"data\":7}").await.0, 200);
    assert_eq!(outcomes(&w.h).await, [Some("unreadable".to_owned())]);
    assert!(w.h.activity().await.iter().any(|row| row.kind == "integration.event_unreadable"));
    w.h.finish().await;
}

#[tokio::test]
async fn repetitions_disorder_and_our_own_words_change_nothing() {
    let w = world().await;
    w.h.poll().await;
    let first = w.h.platform.x_reply("maren", &w.post, "Nice!");
    let mention = w.h.platform.x_post("latte_lars", &format!("@{BRAND} my grinder squeaks"));
    let aside = w.h.platform.x_reply("tobi", &first, &format!("and you, @{BRAND}?"));
    let mut bodies: Vec<String> = w.h.platform.x_events().into_iter().map(|(_, message)| message.body).collect();
    assert_eq!(bodies.len(), 3, "one each");
    let mut own: Value = serde_json::from_str(&bodies[0]).unwrap();
    own["data"]["payload"]["author_id"] = own["data"]["filter"]["user_id"].clone();
    own["data"]["payload"]["id"] = json!("2090000000000000009");
    bodies.push(own.to_string());
    bodies.reverse();
    for _ in 0..3 {
        for body in &bodies {
            assert_eq!(deliver(&w.h, body).await.0, 200);
        }
        w.h.run_due().await;
    }
    let mut found: Vec<String> = w.h.items().await.into_iter().map(|item| item.target_platform_id).collect();
    found.sort();
    assert_eq!(found, [first, mention, aside]);
    assert_eq!(count(&w.h, "webhook_events").await, 4);
    assert_eq!(count(&w.h, "comments").await, 2, "the answer to the answer stands under our post, too");
    w.h.finish().await;
}

#[tokio::test]
async fn what_nobody_took_comes_again_and_while_events_come_polling_is_slow() {
    let w = world().await;
    let reader = w.h.app.readers.get("x").unwrap();
    assert!(reader.takes_webhooks());
    let page = Browser::signed_in(&w.h, w.h.user_id).await.get("/dashboard/accounts").await.html;
    assert!(page.contains("post.reply.create") && page.contains("post.mention.create"), "{page}");
    w.h.poll().await;
    assert_eq!(w.h.integration().await.next_poll_at, w.h.now() + Duration::minutes(5), "no event came yet");
    let answer = w.h.platform.x_reply("curious_cat", &w.post, "Hello");
    let (uuid, _) = w.h.platform.x_events().remove(0);
    w.h.platform.x_event_answered(uuid, 503);
    assert_eq!(delivered(&w.h).await.len(), 1, "sent again");
    assert!(delivered(&w.h).await.is_empty(), "and not once it was taken");
    w.h.run_due().await;
    assert!(w.h.item_of(&answer).await.is_some());
    w.h.poll().await;
    assert_eq!(w.h.integration().await.next_poll_at, w.h.now() + Duration::minutes(15));
    w.h.advance(Duration::hours(25));
    w.h.poll().await;
    assert_eq!(w.h.integration().await.next_poll_at, w.h.now() + Duration::minutes(5), "events have stopped");
    w.h.finish().await;
}
