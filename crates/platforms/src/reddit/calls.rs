//! Reading calls: one GET, its status turned into the caller's decision before anything is parsed.

use super::{Api, wire};
use crate::error::{FetchError, LACKS_PERMISSION, Scope};
use crate::http::{self, Answer, BodyError, Unsent, address};
use crate::permits::{AccessToken, Host};
use crate::types::{Account, Budget, Session};
use reqwest::header::{HeaderMap, USER_AGENT, WWW_AUTHENTICATE};
use serde_json::Value;
use std::time::{Duration, Instant};

const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// A good answer and the budget it told.
#[derive(Debug)]
pub(super) struct Read {
    pub body: Value,
    pub budget: Option<Budget>,
}

impl Api {
    /// `refused` is how far a 403 or 404 on this path reaches.
    pub(super) async fn get(
        &self,
        token: &AccessToken,
        segments: &[&str],
        query: &[(&str, &str)],
        refused: Scope,
    ) -> Result<Read, FetchError> {
        let started = Instant::now();
        let request = self
            .read
            .get(address(&self.config.api_base, segments))
            .query(&[("raw_json", "1")])
            .query(query)
            .bearer_auth(token.expose_secret())
            .header(USER_AGENT, &self.config.user_agent);
        let response = http::send(request, &token.permits, Host::Api).await.map_err(unsent)?;
        let millis = started.elapsed().as_millis() as u64;
        tracing::debug!(
            platform = "reddit",
            call = segments.join("/"),
            status = response.status().as_u16(),
            millis,
            "answered"
        );
        take(response, refused).await.map_err(|error| named(error, segments))
    }
}

/// Which permission it is that a call lacks.
fn named(error: FetchError, segments: &[&str]) -> FetchError {
    let scope = match segments {
        ["api", "v1", "me"] => "identity",
        ["user", ..] => "history",
        ["message", ..] => "privatemessages",
        _ => "read",
    };
    match error {
        FetchError::Refused { code, scope: reach, .. } if code == LACKS_PERMISSION => {
            refusal(&code, format!("the consent lacks the permission {scope:?}"), reach)
        }
        other => other,
    }
}

/// Reads an answer to its end and decides.
async fn take(response: reqwest::Response, refused: Scope) -> Result<Read, FetchError> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = http::read_body(response, http::BODY_LIMIT).await.or_else(|error| match error {
        // The status says enough without the body.
        _ if status != 200 => Ok(bytes::Bytes::new()),
        BodyError::TooLarge(_) => Err(refusal("TOO_LARGE", error.to_string(), Scope::Item)),
        BodyError::Broken(_) => Err(FetchError::Unavailable(error.to_string())),
    })?;
    decide(&Answer { status, headers, body }, refused)
}

/// Entries of the account's own inbox are no longer new. Nobody but the account sees that.
pub(super) async fn mark_read(api: &Api, session: &Session, ids: &str) -> Result<(), FetchError> {
    let request = api
        .read
        .post(address(&api.config.api_base, &["api", "read_message"]))
        .bearer_auth(session.access_token.expose_secret())
        .header(USER_AGENT, &api.config.user_agent)
        .form(&[("id", ids)]);
    let response = http::send(request, session.access_token.permits(), Host::Api).await.map_err(unsent)?;
    take(response, Scope::Item).await.map(drop)
}

pub(super) fn refusal(code: &str, reason: String, scope: Scope) -> FetchError {
    FetchError::Refused { code: code.to_owned(), reason, scope }
}

/// Nothing came.
pub(super) fn unsent(unsent: Unsent) -> FetchError {
    match unsent {
        Unsent::NoPermit(retry_after) => FetchError::RateLimited { retry_after },
        Unsent::Failed(error) => FetchError::Unavailable(http::trouble(error)),
    }
}

/// What an answer of the API host means to a reader.
pub(super) fn decide(answer: &Answer, refused: Scope) -> Result<Read, FetchError> {
    let (status, body) = (answer.status, answer.json());
    let (code, words) = wire::refusal(body.as_ref());
    let code = code.unwrap_or_else(|| format!("HTTP_{status}"));
    let words = community_reason(&code).map(str::to_owned).or(words);
    let words = words.unwrap_or_else(|| format!("answered {status}"));
    match status {
        200..=299 => match body {
            Some(body) => Ok(Read { body, budget: http::budget(&answer.headers) }),
            None => Err(FetchError::Unavailable(format!("answered {status} without JSON"))),
        },
        401 => Err(FetchError::AuthExpired),
        403 if lacks_scope(&answer.headers) => {
            Err(refusal(LACKS_PERMISSION, "the consent lacks a permission".to_owned(), Scope::Account))
        }
        402 => Err(refusal(&code, words, Scope::App)),
        429 => Err(FetchError::RateLimited { retry_after: http::retry_after(&answer.headers).unwrap_or(DEFAULT_WAIT) }),
        300..=399 => Err(refusal("REDIRECT", format!("answered {status}, redirects are not followed"), refused)),
        408 | 425 => Err(FetchError::Unavailable(words)),
        400..=499 => Err(refusal(&code, words, refused)),
        _ => Err(FetchError::Unavailable(format!("answered {status}"))),
    }
}

/// A closed community in words; its own ones say "Forbidden".
fn community_reason(code: &str) -> Option<&'static str> {
    Some(match code {
        "private" => "the community is private",
        "quarantined" => "the community is quarantined: only accounts that opted in on Reddit see it",
        "banned" => "Reddit has closed the community",
        _ => return None,
    })
}

/// The header is all that tells a missing permission from any other 403.
pub(super) fn lacks_scope(headers: &HeaderMap) -> bool {
    http::header(headers, WWW_AUTHENTICATE.as_str()).is_some_and(|told| told.contains(LACKS_PERMISSION))
}

/// `/api/v1/me`: a flat object whose id lacks the prefix that ids carry everywhere else.
pub(super) fn account(me: &Value) -> Result<Account, FetchError> {
    let id = wire::text(me, "id").map(|id| id.strip_prefix("t2_").unwrap_or(id)).filter(|id| wire::is_bare(id));
    let (Some(id), Some(name)) = (id, wire::text(me, "name")) else {
        return Err(FetchError::Unavailable("the account came without id or name".to_owned()));
    };
    if me.get("is_suspended") == Some(&Value::Bool(true)) {
        return Err(refusal("ACCOUNT_SUSPENDED", "Reddit has suspended this account".to_owned(), Scope::Account));
    }
    Ok(Account { id: format!("t2_{id}"), name: name.to_owned() })
}

/// The bare id for a path, or a refusal: nothing of another shape goes into an address.
pub(super) fn bare_id<'a>(fullname: &'a str, prefix: &str) -> Result<&'a str, FetchError> {
    wire::bare(fullname, prefix)
        .ok_or_else(|| refusal("BAD_ID", format!("not an id of the kind {prefix}"), Scope::Item))
}

/// A community's name without decoration. Communities that belong to a person are named `u_name`.
pub(super) fn community_name(told: &str) -> Result<&str, FetchError> {
    let name = told.trim().trim_matches('/');
    let name = name.get(..2).filter(|start| start.eq_ignore_ascii_case("r/")).map_or(name, |_| &name[2..]);
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !(2..=50).contains(&name.len()) || !name.bytes().all(usable) {
        return Err(refusal("BAD_COMMUNITY", "this is not the name of a community".to_owned(), Scope::Item));
    }
    Ok(name)
}
