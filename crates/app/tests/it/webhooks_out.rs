//! Webhooks that a team has us call, with a real receiver on the other side.

use crate::client::Client;
use crate::harness::{Harness, approve_now};
use crate::receiver::{Receiver, add, ask, log, notices, send_test, webhook, world};
use axum::http::Method;
use rejoinder_app::accounts::teams;
use rejoinder_app::clients::signatures::SigningSecret;
use rejoinder_app::flow::approve::{self, Approve};
use rejoinder_app::jobs;
use rejoinder_app::model::Role;
use rejoinder_app::webhooks::{GIVE_UP_AFTER, RETRIES, WebhookSweep};
use serde_json::{Value, json};
use time::Duration;

#[tokio::test]
async fn a_reply_is_told_from_the_comment_to_its_posting_signed_and_without_a_strangers_word() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, secret) = add(&h, &receiver.url(), &["*"]).await;
    let (_, item) = h.incoming("xyzzy-words-of-a-stranger").await;
    let draft = h.ask_for_draft(&item).await;
    h.approve(&draft).await.unwrap();
    h.run_due().await;
    let mut kinds = receiver.kinds();
    kinds.sort_unstable();
    let expected = [
        "item.changed",
        "item.created",
        "suggestion.approved",
        "suggestion.created",
        "suggestion.drafted",
        "suggestion.posted",
    ];
    assert_eq!(kinds, expected, "each once");
    for call in receiver.calls() {
        let body = call.json();
        assert!(call.is_signed_by(&secret), "{body}");
        assert_eq!(body["id"], call.header("webhook-id"));
        assert_eq!((&body["team_id"], &body["timestamp"]), (&json!(h.team_id), &json!("2026-03-02T09:00:00Z")));
        assert!(!call.body.contains("xyzzy"), "{body}");
        assert_eq!(call.header("content-type"), "application/json");
        assert!(!call.headers.contains_key("cookie") && !call.headers.contains_key("authorization"));
    }
    let posted = receiver.calls().into_iter().find(|call| call.kind() == "suggestion.posted").unwrap().json();
    assert_eq!(posted["data"]["suggestion_id"], json!(draft.id));
    assert_eq!(posted["data"]["status"], "posted");
    let entries = h.activity().await;
    assert!(entries.iter().any(|row| json!(row.id) == posted["id"] && row.kind == "reply.posted"), "the log's own id");
    let log = log(&h, id).await;
    assert_eq!(log.len(), 6);
    assert!(log.iter().all(|row| row["state"] == "delivered" && row["attempts"] == 1 && row["last_status"] == 204));
    h.finish().await;
}

#[tokio::test]
async fn only_what_was_asked_for_is_told_and_to_the_own_team_alone() {
    let (h, receiver, others) = (world().await, Receiver::start().await, Receiver::start().await);
    add(&h, &receiver.url(), &["suggestion.approved", "integration.paused"]).await;
    let moment = h.app.moment();
    let team = teams::NewTeam { id: moment.id(), member_id: moment.id(), owner_user_id: h.user_id, name: "Others" };
    let other_team = team.id;
    teams::create(&mut *h.conn().await, team, moment.now).await.unwrap();
    let path = format!("/api/teams/{other_team}/webhooks");
    let body = json!({ "url": others.url(), "event_types": ["*"] });
    assert_eq!(Client::signed_in(&h).await.post(&path, &body).await.0, 201);
    let (_, suggestion) = h.ready_reply("Eighteen grams.").await;
    h.approve(&suggestion).await.unwrap();
    h.run_due().await;
    assert_eq!(receiver.kinds(), ["suggestion.approved"]);
    let path = format!("/api/integrations/{}/pause", h.integration_id);
    assert_eq!(ask(&h, Method::POST, &path).await.0, 200);
    h.run_due().await;
    assert_eq!(receiver.kinds(), ["suggestion.approved", "integration.paused"]);
    assert_eq!(receiver.calls()[1].json()["data"]["integration_id"], json!(h.integration_id));
    assert_eq!(others.kinds(), [""; 0]);
    h.finish().await;
}

