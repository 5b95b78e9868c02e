//! A program that was given the cookie of a session or a token, and speaks JSON with the whole router.

use crate::harness::Harness;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use rejoinder_app::accounts::{sessions, teams, users};
use rejoinder_app::http::router;
use rejoinder_app::model::Role;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

pub struct Client {
    router: Router,
    /// Name and value of the header that says who asks.
    credential: (header::HeaderName, String),
}

impl Client {
    /// As the team's admin.
    pub async fn signed_in(harness: &Harness) -> Self {
        Self::of(harness, harness.user_id).await
    }

    pub async fn of(harness: &Harness, user_id: Uuid) -> Self {
        let (app, mut conn) = (&harness.app, harness.conn().await);
        let session = sessions::create(&mut conn, user_id, app.clock.now(), &app.entropy).await.unwrap();
        let cookie = format!("rejoinder_session={}", session.token.expose_secret());
        Self { router: router(app.clone(), CancellationToken::new()), credential: (header::COOKIE, cookie) }
    }

    pub fn with_token(harness: &Harness, token: &str) -> Self {
        let router = router(harness.app.clone(), CancellationToken::new());
        Self { router, credential: (header::AUTHORIZATION, format!("Bearer {token}")) }
    }

    /// As it stands in the header.
    pub fn cookie(&self) -> &str {
        &self.credential.1
    }

    /// As another member of the team.
    pub async fn with_role(harness: &Harness, role: Role) -> Self {
        Self::member(harness, role.as_str(), role).await.0
    }

    /// The same by name ("ben" is ben@example.com), with the id of the account.
    pub async fn member(harness: &Harness, name: &str, role: Role) -> (Self, Uuid) {
        let user_id = person(harness, name).await;
        sqlx::query("insert into team_members (id, team_id, user_id, role, accepted_at) values ($1, $2, $3, $4, $5)")
            .bind(harness.app.moment().id())
            .bind(harness.team_id)
            .bind(user_id)
            .bind(role.as_str())
            .bind(harness.now())
            .execute(harness.pool())
            .await
            .unwrap();
        (Self::of(harness, user_id).await, user_id)
    }

    /// As the admin of another team.
    pub async fn stranger(harness: &Harness) -> Self {
        let (moment, user_id) = (harness.app.moment(), person(harness, "stranger").await);
        let team = teams::NewTeam { id: moment.id(), member_id: moment.id(), owner_user_id: user_id, name: "Others" };
        teams::create(&mut *harness.conn().await, team, moment.now).await.unwrap();
        Self::of(harness, user_id).await
    }

    pub async fn ask(&self, method: Method, path: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(&self.credential.0, &self.credential.1)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 4 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::POST, path, body.to_string()).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::PATCH, path, body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> (u16, Value) {
        self.ask(Method::DELETE, path, Body::empty()).await
    }
}

/// Somebody in no team yet.
pub async fn person(harness: &Harness, name: &str) -> Uuid {
    let moment = harness.app.moment();
    let id = moment.id();
    let email = format!("{name}@example.com");
    let user = users::NewUser { id, email: Some(&email), name, password_hash: None };
    let mut conn = harness.conn().await;
    users::create(&mut conn, user, moment.now).await.unwrap();
    users::mark_verified(&mut conn, id, moment.now).await.unwrap();
    id
}
