//! Everybody who may come to the door: members of each role, programs with their tokens, strangers, and those with nothing good.

use crate::client::{Client, person};
use crate::harness::Harness;
use crate::twin::Twin;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use rejoinder_app::accounts::api_tokens::{self, NewToken};
use rejoinder_app::http::router;
use rejoinder_app::model::Role;
use secrecy::ExposeSecret;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

pub struct Someone {
    pub name: &'static str,
    headers: Vec<(header::HeaderName, String)>,
    pub standing: Standing,
    router: Router,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No credential, or one that opens nothing.
    Nobody,
    /// A cookie that came from elsewhere.
    Elsewhere,
    /// Signed in, but not a member of the team.
    Stranger,
    Member(Role),
    Token(Role),
}

pub struct Tokens {
    viewer: String,
    editor: String,
    demoted: String,
    revoked: String,
    expired: String,
}

impl Tokens {
    pub async fn make(harness: &Harness) -> Self {
        let soon = Some(harness.now() + Duration::minutes(1));
        let viewer = token(harness, harness.user_id, Role::Viewer, None).await.1;
        let editor = token(harness, harness.user_id, Role::Editor, None).await.1;
        let (revoked_id, revoked) = token(harness, harness.user_id, Role::Admin, None).await;
        let expired = token(harness, harness.user_id, Role::Admin, soon).await.1;
        let second_admin = person(harness, "second").await;
        join(harness, second_admin, Role::Admin).await;
        let demoted = token(harness, second_admin, Role::Admin, None).await.1;
        sqlx::query("update team_members set role = 'viewer' where user_id = $1")
            .bind(second_admin)
            .execute(harness.pool())
            .await
            .unwrap();
        let (moment, mut conn) = (harness.app.moment(), harness.conn().await);
        api_tokens::revoke(&mut conn, &moment, harness.team_id, revoked_id, harness.user_id).await.unwrap();
        drop(conn);
        harness.advance(Duration::minutes(2));
        Self { viewer, editor, demoted, revoked, expired }
    }
}

async fn token(harness: &Harness, by: Uuid, role: Role, expires_at: Option<OffsetDateTime>) -> (Uuid, String) {
    let new = NewToken { name: "Test", role, expires_at };
    let (moment, mut conn) = (harness.app.moment(), harness.conn().await);
    let (row, token) = api_tokens::create(&mut conn, &moment, harness.team_id, (by, Role::Admin), new).await.unwrap();
    (row.id, token.expose_secret().to_owned())
}

async fn join(harness: &Harness, user_id: Uuid, role: Role) {
    sqlx::query("insert into team_members (id, team_id, user_id, role, accepted_at) values ($1, $2, $3, $4, $5)")
        .bind(harness.app.moment().id())
        .bind(harness.team_id)
        .bind(user_id)
        .bind(role.as_str())
        .bind(harness.now())
        .execute(harness.pool())
        .await
        .unwrap();
}

pub async fn everyone(harness: &Harness, twin: &Twin, admin: &Client, tokens: Tokens) -> Vec<Someone> {
    let editor = Client::with_role(harness, Role::Editor).await;
    let viewer = Client::with_role(harness, Role::Viewer).await;
    let stranger = Client::of(harness, twin.admin).await;
    let someone = |name, standing, headers| {
        let router = router(harness.app.clone(), CancellationToken::new());
        Someone { name, headers, standing, router }
    };
    let cookie = |client: &Client| vec![(header::COOKIE, client.cookie().to_owned())];
    let bearer = |token: &str| vec![(header::AUTHORIZATION, format!("Bearer {token}"))];
    let mut elsewhere = cookie(admin);
    elsewhere.push((header::ORIGIN, "https://evil.example".to_owned()));
    let mut beside = cookie(admin);
    beside.extend(bearer("rjn_garbage"));
    vec![
        someone("nobody", Standing::Nobody, Vec::new()),
        someone("garbage bearer", Standing::Nobody, bearer("eyJhbGciOiJub25lIn0.e30.")),
        someone("garbage bearer beside a good cookie", Standing::Nobody, beside),
        someone("another scheme", Standing::Nobody, vec![(header::AUTHORIZATION, "Basic YTpi".to_owned())]),
        someone("revoked token", Standing::Nobody, bearer(&tokens.revoked)),
        someone("expired token", Standing::Nobody, bearer(&tokens.expired)),
        someone("admin's cookie from another origin", Standing::Elsewhere, elsewhere),
        someone("another team's admin", Standing::Stranger, cookie(&stranger)),
        someone("viewer", Standing::Member(Role::Viewer), cookie(&viewer)),
        someone("editor", Standing::Member(Role::Editor), cookie(&editor)),
        someone("admin", Standing::Member(Role::Admin), cookie(admin)),
        someone("admin's viewer token", Standing::Token(Role::Viewer), bearer(&tokens.viewer)),
        someone("admin's editor token", Standing::Token(Role::Editor), bearer(&tokens.editor)),
        someone("admin token of a demoted admin", Standing::Token(Role::Viewer), bearer(&tokens.demoted)),
    ]
}

impl Someone {
    pub async fn ask(&self, method: &str, address: &str, body: Option<String>) -> (u16, String) {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(address);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.map_or_else(Body::empty, Body::from)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        if kind.starts_with("text/event-stream") {
            return (status, String::new());
        }
        let bytes = to_bytes(response.into_body(), 4 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }
}
