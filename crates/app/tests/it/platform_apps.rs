//! A team's own app: every call about its accounts goes through it, its budget is its own, its trouble stays its own.

use crate::client::Client;
use crate::harness::{Harness, SCOPES};
use crate::pages::Browser;
use axum::http::Method;
use rejoinder_app::accounts::connect;
use rejoinder_sandbox::RateHost;
use serde_json::{Value, json};
use time::Duration;

const SECRET: &str = "the-teams-own-secret";

fn path(h: &Harness) -> String {
    format!("/api/teams/{}/platform-apps", h.team_id)
}

async fn bring(h: &Harness, client_id: &str) -> (u16, Value) {
    h.platform.add_client(client_id, SECRET);
    let body = json!({ "client_id": client_id, "client_secret": SECRET }).to_string();
    Client::signed_in(h).await.ask(Method::PUT, &format!("{}/reddit", path(h)), body).await
}

/// Requests that the platform counted for an app.
fn counted(h: &Harness, client_id: &str, host: RateHost) -> u32 {
    let windows = h.platform.rate_windows();
    windows.iter().filter(|window| window.client_id == client_id && window.host == host).map(|window| window.used).sum()
}

#[tokio::test]
async fn every_call_about_an_account_goes_through_the_app_of_its_consent() {
    let mut h = Harness::unconnected(&[]).await;
    let (status, app) = bring(&h, "team-app").await;
    assert_eq!((status, &app["client_id"], &app["accounts"]), (200, &json!("team-app"), &json!(0)), "{app}");
    h.connect_by_consent().await;
    let comment = h.stranger_comments("Hello");
    h.run_due().await;
    assert!(h.item_of(&comment).await.is_some());
    h.platform.expire_tokens();
    h.advance(Duration::minutes(6));
    h.poll().await;
    assert_eq!(h.integration().await.state, "connected");
    assert!(counted(&h, "team-app", RateHost::Api) > 2);
    assert_eq!(counted(&h, "team-app", RateHost::Token), 2, "the code and one refresh");
    for host in [RateHost::Api, RateHost::Token] {
        assert_eq!(counted(&h, "sandbox-client", host), 0);
    }
    let by = (h.team_id, h.user_id);
    assert!(connect::disconnect(&h.app, &h.app.moment(), by, h.integration_id).await.unwrap());
    assert!(h.platform.journal().iter().any(|entry| entry.effect == "revoke"));
    h.finish().await;
}

#[tokio::test]
async fn a_server_without_an_app_connects_accounts_through_those_of_its_teams() {
    let none = [
        ("REDDIT_CLIENT_ID", ""),
        ("REDDIT_CLIENT_SECRET", ""),
        ("REDDIT_USER_AGENT", "server:org.example.test:v1.0 (by /u/acme)"),
    ];
    let mut h = Harness::unconnected(&none).await;
    let page = async |h: &Harness, path: &str| Browser::signed_in(h, h.user_id).await.get(path).await.html;
    assert!(page(&h, "/dashboard/accounts").await.contains("enters one under Settings, Own apps"));
    assert!(page(&h, "/dashboard/platform-apps").await.contains("without yours no account can be connected"));
    let begin = "/api/integrations/reddit/oauth/start";
    let (status, told) = Client::signed_in(&h).await.post(begin, &json!({ "team_id": h.team_id })).await;
    assert_eq!((status, &told["type"]), (409, &json!("/problems/no-app")), "{told}");
    bring(&h, "team-app").await;
    assert!(page(&h, "/dashboard/accounts").await.contains("Connect Reddit"));
    h.connect_by_consent().await;
    let comment = h.stranger_comments("Hello");
    h.run_due().await;
    assert!(h.item_of(&comment).await.is_some());
    h.platform.expire_tokens();
    h.advance(Duration::minutes(6));
    h.poll().await;
    assert_eq!(h.integration().await.state, "connected");
    h.finish().await;
}

