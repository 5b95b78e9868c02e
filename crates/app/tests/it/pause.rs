//! The switches: after a pause has answered no call starts, its answer names what was under way, and a resume ends it.

use crate::client::Client;
use crate::harness::{BRAND, Harness};
use futures::future::join_all;
use rejoinder_app::accounts::integrations;
use rejoinder_app::flow::notices::{self, Which};
use rejoinder_app::flow::send::{self, Paused, SWITCH_LOCK, SwitchScope, Switches};
use rejoinder_app::jobs;
use rejoinder_app::model::{IntegrationState, NoticeKind, PauseCause, Role, Stage, Status};
use rejoinder_app::upkeep::PollSweep;
use rejoinder_sandbox::HoldPoint;
use serde_json::{Value, json};
use sqlx::{PgConnection, Postgres, Transaction};
use std::time::Instant;
use time::{Duration, OffsetDateTime};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// An attempt whose call may be under way, as arming leaves it.
async fn arm(conn: &mut PgConnection, h: &Harness, suggestion_id: Uuid, armed_at: OffsetDateTime) -> Uuid {
    let id = h.app.moment().id();
    sqlx::query(
        "insert into send_attempts (id, team_id, suggestion_id, integration_id, number, worker_id, armed_at, outcome)
         select $1, team_id, id, integration_id, 1, $1, $3, 'uncertain' from suggestions where id = $2",
    )
    .bind(id)
    .bind(suggestion_id)
    .bind(armed_at)
    .execute(conn)
    .await
    .unwrap();
    id
}

async fn end_call(h: &Harness, attempt_id: Uuid) {
    let end = sqlx::query("update send_attempts set call_ended_at = $2 where id = $1");
    end.bind(attempt_id).bind(h.now()).execute(h.pool()).await.unwrap();
}

fn account(h: &Harness) -> SwitchScope {
    SwitchScope::Integration { team_id: h.team_id, id: h.integration_id }
}

/// A pause beside the test: what it answers and when.
fn pausing(h: &Harness, scope: SwitchScope) -> JoinHandle<(Paused, OffsetDateTime)> {
    let (app, by) = (h.app.clone(), h.user_id);
    tokio::spawn(async move {
        let paused = Switches::from(&app).pause(scope, Some(by), None).await.unwrap();
        (paused, app.clock.now())
    })
}

async fn pause(h: &Harness, scope: SwitchScope) -> Paused {
    Switches::from(&h.app).pause(scope, Some(h.user_id), None).await.unwrap()
}

async fn resume(h: &Harness, scope: SwitchScope) {
    Switches::from(&h.app).resume(scope, Some(h.user_id)).await.unwrap();
}

async fn stands(h: &Harness, scope: SwitchScope) -> bool {
    send::standing(&mut *h.conn().await, scope).await.unwrap().is_some()
}

async fn until_it_stands(h: &Harness, scope: SwitchScope) {
    until(async || stands(h, scope).await).await;
}

/// Looks again and again; a test that waits in vain is red.
async fn until(condition: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed().as_secs() < 20, "waited in vain");
    }
}

fn counted(paused: &Paused) -> (usize, usize) {
    (paused.in_flight, paused.still_running)
}

#[tokio::test]
async fn a_pause_answers_when_the_call_under_way_is_over() {
    let h = Harness::start().await;
    let (_, sent) = h.ready_reply("Two clicks finer.").await;
    for scope in [SwitchScope::Instance, SwitchScope::Team(h.team_id), account(&h)] {
        sqlx::query("delete from send_attempts").execute(h.pool()).await.unwrap();
        let attempt = arm(&mut *h.conn().await, &h, sent.id, h.now()).await;
        let pausing = pausing(&h, scope);
        until_it_stands(&h, scope).await;
        assert!(!pausing.is_finished(), "{scope:?}: the call may be under way");
        end_call(&h, attempt).await;
        assert_eq!(counted(&pausing.await.unwrap().0), (1, 0), "{scope:?}");
        resume(&h, scope).await;
    }
    h.finish().await;
}

