//! Reading calls: one GET, its status turned into the caller's decision before anything is parsed.

use super::tariff::Reads;
use super::{Api, limits, problem, wire};
use crate::error::{FetchError, Scope};
use crate::http::{self, Answer, BodyError, Unsent, address};
use crate::permits::{AccessToken, Host};
use crate::tariff::Unpaid;
use crate::types::{Account, Budget};
use serde_json::Value;
use std::time::Instant;
use time::OffsetDateTime;

/// What we ask of each post. Author and parent stand in both lists: which of the two brings them is moving.
pub(super) const POST_FIELDS: [(&str, &str); 3] = [
    (
        "tweet.fields",
        "author_id,created_at,conversation_id,in_reply_to_user_id,referenced_tweets,reply_settings,entities,note_tweet,edit_history_tweet_ids",
    ),
    ("expansions", "author_id,referenced_tweets.id"),
    ("user.fields", "username,name"),
];

/// Posts that a page is asked for, the largest first; a search gives no fewer than the last.
const PAGES: [usize; 3] = [100, 30, 10];

/// A good answer and the budget it told.
#[derive(Debug)]
pub(super) struct Read {
    pub body: Value,
    pub budget: Option<Budget>,
}

impl Api {
    /// `refused` is how far a 403 or 404 without a known reason reaches.
    pub(super) async fn get(
        &self,
        token: &AccessToken,
        segments: &[&str],
        query: &[(&str, &str)],
        (reads, refused): (Reads, Scope),
    ) -> Result<Read, FetchError> {
        let hold = token.permits().afford(reads.most_micro_usd()).await.map_err(unpaid)?;
        let read = self.ask(token, segments, query, refused).await;
        let charges = read.as_ref().map(|read| reads.charges(&read.body)).unwrap_or_default();
        // What could not be counted is not used: read again on the same day, it costs nothing more.
        token.permits().charged(hold, &charges).await.map_err(FetchError::Unavailable)?;
        read
    }

    /// The largest page that what is left of the month's budget can pay.
    async fn page(
        &self,
        token: &AccessToken,
        segments: &[&str],
        query: &[(&str, &str)],
        refused: Scope,
    ) -> Result<Read, FetchError> {
        let mut too_dear = None;
        for size in PAGES {
            let max_results = size.to_string();
            let size_asked = ("max_results", max_results.as_str());
            let query: Vec<(&str, &str)> = query.iter().copied().chain([size_asked]).chain(POST_FIELDS).collect();
            match self.get(token, segments, &query, (Reads::Posts(size), refused)).await {
                Err(error @ FetchError::OverBudget { .. }) => too_dear = Some(error),
                read => return read,
            }
        }
        Err(too_dear.unwrap_or_else(|| FetchError::Unavailable("no page was asked for".to_owned())))
    }

    async fn ask(
        &self,
        token: &AccessToken,
        segments: &[&str],
        query: &[(&str, &str)],
        refused: Scope,
    ) -> Result<Read, FetchError> {
        let started = Instant::now();
        let url = address(&self.config.api_base, segments);
        let request = self.read.get(url).query(query).bearer_auth(token.expose_secret());
        let read = |status, headers: &_| limits::told(status, headers, (self.now)());
        let response = http::send_reading(request, token.permits(), Host::Api, read).await.map_err(unsent)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let millis = started.elapsed().as_millis() as u64;
        tracing::debug!(platform = "x", call = segments.join("/"), status, millis, "answered");
        let body = http::read_body(response, http::BODY_LIMIT).await.or_else(|error| match error {
            // The status says enough without the body.
            _ if status != 200 => Ok(bytes::Bytes::new()),
            BodyError::TooLarge(_) => Err(refusal("too_large", error.to_string(), Scope::Item)),
            BodyError::Broken(_) => Err(FetchError::Unavailable(error.to_string())),
        })?;
        decide(&Answer { status, headers, body }, refused, (self.now)())
    }

    /// A page of posts with all that we read of them.
    pub(super) async fn posts(
        &self,
        token: &AccessToken,
        segments: &[&str],
        query: &[(&str, &str)],
        refused: Scope,
    ) -> Result<(wire::Page, Option<Budget>), FetchError> {
        let asked = |name: &str| query.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let read = match asked("ids") {
            Some(ids) => {
                let reads = Reads::Posts(ids.split(',').count());
                let query: Vec<(&str, &str)> = query.iter().copied().chain(POST_FIELDS).collect();
                self.get(token, segments, &query, (reads, refused)).await?
            }
            None => self.page(token, segments, query, refused).await?,
        };
        let page = wire::page(&read.body);
        let page = page.ok_or_else(|| FetchError::Unavailable("the posts came in an unknown form".to_owned()))?;
        Ok((page, read.budget))
    }
}

/// Nothing was asked, for the sake of its cost.
fn unpaid(unpaid: Unpaid) -> FetchError {
    match unpaid {
        Unpaid::OverBudget { retry_after } => FetchError::OverBudget { retry_after },
        Unpaid::Unknown(reason) => FetchError::Unavailable(reason),
    }
}

/// Nothing came.
pub(super) fn unsent(unsent: Unsent) -> FetchError {
    match unsent {
        Unsent::NoPermit(retry_after) => FetchError::RateLimited { retry_after },
        Unsent::Failed(error) => FetchError::Unavailable(http::trouble(error)),
    }
}

pub(super) fn refusal(code: &str, reason: String, scope: Scope) -> FetchError {
    FetchError::Refused { code: code.to_owned(), reason, scope }
}

/// What an answer of the API means to a reader.
pub(super) fn decide(answer: &Answer, refused: Scope, now: OffsetDateTime) -> Result<Read, FetchError> {
    let status = answer.status;
    if (200..300).contains(&status) {
        let read = |body| Read { body, budget: limits::budget(&answer.headers, now) };
        let none = || FetchError::Unavailable(format!("answered {status} without JSON"));
        return answer.json().map(read).ok_or_else(none);
    }
    let said = problem::said(answer);
    let (about, words) = (said.about(status), said.words(status));
    match status {
        401 => Err(FetchError::AuthExpired),
        429 => Err(FetchError::RateLimited { retry_after: limits::wait(&answer.headers, &said, now).0 }),
        300..=399 => Err(refusal("redirect", format!("answered {status}, redirects are not followed"), refused)),
        408 | 425 => Err(FetchError::Unavailable(words)),
        400..=499 => Err(refusal(&said.word(status), words, problem::scope(about, refused))),
        _ => Err(FetchError::Unavailable(format!("answered {status}"))),
    }
}

/// `/2/users/me`.
pub(super) fn account(me: &Value) -> Result<Account, FetchError> {
    let data = me.get("data").unwrap_or(&Value::Null);
    let id = data.get("id").and_then(wire::as_id);
    let name = wire::text(data, "username").filter(|name| wire::is_name(name));
    match (id, name) {
        (Some(id), Some(name)) => Ok(Account { id, name: name.to_owned() }),
        _ => Err(FetchError::Unavailable("the account came without id or name".to_owned())),
    }
}

/// An id that may stand in an address and in a search.
pub(super) fn checked(id: &str) -> Result<&str, FetchError> {
    if wire::is_id(id) { Ok(id) } else { Err(refusal("bad_id", "not the id of a post on X".to_owned(), Scope::Item)) }
}
