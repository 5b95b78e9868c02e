//! Where nobody can find out what became of a reply, a person says what they saw; before that nothing is sent again, and an
//! address counts only when our reply stands there.

use crate::client::Client;
use crate::harness::{BRAND, Harness};
use crate::pages::Browser;
use axum::http::StatusCode;
use rejoinder_app::accounts::integrations;
use rejoinder_app::flow::send::{self, ResolveError, Seen};
use rejoinder_app::flow::suggestion::{ChangeError, Suggestion};
use rejoinder_app::model::{Role, Stage, Status};
use rejoinder_sandbox::{ReadFault, WriteFault};
use serde_json::{Value, json};
use time::Duration;

const UNCERTAIN: (Status, Stage) = (Status::Approved, Stage::Uncertain);
const POSTED: (Status, Stage) = (Status::Posted, Stage::Done);

/// A reply that stands on the platform while nobody here knows it. No job has read the platform back.
async fn in_doubt() -> (Harness, String, Suggestion) {
    let h = Harness::start().await;
    let (comment, queued) = h.queued_reply("Ours, perhaps.").await;
    h.platform.plan_write(vec![WriteFault::DoneThenDropped]);
    h.run_due().await;
    assert_eq!((h.stands(&queued).await, h.our_texts(&comment).len()), (UNCERTAIN, 1));
    (h, comment, queued)
}

/// The same, late enough for a person to decide.
async fn in_doubt_for_long() -> (Harness, String, Suggestion) {
    let all = in_doubt().await;
    all.0.advance(Duration::minutes(5));
    all
}

async fn disconnect(h: &Harness) {
    let integration = h.integration().await;
    let mut tx = h.pool().begin().await.unwrap();
    integrations::disconnect(&mut tx, &h.app.moment(), &integration, None).await.unwrap();
    tx.commit().await.unwrap();
}

/// The address of a comment as the browser shows it.
fn address(h: &Harness, comment: &str) -> String {
    let (post, comment) = (h.post.trim_start_matches("t3_"), comment.trim_start_matches("t1_"));
    format!("https://www.reddit.com/r/espresso/comments/{post}/our_new_grinder/{comment}/?context=3")
}

fn address_of_ours(h: &Harness, target: &str) -> String {
    address(h, &h.replies_under(target)[0].fullname)
}

async fn resolve(h: &Harness, suggestion: &Suggestion, seen: Seen) -> Result<Suggestion, ResolveError> {
    send::resolve(&h.app, h.decision(suggestion), seen).await
}

