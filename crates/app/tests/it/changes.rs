//! A person changes or takes down a reply that stands on the platform: done once, seen there, told truly; while sending is
//! paused it waits.

use crate::client::Client;
use crate::harness::{BRAND, Harness};
use crate::pages::Browser;
use axum::http::StatusCode;
use rejoinder_app::accounts::integrations;
use rejoinder_app::flow::send::{self, SwitchScope, Switches};
use rejoinder_app::flow::suggestion::Suggestion;
use rejoinder_app::model::{Role, Stage, Status};
use rejoinder_sandbox::{HoldPoint, WriteFault};
use serde_json::{Value, json};
use time::Duration;

const TEXT: &str = "Two clicks finer, then taste again.";
const NEW: &str = "Two clicks coarser, sorry. Then taste again.";
const SETTLED: Duration = Duration::minutes(4);

/// A reply that stands there.
async fn posted() -> (Harness, String, Suggestion) {
    posted_with(&[]).await
}

async fn posted_with(settings: &[(&str, &str)]) -> (Harness, String, Suggestion) {
    let h = Harness::with(settings).await;
    let (comment, queued) = h.queued_reply(TEXT).await;
    h.run_due().await;
    assert_eq!(h.stands(&queued).await, (Status::Posted, Stage::Done));
    (h, comment, queued)
}

fn unpublish(suggestion: &Suggestion) -> String {
    format!("/api/suggestions/{}/unpublish", suggestion.id)
}

fn revise(suggestion: &Suggestion) -> String {
    format!("/api/suggestions/{}/revise", suggestion.id)
}

/// How many times each way of changing was called.
fn calls(h: &Harness, path: &str) -> u64 {
    let requests = h.platform.requests();
    requests.iter().filter(|(route, _)| route.ends_with(path)).map(|(_, count)| count).sum()
}

async fn told(h: &Harness, suggestion: &Suggestion) -> Value {
    let (status, told) = Client::signed_in(h).await.get(&format!("/api/suggestions/{}", suggestion.id)).await;
    assert_eq!(status, 200, "{told}");
    told
}

