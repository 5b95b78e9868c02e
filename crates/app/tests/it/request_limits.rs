//! How often one may ask: made-up credentials win no allowance, and keep nobody out who has a good one.

use crate::clerk_world::{SITE, World};
use crate::client::Client;
use crate::harness::Harness;
use axum::body::Body;
use axum::http::{Method, Request};
use rejoinder_app::http::router;
use rejoinder_sandbox::ClerkToken;
use serde_json::json;
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// `/api/me` with that header.
async fn ask(world: &World, name: &str, value: &str) -> u16 {
    world.ask(Method::GET, "/api/me", &[(name, value)], Body::empty()).await.0
}

/// As many refused requests as an address has a minute, each with another credential.
async fn storm(world: &World) {
    for number in 0..300 {
        assert_eq!(ask(world, "cookie", &format!("rejoinder_session=made-up-{number}")).await, 401, "{number}");
        assert_eq!(ask(world, "authorization", &format!("Bearer rjn_made-up-{number}")).await, 401, "{number}");
    }
}

#[tokio::test]
async fn made_up_credentials_share_their_address_and_hold_up_nobody_who_is_known() {
    let world = World::start().await;
    let admin = Client::signed_in(&world.harness).await;
    let token = |session: &str| {
        let token = ClerkToken { issuer: &world.issuer, user: "user_ana", session, party: SITE };
        format!("Bearer {}", world.harness.platform.clerk_token(token))
    };
    assert_eq!(ask(&world, "cookie", admin.cookie()).await, 200);
    storm(&world).await;
    assert_eq!(ask(&world, "cookie", "rejoinder_session=one-more").await, 429);
    assert_eq!(ask(&world, "authorization", "Bearer one.more.jwt").await, 429);
    assert_eq!(world.ask(Method::GET, "/api/me", &[], Body::empty()).await.0, 429, "without any, too");
    assert_eq!(ask(&world, "cookie", admin.cookie()).await, 200, "confirmed before");
    assert_eq!(ask(&world, "authorization", &token("sess_new")).await, 200, "confirmed by its signature");
    // What was confirmed once and ended is charged to the address again.
    sqlx::query("delete from sessions").execute(world.harness.pool()).await.unwrap();
    assert_eq!(ask(&world, "cookie", admin.cookie()).await, 401);
    assert_eq!(ask(&world, "cookie", admin.cookie()).await, 429);
    world.harness.finish().await;
}

#[tokio::test]
async fn a_renewed_token_of_clerk_is_the_same_caller() {
    let world = World::start().await;
    let token = |session: &str| {
        let token = ClerkToken { issuer: &world.issuer, user: "user_ana", session, party: SITE };
        format!("Bearer {}", world.harness.platform.clerk_token(token))
    };
    let (first, renewed) = (token("sess_1"), token("sess_2"));
    for number in 0..300 {
        assert_eq!(ask(&world, "authorization", &first).await, 200, "{number}");
        assert_eq!(ask(&world, "authorization", &renewed).await, 200, "{number}");
    }
    assert_eq!(ask(&world, "authorization", &first).await, 429);
    assert_eq!(ask(&world, "authorization", &renewed).await, 429);
    assert_eq!(world.ask(Method::GET, "/api/me", &[], Body::empty()).await.0, 401, "the address has its own");
    world.harness.finish().await;
}

#[tokio::test]
async fn an_api_token_has_600_a_minute_of_its_own_and_a_person_one_allowance_for_all_sessions() {
    let h = Harness::start().await;
    let server = router(h.app.clone(), CancellationToken::new());
    let ask = async |name: &str, value: &str| {
        let request = Request::get("/api/me").header(name, value).body(Body::empty()).unwrap();
        let answer = server.clone().oneshot(request).await.unwrap();
        let wait = answer.headers().get("retry-after").map(|secs| secs.to_str().unwrap().to_owned());
        (answer.status().as_u16(), wait)
    };
    let admin = Client::signed_in(&h).await;
    let token = async |name: &str| {
        let path = format!("/api/tokens?team_id={}", h.team_id);
        let (status, made) = admin.post(&path, &json!({ "name": name, "role": "viewer" })).await;
        assert_eq!(status, 201, "{made}");
        format!("Bearer {}", made["token"].as_str().unwrap())
    };
    let (busy, other) = (token("Busy").await, token("Other").await);
    for number in 0..600 {
        assert_eq!(ask("authorization", &busy).await, (200, None), "{number}");
    }
    assert_eq!(ask("authorization", &busy).await, (429, Some("1".to_owned())));
    assert_eq!(ask("authorization", &other).await.0, 200, "its neighbour goes on");
    h.advance(Duration::seconds(1));
    assert_eq!(ask("authorization", &busy).await.0, 200, "ten a second come back");
    let second = Client::signed_in(&h).await;
    for number in 0..300 {
        assert_eq!(ask("cookie", admin.cookie()).await, (200, None), "{number}");
        assert_eq!(ask("cookie", second.cookie()).await, (200, None), "{number}");
    }
    assert_eq!(ask("cookie", second.cookie()).await.0, 429);
    assert_eq!(ask("cookie", admin.cookie()).await.0, 429);
    assert_eq!(ask("authorization", &other).await.0, 200, "nobody's requests count against the address");
    h.finish().await;
}
