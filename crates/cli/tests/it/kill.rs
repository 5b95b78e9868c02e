//! kill -9 around the one call that must never happen twice. After the next start one reply stands there, whatever the moment.

use crate::stage::Stage;
use crate::wait::until_blocking;
use nix::sys::signal::{Signal, kill};
use std::time::Duration;

/// Stops the server in order and counts what really stands there.
fn assert_one_reply(stage: &mut Stage, story: &serde_json::Value) {
    stage.stop();
    let replies = stage.replies();
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert_eq!(story["platform_reply_id"], replies[0].fullname.as_str());
    assert_eq!(story["text"], replies[0].text.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_the_approval_was_answered_one_reply_follows() {
    let mut stage = Stage::set(&[]).await;
    let draft = stage.draft().await;
    stage.approve(&draft).await;
    stage.kill();
    stage.start_again();
    let story = stage.until_posted(&draft).await;
    assert_one_reply(&mut stage, &story);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_together_with_its_postgres_right_after_the_approval_one_reply_follows() {
    let mut stage = Stage::set(&[]).await;
    let draft = stage.draft().await;
    let postgres = stage.home.postgres().unwrap();
    stage.approve(&draft).await;
    kill(postgres, Signal::SIGKILL).unwrap();
    stage.kill();
    stage.start_again();
    let story = stage.until_posted(&draft).await;
    assert_one_reply(&mut stage, &story);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_a_call_that_never_takes_effect_the_reply_is_sent_again_once() {
    let mut stage = Stage::set(&[]).await;
    let draft = stage.draft().await;
    let hold = stage.control.hold_writes();
    stage.approve(&draft).await;
    hold.write_arrived().await;
    stage.kill();
    hold.discard();
    stage.start_again();
    let story = stage.until_posted(&draft).await;
    assert_one_reply(&mut stage, &story);
    assert_eq!(stage.write_requests(), 2);
    let outcomes: Vec<_> = story["attempts"].as_array().unwrap().iter().map(|tried| &tried["outcome"]).collect();
    assert_eq!(outcomes, ["not_sent", "posted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_a_call_that_takes_effect_late_nothing_is_sent_again() {
    let mut stage = Stage::set(&[]).await;
    let draft = stage.draft().await;
    let hold = stage.control.hold_writes();
    stage.approve(&draft).await;
    hold.write_arrived().await;
    stage.kill();
    stage.start_again();
    let looked = |story: &serde_json::Value| story["attempts"][0]["absent_reads"].as_i64() >= Some(1);
    stage.until_suggestion(&draft.id, "it was looked for and not found", looked).await;
    hold.release();
    let story = stage.until_posted(&draft).await;
    assert_one_reply(&mut stage, &story);
    assert_settled_by_reading_back(&stage, &story);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_the_call_the_reply_is_found_and_nothing_is_sent_again() {
    let mut stage = Stage::set(&[]).await;
    let draft = stage.draft().await;
    let hold = stage.control.hold_writes_after_effect();
    stage.approve(&draft).await;
    hold.write_arrived().await;
    assert_eq!(stage.replies().len(), 1, "it stands there, and nobody was told");
    stage.kill();
    hold.release();
    stage.start_again();
    let story = stage.until_posted(&draft).await;
    assert_one_reply(&mut stage, &story);
    assert_settled_by_reading_back(&stage, &story);
}

/// No kill, but the same moment: whoever asks to stop does not cut a reply off.
#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_during_a_call_its_answer_is_still_stored() {
    let mut stage = Stage::set(&[]).await;
    let draft = stage.draft().await;
    let hold = stage.control.hold_writes();
    stage.approve(&draft).await;
    hold.write_arrived().await;
    let log = stage.home.log_file();
    let release = tokio::task::spawn_blocking(move || {
        let begins = || std::fs::read_to_string(&log).unwrap().contains("running work may finish").then_some(());
        until_blocking(Duration::from_secs(30), begins).expect("the server begins to stop");
        hold.release();
    });
    stage.stop();
    release.await.unwrap();
    assert!(stage.home.postgres().is_none(), "its Postgres still runs");
    stage.start_again();
    let story = stage.until_posted(&draft).await;
    assert_one_reply(&mut stage, &story);
    assert_eq!(stage.write_requests(), 1);
    assert_eq!(story["attempts"][0]["status"], 200, "no reading back was needed");
}

fn assert_settled_by_reading_back(stage: &Stage, story: &serde_json::Value) {
    assert_eq!(stage.write_requests(), 1);
    let attempts = story["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0]["outcome"], "posted");
    assert_eq!(attempts[0]["reason"], "no answer came, but the reply stands on the platform");
    let written = stage.control.journal().into_iter().filter(|entry| entry.effect == "comment");
    assert_eq!(written.filter(|entry| entry.path.ends_with("/api/comment")).count(), 1);
}
