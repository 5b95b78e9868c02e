//! A person's decisions: who was first wins, nobody approves unseen words, and a lost race says who did what.

use crate::harness::{Harness, approve_now, code, job_of};
use rejoinder_app::accounts::users;
use rejoinder_app::flow::approve::{self, Approve, Decision};
use rejoinder_app::flow::suggestion::ChangeError;
use rejoinder_app::model::{ItemState, Stage, Status};
use rejoinder_sandbox::WriteFault;
use std::collections::HashSet;
use time::Duration;
use uuid::Uuid;

async fn another_person(h: &Harness, name: &str) -> Uuid {
    let moment = h.app.moment();
    let user = users::NewUser { id: moment.id(), email: None, name, password_hash: None };
    users::create(&mut *h.conn().await, user, moment.now).await.unwrap().id
}

#[tokio::test]
async fn the_same_approval_by_the_same_person_gives_the_same_job() {
    let h = Harness::start().await;
    let (comment, ready) = h.ready_reply("Thanks!").await;
    let (_, first) = h.approve_as(h.decision(&ready), approve_now()).await.unwrap();
    let (again, second) = h.approve_as(h.decision(&ready), approve_now()).await.unwrap();
    assert!(first.is_some());
    assert_eq!((first, second), (second, job_of(&h, &ready).await));
    assert_eq!(again.state.stage, Stage::Queued);
    h.run_due().await;
    h.approve_as(h.decision(&ready), approve_now()).await.unwrap();
    h.run_due().await;
    assert_eq!(h.our_texts(&comment), ["Thanks!"]);
    let approvals = h.story(ready.id).await.into_iter().filter(|kind| kind == "suggestion.approved").count();
    assert_eq!(approvals, 1);
    h.finish().await;
}

