//! People who come with session tokens of Clerk.

use crate::harness::Harness;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use rejoinder_app::http::router;
use rejoinder_sandbox::ClerkToken;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const SITE: &str = "http://localhost:3000";

/// A server with Clerk, and its caller.
struct World {
    harness: Harness,
    router: Router,
    issuer: String,
}

impl World {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let harness = Harness::unconnected_at(|base| {
            let issuer = base.as_str().trim_end_matches('/').to_owned();
            let own = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            [("CLERK_ISSUER".to_owned(), issuer)].into_iter().chain(own).collect()
        })
        .await;
        let issuer = harness.base_url.as_str().trim_end_matches('/').to_owned();
        let router = router(harness.app.clone(), CancellationToken::new());
        Self { harness, router, issuer }
    }

    fn of<'a>(&'a self, user: &'a str) -> ClerkToken<'a> {
        ClerkToken { issuer: &self.issuer, user, session: "sess_1", party: SITE }
    }

    fn token(&self, user: &str) -> String {
        self.harness.platform.clerk_token(self.of(user))
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 4 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn me(&self, token: &str) -> (u16, Value) {
        let bearer = format!("Bearer {token}");
        self.ask(Method::GET, "/api/me", &[(header::AUTHORIZATION.as_str(), &bearer)], Body::empty()).await
    }

    /// The code of the refusal.
    async fn refused(&self, token: &str) -> String {
        let (status, body) = self.me(token).await;
        assert_eq!(status, 401, "{body}");
        body["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
    }

    /// How often the keys were asked for.
    fn key_requests(&self) -> u64 {
        self.harness.platform.requests().get("GET /.well-known/jwks.json").copied().unwrap_or(0)
    }
}

#[tokio::test]
async fn a_person_with_a_session_of_clerk_uses_the_api_from_the_first_request_on() {
    let world = World::start().await;
    let (status, me) = world.me(&world.token("user_ana")).await;
    assert_eq!((status, &me["email"], &me["teams"]), (200, &Value::Null, &json!([])), "{me}");
    let again = world.me(&world.token("user_ana")).await.1;
    assert_eq!(again["id"], me["id"]);
    let other = world.me(&world.token("user_ben")).await.1;
    assert_ne!(other["id"], me["id"]);
    assert_eq!(world.key_requests(), 1);
    world.harness.finish().await;
}

#[tokio::test]
async fn a_token_that_does_not_count_is_told_why() {
    let world = World::start().await;
    let (header, good) = world.harness.platform.clerk_claims(world.of("user_ana"));
    let now = world.harness.now().unix_timestamp();
    let with = |changes: Value| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        world.harness.platform.clerk_sign(&header, &claims)
    };
    for (changes, code) in [
        (json!({ "exp": now - 10 }), "token_expired"),
        (json!({ "nbf": now + 60 }), "token_not_yet_valid"),
        (json!({ "iss": "https://clerk.other.example" }), "wrong_issuer"),
        (json!({ "azp": "https://evil.example" }), "wrong_party"),
        (json!({ "azp": null }), "wrong_party"),
        (json!({ "sts": "pending" }), "session_pending"),
        (json!({ "sub": "mch_1" }), "token_not_a_session"),
        (json!({ "sub": null }), "token_invalid"),
    ] {
        assert_eq!(world.refused(&with(changes.clone())).await, code, "{changes}");
    }
    let token = world.token("user_ana");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let tampered = format!("{signed}.{}A", &signature[..signature.len() - 1].replace('A', "B"));
    assert_eq!(world.refused(&tampered).await, "token_invalid");
    assert_eq!(world.refused("ak_1234567890").await, "token_not_a_session");
    assert_eq!(world.refused("rubbish").await, "token_invalid");
    let rows: i64 = sqlx::query_scalar("select count(*) from users where clerk_id is not null")
        .fetch_one(world.harness.pool())
        .await
        .unwrap();
    assert_eq!(rows, 0, "a token that does not count makes nobody");
    world.harness.finish().await;
}