#[tokio::test]
async fn a_revoked_app_pauses_the_accounts_of_that_app_only() {
    let mut h = Harness::start().await;
    let through_the_server = h.integration_id;
    bring(&h, "team-app").await;
    let code_for = |asked: &str| h.platform.grant_code_to("team-app", "second_brand", asked, SCOPES);
    let (app, moment) = (&h.app, h.app.moment());
    let page = connect::start(app, &moment, (h.team_id, h.user_id), "reddit", None).await.unwrap();
    let asked: std::collections::HashMap<String, String> = page.query_pairs().into_owned().collect();
    let code = code_for(&asked["redirect_uri"]);
    let callback = connect::Callback { state: asked["state"].clone(), code: Some(code), error: None };
    let back = connect::come_back(app, &moment, "reddit", Some(h.user_id), callback).await;
    let Ok(connect::Arrived::Connected(through_the_team)) = back.arrived else { panic!("{:?}", back.arrived) };
    h.run_due().await;
    h.platform.remove_client("team-app");
    h.platform.expire_tokens();
    h.advance(Duration::minutes(6));
    h.integration_id = through_the_team;
    h.poll().await;
    let paused = h.integration().await;
    assert_eq!((paused.state.as_str(), paused.pause_cause.as_deref()), ("paused", Some("app")));
    h.integration_id = through_the_server;
    h.poll().await;
    assert_eq!(h.integration().await.state, "connected");
    h.finish().await;
}

#[tokio::test]
async fn the_secret_is_sealed_never_answered_and_gone_with_the_app() {
    let h = Harness::start().await;
    let (_, answer) = bring(&h, "team-app").await;
    let admin = Client::signed_in(&h).await;
    let (status, listed) = admin.get(&path(&h)).await;
    assert_eq!((status, listed["items"].as_array().unwrap().len()), (200, 1));
    let logged = format!("{:?}", h.activity().await.iter().map(|row| row.payload.clone()).collect::<Vec<_>>());
    assert!(![answer.to_string(), listed.to_string(), logged].iter().any(|text| text.contains(SECRET)));
    let sealed: Vec<u8> =
        sqlx::query_scalar("select client_secret from platform_apps").fetch_one(h.pool()).await.unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains(SECRET));
    assert_eq!(h.story(h.team_id).await.last().unwrap(), "platform_app.set");
    assert_eq!(admin.delete(&format!("{}/reddit", path(&h))).await.0, 204);
    let left: Option<Vec<u8>> =
        sqlx::query_scalar("select client_secret from platform_apps").fetch_one(h.pool()).await.unwrap();
    assert_eq!(left, None);
    assert_eq!(admin.delete(&format!("{}/reddit", path(&h))).await.0, 404);
    assert_eq!(h.integration().await.state, "connected", "it was connected through the server's app");
    h.finish().await;
}

#[tokio::test]
async fn accounts_of_a_removed_app_ask_for_a_new_consent() {
    let mut h = Harness::unconnected(&[]).await;
    bring(&h, "team-app").await;
    h.connect_by_consent().await;
    h.run_due().await;
    Client::signed_in(&h).await.delete(&format!("{}/reddit", path(&h))).await;
    assert_eq!(h.integration().await.state, "needs_reconnect");
    h.connect_by_consent().await;
    h.run_due().await;
    assert_eq!((h.integration().await.state.as_str(), h.integration().await.app_id), ("connected", None));
    h.finish().await;
}

#[tokio::test]
async fn credentials_that_cannot_be_right_are_refused_with_their_field() {
    let h = Harness::start().await;
    let admin = Client::signed_in(&h).await;
    let at = format!("{}/reddit", path(&h));
    for (body, field) in [
        (json!({ "client_id": "", "client_secret": "x" }), "client_id"),
        (json!({ "client_id": "has space", "client_secret": "x" }), "client_id"),
        (json!({ "client_id": "x", "client_secret": "y".repeat(201) }), "client_secret"),
    ] {
        let (status, problem) = admin.ask(Method::PUT, &at, body.to_string()).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{problem}");
    }
    let good = json!({ "client_id": "a", "client_secret": "b" }).to_string();
    assert_eq!(admin.ask(Method::PUT, &format!("{}/nowhere", path(&h)), good).await.0, 404);
    h.finish().await;
}
