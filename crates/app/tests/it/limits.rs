//! How much goes out, and when: caps, distances, quiet hours, and what an account's own failures do to it.

use crate::harness::{Harness, approve_now};
use rejoinder_app::flow::approve;
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::model::{IntegrationState, Stage, Status};
use rejoinder_sandbox::WriteFault;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// What people say, each time in other words.
const TEXTS: [&str; 6] = [
    "Two clicks finer.",
    "Try fresher beans first.",
    "Descale it, please.",
    "The manual has it on page nine.",
    "We will send a gasket.",
    "Thanks for telling us!",
];

/// Approved replies to as many comments, nothing run. Returns the comments and the suggestions.
async fn queued(h: &Harness, count: usize) -> Vec<(String, Suggestion)> {
    let mut queued = Vec::new();
    for text in &TEXTS[..count] {
        queued.push(h.queued_reply(text).await);
    }
    queued
}

async fn set(h: &Harness, column: &str) {
    let set = format!("update team_settings set {column} where team_id = $1");
    sqlx::query(sqlx::AssertSqlSafe(set)).bind(h.team_id).execute(h.pool()).await.unwrap();
}

async fn parked(h: &Harness, queued: &[(String, Suggestion)]) -> Vec<(Option<OffsetDateTime>, String)> {
    let mut parked = Vec::new();
    for (_, suggestion) in queued {
        let state = h.suggestion(suggestion.id).await.state;
        if state.stage == Stage::Parked {
            parked.push((state.send_after, state.stage_reason.unwrap_or_default()));
        }
    }
    parked
}

#[tokio::test]
async fn what_is_over_the_days_cap_waits_for_the_teams_next_morning() {
    let h = Harness::with(&[("RATE_LIMIT_DEFAULT", "2")]).await;
    // 09:00 UTC is 18:00 in Tokyo.
    set(&h, "timezone = 'Asia/Tokyo'").await;
    let queued = queued(&h, 5).await;
    h.run_due().await;
    assert_eq!(h.write_requests(), 2);
    let next_day = datetime!(2026-03-02 15:00 UTC);
    let waiting = parked(&h, &queued).await;
    assert_eq!(waiting.len(), 3);
    assert!(waiting.iter().all(|(at, why)| *at == Some(next_day) && why.contains("limit of 2 replies")), "{waiting:?}");
    h.run_for(Duration::hours(6) - Duration::seconds(1)).await;
    assert_eq!(h.write_requests(), 2);
    h.run_for(Duration::seconds(2)).await;
    assert_eq!(h.write_requests(), 4);
    h.run_for(Duration::hours(24) - Duration::seconds(3)).await;
    h.sweep().await;
    // The last one's approval ended a day after it was given.
    assert_eq!((h.write_requests(), parked(&h, &queued).await.len()), (4, 0));
    h.finish().await;
}

#[tokio::test]
async fn the_servers_cap_counts_all_and_the_teams_own_goes_before_the_default() {
    let h = Harness::with(&[("RATE_LIMIT_DEFAULT", "1"), ("RATE_LIMIT_GLOBAL", "3")]).await;
    set(&h, "daily_cap = 100").await;
    let queued = queued(&h, 5).await;
    h.run_due().await;
    assert_eq!(h.write_requests(), 3);
    let waiting = parked(&h, &queued).await;
    assert!(waiting.iter().all(|(_, why)| why.contains("server's limit of 3")), "{waiting:?}");
    assert_eq!(waiting[0].0, Some(datetime!(2026-03-03 00:00 UTC)));
    h.finish_leaving(&["post.send"]).await;
}

