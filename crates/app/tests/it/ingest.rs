//! From the platform to the inbox: nothing twice, nothing skipped, nothing kept that is gone there.

use crate::harness::{BRAND, Harness};
use rejoinder_app::flow::ingest::IntegrationPoll;
use rejoinder_app::jobs;
use rejoinder_app::queue;
use rejoinder_sandbox::ReadFault;
use time::Duration;

async fn count(h: &Harness, table: &str) -> i64 {
    let query = format!("select count(*) from {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(h.pool()).await.unwrap()
}

#[tokio::test]
async fn polling_again_and_again_makes_no_duplicates() {
    let h = Harness::start().await;
    let first = h.stranger_comments("One");
    h.platform.add_comment("other_cat", &first, "Two");
    for _ in 0..3 {
        h.poll().await;
        h.advance(Duration::hours(2));
    }
    assert_eq!((count(&h, "posts").await, count(&h, "comments").await, h.items().await.len()), (1, 2, 2));
    h.finish().await;
}

#[tokio::test]
async fn two_polls_at_once_store_everything_once() {
    let h = Harness::start().await;
    for number in 0..60 {
        h.stranger_comments(&format!("Comment {number}"));
    }
    let others = [h.another_worker(8).await, h.another_worker(9).await];
    let job = IntegrationPoll { integration_id: h.integration_id };
    jobs::enqueue(&mut *h.conn().await, &job, h.now()).await.unwrap();
    let copies = "insert into graphile_worker._private_jobs (task_id, payload, run_at, max_attempts)
                  select task_id, payload, run_at, max_attempts from graphile_worker._private_jobs, generate_series(1, 2)";
    sqlx::query(copies).execute(h.pool()).await.unwrap();
    let reports = tokio::join!(h.run_due(), h.run_due_with(&others[0]), h.run_due_with(&others[1]));
    for ran in [reports.0, reports.1, reports.2].iter().flat_map(|report| &report.ran) {
        assert_eq!(ran.failure, None, "polls do not get into each other's way");
    }
    assert_eq!((count(&h, "comments").await, h.items().await.len()), (60, 60));
    h.finish().await;
}

#[tokio::test]
async fn a_mention_in_a_thread_of_others_becomes_an_item_and_their_thread_does_not() {
    let h = Harness::start().await;
    let theirs = h.platform.add_post("curious_cat", "other", "Which grinder?", "Tell me.");
    let ours = h.platform.add_comment(BRAND, &theirs, "Any with burrs.");
    let answer = h.platform.add_comment("other_cat", &ours, "Also a cheap one?");
    let mention = h.platform.add_comment("third_cat", &theirs, &format!("Ask u/{BRAND}."));
    h.platform.add_comment("third_cat", &answer, "Not for us.");
    h.platform.add_message("fourth_cat", BRAND, "Hi", "A private word.");
    h.poll().await;
    assert_eq!(h.items().await.len(), 2);
    for comment in [&answer, &mention] {
        assert_eq!(h.item_of(comment).await.unwrap().state, "open");
    }
    assert_eq!((count(&h, "posts where not own").await, count(&h, "comments where own").await), (1, 1));
    let marked = h.platform.journal().iter().filter(|entry| entry.effect == "mark_read").count();
    assert_eq!(marked, 2, "only what stands in the inbox now");
    h.advance(Duration::minutes(10));
    h.poll().await;
    assert_eq!(h.items().await.len(), 2);
    h.finish().await;
}

#[tokio::test]
async fn our_own_words_never_become_items_and_an_answer_on_the_platform_closes_its_item() {
    let h = Harness::start().await;
    let (comment, _) = h.incoming("Which beans?").await;
    h.platform.add_comment(BRAND, &comment, "Any, typed by hand.");
    h.platform.add_comment(BRAND, &h.post, "And a word by ourselves.");
    h.advance(Duration::minutes(1));
    h.poll().await;
    let items = h.items().await;
    assert_eq!((items.len(), items[0].state.as_str()), (1, "answered_elsewhere"));
    assert_eq!(count(&h, "comments where own").await, 2);
    h.finish().await;
}

#[tokio::test]
async fn a_reply_that_we_posted_is_not_answered_elsewhere() {
    let h = Harness::start().await;
    let (comment, queued) = h.queued_reply("Any.").await;
    h.run_due().await;
    h.advance(Duration::minutes(1));
    h.poll().await;
    assert_eq!((h.items().await.len(), h.item_of(&comment).await.unwrap().state.as_str()), (1, "done"));
    assert_eq!(h.story(queued.id).await.last().unwrap(), "reply.exchange");
    h.finish().await;
}

#[tokio::test]
async fn a_deleted_comment_is_blank_everywhere_and_its_item_closed() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("My name is Cat and I live in Paw Street").await;
    h.platform.add_comment("other_cat", &comment, "Hello Cat");
    h.platform.delete_comment(&comment);
    h.advance(Duration::hours(25));
    h.poll().await;
    let row = h.comment_row(&item).await;
    assert_eq!((row.text.as_str(), row.author_handle), ("", None));
    assert!(row.deleted_at.is_some());
    let item = h.item_of(&comment).await.unwrap();
    assert_eq!((item.state.as_str(), item.excerpt.as_deref()), ("ignored", Some("")));
    h.finish().await;
}

