//! Reading calls: one GET, its answer turned into the caller's decision before anything is parsed. Lists are followed by their
//! `after` cursor; the full address in `paging.next` carries the token and is never used or kept.

use super::access::Access;
use super::{Api, InstagramConfig, errors, usage, wire};
use crate::error::{FetchError, Scope};
use crate::http::{self, Answer, BodyError, Unsent, address};
use crate::permits::{AccessToken, Host, Permits};
use crate::types::{Account, Budget, Session, Subscribed};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use std::time::Instant;

/// A good answer and the budget it told.
#[derive(Debug)]
pub(super) struct Read {
    pub body: Value,
    pub budget: Option<Budget>,
}

/// One page of a list.
pub(super) struct Page {
    pub items: Vec<Value>,
    /// Where the next page begins; None at the end.
    pub after: Option<String>,
    pub budget: Option<Budget>,
}

impl Api {
    /// `refused` is how far a refusal of this call reaches where its code does not say.
    pub(super) async fn get(
        &self,
        token: &AccessToken,
        path: &[&str],
        query: &[(&str, &str)],
        refused: Scope,
    ) -> Result<Read, FetchError> {
        let started = Instant::now();
        let segments: Vec<&str> = std::iter::once(self.config.version.as_str()).chain(path.iter().copied()).collect();
        let access = access_of(&self.config, token)?;
        let request = access.show(self.read.get(address(access.base, &segments)).query(query));
        let response = send(request, token.permits()).await.map_err(unsent)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let millis = started.elapsed().as_millis() as u64;
        tracing::debug!(platform = "instagram", call = path.join("/"), status, millis, "answered");
        let body = http::read_body(response, http::BODY_LIMIT).await.or_else(|error| match error {
            // The status says enough without the body.
            _ if status != 200 => Ok(bytes::Bytes::new()),
            BodyError::TooLarge(_) => {
                Err(FetchError::Refused { code: "TOO_LARGE".to_owned(), reason: error.to_string(), scope: Scope::Item })
            }
            BodyError::Broken(_) => Err(FetchError::Unavailable(error.to_string())),
        })?;
        decide(&Answer { status, headers, body }, refused)
    }

    /// One page. A field that is refused fails the whole request, so a list of fewer fields is tried after it.
    pub(super) async fn page(
        &self,
        token: &AccessToken,
        path: &[&str],
        fields: [&str; 2],
        after: Option<&str>,
        refused: Scope,
    ) -> Result<Page, FetchError> {
        let mut told = None;
        for fields in fields {
            let mut query = vec![("fields", fields), ("limit", "50")];
            query.extend(after.map(|after| ("after", after)));
            match self.get(token, path, &query, refused).await {
                Err(FetchError::Refused { code, reason, scope }) if told.is_none() && is_about_fields(&code) => {
                    told = Some(FetchError::Refused { code, reason, scope });
                }
                Err(error) => return Err(error),
                Ok(read) => return page(read),
            }
        }
        Err(told.unwrap_or_else(|| FetchError::Unavailable("no list of fields was taken".to_owned())))
    }
}

fn access_of<'a>(config: &'a InstagramConfig, token: &'a AccessToken) -> Result<Access<'a>, FetchError> {
    Access::of(config, token).map_err(|why| FetchError::Unavailable(why.to_owned()))
}

/// Every call of the Graph goes out here.
pub(super) async fn send(request: RequestBuilder, permits: &Permits) -> Result<Response, Unsent> {
    http::send_reading(request, permits, Host::Api, usage::of_app).await
}

/// Nothing came.
fn unsent(unsent: Unsent) -> FetchError {
    match unsent {
        Unsent::NoPermit(retry_after) => FetchError::RateLimited { retry_after },
        Unsent::Failed(error) => FetchError::Unavailable(http::trouble(error)),
    }
}

/// Bad parameters and missing permissions: fewer fields may be allowed. "Gone" (100/33) is not about them.
pub(super) fn is_about_fields(code: &str) -> bool {
    let number = code.split('/').next().and_then(|number| number.parse::<i64>().ok());
    code != "100/33" && matches!(number, Some(3 | 10 | 100 | 200..=299))
}

fn page(read: Read) -> Result<Page, FetchError> {
    let unknown = || FetchError::Unavailable("a list came in an unknown form".to_owned());
    let items = read.body.get("data").and_then(Value::as_array).ok_or_else(unknown)?.clone();
    let after = wire::after(&read.body);
    Ok(Page { items, after, budget: read.budget })
}

