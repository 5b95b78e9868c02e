//! Single things by id, communities, watches.

use crate::site::{Canned, NOW, Site, json, session};
use rejoinder_platforms::{Access, Cursor, FetchError, InboundItem, Polled, Standing, Watch};
use serde_json::{Value, json as j};
use std::sync::{Arc, Mutex};

fn listing(children: Vec<Value>, after: Option<&str>) -> Value {
    j!({"kind": "Listing", "data": {"children": children, "after": after}})
}

#[tokio::test]
async fn states_come_in_the_order_asked_a_hundred_a_call_and_the_missing_are_gone() {
    let site = Site::start(|asked| {
        let mut ids: Vec<&str> = asked.query["id"].split(',').filter(|id| *id != "t1_x7").collect();
        ids.reverse();
        let thing = |id: &&str| j!({"kind": "t1", "data": {"name": id, "author": "guest", "body": id, "score": "-3"}});
        json(listing(ids.iter().map(thing).collect(), None))
    })
    .await;
    let (readers, _) = site.connect();
    let mut ids: Vec<String> = (0..250).map(|number| format!("t1_x{number}")).collect();
    ids.push("t1_../../x".into());
    let told = readers.get("reddit").unwrap().states(&session(), &ids).await.unwrap();
    assert_eq!(told.things.iter().map(|thing| thing.id.clone()).collect::<Vec<_>>(), ids);
    assert_eq!((told.things[8].standing, told.things[8].score), (Standing::Here, Some(-3)));
    assert_eq!((told.things[7].standing, told.things[250].standing), (Standing::Deleted, Standing::Deleted));
    let sizes: Vec<_> = site.asked().iter().map(|asked| asked.query["id"].split(',').count()).collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[tokio::test]
async fn a_state_says_who_took_the_text_away() {
    let comment =
        |body: &str, author: Value| j!({"kind": "t1", "data": {"name": "t1_a", "author": author, "body": body}});
    let post = |by: Value, text: &str| {
        j!({"kind": "t3", "data": {"name": "t1_a", "id": "a", "author": "guest", "selftext": text, "title": "T",
            "removed_by_category": by, "locked": true}})
    };
    for (thing, id, expected) in [
        (comment("hi", j!("guest")), "t1_a", Standing::Here),
        (comment("hi", j!("[deleted]")), "t1_a", Standing::Here),
        (comment("[deleted]", j!("[deleted]")), "t1_a", Standing::Deleted),
        (comment("[removed]", Value::Null), "t1_a", Standing::Removed),
        (comment("[ Removed by Reddit ]", j!("[deleted]")), "t1_a", Standing::Removed),
        (j!({"kind": "t3", "data": post(j!("deleted"), "")["data"]}), "t3_a", Standing::Deleted),
    ] {
        let mut thing = thing;
        thing["data"]["name"] = j!(id);
        let site = Site::start(move |_| json(listing(vec![thing.clone()], None))).await;
        let (readers, _) = site.connect();
        let told = readers.get("reddit").unwrap().states(&session(), &[id.to_owned()]).await.unwrap();
        assert_eq!(told.things[0].standing, expected);
        assert_eq!(told.things[0].text.is_some(), expected == Standing::Here);
    }
    let mut ours = post(j!("moderator"), "our text");
    ours["data"]["name"] = j!("t3_a");
    let site = Site::start(move |_| json(listing(vec![ours.clone()], None))).await;
    let (readers, _) = site.connect();
    let told = readers.get("reddit").unwrap().states(&session(), &["t3_a".to_owned()]).await.unwrap();
    assert_eq!((told.things[0].standing, told.things[0].locked), (Standing::Removed, true));
}

#[tokio::test]
async fn an_answer_in_an_unknown_form_says_nothing_about_the_things() {
    let site = Site::start(|_| json(j!({"data": {}}))).await;
    let (readers, _) = site.connect();
    let error = readers.get("reddit").unwrap().states(&session(), &["t1_a".to_owned()]).await.unwrap_err();
    assert!(matches!(error, FetchError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn comments_are_counted_a_hundred_posts_a_request_and_what_is_not_seen_is_missing() {
    let site = Site::start(|asked| {
        let ids: Vec<&str> = asked.query["id"].split(',').collect();
        assert!(ids.len() <= 100);
        let seen = ids.iter().filter(|id| !id.ends_with('7'));
        let post = |id: &&str| j!({"kind": "t3", "data": {"name": id, "num_comments": if *id == "t3_p1" { j!("12") } else { j!(3) }}});
        let mut things: Vec<Value> = seen.map(post).collect();
        things.push(j!({"kind": "t1", "data": {"name": "t1_x", "num_comments": 9}}));
        json(listing(things, None))
    })
    .await;
    let (readers, _) = site.connect();
    let asked: Vec<String> = (0..250).map(|number| format!("t3_p{number}")).collect();
    let told = readers.get("reddit").unwrap().counts(&session(), &asked).await.unwrap();
    assert_eq!((told.len(), site.asked().len()), (225, 3));
    assert_eq!((told.get("t3_p0"), told.get("t3_p1"), told.get("t3_p7")), (Some(&3), Some(&12), None));
}

#[tokio::test]
async fn a_closed_community_is_an_answer_with_its_reason() {
    let closed = [
        (403, r#"{"reason":"private","message":"Forbidden","error":403}"#, Some(Access::Private)),
        (403, r#"{"reason":"quarantined","message":"Forbidden","error":403}"#, Some(Access::Quarantined)),
        (404, r#"{"reason":"banned","message":"Not Found","error":404}"#, Some(Access::Banned)),
        (404, r#"{"message":"Not Found","error":404}"#, Some(Access::Missing)),
        (302, "", Some(Access::Missing)),
        (403, r#"{"message":"Forbidden","error":403}"#, None),
        (503, "<html>", None),
    ];
    for (status, body, expected) in closed {
        let site = Site::start(move |_| Canned::Json(status, body.to_owned())).await;
        let (readers, _) = site.connect();
        let place = readers.get("reddit").unwrap().place(&session(), "r/Espresso").await;
        assert_eq!(
            place.map(|place| (place.name, place.access)).ok(),
            expected.map(|access| ("Espresso".into(), access))
        );
        assert_eq!(site.asked()[0].path, "/r/Espresso/about/rules");
    }
}

#[tokio::test]
async fn only_a_name_goes_into_the_address_of_a_community() {
    let site = Site::start(|_| Canned::Drop).await;
    let (readers, _) = site.connect();
    for name in ["", "r/", "a b", "../../api/me", "espresso/about", "ü"] {
        let error = readers.get("reddit").unwrap().place(&session(), name).await.unwrap_err();
        assert!(matches!(&error, FetchError::Refused { code, .. } if code == "BAD_COMMUNITY"), "{name}: {error:?}");
    }
    assert!(site.asked().is_empty());
}

fn post(id: &str, age_secs: i64, title: &str) -> Value {
    j!({"kind": "t3", "data": {"name": format!("t3_{id}"), "author": "guest", "title": title, "selftext": "", "is_self": true,
        "subreddit": "espresso", "created_utc": (NOW - age_secs) as f64, "edited": false, "num_comments": 0}})
}

fn ids(polled: &Polled) -> Vec<&str> {
    let mut ids = Vec::new();
    for item in &polled.items {
        ids.push(match item {
            InboundItem::Post(post) | InboundItem::Thread(post) => post.id.as_str(),
            InboundItem::Comment(comment) => comment.id.as_str(),
        });
    }
    ids
}

/// A site that shows these posts, three a page, and the watch's way to them.
async fn shown(posts: Vec<Value>) -> (Site, Arc<Mutex<Vec<Value>>>) {
    let posts = Arc::new(Mutex::new(posts));
    let kept = posts.clone();
    let site = Site::start(move |asked| {
        let all = kept.lock().unwrap().clone();
        let start = asked.query.get("after").map_or(0, |after| after.parse().unwrap());
        let end = (start + 3).min(all.len());
        let after = (end < all.len()).then(|| end.to_string());
        json(listing(all[start..end].to_vec(), after.as_deref()))
    })
    .await;
    (site, posts)
}

async fn look(site: &Site, watch: &Watch, cursor: &Cursor) -> Polled {
    let (readers, _) = site.connect();
    readers.get("reddit").unwrap().watch(&session(), watch, cursor).await.unwrap()
}

#[tokio::test]
async fn a_watch_gives_each_post_once_also_one_that_turns_up_late() {
    let (site, posts) = shown((0..5).map(|n| post(&format!("p{n}"), 100 * (n + 1), "Hello")).collect()).await;
    let watch = Watch::Community { name: "/r/espresso/".into() };
    let first = look(&site, &watch, &Cursor::default()).await;
    assert_eq!(ids(&first), ["t3_p0", "t3_p1", "t3_p2"], "one page at first");
    assert_eq!(site.asked()[0].path, "/r/espresso/new");
    assert_eq!(ids(&look(&site, &watch, &first.cursor).await), [""; 0]);
    posts.lock().unwrap().insert(0, post("new", 10, "Hello"));
    posts.lock().unwrap().insert(1, post("late", 150, "Hello"));
    let third = look(&site, &watch, &first.cursor).await;
    assert_eq!(ids(&third), ["t3_new", "t3_late"]);
    // The newest ones are deleted: nothing is anchored to them.
    posts.lock().unwrap().drain(0..4);
    posts.lock().unwrap().insert(0, post("newer", 5, "Hello"));
    assert_eq!(ids(&look(&site, &watch, &third.cursor).await)[0], "t3_newer");
}

#[tokio::test]
async fn a_watch_for_words_asks_for_the_phrase_and_takes_only_what_holds_it() {
    let (site, _) = shown(vec![post("a", 10, "My  GRINDER jumps"), post("b", 20, "Milling machines")]).await;
    let watch = Watch::Keyword { text: " grinder\" jumps ".into(), community: Some("espresso".into()) };
    assert_eq!(ids(&look(&site, &watch, &Cursor::default()).await), ["t3_a"]);
    let asked = &site.asked()[0];
    assert_eq!((asked.path.as_str(), asked.query["restrict_sr"].as_str()), ("/r/espresso/search", "1"));
    assert_eq!((asked.query["q"].as_str(), asked.query["sort"].as_str()), ("\"grinder jumps\"", "new"));
    look(&site, &Watch::Keyword { text: "grinder".into(), community: None }, &Cursor::default()).await;
    assert_eq!(site.asked()[1].path, "/search");
}

#[tokio::test]
async fn a_post_dated_in_the_future_does_not_close_a_watch() {
    let (site, posts) = shown(vec![post("wrong", -86_400 * 365, "Hello")]).await;
    let watch = Watch::Community { name: "espresso".into() };
    let first = look(&site, &watch, &Cursor::default()).await;
    posts.lock().unwrap().insert(0, post("right", 10, "Hello"));
    assert_eq!(ids(&look(&site, &watch, &first.cursor).await), ["t3_right"]);
}

#[tokio::test]
async fn a_round_that_breaks_off_is_read_again_as_a_whole() {
    let (site, posts) = shown(vec![post("p", 1000, "Hello")]).await;
    let watch = Watch::Community { name: "espresso".into() };
    let first = look(&site, &watch, &Cursor::default()).await;
    let many = (0..6).map(|n| post(&format!("n{n}"), 10 + n, "Hello")).collect::<Vec<_>>();
    let page = many.clone();
    let broken = Site::start(move |asked| match asked.query.get("after") {
        Some(_) => Canned::Json(503, "{}".into()),
        None => json(listing(page[..3].to_vec(), Some("3"))),
    })
    .await;
    let second = look(&broken, &watch, &first.cursor).await;
    assert_eq!((second.items.len(), second.more, second.problems.len()), (3, true, 1));
    posts.lock().unwrap().splice(0..0, many);
    assert_eq!(look(&site, &watch, &second.cursor).await.items.len(), 6);
}