fn code(result: Result<Suggestion, ResolveError>) -> &'static str {
    match result {
        Err(ResolveError::Change(ChangeError::Refused(refusal))) => refusal.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// What the API says to it: the status, the field and the words.
async fn told(client: &Client, suggestion: &Suggestion, body: Value) -> (u16, Value, String) {
    let (status, answer) = client.post(&format!("/api/suggestions/{}/resolve", suggestion.id), &body).await;
    (status, answer["errors"][0]["field"].clone(), answer["detail"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_person_who_found_it_settles_it_as_posted_under_its_platform_id() {
    let (h, comment, queued) = in_doubt_for_long().await;
    let ours = h.replies_under(&comment)[0].fullname.clone();
    let path = format!("/api/suggestions/{}/resolve", queued.id);
    let (status, answer) =
        Client::signed_in(&h).await.post(&path, &json!({ "found": address(&h, &ours), "absent": false })).await;
    assert_eq!((status, &answer["status"], &answer["platform_reply_id"]), (200, &json!("posted"), &json!(ours)));
    let link = answer["platform_reply_url"].as_str().unwrap();
    assert!(link.starts_with(&h.base_url.origin().ascii_serialization()) && link.contains(&ours[3..]), "{link}");
    assert_eq!(h.attempts(&queued).await[0].platform_reply_id.as_ref(), Some(&ours));
    let story = h.activity().await;
    assert!(story.iter().any(|row| row.kind == "reply.posted" && row.actor_name.as_deref() == Some("Ana Lima")));
    h.run_for(Duration::hours(2)).await;
    assert_eq!((h.our_texts(&comment).len(), h.slots().await, h.write_requests()), (1, 1, 1));
    h.finish().await;
}

#[tokio::test]
async fn an_address_of_anything_but_our_reply_to_the_target_is_refused_with_what_stands_there() {
    let (h, comment, queued) = in_doubt_for_long().await;
    let client = Client::signed_in(&h).await;
    let elsewhere = h.platform.add_comment(BRAND, &h.stranger_comments("Another one"), "Ours, elsewhere.");
    let deleted = h.platform.add_comment(BRAND, &comment, "Ours, gone.");
    h.platform.delete_comment(&deleted);
    let (thread, _) =
        address(&h, "t1_x").rsplit_once("x/").map(|(thread, rest)| (thread.to_owned(), rest.to_owned())).unwrap();
    for (found, said) in [
        (address(&h, &comment), "by u/curious_cat, not by u/brassfinch"),
        (address(&h, &elsewhere), "of u/brassfinch that answers something else"),
        (address(&h, &deleted), "was deleted"),
        (address(&h, "t1_zzzzzz"), "leads to no comment"),
        (thread, "that of the whole thread"),
        ("https://www.reddit.com/r/espresso/s/AbCdEf".to_owned(), "is a share link"),
        ("https://evil.example/r/x/comments/1/t/2/".to_owned(), "is not on Reddit"),
        ("the reply".to_owned(), "is no web address"),
        ("javascript:alert(1)".to_owned(), "is no web address"),
        (String::new(), "is no web address"),
    ] {
        let (status, field, words) = told(&client, &queued, json!({ "found": found })).await;
        assert_eq!((status, &field), (422, &json!("found")), "{found}: {words}");
        assert!(words.contains(said), "{found}: {words}");
    }
    assert_eq!((h.stands(&queued).await, h.slots().await), (UNCERTAIN, 1));
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn one_of_both_answers_must_be_given() {
    let (h, comment, queued) = in_doubt_for_long().await;
    let client = Client::signed_in(&h).await;
    let found = address_of_ours(&h, &comment);
    for (body, wrong) in [
        (json!({}), "found"),
        (json!({ "absent": false }), "found"),
        (json!({ "found": null }), "found"),
        (json!({ "found": found, "absent": true }), "absent"),
        (json!({ "found": 7 }), "found"),
        (json!({ "found": found, "when": "now" }), "when"),
    ] {
        let (status, field, words) = told(&client, &queued, body.clone()).await;
        assert_eq!((status, field), (422, json!(wrong)), "{body}: {words}");
    }
    assert_eq!(h.stands(&queued).await, UNCERTAIN);
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn only_an_editor_of_the_team_decides() {
    let (h, comment, queued) = in_doubt_for_long().await;
    let body = json!({ "found": address_of_ours(&h, &comment) });
    for (client, expected) in [(Client::with_role(&h, Role::Viewer).await, 403), (Client::stranger(&h).await, 404)] {
        assert_eq!(told(&client, &queued, body.clone()).await.0, expected);
        assert_eq!(told(&client, &queued, json!({ "absent": true })).await.0, expected);
    }
    assert_eq!(h.stands(&queued).await, UNCERTAIN);
    assert_eq!(told(&Client::with_role(&h, Role::Editor).await, &queued, body).await.0, 200);
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn not_there_frees_the_target_and_asks_for_a_new_approval() {
    let (h, _comment, queued) = in_doubt().await;
    disconnect(&h).await;
    h.run_for(Duration::minutes(5)).await;
    assert_eq!(h.stands(&queued).await, UNCERTAIN);
    let (status, _, words) = told(&Client::signed_in(&h).await, &queued, json!({ "absent": true })).await;
    assert_eq!(status, 200, "{words}");
    assert_eq!((h.stands(&queued).await, h.slots().await), ((Status::Pending, Stage::Ready), 0));
    h.finish().await;
}

#[tokio::test]
async fn an_address_that_nobody_can_read_changes_nothing() {
    let (h, comment, queued) = in_doubt_for_long().await;
    let client = Client::signed_in(&h).await;
    let body = json!({ "found": address_of_ours(&h, &comment) });
    h.platform.plan_reads(vec![ReadFault::Status { code: 503 }]);
    let (status, _, words) = told(&client, &queued, body.clone()).await;
    assert!(status == 503 && words.contains("Reddit cannot be read right now"), "{status} {words}");
    assert_eq!(h.stands(&queued).await, UNCERTAIN);

    disconnect(&h).await;
    let (status, _, words) = told(&client, &queued, body).await;
    assert!(status == 409 && words.contains("Connect the account again"), "{status} {words}");
    assert_eq!(h.stands(&queued).await, UNCERTAIN);
    h.run_for(Duration::minutes(1)).await;
    h.finish().await;
}

#[tokio::test]
async fn a_token_that_ended_meanwhile_is_renewed_for_the_look() {
    let (h, comment, queued) = in_doubt_for_long().await;
    h.platform.expire_tokens();
    let body = json!({ "found": address_of_ours(&h, &comment) });
    let (status, _, words) = told(&Client::signed_in(&h).await, &queued, body).await;
    assert_eq!(status, 200, "{words}");
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn while_the_platform_may_still_show_it_nobody_decides() {
    let (h, comment, queued) = in_doubt().await;
    let client = Client::signed_in(&h).await;
    for body in [json!({ "absent": true }), json!({ "found": address_of_ours(&h, &comment) })] {
        let (status, _, words) = told(&client, &queued, body).await;
        assert!(status == 409 && words.contains("may still show it"), "{status} {words}");
    }
    assert_eq!(code(resolve(&h, &queued, Seen::Absent).await), "still-settling");
    assert_eq!(h.stands(&queued).await, UNCERTAIN);
    h.run_for(Duration::seconds(5)).await;
    assert_eq!(h.stands(&queued).await, POSTED);
    h.finish().await;
}

#[tokio::test]
async fn what_is_not_in_doubt_cannot_be_resolved() {
    let h = Harness::start().await;
    let (_comment, queued) = h.queued_reply("Plain.").await;
    assert_eq!(code(resolve(&h, &queued, Seen::Absent).await), "not-uncertain");
    h.run_due().await;
    let requests = h.platform.requests();
    let (status, _, words) =
        told(&Client::signed_in(&h).await, &queued, json!({ "found": "https://www.reddit.com/r/x/comments/1/t/2/" }))
            .await;
    assert!(status == 409 && words.contains("not in doubt"), "{status} {words}");
    assert_eq!(h.platform.requests(), requests, "nobody was asked for it");
    h.finish().await;
}

/// The machine and a person may come to it at once: one of them settles it.
#[tokio::test]
async fn a_reply_that_the_machine_found_first_is_not_settled_twice() {
    let (h, comment, queued) = in_doubt_for_long().await;
    let seen = Seen::found(&address_of_ours(&h, &comment)).unwrap();
    let (by_person, _) = tokio::join!(resolve(&h, &queued, seen.clone()), h.run_due());
    if let Err(error) = by_person {
        assert!(matches!(error, ResolveError::Change(ChangeError::Refused(_))), "{error:?}");
    }
    // A job that met the person's transaction has put itself off for a second.
    h.run_for(Duration::seconds(2)).await;
    assert_eq!(h.stands(&queued).await, POSTED);
    let posted = h.story(queued.id).await.into_iter().filter(|kind| kind == "reply.posted").count();
    assert_eq!(posted, 1);
    assert_eq!(code(resolve(&h, &queued, seen).await), "not-uncertain");
    h.finish().await;
}

#[tokio::test]
async fn the_form_says_the_same_and_keeps_the_address() {
    let (h, comment, queued) = in_doubt_for_long().await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let page = format!("/dashboard/inbox?filter=all&item={}&step=draft", queued.item_id);
    assert!(browser.get(&page).await.html.contains("I looked on Reddit myself"));
    let path = format!("/dashboard/suggestions/{}/resolve", queued.id);
    let wrong = address(&h, &comment);
    for (fields, status, said) in [
        ([("seen", "found"), ("permalink", wrong.as_str())], 422, "leads to a comment by u/curious_cat"),
        ([("seen", "found"), ("permalink", "")], 422, "The address is no web address"),
        ([("seen", ""), ("permalink", "here")], 422, "The address is no web address"),
    ] {
        for pane in [browser.post(&path, &fields).await, browser.post_by_htmx(&path, &fields).await] {
            assert_eq!(pane.status.as_u16(), status);
            assert!(pane.html.contains(said), "{fields:?}");
            assert!(pane.html.contains("<details class=\"resolve\" open>"), "the form stays open");
            assert!(pane.html.contains(&format!("value=\"{}\"", fields[1].1)), "what was typed stays");
        }
    }
    h.platform.plan_reads(vec![ReadFault::Status { code: 503 }]);
    let right = address_of_ours(&h, &comment);
    let unread = browser.post_by_htmx(&path, &[("seen", "found"), ("permalink", &right)]).await;
    assert!(unread.status == StatusCode::CONFLICT && unread.html.contains("cannot be read right now"));
    assert_eq!(h.stands(&queued).await, UNCERTAIN);

    let done = browser.post(&path, &[("seen", "found"), ("permalink", &right)]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert!(browser.get(&done.location).await.html.contains("See it on Reddit"));
    let again = browser.post_by_htmx(&path, &[("seen", "absent")]).await;
    assert!(again.status == StatusCode::CONFLICT && again.html.contains("not in doubt"));
    assert_eq!(h.stands(&queued).await, POSTED);
    h.run_due().await;
    h.finish().await;
}

#[tokio::test]
async fn a_viewer_has_no_form_and_may_not_send_one() {
    let (h, _comment, queued) = in_doubt_for_long().await;
    sqlx::query("update team_members set role = 'viewer'").execute(h.pool()).await.unwrap();
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let page = browser.get(&format!("/dashboard/inbox?filter=all&item={}&step=draft", queued.item_id)).await;
    assert!(page.html.contains("Ours, perhaps.") && !page.html.contains("/resolve"));
    let refused = browser.post(&format!("/dashboard/suggestions/{}/resolve", queued.id), &[("seen", "absent")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(h.stands(&queued).await, UNCERTAIN);
    h.run_due().await;
    h.finish().await;
}
