//! Polling finds every change, costs few calls, and no bad thing on the site stops it.

use crate::site::{Asked, Canned, NOW, Site, json, session};
use rejoinder_platforms::{Cursor, InboundItem, Polled};
use serde_json::{Value, json as j};
use std::sync::{Arc, Mutex};

fn listing(children: Vec<Value>) -> Value {
    j!({"kind": "Listing", "data": {"children": children, "after": null}})
}

fn post(id: &str, comments: u64, age_secs: i64) -> Value {
    j!({"kind": "t3", "data": {"name": format!("t3_{id}"), "author": "acme", "title": "Hello", "selftext": "body",
        "subreddit": "espresso", "created_utc": (NOW - age_secs) as f64, "edited": false, "num_comments": comments}})
}

fn comment(id: &str, parent: &str, replies: Vec<Value>) -> Value {
    let replies = if replies.is_empty() { j!("") } else { listing(replies) };
    j!({"kind": "t1", "data": {"name": format!("t1_{id}"), "parent_id": parent, "author": "guest", "author_fullname": "t2_guest",
        "body": "hi", "created_utc": (NOW - 50) as f64, "edited": false, "replies": replies}})
}

fn tree(comments: Vec<Value>) -> Canned {
    json(j!([listing(vec![]), listing(comments)]))
}

/// A site whose own posts can be changed between polls.
async fn world(
    posts: Vec<Value>,
    other: impl Fn(&Asked) -> Canned + Send + Sync + 'static,
) -> (Site, Arc<Mutex<Vec<Value>>>) {
    let posts = Arc::new(Mutex::new(posts));
    let shown = posts.clone();
    let site = Site::start(move |asked| match asked.path.as_str() {
        "/user/acme/submitted" => json(listing(shown.lock().unwrap().clone())),
        _ => other(asked),
    })
    .await;
    (site, posts)
}

async fn poll(site: &Site, cursor: &Cursor) -> Polled {
    let (readers, _) = site.connect();
    readers.get("reddit").unwrap().poll(&session(), cursor).await.unwrap()
}

fn ids(polled: &Polled) -> Vec<String> {
    let id = |item: &InboundItem| match item {
        InboundItem::Post(post) => post.id.clone(),
        InboundItem::Comment(comment) => comment.id.clone(),
    };
    polled.items.iter().map(id).collect()
}

#[tokio::test]
async fn an_unchanged_tree_is_not_read_again_and_a_changed_one_is() {
    let (site, posts) =
        world(vec![post("p", 1, 100)], |_| tree(vec![comment("a", "t3_p", vec![comment("b", "t1_a", vec![])])])).await;
    let first = poll(&site, &Cursor::default()).await;
    assert_eq!(ids(&first), ["t3_p", "t1_a", "t1_b"]);
    let InboundItem::Comment(below) = &first.items[2] else { panic!("a comment") };
    assert_eq!((below.parent_comment_id.as_deref(), below.post_id.as_str()), (Some("t1_a"), "t3_p"));
    let InboundItem::Post(own) = &first.items[0] else { panic!("a post") };
    assert_eq!((own.author_id.as_deref(), own.community.as_deref()), (Some("t2_me"), Some("r/espresso")));
    let second = poll(&site, &first.cursor).await;
    assert_eq!((ids(&second), second.more, site.times_asked("/comments/p")), (vec![], false, 1));
    *posts.lock().unwrap() = vec![post("p", 2, 100)];
    let third = poll(&site, &second.cursor).await;
    assert_eq!(ids(&third), ["t1_a", "t1_b"]);
}

#[tokio::test]
async fn an_edited_post_is_returned_again() {
    let (site, posts) = world(vec![post("p", 0, 100)], |_| tree(vec![])).await;
    let first = poll(&site, &Cursor::default()).await;
    posts.lock().unwrap()[0]["data"]["edited"] = j!(NOW as f64);
    let second = poll(&site, &first.cursor).await;
    assert_eq!(ids(&second), ["t3_p"]);
    assert_eq!(ids(&poll(&site, &second.cursor).await), Vec::<String>::new());
}

#[tokio::test]
async fn old_posts_are_read_only_from_their_next_change_on() {
    let month = 40 * 86_400;
    let (site, posts) = world(vec![post("old", 5, month)], |_| tree(vec![comment("a", "t3_old", vec![])])).await;
    let first = poll(&site, &Cursor::default()).await;
    assert_eq!(ids(&first), ["t3_old"]);
    *posts.lock().unwrap() = vec![post("old", 6, month)];
    assert_eq!(ids(&poll(&site, &first.cursor).await), ["t1_a"]);
}

#[tokio::test]
async fn a_round_reads_ten_trees_and_says_that_more_wait() {
    let many = (0..14).map(|n| post(&format!("p{n}"), 1, 100 + n)).collect();
    let (site, _) = world(many, |_| tree(vec![])).await;
    let first = poll(&site, &Cursor::default()).await;
    assert_eq!((first.more, site.asked().len()), (true, 11));
    let second = poll(&site, &first.cursor).await;
    assert_eq!((second.more, site.asked().len()), (false, 16));
}

