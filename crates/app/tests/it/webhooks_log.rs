//! Webhooks that a team has us call: the log and what is sent again from it, what happens around a call that is under way, and who waits for whom.

use crate::client::Client;
use crate::harness::{Harness, approve_now};
use crate::receiver::{Receiver, add, ask, log, notices, send_test, webhook, world};
use axum::http::Method;
use rejoinder_app::clients::signatures::SigningSecret;
use rejoinder_app::flow::approve::{self, Approve};
use rejoinder_app::jobs;
use rejoinder_app::webhooks::{self, WebhookSweep};
use serde_json::{Value, json};
use time::Duration;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Sends the events of that long ago once more; the body takes what else is asked.
async fn replay(h: &Harness, id: Uuid, ago: Duration, more: Value) -> (u16, Value) {
    let mut body = json!({ "since": (h.now() - ago).format(&Rfc3339).unwrap() });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Client::signed_in(h).await.post(&format!("/api/webhook-endpoints/{id}/replay"), &body).await
}

async fn sweep(h: &Harness) {
    jobs::enqueue(&mut *h.conn().await, &WebhookSweep {}, h.now()).await.unwrap();
    h.run_due().await;
}

#[tokio::test]
async fn what_was_not_taken_in_a_time_is_sent_again_once_and_what_was_taken_only_when_asked() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["suggestion.created", "suggestion.rejected"]).await;
    let (_, first) = h.ready_reply("Taken.").await;
    h.run_due().await;
    h.advance(Duration::hours(1));
    receiver.answers(500, 8);
    let (_, second) = h.ready_reply("Given up.").await;
    h.run_for(Duration::hours(28)).await;
    send_test(&h, id).await;
    h.run_due().await;
    let before = receiver.calls();
    assert_eq!(before.len(), 10, "one taken, eight attempts, one test");

    assert_eq!(
        replay(&h, id, Duration::hours(20), json!({})).await,
        (202, json!({ "replayed": 0 })),
        "older than that"
    );
    assert_eq!(replay(&h, id, Duration::hours(40), json!({})).await, (202, json!({ "replayed": 1 })));
    assert_eq!(replay(&h, id, Duration::hours(40), json!({})).await.1, json!({ "replayed": 0 }), "it is on its way");
    h.run_due().await;
    assert_eq!(replay(&h, id, Duration::hours(40), json!({})).await.1, json!({ "replayed": 0 }), "it was taken");
    let calls = receiver.calls();
    assert_eq!((calls.len(), &calls[10].body), (11, &before[1].body));
    assert_eq!(calls[10].json()["data"]["suggestion_id"], json!(second.id));
    assert_eq!(calls[10].header("webhook-id"), before[1].header("webhook-id"));

    let until = json!({ "takenToo": true, "until": (h.now() - Duration::hours(28)).format(&Rfc3339).unwrap() });
    assert_eq!(replay(&h, id, Duration::hours(40), until).await.1, json!({ "replayed": 1 }));
    h.run_due().await;
    assert_eq!(receiver.calls()[11].json()["data"]["suggestion_id"], json!(first.id));
    assert_eq!(replay(&h, id, Duration::hours(40), json!({ "taken_too": true })).await.1, json!({ "replayed": 2 }));
    h.run_due().await;
    assert_eq!(receiver.kinds()[12..], ["suggestion.created", "suggestion.created"], "the oldest first, no test");
    h.finish().await;
}

