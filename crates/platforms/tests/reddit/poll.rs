//! Polling finds every change, costs few calls, and no bad thing on the site stops it.

use crate::site::{Asked, Canned, NOW, Site, json, session};
use rejoinder_platforms::{Cursor, InboundItem, Parts, Polled, PostCount};
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
        "/message/inbox" => json(listing(vec![])),
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
        InboundItem::Post(post) | InboundItem::Thread(post) => post.id.clone(),
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
    assert_eq!((first.more, site.asked().len()), (true, 12));
    let second = poll(&site, &first.cursor).await;
    assert_eq!((second.more, site.asked().len()), (false, 17));
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

fn more(ids: &[String]) -> Value {
    j!({"kind": "more", "data": {"id": "x", "parent_id": "t3_p", "count": ids.len(), "children": ids}})
}

#[tokio::test]
async fn a_stub_that_names_itself_is_followed_once() {
    let (site, _) = world(vec![post("p", 4, 100)], |asked| match asked.path.as_str() {
        "/comments/p" => tree(vec![more(&["x".to_owned()])]),
        _ => json(j!({"json": {"data": {"things": [more(&["x".to_owned()])]}}})),
    })
    .await;
    let polled = poll(&site, &Cursor::default()).await;
    assert_eq!((site.times_asked("/api/morechildren"), polled.more), (1, false));
}

#[tokio::test]
async fn a_tree_that_never_ends_is_given_up_with_a_reason() {
    let next = Arc::new(Mutex::new(0));
    let (site, _) = world(vec![post("p", 4, 100)], move |_| {
        let mut next = next.lock().unwrap();
        *next += 1;
        match *next {
            1 => tree(vec![more(&["x".to_owned()])]),
            number => json(j!({"json": {"data": {"things": [more(&[format!("x{number}")])]}}})),
        }
    })
    .await;
    let (mut polled, mut rounds) = (poll(&site, &Cursor::default()).await, 1);
    while polled.more {
        let before = site.asked().len();
        polled = poll(&site, &polled.cursor).await;
        assert!(site.asked().len() - before <= 25, "{} calls in one round", site.asked().len() - before);
        rounds += 1;
        assert!(rounds < 20, "it goes on for ever");
    }
    assert_eq!(polled.problems, ["t3_p: too many comments to read them all"]);
}

/// 5,000 comments: 500 with the thread, the rest named by stubs of up to 100 ids.
#[tokio::test]
async fn a_thread_of_five_thousand_comments_is_read_whole_over_rounds_of_bounded_calls() {
    let id = |number: usize| format!("c{number}");
    let (site, _) = world(vec![post("p", 5000, 100)], move |asked| match asked.path.as_str() {
        "/comments/p" => {
            let mut things: Vec<Value> = (0..500).map(|number| comment(&id(number), "t3_p", vec![])).collect();
            things.push(more(&(500..5000).map(id).collect::<Vec<_>>()));
            tree(things)
        }
        _ => {
            let things: Vec<Value> = asked.query["children"].split(',').map(|id| comment(id, "t3_p", vec![])).collect();
            assert!(things.len() <= 100);
            json(j!({"json": {"errors": [], "data": {"things": things}}}))
        }
    })
    .await;
    let mut seen = std::collections::HashSet::new();
    let (mut cursor, mut rounds) = (Cursor::default(), 0);
    loop {
        let before = site.asked().len();
        let polled = poll(&site, &cursor).await;
        assert!(site.asked().len() - before <= 24, "{} calls in one round", site.asked().len() - before);
        assert_eq!(polled.problems, Vec::<String>::new());
        seen.extend(ids(&polled));
        (cursor, rounds) = (polled.cursor, rounds + 1);
        if !polled.more {
            break;
        }
    }
    assert_eq!((seen.len(), site.times_asked("/comments/p"), rounds), (5001, 1, 3));
    assert!(cursor.0.to_string().len() < 1000, "nothing is left in the cursor");
}

#[tokio::test]
async fn half_a_listing_or_a_page_in_its_place_fails_the_round_and_changes_nothing() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n{\"kind\": \"Listing\", \"data\""[..],
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{\"data\": null}",
    ] {
        let site = Site::start(move |_| Canned::Bytes(bytes.to_vec())).await;
        let (readers, _) = site.connect();
        let error = readers.get("reddit").unwrap().poll(&session(), &Cursor::default()).await.unwrap_err();
        assert!(matches!(error, rejoinder_platforms::FetchError::Unavailable(_)), "{error:?}");
    }
}

#[tokio::test]
async fn an_empty_page_with_more_behind_it_is_not_the_end() {
    let site = Site::start(|asked| match (asked.path.as_str(), asked.query.get("after").map(String::as_str)) {
        ("/user/acme/submitted", None) => {
            json(j!({"kind": "Listing", "data": {"children": [], "after": "t3_gone", "before": null}}))
        }
        ("/user/acme/submitted", Some("t3_gone")) => json(listing(vec![post("p", 0, 100)])),
        _ => json(listing(vec![])),
    })
    .await;
    assert_eq!(ids(&poll(&site, &Cursor::default()).await), ["t3_p"]);
}

