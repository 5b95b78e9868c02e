use rejoinder_sandbox::WorldKind;
use serde_json::Value;

use crate::{Stage, stage};

const REDIRECT: &str = "http://localhost:3000/callback";

async fn token(stage: &Stage, secret: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = stage.client.post(stage.url("/reddit/api/v1/access_token"));
    let response = request.basic_auth("sandbox-client", Some(secret)).form(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn decide(stage: &Stage, decision: &str) -> String {
    let form = [
        ("client_id", "sandbox-client"),
        ("response_type", "code"),
        ("state", "s 1"),
        ("redirect_uri", REDIRECT),
        ("duration", "permanent"),
        ("scope", "identity read"),
        ("account", "brassfinch"),
        ("decision", decision),
    ];
    let response = stage.client.post(stage.url("/reddit/api/v1/authorize")).form(&form).send().await.unwrap();
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_consent_gives_a_code_that_works_once() {
    let stage = stage(WorldKind::Empty).await;
    let back = url::Url::parse(&decide(&stage, "allow").await).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT)];
    let (status, first) = token(&stage, "sandbox-secret", &form).await;
    assert_eq!((status, &first["token_type"]), (200, &Value::from("bearer")));
    assert_eq!(first["scope"], "identity read");
    assert_eq!(first["expires_in"], 86_400);
    let (status, second) = token(&stage, "sandbox-secret", &form).await;
    assert_eq!((status, second), (200, serde_json::json!({"error": "invalid_grant"})));
}

#[tokio::test]
async fn declining_sends_the_person_back_with_access_denied() {
    let stage = stage(WorldKind::Empty).await;
    let back = decide(&stage, "decline").await;
    assert!(back.contains("error=access_denied") && back.contains("state=s+1"), "{back}");
}

#[tokio::test]
async fn a_wrong_app_or_redirect_is_a_page_and_never_a_redirect() {
    let stage = stage(WorldKind::Demo).await;
    let query = "response_type=code&state=s&scope=identity&duration=permanent";
    let ask = |client: &str, redirect: &str| {
        stage.url(&format!("/reddit/api/v1/authorize?{query}&client_id={client}&redirect_uri={redirect}"))
    };
    for wrong in [ask("other", REDIRECT), ask("sandbox-client", "https://evil.example/"), ask("sandbox-client", "x")] {
        let response = stage.client.get(&wrong).send().await.unwrap();
        assert_eq!(response.status(), 400, "{wrong}");
    }
    let page = stage.client.get(ask("sandbox-client", REDIRECT)).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("<option value=\"brassfinch\" selected>"));
}

#[tokio::test]
async fn the_consent_page_says_who_asks_for_what_and_where_it_leads() {
    let stage = stage(WorldKind::Demo).await;
    let query = "response_type=code&state=s&scope=submit,read&duration=permanent&client_id=sandbox-client";
    let page = stage.get(&format!("/api/v1/authorize?{query}&redirect_uri={REDIRECT}")).await.text().await.unwrap();
    for said in ["Rejoinder asks", "sandbox-client", "u/brassfinch", "in its name", "read threads", "localhost:3000"] {
        assert!(page.contains(said), "{said} in {page}");
    }
    assert!(!page.contains("private messages"), "only what is asked for is listed");
    assert!(page.contains("value=\"allow\"") && page.contains("value=\"decline\""));
}

#[tokio::test]
async fn refreshing_needs_the_secret_and_a_live_refresh_token() {
    let stage = stage(WorldKind::Empty).await;
    let refresh = stage.control.issue_token("brassfinch", "*").refresh_token.unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    assert_eq!(token(&stage, "wrong", &form).await.0, 401);
    let (status, body) = token(&stage, "sandbox-secret", &form).await;
    assert_eq!((status, body["refresh_token"].as_str()), (200, Some(refresh.as_str())));
    stage.control.rotate_refresh_tokens(true);
    let (_, rotated) = token(&stage, "sandbox-secret", &form).await;
    assert_ne!(rotated["refresh_token"].as_str(), Some(refresh.as_str()));
    let (status, body) = token(&stage, "sandbox-secret", &form).await;
    assert_eq!((status, &body["error"]), (400, &Value::from(400)));
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_its_access_tokens() {
    let stage = stage(WorldKind::Empty).await;
    let issued = stage.control.issue_token("brassfinch", "*");
    for token in [issued.refresh_token.as_deref().unwrap(), "unknown"] {
        let request = stage.client.post(stage.url("/reddit/api/v1/revoke_token"));
        let request = request.basic_auth("sandbox-client", Some("sandbox-secret")).form(&[("token", token)]);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let me = stage.client.get(stage.url("/reddit/api/v1/me")).bearer_auth(issued.access_token);
    assert_eq!(me.send().await.unwrap().status(), 401);
}