#[tokio::test]
async fn what_was_rolled_back_is_told_to_nobody() {
    let (h, receiver) = (world().await, Receiver::start().await);
    add(&h, &receiver.url(), &["*"]).await;
    let (_, suggestion) = h.ready_reply("Eighteen grams.").await;
    h.run_due().await;
    let before = receiver.calls().len();
    let mut tx = h.pool().begin().await.unwrap();
    let asked = Approve { version: Some(suggestion.state.version), ..approve_now() };
    approve::approve(&mut tx, &h.app.moment(), h.decision(&suggestion), asked).await.unwrap();
    let written: i64 =
        sqlx::query_scalar("select count(*) from webhook_deliveries where event_type = 'suggestion.approved'")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    assert_eq!(written, 1, "in the transaction of the change");
    tx.rollback().await.unwrap();
    h.run_due().await;
    assert_eq!(receiver.calls().len(), before);
    h.finish().await;
}

#[tokio::test]
async fn a_receiver_that_fails_is_called_again_in_growing_steps_and_then_left() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, secret) = add(&h, &receiver.url(), &["*"]).await;
    receiver.answers(500, RETRIES.len() + 1);
    send_test(&h, id).await;
    h.run_for(Duration::hours(28)).await;
    let calls = receiver.calls();
    let waits: Vec<Duration> = calls.windows(2).map(|two| two[1].sent_at() - two[0].sent_at()).collect();
    assert_eq!(waits, RETRIES);
    assert!(calls.iter().all(|call| call.body == calls[0].body && call.is_signed_by(&secret)), "signed anew each time");
    assert!(calls.iter().all(|call| call.header("webhook-id") == calls[0].header("webhook-id")));
    let row = &log(&h, id).await[0];
    assert_eq!((&row["state"], &row["attempts"], &row["last_status"]), (&json!("failed"), &json!(8), &json!(500)));
    assert_eq!(row["last_error"], "the receiver answered 500");
    assert_eq!(row["last_answer"], "as the receiver says");
    assert_eq!((webhook(&h, id).await["state"].as_str(), notices(&h).await.len()), (Some("enabled"), 0));
    // What comes later goes out all the same, and one success ends the count.
    send_test(&h, id).await;
    h.run_due().await;
    assert_eq!((receiver.calls().len(), &webhook(&h, id).await["failing_since"]), (9, &Value::Null));
    h.finish().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_called_again_and_the_team_is_told() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    receiver.answers(410, 1);
    send_test(&h, id).await;
    send_test(&h, id).await;
    h.run_due().await;
    assert_eq!(receiver.calls().len(), 1, "what waited is dropped");
    let stands = webhook(&h, id).await;
    assert_eq!((&stands["state"], &stands["state_reason"]), (&json!("disabled"), &json!("it answered 410 Gone")));
    let told = notices(&h).await;
    assert!(told.len() == 1 && told[0].contains("127.0.0.1") && !told[0].contains("of-the-receiver"), "{told:?}");
    assert!(h.story(id).await.contains(&"webhook.disabled".to_owned()));
    assert!(log(&h, id).await.iter().all(|row| row["state"] == "failed"));
    h.ready_reply("Nobody hears of it.").await;
    let (status, answer) = ask(&h, Method::POST, &format!("/api/webhook-endpoints/{id}/test")).await;
    assert_eq!((status, &answer["type"]), (409, &json!("/problems/disabled")));
    assert_eq!((receiver.calls().len(), log(&h, id).await.len()), (1, 2));

    let path = format!("/api/webhook-endpoints/{id}");
    let (status, answer) = Client::signed_in(&h).await.patch(&path, &json!({ "enabled": true })).await;
    assert_eq!((status, &answer["state"], &answer["state_reason"]), (200, &json!("enabled"), &Value::Null));
    assert_eq!(notices(&h).await.len(), 0);
    send_test(&h, id).await;
    h.run_due().await;
    assert_eq!(receiver.calls().len(), 2);
    h.finish().await;
}