#[tokio::test]
async fn a_date_in_the_future_counts_as_now_and_numbers_may_come_as_text() {
    let mut odd = post("p", 1, -86_400);
    odd["data"]["num_comments"] = j!("1");
    odd["data"]["edited"] = j!((NOW + 500_000).to_string());
    let mut reply = comment("A", "T3_P", vec![]);
    reply["data"]["created_utc"] = j!(format!("{}.0", NOW + 1_000_000));
    reply["data"]["author"] = j!("GUEST");
    let (site, _) = world(vec![odd], move |_| tree(vec![reply.clone()])).await;
    let polled = poll(&site, &Cursor::default()).await;
    let [InboundItem::Post(own), InboundItem::Comment(reply)] = &polled.items[..] else { panic!("{polled:?}") };
    assert_eq!((own.created_at.unix_timestamp(), own.edited_at.unwrap().unix_timestamp()), (NOW, NOW));
    assert_eq!((reply.id.as_str(), reply.created_at.unix_timestamp()), ("t1_a", NOW));
    assert_eq!((reply.parent_comment_id.as_deref(), reply.author_name.as_deref()), (None, Some("GUEST")));
}

#[tokio::test]
async fn a_thread_full_of_rubbish_leaves_a_short_list_of_reasons() {
    let (site, _) = world(vec![post("p", 90, 100)], |_| {
        let mut things: Vec<Value> = (0..90).map(|_| j!({"kind": "t1", "data": {"body": 7}})).collect();
        things.push(comment("a", "t3_p", vec![]));
        tree(things)
    })
    .await;
    let polled = poll(&site, &Cursor::default()).await;
    assert_eq!((ids(&polled), polled.problems.len()), (vec!["t3_p".to_owned(), "t1_a".to_owned()], 21));
    assert_eq!(polled.problems[20], "and 70 more");
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

async fn poll_parts(site: &Site, cursor: &Cursor, parts: Parts) -> Polled {
    let (readers, _) = site.connect();
    readers.get("reddit").unwrap().poll_parts(&session(), cursor, &parts).await.unwrap()
}

fn counted(id: &str, comments: u64) -> Parts {
    let created_at = time::OffsetDateTime::from_unix_timestamp(NOW - 100).unwrap();
    Parts { counted: vec![PostCount { id: format!("t3_{id}"), created_at, comments }], ..Parts::default() }
}

#[tokio::test]
async fn where_the_counts_are_known_nothing_is_listed_and_changed_threads_alone_are_read() {
    let (site, posts) = world(vec![post("p", 1, 100)], |_| tree(vec![comment("a", "t3_p", vec![])])).await;
    let first = poll(&site, &Cursor::default()).await;
    let before = site.asked().len();
    let same = poll_parts(&site, &first.cursor, counted("p", 1)).await;
    assert_eq!((ids(&same), site.asked().len() - before), (vec![], 0));
    let more = poll_parts(&site, &same.cursor, counted("p", 2)).await;
    assert_eq!((ids(&more), site.asked().len() - before), (vec!["t1_a".to_owned()], 1));
    let unknown = poll_parts(&site, &more.cursor, counted("q", 1)).await;
    assert_eq!((ids(&unknown).len(), site.times_asked("/comments/q")), (1, 1));
    // The list agrees with what was counted: nothing is read twice.
    *posts.lock().unwrap() = vec![post("p", 2, 100)];
    poll(&site, &more.cursor).await;
    assert_eq!(site.times_asked("/comments/p"), 2);
}

#[tokio::test]
async fn a_change_that_could_not_be_read_is_read_in_a_later_round_whatever_its_parts() {
    let broken = Arc::new(Mutex::new(true));
    let switch = broken.clone();
    let (site, _) = world(vec![post("p", 0, 100)], move |_| match *switch.lock().unwrap() {
        true => Canned::Json(500, "{}".into()),
        false => tree(vec![comment("a", "t3_p", vec![])]),
    })
    .await;
    let first = poll(&site, &Cursor::default()).await;
    let failed = poll_parts(&site, &first.cursor, counted("p", 1)).await;
    assert_eq!((failed.problems.len(), failed.wait.map(|wait| wait.as_secs())), (1, Some(60)));
    let failed = poll_parts(&site, &failed.cursor, Parts::default()).await;
    assert_eq!(failed.wait.map(|wait| wait.as_secs()), Some(120));
    *broken.lock().unwrap() = false;
    let read = poll_parts(&site, &failed.cursor, Parts::default()).await;
    assert_eq!((ids(&read), read.wait), (vec!["t1_a".to_owned()], None));
}
