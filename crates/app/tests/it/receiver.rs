//! A receiver of webhooks: somebody else's server, over real HTTP; and a team that has it called.

use crate::client::Client;
use crate::harness::Harness;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use rejoinder_app::clients::signatures::{SigningSecret, verify};
use rejoinder_app::model::NoticeKind;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

/// One call that came in.
#[derive(Clone)]
pub struct Call {
    pub headers: HeaderMap,
    pub body: String,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn sent_at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.header("webhook-timestamp").parse().unwrap()).unwrap()
    }

    pub fn is_signed_by(&self, secret: &SigningSecret) -> bool {
        verify(std::slice::from_ref(secret), &self.headers, self.body.as_bytes(), self.sent_at()).is_ok()
    }
}

/// Status and place to redirect to, one per call.
type Plan = VecDeque<(u16, Option<String>)>;

/// Somebody else's server.
#[derive(Clone, Default)]
pub struct Receiver {
    port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
    /// What it answers next; 204 when there is nothing planned.
    pub plan: Arc<Mutex<Plan>>,
    /// Answers only when this is notified.
    pub gate: Option<Arc<Notify>>,
    pub came: Arc<Notify>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::default().listen().await
    }

    pub async fn slow() -> Self {
        Self { gate: Some(Arc::default()), ..Self::default() }.listen().await
    }

    async fn listen(mut self) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        self
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks?key=of-the-receiver", self.port)
    }

    pub fn answers(&self, status: u16, times: usize) {
        self.plan.lock().unwrap().extend(std::iter::repeat_n((status, None), times));
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.calls().iter().map(Call::kind).collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    receiver.calls.lock().unwrap().push(Call { headers, body });
    receiver.came.notify_one();
    if let Some(gate) = &receiver.gate {
        gate.notified().await;
    }
    let planned = receiver.plan.lock().unwrap().pop_front();
    let (status, to) = planned.unwrap_or((204, None));
    let status = StatusCode::from_u16(status).unwrap();
    match to {
        Some(to) => (status, [("location", to)]).into_response(),
        None => (status, "as the receiver says").into_response(),
    }
}

pub async fn world() -> Harness {
    Harness::with(&[("WEBHOOK_ALLOW_PRIVATE", "true")]).await
}

pub async fn add(h: &Harness, url: &str, events: &[&str]) -> (Uuid, SigningSecret) {
    let path = format!("/api/teams/{}/webhooks", h.team_id);
    let body = json!({ "url": url, "event_types": events });
    let (status, answer) = Client::signed_in(h).await.post(&path, &body).await;
    assert_eq!(status, 201, "{answer}");
    let id = answer["webhook"]["id"].as_str().unwrap().parse().unwrap();
    (id, SigningSecret::parse(answer["secret"].as_str().unwrap()).unwrap())
}

pub async fn ask(h: &Harness, method: Method, path: &str) -> (u16, Value) {
    Client::signed_in(h).await.ask(method, path, "{}").await
}

/// Asks for a test event; runs nothing.
pub async fn send_test(h: &Harness, id: Uuid) {
    assert_eq!(ask(h, Method::POST, &format!("/api/webhook-endpoints/{id}/test")).await.0, 202);
}

pub async fn webhook(h: &Harness, id: Uuid) -> Value {
    ask(h, Method::GET, &format!("/api/webhook-endpoints/{id}")).await.1
}

pub async fn log(h: &Harness, id: Uuid) -> Vec<Value> {
    let (status, page) = ask(h, Method::GET, &format!("/api/webhook-endpoints/{id}/deliveries")).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

pub async fn notices(h: &Harness) -> Vec<String> {
    let open = "select text from notices where kind = $1 and resolved_at is null";
    let kind = NoticeKind::WebhookDisabled.as_str();
    sqlx::query_scalar(open).bind(kind).fetch_all(h.pool()).await.unwrap()
}
