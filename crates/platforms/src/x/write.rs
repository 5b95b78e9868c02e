//! The public writes: a reply and its taking back. Only a 201 with an id is a post. What cannot be told for sure is `Uncertain`; it is
//! never read as posted and never as safe to repeat: X has no idempotency key.

use super::problem::{self, About};
use super::{Api, CAPABILITIES, length, limits, tariff, wire};
use crate::Writer;
use crate::error::{Remedy, Scope, SendError};
use crate::http::{self, Answer, Unsent, address};
use crate::permits::Host;
use crate::tariff::{Charge, Hold};
use crate::types::{Acted, Action, Exchange, OutboundReply, PostedReply, Session};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;

pub struct XWriter {
    api: Api,
    client: reqwest::Client,
}

/// What an answer to a write means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Posted { id: String },
    Deleted,
    RateLimited { retry_after: Duration, scope: Scope },
    AuthExpired,
    Refused { code: String, reason: String, scope: Scope, remedy: Remedy },
    Uncertain(String),
}

impl XWriter {
    pub(super) fn new(api: Api, client: reqwest::Client) -> Self {
        Self { api, client }
    }

    /// Sends once.
    async fn send(&self, session: &Session, request: reqwest::RequestBuilder, asked: Value) -> Result<Sent, SendError> {
        let token = &session.access_token;
        let request = request.bearer_auth(token.expose_secret());
        let read = |status, headers: &_| limits::told(status, headers, (self.api.now)());
        let response = match http::send_reading(request, token.permits(), Host::Api, read).await {
            Ok(response) => response,
            Err(Unsent::NoPermit(retry_after)) => {
                let exchange = Exchange { request: asked, status: None, answer: Value::Null };
                return Err(SendError::RateLimited { retry_after, scope: Scope::Item, exchange });
            }
            Err(Unsent::Failed(error)) if http::never_left(&error) => {
                return Err(SendError::NotSent(http::trouble(error)));
            }
            Err(Unsent::Failed(error)) => {
                let exchange = Exchange { request: asked, status: None, answer: Value::Null };
                return Err(SendError::Uncertain { reason: http::trouble(error), exchange });
            }
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // A broken body leaves the status to decide; with a 201 that means: unknown.
        let body = http::read_body(response, http::BODY_LIMIT).await.unwrap_or_default();
        let answer = Answer { status, headers, body };
        let exchange = Exchange { request: asked, status: Some(status), answer: for_the_log(&answer) };
        Ok(Sent { verdict: decide(&answer, (self.api.now)()), exchange })
    }
}

struct Sent {
    verdict: Verdict,
    exchange: Exchange,
}

#[async_trait]
impl Writer for XWriter {
    fn slug(&self) -> &'static str {
        CAPABILITIES.slug
    }

    async fn reply(&self, session: &Session, reply: &OutboundReply) -> Result<PostedReply, SendError> {
        if !wire::is_id(&reply.target_id) {
            return Err(SendError::NotSent("the target is no post of X".to_owned()));
        }
        let weight = length::weighted(&reply.text);
        let asked = json!({
            "method": "POST", "path": "/2/tweets", "in_reply_to_tweet_id": reply.target_id, "text_weight": weight,
        });
        if weight > length::LIMIT {
            return Err(SendError::Refused {
                code: "too_long".to_owned(),
                reason: format!("the text counts {weight} on X, which takes {}", length::LIMIT),
                scope: Scope::Item,
                remedy: Remedy::Edit,
                exchange: Exchange { request: asked, status: None, answer: Value::Null },
            });
        }
        let body = json!({ "text": reply.text, "reply": { "in_reply_to_tweet_id": reply.target_id } });
        let request = self.client.post(address(&self.api.config.api_base, &["2", "tweets"])).json(&body);
        let Sent { verdict, exchange } = self.send(session, request, asked).await?;
        tracing::info!(platform = "x", call = "tweets", status = exchange.status, "answered");
        match verdict {
            Verdict::Posted { id } => {
                let permalink = wire::permalink(&self.api.config.auth_base, Some(&session.account.name), &id);
                Ok(PostedReply { id, permalink, visible: true, exchange })
            }
            other => Err(failure(other, exchange)),
        }
    }

