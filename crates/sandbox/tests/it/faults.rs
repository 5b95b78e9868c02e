use std::time::Duration;

use rejoinder_sandbox::{HoldPoint, ReadFault, WorldKind, WriteFault};
use serde_json::json;

use crate::{BRAND, names, stage};

#[tokio::test]
async fn faults_before_the_effect_leave_no_reply() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    stage.control.plan_write(vec![
        WriteFault::Refuse { code: "SOMETHING_IS_BROKEN".to_owned() },
        WriteFault::RateLimited { secs: 545 },
        WriteFault::ServerErrorBefore,
        WriteFault::DroppedBefore,
        WriteFault::TooManyRequests { secs: 7 },
        WriteFault::TokenExpired,
    ]);
    assert_eq!(stage.reply_json(&post, "hi").await["json"]["errors"][0][0], "SOMETHING_IS_BROKEN");
    let limited = stage.reply_json(&post, "hi").await["json"]["errors"][0].clone();
    assert_eq!(limited[0], "RATELIMIT");
    assert!(limited[1].as_str().unwrap().contains("9 minutes"));
    assert_eq!(stage.reply(&post, "hi").send().await.unwrap().status(), 503);
    assert!(stage.reply(&post, "hi").send().await.is_err());
    assert_eq!(stage.reply(&post, "hi").send().await.unwrap().headers()["retry-after"], "7");
    assert_eq!(stage.reply(&post, "hi").send().await.unwrap().status(), 401);
    assert_eq!(stage.reply(&post, "hi").send().await.unwrap().status(), 401, "the token stays expired");
    assert_eq!(stage.control.replies_under(&post).len(), 0);
}