#[tokio::test]
async fn a_pause_in_mid_flight_lets_the_call_end_and_starts_no_other() {
    for point in [HoldPoint::BeforeEffect, HoldPoint::AfterEffect] {
        let h = Harness::start().await;
        let (comment, _) = h.queued_reply("Two clicks finer.").await;
        let hold = h.platform.hold_writes_at(point);
        let stop = async {
            hold.write_arrived().await;
            let pausing = pausing(&h, SwitchScope::Instance);
            until_it_stands(&h, SwitchScope::Instance).await;
            assert!(!pausing.is_finished(), "{point:?}");
            hold.release();
            pausing.await.unwrap().0
        };
        let (_, paused) = tokio::join!(h.run_due(), stop);
        assert_eq!((counted(&paused), h.replies_under(&comment).len()), ((1, 0), 1));
        let (other, next) = h.queued_reply("Taste it again.").await;
        h.run_for(Duration::minutes(10)).await;
        assert_eq!((h.write_requests(), h.stands(&next).await), (1, (Status::Approved, Stage::Parked)));
        resume(&h, SwitchScope::Instance).await;
        h.run_for(Duration::minutes(5)).await;
        assert_eq!(h.our_texts(&other), ["Taste it again."]);
        h.finish().await;
    }
}

#[tokio::test]
async fn a_resume_wakes_at_once_what_waited_for_its_switch() {
    let h = Harness::start().await;
    for scope in [SwitchScope::Instance, SwitchScope::Team(h.team_id), account(&h)] {
        Switches::from(&h.app).pause(scope, Some(h.user_id), Some("holidays")).await.unwrap();
        let (comment, sent) = h.queued_reply(&format!("Two clicks finer, as in {scope:?}.")).await;
        h.run_for(Duration::hours(2)).await;
        assert_eq!(h.stands(&sent).await, (Status::Approved, Stage::Parked), "{scope:?}");
        assert!(h.reason(&sent).await.contains("holidays"), "{}", h.reason(&sent).await);
        resume(&h, scope).await;
        h.run_due().await;
        assert_eq!(h.our_texts(&comment).len(), 1, "{scope:?}");
    }
    h.finish().await;
}

#[tokio::test]
async fn a_call_that_tells_no_end_is_waited_for_until_its_time_is_over() {
    let h = Harness::start().await;
    let (_, sent) = h.ready_reply("Two clicks finer.").await;
    arm(&mut *h.conn().await, &h, sent.id, h.now()).await;
    h.advance(Duration::seconds(24));
    let waiting = pausing(&h, account(&h));
    until_it_stands(&h, account(&h)).await;
    assert!(!waiting.is_finished(), "it has one second left");
    h.advance(Duration::seconds(1));
    let (paused, answered_at) = waiting.await.unwrap();
    assert_eq!((counted(&paused), answered_at), ((1, 1), h.now()));
    assert_eq!(counted(&pause(&h, account(&h)).await), (0, 0), "what is out of time is under way no more");
    h.finish().await;
}

/// A transaction as every arming one begins.
async fn arming(h: &Harness) -> Transaction<'static, Postgres> {
    let mut arming = h.pool().begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock_shared($1)").bind(SWITCH_LOCK).execute(&mut *arming).await.unwrap();
    arming
}

#[tokio::test]
async fn a_pause_waits_for_a_reply_that_is_being_armed_and_counts_it() {
    let h = Harness::start().await;
    let (_, sent) = h.ready_reply("Two clicks finer.").await;
    let mut arming = arming(&h).await;
    let scopes = [SwitchScope::Instance, SwitchScope::Team(h.team_id), account(&h)];
    let waiting = scopes.map(|scope| pausing(&h, scope));
    until(async || waiting_for_locks(&h).await == 3).await;
    for scope in scopes {
        assert!(stands(&h, scope).await, "{scope:?}: who arms from now on sees it");
    }
    h.advance(Duration::seconds(1));
    arm(&mut arming, &h, sent.id, h.now()).await;
    arming.commit().await.unwrap();
    // It tells no end, and so is seen whenever it is looked for.
    h.advance(Duration::seconds(25));
    for pausing in waiting {
        assert_eq!(counted(&pausing.await.unwrap().0), (1, 1));
    }
    h.finish().await;
}

