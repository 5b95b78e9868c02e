//! The one public write. A call can fail after the comment exists, so whatever is not a clear no is `Uncertain`; it is never read as
//! posted and never as safe to repeat. Reading says `text`, writing says `message`.

use super::access::Access;
use super::errors::{self, Decision};
use super::mentions::{self, Mention, Thing};
use super::{CAPABILITIES, InstagramConfig, act, calls, wire};
use crate::Writer;
use crate::error::{Remedy, Scope, SendError};
use crate::http::{self, Answer, Unsent, address};
use crate::types::{Acted, Action, Exchange, OutboundReply, PostedReply, Session};
use async_trait::async_trait;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub struct InstagramWriter {
    pub(super) config: Arc<InstagramConfig>,
    pub(super) client: reqwest::Client,
}

impl InstagramWriter {
    /// Under somebody else's post: through our own account, and by Facebook Login alone.
    async fn answer_mention(
        &self,
        session: &Session,
        mention: Mention<'_>,
        text: &str,
    ) -> Result<PostedReply, SendError> {
        let access = access_of(&self.config, session)?;
        if access.marked.is_none() || !wire::is_id(&session.account.id) {
            return Err(SendError::NotSent("mentions are answered only by accounts connected by Facebook".to_owned()));
        }
        let account = session.account.id.as_str();
        let url = address(access.base, &[&self.config.version, account, "mentions"]);
        let mut form = vec![("media_id", mention.media_id), ("message", text)];
        form.extend(mention.comment_id.map(|comment_id| ("comment_id", comment_id)));
        let request = access.show(self.client.post(url)).form(&form);
        let asked = json!({
            "method": "POST", "path": format!("/{account}/mentions"),
            "thing_id": mention.comment_id.unwrap_or(mention.media_id), "text_chars": text.chars().count(),
        });
        let answer = send(session, "mentions", request, &asked).await?;
        let exchange = exchange(asked, &answer);
        match decide(&answer) {
            Verdict::Posted { id } => {
                let id = mentions::own_id(&mention, &id);
                Ok(PostedReply { id, permalink: None, visible: true, exchange })
            }
            verdict => Err(verdict_error(verdict, exchange)),
        }
    }
}

/// What an answer to a reply means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Posted { id: String },
    RateLimited { retry_after: Duration, scope: Scope },
    AuthExpired,
    Refused { code: String, reason: String, scope: Scope, remedy: Remedy },
    Uncertain(String),
}

impl InstagramWriter {
    pub(super) fn new(config: Arc<InstagramConfig>, client: reqwest::Client) -> Self {
        Self { config, client }
    }
}

#[async_trait]
impl Writer for InstagramWriter {
    fn slug(&self) -> &'static str {
        CAPABILITIES.slug
    }

    /// An answer to an answer goes to that answer's id: Meta puts it under the top-level comment.
    async fn reply(&self, session: &Session, reply: &OutboundReply) -> Result<PostedReply, SendError> {
        if let Some(mention) = Thing::mention(&reply.target_id) {
            return self.answer_mention(session, mention, &reply.text).await;
        }
        if !wire::is_id(&reply.target_id) {
            return Err(SendError::NotSent("the target is neither a post nor a comment of Instagram".to_owned()));
        }
        let edge = if reply.target_id == reply.post_id { "comments" } else { "replies" };
        let access = access_of(&self.config, session)?;
        let url = address(access.base, &[&self.config.version, &reply.target_id, edge]);
        let request = access.show(self.client.post(url)).form(&[("message", &reply.text)]);
        let asked = json!({
            "method": "POST", "path": format!("/{}/{edge}", reply.target_id), "thing_id": reply.target_id,
            "text_chars": reply.text.chars().count(),
        });
        let answer = send(session, edge, request, &asked).await?;
        let exchange = exchange(asked, &answer);
        match decide(&answer) {
            Verdict::Posted { id } => Ok(PostedReply { id, permalink: None, visible: true, exchange }),
            verdict => Err(verdict_error(verdict, exchange)),
        }
    }

    async fn act(&self, session: &Session, action: &Action) -> Result<Acted, SendError> {
        act::act(self, session, action).await
    }
}

pub(super) fn access_of<'a>(config: &'a InstagramConfig, session: &'a Session) -> Result<Access<'a>, SendError> {
    Access::of(config, &session.access_token).map_err(|why| SendError::NotSent(why.to_owned()))
}

