//! Whatever the platform answers: at most one reply stands there, and what we say about it is true.

use crate::harness::{Harness, approve_now, code};
use rejoinder_app::flow::approve;
use rejoinder_app::flow::send::{SwitchScope, Switches};
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::model::{Stage, Status};
use rejoinder_sandbox::WriteFault;
use time::Duration;

const TEXT: &str = "Two clicks finer, then taste again.";
const POSTED: (Status, Stage) = (Status::Posted, Stage::Done);
/// Longer than write timeout and settle window together.
const SETTLED: Duration = Duration::minutes(4);

/// Sends one reply through these faults and lets time pass until all is settled.
async fn send_through(faults: Vec<WriteFault>, time: Duration) -> (Harness, String, Suggestion) {
    let h = Harness::start().await;
    let (comment, queued) = h.queued_reply(TEXT).await;
    h.platform.plan_write(faults);
    h.run_for(time).await;
    (h, comment, queued)
}

async fn assert_posted_once(h: &Harness, comment: &str, suggestion: &Suggestion) {
    assert_eq!(h.our_texts(comment), [TEXT]);
    assert_eq!(h.stands(suggestion).await, POSTED);
    let reply_id = h.suggestion(suggestion.id).await.state.platform_reply_id;
    assert_eq!(reply_id.as_deref(), Some(h.replies_under(comment)[0].fullname.as_str()), "posted means a platform id");
    assert_eq!(h.item_of(comment).await.unwrap().state, "done");
    assert_eq!(h.slots().await, 1, "the slot of a posted reply is kept for ever");
}

#[tokio::test]
async fn a_reply_is_posted_once_with_its_platform_id() {
    let (h, comment, sent) = send_through(vec![WriteFault::Ok], Duration::ZERO).await;
    assert_posted_once(&h, &comment, &sent).await;
    assert_eq!((h.write_requests(), h.outcomes(&sent).await), (1, vec!["posted".to_owned()]));
    h.finish().await;
}

#[tokio::test]
async fn a_refusal_ends_as_failed_with_the_platforms_reason_and_frees_the_slot() {
    let refuse = WriteFault::Refuse { code: "SUBREDDIT_NOTALLOWED".to_owned() };
    let (h, comment, sent) = send_through(vec![refuse], SETTLED).await;
    assert_eq!(h.stands(&sent).await, (Status::Failed, Stage::Done));
    let reason = h.reason(&sent).await;
    assert!(reason.contains("Reddit") && reason.contains("SUBREDDIT_NOTALLOWED"), "{reason}");
    assert!(h.our_texts(&comment).is_empty());
    assert_eq!((h.slots().await, h.write_requests()), (0, 1), "nothing is tried again by itself");
    h.finish().await;
}

#[tokio::test]
async fn a_refused_reply_goes_out_when_a_person_retries_it() {
    for first in [WriteFault::Refuse { code: "TOO_LONG".to_owned() }, WriteFault::Forbidden] {
        let (h, comment, sent) = send_through(vec![first], Duration::ZERO).await;
        assert_eq!(h.stands(&sent).await, (Status::Failed, Stage::Done));
        let mut tx = h.pool().begin().await.unwrap();
        approve::retry(&mut tx, &h.app.moment(), h.decision(&sent)).await.unwrap();
        tx.commit().await.unwrap();
        h.run_due().await;
        assert_posted_once(&h, &comment, &sent).await;
        h.finish().await;
    }
}

#[tokio::test]
async fn a_rate_limit_parks_until_then_and_drops_nothing() {
    for limit in [WriteFault::RateLimited { secs: 600 }, WriteFault::TooManyRequests { secs: 600 }] {
        let (h, comment, sent) = send_through(vec![limit.clone(), limit], Duration::minutes(9)).await;
        assert_eq!(h.stands(&sent).await, (Status::Approved, Stage::Parked));
        assert!(h.reason(&sent).await.contains("try again"), "{}", h.reason(&sent).await);
        assert_eq!((h.write_requests(), h.slots().await), (1, 0), "nothing is sent before the time");
        h.run_for(Duration::minutes(15)).await;
        assert_posted_once(&h, &comment, &sent).await;
        assert_eq!(h.outcomes(&sent).await, ["not_sent", "not_sent", "posted"]);
        h.finish().await;
    }
}

#[tokio::test]
async fn what_never_landed_is_read_back_three_times_over_the_settle_window_and_sent_once_more() {
    for lost in [WriteFault::ServerErrorBefore, WriteFault::DroppedBefore] {
        let (h, comment, sent) = send_through(vec![lost], Duration::ZERO).await;
        assert_eq!(h.stands(&sent).await, (Status::Approved, Stage::Uncertain));
        let armed_at = h.attempts(&sent).await[0].armed_at;
        h.run_for(Duration::seconds(135)).await;
        assert_eq!(h.write_requests(), 1, "while it could still land, nothing is sent");
        h.run_for(SETTLED).await;
        assert_posted_once(&h, &comment, &sent).await;
        let first = &h.attempts(&sent).await[0];
        assert_eq!((first.outcome.as_str(), first.absent_reads), ("not_sent", 3));
        assert!(first.last_read_at.unwrap() >= armed_at + Duration::seconds(140), "{first:?}");
        assert_eq!(h.write_requests(), 2);
        h.finish().await;
    }
}

