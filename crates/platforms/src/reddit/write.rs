//! The one place that writes to Reddit: a form below `/api`, sent once, over a connection of its own. `verdict` says what the answer
//! means, `act` looks after changes of our own texts.
//!
//! A reply that was taken and not shown (a quarantined community, as a rule) is looked for in the account's own comments at once;
//! where it does not stand there either, it is still never sent again.

use super::verdict::{Expected, Verdict, decide, failure, for_the_log};
use super::{CAPABILITIES, RedditConfig, act, calls, wire};
use crate::error::{FetchError, Scope, SendError};
use crate::http::{self, Answer, Unsent, address};
use crate::permits::Host;
use crate::types::{Acted, Action, Exchange, InboundComment, OutboundReply, PostedReply, Session};
use crate::{Now, Writer};
use async_trait::async_trait;
use reqwest::header::USER_AGENT;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use url::Url;

/// How far Reddit's clock may stand from ours.
const CLOCK_SKEW: Duration = Duration::seconds(90);

pub struct RedditWriter {
    config: Arc<RedditConfig>,
    client: reqwest::Client,
    now: Now,
}

#[async_trait]
impl Writer for RedditWriter {
    fn slug(&self) -> &'static str {
        CAPABILITIES.slug
    }

    async fn reply(&self, session: &Session, reply: &OutboundReply) -> Result<PostedReply, SendError> {
        if wire::bare(&reply.target_id, "t1_").or_else(|| wire::bare(&reply.target_id, "t3_")).is_none() {
            return Err(SendError::NotSent("the target is neither a post nor a comment of Reddit".to_owned()));
        }
        let call = Call {
            name: "comment",
            form: vec![("api_type", "json"), ("thing_id", &reply.target_id), ("text", &reply.text)],
            logged: json!({
                "method": "POST", "path": "/api/comment", "thing_id": reply.target_id,
                "text_chars": reply.text.chars().count(),
            }),
        };
        let sent_at = (self.now)();
        let (answer, request) = match self.post(session, call).await? {
            Sent::Answered { answer, request } => (answer, request),
            Sent::Lost { reason, request } => {
                let exchange = Exchange { request, status: None, answer: Value::Null };
                return Err(SendError::Uncertain { reason, exchange });
            }
        };
        let exchange = Exchange { request, status: Some(answer.status), answer: for_the_log(&answer) };
        match decide(&answer, &Expected::Under(&reply.target_id), self.site()) {
            Verdict::Posted { id, permalink } => Ok(PostedReply { id, permalink, visible: true, exchange }),
            Verdict::Unseen => match self.own_comment(session, reply, sent_at).await {
                Some(comment) => {
                    Ok(PostedReply { id: comment.id, permalink: comment.permalink, visible: false, exchange })
                }
                None => Err(failure(Verdict::Unseen, exchange)),
            },
            failed => Err(failure(failed, exchange)),
        }
    }

    async fn act(&self, session: &Session, action: &Action) -> Result<Acted, SendError> {
        act::act(self, session, action).await
    }
}

/// One write: the call below `/api`, its form, and what the log keeps of it.
pub(super) struct Call<'a> {
    pub name: &'static str,
    pub form: Vec<(&'static str, &'a str)>,
    pub logged: Value,
}

/// What became of a request that left.
pub(super) enum Sent {
    Answered { answer: Answer, request: Value },
    Lost { reason: String, request: Value },
}

impl RedditWriter {
    pub(super) fn new(config: Arc<RedditConfig>, client: reqwest::Client, now: Now) -> Self {
        Self { config, client, now }
    }

    pub(super) fn site(&self) -> &Url {
        &self.config.auth_base
    }

    fn request(&self, session: &Session, method: Method, path: &[&str]) -> RequestBuilder {
        self.client
            .request(method, address(&self.config.api_base, path))
            .query(&[("raw_json", "1")])
            .bearer_auth(session.access_token.expose_secret())
            .header(USER_AGENT, &self.config.user_agent)
    }

    /// Sends once. Err: it never left.
    pub(super) async fn post(&self, session: &Session, call: Call<'_>) -> Result<Sent, SendError> {
        let request = self.request(session, Method::POST, &["api", call.name]).form(&call.form);
        let response = match http::send(request, session.access_token.permits(), Host::Api).await {
            Ok(response) => response,
            Err(Unsent::NoPermit(retry_after)) => {
                let exchange = Exchange { request: call.logged, status: None, answer: Value::Null };
                return Err(SendError::RateLimited { retry_after, scope: Scope::Item, exchange });
            }
            Err(Unsent::Failed(error)) if http::never_left(&error) => {
                return Err(SendError::NotSent(http::trouble(error)));
            }
            Err(Unsent::Failed(error)) => {
                return Ok(Sent::Lost { reason: http::trouble(error), request: call.logged });
            }
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // A broken body leaves the status to decide; with a 200 that means: unknown.
        let body = http::read_body(response, http::BODY_LIMIT).await.unwrap_or_default();
        tracing::info!(platform = "reddit", call = call.name, status, "answered");
        Ok(Sent::Answered { answer: Answer { status, headers, body }, request: call.logged })
    }

    /// Reads what a write left behind.
    pub(super) async fn look(
        &self,
        session: &Session,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, FetchError> {
        let request = self.request(session, Method::GET, path).query(query);
        let permits = session.access_token.permits();
        let response = http::send(request, permits, Host::Api).await.map_err(calls::unsent)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = http::read_body(response, http::BODY_LIMIT).await;
        let body = body.map_err(|error| FetchError::Unavailable(error.to_string()))?;
        Ok(calls::decide(&Answer { status, headers, body }, Scope::Item)?.body)
    }

    /// The reply in the account's own list, which shows it also where the thread does not.
    async fn own_comment(
        &self,
        session: &Session,
        reply: &OutboundReply,
        sent_at: OffsetDateTime,
    ) -> Option<InboundComment> {
        let path = ["user", &session.account.name, "comments"];
        let body = self.look(session, &path, &[("sort", "new"), ("limit", "100")]).await.ok()?;
        let read = |thing: &Value| wire::comment(thing, &reply.post_id, self.site(), &session.account).ok();
        let ours = |comment: &InboundComment| {
            comment.created_at >= sent_at - CLOCK_SKEW
                && super::tree::parent_of(comment) == reply.target_id
                && wire::is_by(&session.account, comment.author_id.as_deref(), comment.author_name.as_deref())
                && wire::normalised(&comment.text) == wire::normalised(&reply.text)
        };
        wire::listing(&body)?.children.iter().filter_map(read).find(ours)
    }
}
