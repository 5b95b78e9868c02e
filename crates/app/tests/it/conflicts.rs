//! What comes too late or twice, over HTTP: nothing changes, and whoever asked is told what stands there, who did it and when.

use crate::client::Client;
use crate::harness::Harness;
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::model::{Role, Stage, Status};
use rejoinder_sandbox::WriteFault;
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

/// What an action on a suggestion came to: status, code and words.
async fn act(client: &Client, id: Uuid, verb: &str, body: Value) -> (u16, String, String) {
    let (status, answer) = client.post(&format!("/api/suggestions/{id}/{verb}"), &body).await;
    refusal(status, &answer)
}

fn refusal(status: u16, answer: &Value) -> (u16, String, String) {
    let code = answer["type"].as_str().unwrap_or_default().trim_start_matches("/problems/").to_owned();
    (status, code, answer["detail"].as_str().unwrap_or_default().to_owned())
}

fn assert_conflict(told: (u16, String, String), code: &str, words: &[&str]) {
    assert_eq!((told.0, told.1.as_str()), (409, code), "{}", told.2);
    for said in words {
        assert!(told.2.contains(said), "{:?} must say {said:?}", told.2);
    }
}

#[tokio::test]
async fn an_undo_that_comes_too_late_is_told_that_it_is_already_going_out() {
    let h = Harness::start().await;
    let (comment, queued) = h.queued_reply("Two steps finer.").await;
    let client = Client::signed_in(&h).await;
    let guard = h.platform.hold_writes();
    let undo = async {
        guard.write_arrived().await;
        assert_eq!(h.stands(&queued).await, (Status::Approved, Stage::Sending));
        let told = act(&client, queued.id, "undo", json!({})).await;
        guard.release();
        told
    };
    let (_, told) = tokio::join!(h.run_due(), undo);
    assert_conflict(told, "already-going-out", &["already going out", "cannot be taken back"]);
    assert_eq!((h.stands(&queued).await.0, h.our_texts(&comment).len()), (Status::Posted, 1));
    let late = act(&client, queued.id, "undo", json!({})).await;
    assert_conflict(late, "closed", &["It is posted", "at 2026-03-02T09:00:00Z"]);
    h.finish().await;
}

#[tokio::test]
async fn of_two_people_who_approve_the_second_is_told_who_and_when() {
    let h = Harness::start().await;
    let (comment, ready) = h.ready_reply("Two steps finer.").await;
    let (ana, ben) = (Client::signed_in(&h).await, Client::with_role(&h, Role::Editor).await);
    let approval = json!({ "auto_post": true, "version": 1 });
    assert_eq!(act(&ana, ready.id, "approve", approval.clone()).await.0, 200);
    let told = act(&ben, ready.id, "approve", approval.clone()).await;
    assert_conflict(told, "already-approved", &["approved by Ana Lima at 2026-03-02T09:00:00Z"]);
    assert_conflict(act(&ben, ready.id, "reject", json!({})).await, "approved", &["Ana Lima"]);
    // Repeated by the same person it is the same answer.
    assert_eq!(act(&ana, ready.id, "approve", approval.clone()).await.0, 200);
    h.run_due().await;
    assert_conflict(act(&ben, ready.id, "approve", approval).await, "closed", &["posted"]);
    assert_eq!(h.our_texts(&comment), ["Two steps finer."]);
    h.finish().await;
}

#[tokio::test]
async fn a_text_that_changed_meanwhile_is_not_approved_unseen() {
    let h = Harness::start().await;
    let (comment, ready) = h.ready_reply("Two steps finer.").await;
    let (ana, ben) = (Client::signed_in(&h).await, Client::with_role(&h, Role::Editor).await);
    let path = format!("/api/suggestions/{}", ready.id);
    let (status, edited) = ben.patch(&path, &json!({ "text": "Three steps finer.", "version": 1 })).await;
    assert_eq!((status, &edited["version"]), (200, &json!(2)));
    let told = act(&ana, ready.id, "approve", json!({ "version": 1 })).await;
    assert_conflict(told, "version-changed", &["edited by editor at 2026-03-02T09:00:00Z"]);
    let told = act(&ana, ready.id, "approve", json!({ "version": 1, "text": "Mine." })).await;
    assert_conflict(told, "version-changed", &[]);
    assert_conflict(act(&ana, ready.id, "approve", json!({})).await, "version-needed", &[]);
    assert_eq!(h.stands(&ready).await, (Status::Pending, Stage::Ready));

    assert_eq!(act(&ana, ready.id, "approve", json!({ "version": 2, "auto_post": false })).await.0, 200);
    let (status, answer) = ben.patch(&path, &json!({ "text": "Four steps finer.", "version": 3 })).await;
    assert_conflict(refusal(status, &answer), "approved", &["Undo the approval first", "Ana Lima"]);
    assert_eq!(act(&ana, ready.id, "send", json!({})).await.0, 200);
    h.run_due().await;
    assert_eq!(h.our_texts(&comment), ["Three steps finer."]);
    h.finish().await;
}