#[tokio::test]
async fn strangers_text_is_stored_in_one_form_and_as_data() {
    let h = Harness::start().await;
    let raw = "<script>alert(1)</script> \u{202E}evil\u{200B}\u{7} cafe\u{301}\r\nnext";
    let (_, item) = h.incoming(raw).await;
    assert_eq!(h.comment_row(&item).await.text, "<script>alert(1)</script> evil café\nnext");
    let balloons = "🎈".repeat(9_000);
    let (_, item) = h.incoming(&balloons).await;
    assert_eq!(h.comment_row(&item).await.text, balloons);
    let (_, item) = h.incoming("مرحبا \u{200F}بكم").await;
    assert!(h.comment_row(&item).await.text.starts_with("مرحبا"));
    h.finish().await;
}

#[tokio::test]
async fn an_edited_text_replaces_the_old_one() {
    let h = Harness::start().await;
    let (comment, item) = h.incoming("Which beans?").await;
    h.advance(Duration::minutes(5));
    h.platform.edit_comment(&comment, "Which water?");
    h.advance(Duration::hours(25));
    h.poll().await;
    let row = h.comment_row(&item).await;
    assert_eq!((row.text.as_str(), row.edited_at.is_some()), ("Which water?", true));
    h.finish().await;
}

#[tokio::test]
async fn a_crash_between_reading_and_storing_repeats_the_round_and_skips_nothing() {
    let h = Harness::start().await;
    h.poll().await;
    let comment = h.stranger_comments("Do not lose me");
    h.advance(Duration::minutes(1));
    // Storing waits for this row; the worker dies while it waits.
    let mut blocker = h.pool().begin().await.unwrap();
    sqlx::query("lock table comments in exclusive mode").execute(&mut *blocker).await.unwrap();
    let waiting = async {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let query = "select exists (select 1 from pg_locks where not granted)";
        while !sqlx::query_scalar::<_, bool>(query).fetch_one(h.pool()).await.unwrap() {
            assert!(std::time::Instant::now() < deadline, "nobody waits for a lock");
        }
    };
    tokio::select! {
        _ = h.poll() => panic!("the poll ended before it could be killed"),
        () = waiting => {}
    }
    blocker.rollback().await.unwrap();
    assert!(h.item_of(&comment).await.is_none());
    h.recover_jobs().await;
    h.run_due().await;
    assert!(h.item_of(&comment).await.is_some());
    h.finish().await;
}

#[tokio::test]
async fn an_ended_token_is_refreshed_once_and_the_poll_goes_on() {
    let h = Harness::start().await;
    let comment = h.stranger_comments("Hello");
    h.platform.expire_tokens();
    h.poll().await;
    assert!(h.item_of(&comment).await.is_some());
    let refreshes = h.platform.journal().iter().filter(|entry| entry.effect == "refresh").count();
    assert_eq!(refreshes, 1);
    h.finish().await;
}

#[tokio::test]
async fn a_dead_consent_asks_for_a_person_with_the_reason() {
    let h = Harness::start().await;
    h.platform.revoke_tokens();
    h.poll().await;
    let integration = h.integration().await;
    assert_eq!(integration.state, "needs_reconnect");
    assert!(integration.state_reason.is_some_and(|reason| !reason.is_empty()));
    assert_eq!(h.story(h.integration_id).await.last().unwrap(), "integration.reconnect_needed");
    h.finish().await;
}

#[tokio::test]
async fn a_consent_without_the_permission_to_read_asks_for_another_and_is_not_paused() {
    let mut h = Harness::start().await;
    let issued = h.platform.issue_token(BRAND, "identity read submit privatemessages edit");
    h.integration_id = h.connect_team(h.team_id, &issued).await;
    let comment = h.stranger_comments("Hello");
    h.poll().await;
    let integration = h.integration().await;
    assert_eq!((integration.state.as_str(), integration.pause_cause), ("needs_reconnect", None));
    let reason = integration.state_reason.unwrap();
    assert!(reason.contains("lacks the permission \"history\""), "{reason}");
    h.connect().await;
    h.poll().await;
    assert_eq!(h.integration().await.state, "connected");
    assert!(h.item_of(&comment).await.is_some());
    h.finish().await;
}

#[tokio::test]
async fn a_platform_that_is_down_is_asked_later_and_nothing_is_lost() {
    for fault in [ReadFault::Status { code: 503 }, ReadFault::Dropped, ReadFault::TooManyRequests { secs: 120 }] {
        let h = Harness::start().await;
        let comment = h.stranger_comments("Hello");
        h.platform.plan_reads(vec![fault]);
        h.poll().await;
        let integration = h.integration().await;
        assert_eq!(integration.state, "connected");
        assert!(integration.last_poll_problem.is_some() && integration.next_poll_at > h.now());
        h.advance(Duration::minutes(5));
        h.poll().await;
        assert!(h.item_of(&comment).await.is_some());
        assert_eq!(h.integration().await.last_poll_problem, None);
        h.finish().await;
    }
}

#[tokio::test]
async fn the_scheduler_polls_and_sweeps_by_itself() {
    let h = Harness::start().await;
    let comment = h.stranger_comments("Hello");
    for _ in 0..14 {
        queue::schedule_due(&jobs::registry(), h.pool(), h.now()).await.unwrap();
        h.run_for(Duration::seconds(5)).await;
    }
    assert!(h.item_of(&comment).await.is_some());
    queue::schedule_due(&jobs::registry(), h.pool(), h.now()).await.unwrap();
    h.advance(Duration::hours(25));
    let report = h.run_due().await;
    let mut names: Vec<&str> = report.ran.iter().map(|ran| ran.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in ["poll.sweep", "queue.cleanup", "reconcile.sweep", "suggest.sweep", "token.refresh", "upkeep"] {
        assert!(names.contains(&name), "{name} did not run: {names:?}");
    }
    h.finish().await;
}
