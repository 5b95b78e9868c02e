//! A server with Clerk, and everybody around it: callers with tokens, Clerk's webhooks, forgers.

use crate::harness::{Harness, START};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rejoinder_app::accounts::clerk::SignInError;
use rejoinder_app::http::router;
use rejoinder_sandbox::{ClerkToken, ClerkUser, SignedMessage};
use serde_json::{Value, json};
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const SITE: &str = "http://localhost:3000";

/// A server with Clerk, and its caller.
pub struct World {
    pub harness: Harness,
    pub router: Router,
    pub issuer: String,
}

impl World {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
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

    /// With signing in to the dashboard through Clerk.
    pub async fn with_dashboard(settings: &[(&str, &str)]) -> Self {
        let harness = Harness::unconnected_at(|base| {
            let host = format!("{}:{}$", base.host_str().unwrap(), base.port().unwrap());
            let dashboard = [
                ("CLERK_PUBLISHABLE_KEY", format!("pk_live_{}", STANDARD.encode(host))),
                ("CLERK_SIGN_IN_URL", format!("{base}sign-in")),
                ("CLERK_WEBHOOK_SECRET", SECRET.to_owned()),
            ];
            let own = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
            dashboard.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value)).collect()
        })
        .await;
        let issuer = harness.base_url.as_str().trim_end_matches('/').to_owned();
        let router = router(harness.app.clone(), CancellationToken::new());
        Self { harness, router, issuer }
    }

    pub fn of<'a>(&'a self, user: &'a str) -> ClerkToken<'a> {
        ClerkToken { issuer: &self.issuer, user, session: "sess_1", party: SITE }
    }

    pub fn token(&self, user: &str) -> String {
        self.harness.platform.clerk_token(self.of(user))
    }

    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 4 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn me(&self, token: &str) -> (u16, Value) {
        let bearer = format!("Bearer {token}");
        self.ask(Method::GET, "/api/me", &[(header::AUTHORIZATION.as_str(), &bearer)], Body::empty()).await
    }

    /// The code of the refusal.
    pub async fn refused(&self, token: &str) -> String {
        let (status, body) = self.me(token).await;
        assert_eq!(status, 401, "{body}");
        body["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
    }

    /// How often the keys were asked for.
    pub fn key_requests(&self) -> u64 {
        self.harness.platform.requests().get("GET /.well-known/jwks.json").copied().unwrap_or(0)
    }
}

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

impl World {
    pub async fn with_webhooks() -> Self {
        Self::with(&[("CLERK_WEBHOOK_SECRET", &format!("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA, {SECRET}"))]).await
    }

    pub async fn deliver(&self, message: &SignedMessage) -> (u16, Value) {
        let headers: Vec<(&str, &str)> = message.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.ask(Method::POST, "/api/webhooks/clerk", &headers, message.body.clone()).await
    }

    /// A change of Ana, `after` seconds later than the start.
    pub fn ana(&self, kind: &str, first_name: &str, email: Option<(&str, bool)>, after: i64) -> SignedMessage {
        let updated_at = START + Duration::seconds(after);
        let user = ClerkUser { id: "user_ana", first_name, last_name: "Lima", email, updated_at };
        self.harness.platform.clerk_user_event(SECRET, kind, user)
    }

    pub async fn told(&self, message: &SignedMessage) -> String {
        let (status, body) = self.deliver(message).await;
        assert_eq!(status, 200, "{body}");
        body["outcome"].as_str().unwrap().to_owned()
    }

    pub fn deletion(&self, user: &str) -> SignedMessage {
        let data = json!({ "id": user, "object": "user", "deleted": true });
        self.harness.platform.clerk_event(SECRET, "user.deleted", &data)
    }
}

impl World {
    pub fn forged(&self, key_id: &str) -> String {
        let (mut header, claims) = self.harness.platform.clerk_claims(self.of("user_eve"));
        header["kid"] = json!(key_id);
        let token = self.harness.platform.clerk_sign(&header, &claims);
        if key_id == "ins_sandbox" {
            // Signed, then changed.
            let (signed, _) = token.rsplit_once('.').unwrap();
            return format!("{signed}.{}", "A".repeat(342));
        }
        token
    }

    pub async fn forge(&self, many: usize) {
        for number in 0..many {
            let token =
                if number % 2 == 0 { self.forged(&format!("ins_{number}")) } else { self.forged("ins_sandbox") };
            assert_eq!(self.verdict(&token).await, Err("token_invalid"), "number {number}");
        }
    }

    /// Past the limit of requests, which would end such a storm much earlier.
    pub async fn verdict(&self, token: &str) -> Result<String, &'static str> {
        match self.harness.app.clerk.as_ref().unwrap().verify(token).await {
            Ok(claims) => Ok(claims.subject),
            Err(SignInError::Token(error)) => Err(error.code()),
            Err(SignInError::NoKeys) => Err("no keys"),
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn welcome(&self) {
        assert_eq!(self.verdict(&self.token("user_ana")).await.as_deref(), Ok("user_ana"));
    }
}
