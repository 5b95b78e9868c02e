//! What Meta's errors mean. The keys are `code` and `error_subcode`; the HTTP status counts only where there is no code. Source: Meta's
//! pages "Handling Errors", "Rate Limits" and "Instagram error codes".

use super::{usage, wire};
use crate::error::{FetchError, Remedy, Scope};
use crate::http::{self, Answer};
use serde_json::Value;
use std::time::Duration;

/// Where Meta asks to wait without saying how long. Its windows roll over hours, and asking on makes them longer.
const LIMIT_WAIT: Duration = Duration::from_secs(3600);
const CUSTOM_LIMIT_WAIT: Duration = Duration::from_secs(600);
const HTTP_WAIT: Duration = Duration::from_secs(60);

/// An error as Meta words it; any part may lack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct GraphError {
    pub code: Option<i64>,
    pub subcode: Option<i64>,
    pub message: String,
    pub transient: Option<bool>,
}

/// What the caller should do, before it is asked whether it read or wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing happened; come back later.
    Wait { after: Duration, scope: Scope },
    /// The token is dead, or its session is.
    TokenDead { reason: String },
    /// No, and repeating changes nothing.
    Refused { code: String, reason: String, scope: Scope, remedy: Remedy },
    /// Trouble on their side: nobody knows what happened.
    Passing(String),
}

/// The error in a body, in either of Meta's shapes: `{"error": {...}}`, or flat on the token host.
pub(super) fn graph_error(body: &Value) -> Option<GraphError> {
    if let Some(error) = body.get("error").filter(|error| error.is_object()) {
        let message = wire::text(error, "error_user_msg").or_else(|| wire::text(error, "message")).unwrap_or_default();
        return Some(GraphError {
            code: wire::integer(error, "code"),
            subcode: wire::integer(error, "error_subcode"),
            message: wire::shortened(message, 300),
            transient: error.get("is_transient").and_then(Value::as_bool),
        });
    }
    let flat = wire::text(body, "error_message").or_else(|| wire::text(body, "error_description"));
    let word = wire::text(body, "error_type").or_else(|| wire::text(body, "error"));
    (flat.is_some() || word.is_some()).then(|| GraphError {
        code: None,
        subcode: None,
        message: wire::shortened(flat.or(word).unwrap_or_default(), 300),
        transient: None,
    })
}

impl GraphError {
    fn key(&self) -> String {
        match (self.code, self.subcode) {
            (Some(code), Some(subcode)) => format!("{code}/{subcode}"),
            (Some(code), None) => code.to_string(),
            (None, _) => "NO_CODE".to_owned(),
        }
    }

    fn refused(&self, scope: Scope, what: &str) -> Decision {
        self.refused_until(scope, Remedy::Nothing, what)
    }

    fn refused_until(&self, scope: Scope, remedy: Remedy, what: &str) -> Decision {
        let reason = match (what, self.message.as_str()) {
            ("", "") => format!("Instagram refused it ({})", self.key()),
            ("", message) => message.to_owned(),
            (what, "") => what.to_owned(),
            (what, message) => format!("{what}: {message}"),
        };
        Decision::Refused { code: self.key(), reason, scope, remedy }
    }
}

/// What an answer that is not a success means. `item` is how far a refusal of this call reaches where the code does not say.
pub(super) fn decide(answer: &Answer, item: Scope) -> Decision {
    match answer.json().as_ref().and_then(graph_error) {
        Some(error) => by_code(&error, answer, item),
        None => by_status(answer, item),
    }
}

