//! The inbox: mentions and answers elsewhere become comments with a place, once each.

use crate::site::{Asked, Canned, NOW, Site, config, json, session};
use rejoinder_platforms::{Cursor, InboundItem, Polled, Settings, connect};
use serde_json::{Value, json as j};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn listing(children: Vec<Value>) -> Value {
    j!({"kind": "Listing", "data": {"children": children, "after": null}})
}

fn entry(id: &str, kind: &str, age_secs: i64) -> Value {
    j!({"kind": "t1", "data": {"id": id, "name": format!("t1_{id}"), "type": kind, "new": true, "was_comment": true,
        "author": "guest", "author_fullname": "t2_guest", "body": "hi u/acme", "parent_id": "t1_above",
        "context": format!("/r/other/comments/theirs/some_title/{id}/?context=3"), "created_utc": (NOW - age_secs) as f64}})
}

/// What `/api/info` knows.
fn things(asked: &Asked) -> Canned {
    let post = |id: &str| {
        j!({"kind": "t3", "data": {"name": id, "author": "guest", "title": "Theirs", "selftext": "t", "subreddit": "other",
            "created_utc": (NOW - 9000) as f64}})
    };
    let comment = |id: &str, author: &str| {
        j!({"kind": "t1", "data": {"name": id, "author": author, "parent_id": "t3_theirs", "link_id": "t3_theirs", "body": "b",
            "created_utc": (NOW - 8000) as f64}})
    };
    let found = asked.query["id"].split(',').filter_map(|id| match id {
        "t3_theirs" => Some(post(id)),
        "t1_above" => Some(comment(id, "Acme")),
        "t1_strange" => Some(comment(id, "guest")),
        "t1_pathless" => Some(comment(id, "guest")),
        _ => None,
    });
    json(listing(found.collect()))
}

async fn world(entries: Vec<Value>) -> (Site, Arc<Mutex<Vec<Value>>>) {
    let entries = Arc::new(Mutex::new(entries));
    let shown = entries.clone();
    let site = Site::start(move |asked| match asked.path.as_str() {
        "/message/inbox" => json(listing(shown.lock().unwrap().clone())),
        "/api/info" => things(asked),
        "/api/read_message" => json(j!({})),
        _ => json(listing(vec![])),
    })
    .await;
    (site, entries)
}

async fn poll_at(site: &Site, cursor: &Cursor, seconds: i64, marks_read: bool) -> Polled {
    let mut reddit = config(&site.base, Duration::from_secs(10));
    reddit.marks_read = marks_read;
    let now = crate::site::at(seconds);
    let (readers, _) =
        connect(Settings { reddit: Some(reddit), ..Settings::default() }, Arc::new(move || now)).unwrap();
    readers.get("reddit").unwrap().poll(&session(), cursor).await.unwrap()
}

fn told(polled: &Polled) -> Vec<String> {
    let told = |item: &InboundItem| match item {
        InboundItem::Post(post) => format!("post {}", post.id),
        InboundItem::Thread(post) => format!("thread {}", post.id),
        InboundItem::Comment(comment) => format!("comment {} under {}", comment.id, comment.post_id),
    };
    polled.items.iter().map(told).collect()
}

#[tokio::test]
async fn a_mention_elsewhere_comes_with_its_thread_and_with_what_of_ours_it_answers() {
    let (site, _) = world(vec![entry("m", "username_mention", 60)]).await;
    let polled = poll_at(&site, &Cursor::default(), 0, true).await;
    let expected = ["thread t3_theirs", "comment t1_above under t3_theirs", "comment t1_m under t3_theirs"];
    assert_eq!((told(&polled), polled.problems.len()), (expected.map(str::to_owned).to_vec(), 0));
    let marked: Vec<_> = site.asked().into_iter().filter(|asked| asked.path == "/api/read_message").collect();
    assert_eq!((marked.len(), marked[0].form["id"].as_str(), marked[0].method.as_str()), (1, "t1_m", "POST"));
}