#[tokio::test]
async fn a_reply_whose_answer_was_lost_is_found_by_reading_back() {
    let lost = [
        WriteFault::DoneThenServerError,
        WriteFault::DoneThenDropped,
        WriteFault::LandsAfter { millis: 1_000 },
        WriteFault::LandsAfter { millis: 60_000 },
        WriteFault::LandsAfter { millis: 119_000 },
    ];
    for fault in lost {
        let (h, comment, sent) = send_through(vec![fault.clone()], Duration::ZERO).await;
        assert_eq!(h.stands(&sent).await, (Status::Approved, Stage::Uncertain), "{fault:?}");
        h.run_for(SETTLED).await;
        assert_posted_once(&h, &comment, &sent).await;
        assert_eq!((h.write_requests(), h.outcomes(&sent).await), (1, vec!["posted".to_owned()]), "{fault:?}");
        h.finish().await;
    }
}

#[tokio::test]
async fn a_reply_that_the_platform_takes_without_showing_it_is_posted_at_once_and_said_to_be_hidden() {
    let (h, comment, sent) = send_through(vec![WriteFault::EmptyThings], Duration::ZERO).await;
    assert_posted_once(&h, &comment, &sent).await;
    assert_eq!(h.outcomes(&sent).await, ["posted"]);
    let said = h.attempts(&sent).await[0].reason.clone();
    assert_eq!(said.as_deref(), Some("taken by the platform, not shown in the thread"));
    assert!(!h.platform.comments_by(crate::harness::BRAND)[0].listed);
    h.finish().await;
}

#[tokio::test]
async fn a_reply_that_was_taken_and_is_found_nowhere_is_never_sent_again() {
    let h = Harness::start().await;
    let (_, sent) = h.queued_reply(TEXT).await;
    h.platform.plan_write(vec![WriteFault::EmptyThings]);
    let held = h.platform.hold_writes_after_effect();
    let (_, ()) = tokio::join!(h.run_due(), async {
        held.write_arrived().await;
        // The platform takes it away again before anybody can look.
        let taken = h.platform.comments_by(crate::harness::BRAND)[0].fullname.clone();
        h.platform.delete_comment(&taken);
        held.release();
    });
    assert_eq!(h.stands(&sent).await, (Status::Approved, Stage::Uncertain));
    h.run_for(Duration::hours(2)).await;
    assert_eq!((h.stands(&sent).await, h.write_requests()), ((Status::Approved, Stage::Uncertain), 1));
    assert!(h.reason(&sent).await.contains("not sent again"), "{}", h.reason(&sent).await);
    h.finish().await;
}

#[tokio::test]
async fn a_suspended_account_stops_at_once_and_its_reply_waits() {
    let (h, comment, sent) =
        send_through(vec![WriteFault::Refuse { code: "IN_TIMEOUT".to_owned() }], Duration::minutes(1)).await;
    assert_eq!(h.stands(&sent).await, (Status::Approved, Stage::Parked));
    assert_eq!((h.outcomes(&sent).await, h.write_requests()), (vec!["not_sent".to_owned()], 1));
    assert!(h.story(h.integration_id).await.contains(&"integration.paused".to_owned()));
    let account = SwitchScope::Integration { team_id: h.team_id, id: h.integration_id };
    Switches::from(&h.app).resume(account, Some(h.user_id)).await.unwrap();
    h.run_for(Duration::minutes(1)).await;
    assert_posted_once(&h, &comment, &sent).await;
    h.finish().await;
}

#[tokio::test]
async fn a_consent_that_does_not_reach_far_enough_wants_a_new_one_and_the_reply_waits() {
    let (h, _, sent) =
        send_through(vec![WriteFault::Refuse { code: "USER_REQUIRED".to_owned() }], Duration::minutes(1)).await;
    assert_eq!(h.stands(&sent).await, (Status::Approved, Stage::Parked));
    assert!(h.story(h.integration_id).await.contains(&"integration.reconnect_needed".to_owned()));
    h.finish().await;
}

#[tokio::test]
async fn a_refusal_that_another_text_may_avoid_says_so() {
    let (h, _, sent) =
        send_through(vec![WriteFault::Refuse { code: "TOO_LONG".to_owned() }], Duration::minutes(1)).await;
    assert_eq!(h.stands(&sent).await.0, Status::Failed);
    assert!(h.reason(&sent).await.contains("Change the text"), "{}", h.reason(&sent).await);
    h.finish().await;
}

