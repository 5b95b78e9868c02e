//! Where somebody is signed in, and signing out elsewhere.

use crate::client::Client;
use crate::harness::Harness;
use crate::pages::Browser;
use axum::http::{Method, StatusCode};
use rejoinder_app::model::Role;
use serde_json::Value;
use time::Duration;

fn devices(answer: &Value) -> Vec<(Option<&str>, bool)> {
    let items = answer["items"].as_array().unwrap();
    items.iter().map(|item| (item["device"].as_str(), item["current"].as_bool().unwrap())).collect()
}

async fn sessions_of(client: &Client) -> Value {
    let (status, answer) = client.get("/api/me/sessions").await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn a_person_sees_the_own_sessions_and_signs_out_one_or_all_others() {
    let h = Harness::unconnected(&[]).await;
    let (here, there, third) = (Client::signed_in(&h).await, Client::signed_in(&h).await, Client::signed_in(&h).await);
    let colleague = Client::with_role(&h, Role::Viewer).await;
    let answer = sessions_of(&here).await;
    assert_eq!(devices(&answer).len(), 3);
    assert_eq!(devices(&answer).iter().filter(|(_, current)| *current).count(), 1);

    let foreign = sessions_of(&colleague).await["items"][0]["id"].as_str().unwrap().to_owned();
    let ended = here.ask(Method::DELETE, &format!("/api/me/sessions/{foreign}"), "").await;
    assert_eq!(ended.0, 404, "another person's is not there for us");
    assert_eq!(here.ask(Method::DELETE, "/api/me/sessions/none", "").await.0, 404);
    assert_eq!(colleague.get("/api/me").await.0, 200);

    let own = sessions_of(&there).await;
    let there_id = own["items"].as_array().unwrap().iter().find(|item| item["current"] == true).unwrap()["id"].clone();
    let path = format!("/api/me/sessions/{}", there_id.as_str().unwrap());
    assert_eq!(here.ask(Method::DELETE, &path, "").await.0, 204);
    assert_eq!(there.get("/api/me").await.0, 401);
    assert_eq!(here.ask(Method::DELETE, &path, "").await.0, 404, "it is gone");

    let (status, answer) = here.ask(Method::DELETE, "/api/me/sessions", "").await;
    assert_eq!((status, &answer["ended"]), (200, &1.into()));
    assert_eq!((third.get("/api/me").await.0, here.get("/api/me").await.0), (401, 200));
    assert_eq!(colleague.get("/api/me").await.0, 200);
    assert_eq!(h.story(h.user_id).await, ["account.sessions_ended", "account.sessions_ended"]);
    h.finish().await;
}

#[tokio::test]
async fn a_session_says_on_what_it_runs_and_when_it_was_used() {
    let h = Harness::unconnected(&[]).await;
    crate::password::give_password(&h).await;
    let mut browser = Browser::new(&h);
    browser.sign_in("ana@example.com", crate::password::PASSWORD).await;
    h.advance(Duration::minutes(40));
    let page = browser.get("/dashboard/account").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.html.contains("Firefox on Linux"), "{}", page.html);
    let here = Client::signed_in(&h).await;
    let answer = sessions_of(&here).await;
    assert_eq!(devices(&answer), [(None, true), (Some("Firefox on Linux"), false)]);
    assert_eq!(answer["items"][1]["last_seen_at"], "2026-03-02T09:40:00Z");
    assert_eq!(answer["items"][1]["created_at"], "2026-03-02T09:00:00Z");
    h.finish().await;
}

#[tokio::test]
async fn the_page_signs_out_the_others_and_keeps_itself() {
    let h = Harness::unconnected(&[]).await;
    let there = Client::signed_in(&h).await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    let page = browser.get("/dashboard/account").await;
    let form = page.html.split("action=\"/dashboard/account/sessions/").nth(1).unwrap();
    let path = format!("/dashboard/account/sessions/{}", form.split('"').next().unwrap());
    assert_eq!(browser.post(&path, &[]).await.location, "/dashboard/account?done=session");
    assert_eq!(there.get("/api/me").await.0, 401);
    let again = Client::signed_in(&h).await;
    let done = browser.post("/dashboard/account/sessions/end-others", &[]).await;
    assert_eq!(done.location, "/dashboard/account?done=sessions");
    assert_eq!(again.get("/api/me").await.0, 401);
    assert_eq!(browser.get("/dashboard/account").await.status, StatusCode::OK);
    h.finish().await;
}
