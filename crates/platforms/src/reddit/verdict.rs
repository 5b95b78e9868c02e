//! What an answer to a write means. Pure: the same answer always means the same.
//!
//! A 200 has three meanings: things with one element = posted; `errors` = refused; neither = taken and not shown. What cannot be
//! told for sure is `Uncertain`: never read as posted, and never as safe to repeat.

use super::{calls, codes, wire};
use crate::error::{Remedy, Scope, SendError};
use crate::http::{self, Answer};
use crate::types::Exchange;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

const HTTP_WAIT: Duration = Duration::from_secs(60);
const UNSEEN: &str = "Reddit took the reply and does not show it in the thread";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Posted {
        id: String,
        permalink: Option<Url>,
    },
    /// Posted, but not where anybody sees it, and without an id.
    Unseen,
    RateLimited {
        retry_after: Duration,
        scope: Scope,
    },
    AuthExpired,
    Refused {
        code: String,
        reason: String,
        scope: Scope,
        remedy: Remedy,
    },
    Uncertain(String),
}

/// Which comment a success must show.
pub(super) enum Expected<'a> {
    /// A new one under this target.
    Under(&'a str),
    /// This one.
    Same(&'a str),
}

impl Expected<'_> {
    /// The permission that the call needs.
    fn scope(&self) -> &'static str {
        match self {
            Self::Under(_) => "submit",
            Self::Same(_) => "edit",
        }
    }
}

pub(super) fn decide(answer: &Answer, expected: &Expected<'_>, site: &Url) -> Verdict {
    let body = answer.json();
    let (code, words) = wire::refusal(body.as_ref());
    let status = answer.status;
    let refused = |scope, remedy| Verdict::Refused {
        code: code.clone().unwrap_or_else(|| format!("HTTP_{status}")),
        reason: words.clone().unwrap_or_else(|| format!("Reddit answered {status}")),
        scope,
        remedy,
    };
    match status {
        200 => body.map_or_else(
            || Verdict::Uncertain("Reddit answered 200 with something unreadable".to_owned()),
            |body| accepted(&body, expected, site),
        ),
        401 => Verdict::AuthExpired,
        402 => refused(Scope::App, Remedy::Nothing),
        403 if calls::lacks_scope(&answer.headers) => Verdict::Refused {
            code: crate::error::LACKS_PERMISSION.to_owned(),
            reason: format!("the consent lacks the permission {:?}", expected.scope()),
            scope: Scope::Account,
            remedy: Remedy::Reconnect,
        },
        // With a reason it is about the community; without one it is likely about us, and a series must stop the account.
        403 => refused(if code.is_some() { Scope::Item } else { Scope::Account }, Remedy::Nothing),
        // The request budget belongs to the client id, so it is spent for every account of the app.
        429 => Verdict::RateLimited {
            retry_after: http::retry_after(&answer.headers).unwrap_or(HTTP_WAIT),
            scope: Scope::App,
        },
        // Given up on by a server in between: what lies behind it may have gone on.
        408 | 425 | 499 => Verdict::Uncertain(format!("Reddit answered {status}")),
        // A community's own rules about texts, and texts that are too large for the road.
        400 if code.as_deref() == Some("SUBMIT_VALIDATION_ERROR") => refused(Scope::Item, Remedy::Edit),
        413 | 414 => refused(Scope::Item, Remedy::Edit),
        400..=498 => refused(Scope::Item, Remedy::Nothing),
        _ => Verdict::Uncertain(format!("Reddit answered {status}")),
    }
}

fn accepted(body: &Value, expected: &Expected<'_>, site: &Url) -> Verdict {
    let list = |path| body.pointer(path).and_then(Value::as_array).map(Vec::as_slice);
    let (errors, things) = (list("/json/errors"), list("/json/data/things"));
    match (errors.unwrap_or_default(), things) {
        ([], Some([thing])) => posted(thing, expected, site),
        ([], Some([])) if errors.is_some() => Verdict::Unseen,
        (errors @ [_, ..], None | Some([])) => codes::in_band(errors, body)
            .unwrap_or_else(|| Verdict::Uncertain("Reddit answered 200 with errors in an unknown form".to_owned())),
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

/// The error of a verdict. A success that nobody could see is unknown.
pub(super) fn failure(verdict: Verdict, exchange: Exchange) -> SendError {
    match verdict {
        Verdict::Posted { .. } => SendError::Uncertain { reason: "the outcome was not seen".to_owned(), exchange },
        Verdict::Unseen => SendError::Unseen { reason: UNSEEN.to_owned(), exchange },
        Verdict::RateLimited { retry_after, scope } => SendError::RateLimited { retry_after, scope, exchange },
        Verdict::AuthExpired => SendError::AuthExpired { exchange },
        Verdict::Refused { code, reason, scope, remedy } => {
            SendError::Refused { code, reason, scope, remedy, exchange }
        }
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

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
