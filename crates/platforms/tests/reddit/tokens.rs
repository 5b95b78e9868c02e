//! Connecting an account, and the list of platforms.

use crate::site::{Canned, Site, config, json, session};
use rejoinder_platforms::{
    AccessToken, AuthError, AuthorizeRequest, ConnectError, FetchError, NoPlatform, Permits, Settings, Through, connect,
};
use secrecy::ExposeSecret;
use serde_json::json as j;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

fn callback() -> Url {
    Url::parse("https://us.example/callback").unwrap()
}

#[tokio::test]
async fn the_consent_page_asks_for_every_scope_permanently() {
    let site = Site::start(|_| Canned::Drop).await;
    let (readers, _) = site.connect();
    let reader = readers.get("reddit").unwrap();
    let request = AuthorizeRequest { state: "st".into(), redirect_uri: callback(), code_challenge: String::new() };
    let url = reader.authorize_url(&Through::default(), &request);
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(url.path(), "/api/v1/authorize");
    assert_eq!(query["scope"], "identity history read privatemessages submit edit");
    assert_eq!(
        (query["duration"].as_str(), query["response_type"].as_str(), query["state"].as_str()),
        ("permanent", "code", "st")
    );
    assert_eq!(query["redirect_uri"], callback().as_str());
}

#[tokio::test]
async fn a_code_is_traded_with_basic_auth() {
    let site = Site::start(|asked| match asked.path.as_str() {
        "/api/v1/access_token" => json(j!({
            "access_token": "at", "refresh_token": "rt", "token_type": "bearer", "expires_in": 86400, "scope": "identity read",
        })),
        _ => json(j!({"id": "abc", "name": "acme"})),
    })
    .await;
    let (readers, _) = site.connect();
    let reader = readers.get("reddit").unwrap();
    let grant = reader.exchange_code(&Through::default(), "the-code#_", &callback(), "").await.unwrap();
    assert_eq!(grant.access_token.expose_secret(), "at");
    assert_eq!(grant.refresh_token.as_ref().map(|token| token.expose_secret()), Some("rt"));
    assert_eq!((grant.scopes.len(), grant.expires_in), (2, Some(time::Duration::days(1))));
    let asked = &site.asked()[0];
    assert_eq!((asked.form["grant_type"].as_str(), asked.form["code"].as_str()), ("authorization_code", "the-code"));
    assert_eq!(asked.form["redirect_uri"], callback().as_str());
    assert!(asked.head.to_ascii_lowercase().contains("authorization: basic "));
    assert_eq!(
        reader.me(&AccessToken::new(grant.access_token.clone(), Permits::default())).await.unwrap().id,
        "t2_abc"
    );
}

