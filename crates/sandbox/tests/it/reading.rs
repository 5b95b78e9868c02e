use rejoinder_sandbox::WorldKind;
use serde_json::Value;

use crate::{names, stage};

#[tokio::test]
async fn listings_are_paged_by_fullname_until_after_is_null() {
    let stage = stage(WorldKind::Empty).await;
    for number in 0..5 {
        stage.control.advance(std::time::Duration::from_secs(1));
        stage.control.add_post("brassfinch", "corner", &format!("Post {number}"), "");
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = stage.get_json(&format!("/user/brassfinch/submitted?limit=2&after={after}")).await;
        seen.extend(names(&page));
        match page["data"]["after"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    let mut expected: Vec<String> = stage.control.posts().iter().map(|post| post.fullname.clone()).collect();
    expected.reverse();
    assert_eq!(seen, expected);
    stage.control.delete_post(&expected[1]);
    let newer = stage.get_json(&format!("/user/brassfinch/submitted?before={}", expected[2])).await;
    assert_eq!(names(&newer), expected[..1]);
    let gone = stage.get_json(&format!("/user/brassfinch/submitted?before={}", expected[1])).await;
    assert_eq!(names(&gone).len(), 0);
    assert_eq!(stage.get("/user/nobody/submitted").await.status(), 404);
}

#[tokio::test]
async fn a_tree_nests_and_names_what_it_leaves_out() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("brassfinch", "corner", "Tree", "");
    let mut parent = post.clone();
    let mut chain = Vec::new();
    for number in 0..12 {
        parent = stage.control.add_comment("a", &parent, &format!("level {number}"));
        chain.push(parent.clone());
    }
    let path = format!("/comments/{}", &post[3..]);
    let mut node = stage.get_json(&path).await[1].clone();
    for level in &chain[..10] {
        let child = node["data"]["children"][0]["data"].clone();
        assert_eq!(child["name"], level.as_str());
        node = child["replies"].clone();
    }
    let cut = &node["data"]["children"][0];
    assert_eq!((&cut["kind"], &cut["data"]["id"]), (&Value::from("more"), &Value::from("_")));
    let rest = stage.get_json(&format!("{path}/_/{}", &chain[9][3..])).await;
    assert_eq!(
        rest[1]["data"]["children"][0]["data"]["replies"]["data"]["children"][0]["data"]["name"],
        chain[10].as_str()
    );
    let last = stage.get_json(&format!("{path}?comment={}&context=1", &chain[11][3..])).await;
    let top = &last[1]["data"]["children"][0]["data"];
    assert_eq!(top["name"], chain[10].as_str());
    assert_eq!(top["replies"]["data"]["children"][0]["data"]["replies"], "");
}

#[tokio::test]
async fn what_a_limit_cuts_can_be_fetched_with_morechildren() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("brassfinch", "corner", "Wide", "");
    let all: Vec<String> = (0..4).map(|number| stage.control.add_comment("a", &post, &format!("c{number}"))).collect();
    let below = stage.control.add_comment("b", &all[3], "below");
    let tree = stage.get_json(&format!("/comments/{}?limit=3", &post[3..])).await;
    let more = &tree[1]["data"]["children"][3];
    assert_eq!((&more["kind"], &more["data"]["count"]), (&Value::from("more"), &Value::from(2)));
    let ids = more["data"]["children"][0].as_str().unwrap();
    let found = stage.get_json(&format!("/api/morechildren?api_type=json&link_id={post}&children={ids}")).await;
    let things = found["json"]["data"]["things"].as_array().unwrap();
    let found: Vec<_> = things.iter().map(|thing| thing["data"]["name"].as_str().unwrap()).collect();
    assert_eq!(found, [all[3].as_str(), below.as_str()]);
    assert_eq!(things[1]["data"]["depth"], 1);
}

#[tokio::test]
async fn texts_are_escaped_unless_raw_json_is_asked_for() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("brassfinch", "corner", "a < b & c", "");
    let path = format!("/api/info?id={post},t1_unknown");
    let escaped = stage.get_json(&path).await;
    assert_eq!(escaped["data"]["children"][0]["data"]["title"], "a &lt; b &amp; c");
    let raw = stage.get_json(&format!("{path}&raw_json=1")).await;
    assert_eq!(raw["data"]["children"][0]["data"]["title"], "a < b & c");
    assert!(raw["data"]["children"][0]["data"]["created_utc"].is_f64());
}

#[tokio::test]
async fn gone_comments_keep_their_place_only_while_they_have_answers() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("brassfinch", "corner", "Gone", "");
    let answered = stage.control.add_comment("a", &post, "answered");
    stage.control.add_comment("b", &answered, "answer");
    let lonely = stage.control.add_comment("a", &post, "lonely");
    let removed = stage.control.add_comment("brassfinch", &post, "ours");
    stage.control.delete_comment(&answered);
    stage.control.delete_comment(&lonely);
    stage.control.remove_comment(&removed);
    let tree = stage.get_json(&format!("/comments/{}", &post[3..])).await;
    assert_eq!(names(&tree[1]), [answered.as_str(), removed.as_str()], "its author still sees a removed comment");
    assert_eq!(tree[1]["data"]["children"][0]["data"]["author"], "[deleted]");
    let info = stage.get_json(&format!("/api/info?id={lonely}")).await;
    assert_eq!(info["data"]["children"][0]["data"]["body"], "[deleted]");
    assert_eq!(stage.control.replies_under(&post).len(), 3, "the truth forgets nothing");
}

#[tokio::test]
async fn the_inbox_holds_direct_answers_mentions_and_messages_only() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("brassfinch", "corner", "Mine", "");
    let answer = stage.control.add_comment("a", &post, "direct");
    let deeper = stage.control.add_comment("b", &answer, "not for us");
    let other = stage.control.add_post("c", "corner", "Theirs", "");
    let mention = stage.control.add_comment("c", &other, "ask u/Brassfinch about it");
    let message = stage.control.add_message("d", "brassfinch", "Hi", "a message");
    let inbox = stage.get_json("/message/unread").await;
    let mut found = names(&inbox);
    found.sort_unstable();
    let mut expected = [answer.clone(), mention, message];
    expected.sort_unstable();
    assert_eq!(found, expected);
    let kinds: Vec<_> =
        inbox["data"]["children"].as_array().unwrap().iter().map(|child| &child["data"]["type"]).collect();
    assert!(kinds.contains(&&Value::from("post_reply")) && kinds.contains(&&Value::from("username_mention")));
    assert_eq!(stage.post("/api/read_message", &[("id", &deeper)]).send().await.unwrap().status(), 403);
    assert_eq!(stage.post("/api/read_message", &[("id", &answer)]).send().await.unwrap().status(), 200);
    assert_eq!(names(&stage.get_json("/message/unread").await).len(), 2);
    assert_eq!(names(&stage.get_json("/message/inbox").await).len(), 3);
}