/// Sends a write once. `asked` is what the log keeps of it.
pub(super) async fn send(
    session: &Session,
    call: &'static str,
    request: RequestBuilder,
    asked: &Value,
) -> Result<Answer, SendError> {
    let exchange = || Exchange { request: asked.clone(), status: None, answer: Value::Null };
    let response = match calls::send(request, session.access_token.permits()).await {
        Ok(response) => response,
        Err(Unsent::NoPermit(retry_after)) => {
            return Err(SendError::RateLimited { retry_after, scope: Scope::Item, exchange: exchange() });
        }
        Err(Unsent::Failed(error)) if http::never_left(&error) => {
            return Err(SendError::NotSent(http::trouble(error)));
        }
        Err(Unsent::Failed(error)) => {
            return Err(SendError::Uncertain { reason: http::trouble(error), exchange: exchange() });
        }
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    // A broken body leaves the status to decide; with a 200 that means: unknown.
    let body = http::read_body(response, http::BODY_LIMIT).await.unwrap_or_default();
    tracing::info!(platform = "instagram", call, status, "answered");
    Ok(Answer { status, headers, body })
}

pub(super) fn exchange(request: Value, answer: &Answer) -> Exchange {
    Exchange { request, status: Some(answer.status), answer: for_the_log(answer) }
}

/// Of a verdict that is no success.
pub(super) fn verdict_error(verdict: Verdict, exchange: Exchange) -> SendError {
    match verdict {
        Verdict::Posted { id } => SendError::Uncertain { reason: format!("it stands there as {id}"), exchange },
        Verdict::RateLimited { retry_after, scope } => SendError::RateLimited { retry_after, scope, exchange },
        Verdict::AuthExpired => SendError::AuthExpired { exchange },
        Verdict::Refused { code, reason, scope, remedy } => {
            SendError::Refused { code, reason, scope, remedy, exchange }
        }
        Verdict::Uncertain(reason) => SendError::Uncertain { reason, exchange },
    }
}

/// Ids and reasons only.
fn for_the_log(answer: &Answer) -> Value {
    let Some(body) = answer.json() else {
        return json!({ "not_json_bytes": answer.body.len() });
    };
    let error = errors::graph_error(&body);
    let trace = body.pointer("/error/fbtrace_id").and_then(Value::as_str).map(|id| wire::shortened(id, 80));
    json!({
        "things": wire::id_at(&body, "id").into_iter().collect::<Vec<_>>(),
        "code": error.as_ref().and_then(|error| error.code), "subcode": error.as_ref().and_then(|error| error.subcode),
        "message": error.map(|error| error.message), "fbtrace_id": trace,
    })
}

/// Pure: the same answer always means the same.
pub(super) fn decide(answer: &Answer) -> Verdict {
    let body = answer.json();
    let has_error = body.as_ref().is_some_and(|body| errors::graph_error(body).is_some());
    match (answer.status, body) {
        (200, Some(body)) if !has_error => match created(&body) {
            Some(id) => Verdict::Posted { id },
            None => Verdict::Uncertain("Instagram answered 200 without the id of a comment".to_owned()),
        },
        (200, None) => Verdict::Uncertain("Instagram answered 200 with something unreadable".to_owned()),
        (201..=299, _) if !has_error => Verdict::Uncertain(format!("Instagram answered {}", answer.status)),
        // A server that failed may have done it first, whatever code it names.
        (408 | 500.., _) => Verdict::Uncertain(format!("Instagram answered {}", answer.status)),
        // Not followed; where it leads nobody knows.
        (300..=399, _) => Verdict::Uncertain(format!("Instagram answered {}", answer.status)),
        _ => decide_refusal(errors::decide(answer, Scope::Item)),
    }
}

/// `{"id": "178.."}` and nothing else: a node or a list would be the answer to another question.
fn created(body: &Value) -> Option<String> {
    let members = body.as_object()?;
    members.keys().all(|key| matches!(key.as_str(), "id" | "success")).then(|| wire::id_at(body, "id"))?
}

pub(super) fn decide_refusal(decision: Decision) -> Verdict {
    match decision {
        Decision::Wait { after, scope } => Verdict::RateLimited { retry_after: after, scope },
        Decision::TokenDead { .. } => Verdict::AuthExpired,
        Decision::Refused { code, reason, scope, remedy } => Verdict::Refused { code, reason, scope, remedy },
        Decision::Passing(reason) => Verdict::Uncertain(reason),
    }
}
