//! What a person or a program saw is there again after the process died at any moment.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rejoinder_sandbox::{Options, WorldKind, WriteFault};
use serde_json::json;

use crate::{BRAND, Stage, names, stage_with};

/// An empty folder for one test.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

async fn kept_in(folder: &Path) -> Stage {
    let state = Some(folder.join("world.json"));
    stage_with(Options { world: WorldKind::Demo, state, ..Options::default() }).await
}

/// A sandbox that finds what the disk held at this moment, as after a kill. The one before still runs and knows nothing.
async fn survivor(folder: &Path, name: &str) -> Stage {
    let after = folder.join(name);
    fs::create_dir_all(&after).unwrap();
    fs::copy(folder.join("world.json"), after.join("world.json")).unwrap();
    kept_in(&after).await
}

#[tokio::test]
async fn an_answered_reply_its_ids_and_its_token_outlive_a_kill() {
    let folder = folder("answered");
    let stage = kept_in(&folder).await;
    let issued = stage.control.issue_token(BRAND, "*");
    let post = stage.control.posts()[0].fullname.clone();
    let made = stage.reply_json(&post, "Thank you!").await["json"]["data"]["things"][0]["data"].clone();
    let name = made["name"].as_str().unwrap();
    let mut after = survivor(&folder, "after").await;
    assert_eq!(json!(after.control.posts()), json!(stage.control.posts()));
    assert_eq!(json!(after.control.replies_under(&post)), json!(stage.control.replies_under(&post)));
    assert_eq!(json!(after.control.journal()), json!(stage.control.journal()));
    after.token.clone_from(&stage.token);
    let read = after.get_json(&format!("/api/info?id={name}&raw_json=1")).await["data"]["children"][0]["data"].clone();
    assert_eq!((&read["body"], &read["created_utc"]), (&made["body"], &made["created_utc"]));
    let form = [("grant_type", "refresh_token"), ("refresh_token", issued.refresh_token.as_deref().unwrap())];
    let refresh = after.client.post(after.url("/reddit/api/v1/access_token"));
    let answer = refresh.basic_auth("sandbox-client", Some("sandbox-secret")).form(&form).send().await.unwrap();
    let fresh: serde_json::Value = answer.json().await.unwrap();
    assert!(fresh["access_token"].is_string(), "{fresh}");
    assert_ne!(fresh["access_token"], issued.access_token, "no token is handed out twice");
    let next = after.reply_json(&post, "And again").await["json"]["data"]["things"][0]["data"]["name"].clone();
    assert_ne!(next, name, "no id is handed out twice");
    assert_eq!(after.control.comments_by(BRAND).len(), 2);
}

#[tokio::test]
async fn every_kind_of_change_outlives_a_kill() {
    let folder = folder("kinds");
    let stage = kept_in(&folder).await;
    let post = stage.control.posts()[0].fullname.clone();
    let reply = |text: &str| stage.reply(&post, text).send();
    let mine = stage.reply_json(&post, "first").await["json"]["data"]["things"][0]["data"]["name"].clone();
    let mine = mine.as_str().unwrap();
    stage.post("/api/editusertext", &[("thing_id", mine), ("text", "better")]).send().await.unwrap();
    stage.control.plan_write(vec![WriteFault::DoneThenDropped]);
    assert!(reply("lost answer").await.is_err());
    let form = [("parent", mine), ("author", "new_person"), ("text", "Nice")];
    stage.client.post(stage.url("/say")).form(&form).send().await.unwrap();
    let unread = names(&stage.get_json("/message/unread").await);
    stage.post("/api/read_message", &[("id", unread[0].as_str())]).send().await.unwrap();
    stage.control.add_client("second-app", "s");
    stage.control.trickle_once().unwrap();
    stage.control.lock_post(&stage.control.posts()[1].fullname);
    let after = survivor(&folder, "after").await;
    assert_eq!(json!(after.control.posts()), json!(stage.control.posts()));
    assert_eq!(json!(after.control.comments_by(BRAND)), json!(stage.control.comments_by(BRAND)));
    assert_eq!(after.control.comments_by(BRAND)[0].text, "better");
    assert_eq!(after.control.replies_under(mine)[0].author, "new_person");
    let still_unread = names(&after.get_json("/message/unread").await);
    assert_eq!(still_unread, names(&stage.get_json("/message/unread").await));
    assert!(!still_unread.contains(&unread[0]));
    let ask =
        "/api/v1/authorize?response_type=code&state=s&scope=read&client_id=second-app&redirect_uri=http://localhost/";
    assert_eq!(after.get(ask).await.status(), 200);
    let (kept, left) = (after.control.trickle_once(), stage.control.trickle_once());
    assert_eq!(kept, left, "the same stranger speaks next");
    assert_eq!(after.control.comments_by("beanbudget").len(), stage.control.comments_by("beanbudget").len());
}

