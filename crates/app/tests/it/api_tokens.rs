//! Programs that sign in: API tokens from their making to their end, frontends on other origins, tickets for live events.

use crate::client::Client;
use crate::harness::Harness;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use rejoinder_app::http::router;
use rejoinder_app::model::Role;
use serde_json::{Value, json};
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

async fn send(harness: &Harness, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let router = router(harness.app.clone(), CancellationToken::new());
    router.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
}

async fn json_of(response: Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// The code of the problem and the challenge that stands beside it.
async fn refusal(harness: &Harness, token: &str) -> (u16, String, String) {
    let answer = send(harness, "GET", "/api/me", &[("authorization", &format!("Bearer {token}"))], "").await;
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let (status, told) = json_of(answer).await;
    (status, told["type"].as_str().unwrap().to_owned(), challenge)
}

async fn make(client: &Client, name: &str, role: &str) -> (String, String) {
    let (status, made) = client.post("/api/tokens", &json!({ "name": name, "role": role })).await;
    assert_eq!(status, 201, "{made}");
    (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_token_is_shown_once_counts_until_it_is_revoked_and_leaves_its_traces() {
    let harness = Harness::start().await;
    let admin = Client::signed_in(&harness).await;
    let (id, token) = make(&admin, "Nightly report", "editor").await;
    let program = Client::with_token(&harness, &token);
    let (status, told) = program.get("/api/auth/verify").await;
    assert_eq!((status, &told["auth"]), (200, &json!("token")));
    let (_, me) = program.get("/api/me").await;
    assert_eq!(me["teams"][0]["role"], "editor", "{me}");
    let settings = format!("/api/teams/{}/settings", harness.team_id);
    assert_eq!(program.get(&settings).await.0, 200);
    let (status, told) = program.patch(&settings, &json!({})).await;
    assert_eq!(status, 403, "{told}");

    let (_, list) = admin.get("/api/tokens").await;
    let line = &list["items"][0];
    assert_eq!((&line["name"], &line["last_signs"]), (&json!("Nightly report"), &json!(&token[token.len() - 4..])));
    assert!(!line["last_used_at"].is_null() && !list.to_string().contains(&token));
    let stored: i64 = sqlx::query_scalar("select count(*) from api_tokens t where t::text like '%' || $1 || '%'")
        .bind(&token[4..])
        .fetch_one(harness.pool())
        .await
        .unwrap();
    assert_eq!(stored, 0, "only its hash stands in the database");

    harness.advance(Duration::seconds(1));
    assert_eq!(admin.ask(Method::DELETE, &format!("/api/tokens/{id}"), Body::empty()).await.0, 204);
    assert_eq!(admin.ask(Method::DELETE, &format!("/api/tokens/{id}"), Body::empty()).await.0, 404);
    let (status, code, challenge) = refusal(&harness, &token).await;
    assert_eq!((status, code.as_str()), (401, "/problems/token-revoked"));
    assert!(challenge.contains("invalid_token"), "{challenge}");
    let kinds: Vec<String> =
        sqlx::query_scalar("select type from activity_logs where subject_kind = 'api_token' order by created_at")
            .fetch_all(harness.pool())
            .await
            .unwrap();
    assert_eq!(kinds, ["api_token.created", "api_token.revoked"]);
    harness.finish().await;
}

#[tokio::test]
async fn its_use_is_written_down_at_most_once_a_minute() {
    let harness = Harness::start().await;
    let admin = Client::signed_in(&harness).await;
    let (_, token) = make(&admin, "Poller", "viewer").await;
    let program = Client::with_token(&harness, &token);
    let version = "select xmin::text from api_tokens";
    let mut written = Vec::new();
    for step in [0, 20, 20, 25] {
        harness.advance(Duration::seconds(step));
        assert_eq!(program.get("/api/me").await.0, 200);
        written.push(sqlx::query_scalar::<_, String>(version).fetch_one(harness.pool()).await.unwrap());
    }
    assert!(written[0] == written[1] && written[1] == written[2] && written[2] != written[3], "{written:?}");
    harness.finish().await;
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_with_its_makers_membership() {
    let harness = Harness::start().await;
    let admin = Client::signed_in(&harness).await;
    let editor = Client::with_role(&harness, Role::Editor).await;
    let soon = json!({ "name": "Short", "role": "viewer", "expires_at": "2026-03-02T10:00:00Z" });
    let (_, short) = admin.post("/api/tokens", &soon).await;
    let short = short["token"].as_str().unwrap();
    let (_, token) = make(&editor, "Bot", "editor").await;
    let program = Client::with_token(&harness, &token);
    let team = harness.team_id;
    let intents = format!("/api/teams/{team}/intents");
    assert_eq!(program.post(&intents, &json!({ "name": "Thanks" })).await.0, 201);
    let set_role = |role: &'static str| {
        sqlx::query("update team_members set role = $1 where user_id <> $2").bind(role).bind(harness.user_id)
    };
    set_role("viewer").execute(harness.pool()).await.unwrap();
    assert_eq!(program.post(&intents, &json!({ "name": "Sorry" })).await.0, 403, "at once");
    assert_eq!(program.get(&intents).await.0, 200);
    sqlx::query("delete from team_members where user_id <> $1")
        .bind(harness.user_id)
        .execute(harness.pool())
        .await
        .unwrap();
    assert_eq!(refusal(&harness, &token).await.1, "/problems/token-maker-gone");
    let (_, list) = admin.get("/api/tokens").await;
    assert_eq!(list["items"].as_array().unwrap().iter().filter(|line| line["effective_role"].is_null()).count(), 1);

    assert_eq!(Client::with_token(&harness, short).get("/api/me").await.0, 200);
    harness.advance(Duration::hours(1));
    assert_eq!(refusal(&harness, short).await.1, "/problems/token-expired");
    assert_eq!(refusal(&harness, "rjn_nonsense").await.1, "/problems/token-unknown");
    let bare = send(&harness, "GET", "/api/me", &[("authorization", "Token abc")], "").await;
    let (status, told) = json_of(bare).await;
    assert_eq!((status, told["type"].as_str().unwrap()), (401, "/problems/authorization-malformed"));
    assert!(told["detail"].as_str().unwrap().contains("Authorization: Bearer"), "{told}");
    harness.finish().await;
}

#[tokio::test]
async fn nobody_gives_more_than_they_have_and_a_token_makes_no_tokens() {
    let harness = Harness::start().await;
    let admin = Client::signed_in(&harness).await;
    let editor = Client::with_role(&harness, Role::Editor).await;
    let (status, told) = editor.post("/api/tokens", &json!({ "name": "Bot", "role": "admin" })).await;
    assert_eq!(status, 403);
    assert!(told["detail"].as_str().unwrap().contains("your own role, editor"), "{told}");
    for wrong in [
        json!({ "name": " ", "role": "viewer" }),
        json!({ "name": "Bot", "role": "owner" }),
        json!({ "name": "Bot", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z" }),
    ] {
        assert_eq!(editor.post("/api/tokens", &wrong).await.0, 422, "{wrong}");
    }
    let (editors, _) = make(&editor, "Bot", "viewer").await;
    let (admins, token) = make(&admin, "Deploy", "admin").await;
    assert_eq!(editor.get("/api/tokens").await.1["items"].as_array().unwrap().len(), 1, "one's own");
    assert_eq!(admin.get("/api/tokens").await.1["items"].as_array().unwrap().len(), 2, "all of the team");
    let program = Client::with_token(&harness, &token);
    let (status, told) = program.post("/api/tokens", &json!({ "name": "Heir", "role": "viewer" })).await;
    assert_eq!((status, told["type"].as_str().unwrap()), (403, "/problems/not-by-token"));
    let revoke = |id: &str| format!("/api/tokens/{id}");
    assert_eq!(program.ask(Method::DELETE, &revoke(&admins), Body::empty()).await.0, 403);
    assert_eq!(editor.ask(Method::DELETE, &revoke(&admins), Body::empty()).await.0, 404, "another's is not there");
    assert_eq!(admin.ask(Method::DELETE, &revoke(&editors), Body::empty()).await.0, 204);
    harness.finish().await;
}

#[tokio::test]
async fn a_secret_answer_is_not_kept_for_a_repetition_and_nothing_is_made_twice() {
    let harness = Harness::start().await;
    let admin = Client::signed_in(&harness).await;
    let headers = [("cookie", admin.cookie()), ("idempotency-key", "k-1"), ("content-type", "application/json")];
    let body = r#"{"name":"Deploy","role":"viewer"}"#;
    let (status, made) = json_of(send(&harness, "POST", "/api/tokens", &headers, body).await).await;
    assert_eq!(status, 201);
    let again = send(&harness, "POST", "/api/tokens", &headers, body).await;
    assert_eq!(again.headers()["content-type"], "application/problem+json");
    let (status, told) = json_of(again).await;
    assert_eq!((status, told["type"].as_str().unwrap()), (409, "/problems/answer-not-kept"));
    assert_eq!(admin.get("/api/tokens").await.1["items"].as_array().unwrap().len(), 1);
    let kept: i64 = sqlx::query_scalar("select count(*) from idempotency_keys k where k::text like '%' || $1 || '%'")
        .bind(&made["token"].as_str().unwrap()[4..])
        .fetch_one(harness.pool())
        .await
        .unwrap();
    assert_eq!(kept, 0);
    harness.finish().await;
}

#[tokio::test]
async fn what_one_answered_a_person_is_not_repeated_to_a_token_of_lesser_rights() {
    let harness = Harness::start().await;
    let admin = Client::signed_in(&harness).await;
    let (_, token) = make(&admin, "Reader", "viewer").await;
    let path = format!("/api/teams/{}/intents", harness.team_id);
    let body = r#"{"name":"Thanks"}"#;
    let common = [("idempotency-key", "k-1"), ("content-type", "application/json")];
    let as_person = [&common[..], &[("cookie", admin.cookie())]].concat();
    assert_eq!(send(&harness, "POST", &path, &as_person, body).await.status(), StatusCode::CREATED);
    let bearer = format!("Bearer {token}");
    let as_program = [&common[..], &[("authorization", bearer.as_str())]].concat();
    assert_eq!(send(&harness, "POST", &path, &as_program, body).await.status(), StatusCode::FORBIDDEN);
    harness.finish().await;
}

#[tokio::test]
async fn a_frontend_on_a_named_origin_reads_the_api_by_token_and_no_other_does() {
    let harness = Harness::with(&[("CORS_ORIGINS", "https://app.example, http://localhost:5173")]).await;
    let admin = Client::signed_in(&harness).await;
    let (_, token) = make(&admin, "Frontend", "viewer").await;
    let bearer = format!("Bearer {token}");
    let from = |origin: &'static str| [("origin", origin), ("authorization", bearer.as_str())];
    let good = send(&harness, "GET", "/api/me", &from("https://app.example"), "").await;
    assert_eq!(
        (good.status().as_u16(), &good.headers()["access-control-allow-origin"]),
        (200, &"https://app.example".parse().unwrap())
    );
    let exposed = good.headers()["access-control-expose-headers"].to_str().unwrap();
    assert!(["x-request-id", "retry-after", "etag"].iter().all(|name| exposed.contains(name)), "{exposed}");
    assert!(good.headers().get_all("vary").iter().any(|vary| vary == "origin"));
    let asks = [("origin", "https://app.example"), ("access-control-request-method", "PATCH")];
    let preflight = send(&harness, "OPTIONS", "/api/suggestions/1", &asks, "").await;
    assert_eq!(preflight.status(), 204);
    assert!(preflight.headers()["access-control-allow-methods"].to_str().unwrap().contains("PATCH"));
    assert!(preflight.headers()["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
    let failed = send(&harness, "GET", "/api/me", &[("origin", "https://app.example")], "").await;
    assert_eq!((failed.status().as_u16(), failed.headers().contains_key("access-control-allow-origin")), (401, true));

    for origin in ["https://evil.example", "null", "https://app.example.evil.example"] {
        let bad = send(&harness, "GET", "/api/me", &from(origin), "").await;
        assert!(!bad.headers().contains_key("access-control-allow-origin"), "{origin}");
        let asks = [("origin", origin), ("access-control-request-method", "GET")];
        let preflight = send(&harness, "OPTIONS", "/api/me", &asks, "").await;
        assert!(!preflight.headers().contains_key("access-control-allow-origin"), "{origin}");
    }
    for answer in [good, preflight, failed] {
        assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    }
    let cookie = [("origin", "https://app.example"), ("cookie", admin.cookie())];
    assert_eq!(send(&harness, "GET", "/api/me", &cookie, "").await.status(), 403, "a cookie counts here alone");
    harness.finish().await;
}

#[tokio::test]
async fn a_ticket_opens_one_stream_of_its_team_once_and_soon() {
    let harness = Harness::start().await;
    let admin = Client::signed_in(&harness).await;
    let (id, token) = make(&admin, "Frontend", "viewer").await;
    let program = Client::with_token(&harness, &token);
    let events = format!("/api/teams/{}/events", harness.team_id);
    let ticket = async || {
        let (status, made) = program.post(&format!("{events}/ticket"), &json!({})).await;
        assert_eq!(status, 201, "{made}");
        made["ticket"].as_str().unwrap().to_owned()
    };
    let open = async |team: &str, ticket: &str| {
        send(&harness, "GET", &format!("{team}?ticket={ticket}"), &[], "").await.status().as_u16()
    };
    let first = ticket().await;
    assert_eq!(open(&events, &first).await, 200);
    assert_eq!(open(&events, &first).await, 401, "used up");
    let late = ticket().await;
    harness.advance(Duration::seconds(31));
    assert_eq!(open(&events, &late).await, 401, "too late");
    let elsewhere = ticket().await;
    let other = format!("/api/teams/{}/events", uuid::Uuid::from_u128(7));
    assert_eq!(open(&other, &elsewhere).await, 401, "another team's");
    assert_eq!(open(&events, &elsewhere).await, 200, "which did not use it up");
    let orphan = ticket().await;
    assert_eq!(admin.ask(Method::DELETE, &format!("/api/tokens/{id}"), Body::empty()).await.0, 204);
    assert_eq!(open(&events, &orphan).await, 401, "what its holder had signed in with has ended");
    harness.finish().await;
}

#[tokio::test]
async fn a_change_of_what_somebody_else_changed_since_is_refused_with_what_stands() {
    let harness = Harness::start().await;
    let admin = Client::signed_in(&harness).await;
    let team = harness.team_id;
    let (status, intent) = admin.post(&format!("/api/teams/{team}/intents"), &json!({ "name": "Thanks" })).await;
    assert_eq!(status, 201);
    let intent = format!("/api/intents/{}", intent["id"].as_str().unwrap());
    let cases = [
        (format!("/api/teams/{team}/settings"), r#"{"daily_cap":7}"#, r#"{"daily_cap":8}"#, "daily_cap"),
        (intent, r#"{"name":"Thank you"}"#, r#"{"name":"Cheers"}"#, "name"),
    ];
    for (path, first, second, field) in cases {
        let read = send(&harness, "GET", &path, &[("cookie", admin.cookie())], "").await;
        let seen = read.headers()["etag"].to_str().unwrap().to_owned();
        harness.advance(Duration::seconds(1));
        let with = [("cookie", admin.cookie()), ("content-type", "application/json"), ("if-match", seen.as_str())];
        let changed = send(&harness, "PATCH", &path, &with, first).await;
        assert_eq!(changed.status(), 200);
        assert_ne!(changed.headers()["etag"], seen.as_str());
        harness.advance(Duration::seconds(1));
        let (status, told) = json_of(send(&harness, "PATCH", &path, &with, second).await).await;
        let first: Value = serde_json::from_str(first).unwrap();
        assert_eq!((status, &told["current"][field]), (412, &first[field]), "{told}");
        let without = [("cookie", admin.cookie()), ("content-type", "application/json")];
        assert_eq!(send(&harness, "PATCH", &path, &without, second).await.status(), 200, "who did not look may");
    }
    harness.finish().await;
}

#[tokio::test]
async fn the_same_key_on_another_query_is_another_request() {
    let harness = Harness::start().await;
    let admin = Client::signed_in(&harness).await;
    let headers = [("cookie", admin.cookie()), ("idempotency-key", "k-1"), ("content-type", "application/json")];
    let mut ids = Vec::new();
    for query in ["", "?x=1", "?x=2", "?x=1"] {
        let path = format!("/api/teams{query}");
        let (status, made) = json_of(send(&harness, "POST", &path, &headers, r#"{"name":"Beans"}"#).await).await;
        assert_eq!(status, 201, "{made}");
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids[1], ids[3]);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    harness.finish().await;
}