#[tokio::test]
async fn cut_branches_are_fetched_one_after_another() {
    let (site, _) = world(vec![post("p", 4, 100)], |asked| {
        let more = j!({"kind": "more", "data": {"id": "c", "parent_id": "t3_p", "count": 2, "children": ["c"]}});
        let thread = j!({"kind": "more", "data": {"id": "_", "parent_id": "t1_a", "count": 0, "children": []}});
        match (asked.path.as_str(), asked.query.get("comment").map(String::as_str)) {
            ("/comments/p", None) => tree(vec![comment("a", "t3_p", vec![thread]), more]),
            ("/comments/p", Some("a")) => tree(vec![comment("a", "t3_p", vec![comment("deep", "t1_a", vec![])])]),
            ("/api/morechildren", _) => {
                json(j!({"json": {"errors": [], "data": {"things": [comment("c", "t3_p", vec![])]}}}))
            }
            _ => Canned::Drop,
        }
    })
    .await;
    let polled = poll(&site, &Cursor::default()).await;
    assert_eq!(ids(&polled), ["t3_p", "t1_a", "t1_deep", "t1_c"]);
    assert_eq!(polled.problems, Vec::<String>::new());
    let asked = site.asked().into_iter().find(|asked| asked.path == "/api/morechildren").unwrap();
    assert_eq!((asked.query["link_id"].as_str(), asked.query["children"].as_str()), ("t3_p", "c"));
}

#[tokio::test]
async fn a_stub_that_never_ends_is_bounded() {
    let (site, _) = world(vec![post("p", 4, 100)], |asked| {
        let stub =
            |ids: &str| j!({"kind": "more", "data": {"id": "x", "parent_id": "t3_p", "count": 1, "children": [ids]}});
        match asked.path.as_str() {
            "/comments/p" => tree(vec![stub("x")]),
            _ => json(j!({"json": {"data": {"things": [stub("x")]}}})),
        }
    })
    .await;
    let polled = poll(&site, &Cursor::default()).await;
    assert!(site.asked().len() <= 25, "{} calls", site.asked().len());
    assert_eq!(polled.problems.len(), 1);
}

#[tokio::test]
async fn a_bad_thing_becomes_a_problem_and_the_rest_goes_on() {
    let bad = j!({"kind": "t3", "data": {"name": "t3_bad"}});
    let (site, _) = world(vec![bad, post("gone", 1, 50), post("p", 2, 100)], |asked| match asked.path.as_str() {
        "/comments/gone" => Canned::Json(403, r#"{"reason":"private","message":"Forbidden","error":403}"#.into()),
        _ => tree(vec![comment("a", "t3_p", vec![]), j!({"kind": "t1", "data": null}), comment("b", "t3_p", vec![])]),
    })
    .await;
    let polled = poll(&site, &Cursor::default()).await;
    assert_eq!(ids(&polled), ["t3_gone", "t3_p", "t1_a", "t1_b"]);
    assert_eq!(polled.problems.len(), 3);
    // The closed tree is not asked for again until its count changes.
    poll(&site, &polled.cursor).await;
    assert_eq!(site.times_asked("/comments/gone"), 1);
}

#[tokio::test]
async fn a_rate_limit_in_the_middle_keeps_what_came_and_the_rest_is_read_later() {
    let limited = Arc::new(Mutex::new(true));
    let switch = limited.clone();
    let (site, _) = world(vec![post("p", 1, 50), post("q", 1, 100)], move |asked| match asked.path.as_str() {
        "/comments/q" if *switch.lock().unwrap() => {
            Canned::Bytes(b"HTTP/1.1 429 X\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n".to_vec())
        }
        "/comments/q" => tree(vec![comment("b", "t3_q", vec![])]),
        _ => tree(vec![comment("a", "t3_p", vec![])]),
    })
    .await;
    let first = poll(&site, &Cursor::default()).await;
    assert_eq!(ids(&first), ["t3_p", "t3_q", "t1_a"]);
    let budget = first.budget.unwrap();
    assert_eq!((first.more, budget.remaining, budget.resets_in.as_secs()), (true, 0.0, 30));
    *limited.lock().unwrap() = false;
    assert_eq!(ids(&poll(&site, &first.cursor).await), ["t1_b"]);
}

#[tokio::test]
async fn a_tree_that_always_fails_is_tried_again_and_starves_no_other() {
    let (site, _) =
        world(vec![post("x", 1, 50), post("y", 1, 60), post("p", 1, 100)], |asked| match asked.path.as_str() {
            "/comments/p" => tree(vec![comment("a", "t3_p", vec![])]),
            _ => Canned::Json(500, "{}".into()),
        })
        .await;
    let first = poll(&site, &Cursor::default()).await;
    assert_eq!(ids(&first).len(), 3);
    let second = poll(&site, &first.cursor).await;
    assert_eq!(ids(&second), ["t1_a"]);
    assert_eq!(site.times_asked("/comments/x"), 2);
}

#[tokio::test]
async fn an_unreadable_cursor_starts_afresh_and_says_so() {
    let (site, _) = world(vec![post("p", 0, 100)], |_| tree(vec![])).await;
    let polled = poll(&site, &Cursor(j!({"posts": 7}))).await;
    assert_eq!((ids(&polled).len(), polled.problems.len()), (1, 1));
}
