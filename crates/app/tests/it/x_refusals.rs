//! What X refuses and limits: what each refusal says of the reply, of the account and of the whole app.

use crate::harness::Harness;
use crate::x::{TEXT, World, connect_account, world};
use rejoinder_app::flow::ingest::IntegrationPoll;
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::jobs;
use rejoinder_app::model::{Stage, Status};
use rejoinder_sandbox::{ReadFault, WriteFault};
use time::Duration;

async fn refused_as(code: &str) -> (World, Suggestion) {
    let w = world().await;
    let (_, sent) = w.send_through(vec![WriteFault::Refuse { code: code.to_owned() }], Duration::minutes(20)).await;
    (w, sent)
}

async fn account(h: &Harness) -> String {
    h.integration().await.state
}

#[tokio::test]
async fn the_same_words_again_are_refused_for_this_reply_alone_and_not_sent_again() {
    let (w, sent) = refused_as("duplicate").await;
    assert_eq!(w.h.stands(&sent).await, (Status::Failed, Stage::Done));
    let reason = w.h.reason(&sent).await;
    assert!(reason.contains("look at the account's posts") && reason.contains("Change the text"), "{reason}");
    assert_eq!((w.posts_sent(), account(&w.h).await.as_str()), (1, "connected"));
    w.h.finish().await;
}

#[tokio::test]
async fn words_that_stand_there_already_may_be_those_of_a_try_without_an_answer_and_are_looked_for() {
    let w = world().await;
    let unseen = WriteFault::DroppedAndHidden { millis: 9 * 60_000 };
    let (answer, sent) = w.send_through(vec![unseen], Duration::minutes(7)).await;
    assert_eq!(w.posts_sent(), 2, "the first one counts as never posted, the second one meets it");
    assert_eq!(w.h.stands(&sent).await.1, Stage::Uncertain, "{}", w.h.reason(&sent).await);
    w.h.run_for(Duration::minutes(8)).await;
    assert_eq!(w.h.stands(&sent).await, (Status::Posted, Stage::Done), "{}", w.h.reason(&sent).await);
    assert_eq!((w.posts_sent(), w.ours_under(&answer).len()), (2, 1));
    w.h.finish().await;
}

#[tokio::test]
async fn words_that_stand_elsewhere_are_for_a_person_to_change_and_are_not_sent_for_ever() {
    let w = world().await;
    let faults = vec![WriteFault::DroppedBefore, WriteFault::Refuse { code: "duplicate".to_owned() }];
    let (answer, sent) = w.send_through(faults, Duration::minutes(30)).await;
    assert_eq!(w.h.stands(&sent).await, (Status::Failed, Stage::Done), "{}", w.h.reason(&sent).await);
    let reason = w.h.reason(&sent).await;
    assert!(reason.contains("duplicate_content") && reason.contains("change the text"), "{reason}");
    assert_eq!((w.posts_sent(), w.ours_under(&answer).len()), (2, 0));
    assert_eq!(account(&w.h).await, "connected");
    w.h.finish().await;
}

#[tokio::test]
async fn a_limit_of_one_account_shuts_no_other_one_out() {
    let w = world().await;
    let other = connect_account(&w.h, "other_brand").await;
    w.h.run_due().await;
    let mention = w.h.platform.x_post("maren", "@other_brand does it fit?");
    w.h.platform.plan_reads(vec![ReadFault::TooManyRequests { secs: 600 }]);
    w.h.poll().await;
    let limited = w.h.integration().await;
    assert_eq!(limited.next_poll_at, w.h.now() + Duration::minutes(10), "{:?}", limited.last_poll_problem);
    jobs::enqueue(&mut *w.h.conn().await, &IntegrationPoll { integration_id: other }, w.h.now()).await.unwrap();
    w.h.run_due().await;
    assert!(w.h.item_of(&mention).await.is_some(), "the other account is read at the same moment");
    w.h.finish().await;
}

#[tokio::test]
async fn an_app_that_may_not_do_it_stops_the_account_and_the_reply_waits() {
    let (w, sent) = refused_as("access").await;
    assert_eq!(w.h.stands(&sent).await, (Status::Approved, Stage::Parked));
    assert_eq!((w.posts_sent(), account(&w.h).await.as_str()), (1, "paused"));
    w.h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn a_cap_of_the_app_waits_for_its_day_and_not_for_the_quarter_of_an_hour() {
    let (w, sent) = refused_as("usage_capped").await;
    assert_eq!(w.h.stands(&sent).await, (Status::Approved, Stage::Parked));
    assert_eq!((w.posts_sent(), account(&w.h).await.as_str()), (1, "connected"));
    let until = w.h.suggestion(sent.id).await.state.send_after.unwrap();
    assert_eq!(until.date(), w.h.now().date().next_day().unwrap(), "{until}");
    w.h.finish_leaving(&["post.send"]).await;
}

#[tokio::test]
async fn a_day_that_is_used_up_ends_by_its_own_header() {
    let w = world().await;
    let until = w.h.now() + Duration::minutes(25);
    w.h.platform.x_day_limit(Some((0, until)));
    let (answer, sent) = w.send_through(Vec::new(), Duration::minutes(20)).await;
    assert_eq!(w.h.stands(&sent).await, (Status::Approved, Stage::Parked));
    assert_eq!(w.posts_sent(), 1, "the healthy headers of the quarter of an hour are not believed");
    w.h.run_for(Duration::minutes(15)).await;
    assert_eq!((w.h.stands(&sent).await.0, w.ours_under(&answer).len()), (Status::Posted, 1));
    w.h.finish().await;
}

#[tokio::test]
async fn an_app_without_credits_reads_nothing_and_nobody_connects_again() {
    let w = world().await;
    w.h.platform.plan_reads(vec![ReadFault::Status { code: 402 }]);
    w.h.poll().await;
    let integration = w.h.integration().await;
    assert_eq!(integration.state, "paused");
    assert!(integration.state_reason.unwrap_or_default().contains("credits"));
    w.h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn what_x_refuses_to_a_program_is_copied_and_marked_as_answered_by_hand() {
    let (w, sent) = refused_as("not_summoned").await;
    let mut browser = crate::pages::Browser::signed_in(&w.h, w.h.user_id).await;
    let page = browser.get(&format!("/dashboard/inbox?item={}", sent.item_id)).await.html;
    assert!(page.contains(TEXT) && page.contains("data-copies=\"by-hand-text\""), "{page}");
    assert!(page.contains("Open on X") && page.contains("I answered there"), "{page}");
    assert!(!page.contains("Try to send again"), "{page}");
    let done = browser.post(&format!("/dashboard/items/{}/done", sent.item_id), &[]).await;
    assert!(done.status.is_redirection());
    assert_eq!(w.h.items().await[0].state, "done");
    w.h.finish().await;
}
