//! Where nobody can find out what became of a reply, a person says what they saw; before that nothing is sent again.

use crate::harness::{Harness, code};
use rejoinder_app::accounts::integrations;
use rejoinder_app::flow::send::{self, Seen};
use rejoinder_app::flow::suggestion::{ChangeError, Suggestion};
use rejoinder_app::model::{Stage, Status};
use rejoinder_sandbox::WriteFault;
use std::time::Duration as Window;
use time::Duration;

const WINDOW: Window = Window::from_secs(120);

/// A reply without an answer, whose account was disconnected before it could be read back.
async fn in_doubt() -> (Harness, String, Suggestion) {
    let h = Harness::start().await;
    let (comment, queued) = h.queued_reply("Ours, perhaps.").await;
    h.platform.plan_write(vec![WriteFault::DoneThenDropped]);
    h.run_due().await;
    let integration = h.integration().await;
    let mut tx = h.pool().begin().await.unwrap();
    integrations::disconnect(&mut tx, &h.app.moment(), &integration, None).await.unwrap();
    tx.commit().await.unwrap();
    h.run_for(Duration::seconds(30)).await;
    assert_eq!(h.stands(&queued).await, (Status::Approved, Stage::Uncertain));
    (h, comment, queued)
}

async fn resolve(h: &Harness, suggestion: &Suggestion, seen: Seen) -> Result<Suggestion, ChangeError> {
    let mut tx = h.pool().begin().await.unwrap();
    let resolved = send::resolve(&mut tx, &h.app.moment(), h.decision(suggestion), WINDOW, seen).await?;
    tx.commit().await.unwrap();
    Ok(resolved)
}

#[tokio::test]
async fn a_person_who_found_it_settles_it_as_posted_and_nothing_is_sent_again() {
    let (h, comment, queued) = in_doubt().await;
    h.advance(Duration::minutes(5));
    let permalink = "https://reddit.example/r/x/comments/1/t/2/".to_owned();
    resolve(&h, &queued, Seen::Found { permalink: permalink.clone() }).await.unwrap();
    assert_eq!(h.stands(&queued).await, (Status::Posted, Stage::Done));
    assert_eq!(h.suggestion(queued.id).await.state.platform_reply_url, Some(permalink));
    h.run_for(Duration::hours(2)).await;
    assert_eq!((h.our_texts(&comment).len(), h.slots().await), (1, 1));
    h.finish().await;
}

#[tokio::test]
async fn not_there_frees_the_target_and_asks_for_a_new_approval() {
    let (h, _comment, queued) = in_doubt().await;
    h.advance(Duration::minutes(5));
    resolve(&h, &queued, Seen::Absent).await.unwrap();
    assert_eq!((h.stands(&queued).await, h.slots().await), ((Status::Pending, Stage::Ready), 0));
    h.finish().await;
}

#[tokio::test]
async fn while_the_platform_may_still_show_it_nobody_decides() {
    let (h, _comment, queued) = in_doubt().await;
    assert_eq!(code(resolve(&h, &queued, Seen::Absent).await), "still-settling");
    assert_eq!(h.stands(&queued).await, (Status::Approved, Stage::Uncertain));
    h.finish().await;
}

#[tokio::test]
async fn what_is_not_in_doubt_cannot_be_resolved() {
    let h = Harness::start().await;
    let (_comment, queued) = h.queued_reply("Plain.").await;
    assert_eq!(code(resolve(&h, &queued, Seen::Absent).await), "not-uncertain");
    h.run_due().await;
    h.finish().await;
}