fn by_code(error: &GraphError, answer: &Answer, item: Scope) -> Decision {
    let wait = |default: Duration, scope| {
        let told = usage::regain(&answer.headers).or_else(|| http::retry_after(&answer.headers));
        Decision::Wait { after: told.unwrap_or(default), scope }
    };
    let Some(code) = error.code else {
        return without_code(error, answer, item);
    };
    let stopped = |what| error.refused_until(Scope::Account, Remedy::StopAccount, what);
    match (code, error.subcode) {
        (4, Some(2_207_051)) => stopped("Instagram stopped this account's actions as spam"),
        (4 | 341, _) => wait(LIMIT_WAIT, Scope::App),
        (613, _) => wait(CUSTOM_LIMIT_WAIT, Scope::Account),
        (17 | 32 | 80_000..=80_014, _) => wait(LIMIT_WAIT, Scope::Account),
        (102 | 190 | 463 | 467, subcode) => Decision::TokenDead { reason: token_reason(subcode, error) },
        (3 | 10 | 200..=299, _) => {
            let lacks = "the consent lacks a permission; connect the account again and grant all";
            error.refused_until(Scope::Account, Remedy::Reconnect, lacks)
        }
        (25, _) => stopped("Instagram has restricted this account; look into its app"),
        (368, _) => stopped("Instagram has blocked this action for policy reasons"),
        (506, _) => error.refused_until(Scope::Item, Remedy::Edit, "the same text was posted a moment ago"),
        (100, Some(33)) => error.refused(Scope::Item, "it is gone, or closed to this account"),
        // The message is all that tells a missing proof from any other bad parameter.
        (100, _) if error.message.contains("appsecret_proof") || error.message.contains("app secret proof") => {
            error.refused(Scope::App, "Meta asks for a proof of the app secret")
        }
        (1 | 2, _) if error.transient == Some(false) => error.refused(item, ""),
        (1 | 2, _) => Decision::Passing(passing(error)),
        // A code of tomorrow that calls itself passing, or comes with a failing server, says nothing of what happened.
        _ if error.transient == Some(true) || answer.status >= 500 => Decision::Passing(passing(error)),
        _ => error.refused(item, ""),
    }
}

fn passing(error: &GraphError) -> String {
    format!("Instagram is in trouble ({}): {}", error.key(), error.message)
}

/// Some errors name no code; a missing or refused token is told by the status alone.
fn without_code(error: &GraphError, answer: &Answer, item: Scope) -> Decision {
    match answer.status {
        401 => Decision::TokenDead { reason: error.message.clone() },
        429 => by_status(answer, item),
        500.. => Decision::Passing(passing(error)),
        _ => error.refused(item, ""),
    }
}

/// Pages of the edge, and answers without an error in them.
fn by_status(answer: &Answer, item: Scope) -> Decision {
    let status = answer.status;
    let told = || format!("Instagram answered {status}");
    match status {
        401 => Decision::TokenDead { reason: told() },
        429 => Decision::Wait { after: http::retry_after(&answer.headers).unwrap_or(HTTP_WAIT), scope: Scope::App },
        408 | 425 | 499 | 500.. => Decision::Passing(told()),
        400..=498 => {
            let (code, remedy) = (format!("HTTP_{status}"), Remedy::Nothing);
            Decision::Refused { code, reason: told(), scope: item, remedy }
        }
        _ => Decision::Passing(told()),
    }
}

/// Why a token is dead, in words for the person who has to connect again.
fn token_reason(subcode: Option<i64>, error: &GraphError) -> String {
    let known = match subcode.or(error.code) {
        Some(458) => "the app was removed in the account's settings",
        Some(459 | 464) => "Instagram wants the person to sign in and confirm something first",
        Some(460) => "the password was changed",
        Some(463) => "the access has run out",
        Some(467) => "the person signed out, or the access was taken back",
        Some(492) => "the person may not act for this account any more",
        _ => {
            return if error.message.is_empty() {
                "the access is not accepted".to_owned()
            } else {
                error.message.clone()
            };
        }
    };
    known.to_owned()
}

impl From<Decision> for FetchError {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Wait { after, .. } => Self::RateLimited { retry_after: after },
            Decision::TokenDead { .. } => Self::AuthExpired,
            Decision::Refused { code, reason, scope, .. } => Self::Refused { code, reason, scope },
            Decision::Passing(reason) => Self::Unavailable(reason),
        }
    }
}
