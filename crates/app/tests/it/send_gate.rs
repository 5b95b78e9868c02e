//! What keeps an approved reply from going out, and that it is told to a person.

use crate::harness::{BRAND, Harness, approve_now};
use rejoinder_app::accounts::integrations::{self, Integration, PauseCause};
use rejoinder_app::flow::approve;
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::model::{Stage, Status};
use rejoinder_sandbox::{ReadFault, WriteFault};
use sqlx::AssertSqlSafe;
use time::Duration;
use uuid::Uuid;

const TEXT: &str = "Two clicks finer, then taste again.";

/// Back with a person, with these words, and nothing was asked of the platform.
async fn assert_returned(h: &Harness, suggestion: &Suggestion, words: &str) {
    assert_eq!(h.stands(suggestion).await, (Status::Pending, Stage::Ready));
    let state = h.suggestion(suggestion.id).await.state;
    assert!(state.stage_reason.as_deref().unwrap_or_default().contains(words), "{:?}", state.stage_reason);
    assert!(state.held_reasons.iter().any(|reason| reason.contains(words)), "{:?}", state.held_reasons);
    assert_eq!((state.approved_by, state.approved_at), (None, None));
    assert_eq!((h.write_requests(), h.slots().await), (0, 0));
    assert_eq!(h.story(suggestion.id).await.last().unwrap(), "suggestion.returned");
}

#[tokio::test]
async fn a_text_that_was_edited_after_the_approval_goes_back_to_a_person() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    h.advance(Duration::seconds(2));
    h.platform.edit_comment(&comment, "I hate your grinder.");
    h.run_due().await;
    assert_returned(&h, &sent, "edited after the approval").await;
    h.finish().await;
}

#[tokio::test]
async fn a_text_that_is_gone_goes_back_to_a_person() {
    let h = Harness::start().await;
    for gone in [rejoinder_sandbox::Control::delete_comment, rejoinder_sandbox::Control::remove_comment] {
        let (comment, sent) = h.queued_reply(TEXT).await;
        gone(&h.platform, &comment);
        h.run_due().await;
        assert_returned(&h, &sent, "gone on the platform").await;
    }
    h.finish().await;
}

#[tokio::test]
async fn a_locked_thread_goes_back_to_a_person() {
    for close in [rejoinder_sandbox::Control::lock_post, rejoinder_sandbox::Control::archive] {
        let h = Harness::start().await;
        let (_, sent) = h.queued_reply(TEXT).await;
        close(&h.platform, &h.post);
        h.run_due().await;
        assert_returned(&h, &sent, "locked").await;
        h.finish().await;
    }
}

#[tokio::test]
async fn a_comment_that_we_answered_on_the_platform_is_not_answered_twice() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    h.platform.add_comment(BRAND, &comment, "Typed by hand on the platform.");
    h.run_due().await;
    assert_returned(&h, &sent, "stands there already").await;
    assert_eq!(h.our_texts(&comment).len(), 1);
    h.finish().await;
}

#[tokio::test]
async fn dry_run_sends_no_write_request_and_gives_the_reply_back() {
    let h = Harness::with(&[("DRY_RUN", "true")]).await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    h.run_for(Duration::minutes(10)).await;
    assert_returned(&h, &sent, "dry run").await;
    assert!(h.our_texts(&comment).is_empty() && h.platform.journal().iter().all(|entry| entry.effect != "comment"));
    h.sweep().await;
    assert_eq!(h.write_requests(), 0, "it is never sent later by itself");
    h.finish().await;
}

async fn pause(h: &Harness, integration: &Integration) {
    let (mut conn, moment) = (h.conn().await, h.app.moment());
    let cause = PauseCause::Failures;
    let paused = integrations::pause(&mut conn, &moment, integration, None, cause, Some("holidays")).await;
    assert!(paused.unwrap());
}

#[tokio::test]
async fn a_paused_account_parks_the_reply_and_it_goes_on_afterwards() {
    let mut h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    let integration = h.integration().await;
    pause(&h, &integration).await;
    h.run_for(Duration::minutes(5)).await;
    assert_eq!(h.stands(&sent).await, (Status::Approved, Stage::Parked));
    assert!(h.reason(&sent).await.contains("holidays"), "{}", h.reason(&sent).await);
    assert_eq!(h.write_requests(), 0);
    h.connect().await;
    h.sweep().await;
    assert_eq!(h.our_texts(&comment), [TEXT]);
    h.finish().await;
}