#[tokio::test]
async fn a_send_of_unknown_outcome_is_neither_retried_nor_undone_nor_drafted_anew() {
    let h = Harness::start().await;
    let (comment, queued) = h.queued_reply("Two steps finer.").await;
    h.platform.plan_write(vec![WriteFault::DoneThenDropped]);
    h.run_due().await;
    assert_eq!(h.stands(&queued).await, (Status::Approved, Stage::Uncertain));
    let client = Client::signed_in(&h).await;
    let told = act(&client, queued.id, "retry", json!({})).await;
    assert_conflict(told, "outcome-unknown", &["sending again now could post it twice"]);
    assert_conflict(act(&client, queued.id, "undo", json!({})).await, "already-going-out", &[]);
    for (verb, code) in [("regenerate", "approved"), ("reject", "approved")] {
        assert_conflict(act(&client, queued.id, verb, json!({})).await, code, &[]);
    }
    assert_eq!((h.stands(&queued).await, h.write_requests()), ((Status::Approved, Stage::Uncertain), 1));
    h.run_for(Duration::minutes(5)).await;
    assert_eq!((h.stands(&queued).await.0, h.our_texts(&comment).len()), (Status::Posted, 1));
    assert_conflict(act(&client, queued.id, "retry", json!({})).await, "not-failed", &["posted"]);
    h.finish().await;
}

#[tokio::test]
async fn a_persons_own_comment_is_a_suggestion_of_theirs_and_goes_the_same_way_out() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("How fine?").await;
    let client = Client::signed_in(&h).await;
    let path = format!("/api/posts/{}/post-comment", item.post_id);
    let body = json!({ "text": "Two steps finer.", "comment_id": item.comment_id });
    let (status, answer) = client.post(&path, &body).await;
    assert_eq!(
        (status, &answer["status"], &answer["suggestionId"]),
        (202, &json!("approved"), &answer["suggestion_id"])
    );
    let suggestion = format!("/api/suggestions/{}", answer["suggestion_id"].as_str().unwrap());
    let (_, made) = client.get(&suggestion).await;
    assert_eq!((&made["generated_by"], &made["approved_by"]), (&json!("person"), &json!(h.user_id)));
    assert!(h.our_texts(&comment).is_empty(), "not before its job");

    let (status, again) = client.post(&path, &body).await;
    assert_conflict(refusal(status, &again), "suggestion-open", &[made["id"].as_str().unwrap()]);
    assert_eq!(client.post(&path, &json!({ "text": " " })).await.0, 422);
    assert_eq!(Client::with_role(&h, Role::Viewer).await.post(&path, &body).await.0, 403);
    assert_eq!(Client::stranger(&h).await.post(&path, &body).await.0, 404);
    h.run_due().await;
    assert_eq!((h.our_texts(&comment), h.write_requests()), (vec!["Two steps finer.".to_owned()], 1));
    let (_, posted) = client.get(&suggestion).await;
    assert_eq!((&posted["status"], posted["attempts"].as_array().unwrap().len()), (&json!("posted"), 1));
    h.finish().await;
}

/// The gate holds what a person wrote as it holds a draft: an integration that is paused lets nothing out.
#[tokio::test]
async fn a_persons_own_comment_waits_for_a_switch_like_any_reply() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("How fine?").await;
    let client = Client::signed_in(&h).await;
    let pause = format!("/api/integrations/{}/pause", h.integration_id);
    assert_eq!(client.post(&pause, &json!({ "reason": "Away." })).await.0, 200);
    let body = json!({ "text": "Two steps finer.", "comment_id": item.comment_id });
    let (status, answer) = client.post(&format!("/api/posts/{}/post-comment", item.post_id), &body).await;
    assert_eq!(status, 202, "{answer}");
    h.run_due().await;
    let id = answer["suggestion_id"].as_str().unwrap().parse().unwrap();
    let waiting: Suggestion = h.suggestion(id).await;
    assert_eq!((waiting.state.stage, h.write_requests()), (Stage::Parked, 0));
    assert!(waiting.state.stage_reason.as_ref().unwrap().contains("paused"), "{:?}", waiting.state.stage_reason);
    assert_eq!(client.post(&format!("/api/integrations/{}/resume", h.integration_id), &json!({})).await.0, 200);
    h.run_for(Duration::minutes(1)).await;
    assert_eq!(h.our_texts(&comment), ["Two steps finer."]);
    h.finish().await;
}