#[tokio::test]
async fn a_worker_in_the_middle_of_arming_is_waited_for() {
    let h = Harness::start().await;
    let (comment, _) = h.queued_reply("Two clicks finer.").await;
    let hold = h.platform.hold_writes();
    let mut slots = h.pool().begin().await.unwrap();
    // Who only reads it passes: the gate looks who else of a team has answered.
    sqlx::query("lock table reply_slots in share mode").execute(&mut *slots).await.unwrap();
    let stop = async {
        until(async || waiting_for_locks(&h).await == 1).await;
        let pausing = pausing(&h, SwitchScope::Instance);
        until(async || waiting_for_locks(&h).await == 2).await;
        slots.rollback().await.unwrap();
        hold.write_arrived().await;
        assert!(!pausing.is_finished());
        hold.release();
        pausing.await.unwrap().0
    };
    let (_, paused) = tokio::join!(h.run_due(), stop);
    assert_eq!((counted(&paused), h.replies_under(&comment).len()), ((1, 0), 1));
    h.finish().await;
}

async fn waiting_for_locks(h: &Harness) -> i64 {
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    sqlx::query_scalar(waiting).fetch_one(h.pool()).await.unwrap()
}

#[tokio::test]
async fn a_stream_of_replies_does_not_keep_a_pause_waiting() {
    let h = Harness::start().await;
    // Each ends after the next has begun: at no moment nobody arms.
    let streams = (0..6).map(|_| async {
        let began = Instant::now();
        while !stands(&h, SwitchScope::Team(h.team_id)).await && began.elapsed().as_secs() < 20 {
            let mut arming = arming(&h).await;
            sqlx::query("select pg_sleep(0.02)").execute(&mut *arming).await.unwrap();
            arming.commit().await.unwrap();
        }
    });
    let stop = async {
        pause(&h, account(&h)).await;
        pause(&h, SwitchScope::Team(h.team_id)).await;
    };
    let began = Instant::now();
    tokio::join!(join_all(streams), stop);
    assert!(began.elapsed() < std::time::Duration::from_secs(4), "{:?}", began.elapsed());
    h.finish().await;
}

#[tokio::test]
async fn a_worker_that_freezes_while_it_arms_does_not_keep_a_pause_waiting() {
    let h = Harness::start().await;
    let frozen = arming(&h).await;
    let began = Instant::now();
    assert_eq!(counted(&pause(&h, account(&h)).await), (0, 0));
    assert!(began.elapsed() >= send::WRITE_WITHIN, "until then it may still write: {:?}", began.elapsed());
    drop(frozen);
    h.finish().await;
}

#[tokio::test]
async fn a_switch_waits_for_the_calls_of_its_own_scope_only() {
    let h = Harness::start().await;
    let (_, sent) = h.ready_reply("Two clicks finer.").await;
    arm(&mut *h.conn().await, &h, sent.id, h.now()).await;
    let other = SwitchScope::Integration { team_id: h.team_id, id: second_account(&h).await };
    assert_eq!(counted(&pause(&h, other).await), (0, 0));
    assert!(!stands(&h, account(&h)).await && !stands(&h, SwitchScope::Team(h.team_id)).await);
    h.finish().await;
}

async fn second_account(h: &Harness) -> Uuid {
    let id = h.app.moment().id();
    sqlx::query(
        "insert into integrations (id, team_id, platform, platform_account_id, display_name, state, state_since, next_poll_at, created_at, updated_at)
         values ($1, $2, 'reddit', 'other', 'other', 'connected', $3, $3 + interval '1 day', $3, $3)",
    )
    .bind(id)
    .bind(h.team_id)
    .bind(h.now())
    .execute(h.pool())
    .await
    .unwrap();
    id
}

#[tokio::test]
async fn pausing_twice_is_pausing_once() {
    let h = Harness::start().await;
    let client = Client::signed_in(&h).await;
    for subject in [format!("teams/{}", h.team_id), format!("integrations/{}", h.integration_id)] {
        let (pause, resume) = (format!("/api/{subject}/pause"), format!("/api/{subject}/resume"));
        let (status, first) = client.post(&pause, &json!({ "reason": "  wrong \u{0}price\n" })).await;
        assert_eq!((status, &first["paused"], &first["reason"]), (200, &json!(true), &json!("wrong price")), "{first}");
        assert_eq!((&first["in_flight"], &first["still_running"]), (&json!(0), &json!(0)));
        h.advance(Duration::minutes(1));
        let (status, second) = client.post(&pause, &json!({ "reason": "another" })).await;
        assert_eq!((status, &second), (200, &first), "since when and why stay");
        assert_eq!(second["paused_by_name"], json!("Ana Lima"));
        for _ in 0..2 {
            let (status, resumed) = client.post(&resume, &json!({})).await;
            assert_eq!((status, resumed), (200, json!({ "paused": false, "still_paused_by": [] })));
        }
        h.advance(Duration::minutes(1));
    }
    let mut log: Vec<String> = h.activity().await.into_iter().map(|row| row.kind).collect();
    log.retain(|kind| kind.contains("paused") || kind.contains("resumed"));
    assert_eq!(log, ["integration.resumed", "integration.paused", "team.resumed", "team.paused"]);
    h.finish().await;
}

