//! Workers that die, stall or meet: whatever dies, whenever it dies, one reply stands there in the end.

use crate::harness::{Harness, approve_now, code};
use rejoinder_app::flow::approve;
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::jobs::State;
use rejoinder_app::model::{Stage, Status};
use rejoinder_sandbox::{HoldPoint, ReadFault, WriteFault};
use std::time::Instant;
use time::Duration;
use tokio::sync::Notify;

const TEXT: &str = "Two clicks finer, then taste again.";
const SENDING: (Status, Stage) = (Status::Approved, Stage::Sending);
const LEASE: Duration = Duration::seconds(60);
const SETTLED: Duration = Duration::minutes(5);

/// Runs what is due with this worker until the condition holds, then kills it where it stands.
async fn kill_when(h: &Harness, worker: State, arrived: impl Future<Output = ()>) {
    tokio::select! {
        report = h.run_due_with(&worker) => panic!("the worker ended before it could be killed: {report:?}"),
        () = arrived => {}
    }
    // The worker's connections end with it, its lock among them.
    drop(worker);
    h.recover_jobs().await;
}

/// Waits until the platform got a request of this route.
async fn asked(h: &Harness, route: &str) {
    let deadline = Instant::now() + std::time::Duration::from_secs(20);
    let asked_before = h.platform.requests().get(route).copied().unwrap_or(0);
    while h.platform.requests().get(route).copied().unwrap_or(0) == asked_before {
        assert!(Instant::now() < deadline, "{route} was not asked for");
        tokio::task::yield_now().await;
    }
}

async fn assert_posted_once(h: &Harness, comment: &str, suggestion: &Suggestion, write_requests: u64) {
    assert_eq!(h.our_texts(comment), [TEXT]);
    assert_eq!(h.stands(suggestion).await, (Status::Posted, Stage::Done));
    assert_eq!(h.write_requests(), write_requests);
    assert_eq!(h.slots().await, 1);
}

#[tokio::test]
async fn a_worker_that_dies_between_claiming_and_arming_is_replaced_when_its_lease_ends() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    h.platform.plan_reads(vec![ReadFault::Slow { millis: 60_000 }]);
    let doomed = h.another_worker(7).await;
    kill_when(&h, doomed, asked(&h, "GET /reddit/comments/{id}")).await;
    assert_eq!((h.stands(&sent).await, h.attempts(&sent).await.len()), (SENDING, 0));

    h.run_due().await;
    assert!(h.our_texts(&comment).is_empty(), "the lease holds");
    h.run_for(LEASE + Duration::seconds(2)).await;
    assert_posted_once(&h, &comment, &sent, 1).await;
    h.finish().await;
}

#[tokio::test]
async fn a_worker_that_dies_before_arming_and_takes_its_job_along_is_found_by_the_sweep() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    h.platform.plan_reads(vec![ReadFault::Slow { millis: 60_000 }]);
    let doomed = h.another_worker(7).await;
    kill_when(&h, doomed, asked(&h, "GET /reddit/comments/{id}")).await;
    sqlx::query("delete from graphile_worker._private_jobs").execute(h.pool()).await.unwrap();
    h.sweep().await;
    assert!(h.our_texts(&comment).is_empty());
    h.advance(LEASE + Duration::seconds(11));
    h.sweep().await;
    assert_posted_once(&h, &comment, &sent, 1).await;
    h.finish().await;
}

#[tokio::test]
async fn a_worker_that_dies_while_the_platform_holds_its_write_leaves_one_reply() {
    for point in [HoldPoint::BeforeEffect, HoldPoint::AfterEffect] {
        let h = Harness::start().await;
        let (comment, sent) = h.queued_reply(TEXT).await;
        let hold = h.platform.hold_writes_at(point);
        let doomed = h.another_worker(7).await;
        kill_when(&h, doomed, hold.write_arrived()).await;
        assert_eq!((h.stands(&sent).await, h.outcomes(&sent).await), (SENDING, vec!["uncertain".to_owned()]));
        // What was sent goes on without its sender, a minute later.
        h.run_for(Duration::minutes(1)).await;
        hold.release();
        h.run_for(SETTLED).await;
        assert_posted_once(&h, &comment, &sent, 1).await;
        h.finish().await;
    }
}

#[tokio::test]
async fn a_worker_that_dies_with_a_write_that_never_lands_is_followed_by_exactly_one_more() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    let hold = h.platform.hold_writes();
    let doomed = h.another_worker(7).await;
    kill_when(&h, doomed, hold.write_arrived()).await;
    hold.discard();
    h.run_for(Duration::seconds(139)).await;
    assert_eq!(h.write_requests(), 1, "it could still land");
    h.run_for(SETTLED).await;
    assert_posted_once(&h, &comment, &sent, 2).await;
    assert_eq!(h.outcomes(&sent).await, ["not_sent", "posted"]);
    h.finish().await;
}

#[tokio::test]
async fn an_attempt_whose_worker_lives_is_not_touched_however_long_it_takes() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    let hold = h.platform.hold_writes();
    let other = h.another_worker(9).await;
    let rival = async {
        hold.write_arrived().await;
        // The queue takes the slow worker for dead and gives its job to another one, again and again.
        for _ in 0..20 {
            h.recover_jobs().await;
            h.advance(Duration::seconds(30));
            h.run_due_with(&other).await;
            assert_eq!(h.outcomes(&sent).await, ["uncertain"]);
            assert_eq!(h.attempts(&sent).await[0].absent_reads, 0, "nobody reads back while the worker lives");
        }
        drop(hold);
    };
    let (_, ()) = tokio::join!(h.run_due(), rival);
    assert_posted_once(&h, &comment, &sent, 1).await;
    h.run_for(SETTLED).await;
    assert_posted_once(&h, &comment, &sent, 1).await;
    h.finish().await;
}

