//! A team learns what it must know, once, and no longer than it holds.

use crate::client::Client;
use crate::harness::{BRAND, Harness};
use rejoinder_app::accounts::integrations;
use rejoinder_app::coord::events::{Event, Kind, Message};
use rejoinder_app::flow::activity::Subject;
use rejoinder_app::flow::notices::{self, Notice, Which};
use rejoinder_app::model::{NoticeKind, PauseCause, Role};
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

async fn raise(h: &Harness, kind: NoticeKind, subject: Uuid, text: &str) {
    let notice = Notice { kind, subject: Subject::Suggestion(subject), text: text.to_owned() };
    notices::raise(&mut *h.conn().await, &h.app.moment(), h.team_id, notice).await.unwrap();
}

async fn open(h: &Harness) -> Vec<(NoticeKind, String)> {
    let rows = notices::list(&mut *h.conn().await, h.team_id, Which::Open, None, 100).await.unwrap();
    rows.into_iter().map(|row| (row.kind(), row.text)).collect()
}

async fn pause(h: &Harness, reason: &str) {
    let integration = h.integration().await;
    let cause = PauseCause::Failures;
    integrations::pause(&mut *h.conn().await, &h.app.moment(), &integration, None, cause, Some(reason)).await.unwrap();
}

#[tokio::test]
async fn a_cause_that_repeats_itself_is_told_once_and_in_its_last_words() {
    let h = Harness::start().await;
    let subject = Uuid::from_u128(7);
    let mut heard = h.app.events.subscribe(h.team_id);
    for text in ["Nobody knows.", "Nobody knows.", "Still nobody knows."] {
        raise(&h, NoticeKind::SendUnknown, subject, text).await;
    }
    assert_eq!(open(&h).await, [(NoticeKind::SendUnknown, "Still nobody knows.".to_owned())]);
    raise(&h, NoticeKind::SendUnknown, Uuid::from_u128(8), "Another one.").await;
    assert_eq!(notices::count_open(&mut *h.conn().await, h.team_id).await.unwrap(), 2);
    let mut hints = Vec::new();
    while hints.len() < 3 {
        // What the harness did before may still be on its way.
        if let Some(Message::Event(Event { kind: Kind::Notice, object_id, .. })) = heard.next().await {
            hints.push(object_id);
        }
    }
    assert_eq!(hints[0], hints[1], "the same words again announce nothing");
    assert_ne!(hints[1], hints[2]);

    let (moment, kind) = (h.app.moment(), NoticeKind::SendUnknown);
    notices::resolve(&mut *h.conn().await, &moment, h.team_id, kind, subject).await.unwrap();
    assert_eq!(open(&h).await, [(kind, "Another one.".to_owned())]);
    raise(&h, kind, subject, "Again.").await;
    assert_eq!(open(&h).await.len(), 2, "a new cause is a new notice");
    h.finish().await;
}

#[tokio::test]
async fn what_a_person_put_aside_stays_so_until_the_cause_comes_back() {
    let h = Harness::start().await;
    let client = Client::signed_in(&h).await;
    let list = format!("/api/teams/{}/notices", h.team_id);
    pause(&h, "5 failures in 1 hour").await;
    let (status, told) = client.get(&format!("{list}?open=true")).await;
    let notice = &told["items"][0];
    assert_eq!((status, &notice["kind"]), (200, &json!("integration_paused")), "{told}");
    let text = notice["text"].as_str().unwrap();
    assert!(text.contains(BRAND) && text.contains("5 failures in 1 hour"), "{text}");

    let dismiss = format!("/api/notices/{}/dismiss", notice["id"].as_str().unwrap());
    let (status, dismissed) = client.post(&dismiss, &json!({})).await;
    assert_eq!((status, &dismissed["dismissed_by_name"]), (200, &json!("Ana Lima")), "{dismissed}");
    h.advance(Duration::minutes(1));
    assert_eq!(client.post(&dismiss, &json!({})).await, (200, dismissed), "once is enough");
    pause(&h, "5 failures in 1 hour").await;
    assert_eq!(client.get(&format!("{list}?open=true")).await.1["items"], json!([]));

    let by = Some(h.user_id);
    integrations::resume(&mut *h.conn().await, &h.app.moment(), h.team_id, h.integration_id, by).await.unwrap();
    pause(&h, "the platform refuses").await;
    let (_, told) = client.get(&list).await;
    let resolved: Vec<bool> =
        told["items"].as_array().unwrap().iter().map(|notice| notice["resolved_at"] != Value::Null).collect();
    assert_eq!(resolved, [false, true], "the newest first: {told}");
    h.finish().await;
}

#[tokio::test]
async fn an_account_that_lost_its_access_is_told_until_it_is_connected_again() {
    let mut h = Harness::start().await;
    let integration = h.integration().await;
    for _ in 0..2 {
        let mut conn = h.conn().await;
        integrations::needs_reconnect(&mut conn, &h.app.moment(), &integration, "the grant is dead").await.unwrap();
    }
    let told = open(&h).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].0 == NoticeKind::ReconnectNeeded && told[0].1.contains("the grant is dead"), "{told:?}");
    h.connect().await;
    assert_eq!(open(&h).await, []);
    h.finish().await;
}

#[tokio::test]
async fn a_team_whose_account_was_connected_elsewhere_is_told() {
    let h = Harness::start().await;
    let others = Client::stranger(&h).await;
    let (_, teams) = others.get("/api/teams").await;
    let other_team: Uuid = teams["items"][0]["id"].as_str().unwrap().parse().unwrap();
    h.connect_team(other_team, &h.platform.issue_token(BRAND, crate::harness::SCOPES)).await;
    let told = open(&h).await;
    assert!(told.len() == 1 && told[0].1.contains("was connected to another team"), "{told:?}");
    assert_eq!(others.get(&format!("/api/teams/{other_team}/notices")).await.1["items"], json!([]));
    h.finish().await;
}

#[tokio::test]
async fn notices_are_the_teams_own_and_viewers_only_read_them() {
    let h = Harness::start().await;
    pause(&h, "why not").await;
    let list = format!("/api/teams/{}/notices", h.team_id);
    let viewer = Client::with_role(&h, Role::Viewer).await;
    let (status, told) = viewer.get(&list).await;
    assert_eq!(status, 200);
    let dismiss = format!("/api/notices/{}/dismiss", told["items"][0]["id"].as_str().unwrap());
    let (status, refused) = viewer.post(&dismiss, &json!({})).await;
    assert_eq!(status, 403, "{refused}");
    let stranger = Client::stranger(&h).await;
    assert_eq!(stranger.get(&list).await.0, 404);
    assert_eq!(stranger.post(&dismiss, &json!({})).await.0, 404);
    assert_eq!(open(&h).await.len(), 1);
    let editor = Client::with_role(&h, Role::Editor).await;
    assert_eq!(editor.post(&dismiss, &json!({})).await.0, 200);
    assert_eq!(editor.get(&format!("{list}?cursor=x")).await.0, 422);
    h.finish().await;
}