#[tokio::test]
async fn who_comes_second_is_told_who_did_what_and_when() {
    let h = Harness::start().await;
    let ben = another_person(&h, "Ben Okoye").await;
    let (_, ready) = h.ready_reply("Thanks!").await;
    h.approve(&ready).await.unwrap();
    let decision = Decision { by: ben, ..h.decision(&ready) };
    let late = h.approve_as(decision, approve_now()).await.unwrap_err();
    let ChangeError::Refused(refusal) = late else { panic!("{late:?}") };
    assert_eq!(refusal.code, "already-approved");
    assert!(refusal.detail.contains("approved by Ana Lima at 2026-03-02T09:00:00Z"), "{}", refusal.detail);
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn nobody_approves_words_that_they_did_not_see() {
    let h = Harness::start().await;
    let (_, ready) = h.ready_reply("Thanks!").await;
    let stale = Approve { version: Some(ready.state.version), ..approve_now() };
    let edited = h.edit(&ready, "Thank you so much!").await.unwrap();
    assert_eq!(code(h.approve_as(h.decision(&ready), stale.clone()).await), "version-changed");
    assert_eq!(code(h.approve_as(h.decision(&ready), approve_now()).await), "version-needed");
    assert_eq!(code(h.edit(&ready, "Mine!").await), "version-changed");
    let seen = Approve { version: Some(edited.state.version), ..approve_now() };
    h.approve_as(h.decision(&ready), seen).await.unwrap();
    assert_eq!(code(h.edit(&edited, "Too late").await), "approved");
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn a_draft_that_is_being_written_can_be_neither_approved_nor_edited() {
    let h = Harness::start().await;
    let (_, item) = h.incoming("Nice machine").await;
    let (asked, _) = h.request(h.request_for(&item)).await.unwrap();
    assert_eq!(code(h.approve(&asked).await), "still-drafting");
    assert_eq!(code(h.edit(&asked, "Mine").await), "still-drafting");
    h.run_due().await;
    assert_eq!(h.stands(&asked).await, (Status::Pending, Stage::Ready));
    h.finish().await;
}

#[tokio::test]
async fn a_rejection_closes_the_item_and_sends_nothing() {
    let h = Harness::start().await;
    let (comment, ready) = h.ready_reply("Thanks!").await;
    let mut tx = h.pool().begin().await.unwrap();
    approve::reject(&mut tx, &h.app.moment(), h.decision(&ready), Some("off topic".to_owned())).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(h.stands(&ready).await, (Status::Rejected, Stage::Done));
    assert_eq!(h.item_of(&comment).await.unwrap().state, ItemState::Done.as_str());
    assert_eq!(code(h.approve(&ready).await), "closed");
    h.run_due().await;
    assert_eq!(h.write_requests(), 0);
    h.finish().await;
}

#[tokio::test]
async fn a_text_has_limits_and_is_cleaned_of_what_nobody_sees() {
    let h = Harness::start().await;
    let (comment, ready) = h.ready_reply("Thanks!").await;
    for text in ["", " \n\t", "\u{200B}", &"ä".repeat(10_001)] {
        let with_text = Approve { text: Some(text.to_owned()), ..approve_now() };
        assert_eq!(code(h.approve_as(h.decision(&ready), with_text).await), "invalid-text");
        assert_eq!(code(h.edit(&ready, text).await), "invalid-text");
    }
    let longest = format!("  {}\u{202E}\u{7}  ", "ä".repeat(10_000));
    let with_text = Approve { text: Some(longest), version: Some(ready.state.version), ..approve_now() };
    h.approve_as(h.decision(&ready), with_text).await.unwrap();
    h.run_due().await;
    assert_eq!(h.our_texts(&comment), ["ä".repeat(10_000)]);
    h.finish().await;
}

#[tokio::test]
async fn what_a_person_types_is_kept_without_changing_the_suggestion() {
    let h = Harness::start().await;
    let (_, ready) = h.ready_reply("Thanks!").await;
    let (moment, decision) = (h.app.moment(), h.decision(&ready));
    let mut conn = h.conn().await;
    for text in ["Th", "Thank yo\0u"] {
        approve::autosave(&mut conn, &moment, decision, text, ready.state.version).await.unwrap();
    }
    let kept = approve::unsaved_edit(&mut conn, decision).await.unwrap().unwrap();
    assert_eq!((kept.text.as_str(), kept.base_version), ("Thank you", ready.state.version));
    let stands = h.suggestion(ready.id).await.state;
    assert_eq!((stands.version, stands.edited), (ready.state.version, false));
    let huge = "x".repeat(40_001);
    assert_eq!(code(approve::autosave(&mut conn, &moment, decision, &huge, 1).await), "invalid-text");
    let foreign = Decision { team_id: moment.id(), ..decision };
    assert!(matches!(approve::autosave(&mut conn, &moment, foreign, "x", 1).await, Err(ChangeError::NotFound)));
    h.approve(&ready).await.unwrap();
    assert!(approve::unsaved_edit(&mut conn, decision).await.unwrap().is_none(), "a decision ends the typing");
    drop(conn);
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn of_twenty_people_who_approve_at_once_one_wins_and_one_reply_goes_out() {
    let h = Harness::start().await;
    let (comment, ready) = h.ready_reply("Thanks!").await;
    let mut people = vec![h.user_id];
    for number in 1..20 {
        people.push(another_person(&h, &format!("Person {number}")).await);
    }
    let tries = people.iter().map(|by| h.approve_as(Decision { by: *by, ..h.decision(&ready) }, approve_now()));
    let results = futures_all(tries).await;
    let jobs: HashSet<i64> = results.iter().flatten().filter_map(|(_, job)| *job).collect();
    assert_eq!((results.iter().filter(|result| result.is_ok()).count(), jobs.len()), (1, 1));
    h.run_due().await;
    assert_eq!(h.our_texts(&comment), ["Thanks!"]);
    h.finish().await;
}

async fn futures_all<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures::future::join_all(all).await
}

#[tokio::test]
async fn a_failed_reply_cannot_be_retried_beside_a_newer_suggestion() {
    let h = Harness::start().await;
    let (comment, failed) = h.queued_reply("Thanks!").await;
    h.platform.plan_write(vec![WriteFault::Refuse { code: "TOO_LONG".to_owned() }]);
    h.run_due().await;
    assert_eq!(h.stands(&failed).await, (Status::Failed, Stage::Done));
    let item = h.item_of(&comment).await.unwrap();
    let newer = h.write_reply(&item, "Short.").await;
    assert_ne!(newer.id, failed.id);
    let mut tx = h.pool().begin().await.unwrap();
    assert_eq!(code(approve::retry(&mut tx, &h.app.moment(), h.decision(&failed)).await), "other-open");
    drop(tx);
    h.approve(&newer).await.unwrap();
    h.run_for(Duration::minutes(1)).await;
    assert_eq!(h.our_texts(&comment), ["Short."]);
    h.finish().await;
}
