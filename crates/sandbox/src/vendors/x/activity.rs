//! The Activity API: subscriptions of accounts, and an event for what people write to them. An event waits until a delivery of it was
//! answered 200, and is sent again until then. Signed with the app's API secret over the very bytes.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::shapes::{self, Wanted};
use super::things::XWorld;
use super::{Caller, answer, problem};
use crate::Shared;
use crate::vendors::clerk::SignedMessage;

/// Signs events and the answer to a challenge; not the secret of OAuth2.
pub const API_SECRET: &str = "sandbox-api-secret";
/// Of the one webhook that can be registered.
pub const WEBHOOK_ID: &str = "1900000000000000001";
const KINDS: [&str; 2] = ["post.reply.create", "post.mention.create"];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) url: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Subscription {
    id: u64,
    user: u64,
    kind: String,
    webhook_id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    uuid: u64,
    user: u64,
    kind: String,
    post: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Activity {
    pub(crate) webhook: Option<Webhook>,
    subscriptions: Vec<Subscription>,
    waiting: Vec<Event>,
    issued: u64,
}

pub(crate) fn signature(bytes: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, API_SECRET.as_bytes()), bytes);
    format!("sha256={}", BASE64_STANDARD.encode(tag))
}

impl Webhook {
    /// False where a test delivers itself.
    pub(crate) fn is_address(&self) -> bool {
        self.url.starts_with("http://")
    }
}

impl Activity {
    fn number(&mut self) -> u64 {
        self.issued += 1;
        3_091_827_364_059_182_000 + self.issued
    }

    /// Where events go from now on.
    pub(crate) fn register(&mut self, url: &str) {
        self.webhook = Some(Webhook { id: WEBHOOK_ID.to_owned(), url: url.to_owned() });
    }

    pub(crate) fn answered(&mut self, uuid: u64, status: u16) {
        self.waiting.retain(|event| event.uuid != uuid || status != 200);
    }
}

impl XWorld {
    /// Notes who is to be told of a post.
    pub(super) fn tell(&mut self, id: u64, now: OffsetDateTime) {
        let Some(tweet) = self.tweets.get(&id) else { return };
        let answered = tweet.replied_to.and_then(|parent| self.tweets.get(&parent)).map(|parent| parent.author);
        // The names at the beginning of an answer are X's own.
        let said = if tweet.replied_to.is_some() { super::things::spoken(&tweet.text) } else { tweet.text.clone() };
        let named: Vec<u64> = self.mentioned(&said).map(|(.., user)| user.id).collect();
        let author = tweet.author;
        let about = |one: &&Subscription| match one.kind.as_str() {
            "post.reply.create" => answered == Some(one.user),
            _ => named.contains(&one.user),
        };
        let told: Vec<(u64, String)> = self
            .activity
            .subscriptions
            .iter()
            .filter(|one| one.user != author)
            .filter(about)
            .map(|one| (one.user, one.kind.clone()))
            .collect();
        for (user, kind) in told {
            let uuid = self.activity.number();
            self.activity.waiting.push(Event { uuid, user, kind, post: id });
            self.charge_event(id, now);
        }
    }

    /// What waits to be delivered, each with its number.
    pub(crate) fn events(&self) -> Vec<(u64, SignedMessage)> {
        self.activity.waiting.iter().filter_map(|event| Some((event.uuid, self.message(event)?))).collect()
    }

    fn message(&self, event: &Event) -> Option<SignedMessage> {
        let tweet = self.tweets.get(&event.post)?;
        let mut post = shapes::tweet(self, tweet, &Wanted::everything());
        if let Some(parent) = tweet.replied_to {
            post["in_reply_to_tweet_id"] = json!(parent.to_string());
        }
        let author = self.user(tweet.author).map(shapes::user);
        let body = json!({"data": {
            "event_uuid": event.uuid.to_string(), "filter": {"user_id": event.user.to_string()}, "event_type": event.kind,
            "tag": "sandbox", "payload": post, "includes": {"users": [{"data": author}]},
        }})
        .to_string();
        let headers = vec![
            ("x-twitter-webhooks-signature", signature(body.as_bytes())),
            ("content-type", "application/json".to_owned()),
            ("user-agent", "Twitter/Activity".to_owned()),
        ];
        Some(SignedMessage { headers, body })
    }
}

fn shown(one: &Subscription) -> Value {
    json!({
        "subscription_id": one.id.to_string(), "event_type": one.kind, "filter": {"user_id": one.user.to_string()},
        "webhook_id": one.webhook_id, "created_at": "2026-03-02T09:00:00.000Z", "updated_at": "2026-03-02T09:00:00.000Z",
    })
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, Extension(caller): Extension<Caller>) -> Response {
    let world = shared.world();
    let own = world.x.activity.subscriptions.iter().filter(|one| one.user == caller.user);
    let data: Vec<Value> = own.map(shown).collect();
    let meta = json!({"result_count": data.len()});
    let body = if data.is_empty() { json!({"meta": meta}) } else { json!({"data": data, "meta": meta}) };
    answer(StatusCode::OK, body)
}

pub(super) async fn subscribe(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Response {
    let refuse = |detail: &str| problem(400, "Invalid Request", detail, "invalid-request");
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return refuse("The body is no JSON.") };
    let word = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = word("/event_type");
    if !KINDS.contains(&kind) || word("/filter/user_id") != caller.user.to_string() {
        return refuse("The event type is unknown, or the user is not the one of the token.");
    }
    let mut world = shared.world();
    let activity = &mut world.x.activity;
    let webhook_id = word("/webhook_id").to_owned();
    if activity.webhook.as_ref().is_none_or(|webhook| webhook.id != webhook_id) {
        return refuse("There is no such webhook.");
    }
    if activity.subscriptions.iter().any(|one| one.user == caller.user && one.kind == kind) {
        return refuse("DuplicateSubscription: there is such a subscription.");
    }
    let one = Subscription { id: activity.number(), user: caller.user, kind: kind.to_owned(), webhook_id };
    let body = json!({"data": {"subscription": shown(&one)}});
    activity.subscriptions.push(one);
    world.note("POST", "/x/2/activity/subscriptions", None, "subscribe", None);
    answer(StatusCode::OK, body)
}