async fn story(h: &Harness, suggestion: &Suggestion) -> Vec<String> {
    let path = format!("/api/suggestions/{}/story", suggestion.id);
    let (_, told) = Client::signed_in(h).await.get(&path).await;
    told["steps"].as_array().unwrap().iter().map(|step| step["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_posted_reply_is_taken_down_and_its_text_may_be_answered_again() {
    let (h, comment, sent) = posted().await;
    let editor = Client::with_role(&h, Role::Editor).await;
    let (status, asked) = editor.post(&unpublish(&sent), &json!({})).await;
    assert_eq!((status, &asked["kind"], &asked["state"]), (202, &json!("delete"), &json!("waiting")), "{asked}");
    let again = editor.post(&unpublish(&sent), &json!({})).await;
    assert_eq!((again.0, &again.1["id"]), (202, &asked["id"]), "the same wish is the same change");
    let other = editor.post(&revise(&sent), &json!({ "text": NEW })).await;
    assert_eq!((other.0, &other.1["type"]), (409, &json!("/problems/change-open")));
    h.run_due().await;
    assert!(h.replies_under(&comment)[0].deleted, "gone on the platform");
    let now = told(&h, &sent).await;
    assert_eq!((&now["reply"]["standing"], &now["actions"][0]["state"]), (&json!("unpublished"), &json!("done")));
    assert_eq!((calls(&h, "/api/del"), h.slots().await), (1, 0));
    let steps = story(&h, &sent).await;
    for words in ["editor wants the reply taken down", "Rejoinder took the reply down"] {
        assert!(steps.iter().any(|step| step == words), "{words}: {steps:?}");
    }
    let gone = editor.post(&unpublish(&sent), &json!({})).await;
    assert_eq!((gone.0, &gone.1["type"]), (409, &json!("/problems/not-there")));

    let item = h.item_of(&comment).await.unwrap();
    let second = h.write_reply(&item, NEW).await;
    h.approve(&second).await.unwrap();
    h.run_due().await;
    assert_eq!(h.stands(&second).await, (Status::Posted, Stage::Done));
    h.finish().await;
}

#[tokio::test]
async fn a_posted_reply_gets_other_words_and_the_suggestion_keeps_what_was_approved() {
    let (h, comment, sent) = posted().await;
    let client = Client::signed_in(&h).await;
    for (body, code) in [
        (json!({ "text": "  " }), "invalid-field"),
        (json!({ "text": TEXT }), "same-text"),
        (json!({ "text": "See https://elsewhere.example/x" }), "held"),
    ] {
        let (status, answer) = client.post(&revise(&sent), &body).await;
        assert!(status == 409 || status == 422, "{answer}");
        assert_eq!(answer["type"], json!(format!("/problems/{code}")), "{answer}");
    }
    let (status, answer) = client.post(&revise(&sent), &json!({ "text": NEW })).await;
    assert_eq!(status, 202, "{answer}");
    h.run_due().await;
    assert_eq!((h.our_texts(&comment), calls(&h, "/api/editusertext")), (vec![NEW.to_owned()], 1));
    let now = told(&h, &sent).await;
    assert_eq!((&now["text"], &now["reply"]["text"]), (&json!(TEXT), &json!(NEW)));
    assert!(story(&h, &sent).await.iter().any(|step| step == "Rejoinder changed the reply on the platform"));

    let linked = "See https://elsewhere.example/x";
    let seen = json!({ "text": linked, "held_seen": true });
    assert_eq!(client.post(&revise(&sent), &seen).await.0, 202, "a person who saw why may");
    h.run_due().await;
    assert_eq!(h.our_texts(&comment), [linked]);
    h.finish().await;
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_read_back_and_not_made_twice() {
    for fault in [WriteFault::DoneThenServerError, WriteFault::DoneThenDropped] {
        let (h, comment, sent) = posted().await;
        let client = Client::signed_in(&h).await;
        client.post(&unpublish(&sent), &json!({})).await;
        h.platform.plan_write(vec![fault.clone()]);
        h.run_for(SETTLED).await;
        assert!(h.replies_under(&comment)[0].deleted);
        assert_eq!(
            (calls(&h, "/api/del"), &told(&h, &sent).await["actions"][0]["state"]),
            (1, &json!("done")),
            "{fault:?}"
        );
        h.finish().await;
    }
}

#[tokio::test]
async fn a_change_that_never_landed_counts_as_not_made_and_is_not_repeated_by_itself() {
    let (h, comment, sent) = posted().await;
    let client = Client::signed_in(&h).await;
    client.post(&revise(&sent), &json!({ "text": NEW })).await;
    h.platform.plan_write(vec![WriteFault::DroppedBefore]);
    h.run_for(Duration::seconds(30)).await;
    assert_eq!(told(&h, &sent).await["actions"][0]["state"], json!("uncertain"), "while it could still land");
    h.run_for(SETTLED).await;
    let now = told(&h, &sent).await;
    assert_eq!(now["actions"][0]["state"], json!("not_done"));
    assert!(now["actions"][0]["reason"].as_str().unwrap().contains("stands there as it was"), "{now}");
    assert_eq!((h.our_texts(&comment), calls(&h, "/api/editusertext")), (vec![TEXT.to_owned()], 1));
    assert_eq!(client.post(&revise(&sent), &json!({ "text": NEW })).await.0, 202, "a person asks again");
    h.run_due().await;
    assert_eq!(h.our_texts(&comment), [NEW]);
    h.finish().await;
}

#[tokio::test]
async fn a_dead_token_and_a_rate_limit_only_delay_a_change_and_a_refusal_ends_it() {
    let (h, comment, sent) = posted().await;
    let client = Client::signed_in(&h).await;
    client.post(&revise(&sent), &json!({ "text": NEW })).await;
    h.platform.plan_write(vec![WriteFault::TokenExpired, WriteFault::RateLimited { secs: 120 }]);
    h.run_for(Duration::minutes(5)).await;
    assert_eq!(h.our_texts(&comment), [NEW]);
    client.post(&unpublish(&sent), &json!({})).await;
    h.platform.plan_write(vec![WriteFault::Refuse { code: "SOMETHING_NEW".to_owned() }]);
    h.run_for(SETTLED).await;
    let now = told(&h, &sent).await;
    let last = now["actions"].as_array().unwrap().last().unwrap();
    assert_ne!(last["state"], json!("waiting"), "{last}");
    h.finish().await;
}

#[tokio::test]
async fn what_is_asked_for_while_sending_is_paused_waits_for_the_switch_and_is_made_once() {
    for which in 0..3 {
        let (h, comment, sent) = posted().await;
        let client = Client::signed_in(&h).await;
        let scope = match which {
            0 => SwitchScope::Instance,
            1 => SwitchScope::Team(h.team_id),
            _ => SwitchScope::Integration { team_id: h.team_id, id: h.integration_id },
        };
        let switches = || Switches::from(&h.app);
        // Asked for before, armed after the switch was turned.
        assert_eq!(client.post(&revise(&sent), &json!({ "text": NEW })).await.0, 202);
        switches().pause(scope, None, Some("trouble")).await.unwrap();
        h.run_for(Duration::seconds(40)).await;
        let parked = told(&h, &sent).await["actions"][0].clone();
        assert_eq!(parked["state"], json!("waiting"), "{parked}");
        assert!(parked["reason"].as_str().unwrap().contains(": trouble"), "{parked}");
        // Asked for while it stands: the earlier wish gives way.
        let (status, asked) = client.post(&unpublish(&sent), &json!({})).await;
        assert_eq!((status, &asked["state"]), (202, &json!("waiting")), "{asked}");
        assert_eq!(told(&h, &sent).await["actions"][0]["state"], json!("not_done"));
        h.advance(Duration::hours(3));
        h.sweep().await;
        assert_eq!((calls(&h, "/api/del"), h.our_texts(&comment)), (0, vec![TEXT.to_owned()]));
        switches().resume(scope, None).await.unwrap();
        h.run_due().await;
        assert!(h.replies_under(&comment)[0].deleted);
        assert_eq!((calls(&h, "/api/del"), calls(&h, "/api/editusertext")), (1, 0));
        h.finish().await;
    }
}

#[tokio::test]
async fn a_change_that_waited_a_day_is_not_made_any_more_and_a_dry_run_makes_none() {
    let (h, comment, sent) = posted().await;
    let client = Client::signed_in(&h).await;
    let scope = SwitchScope::Team(h.team_id);
    Switches::from(&h.app).pause(scope, None, None).await.unwrap();
    assert_eq!(client.post(&unpublish(&sent), &json!({})).await.0, 202);
    h.advance(Duration::hours(25));
    h.sweep().await;
    Switches::from(&h.app).resume(scope, None).await.unwrap();
    h.run_due().await;
    let last = told(&h, &sent).await["actions"][0].clone();
    assert_eq!((&last["state"], &last["reason"]), (&json!("not_done"), &json!("it could not be made within a day")));

    // Later than the other, of which the last is looked at.
    assert_eq!(client.post(&unpublish(&sent), &json!({})).await.0, 202);
    let dry = crate::harness::config(&h.base_url, &[("DRY_RUN", "true")]);
    let worker = h.worker_with(dry, 7).await;
    h.run_due_with(&worker).await;
    assert_eq!((calls(&h, "/api/del"), h.our_texts(&comment)), (0, vec![TEXT.to_owned()]));
    let now = told(&h, &sent).await;
    assert!(now["actions"].as_array().unwrap().last().unwrap()["reason"].as_str().unwrap().contains("dry run"));
    h.finish().await;
}

#[tokio::test]
async fn only_what_was_posted_can_be_changed_and_only_by_editors() {
    let h = Harness::start().await;
    let (_, ready) = h.ready_reply(TEXT).await;
    let client = Client::signed_in(&h).await;
    let viewer = Client::with_role(&h, Role::Viewer).await;
    for (path, body) in [(unpublish(&ready), json!({})), (revise(&ready), json!({ "text": NEW }))] {
        let (status, answer) = client.post(&path, &body).await;
        assert_eq!((status, &answer["type"]), (409, &json!("/problems/not-posted")), "{answer}");
        assert_eq!(viewer.post(&path, &body).await.0, 403);
    }
    h.finish().await;
}

#[tokio::test]
async fn a_change_left_by_a_dead_worker_is_read_back_and_a_lost_job_is_found() {
    let (h, comment, sent) = posted().await;
    let client = Client::signed_in(&h).await;
    client.post(&unpublish(&sent), &json!({})).await;
    sqlx::query("delete from graphile_worker._private_jobs").execute(h.pool()).await.unwrap();
    h.advance(Duration::seconds(30));
    h.sweep().await;
    assert!(h.replies_under(&comment)[0].deleted, "the sweep found it");
    h.finish().await;

    let (h, comment, sent) = posted().await;
    let client = Client::signed_in(&h).await;
    client.post(&unpublish(&sent), &json!({})).await;
    // Armed by a worker that is gone, its call done.
    sqlx::query(
        "update platform_actions set state = 'uncertain', tries = 1, armed_at = $1, worker_id = gen_random_uuid()",
    )
    .bind(h.now())
    .execute(h.pool())
    .await
    .unwrap();
    h.platform.delete_comment(&h.replies_under(&comment)[0].fullname);
    h.run_due().await;
    assert_eq!((calls(&h, "/api/del"), &told(&h, &sent).await["actions"][0]["state"]), (0, &json!("done")));
    h.finish().await;
}

#[tokio::test]
async fn whoever_pauses_waits_for_a_change_under_way_too() {
    let (h, comment, sent) = posted().await;
    Client::signed_in(&h).await.post(&unpublish(&sent), &json!({})).await;
    let scope = SwitchScope::Team(h.team_id);
    let hold = h.platform.hold_writes_at(HoldPoint::BeforeEffect);
    let stop = async {
        hold.write_arrived().await;
        let app = h.app.clone();
        let pausing = tokio::spawn(async move { Switches::from(&app).pause(scope, None, None).await.unwrap() });
        until_it_stands(&h, scope).await;
        assert!(!pausing.is_finished(), "the call is under way");
        hold.release();
        pausing.await.unwrap()
    };
    let (_, paused) = tokio::join!(h.run_due(), stop);
    assert_eq!((paused.in_flight, paused.still_running), (1, 0));
    assert!(h.replies_under(&comment)[0].deleted);
    h.run_due().await;
    h.finish().await;
}

/// Looks again and again; a test that waits in vain is red.
async fn until_it_stands(h: &Harness, scope: SwitchScope) {
    let began = std::time::Instant::now();
    while send::standing(&mut *h.conn().await, scope).await.unwrap().is_none() {
        assert!(began.elapsed().as_secs() < 20, "waited in vain");
    }
}

#[tokio::test]
async fn the_page_shows_what_stands_there_and_changes_it_without_scripts() {
    let (h, comment, sent) = posted().await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let item = format!("/dashboard/inbox?filter=all&item={}&step=draft", sent.item_id);
    let page = browser.get(&item).await;
    assert!(page.html.contains("Delete the reply on Reddit") && page.html.contains("Change the reply on Reddit"));
    let held = browser
        .post(&format!("/dashboard/suggestions/{}/revise", sent.id), &[("text", "See https://elsewhere.example/x")])
        .await;
    assert_eq!(held.status, StatusCode::CONFLICT);
    assert!(held.html.contains("name=\"held_seen\"") && held.html.contains("See https://elsewhere.example/x"));
    let done = browser.post(&format!("/dashboard/suggestions/{}/unpublish", sent.id), &[]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert!(browser.get(&item).await.html.contains("Being taken down from Reddit, as Ana Lima wished."));
    h.run_due().await;
    let page = browser.get(&item).await;
    assert!(page.html.contains("Taken down from Reddit by Ana Lima."), "{}", page.html);
    assert!(h.replies_under(&comment).iter().all(|reply| reply.deleted && reply.author == BRAND));
    let account = integrations::load(&mut *h.conn().await, h.team_id, h.integration_id).await.unwrap().unwrap();
    assert!(account.is_connected());
    h.finish().await;
}
