//! Reading back tells posted, answered elsewhere, absent and unknown apart.

use crate::site::{Asked, Canned, NOW, Site, at, json, session};
use rejoinder_platforms::{FetchError, Probe, ReplyAt, ReplyProbe, TargetState};
use serde_json::{Value, json as j};
use std::time::Duration;

const TEXT: &str = "Thanks & welcome";

fn listing(children: Vec<Value>) -> Value {
    j!({"kind": "Listing", "data": {"children": children, "after": null}})
}

fn comment(id: &str, parent: &str, author: &str, text: &str, offset: i64) -> Value {
    j!({"kind": "t1", "data": {"name": format!("t1_{id}"), "parent_id": parent, "link_id": "t3_p", "author": author,
        "author_fullname": format!("t2_{author}"), "body": text, "created_utc": (NOW + offset) as f64, "replies": ""}})
}

/// What stands in the thread, and what in the account's own list.
async fn site(thread: Vec<Value>, own: Vec<Value>) -> Site {
    Site::start(move |asked: &Asked| match asked.path.as_str() {
        "/comments/p" => json(j!([listing(vec![]), listing(thread.clone())])),
        "/user/acme/comments" => json(listing(own.clone())),
        _ => Canned::Drop,
    })
    .await
}

async fn probe(site: &Site) -> Result<Probe, FetchError> {
    let (readers, _) = site.connect();
    let probe = ReplyProbe {
        target_id: "t1_aaa".into(),
        post_id: "t3_p".into(),
        text: TEXT.into(),
        armed_at: at(0),
        skew: Duration::from_secs(30),
        taken: Vec::new(),
    };
    readers.get("reddit").unwrap().find_own_reply(&session(), &probe).await
}

