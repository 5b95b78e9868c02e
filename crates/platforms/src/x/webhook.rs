//! What X's Activity API sends to the webhook, and having it sent. One event a delivery: somebody answered a post of the account
//! (`post.reply.create`) or named it (`post.mention.create`). Nothing else is kept. Source: X's pages "X Activity API" and "Event payloads".
//!
//! An event holds the post whole. Whose conversation it stands in is told where it answers the first post of the account's own; else it is
//! read, as polling does.

use super::tariff::{self, Reads};
use super::{Api, calls, limits, wire};
use crate::error::{FetchError, Scope};
use crate::http::{self, Answer, address};
use crate::permits::Host;
use crate::tariff::Charge;
use crate::types::{Account, Heard, Named, Pushed, Session, Subscribed};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use url::Url;

const EVENTS: [&str; 2] = ["post.reply.create", "post.mention.create"];
/// What is older was played back by somebody: polling has it, or nobody needs it any more.
const OLDEST: Duration = Duration::hours(48);
const MOST_EVENTS: usize = 1_000;
/// Pages of subscriptions: an app has 1500 at most.
const PAGES: usize = 20;

fn kind_of(event: &Value) -> Option<&'static str> {
    let told = wire::text(event, "event_type")?;
    EVENTS.into_iter().find(|kind| *kind == told)
}

/// The events that are ours to keep; an error says why the body is no delivery.
pub(super) fn split(body: &[u8]) -> Result<Vec<Pushed>, String> {
    let body: Value = serde_json::from_slice(body).map_err(|_| "not JSON".to_owned())?;
    let events: Vec<&Value> = match body.get("data") {
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err("holds no event of X".to_owned()),
    };
    if events.len() > MOST_EVENTS {
        return Err(format!("more than {MOST_EVENTS} events"));
    }
    if events.iter().any(|event| wire::text(event, "event_type").is_none()) {
        return Err("an event without a type".to_owned());
    }
    Ok(events.into_iter().filter_map(|event| Some(pushed(event, kind_of(event)?))).collect())
}

fn pushed(event: &Value, kind: &'static str) -> Pushed {
    let account_id = event.pointer("/filter/user_id").and_then(wire::as_id);
    let post = event.get("payload").unwrap_or(&Value::Null);
    let post_id = post.get("id").and_then(wire::as_id);
    let problem = match (&account_id, &post_id) {
        (None, _) => Some("the event names no account".to_owned()),
        (_, None) => Some("the event names no post".to_owned()),
        _ => None,
    };
    // X's own name of the event may be missing or change when it is sent again; account, kind and post do not.
    let key = account_id.as_ref().zip(post_id.as_ref()).map(|(account, post)| format!("{account}:{kind}:{post}"));
    let payload = json!({ "event_type": kind, "payload": post, "includes": event.get("includes") });
    Pushed { account_id, kind, key, sent_at: made_at(post), payload: payload.to_string(), problem }
}

fn made_at(post: &Value) -> Option<OffsetDateTime> {
    wire::text(post, "created_at").and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok())
}

/// What a kept event says. `at`: when it came in.
pub(super) fn heard(site: &Url, account: &Account, payload: &Value, at: OffsetDateTime) -> Heard {
    let post = payload.get("payload").unwrap_or(&Value::Null);
    let included = payload.get("includes").unwrap_or(&Value::Null);
    let Some(tweet) = wire::tweet(post, &wire::names(included)) else {
        return Heard::Nothing("it names no post");
    };
    if tweet.made_at().is_none_or(|made| at - made > OLDEST) {
        return Heard::Nothing("it is older than X would send");
    }
    if tweet.is_by(account) {
        return Heard::Nothing("the account wrote it itself");
    }
    if tweet.retweet {
        return Heard::Nothing("it only repeats a post");
    }
    let unknown = Named { post_id: None, comment_id: Some(tweet.id.clone()), mention: false };
    // Without its author, or as a part of a conversation that may not be ours, it is read.
    if tweet.author_id.is_none() {
        return Heard::Named(unknown);
    }
    let heard = if tweet.is_root() {
        tweet.into_post(site, account).map(Heard::Post)
    } else {
        let answers_root = tweet.replied_to.is_some() && tweet.replied_to == tweet.conversation_id;
        let root = tweet.conversation_id.clone().filter(|_| answers_root);
        let ours = tweet.replied_to_user.as_ref() == Some(&account.id);
        root.filter(|_| ours).and_then(|root| tweet.into_comment(root, site, account)).map(Heard::Comment)
    };
    match heard {
        Some(mut heard) => {
            heard.not_later_than(at);
            heard
        }
        None => Heard::Named(unknown),
    }
}

