//! What Instagram's reading must not lose and must not confuse: long threads, waits that were asked for, comments that came whole, the same
//! words to two people.

use crate::instagram::{BRAND, approved, connected, our_texts};
use crate::instagram_webhooks::{change, comment, count, deliver, delivered, names_a_new_post};
use axum::body::Body;
use axum::http::Request;
use futures::stream::{self, FuturesUnordered, StreamExt};
use rejoinder_app::flow::ingest::intake::LARGEST_BYTES;
use rejoinder_app::http::router;
use rejoinder_app::model::Status;
use rejoinder_sandbox::WriteFault;
use serde_json::json;
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

#[tokio::test]
async fn a_thread_that_is_longer_than_a_round_reads_is_read_to_its_end() {
    let (h, media) = connected().await;
    let answered = h.platform.instagram_comment("ana", &media, "Who has one already?");
    for n in 0..280 {
        h.platform.instagram_comment("fan", &answered, &format!("me {n}"));
    }
    for n in 0..520 {
        h.platform.instagram_comment("fan", &media, &format!("question {n}"));
    }
    h.advance(Duration::minutes(10));
    h.poll().await;
    let first = count(&h, "comments").await;
    assert!((500..801).contains(&first), "one round reads ten pages: {first}");
    // What comes while it is read.
    let late = h.platform.instagram_comment("late", &media, "And in black?");
    for _ in 0..4 {
        h.run_for(Duration::seconds(30)).await;
        h.poll().await;
    }
    assert_eq!(count(&h, "comments").await, 802);
    assert!(h.item_of(&late).await.is_some());
    let left = "integrations where poll_cursor::text like '%\"g\"%'";
    assert_eq!(count(&h, left).await, 0, "nothing is left to go on with");
    h.finish().await;
}

#[tokio::test]
async fn an_event_does_not_cut_short_a_wait_that_instagram_asked_for() {
    let (h, media) = connected().await;
    h.platform.instagram_usage(Some(101));
    names_a_new_post(&h).await;
    assert_eq!(count(&h, "webhook_events where processed_at is null").await, 1, "it was refused");
    let before = h.platform.requests();
    names_a_new_post(&h).await;
    let (whole, value) = comment(&h, &media, "Which setting for a V60?");
    delivered(&h, &change(&h, &value)).await;
    h.run_due().await;
    assert_eq!(h.platform.requests(), before, "asking on makes it longer");
    assert!(h.item_of(&whole).await.is_some(), "what came whole needs no asking");
    h.platform.instagram_usage(None);
    h.run_for(Duration::hours(16)).await;
    assert_eq!(count(&h, "webhook_events where processed_at is null").await, 0);
    assert_eq!(h.items().await.len(), 3);
    h.finish().await;
}

#[tokio::test]
async fn a_post_is_read_once_for_all_its_comments_and_after_what_came_whole_was_stored() {
    let (h, media) = connected().await;
    let fresh = h.platform.instagram_media(BRAND, "New today");
    let mut named = Vec::new();
    for text in ["First!", "Second!", "Third!"] {
        let (id, _) = comment(&h, &fresh, text);
        delivered(&h, &change(&h, &json!({"id": id, "text": text, "media": {"id": fresh}}))).await;
        named.push(id);
    }
    let (whole, value) = comment(&h, &media, "Which setting for a V60?");
    delivered(&h, &change(&h, &value)).await;
    let reads = || h.platform.requests().get("GET /instagram/{version}/{id}").copied().unwrap_or_default();
    let before = reads();
    h.run_due().await;
    assert_eq!(reads() - before, 4, "three comments and one post");
    for id in &named {
        assert!(h.item_of(id).await.is_some());
    }
    let order =
        "select platform_comment_id from comments order by xmin::text::bigint, platform_comment_id = $1 limit 1";
    let first: String = sqlx::query_scalar(order).bind(&whole).fetch_one(h.pool()).await.unwrap();
    assert_eq!(first, whole, "stored in a transaction before the reading");
    h.finish().await;
}

#[tokio::test]
async fn the_same_words_to_two_people_are_two_replies() {
    let (h, media) = connected().await;
    let top = h.platform.instagram_comment("moka_marie", &media, "How loud is it?");
    let [ana, ben] = ["ana", "ben"].map(|name| h.platform.instagram_comment(name, &top, "Asking the same."));
    h.poll().await;
    let first = approved(&h, &ana, "Quieter than a kettle.").await;
    h.run_due().await;
    assert_eq!(h.stands(&first).await.0, Status::Posted);
    h.platform.plan_write(vec![WriteFault::DroppedBefore]);
    let second = approved(&h, &ben, "Quieter than a kettle.").await;
    h.run_for(Duration::minutes(10)).await;
    assert_eq!(our_texts(&h, &top).len(), 2, "{:?}: {}", h.stands(&second).await, h.reason(&second).await);
    assert_eq!(h.stands(&second).await.0, Status::Posted);
    let ids = [h.suggestion(first.id).await, h.suggestion(second.id).await].map(|one| one.state.platform_reply_id);
    assert_ne!(ids[0], ids[1]);
    h.finish().await;
}

#[tokio::test]
async fn bodies_that_come_slowly_take_no_room_from_others() {
    let (h, media) = connected().await;
    let slow = |_| {
        let first = stream::once(async { Ok::<_, std::io::Error>("{") });
        let request = Request::post("/api/webhooks/meta/instagram")
            .header("content-type", "application/json")
            .header("content-length", LARGEST_BYTES)
            .header("x-hub-signature-256", "sha256=00")
            .body(Body::from_stream(first.chain(stream::pending())));
        router(h.app.clone(), CancellationToken::new()).oneshot(request.unwrap())
    };
    let mut slow: FuturesUnordered<_> = (0..60).map(slow).collect();
    let (_, value) = comment(&h, &media, "Hello");
    let body = change(&h, &value).to_string().into_bytes();
    let (status, answer) = tokio::select! {
        biased;
        answered = slow.next() => panic!("{answered:?}"),
        good = deliver(&h, &body) => good,
    };
    assert_eq!(status, 200, "{answer}");
    drop(slow);
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn what_a_sender_that_hung_up_left_keeps_its_room_until_it_is_stored() {
    let (h, media) = connected().await;
    let (_, value) = comment(&h, &media, "Hello");
    let body = change(&h, &value).to_string().into_bytes();
    let changes = h.app.readers.get("instagram").unwrap().split(&body).unwrap();
    let room = h.app.intake.room(3 << 20).unwrap();
    let mut asked = Box::pin(h.app.intake.keep("instagram", changes, room));
    assert!(futures::poll!(asked.as_mut()).is_pending());
    drop(asked);
    assert!(h.app.intake.room(62 << 20).is_none(), "it is still to be stored");
    while count(&h, "webhook_events").await == 0 {
        tokio::task::yield_now().await;
    }
    while h.app.intake.room(62 << 20).is_none() {
        tokio::task::yield_now().await;
    }
    h.run_due().await;
    h.finish().await;
}