fn found_id(probe: Probe) -> String {
    match probe {
        Probe::Found(reply) => reply.id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn our_text_under_the_target_is_found() {
    let replies = listing(vec![
        comment("guest", "t1_aaa", "guest", TEXT, 5),
        comment("other", "t1_aaa", "me", "Something else", 5),
        comment("ours", "t1_aaa", "me", "Thanks &amp;  welcome\n", 5),
    ]);
    let mut target = comment("aaa", "t3_p", "guest", "Nice", -500);
    target["data"]["replies"] = replies;
    let site = site(vec![target], vec![]).await;
    assert_eq!(found_id(probe(&site).await.unwrap()), "t1_ours");
    let asked = &site.asked()[0];
    assert_eq!(asked.query["comment"], "aaa");
}

#[tokio::test]
async fn a_reply_that_the_thread_hides_is_found_in_our_own_list() {
    let site = site(vec![], vec![comment("ours", "t1_aaa", "me", TEXT, 3)]).await;
    assert_eq!(found_id(probe(&site).await.unwrap()), "t1_ours");
}

#[tokio::test]
async fn the_same_text_from_before_or_another_text_is_not_this_attempt() {
    for own in [comment("old", "t1_aaa", "me", TEXT, -31), comment("other", "t1_aaa", "me", "By hand", 3)] {
        let site = site(vec![], vec![own]).await;
        assert!(matches!(probe(&site).await.unwrap(), Probe::OtherOwnReply(_)));
    }
}

#[tokio::test]
async fn the_same_text_elsewhere_or_by_others_is_absence() {
    let elsewhere = comment("x", "t1_bbb", "me", TEXT, 3);
    let site = site(vec![comment("y", "t1_aaa", "guest", TEXT, 3)], vec![elsewhere]).await;
    assert_eq!(probe(&site).await.unwrap(), Probe::AbsentOnce);
}

#[tokio::test]
async fn absence_is_said_only_after_reading_past_the_time_of_sending() {
    let paged = |last_offset: i64| {
        Site::start(move |asked: &Asked| match (asked.path.as_str(), asked.query.contains_key("after")) {
            ("/comments/p", _) => json(j!([listing(vec![]), listing(vec![])])),
            ("/user/acme/comments", later) => {
                let offset = if later { last_offset } else { 900 };
                let mut page = listing(vec![comment("x", "t1_zzz", "me", "Hi", offset)]);
                page["data"]["after"] = j!("t1_x");
                json(page)
            }
            _ => Canned::Drop,
        })
    };
    let reached = paged(-60).await;
    assert_eq!((probe(&reached).await.unwrap(), reached.times_asked("/user/acme/comments")), (Probe::AbsentOnce, 2));
    assert!(matches!(probe(&paged(600).await).await.unwrap(), Probe::CannotTell(_)));
}

#[tokio::test]
async fn a_list_that_is_closed_or_unreadable_proves_no_absence() {
    let closed = Site::start(|asked: &Asked| match asked.path.as_str() {
        "/comments/p" => json(j!([listing(vec![]), listing(vec![])])),
        _ => Canned::Json(404, r#"{"message":"Not Found","error":404}"#.into()),
    })
    .await;
    assert!(matches!(probe(&closed).await.unwrap(), Probe::CannotTell(_)));
    let unreadable = site(vec![], vec![j!({"kind": "t1", "data": {"name": "t1_q"}})]).await;
    assert!(matches!(probe(&unreadable).await.unwrap(), Probe::CannotTell(_)));
    let down = Site::start(|_| Canned::Json(503, String::new())).await;
    assert!(matches!(probe(&down).await, Err(FetchError::Unavailable(_))));
}

async fn state(info: Vec<Value>, thread: Vec<Value>, target: &str) -> TargetState {
    let site = Site::start(move |asked: &Asked| match asked.path.as_str() {
        "/api/info" => json(listing(info.clone())),
        _ => json(j!([listing(vec![]), listing(thread.clone())])),
    })
    .await;
    let (readers, _) = site.connect();
    readers.get("reddit").unwrap().target_state(&session(), "t3_p", target).await.unwrap()
}

fn post(locked: bool) -> Value {
    j!({"kind": "t3", "data": {"name": "t3_p", "author": "acme", "selftext": "", "created_utc": 5.0, "locked": locked}})
}

#[tokio::test]
async fn a_target_is_seen_as_it_stands_now() {
    let mut target = comment("aaa", "t3_p", "guest", "Nice", -50);
    target["data"]["edited"] = j!((NOW - 5) as f64);
    let ours = comment("ours", "t1_aaa", "me", "By hand", -3);
    let open = state(vec![post(false), target.clone()], vec![ours], "t1_aaa").await;
    assert!(open.exists && !open.locked);
    assert_eq!(open.edited_at, Some(at(-5)));
    assert_eq!(open.own_reply.unwrap().id, "t1_ours");
    let locked = state(vec![post(true), target], vec![], "t1_aaa").await;
    assert!(locked.exists && locked.locked && locked.own_reply.is_none());
    assert!(!state(vec![post(false)], vec![], "t1_aaa").await.exists);
    let mut gone = comment("aaa", "t3_p", "[deleted]", "[deleted]", -50);
    gone["data"]["author_fullname"] = Value::Null;
    assert!(!state(vec![post(false), gone], vec![], "t1_aaa").await.exists);
    assert!(state(vec![post(false)], vec![], "t3_p").await.exists);
}

#[tokio::test]
async fn a_thread_that_shows_the_target_tells_all_of_it_in_one_answer() {
    let mut target = comment("aaa", "t3_p", "guest", "Nice", -50);
    target["data"]["edited"] = j!((NOW - 5) as f64);
    target["data"]["replies"] = listing(vec![comment("ours", "t1_aaa", "me", "By hand", -3)]);
    let thread = move |locked| j!([listing(vec![post(locked)]), listing(vec![target.clone()])]);
    for locked in [false, true] {
        let thread = thread.clone();
        let site = Site::start(move |_| json(thread(locked))).await;
        let (readers, _) = site.connect();
        let seen = readers.get("reddit").unwrap().target_state(&session(), "t3_p", "t1_aaa").await.unwrap();
        assert_eq!((seen.exists, seen.locked, seen.edited_at), (true, locked, Some(at(-5))));
        assert_eq!(seen.own_reply.unwrap().id, "t1_ours");
        assert_eq!((site.asked().len(), site.times_asked("/comments/p")), (1, 1));
        let of_post = readers.get("reddit").unwrap().target_state(&session(), "t3_p", "t3_p").await.unwrap();
        assert_eq!((of_post.exists, of_post.locked, of_post.own_reply), (true, locked, None));
    }
}

async fn at_address(info: Vec<Value>, address: &str) -> (Result<ReplyAt, FetchError>, Vec<Asked>) {
    let site = Site::start(move |_| json(listing(info.clone()))).await;
    let (readers, _) = site.connect();
    let address = address.parse().unwrap();
    let told = readers.get("reddit").unwrap().reply_at(&session(), &address, "t1_aaa").await;
    (told, site.asked())
}

const ADDRESS: &str = "https://www.reddit.com/r/x/comments/p/t/ours/";

#[tokio::test]
async fn an_address_counts_when_our_reply_to_the_target_stands_there() {
    let (told, asked) = at_address(vec![comment("ours", "t1_aaa", "me", "Any text", 5)], ADDRESS).await;
    let ReplyAt::Ours(reply) = told.unwrap() else { panic!("not ours") };
    assert_eq!((reply.id.as_str(), reply.created_at), ("t1_ours", Some(at(5))));
    assert_eq!((asked[0].path.as_str(), asked[0].query["id"].as_str()), ("/api/info", "t1_ours"));
}

#[tokio::test]
async fn an_address_of_anything_else_says_what_stands_there() {
    let mut gone = comment("ours", "t1_aaa", "[deleted]", "[deleted]", 5);
    gone["data"]["author_fullname"] = Value::Null;
    for (info, not_ours, said) in [
        (vec![comment("ours", "t1_aaa", "guest", "Any", 5)], true, "by u/guest, not by u/acme"),
        (vec![comment("ours", "t1_bbb", "me", "Any", 5)], true, "answers something else"),
        (vec![comment("ours", "t3_p", "me", "Any", 5)], true, "answers something else"),
        (vec![comment("other", "t1_aaa", "me", "Any", 5)], false, "leads to no comment"),
        (vec![], false, "leads to no comment"),
        (vec![gone], false, "deleted"),
    ] {
        let (told, _) = at_address(info, ADDRESS).await;
        match told.unwrap() {
            ReplyAt::NotOurs(reason) => assert!(not_ours && reason.contains(said), "{reason}"),
            ReplyAt::NoReply(reason) => assert!(!not_ours && reason.contains(said), "{reason}"),
            ReplyAt::Ours(reply) => panic!("{reply:?}"),
        }
    }
}

#[tokio::test]
async fn an_address_that_names_no_comment_asks_nobody() {
    let (told, asked) = at_address(vec![], "https://www.reddit.com/r/x/comments/p/t/").await;
    assert!(matches!(told, Ok(ReplyAt::NoReply(_))));
    assert!(asked.is_empty());
}
