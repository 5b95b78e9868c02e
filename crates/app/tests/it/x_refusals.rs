//! What X refuses and limits: what each refusal says of the reply, of the account and of the whole app.

use crate::harness::Harness;
use crate::x::{TEXT, World, world};
use rejoinder_app::flow::suggestion::Suggestion;
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