#[tokio::test]
async fn an_approval_older_than_a_day_goes_back_to_a_person() {
    let h = Harness::start().await;
    let (_, sent) = h.queued_reply(TEXT).await;
    h.advance(Duration::hours(24));
    h.run_due().await;
    assert_returned(&h, &sent, "24 hours").await;
    h.finish().await;
}

#[tokio::test]
async fn an_approval_that_waits_for_a_switch_ends_after_a_day() {
    let h = Harness::start().await;
    let (_, sent) = h.queued_reply(TEXT).await;
    let integration = h.integration().await;
    pause(&h, &integration).await;
    h.run_for(Duration::hours(25)).await;
    // Whether its own job or the sweep finds it.
    h.sweep().await;
    assert_returned(&h, &sent, "24 hours").await;
    // Its own job has used up its tries on the way; the sweep took its place.
    h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn a_thread_that_cannot_be_read_is_tried_again_and_nothing_is_written_blindly() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    h.platform.plan_reads(vec![ReadFault::Status { code: 503 }, ReadFault::Dropped, ReadFault::Html { code: 502 }]);
    h.run_due().await;
    assert_eq!((h.stands(&sent).await, h.write_requests()), ((Status::Approved, Stage::Parked), 0));
    h.run_for(Duration::minutes(5)).await;
    assert_eq!(h.our_texts(&comment), [TEXT]);
    h.finish().await;
}

#[tokio::test]
async fn a_send_job_that_was_lost_is_found_by_the_sweep() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    sqlx::query("delete from graphile_worker._private_jobs").execute(h.pool()).await.unwrap();
    h.sweep().await;
    assert!(h.our_texts(&comment).is_empty(), "a job that is only just due is not doubted");
    h.advance(Duration::seconds(11));
    h.sweep().await;
    assert_eq!((h.our_texts(&comment), h.stands(&sent).await), (vec![TEXT.to_owned()], (Status::Posted, Stage::Done)));
    h.finish().await;
}

/// The rows of one suggestion once more, as another way into the same target would leave them.
async fn copy_of(h: &Harness, suggestion: &Suggestion, text: &str) -> Suggestion {
    sqlx::query("drop index if exists suggestions_open_target_key").execute(h.pool()).await.unwrap();
    let id: Uuid = h.app.moment().id();
    let columns: String = sqlx::query_scalar(
        "select string_agg(column_name, ', ') from information_schema.columns
         where table_name = 'suggestions' and column_name not in ('id', 'text')",
    )
    .fetch_one(h.pool())
    .await
    .unwrap();
    let copy = format!(
        "insert into suggestions (id, text, {columns}) select $1, $2, {columns} from suggestions where id = $3"
    );
    sqlx::query(AssertSqlSafe(copy)).bind(id).bind(text).bind(suggestion.id).execute(h.pool()).await.unwrap();
    h.suggestion(id).await
}

#[tokio::test]
async fn two_suggestions_for_one_target_cannot_both_go_out() {
    let h = Harness::start().await;
    let (comment, first) = h.ready_reply(TEXT).await;
    let second = copy_of(&h, &first, "Another answer to the same.").await;
    for suggestion in [&first, &second] {
        h.approve(suggestion).await.unwrap();
    }
    // The first one is lost on its way: nobody knows whether it stands there, so the second may not go.
    h.platform.plan_write(vec![WriteFault::LandsAfter { millis: 30_000 }]);
    h.run_due().await;
    assert_eq!(h.write_requests(), 1);
    let stands = [h.stands(&first).await, h.stands(&second).await];
    assert!(stands.contains(&(Status::Approved, Stage::Uncertain)), "{stands:?}");
    assert!(stands.contains(&(Status::Pending, Stage::Ready)), "{stands:?}");
    h.run_for(Duration::minutes(4)).await;
    assert_eq!((h.replies_under(&comment).len(), h.write_requests()), (1, 1));
    h.finish().await;
}

#[tokio::test]
async fn approved_without_sending_waits_for_a_second_word() {
    let h = Harness::start().await;
    let (comment, ready) = h.ready_reply(TEXT).await;
    let approve = approve::Approve { auto_post: false, ..approve_now() };
    let (approved, job) = h.approve_as(h.decision(&ready), approve).await.unwrap();
    assert_eq!((approved.state.stage, job), (Stage::Ready, None));
    h.run_for(Duration::hours(2)).await;
    assert!(h.our_texts(&comment).is_empty());
    let mut tx = h.pool().begin().await.unwrap();
    approve::send(&mut tx, &h.app.moment(), h.decision(&ready)).await.unwrap();
    tx.commit().await.unwrap();
    h.run_due().await;
    assert_eq!(h.our_texts(&comment), [TEXT]);
    h.finish().await;
}