#[tokio::test]
async fn after_five_days_without_a_success_a_receiver_is_left_alone() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    receiver.answers(503, 100);
    send_test(&h, id).await;
    h.run_for(GIVE_UP_AFTER - Duration::seconds(1)).await;
    send_test(&h, id).await;
    h.run_due().await;
    assert_eq!(webhook(&h, id).await["state"], "enabled", "not a second too early");
    h.run_for(Duration::seconds(5)).await;
    let stands = webhook(&h, id).await;
    assert_eq!(
        (&stands["state"], &stands["state_reason"]),
        (&json!("disabled"), &json!("it has taken nothing for five days"))
    );
    assert_eq!(notices(&h).await.len(), 1);
    h.finish().await;
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_leads_nowhere() {
    let (h, receiver, elsewhere) = (world().await, Receiver::start().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    for status in [301, 307] {
        receiver.plan.lock().unwrap().push_back((status, Some(elsewhere.url())));
    }
    send_test(&h, id).await;
    h.run_for(Duration::seconds(5)).await;
    assert_eq!((receiver.calls().len(), elsewhere.calls().len()), (2, 0));
    assert!(log(&h, id).await[0]["last_error"].as_str().unwrap().starts_with("307: a redirect, which is not followed"));
    h.run_for(Duration::minutes(5)).await;
    assert_eq!(log(&h, id).await[0]["state"], "delivered");
    h.finish().await;
}

#[tokio::test]
async fn one_slow_receiver_holds_up_itself_alone() {
    let (h, slow, quick) = (world().await, Receiver::slow().await, Receiver::start().await);
    let (slow_id, _) = add(&h, &slow.url(), &["*"]).await;
    let (quick_id, _) = add(&h, &quick.url(), &["*"]).await;
    let second_worker = h.another_worker(7).await;
    send_test(&h, slow_id).await;
    let while_slow = async {
        slow.came.notified().await;
        send_test(&h, quick_id).await;
        h.run_due_with(&second_worker).await;
        assert_eq!(quick.calls().len(), 1, "delivered while the other one is thinking");
        slow.gate.as_ref().unwrap().notify_one();
    };
    tokio::join!(h.run_due(), while_slow);
    assert_eq!(slow.calls().len(), 1);
    let queues: Vec<String> = [slow_id, quick_id].map(|id| format!("webhook:{id}")).to_vec();
    let serial: i64 =
        sqlx::query_scalar("select count(*) from graphile_worker._private_job_queues where queue_name = any($1)")
            .bind(&queues)
            .fetch_one(h.pool())
            .await
            .unwrap();
    assert_eq!(serial, 2, "and each has a queue of its own");
    h.finish().await;
}

#[tokio::test]
async fn for_a_day_both_secrets_sign() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, old) = add(&h, &receiver.url(), &["*"]).await;
    let (status, answer) = ask(&h, Method::POST, &format!("/api/webhook-endpoints/{id}/rotate-secret")).await;
    assert_eq!(status, 200);
    let new = SigningSecret::parse(answer["secret"].as_str().unwrap()).unwrap();
    send_test(&h, id).await;
    h.run_for(Duration::hours(24)).await;
    send_test(&h, id).await;
    h.run_due().await;
    let calls = receiver.calls();
    assert_eq!(calls.iter().map(|call| call.is_signed_by(&old)).collect::<Vec<_>>(), [true, false]);
    assert!(calls.iter().all(|call| call.is_signed_by(&new)));
    h.finish().await;
}

#[tokio::test]
async fn a_replay_carries_the_same_event_once_more() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    send_test(&h, id).await;
    h.run_due().await;
    let first = log(&h, id).await[0].clone();
    h.advance(Duration::hours(1));
    let path = format!("/api/webhook-deliveries/{}/replay", first["id"].as_str().unwrap());
    let (status, again) = ask(&h, Method::POST, &path).await;
    assert_eq!((status, &again["replay_of"], &again["state"]), (202, &first["id"], &json!("pending")));
    assert_ne!(again["id"], first["id"]);
    h.run_due().await;
    let calls = receiver.calls();
    assert_eq!((calls.len(), &calls[0].body), (2, &calls[1].body));
    assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
    assert_eq!(calls[1].sent_at() - calls[0].sent_at(), Duration::hours(1));
    h.finish().await;
}

