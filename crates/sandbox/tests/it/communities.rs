use rejoinder_sandbox::{CommunityAccess, WorldKind};
use serde_json::Value;

use crate::{BRAND, names, stage};

#[tokio::test]
async fn a_closed_community_names_its_reason_and_an_unknown_one_leads_to_a_search() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post(BRAND, "corner", "Ours", "");
    for (access, status, reason) in [
        (CommunityAccess::Private, 403, "private"),
        (CommunityAccess::Quarantined, 403, "quarantined"),
        (CommunityAccess::Banned, 404, "banned"),
    ] {
        stage.control.set_access("Corner", access);
        for path in ["/r/corner/new", "/r/corner/about/rules", "/r/corner/search?q=ours&restrict_sr=1"] {
            let response = stage.get(path).await;
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.json::<Value>().await.unwrap()["reason"], reason);
        }
        assert_eq!(stage.get(&format!("/comments/{}", &post[3..])).await.status(), status);
    }
    let unknown = stage.get("/r/nowhere/about/rules").await;
    assert_eq!(unknown.status(), 302);
    assert_eq!(unknown.headers()["location"], "/reddit/subreddits/search?q=nowhere");
}

#[tokio::test]
async fn a_quarantined_community_takes_a_comment_and_shows_it_to_its_author_only_in_their_list() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Theirs", "");
    stage.control.set_access("corner", CommunityAccess::Quarantined);
    let answer = stage.reply_json(&post, "ours").await;
    assert_eq!(answer["json"], serde_json::json!({"errors": [], "data": {"things": []}}));
    let [truth] = &stage.control.replies_under(&post)[..] else { panic!("one comment") };
    assert!(!truth.listed);
    stage.control.set_access("corner", CommunityAccess::Open);
    assert_eq!(names(&stage.get_json(&format!("/comments/{}", &post[3..])).await[1]).len(), 0);
    assert_eq!(names(&stage.get_json(&format!("/user/{BRAND}/comments")).await), [truth.fullname.as_str()]);
    stage.control.set_access("corner", CommunityAccess::Private);
    assert_eq!(stage.reply(&post, "again").send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_search_finds_phrases_newest_first_and_only_where_it_may() {
    let stage = stage(WorldKind::Empty).await;
    let old = stage.control.add_post("a", "corner", "My Grinder jumps", "");
    stage.control.advance(std::time::Duration::from_secs(5));
    let young = stage.control.add_post("b", "other", "Help", "the grinder jumps again");
    stage.control.add_post("b", "other", "A grinder that", "never jumps");
    let found = stage.get_json("/search?q=%22grinder+jumps%22&sort=new&type=link").await;
    assert_eq!(names(&found), [young.as_str(), old.as_str()]);
    let here = stage.get_json("/r/corner/search?q=grinder+jumps&restrict_sr=1").await;
    assert_eq!(names(&here), [old.as_str()]);
    assert_eq!(names(&stage.get_json("/r/corner/search?q=grinder").await).len(), 3);
    stage.control.set_access("corner", CommunityAccess::Private);
    assert_eq!(names(&stage.get_json("/search?q=%22grinder+jumps%22").await), [young.as_str()]);
}

#[tokio::test]
async fn a_removed_post_is_whole_for_its_author_and_nobody_else() {
    let stage = stage(WorldKind::Empty).await;
    let ours = stage.control.add_post(BRAND, "corner", "Ours", "our text");
    let theirs = stage.control.add_post("a", "corner", "Theirs", "their text");
    stage.control.remove_post(&ours);
    stage.control.remove_post(&theirs);
    let told = stage.get_json(&format!("/api/info?id={ours},{theirs}")).await;
    let text = |place: usize| told["data"]["children"][place]["data"]["selftext"].clone();
    assert_eq!((text(0), text(1)), ("our text".into(), "[removed]".into()));
    assert_eq!(told["data"]["children"][0]["data"]["removed_by_category"], "moderator");
}