#[tokio::test]
async fn more_than_a_thousand_events_are_not_sent_again_at_once() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    let given_up = "insert into webhook_deliveries (id, team_id, endpoint_id, event_id, event_type, body, state, created_at)
                    select gen_random_uuid(), $1, $2, gen_random_uuid(), 'item.created', '{}', 'failed', $3 from generate_series(1, 1001)";
    sqlx::query(given_up).bind(h.team_id).bind(id).bind(h.now()).execute(h.pool()).await.unwrap();
    let (status, answer) = replay(&h, id, Duration::hours(1), json!({ "until": "2026-03-03T00:00:00Z" })).await;
    assert_eq!((status, &answer["type"]), (409, &json!("/problems/too_many_events")));
    sqlx::query("delete from webhook_deliveries where id in (select id from webhook_deliveries limit 1)")
        .execute(h.pool())
        .await
        .unwrap();
    let (_, answer) = replay(&h, id, Duration::hours(1), json!({ "until": "2026-03-03T00:00:00Z" })).await;
    assert_eq!(answer, json!({ "replayed": 1000 }));
    assert_eq!(ask(&h, Method::DELETE, &format!("/api/webhook-endpoints/{id}")).await.0, 204);
    h.run_due().await;
    assert_eq!(receiver.calls().len(), 0, "deleted before the first call");
    h.finish().await;
}

#[tokio::test]
async fn after_a_call_that_was_not_taken_the_next_receiver_has_its_turn() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (failing, _) = add(&h, &receiver.url(), &["*"]).await;
    h.ready_reply("Three events.").await;
    h.run_due().await;
    let before = receiver.calls().len();
    assert!(before >= 2);
    let (other, _) = add(&h, &receiver.url(), &["team.paused"]).await;
    // One job for all of them, and the other's job behind it.
    assert_eq!(
        replay(&h, failing, Duration::hours(1), json!({ "taken_too": true, "until": "2026-03-03T00:00:00Z" })).await.0,
        202
    );
    send_test(&h, other).await;
    receiver.answers(500, 1);
    h.run_due().await;
    assert_eq!(receiver.kinds()[before + 1], "webhook.test", "{:?}", receiver.kinds());
    h.run_for(Duration::seconds(5)).await;
    assert_eq!(receiver.calls().len(), 2 * before + 2);
    h.finish().await;
}

#[tokio::test]
async fn a_webhook_that_goes_while_it_is_called_ends_there() {
    let (h, slow) = (world().await, Receiver::slow().await);
    let (id, _) = add(&h, &slow.url(), &["*"]).await;
    send_test(&h, id).await;
    send_test(&h, id).await;
    let meanwhile = async {
        slow.came.notified().await;
        assert_eq!(ask(&h, Method::DELETE, &format!("/api/webhook-endpoints/{id}")).await.0, 204);
        slow.gate.as_ref().unwrap().notify_one();
    };
    tokio::join!(h.run_due(), meanwhile);
    assert_eq!(slow.calls().len(), 1);
    let rows: i64 = sqlx::query_scalar("select count(*) from webhook_deliveries").fetch_one(h.pool()).await.unwrap();
    assert_eq!(rows, 0);
    assert_eq!(notices(&h).await.len(), 0);
    h.finish().await;
}

#[tokio::test]
async fn a_call_that_was_taken_while_its_webhook_was_disabled_stands_as_taken() {
    let (h, slow) = (world().await, Receiver::slow().await);
    let (id, _) = add(&h, &slow.url(), &["*"]).await;
    send_test(&h, id).await;
    send_test(&h, id).await;
    let path = format!("/api/webhook-endpoints/{id}");
    let meanwhile = async {
        slow.came.notified().await;
        let client = Client::signed_in(&h).await;
        assert_eq!(client.patch(&path, &json!({ "enabled": false })).await.0, 200);
        slow.gate.as_ref().unwrap().notify_one();
    };
    tokio::join!(h.run_due(), meanwhile);
    let mut states: Vec<Value> = log(&h, id).await.iter().map(|row| row["state"].clone()).collect();
    states.sort_by_key(Value::to_string);
    assert_eq!((slow.calls().len(), states), (1, vec![json!("delivered"), json!("failed")]));
    h.finish().await;
}