#[tokio::test]
async fn a_reply_that_is_hidden_at_first_is_not_sent_again() {
    let (h, comment, sent) = send_through(vec![WriteFault::HiddenFor { millis: 90_000 }], SETTLED).await;
    assert_posted_once(&h, &comment, &sent).await;
    assert_eq!(h.write_requests(), 1);
    h.finish().await;
}

#[tokio::test]
async fn trouble_after_trouble_ends_in_one_reply() {
    let faults = vec![
        WriteFault::ServerErrorBefore,
        WriteFault::RateLimited { secs: 60 },
        WriteFault::TokenExpired,
        WriteFault::DroppedBefore,
        WriteFault::DoneThenDropped,
    ];
    let (h, comment, sent) = send_through(faults, Duration::minutes(20)).await;
    assert_posted_once(&h, &comment, &sent).await;
    assert_eq!(h.outcomes(&sent).await, ["not_sent", "not_sent", "not_sent", "not_sent", "posted"]);
    h.finish().await;
}

#[tokio::test]
async fn an_ended_token_is_refreshed_and_one_reply_goes_out() {
    let (h, comment, sent) = send_through(vec![WriteFault::TokenExpired], Duration::minutes(1)).await;
    assert_posted_once(&h, &comment, &sent).await;
    assert_eq!(h.outcomes(&sent).await, ["not_sent", "posted"]);
    assert!(h.story(h.integration_id).await.contains(&"integration.token_refreshed".to_owned()));
    h.finish().await;
}

#[tokio::test]
async fn a_token_that_ends_before_the_thread_is_read_is_refreshed_as_well() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    h.platform.expire_tokens();
    h.run_for(Duration::seconds(5)).await;
    assert_posted_once(&h, &comment, &sent).await;
    h.finish().await;
}

#[tokio::test]
async fn a_token_that_ends_while_an_outcome_is_unknown_is_refreshed_for_reading_back() {
    let (h, comment, sent) = send_through(vec![WriteFault::DoneThenDropped], Duration::ZERO).await;
    h.platform.expire_tokens();
    h.run_for(SETTLED).await;
    assert_posted_once(&h, &comment, &sent).await;
    h.finish().await;
}

#[tokio::test]
async fn a_platform_that_refuses_every_token_is_not_hammered() {
    let faults = vec![WriteFault::TokenExpired; 60];
    let (h, comment, sent) = send_through(faults, Duration::minutes(30)).await;
    assert!(h.write_requests() <= 5, "{} requests in half an hour", h.write_requests());
    assert_eq!(h.integration().await.state, "needs_reconnect");
    assert_eq!(h.stands(&sent).await, (Status::Approved, Stage::Parked), "the approval is not lost");
    assert!(h.our_texts(&comment).is_empty());
    h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn a_withdrawn_consent_keeps_the_approval_until_the_account_is_connected_again() {
    let mut h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    h.platform.revoke_tokens();
    h.run_for(Duration::minutes(3)).await;
    assert_eq!(h.integration().await.state, "needs_reconnect");
    assert_eq!(h.stands(&sent).await, (Status::Approved, Stage::Parked));
    assert!(h.reason(&sent).await.contains("connected again"), "{}", h.reason(&sent).await);
    h.connect().await;
    h.run_for(Duration::minutes(2)).await;
    assert_posted_once(&h, &comment, &sent).await;
    h.finish().await;
}

#[tokio::test]
async fn another_reply_of_ours_found_by_reading_back_goes_back_to_a_person() {
    let (h, comment, sent) = send_through(vec![WriteFault::DroppedBefore], Duration::ZERO).await;
    h.platform.add_comment(crate::harness::BRAND, &comment, "Typed by hand on the platform.");
    h.run_for(SETTLED).await;
    assert_eq!(h.stands(&sent).await, (Status::Pending, Stage::Ready));
    assert!(h.reason(&sent).await.contains("answered elsewhere"), "{}", h.reason(&sent).await);
    assert_eq!((h.our_texts(&comment).len(), h.write_requests()), (1, 1));
    h.finish().await;
}

#[tokio::test]
async fn an_unknown_outcome_can_neither_be_retried_nor_taken_back() {
    let (h, _, sent) = send_through(vec![WriteFault::DroppedBefore], Duration::ZERO).await;
    let mut conn = h.conn().await;
    let (moment, decision) = (h.app.moment(), h.decision(&sent));
    assert_eq!(code(approve::retry(&mut conn, &moment, decision).await), "outcome-unknown");
    assert_eq!(code(approve::undo(&mut conn, &moment, decision).await), "already-going-out");
    assert_eq!(code(approve::reject(&mut conn, &moment, decision, None).await), "approved");
    drop(conn);
    // The same approval once more changes nothing and sends nothing.
    h.approve_as(decision, approve_now()).await.unwrap();
    h.run_for(SETTLED).await;
    assert_eq!((h.stands(&sent).await, h.write_requests()), (POSTED, 2));
    h.finish().await;
}