/// X charges for each event that it delivers as for a post read.
pub(super) fn charges(payload: &Value) -> Vec<Charge> {
    let id = payload.pointer("/payload/id").and_then(wire::as_id);
    id.map(|thing| Charge { kind: tariff::POST_READ, thing }).into_iter().collect()
}

/// The ids of the event, without what people wrote and who they are.
pub(super) fn without_words(payload: &mut Value) {
    let kept = |name: &str| payload.pointer(&format!("/payload/{name}")).cloned().unwrap_or_default();
    *payload = json!({
        "event_type": payload.get("event_type"),
        "payload": {"id": kept("id"), "conversation_id": kept("conversation_id")},
    });
}

/// Has both kinds of events sent to the app's webhook, each once: what is subscribed to already is left as it is.
pub(super) async fn subscribe(api: &Api, session: &Session) -> Result<Subscribed, FetchError> {
    let Some(webhook_id) = api.config.webhook_id.as_deref() else {
        return Err(calls::refusal("no_webhook", "no webhook of X is set up here".to_owned(), Scope::Account));
    };
    let there = subscriptions(api, session, webhook_id).await?;
    for event in EVENTS.into_iter().filter(|event| !there.contains(*event)) {
        let body = json!({
            "event_type": event, "filter": {"user_id": session.account.id}, "webhook_id": webhook_id, "tag": "rejoinder",
        });
        let url = address(&api.config.api_base, &["2", "activity", "subscriptions"]);
        let token = &session.access_token;
        let request = api.read.post(url).json(&body).bearer_auth(token.expose_secret());
        let read = |status, headers: &_| limits::told(status, headers, (api.now)());
        let sent = http::send_reading(request, token.permits(), Host::Api, read).await.map_err(calls::unsent)?;
        let (status, headers) = (sent.status().as_u16(), sent.headers().clone());
        tracing::debug!(platform = "x", call = "2/activity/subscriptions", status, "answered");
        let body = http::read_body(sent, http::BODY_LIMIT).await.unwrap_or_default();
        calls::decide(&Answer { status, headers, body }, Scope::Account, (api.now)())?;
    }
    Ok(Subscribed { fields: EVENTS.map(str::to_owned).to_vec(), app_user_id: None })
}

/// Kinds of events that the account has sent to this webhook.
async fn subscriptions(api: &Api, session: &Session, webhook_id: &str) -> Result<BTreeSet<String>, FetchError> {
    let (mut kinds, mut token) = (BTreeSet::new(), None::<String>);
    for _ in 0..PAGES {
        let query: Vec<(&str, &str)> = token.iter().map(|token| ("pagination_token", token.as_str())).collect();
        let path = ["2", "activity", "subscriptions"];
        let read = api.get(&session.access_token, &path, &query, (Reads::Nothing, Scope::Account)).await?;
        let list = read.body.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let ours = list.iter().filter(|one| {
            one.pointer("/filter/user_id").and_then(wire::as_id).as_ref() == Some(&session.account.id)
                && one.get("webhook_id").and_then(wire::as_id).as_deref() == Some(webhook_id)
        });
        kinds.extend(ours.filter_map(|one| wire::text(one, "event_type").map(str::to_owned)));
        token = read.body.pointer("/meta/next_token").and_then(Value::as_str).map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    Ok(kinds)
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