#[tokio::test]
async fn faults_after_the_effect_leave_one_reply_whatever_the_client_hears() {
    let stage = stage(WorldKind::Empty).await;
    for fault in [WriteFault::DoneThenServerError, WriteFault::DoneThenDropped, WriteFault::EmptyThings] {
        let post = stage.control.add_post("a", "corner", "Question", "");
        stage.control.plan_write(vec![fault.clone()]);
        match (&fault, stage.reply(&post, "hi").send().await) {
            (WriteFault::DoneThenServerError, Ok(response)) => assert_eq!(response.status(), 500),
            (WriteFault::DoneThenDropped, Err(error)) => assert!(error.is_request(), "{error}"),
            (WriteFault::EmptyThings, Ok(response)) => {
                let empty = json!({"json": {"errors": [], "data": {"things": []}}});
                assert_eq!(response.json::<serde_json::Value>().await.unwrap(), empty);
            }
            (fault, answer) => panic!("{fault:?} gave {answer:?}"),
        }
        assert_eq!(stage.control.replies_under(&post).len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_late_write_appears_only_when_its_time_has_come() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    stage.control.plan_write(vec![WriteFault::LandsAfter { millis: 30_000 }]);
    assert!(stage.reply(&post, "hi").send().await.is_err());
    assert_eq!(stage.control.replies_under(&post).len(), 0);
    stage.control.advance(Duration::from_secs(30));
    assert_eq!(stage.control.replies_under(&post).len(), 1);
}

#[tokio::test]
async fn a_hidden_reply_is_true_at_once_and_visible_later() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    stage.control.plan_write(vec![WriteFault::HiddenFor { millis: 60_000 }]);
    let name = stage.reply_json(&post, "hi").await["json"]["data"]["things"][0]["data"]["name"].clone();
    let paths = [format!("/user/{BRAND}/comments"), format!("/api/info?id={}", name.as_str().unwrap())];
    assert!(!stage.control.replies_under(&post)[0].visible);
    for path in &paths {
        assert_eq!(names(&stage.get_json(path).await).len(), 0, "{path}");
    }
    let count = format!("/api/info?id={post}");
    assert_eq!(stage.get_json(&count).await["data"]["children"][0]["data"]["num_comments"], 0);
    stage.control.advance(Duration::from_secs(60));
    assert_eq!(stage.get_json(&count).await["data"]["children"][0]["data"]["num_comments"], 1);
    for path in &paths {
        assert_eq!(names(&stage.get_json(path).await).len(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_held_write_happens_although_its_client_is_gone() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    let hold = stage.control.hold_writes();
    let call = tokio::spawn(stage.reply(&post, "hi").send());
    hold.write_arrived().await;
    assert_eq!(stage.control.replies_under(&post).len(), 0);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    hold.release();
    let landed = async {
        while stage.control.replies_under(&post).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), landed).await.unwrap();
}

#[tokio::test]
async fn a_discarded_hold_before_the_effect_means_never() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    let hold = stage.control.hold_writes();
    let call = tokio::spawn(stage.reply(&post, "hi").send());
    hold.write_arrived().await;
    hold.discard();
    assert!(call.await.unwrap().is_err());
    assert_eq!(stage.control.replies_under(&post).len(), 0);
}

#[tokio::test]
async fn a_hold_after_the_effect_shows_the_reply_before_the_answer() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    let hold = stage.control.hold_writes_after_effect();
    let call = tokio::spawn(stage.reply(&post, "hi").send());
    hold.write_arrived().await;
    assert_eq!(stage.control.replies_under(&post).len(), 1);
    assert!(!call.is_finished());
    drop(hold);
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn what_is_dropped_and_hidden_stands_there_and_shows_later() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    stage.control.plan_write(vec![WriteFault::DroppedAndHidden { millis: 30_000 }]);
    assert!(stage.reply(&post, "hi").send().await.is_err());
    assert!(!stage.control.replies_under(&post)[0].visible);
    stage.control.advance(Duration::from_secs(30));
    assert!(stage.control.replies_under(&post)[0].visible);
}

#[tokio::test]
async fn what_is_planned_for_one_thing_goes_before_the_common_plan_and_leaves_others_alone() {
    let stage = stage(WorldKind::Empty).await;
    let [chosen, other] = ["One", "Two"].map(|title| stage.control.add_post("a", "corner", title, ""));
    stage.control.plan_write_under(&chosen, vec![WriteFault::Forbidden]);
    stage.control.plan_write(vec![WriteFault::ServerErrorBefore]);
    assert_eq!(stage.reply(&chosen, "hi").send().await.unwrap().status(), 403);
    assert_eq!(stage.reply(&other, "hi").send().await.unwrap().status(), 503);
    assert_eq!(stage.reply(&chosen, "hi").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn drawn_faults_end_when_they_are_cleared_and_every_write_is_noted() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    stage.control.mix_writes(1, vec![(1.0, WriteFault::Forbidden)]);
    stage.control.mix_reads(1, vec![(1.0, ReadFault::Status { code: 404 })]);
    assert_eq!(stage.reply(&post, "hi").header("user-agent", "one").send().await.unwrap().status(), 403);
    assert_eq!(stage.get("/api/v1/me").await.status(), 404);
    stage.control.clear_faults();
    assert_eq!(stage.reply(&post, "hi").header("user-agent", "two").send().await.unwrap().status(), 200);
    assert_eq!(stage.get("/api/v1/me").await.status(), 200);
    let seen = stage.control.arrivals();
    let seen: Vec<_> =
        seen.iter().map(|write| (write.agent.as_str(), write.thing.as_str(), write.fault.clone())).collect();
    let expected = [("one", post.as_str(), Some(WriteFault::Forbidden)), ("two", &post, Some(WriteFault::Ok))];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_hold_for_one_process_lets_the_others_write() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    let hold = stage.control.hold_writes_of("slow", HoldPoint::BeforeEffect);
    let held = tokio::spawn(stage.reply(&post, "held").header("user-agent", "slow").send());
    hold.write_arrived().await;
    assert_eq!(stage.reply(&post, "free").header("user-agent", "quick").send().await.unwrap().status(), 200);
    assert_eq!(stage.control.replies_under(&post).len(), 1);
    let [held_one, free] = stage.control.arrivals().try_into().unwrap();
    assert_eq!((held_one.fault, held_one.ended_at), (None, None));
    assert_eq!((free.fault, free.ended_at), (Some(WriteFault::Ok), Some(free.at)), "the clock stands still");
    hold.release();
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    assert_eq!(stage.control.replies_under(&post).len(), 2);
}

#[tokio::test]
async fn another_process_can_hold_plan_and_read_the_truth() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    let control = |path: &str| stage.url(&format!("/control{path}"));
    let tell = |path: &str, body: serde_json::Value| stage.client.post(control(path)).json(&body).send();
    let plan = json!({"writes": [{"kind": "done_then_dropped"}], "reads": [], "ai": [{"kind": "status", "code": 503}]});
    assert_eq!(tell("/faults", plan).await.unwrap().status(), 200);
    assert_eq!(tell("/hold", json!({"point": "before_effect"})).await.unwrap().status(), 200);
    let call = tokio::spawn(stage.reply(&post, "hi").send());
    let arrived = stage.client.get(control("/hold/arrived?at_least=1")).send().await.unwrap();
    assert_eq!(arrived.json::<serde_json::Value>().await.unwrap()["arrived"], 1);
    assert_eq!(tell("/release", json!({})).await.unwrap().status(), 200);
    assert!(call.await.unwrap().is_err());
    let replies = stage.client.get(control(&format!("/replies?parent={post}"))).send().await.unwrap();
    assert_eq!(replies.json::<serde_json::Value>().await.unwrap()[0]["author"], BRAND);
    assert_eq!(tell("/clock", json!({"advance_secs": 5})).await.unwrap().status(), 200);
    assert_eq!(tell("/comments", json!({"author": "x", "parent": "t1_no", "text": "y"})).await.unwrap().status(), 404);
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_held_write() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    stage.control.plan_write(vec![WriteFault::Slow { millis: 60_000 }]);
    let call = tokio::spawn(stage.reply(&post, "hi").send());
    let landed = async {
        while stage.control.replies_under(&post).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), landed).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), stage.sandbox.stop()).await.unwrap();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn half_a_body_and_a_communitys_rule_come_as_planned() {
    let stage = stage(WorldKind::Empty).await;
    let post = stage.control.add_post("a", "corner", "Question", "");
    stage.control.plan_reads(vec![ReadFault::Half]);
    let half = stage.get("/api/v1/me").await.text().await.unwrap();
    assert!(half.starts_with('{') && !half.ends_with('}'), "{half}");
    assert_eq!(stage.get("/api/v1/me").await.status(), 200);
    let rule = WriteFault::CommunityRule { explanation: "Needs a flair.".to_owned() };
    stage.control.plan_write(vec![rule]);
    let refused = stage.reply(&post, "hi").send().await.unwrap();
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["error_type"], "SUBMIT_VALIDATION_ERROR");
    assert_eq!(stage.control.replies_under(&post).len(), 0);
}