#[tokio::test]
async fn what_was_written_for_a_webhook_as_it_was_disabled_does_not_wait_for_ever() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    send_test(&h, id).await;
    sqlx::query("update webhook_endpoints set state = 'disabled'").execute(h.pool()).await.unwrap();
    h.run_due().await;
    let row = &log(&h, id).await[0];
    assert_eq!((&row["state"], &row["last_error"]), (&json!("failed"), &json!("The webhook was disabled")));
    assert_eq!(receiver.calls().len(), 0);
    h.finish().await;
}

#[tokio::test]
async fn what_waits_for_three_days_is_given_up() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    send_test(&h, id).await;
    sqlx::query("delete from graphile_worker._private_jobs").execute(h.pool()).await.unwrap();
    sqlx::query("update webhook_deliveries set next_attempt_at = $1")
        .bind(h.now() + Duration::days(30))
        .execute(h.pool())
        .await
        .unwrap();
    h.advance(Duration::days(3));
    sweep(&h).await;
    assert_eq!(log(&h, id).await[0]["state"], "pending", "not a second too early");
    h.advance(Duration::seconds(1));
    sweep(&h).await;
    let row = &log(&h, id).await[0];
    let why = json!("It waited too long: the receiver takes less than it is told");
    assert_eq!((&row["state"], &row["last_error"], receiver.calls().len()), (&json!("failed"), &why, 0));
    h.finish().await;
}

#[tokio::test]
async fn a_change_is_not_lost_because_a_webhook_is_deleted_at_that_moment() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    let (_, suggestion) = h.ready_reply("Eighteen grams.").await;
    h.run_due().await;
    let mut deleting = h.pool().begin().await.unwrap();
    webhooks::delete(&mut deleting, &h.app.moment(), (h.team_id, id, h.user_id)).await.unwrap();
    let change = async {
        let mut tx = h.pool().begin().await.unwrap();
        let asked = Approve { version: Some(suggestion.state.version), ..approve_now() };
        let approved = approve::approve(&mut tx, &h.app.moment(), h.decision(&suggestion), asked).await.map(|_| ());
        tx.commit().await.unwrap();
        approved
    };
    let delete = async {
        let waits = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
        while !sqlx::query_scalar::<_, bool>(waits).fetch_one(h.pool()).await.unwrap() {
            tokio::task::yield_now().await;
        }
        deleting.commit().await.unwrap();
    };
    let (approved, ()) = tokio::join!(change, delete);
    approved.unwrap();
    h.run_due().await;
    assert_eq!(h.suggestion(suggestion.id).await.state.status, rejoinder_app::model::Status::Posted);
    h.finish().await;
}

#[tokio::test]
async fn a_notice_stays_until_the_webhook_is_enabled_again() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    receiver.answers(410, 1);
    send_test(&h, id).await;
    h.run_due().await;
    let (client, path) = (Client::signed_in(&h).await, format!("/api/webhook-endpoints/{id}"));
    assert_eq!(client.patch(&path, &json!({ "description": "Ours" })).await.0, 200);
    assert_eq!(notices(&h).await.len(), 1);
    assert_eq!(client.patch(&path, &json!({ "enabled": true })).await.0, 200);
    assert_eq!(notices(&h).await.len(), 0);
    h.finish().await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_opened_is_named_and_replaced() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    sqlx::query("update webhook_endpoints set secret = 'damaged'").execute(h.pool()).await.unwrap();
    send_test(&h, id).await;
    h.run_due().await;
    assert_eq!(log(&h, id).await[0]["last_error"], "The signing secret cannot be opened; rotate it.");
    let (status, answer) = ask(&h, Method::POST, &format!("/api/webhook-endpoints/{id}/rotate-secret")).await;
    assert_eq!((status, &answer["webhook"]["previous_secret_until"]), (200, &Value::Null));
    h.run_for(Duration::seconds(5)).await;
    let secret = SigningSecret::parse(answer["secret"].as_str().unwrap()).unwrap();
    assert!(receiver.calls().len() == 1 && receiver.calls()[0].is_signed_by(&secret));
    assert_eq!(webhook(&h, id).await["failing_since"], Value::Null);
    h.finish().await;
}