#[tokio::test]
async fn an_unknown_outcome_that_its_worker_told_is_read_back_by_any_worker() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    h.platform.plan_write(vec![WriteFault::DoneThenDropped]);
    h.run_due().await;
    assert_eq!(h.outcomes(&sent).await, ["uncertain"]);
    // The one that wrote lives on and gets no job; another one does.
    let other = h.another_worker(9).await;
    h.advance(Duration::seconds(3));
    h.run_due_with(&other).await;
    assert_posted_once(&h, &comment, &sent, 1).await;
    h.finish().await;
}

#[tokio::test]
async fn a_worker_that_was_held_up_past_its_lease_neither_writes_nor_takes_the_reply_back() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    h.platform.plan_reads(vec![ReadFault::Slow { millis: 3_000 }]);
    let other = h.another_worker(9).await;
    let slow_gave_up = Notify::new();
    let (h_ref, gave_up) = (&h, &slow_gave_up);
    let slow = async {
        h.run_due().await;
        slow_gave_up.notify_one();
    };
    let rival = async {
        asked(&h, "GET /reddit/comments/{id}").await;
        h.recover_jobs().await;
        h.advance(LEASE + Duration::seconds(1));
        let hold = h.platform.hold_writes();
        let overtaken = async move {
            hold.write_arrived().await;
            // What the slow worker reads now would send the reply back to a person.
            h_ref.platform.lock_post(&h_ref.post);
            gave_up.notified().await;
            hold.release();
        };
        tokio::join!(h.run_due_with(&other), overtaken)
    };
    let _ = tokio::join!(slow, rival);
    h.run_for(SETTLED).await;
    assert!(h.our_texts(&comment).len() <= 1);
    let (status, _) = h.stands(&sent).await;
    assert_eq!(status == Status::Posted, h.our_texts(&comment).len() == 1, "{status}: {:?}", h.outcomes(&sent).await);
    h.finish().await;
}

#[tokio::test]
async fn two_workers_with_the_same_job_send_one_reply() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    let others = [h.another_worker(8).await, h.another_worker(9).await];
    // The same job three times, as after recoveries that were wrong.
    let copies = "insert into graphile_worker._private_jobs (task_id, payload, run_at, max_attempts)
                  select task_id, payload, run_at, max_attempts from graphile_worker._private_jobs, generate_series(1, 5)";
    sqlx::query(copies).execute(h.pool()).await.unwrap();
    tokio::join!(h.run_due(), h.run_due_with(&others[0]), h.run_due_with(&others[1]));
    h.run_for(SETTLED).await;
    assert_posted_once(&h, &comment, &sent, 1).await;
    h.finish().await;
}

#[tokio::test]
async fn taking_back_works_until_the_worker_has_it_and_not_after() {
    let h = Harness::start().await;
    let (comment, ready) = h.ready_reply(TEXT).await;
    let slow = approve::Approve { undo_window: Duration::seconds(8), ..approve_now() };
    h.approve_as(h.decision(&ready), slow.clone()).await.unwrap();
    h.run_for(Duration::seconds(7)).await;
    undo(&h, &ready).await.unwrap();
    assert_eq!(h.stands(&ready).await, (Status::Pending, Stage::Ready));
    h.run_for(Duration::minutes(1)).await;
    assert_eq!(h.write_requests(), 0);

    h.approve_as(h.decision(&ready), slow).await.unwrap();
    h.advance(Duration::seconds(8));
    let hold = h.platform.hold_writes();
    let late = async {
        hold.write_arrived().await;
        assert_eq!(code(undo(&h, &ready).await), "already-going-out");
        drop(hold);
    };
    let (_, ()) = tokio::join!(h.run_due(), late);
    assert_posted_once(&h, &comment, &ready, 1).await;
    h.finish().await;
}

async fn undo(
    h: &Harness,
    suggestion: &Suggestion,
) -> Result<Suggestion, rejoinder_app::flow::suggestion::ChangeError> {
    let mut tx = h.pool().begin().await.unwrap();
    let undone = approve::undo(&mut tx, &h.app.moment(), h.decision(suggestion)).await?;
    tx.commit().await.unwrap();
    Ok(undone)
}

#[tokio::test]
async fn a_worker_that_stalled_after_arming_writes_nothing() {
    let h = Harness::start().await;
    let (comment, sent) = h.queued_reply(TEXT).await;
    // Arming waits for this row; when it goes on, the clock has moved.
    let mut blocker = h.pool().begin().await.unwrap();
    sqlx::query("lock table reply_slots in exclusive mode").execute(&mut *blocker).await.unwrap();
    let rival = async {
        asked(&h, "GET /reddit/comments/{id}").await;
        h.platform.plan_write(vec![WriteFault::Ok]);
        waiting_for_lock(&h).await;
        h.advance(Duration::seconds(6));
        blocker.rollback().await.unwrap();
    };
    let (_, ()) = tokio::join!(h.run_due(), rival);
    assert_eq!((h.write_requests(), h.outcomes(&sent).await), (0, vec!["not_sent".to_owned()]));
    h.run_for(Duration::minutes(1)).await;
    assert_posted_once(&h, &comment, &sent, 1).await;
    h.finish().await;
}

async fn waiting_for_lock(h: &Harness) {
    let deadline = Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let waiting: bool = sqlx::query_scalar("select exists (select 1 from pg_locks where not granted)")
            .fetch_one(h.pool())
            .await
            .unwrap();
        if waiting {
            return;
        }
        assert!(Instant::now() < deadline, "nobody waits for a lock");
    }
}
