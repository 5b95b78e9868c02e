//! The one public write. What cannot be told for sure is `Uncertain`; it is never read as posted and never as safe to repeat.
//! A 200 has three meanings here: things with one element = posted; `errors` = refused; neither = taken but not shown.

use super::{CAPABILITIES, RedditConfig, act, address, calls, wire};
use crate::Writer;
use crate::error::{Scope, SendError};
use crate::http::{self, Answer, Unsent};
use crate::permits::Host;
use crate::types::{Acted, Action, Exchange, OutboundReply, PostedReply, Session};
use async_trait::async_trait;
use reqwest::header::USER_AGENT;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Where Reddit asks to wait without saying how long.
const DEFAULT_WAIT: Duration = Duration::from_secs(600);
const CROWDED_WAIT: Duration = Duration::from_secs(3600);
const HTTP_WAIT: Duration = Duration::from_secs(60);

pub struct RedditWriter {
    config: Arc<RedditConfig>,
    client: reqwest::Client,
}

/// What an answer to a reply means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Posted { id: String, permalink: Option<Url> },
    RateLimited { retry_after: Duration, scope: Scope },
    AuthExpired,
    Refused { code: String, reason: String, scope: Scope },
    Uncertain(String),
}

impl RedditWriter {
    pub(super) fn new(config: Arc<RedditConfig>, client: reqwest::Client) -> Self {
        Self { config, client }
    }
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
        match self.post(session, call).await? {
            Sent::Answered { answer, request } => {
                let verdict = decide(&answer, &Expected::Under(&reply.target_id), self.site());
                conclude(verdict, request, &answer)
            }
            Sent::Lost { reason, request } => {
                let exchange = Exchange { request, status: None, answer: Value::Null };
                Err(SendError::Uncertain { reason, exchange })
            }
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
    pub(super) fn site(&self) -> &Url {
        &self.config.auth_base
    }

    pub(super) fn user_agent(&self) -> &str {
        &self.config.user_agent
    }

    pub(super) fn request(&self, method: reqwest::Method, name: &str) -> reqwest::RequestBuilder {
        self.client.request(method, address(&self.config.api_base, &["api", name])).query(&[("raw_json", "1")])
    }

    /// Sends once. Err: it never left.
    pub(super) async fn post(&self, session: &Session, call: Call<'_>) -> Result<Sent, SendError> {
        let request = self
            .request(reqwest::Method::POST, call.name)
            .bearer_auth(session.access_token.expose_secret())
            .header(USER_AGENT, self.user_agent())
            .form(&call.form);
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
}

fn conclude(verdict: Verdict, request: Value, answer: &Answer) -> Result<PostedReply, SendError> {
    let exchange = Exchange { request, status: Some(answer.status), answer: for_the_log(answer) };
    match verdict {
        Verdict::Posted { id, permalink } => Ok(PostedReply { id, permalink, visible: true, exchange }),
        failed => Err(failure(failed, exchange)),
    }
}

/// The error of a verdict. A success that nobody could see is unknown.
pub(super) fn failure(verdict: Verdict, exchange: Exchange) -> SendError {
    match verdict {
        Verdict::Posted { .. } => SendError::Uncertain { reason: "the outcome was not seen".to_owned(), exchange },
        Verdict::RateLimited { retry_after, scope } => SendError::RateLimited { retry_after, scope, exchange },
        Verdict::AuthExpired => SendError::AuthExpired { exchange },
        Verdict::Refused { code, reason, scope } => SendError::Refused { code, reason, scope, exchange },
        Verdict::Uncertain(reason) => SendError::Uncertain { reason, exchange },
    }
}

/// Ids and reasons only: the texts have their own place and their own lifetime.
pub(super) fn for_the_log(answer: &Answer) -> Value {
    let Some(body) = answer.json() else {
        // A page may show the thread, so none of it is kept.
        return json!({ "not_json_bytes": answer.body.len() });
    };
    let things = body.pointer("/json/data/things").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<_> = things.filter_map(|thing| wire::fullname(wire::data(thing), "t1_")).take(5).collect();
    let errors = body.pointer("/json/errors").map(|errors| wire::shortened(&errors.to_string(), 500));
    let (code, words) = wire::refusal(Some(&body));
    json!({ "things": names, "errors": errors, "code": code, "message": words })
}

/// Which comment a success must show.
pub(super) enum Expected<'a> {
    /// A new one under this target.
    Under(&'a str),
    /// This one.
    Same(&'a str),
}

/// Pure: the same answer always means the same.
pub(super) fn decide(answer: &Answer, expected: &Expected<'_>, site: &Url) -> Verdict {
    let body = answer.json();
    let (code, words) = wire::refusal(body.as_ref());
    let status = answer.status;
    let refused = |scope| Verdict::Refused {
        code: code.clone().unwrap_or_else(|| format!("HTTP_{status}")),
        reason: words.clone().unwrap_or_else(|| format!("Reddit answered {status}")),
        scope,
    };
    match status {
        200 => body.map_or_else(
            || Verdict::Uncertain("Reddit answered 200 with something unreadable".to_owned()),
            |body| accepted(&body, expected, site),
        ),
        401 => Verdict::AuthExpired,
        402 => refused(Scope::App),
        403 if calls::lacks_scope(&answer.headers) => Verdict::Refused {
            code: "insufficient_scope".to_owned(),
            reason: "the consent lacks the permission to comment".to_owned(),
            scope: Scope::Account,
        },
        // With a reason it is about the community; without one it is likely about us, and a series must stop the account.
        403 => refused(if code.is_some() { Scope::Item } else { Scope::Account }),
        // The request budget belongs to the client id, so it is spent for every account of the app.
        429 => Verdict::RateLimited {
            retry_after: http::retry_after(&answer.headers).unwrap_or(HTTP_WAIT),
            scope: Scope::App,
        },
        // Given up on by a server in between: what lies behind it may have gone on.
        408 | 425 | 499 => Verdict::Uncertain(format!("Reddit answered {status}")),
        400..=498 => refused(Scope::Item),
        _ => Verdict::Uncertain(format!("Reddit answered {status}")),
    }
}

fn accepted(body: &Value, expected: &Expected<'_>, site: &Url) -> Verdict {
    let list = |path| body.pointer(path).and_then(Value::as_array).map(Vec::as_slice);
    let (errors, things) = (list("/json/errors"), list("/json/data/things"));
    match (errors.unwrap_or_default(), things) {
        ([], Some([thing])) => posted(thing, expected, site),
        ([], Some([])) if errors.is_some() => Verdict::Uncertain(
            "Reddit took the reply without showing it; it may stand in the account's own comments".to_owned(),
        ),
        (errors @ [_, ..], None | Some([])) => in_band(errors, body),
        _ => Verdict::Uncertain("Reddit answered 200 in an unknown form".to_owned()),
    }
}

fn posted(thing: &Value, expected: &Expected<'_>, site: &Url) -> Verdict {
    let data = wire::data(thing);
    let parent = wire::text(data, "parent_id").or_else(|| wire::text(data, "parent"));
    let id = wire::fullname(data, "t1_").filter(|_| wire::kind(thing) == "t1");
    match (expected, parent, &id) {
        (Expected::Under(target), Some(parent), _) if parent != *target => {
            return Verdict::Uncertain("Reddit answered with a comment under another parent".to_owned());
        }
        (Expected::Same(same), _, Some(id)) if id != same => {
            return Verdict::Uncertain("Reddit answered with another comment".to_owned());
        }
        _ => {}
    }
    match id {
        Some(id) => {
            let post = wire::text(data, "link_id").unwrap_or_default();
            let permalink = wire::comment_permalink(site, data, post, &id);
            Verdict::Posted { id, permalink }
        }
        None => Verdict::Uncertain("Reddit answered 200 without an id".to_owned()),
    }
}

/// `[CODE, message, field]` each. A lasting refusal beats a wait, a known code beats an unknown one, the wider scope first.
fn in_band(errors: &[Value], body: &Value) -> Verdict {
    let verdict = |error: &Value| {
        let part = |index| error.get(index).and_then(Value::as_str);
        let code = part(0).or_else(|| error.as_str()).filter(|code| !code.is_empty())?;
        Some(by_code(
            code,
            part(1).unwrap_or_default(),
            wire::number(body.get("json").unwrap_or(&Value::Null), "ratelimit"),
        ))
    };
    let Some(verdicts) = errors.iter().map(verdict).collect::<Option<Vec<_>>>() else {
        return Verdict::Uncertain("Reddit answered 200 with errors in an unknown form".to_owned());
    };
    let first = verdicts.into_iter().min_by_key(|(rank, _)| *rank);
    first.map_or_else(|| Verdict::Uncertain("Reddit answered 200 with no error".to_owned()), |(_, verdict)| verdict)
}

fn by_code(code: &str, message: &str, ratelimit_secs: Option<f64>) -> (u8, Verdict) {
    let refused =
        |scope| Verdict::Refused { code: wire::shortened(code, 80), reason: wire::shortened(message, 300), scope };
    let wait = |default, scope| {
        // The text rounds down to whole units; the number, where there is one, is exact.
        let told = ratelimit_secs.map(|secs| http::seconds(secs.ceil() + 1.0)).or_else(|| wait_in(message));
        Verdict::RateLimited { retry_after: told.unwrap_or(default), scope }
    };
    match code {
        "IN_TIMEOUT" | "USER_REQUIRED" => (0, refused(Scope::Account)),
        "NO_TEXT"
        | "TOO_LONG"
        | "TOO_SHORT"
        | "TOO_OLD"
        | "THREAD_LOCKED"
        | "DELETED_COMMENT"
        | "DELETED_LINK"
        | "SUBREDDIT_NOTALLOWED"
        | "SUBREDDIT_NO_ACCESS"
        | "SOMETHING_IS_BROKEN"
        | "USER_BLOCKED"
        | "USER_MUTED"
        | "MUTED_FROM_SUBREDDIT"
        | "SUBREDDIT_LINKING_DISALLOWED"
        | "SUBREDDIT_OUTBOUND_LINKING_DISALLOWED"
        | "COMMENT_UNREPLIABLE"
        | "COMMENT_GUIDANCE_VALIDATION_FAILED" => (1, refused(Scope::Item)),
        "RATELIMIT" => (2, wait(DEFAULT_WAIT, Scope::Account)),
        "SUBREDDIT_RATELIMIT" => (3, wait(DEFAULT_WAIT, Scope::Item)),
        "TOO_MANY_COMMENTS" => (4, wait(CROWDED_WAIT, Scope::Item)),
        // Not known to pass by waiting, so nothing repeats it.
        _ => (5, refused(Scope::Item)),
    }
}

/// "Take a break for 5 minutes" = 6 minutes: the first number followed by a unit, and one unit more.
fn wait_in(message: &str) -> Option<Duration> {
    let words: Vec<&str> = message.split_whitespace().collect();
    words.windows(2).find_map(|pair| {
        let count: u64 = pair[0].parse().ok().filter(|count| *count < 1000)?;
        let unit = pair[1].to_lowercase();
        let millis = match unit.as_str() {
            u if u.starts_with("millisecond") => 1,
            u if u.starts_with("second") => 1000,
            u if u.starts_with("minute") => 60_000,
            u if u.starts_with("hour") => 3_600_000,
            _ => return None,
        };
        Some(Duration::from_millis((count + 1) * millis).max(Duration::from_secs(1)))
    })
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
