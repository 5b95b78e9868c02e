//! The request budget: one per client id, counted as the platform counts it, replies first, and never passed.

use crate::harness::Harness;
use rejoinder_app::model::{Stage, Status};
use rejoinder_sandbox::{RateHost, ReadFault};
use time::Duration;

/// Limit, remaining and outstanding as they stand in the database, when all was written.
async fn ours(h: &Harness, host: &str) -> (f64, f64, f64) {
    h.app.budgets.settle().await.unwrap();
    sqlx::query_as("select requests_limit, remaining, outstanding from request_budgets where host = $1")
        .bind(host)
        .fetch_one(h.pool())
        .await
        .unwrap()
}

/// Requests used and refused in the newest window, as the platform counted them.
fn theirs(h: &Harness, host: RateHost) -> (u32, u32) {
    let windows = h.platform.rate_windows();
    let newest = windows.iter().filter(|window| window.host == host).max_by_key(|window| window.began_at);
    newest.map_or((0, 0), |window| (window.used, window.refused))
}

#[tokio::test]
async fn every_request_is_counted_once_on_both_sides() {
    let h = Harness::start().await;
    for number in 0..7 {
        let post = h.platform.add_post("brassfinch", "espresso", &format!("Post {number}"), "Ask.");
        h.platform.add_comment("curious_cat", &post, "Why?");
    }
    let (_, queued) = h.queued_reply("Any.").await;
    h.run_due().await;
    assert_eq!(h.stands(&queued).await, (Status::Posted, Stage::Done));
    h.platform.expire_tokens();
    h.advance(Duration::minutes(2));
    h.poll().await;
    let (used, refused) = theirs(&h, RateHost::Api);
    // The harness itself asked once who the account is.
    assert!(used > 12 && refused == 0, "{used} {refused}");
    assert_eq!(ours(&h, "api").await, (1000.0, 1000.0 - f64::from(used), 0.0));
    assert_eq!(theirs(&h, RateHost::Token), (1, 0));
    assert_eq!(ours(&h, "token").await, (300.0, 299.0, 0.0));
    h.finish().await;
}

#[tokio::test]
async fn where_the_budget_is_short_reading_waits_and_replies_go() {
    let h = Harness::start().await;
    let (_, queued) = h.queued_reply("Any.").await;
    // What the app used elsewhere counts as well: the platform tells.
    h.platform.set_rate_budget(100);
    let mut polls = 0;
    while h.integration().await.last_poll_problem.is_none() {
        h.poll().await;
        polls += 1;
        assert!(polls < 60, "reading never waits");
    }
    let integration = h.integration().await;
    assert!(integration.last_poll_problem.unwrap().contains("budget"));
    assert!(integration.next_poll_at > h.now());
    h.run_due().await;
    assert_eq!(h.stands(&queued).await, (Status::Posted, Stage::Done));
    // The window is surely over.
    h.advance(Duration::seconds(605));
    let comment = h.stranger_comments("Later");
    h.poll().await;
    assert!(h.item_of(&comment).await.is_some());
    assert_eq!(theirs(&h, RateHost::Api).1, 0, "nothing was asked that the platform had to refuse");
    h.finish().await;
}

#[tokio::test]
async fn too_many_closes_the_door_for_everybody_until_its_time() {
    let h = Harness::start().await;
    let (_, queued) = h.queued_reply("Any.").await;
    h.platform.plan_reads(vec![ReadFault::TooManyRequests { secs: 120 }]);
    h.poll().await;
    let (used, _) = theirs(&h, RateHost::Api);
    let other = h.another_worker(8).await;
    h.run_due_with(&other).await;
    h.advance(Duration::seconds(100));
    h.poll().await;
    h.run_due_with(&other).await;
    assert_eq!(theirs(&h, RateHost::Api).0, used, "not one request in between");
    h.run_for(Duration::seconds(60)).await;
    assert_eq!(h.stands(&queued).await, (Status::Posted, Stage::Done));
    h.finish().await;
}

#[tokio::test]
async fn two_processes_share_one_budget() {
    let h = Harness::start().await;
    let other = h.another_worker(8).await;
    h.platform.set_rate_budget(30);
    for _ in 0..40 {
        h.poll().await;
        rejoinder_app::jobs::enqueue(
            &mut *h.conn().await,
            &rejoinder_app::flow::ingest::IntegrationPoll { integration_id: h.integration_id },
            h.now(),
        )
        .await
        .unwrap();
        h.run_due_with(&other).await;
        h.advance(Duration::seconds(20));
    }
    for window in h.platform.rate_windows().iter().filter(|window| window.host == RateHost::Api) {
        assert!(window.used <= 30 && window.refused == 0, "{window:?}");
    }
    h.finish().await;
}