#[tokio::test]
async fn every_refusal_of_the_token_endpoint_has_its_decision() {
    let cases = [
        (200, r#"{"error":"invalid_grant"}"#, "dead"),
        (400, r#"{"error":400}"#, "dead"),
        (400, r#"{"message":"Bad Request","error":400}"#, "dead"),
        (200, r#"{"error":"unauthorized_client","error_description":"no"}"#, "app"),
        (200, r#"{"error":"invalid_request"}"#, "app"),
        (401, r#"{"message":"Unauthorized","error":401}"#, "app"),
        (429, r#"{"message":"Too Many Requests","error":429}"#, "later"),
        (200, r#"{"error":"brand_new"}"#, "later"),
        (200, r#"{"token_type":"bearer"}"#, "later"),
        (200, r#"{"access_token":""}"#, "later"),
        (400, "<html>", "later"),
        (503, "", "later"),
    ];
    for (status, body, expected) in cases {
        let site = Site::start(move |_| Canned::Json(status, body.to_owned())).await;
        let (readers, _) = site.connect();
        let error = readers.get("reddit").unwrap().refresh(&Through::default(), &"old-token".into()).await.unwrap_err();
        let got = match &error {
            AuthError::GrantDead(_) => "dead",
            AuthError::AppRefused(_) => "app",
            AuthError::Unavailable { .. } => "later",
        };
        assert_eq!(got, expected, "{status} {body}");
        assert!(!error.to_string().contains("old-token") && !error.to_string().contains("our-secret"));
    }
}

#[tokio::test]
async fn a_grant_is_taken_as_it_comes() {
    let grant = async |body: serde_json::Value| {
        let site = Site::start(move |_| json(body.clone())).await;
        let (readers, _) = site.connect();
        readers.get("reddit").unwrap().refresh(&Through::default(), &"old".into()).await.unwrap()
    };
    let short = grant(j!({"access_token": "at", "expires_in": 3600, "scope": "identity,read"})).await;
    assert_eq!((short.expires_in, short.scopes.len()), (Some(time::Duration::hours(1)), 2));
    assert!(short.refresh_token.is_none(), "the old one is kept by the caller");
    let text = grant(j!({"access_token": "at", "expires_in": "86400", "scope": "*", "refresh_token": ""})).await;
    assert_eq!((text.expires_in, text.refresh_token.is_some()), (Some(time::Duration::days(1)), false));
    let bare = grant(j!({"access_token": "at", "expires_in": null, "error": null, "new_member": []})).await;
    assert_eq!((bare.expires_in, bare.scopes.len()), (None, 0));
}

#[tokio::test]
async fn any_2xx_gives_a_grant_back_and_the_refresh_token_goes_first() {
    for status in [200, 204, 202] {
        let site = Site::start(move |_| Canned::Json(status, String::new())).await;
        let (readers, _) = site.connect();
        let mut grant = rejoinder_platforms::Grant {
            access_token: "at".into(),
            refresh_token: Some("rt".into()),
            scopes: vec![],
            expires_in: None,
        };
        readers.get("reddit").unwrap().revoke(&Through::default(), &grant).await.unwrap();
        grant.refresh_token = None;
        readers.get("reddit").unwrap().revoke(&Through::default(), &grant).await.unwrap();
        let asked = site.asked();
        let form = |place: usize| (asked[place].form["token"].as_str(), asked[place].form["token_type_hint"].as_str());
        assert_eq!((form(0), form(1)), (("rt", "refresh_token"), ("at", "access_token")));
        assert_eq!(asked[0].path, "/api/v1/revoke_token");
    }
    let site = Site::start(|_| Canned::Json(503, String::new())).await;
    let (readers, _) = site.connect();
    let grant =
        rejoinder_platforms::Grant { access_token: "at".into(), refresh_token: None, scopes: vec![], expires_in: None };
    assert!(matches!(
        readers.get("reddit").unwrap().revoke(&Through::default(), &grant).await,
        Err(AuthError::Unavailable { .. })
    ));
}

#[tokio::test]
async fn what_a_consent_lacks_is_named_with_what_does_not_work() {
    let site = Site::start(|_| Canned::Drop).await;
    let (readers, _) = site.connect();
    let capabilities = readers.get("reddit").unwrap().capabilities();
    let missing = |granted: &[&str]| {
        let granted: Vec<String> = granted.iter().map(|scope| (*scope).to_owned()).collect();
        capabilities.missing(&granted).iter().map(|scope| scope.name).collect::<Vec<_>>()
    };
    assert_eq!(missing(&["identity", "history", "read", "submit"]), ["privatemessages", "edit"]);
    assert_eq!((missing(&["*"]), missing(&[])), (vec![], vec![]));
    for scope in capabilities.scopes {
        assert!(!scope.why.is_empty() && !scope.without.is_empty(), "{}", scope.name);
    }
}

#[tokio::test]
async fn a_missing_permission_is_named_and_told_from_an_ordinary_403() {
    let lacking = "HTTP/1.1 403 X\r\nwww-authenticate: Bearer realm=\"reddit\", error=\"insufficient_scope\"\r\ncontent-length: 0\r\n\r\n";
    let site = Site::start(move |_| Canned::Bytes(lacking.as_bytes().to_vec())).await;
    let (readers, writers) = site.connect();
    let error = readers.get("reddit").unwrap().me(&session().access_token).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::Refused { code, reason, .. }
        if code == "insufficient_scope" && reason.contains("\"identity\"")),
        "{error:?}"
    );
    let error = writers.get("reddit").unwrap().reply(&session(), &crate::site::reply()).await.unwrap_err();
    assert!(error.to_string().contains("\"submit\""), "{error}");
    let site = Site::start(|_| Canned::Json(403, r#"{"message":"Forbidden","error":403}"#.into())).await;
    let (readers, _) = site.connect();
    let error = readers.get("reddit").unwrap().me(&session().access_token).await.unwrap_err();
    assert!(matches!(&error, FetchError::Refused { code, .. } if code == "HTTP_403"), "{error:?}");
}

#[tokio::test]
async fn a_read_says_wait_refresh_or_stop() {
    let read = async |bytes: &'static str| {
        let site = Site::start(move |_| Canned::Bytes(bytes.as_bytes().to_vec())).await;
        let (readers, _) = site.connect();
        readers.get("reddit").unwrap().me(&session().access_token).await.unwrap_err()
    };
    assert_eq!(read("HTTP/1.1 401 X\r\ncontent-length: 0\r\n\r\n").await, FetchError::AuthExpired);
    let slow = read("HTTP/1.1 429 X\r\nretry-after: 4\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(slow, FetchError::RateLimited { retry_after: Duration::from_secs(4) });
    let moved = read("HTTP/1.1 302 X\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n").await;
    assert!(matches!(moved, FetchError::Refused { .. }), "{moved:?}");
    let huge = read("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n").await;
    assert!(matches!(huge, FetchError::Refused { .. }), "{huge:?}");
    let page = read("HTTP/1.1 200 X\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\n{}").await;
    assert!(matches!(page, FetchError::Unavailable(_)), "{page:?}");
}

#[test]
fn a_known_platform_without_settings_is_told_from_an_unknown_one() {
    let (readers, writers) = connect(Settings::default(), Arc::new(|| crate::site::at(0))).unwrap();
    assert_eq!(readers.get("reddit").err(), Some(NoPlatform::NotConfigured("Reddit")));
    assert_eq!(readers.get("myspace").err(), Some(NoPlatform::Unknown("myspace".into())));
    assert!(writers.get("reddit").is_none());
}

#[test]
fn a_user_agent_that_no_request_can_carry_stops_the_start() {
    let mut reddit = config(&Url::parse("http://127.0.0.1:1").unwrap(), Duration::from_secs(1));
    reddit.user_agent = "two\nlines".into();
    let error =
        connect(Settings { reddit: Some(reddit), ..Settings::default() }, Arc::new(|| crate::site::at(0))).err();
    assert!(matches!(error, Some(ConnectError::Setting { setting: "user agent", .. })), "{error:?}");
}
