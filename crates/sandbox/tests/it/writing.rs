use rejoinder_sandbox::WorldKind;

use crate::{BRAND, stage};

#[tokio::test]
async fn a_reply_stands_once_under_its_parent_and_in_the_journal() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    let parent = stage.control.add_comment("b", &post, "why?");
    let body = stage.reply_json(&parent, "Because <this> & that.").await;
    let data = &body["json"]["data"]["things"][0]["data"];
    assert_eq!(body["json"]["errors"].as_array().unwrap().len(), 0);
    assert_eq!(data["body"], "Because <this> & that.");
    assert_eq!((&data["parent_id"], &data["link_id"]), (&parent.as_str().into(), &post.as_str().into()));
    let replies = stage.control.replies_under(&parent);
    assert_eq!(replies.len(), 1);
    assert_eq!((replies[0].author.as_str(), replies[0].fullname.as_str()), (BRAND, data["name"].as_str().unwrap()));
    let journal = stage.control.journal();
    assert_eq!(journal.len(), 1);
    assert_eq!((journal[0].effect.as_str(), journal[0].thing.as_deref()), ("comment", data["name"].as_str()));
}

#[tokio::test]
async fn each_refusal_has_its_code_and_changes_nothing() {
    let stage = stage(WorldKind::Empty).await;
    let add = |title: &str| stage.control.add_post("a", "corner", title, "");
    let [open, locked, archived] = ["open", "locked", "archived"].map(add);
    let gone = stage.control.add_comment("b", &open, "gone");
    stage.control.delete_comment(&gone);
    stage.control.lock_post(&locked);
    stage.control.archive(&archived);
    let long = "x".repeat(10_001);
    for (parent, text, code) in [
        (&open, "  ", "NO_TEXT"),
        (&open, long.as_str(), "TOO_LONG"),
        (&locked, "hi", "THREAD_LOCKED"),
        (&archived, "hi", "TOO_OLD"),
        (&gone, "hi", "DELETED_COMMENT"),
    ] {
        let body = stage.reply_json(parent, text).await;
        assert_eq!(body["json"]["errors"][0][0], code);
        assert!(body["json"]["data"].is_null());
    }
    assert_eq!(stage.reply("t1_zzzzzz", "hi").send().await.unwrap().status(), 403);
    assert_eq!(stage.control.comments_by(BRAND).len(), 0);
    assert_eq!(stage.control.journal().len(), 0);
}

#[tokio::test]
async fn only_the_author_edits_and_deletes() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    let theirs = stage.control.add_comment("b", &post, "theirs");
    let ours = stage.control.add_comment(BRAND, &post, "ours");
    let edit =
        |name: &str| stage.post("/api/editusertext", &[("thing_id", name), ("text", "new"), ("api_type", "json")]);
    assert_eq!(edit(&theirs).send().await.unwrap().status(), 403);
    assert_eq!(edit(&ours).send().await.unwrap().status(), 200);
    for name in [&theirs, &ours] {
        assert_eq!(stage.post("/api/del", &[("id", name)]).send().await.unwrap().text().await.unwrap(), "{}");
    }
    let truth = stage.control.replies_under(&post);
    assert_eq!((truth[0].deleted, truth[0].text.as_str()), (false, "theirs"));
    assert_eq!((truth[1].deleted, truth[1].text.as_str()), (true, "new"));
}