#[tokio::test]
async fn people_are_counted_and_not_stopped_where_nobody_set_a_cap() {
    let h = Harness::start().await;
    sqlx::query("insert into usage_counters (scope_id, metric, day, used) values ($1, 'replies', '2026-03-02', 1000)")
        .bind(h.team_id)
        .execute(h.pool())
        .await
        .unwrap();
    let (comment, _) = h.queued_reply(TEXTS[0]).await;
    h.run_due().await;
    assert_eq!((h.our_texts(&comment).len(), used(&h).await), (1, 1001));
    // The same reply by a rule would wait.
    sqlx::query("update integrations set policy_confirmed_at = $1").bind(h.now()).execute(h.pool()).await.unwrap();
    let (_, by_rule) = h.queued_reply(TEXTS[1]).await;
    sqlx::query("update suggestions set approved_by = null where id = $1")
        .bind(by_rule.id)
        .execute(h.pool())
        .await
        .unwrap();
    h.run_due().await;
    assert!(h.reason(&by_rule).await.contains("limit of 100 replies"), "{}", h.reason(&by_rule).await);
    h.finish_leaving(&["post.send"]).await;
}

async fn used(h: &Harness) -> i64 {
    let used = sqlx::query_scalar("select used from usage_counters where scope_id = $1");
    used.bind(h.team_id).fetch_one(h.pool()).await.unwrap()
}

#[tokio::test]
async fn a_refused_reply_gives_its_place_back_and_an_uncertain_one_keeps_it() {
    let h = Harness::with(&[("RATE_LIMIT_DEFAULT", "10")]).await;
    h.platform.plan_write(vec![
        WriteFault::Refuse { code: "NO_TEXT".to_owned() },
        WriteFault::DroppedBefore,
        WriteFault::Ok,
    ]);
    queued(&h, 3).await;
    h.run_due().await;
    assert_eq!(used(&h).await, 2);
    h.run_for(Duration::minutes(5)).await;
    assert_eq!(used(&h).await, 2, "the uncertain one was sent once more, in its own place");
    h.finish().await;
}

#[tokio::test]
async fn replies_of_one_account_keep_their_distance() {
    let h = Harness::with(&[("SEND_GAP_SECS", "30")]).await;
    let queued = queued(&h, 3).await;
    for posted in 1..=3u64 {
        h.run_due().await;
        assert_eq!(h.write_requests(), posted);
        h.run_for(Duration::seconds(29)).await;
        assert_eq!(h.write_requests(), posted, "30 seconds have not passed");
        h.advance(Duration::SECOND);
    }
    assert_eq!(parked(&h, &queued).await.len(), 0);
    h.finish().await;
}

#[tokio::test]
async fn in_quiet_hours_nothing_goes_out_and_afterwards_everything_does() {
    let h = Harness::start().await;
    // 09:00 UTC is 10:00 in Madrid; quiet over midnight until 10:30.
    set(&h, "timezone = 'Europe/Madrid', quiet_from = '22:00', quiet_to = '10:30'").await;
    let queued = queued(&h, 2).await;
    h.run_due().await;
    let until = datetime!(2026-03-02 09:30 UTC);
    let waiting = parked(&h, &queued).await;
    assert!(waiting.iter().all(|(at, why)| *at == Some(until) && why.contains("quiet hours")), "{waiting:?}");
    h.run_for(Duration::minutes(31)).await;
    assert_eq!(h.write_requests(), 2);
    h.finish().await;
}

#[tokio::test]
async fn an_account_that_fails_again_and_again_is_paused_and_the_rest_waits() {
    let h = Harness::with(&[("PAUSE_AFTER_FAILURES", "3")]).await;
    h.platform.plan_write(vec![WriteFault::Forbidden; 3]);
    let queued = queued(&h, 5).await;
    h.run_due().await;
    let account = h.integration().await;
    assert_eq!(account.state(), IntegrationState::Paused);
    let why = account.state_reason.unwrap();
    assert!(why.contains("3 failures within an hour"), "{why}");
    let waiting = parked(&h, &queued).await;
    assert_eq!((waiting.len(), h.write_requests()), (2, 3));
    assert!(waiting.iter().all(|(_, reason)| reason.contains(&why)), "{waiting:?}");
    h.finish().await;
}

