use std::collections::HashSet;

use rejoinder_sandbox::WorldKind;

use crate::{BRAND, stage};

#[tokio::test]
async fn the_demo_world_gives_the_brand_enough_recent_threads_to_read() {
    let stage = stage(WorldKind::Demo).await;
    let now = stage.control.now();
    let posts = stage.control.posts();
    let own: Vec<_> = posts.iter().filter(|post| post.author == BRAND).collect();
    assert!(own.len() >= 24, "{}", own.len());
    assert!(posts.len() >= 30);
    assert_eq!(posts.iter().map(|post| post.community.as_str()).collect::<HashSet<_>>().len(), 3);
    for post in &posts {
        assert!(post.created_at <= now && (now - post.created_at).whole_hours() <= 72, "{}", post.title);
        for comment in stage.control.replies_under(&post.fullname) {
            assert!(comment.created_at <= now && comment.created_at >= post.created_at, "{}", comment.text);
            assert_ne!(comment.author, BRAND);
        }
    }
}

#[tokio::test]
async fn prepared_strangers_speak_once_each_and_in_every_brand_thread_before_any_twice() {
    let stage = stage(WorldKind::Demo).await;
    let own: Vec<_> = stage.control.posts().into_iter().filter(|post| post.author == BRAND).collect();
    let mut seen = HashSet::new();
    let mut threads = Vec::new();
    while let Some(fullname) = stage.control.trickle_once() {
        let under = own.iter().find(|post| {
            let replies = stage.control.replies_under(&post.fullname);
            replies.iter().any(|reply| reply.fullname == fullname)
        });
        threads.push(under.expect("the thread is the brand's").fullname.clone());
        assert!(seen.insert(fullname));
    }
    assert!(seen.len() >= 30, "{}", seen.len());
    assert_eq!(threads[..own.len()].iter().collect::<HashSet<_>>().len(), own.len());
    assert!(threads.windows(2).all(|pair| pair[0] != pair[1]));
}

#[tokio::test]
async fn every_text_on_a_page_is_escaped_and_the_brand_is_named() {
    let stage = stage(WorldKind::Demo).await;
    let post = stage.control.add_post("eve", "corner", "<b>t</b>", "<script>alert(1)</script>");
    stage.control.add_comment(BRAND, &post, "<img src=x>");
    let link = stage.url(&format!("/r/corner/comments/{}/_/", &post[3..]));
    let page = stage.client.get(link).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>t"), "{page}");
    assert!(page.contains("<b class=\"brand\">brand</b>"));
    let below = format!("/reddit/r/corner/comments/{}/_/", &post[3..]);
    let led = stage.client.get(stage.url(&below)).send().await.unwrap();
    assert_eq!(led.headers()["location"], below["/reddit".len()..]);
    for path in ["/", "/sandbox", "/r/slowmornings", "/sandbox.css"] {
        assert_eq!(stage.client.get(stage.url(path)).send().await.unwrap().status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_person_can_comment_as_a_stranger() {
    let stage = stage(WorldKind::Demo).await;
    let post = stage.control.posts()[0].fullname.clone();
    let before = stage.control.replies_under(&post).len();
    let form = [("parent", post.as_str()), ("author", "curious_cat"), ("text", "Is it heavy?")];
    let response = stage.client.post(stage.url("/say")).form(&form).send().await.unwrap();
    assert_eq!(response.status(), 303);
    let replies = stage.control.replies_under(&post);
    assert_eq!(replies.len(), before + 1);
    assert!(response.headers()["location"].to_str().unwrap().ends_with(&replies[before].fullname));
    assert_eq!(stage.control.journal().len(), 0, "the journal is for the vendors' wires");
    let bad = [("parent", post.as_str()), ("author", "no spaces"), ("text", "x")];
    assert_eq!(stage.client.post(stage.url("/say")).form(&bad).send().await.unwrap().status(), 400);
    stage.control.lock_post(&post);
    let refused = stage.client.post(stage.url("/say")).form(&form).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("The thread is locked."));
}

#[tokio::test]
async fn a_person_can_edit_delete_and_remove_and_close_a_community() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    let comment = stage.control.add_comment("b", &post, "why u/brassfinch?");
    let change = async |thing: &str, form: &[(&str, &str)]| {
        let response = stage.client.post(stage.url(&format!("/change/{thing}"))).form(form).send().await.unwrap();
        response.status().as_u16()
    };
    let page = async |path: &str| stage.client.get(stage.url(path)).send().await.unwrap().text().await.unwrap();
    assert!(page("/inbox/brassfinch").await.contains("mention from u/b"));
    assert_eq!(change(&comment, &[("act", "edit"), ("text", "how <b>?")]).await, 303);
    assert!(page(&format!("/change/{comment}")).await.contains("how &#60;b&#62;?"));
    assert_eq!(change(&comment, &[("act", "edit"), ("text", " ")]).await, 400);
    assert_eq!(change(&comment, &[("act", "remove")]).await, 303);
    assert_eq!(change(&comment, &[("act", "lock")]).await, 400);
    for act in ["lock", "archive", "remove", "delete"] {
        assert_eq!(change(&post, &[("act", act)]).await, 303, "{act}");
    }
    assert_eq!(change("t1_zzz", &[("act", "delete")]).await, 404);
    let truth = &stage.control.posts()[0];
    assert!(truth.locked && truth.archived && truth.removed && truth.deleted);
    let seen = &stage.control.replies_under(&post)[0];
    assert_eq!((seen.text.as_str(), seen.removed, seen.deleted), ("how <b>?", true, false));
    let access = stage.client.post(stage.url("/r/corner/access")).form(&[("access", "quarantined")]);
    assert_eq!(access.send().await.unwrap().status(), 303);
    assert!(page("/r/corner").await.contains("<option value=\"quarantined\" selected>"));
    assert_eq!(stage.get("/r/corner/new").await.status(), 403);
}

#[tokio::test]
async fn a_client_that_can_name_only_a_host_finds_the_calls_there_too() {
    let stage = stage(WorldKind::Empty).await;
    let me = stage.client.get(stage.url("/api/v1/me")).bearer_auth(&stage.token).send().await.unwrap();
    assert_eq!(me.json::<serde_json::Value>().await.unwrap()["name"], BRAND);
    assert_eq!(stage.client.get(stage.url("/api/v1/me")).send().await.unwrap().status(), 401);
}