#[tokio::test]
async fn a_resume_says_which_wider_switch_still_stands() {
    let h = Harness::start().await;
    let client = Client::signed_in(&h).await;
    for scope in [SwitchScope::Instance, SwitchScope::Team(h.team_id), account(&h)] {
        pause(&h, scope).await;
    }
    let path = format!("/api/integrations/{}/resume", h.integration_id);
    assert_eq!(client.post(&path, &json!({})).await.1["still_paused_by"], json!(["team", "instance"]));
    let path = format!("/api/teams/{}/resume", h.team_id);
    assert_eq!(client.post(&path, &json!({})).await.1["still_paused_by"], json!(["instance"]));
    h.finish().await;
}

#[tokio::test]
async fn editors_stop_an_account_admins_stop_and_resume_and_strangers_find_nothing() {
    let h = Harness::start().await;
    let of_team = |verb: &str| format!("/api/teams/{}/{verb}", h.team_id);
    let of_account = |verb: &str| format!("/api/integrations/{}/{verb}", h.integration_id);
    let table = [
        (of_team("pause"), [403, 403, 200]),
        (of_team("resume"), [403, 403, 200]),
        (of_account("pause"), [403, 200, 200]),
        (of_account("resume"), [403, 403, 200]),
    ];
    let clients = [
        Client::with_role(&h, Role::Viewer).await,
        Client::with_role(&h, Role::Editor).await,
        Client::with_role(&h, Role::Admin).await,
    ];
    let stranger = Client::stranger(&h).await;
    for (path, expected) in table {
        let (status, told) = stranger.post(&path, &json!({})).await;
        assert_eq!(status, 404, "{path}: {told}");
        let mut seen = Vec::new();
        for client in &clients {
            seen.push(client.post(&path, &json!({})).await.0);
        }
        assert_eq!(seen, expected, "{path}");
    }
    let nowhere = format!("/api/integrations/{}/pause", Uuid::from_u128(7));
    assert_eq!(clients[2].post(&nowhere, &json!({})).await.0, 404);
    assert!(!stands(&h, account(&h)).await && !stands(&h, SwitchScope::Team(h.team_id)).await);
    h.finish().await;
}

#[tokio::test]
async fn a_reason_is_short_and_a_body_has_nothing_else() {
    let h = Harness::start().await;
    let client = Client::signed_in(&h).await;
    let pause = format!("/api/teams/{}/pause", h.team_id);
    let refused = [
        (json!({ "reason": "x".repeat(301) }), "reason"),
        (json!({ "reason": 5 }), "reason"),
        (json!({ "resaon": "typo" }), "resaon"),
        (json!([]), "body"),
    ];
    for (body, field) in refused {
        let (status, told) = client.post(&pause, &body).await;
        assert_eq!((status, &told["errors"][0]["field"]), (422, &json!(field)), "{told}");
    }
    assert!(!stands(&h, SwitchScope::Team(h.team_id)).await);
    let (status, paused) = client.post(&pause, &json!({ "reason": " " })).await;
    assert_eq!((status, &paused["reason"]), (200, &Value::Null));
    h.finish().await;
}

#[tokio::test]
async fn what_is_not_live_can_neither_be_paused_nor_resumed() {
    let h = Harness::start().await;
    let client = Client::signed_in(&h).await;
    let integration = h.integration().await;
    let both = ["pause", "resume"].map(|verb| format!("/api/integrations/{}/{verb}", h.integration_id));
    let moment = h.app.moment();
    integrations::needs_reconnect(&mut *h.conn().await, &moment, &integration, "the grant is dead").await.unwrap();
    for path in &both {
        let (status, told) = client.post(path, &json!({})).await;
        assert_eq!((status, &told["type"]), (409, &json!("/problems/reconnect-needed")), "{told}");
        assert!(told["detail"].as_str().unwrap().contains("until an admin connects it again"), "{told}");
    }
    integrations::disconnect(&mut *h.conn().await, &moment, &integration, None).await.unwrap();
    for path in &both {
        let (status, told) = client.post(path, &json!({})).await;
        assert_eq!((status, &told["type"]), (409, &json!("/problems/not-connected")), "{told}");
    }
    assert_eq!(h.integration().await.state(), IntegrationState::Disconnected);
    h.finish().await;
}