#[tokio::test]
async fn webhooks_are_for_admins_of_the_team_and_a_secret_is_shown_once() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let list = format!("/api/teams/{}/webhooks", h.team_id);
    let body = json!({ "url": receiver.url(), "eventTypes": ["suggestion.posted", "suggestion.posted"], "description": "Ours" });
    let request = Client::signed_in(&h).await;
    let (status, made) = request.post(&list, &body).await;
    assert_eq!((status, &made["webhook"]["event_types"]), (201, &json!(["suggestion.posted"])));
    let secret = made["secret"].as_str().unwrap().to_owned();
    let one = format!("/api/webhook-endpoints/{}", made["webhook"]["id"].as_str().unwrap());
    send_test(&h, made["webhook"]["id"].as_str().unwrap().parse().unwrap()).await;
    h.run_due().await;
    let (_, page) = request.get(&format!("{one}/deliveries")).await;
    let replay = format!("/api/webhook-deliveries/{}/replay", page["items"][0]["id"].as_str().unwrap());

    let (stranger, editor) = (Client::stranger(&h).await, Client::with_role(&h, Role::Editor).await);
    for (method, path) in [
        (Method::GET, list.clone()),
        (Method::POST, list.clone()),
        (Method::GET, one.clone()),
        (Method::PATCH, one.clone()),
        (Method::DELETE, one.clone()),
        (Method::POST, format!("{one}/rotate-secret")),
        (Method::POST, format!("{one}/test")),
        (Method::POST, format!("{one}/replay")),
        (Method::GET, format!("{one}/deliveries")),
        (Method::POST, replay),
    ] {
        assert_eq!(stranger.ask(method.clone(), &path, "{}").await.0, 404, "{method} {path}");
        assert_eq!(editor.ask(method.clone(), &path, "{}").await.0, 403, "{method} {path}");
    }
    for answer in [request.get(&list).await.1, request.get(&one).await.1, page] {
        assert!(!answer.to_string().contains(&secret[6..]), "{answer}");
    }
    let stored: i64 = sqlx::query_scalar(
        "select count(*) from webhook_endpoints where position(convert_to($1, 'UTF8') in secret) > 0",
    )
    .bind(&secret)
    .fetch_one(h.pool())
    .await
    .unwrap();
    assert_eq!(stored, 0, "sealed");
    assert_eq!(ask(&h, Method::DELETE, &one).await.0, 204);
    assert_eq!(request.get(&one).await.0, 404);
    h.finish().await;
}

#[tokio::test]
async fn what_cannot_be_called_is_refused_with_the_field() {
    let h = Harness::unconnected(&[]).await;
    let (client, list) = (Client::signed_in(&h).await, format!("/api/teams/{}/webhooks", h.team_id));
    let good = "https://hooks.example.com/x";
    for url in [
        "http://hooks.example.com/x",
        "http://127.0.0.1:9/",
        "https://2130706433/",
        "https://[::ffff:127.0.0.1]/",
        "https://a:b@example.com/",
        "x",
    ] {
        let (status, answer) = client.post(&list, &json!({ "url": url, "event_types": ["*"] })).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (422, &json!("url")), "{url}");
    }
    for events in [json!([]), json!(["suggestion.exploded"]), json!(null)] {
        let (status, answer) = client.post(&list, &json!({ "url": good, "event_types": events })).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (422, &json!("event_types")), "{events}");
    }
    for number in 0..20 {
        let body = json!({ "url": format!("{good}/{number}"), "event_types": ["*"] });
        assert_eq!(client.post(&list, &body).await.0, 201);
    }
    let (status, answer) = client.post(&list, &json!({ "url": good, "event_types": ["*"] })).await;
    assert_eq!((status, &answer["type"]), (409, &json!("/problems/full")));
    h.finish().await;
}

#[tokio::test]
async fn an_address_that_was_allowed_once_is_checked_again_at_each_call() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    send_test(&h, id).await;
    let strict = crate::harness::config(&h.base_url, &[]);
    let worker = h.worker_with(strict, 7).await;
    h.run_due_with(&worker).await;
    assert_eq!(receiver.calls().len(), 0);
    let why = log(&h, id).await[0]["last_error"].as_str().unwrap().to_owned();
    assert!(why.starts_with("not called: the address leads into a private network"), "{why}");
    h.run_for(Duration::seconds(5)).await;
    assert_eq!(receiver.calls().len(), 1);
    h.finish().await;
}

#[tokio::test]
async fn a_call_whose_job_or_process_died_is_found_and_old_ones_are_forgotten() {
    let (h, receiver) = (world().await, Receiver::start().await);
    let (id, _) = add(&h, &receiver.url(), &["*"]).await;
    send_test(&h, id).await;
    // Claimed by a process that died, and its job is gone.
    sqlx::query("delete from graphile_worker._private_jobs").execute(h.pool()).await.unwrap();
    sqlx::query("update webhook_deliveries set attempts = 1, next_attempt_at = $1")
        .bind(h.now() + Duration::seconds(60))
        .execute(h.pool())
        .await
        .unwrap();
    let sweep = async || {
        jobs::enqueue(&mut *h.conn().await, &WebhookSweep {}, h.now()).await.unwrap();
        h.run_due().await;
    };
    sweep().await;
    assert_eq!(receiver.calls().len(), 0, "it may be under way");
    h.advance(Duration::minutes(3));
    sweep().await;
    assert_eq!((receiver.calls().len(), log(&h, id).await.len()), (1, 1));
    h.advance(Duration::days(30));
    sweep().await;
    assert_eq!(log(&h, id).await.len(), 0);
    h.finish().await;
}