#[tokio::test]
async fn late_and_hidden_writes_keep_their_time_over_a_kill_and_faults_do_not() {
    let folder = folder("late");
    let stage = kept_in(&folder).await;
    let post = stage.control.posts()[0].fullname.clone();
    let before = stage.control.replies_under(&post).len();
    let faults = vec![WriteFault::HiddenFor { millis: 5000 }, WriteFault::LandsAfter { millis: 9000 }];
    stage.control.plan_write([faults, vec![WriteFault::Forbidden]].concat());
    stage.reply_json(&post, "hidden").await;
    assert!(stage.reply(&post, "late").send().await.is_err());
    let after = survivor(&folder, "after").await;
    let start = after.control.now();
    let hidden = || after.control.replies_under(&post)[before].clone();
    assert!(!hidden().visible);
    assert_eq!(after.control.replies_under(&post).len(), before + 1);
    after.control.advance(Duration::from_secs(60));
    assert!(hidden().visible);
    let late = after.control.replies_under(&post)[before + 1].clone();
    assert_eq!((late.text.as_str(), late.created_at), ("late", start + Duration::from_secs(9)));
    assert_eq!(after.reply(&post, "well").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_half_written_copy_beside_the_file_does_no_harm() {
    let folder = folder("half");
    let stage = kept_in(&folder).await;
    let post = stage.control.posts()[0].fullname.clone();
    stage.reply_json(&post, "kept").await;
    let whole = fs::read(folder.join("world.json")).unwrap();
    fs::create_dir_all(folder.join("after")).unwrap();
    fs::write(folder.join("after/world.json.new"), &whole[..whole.len() / 2]).unwrap();
    let after = survivor(&folder, "after").await;
    assert_eq!(after.control.comments_by(BRAND).len(), 1);
    after.reply_json(&post, "and on").await;
    assert_eq!(survivor(&folder.join("after"), "again").await.control.comments_by(BRAND).len(), 2);
}

#[tokio::test]
async fn a_broken_file_is_put_aside_and_a_fresh_world_begins() {
    let folder = folder("broken");
    let stage = kept_in(&folder).await;
    let post = stage.control.posts()[0].fullname.clone();
    stage.reply_json(&post, "old world").await;
    let whole = fs::read_to_string(folder.join("world.json")).unwrap();
    let orphans = whole.replace(&post, "t3_nowhere");
    let newer = whole.replacen("\"version\":1", "\"version\":2", 1);
    assert!(orphans != whole && newer != whole);
    for (name, broken) in [("cut", &whole[..whole.len() - 9]), ("empty", ""), ("orphans", &orphans), ("newer", &newer)]
    {
        let place = folder.join(name);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("world.json"), broken).unwrap();
        let fresh = kept_in(&place).await;
        assert_eq!(fresh.control.comments_by(BRAND).len(), 0, "{name}");
        assert_eq!(fresh.control.posts().len(), stage.control.posts().len(), "{name}");
        let aside = fs::read_to_string(place.join("world.json.broken-1800000000")).unwrap();
        assert_eq!(aside, broken, "{name}");
        fresh.reply_json(&post, "new world").await;
        assert_eq!(survivor(&place, "after").await.control.comments_by(BRAND).len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_kept_is_not_answered() {
    let folder = folder("unwritable");
    let stage = kept_in(&folder).await;
    let post = stage.control.posts()[0].fullname.clone();
    let blocker = folder.join("world.json.new");
    fs::create_dir(&blocker).unwrap();
    assert!(stage.reply(&post, "kept nowhere").send().await.is_err());
    fs::remove_dir(&blocker).unwrap();
    assert_eq!(stage.get("/api/v1/me").await.status(), 200);
    assert_eq!(survivor(&folder, "after").await.control.comments_by(BRAND).len(), 1, "kept as soon as it can be");
}