#[tokio::test]
async fn what_a_person_stopped_stays_so_when_its_access_ends_and_comes_back() {
    let mut h = Harness::start().await;
    pause(&h, account(&h)).await;
    let moment = h.app.moment();
    let integration = h.integration().await;
    integrations::needs_reconnect(&mut *h.conn().await, &moment, &integration, "the grant is dead").await.unwrap();
    h.connect().await;
    let account = h.integration().await;
    assert_eq!((account.state(), account.pause_cause()), (IntegrationState::Paused, Some(PauseCause::Person)));
    assert_eq!(account.paused_by_name.as_deref(), Some("Ana Lima"));
    assert_eq!(open_notices(&h).await, [NoticeKind::IntegrationPaused]);
    h.finish().await;
}

#[tokio::test]
async fn what_stopped_itself_goes_on_after_a_resume_or_a_new_consent_and_can_be_kept_by_a_person() {
    let mut h = Harness::start().await;
    for cause in [PauseCause::Failures, PauseCause::App] {
        for by_consent in [false, true] {
            let integration = h.integration().await;
            let mut conn = h.conn().await;
            integrations::pause(&mut conn, &h.app.moment(), &integration, None, cause, Some("5 failures"))
                .await
                .unwrap();
            drop(conn);
            assert_eq!(h.integration().await.pause_cause(), Some(cause));
            if by_consent {
                h.connect().await
            } else {
                resume(&h, account(&h)).await
            }
            let stands = h.integration().await;
            assert_eq!((stands.state(), stands.pause_cause()), (IntegrationState::Connected, None));
        }
    }
    let integration = h.integration().await;
    let mut conn = h.conn().await;
    integrations::pause(&mut conn, &h.app.moment(), &integration, None, PauseCause::Failures, Some("5 failures"))
        .await
        .unwrap();
    drop(conn);
    assert_eq!(pause(&h, account(&h)).await.standing.reason.as_deref(), Some("5 failures"));
    h.connect().await;
    assert!(stands(&h, account(&h)).await, "a person wants it to stand still");
    h.finish().await;
}

async fn open_notices(h: &Harness) -> Vec<NoticeKind> {
    let rows = notices::list(&mut *h.conn().await, h.team_id, Which::Open, None, 100).await.unwrap();
    rows.into_iter().map(|row| row.kind()).collect()
}

#[tokio::test]
async fn every_team_is_told_while_the_whole_server_is_paused() {
    let h = Harness::start().await;
    let stranger = Client::stranger(&h).await;
    let (_, teams) = stranger.get("/api/teams").await;
    let theirs = format!("/api/teams/{}/notices?open=true", teams["items"][0]["id"].as_str().unwrap());
    Switches::from(&h.app).pause(SwitchScope::Instance, None, Some("upgrade")).await.unwrap();
    pause(&h, SwitchScope::Instance).await;
    let (_, told) = stranger.get(&theirs).await;
    assert_eq!(told["items"].as_array().unwrap().len(), 1);
    assert!(told["items"][0]["text"].as_str().unwrap().contains("(upgrade)"), "{told}");
    assert_eq!(open_notices(&h).await, [NoticeKind::InstancePaused]);
    resume(&h, SwitchScope::Instance).await;
    assert_eq!((open_notices(&h).await, &stranger.get(&theirs).await.1["items"]), (vec![], &json!([])));
    h.finish().await;
}

#[tokio::test]
async fn what_is_paused_is_read_all_the_same() {
    let h = Harness::start().await;
    pause(&h, account(&h)).await;
    let comment = h.stranger_comments("Anybody there?");
    h.advance(Duration::minutes(2));
    jobs::enqueue(&mut *h.conn().await, &PollSweep {}, h.now()).await.unwrap();
    h.run_due().await;
    assert!(h.item_of(&comment).await.is_some(), "{BRAND} hears");
    let refresh = format!("/api/integrations/{}/refresh", h.integration_id);
    assert_eq!(Client::signed_in(&h).await.post(&refresh, &json!({})).await.0, 202);
    h.run_due().await;
    h.finish().await;
}