#[tokio::test]
async fn failures_of_single_replies_and_those_of_long_ago_pause_nothing() {
    let h = Harness::with(&[("PAUSE_AFTER_FAILURES", "2")]).await;
    h.platform.plan_write(vec![
        WriteFault::Refuse { code: "SUBREDDIT_NOTALLOWED".to_owned() },
        WriteFault::Refuse { code: "USER_BLOCKED".to_owned() },
        WriteFault::Forbidden,
    ]);
    queued(&h, 3).await;
    h.run_due().await;
    assert_eq!(h.integration().await.state(), IntegrationState::Connected);
    h.advance(Duration::hours(1) + Duration::SECOND);
    h.platform.plan_write(vec![WriteFault::Forbidden]);
    h.queued_reply("One more try.").await;
    h.run_due().await;
    assert_eq!(h.integration().await.state(), IntegrationState::Connected);
    h.finish().await;
}

#[tokio::test]
async fn trouble_of_the_app_pauses_its_accounts_at_once() {
    let h = Harness::start().await;
    h.platform.plan_write(vec![WriteFault::PaymentRequired]);
    queued(&h, 2).await;
    h.run_due().await;
    let account = h.integration().await;
    assert_eq!((account.state(), account.pause_cause.as_deref()), (IntegrationState::Paused, Some("app")));
    assert_eq!(h.write_requests(), 1);
    h.finish().await;
}

#[tokio::test]
async fn a_rate_limit_of_the_app_holds_everything_back_until_then() {
    let h = Harness::start().await;
    let mut ready = Vec::new();
    for text in &TEXTS[..3] {
        ready.push(h.ready_reply(text).await);
    }
    h.platform.plan_write(vec![WriteFault::TooManyRequests { secs: 90 }]);
    let mut queued = Vec::new();
    for (comment, suggestion) in ready {
        queued.push((comment, h.approve(&suggestion).await.unwrap()));
    }
    h.run_due().await;
    assert_eq!(h.write_requests(), 1, "the others do not ask as well");
    assert_eq!(parked(&h, &queued).await.len(), 3);
    h.run_for(Duration::seconds(89)).await;
    assert_eq!(h.write_requests(), 1);
    h.run_for(Duration::seconds(2)).await;
    assert_eq!(h.write_requests(), 4);
    h.finish().await;
}

#[tokio::test]
async fn what_the_checks_hold_is_shown_first_and_goes_out_when_it_is_approved_again() {
    let h = Harness::start().await;
    let text = "See https://example.org/grinders for all of them.";
    let (comment, ready) = h.ready_reply(text).await;
    let (held, job) = h.approve_as(h.decision(&ready), approve_now()).await.unwrap();
    assert_eq!((held.state.status, held.state.stage, job), (Status::Pending, Stage::Ready, None));
    assert!(held.state.held_reasons[0].contains("example.org"), "{:?}", held.state.held_reasons);
    h.run_due().await;
    assert_eq!(h.write_requests(), 0);
    let seen = approve::Approve { version: Some(held.state.version), ..approve_now() };
    h.approve_as(h.decision(&ready), seen).await.unwrap();
    h.run_due().await;
    assert_eq!(h.our_texts(&comment), [text]);
    h.finish().await;
}

#[tokio::test]
async fn the_same_words_again_and_again_go_back_to_a_person_at_the_gate() {
    let h = Harness::start().await;
    let mut queued = Vec::new();
    for _ in 0..4 {
        queued.push(h.queued_reply("Thank you for the kind words, we are happy to hear that!").await);
    }
    h.run_due().await;
    assert_eq!(h.write_requests(), 3);
    let (comment, fourth) = queued.pop().unwrap();
    assert_eq!(h.stands(&fourth).await, (Status::Pending, Stage::Ready));
    let state = h.suggestion(fourth.id).await.state;
    assert!(state.held_reasons[0].contains("the same text"), "{:?}", state.held_reasons);
    // With the reason in view a person may send it.
    h.approve(&h.suggestion(fourth.id).await).await.unwrap();
    h.run_due().await;
    assert_eq!(h.our_texts(&comment).len(), 1);
    h.finish().await;
}