#[tokio::test]
async fn an_entry_comes_once_and_the_inbox_rests_for_two_minutes() {
    let (site, entries) = world(vec![entry("m", "comment_reply", 60)]).await;
    let first = poll_at(&site, &Cursor::default(), 0, true).await;
    let second = poll_at(&site, &first.cursor, 60, true).await;
    assert_eq!((told(&second).len(), site.times_asked("/message/inbox")), (0, 1));
    entries.lock().unwrap().insert(0, entry("n", "comment_reply", -100));
    entries.lock().unwrap().push(entry("late", "comment_reply", 300));
    let third = poll_at(&site, &second.cursor, 121, true).await;
    let comments: Vec<_> =
        told(&third).into_iter().filter(|told| told.contains("t1_n") || told.contains("t1_late")).collect();
    assert_eq!((comments.len(), third.items.len()), (2, 5), "{:?}", told(&third));
    // All of it is deleted: nothing is anchored to it.
    *entries.lock().unwrap() = vec![entry("o", "comment_reply", -200)];
    let fourth = poll_at(&site, &third.cursor, 300, true).await;
    assert!(told(&fourth).contains(&"comment t1_o under t3_theirs".to_owned()), "{:?}", told(&fourth));
}

#[tokio::test]
async fn messages_and_what_is_older_than_a_week_are_left_alone() {
    let message =
        j!({"kind": "t4", "data": {"name": "t4_x", "type": "unknown", "new": true, "created_utc": NOW as f64}});
    let (site, _) = world(vec![message, entry("old", "comment_reply", 8 * 86_400)]).await;
    let polled = poll_at(&site, &Cursor::default(), 0, true).await;
    assert_eq!((told(&polled).len(), polled.problems.len()), (0, 0));
    assert_eq!(site.times_asked("/api/read_message") + site.times_asked("/api/info"), 0);
}

#[tokio::test]
async fn an_entry_without_a_path_is_looked_up_and_a_bad_one_costs_only_itself() {
    let mut pathless = entry("pathless", "username_mention", 10);
    pathless["data"]["context"] = j!("");
    pathless["data"]["parent_id"] = j!("t1_strange");
    let mut lost = entry("lost", "username_mention", 20);
    lost["data"]["context"] = Value::Null;
    let mut closed = entry("closed", "username_mention", 30);
    closed["data"]["context"] = j!("/r/x/comments/private/t/closed/");
    let bad = j!({"kind": "t1", "data": {"name": "t1_../x", "created_utc": NOW as f64}});
    let (site, _) = world(vec![pathless, lost, closed, bad]).await;
    let polled = poll_at(&site, &Cursor::default(), 0, true).await;
    assert_eq!(told(&polled), ["thread t3_theirs", "comment t1_pathless under t3_theirs"]);
    assert_eq!(polled.problems.len(), 3, "{:?}", polled.problems);
    assert!(
        polled.problems.iter().any(|problem| problem.contains("t3_private is closed to us")),
        "{:?}",
        polled.problems
    );
    let again = poll_at(&site, &polled.cursor, 200, true).await;
    assert_eq!((again.items.len(), again.problems.len()), (0, 1), "only what has no id is told again");
}

#[tokio::test]
async fn nothing_is_marked_where_nothing_may_be_written() {
    let (site, _) = world(vec![entry("m", "comment_reply", 60)]).await;
    assert_eq!(poll_at(&site, &Cursor::default(), 0, false).await.items.len(), 3);
    assert_eq!(site.times_asked("/api/read_message"), 0);
}

#[tokio::test]
async fn an_inbox_that_is_closed_to_us_is_told_and_asked_for_again_after_an_hour() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/message/inbox" => Canned::Bytes(
            b"HTTP/1.1 403 X\r\nwww-authenticate: Bearer realm=\"reddit\", error=\"insufficient_scope\"\r\ncontent-length: 0\r\n\r\n"
                .to_vec(),
        ),
        _ => json(listing(vec![])),
    })
    .await;
    let first = poll_at(&site, &Cursor::default(), 0, true).await;
    assert!(first.problems[0].contains("insufficient_scope"), "{:?}", first.problems);
    let second = poll_at(&site, &first.cursor, 3500, true).await;
    assert_eq!((second.problems.len(), site.times_asked("/message/inbox")), (0, 1));
    poll_at(&site, &second.cursor, 3700, true).await;
    assert_eq!(site.times_asked("/message/inbox"), 2);
}