/// What an answer of the Graph means to a reader.
pub(super) fn decide(answer: &Answer, refused: Scope) -> Result<Read, FetchError> {
    if !(200..300).contains(&answer.status) {
        return Err(errors::decide(answer, refused).into());
    }
    match answer.json() {
        // An error inside a 200 is one all the same.
        Some(body) if body.get("error").is_some_and(Value::is_object) => Err(errors::decide(answer, refused).into()),
        Some(body) => Ok(Read { body, budget: usage::budget(&answer.headers) }),
        None => Err(FetchError::Unavailable(format!("answered {} without JSON", answer.status))),
    }
}

pub(super) async fn me(api: &Api, token: &AccessToken) -> Result<Account, FetchError> {
    let read = api.get(token, &["me"], &[("fields", "user_id,username,name")], Scope::Account).await?;
    account(&read.body)
}

/// `user_id` is what webhooks and media name the account by; `id` beside it belongs to the app alone.
pub(super) fn account(me: &Value) -> Result<Account, FetchError> {
    let id = wire::id_at(me, "user_id").or_else(|| wire::id_at(me, "id"));
    let name = wire::text(me, "username").filter(|name| !name.is_empty());
    let (Some(id), Some(name)) = (id, name) else {
        return Err(FetchError::Unavailable("the account came without id or name".to_owned()));
    };
    Ok(Account { id, name: name.to_owned() })
}

/// The id for a path, or a refusal: nothing of another shape goes into an address.
pub(super) fn checked(id: &str) -> Result<&str, FetchError> {
    if wire::is_id(id) {
        return Ok(id);
    }
    let reason = "not an id of Instagram".to_owned();
    Err(FetchError::Refused { code: "BAD_ID".to_owned(), reason, scope: Scope::Item })
}

/// Which events an account has sent.
const EVENT_FIELDS: &str = "comments,live_comments";
/// Any field of a Page has the events of its Instagram account sent that the app subscribed to. Meta's pages disagree whether those of
/// Instagram are taken here, so they are asked for first.
const PAGE_FIELDS: [&str; 2] = ["comments,live_comments,mentions", "feed"];

/// Turns the account's events on. They are then on for the app as a whole, too.
pub(super) async fn subscribe(api: &Api, session: &Session) -> Result<Subscribed, FetchError> {
    let token = &session.access_token;
    let access = access_of(&api.config, token)?;
    if let Some(marked) = access.marked {
        let page_id = checked(marked.page_id)?;
        let fields = match turn_on(api, &access, token, page_id, PAGE_FIELDS[0]).await {
            Ok(()) => PAGE_FIELDS[0],
            Err(FetchError::Refused { code, .. }) if code == "100" => {
                turn_on(api, &access, token, page_id, PAGE_FIELDS[1]).await?;
                PAGE_FIELDS[1]
            }
            Err(error) => return Err(error),
        };
        let user_id = Some(marked.user_id.to_owned()).filter(|id| !id.is_empty());
        return Ok(Subscribed { fields: listed(fields), app_user_id: user_id });
    }
    let me = api.get(token, &["me"], &[("fields", "user_id,username")], Scope::Account).await?;
    turn_on(api, &access, token, "me", EVENT_FIELDS).await?;
    let own = wire::id_at(&me.body, "id").filter(|id| *id != session.account.id);
    Ok(Subscribed { fields: listed(EVENT_FIELDS), app_user_id: own })
}

fn listed(fields: &str) -> Vec<String> {
    fields.split(',').map(str::to_owned).collect()
}

async fn turn_on(
    api: &Api,
    access: &Access<'_>,
    token: &AccessToken,
    whose: &str,
    fields: &str,
) -> Result<(), FetchError> {
    let url = address(access.base, &[&api.config.version, whose, "subscribed_apps"]);
    let request = access.show(api.read.post(url).query(&[("subscribed_fields", fields)]));
    let response = send(request, token.permits()).await.map_err(unsent)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = http::read_body(response, http::BODY_LIMIT).await;
    let body = body.map_err(|error| FetchError::Unavailable(error.to_string()))?;
    tracing::debug!(platform = "instagram", call = "subscribed_apps", status, "answered");
    let answer = decide(&Answer { status, headers, body }, Scope::Account)?;
    if answer.body.get("success") != Some(&Value::Bool(true)) {
        return Err(FetchError::Unavailable("Instagram did not say that it sends events".to_owned()));
    }
    Ok(())
}