    async fn act(&self, session: &Session, action: &Action) -> Result<Acted, SendError> {
        let id = match action {
            Action::Delete { reply_id } if wire::is_id(reply_id) => reply_id,
            Action::Delete { .. } => return Err(SendError::NotSent("this is no post of X".to_owned())),
            Action::Edit { .. } => {
                return Err(SendError::Refused {
                    code: "unsupported".to_owned(),
                    reason: "X lets no program change a post; take it back and write a new one".to_owned(),
                    scope: Scope::Item,
                    remedy: Remedy::Nothing,
                    exchange: Exchange::default(),
                });
            }
        };
        let asked = json!({ "method": "DELETE", "path": "/2/tweets", "id": id });
        let request = self.client.delete(address(&self.api.config.api_base, &["2", "tweets", id]));
        let Sent { verdict, exchange } = self.send(session, request, asked).await?;
        if matches!(verdict, Verdict::Deleted | Verdict::Uncertain(_)) {
            let charge = Charge { kind: tariff::DELETE, thing: id.clone() };
            if let Err(error) = session.access_token.permits().charged(Hold::default(), &[charge]).await {
                tracing::error!(platform = "x", error, "the cost of a call could not be counted");
            }
        }
        match verdict {
            Verdict::Deleted => Ok(Acted { exchange }),
            // Not there any more: that is what was wanted.
            Verdict::Refused { code, .. } if code == "gone" => Ok(Acted { exchange }),
            other => Err(failure(other, exchange)),
        }
    }
}

/// The error of a verdict that is not the success that was asked for.
fn failure(verdict: Verdict, exchange: Exchange) -> SendError {
    match verdict {
        Verdict::RateLimited { retry_after, scope } => SendError::RateLimited { retry_after, scope, exchange },
        Verdict::AuthExpired => SendError::AuthExpired { exchange },
        Verdict::Refused { code, reason, scope, remedy } => {
            SendError::Refused { code, reason, scope, remedy, exchange }
        }
        Verdict::Uncertain(reason) => SendError::Uncertain { reason, exchange },
        Verdict::Posted { .. } | Verdict::Deleted => {
            SendError::Uncertain { reason: "X answered as if asked for something else".to_owned(), exchange }
        }
    }
}

/// Ids and reasons only: the texts have their own place and their own lifetime.
fn for_the_log(answer: &Answer) -> Value {
    let Some(body) = answer.json() else {
        return json!({ "not_json_bytes": answer.body.len() });
    };
    let said = problem::said(answer);
    let problem =
        (answer.status >= 300).then(|| json!({ "code": said.word(answer.status), "words": said.words(answer.status) }));
    json!({
        "id": body.pointer("/data/id").and_then(wire::as_id),
        "deleted": body.pointer("/data/deleted").and_then(Value::as_bool),
        "problem": problem,
    })
}

/// Pure: the same answer at the same time always means the same.
pub(super) fn decide(answer: &Answer, now: OffsetDateTime) -> Verdict {
    let status = answer.status;
    if (200..300).contains(&status) {
        return accepted(answer);
    }
    let said = problem::said(answer);
    let about = said.about(status);
    match status {
        401 => Verdict::AuthExpired,
        429 => {
            let (retry_after, scope) = limits::wait(&answer.headers, &said, now);
            Verdict::RateLimited { retry_after, scope }
        }
        // Given up on by a server in between: what lies behind it may have gone on.
        408 | 425 | 499 => Verdict::Uncertain(format!("X answered {status}")),
        400..=498 => {
            let scope = problem::scope(about, Scope::Item);
            let reason = words(about, said.words(status));
            Verdict::Refused { code: said.word(status), reason, scope, remedy: problem::remedy(about) }
        }
        _ => Verdict::Uncertain(format!("X answered {status}")),
    }
}

/// What people read: X's words, and what follows from them where that is not plain.
fn words(about: About, told: String) -> String {
    match about {
        About::Duplicate => format!("{told} The same words may stand there already; look at the account's posts."),
        About::NotSummoned => format!("{told} A person can answer it on x.com."),
        About::Credits => format!("{told} Nothing is read or posted on X until the app's owner has bought credits."),
        _ => told,
    }
}

fn accepted(answer: &Answer) -> Verdict {
    let unknown = |what: &str| Verdict::Uncertain(format!("X answered {} {what}", answer.status));
    let Some(body) = answer.json() else { return unknown("without JSON") };
    let id = body.pointer("/data/id").and_then(wire::as_id);
    let deleted = body.pointer("/data/deleted").and_then(Value::as_bool);
    match (answer.status, id, deleted) {
        (201, Some(id), None) => Verdict::Posted { id },
        (200, None, Some(true)) => Verdict::Deleted,
        _ => unknown("in an unknown form"),
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
