//! The codes that Reddit puts into a 200: each with what is to be done and how far it reaches. Messages come in the language of the
//! account, so only codes decide; of a message, only a wait is read. Sources: the API's own (archived) server code, what client
//! libraries recorded and what operators reported.

use super::verdict::Verdict;
use super::wire;
use crate::error::{Remedy, Scope};
use crate::http;
use serde_json::Value;
use std::time::Duration;

/// Where Reddit asks to wait without saying how long.
pub(super) const DEFAULT_WAIT: Duration = Duration::from_secs(600);
const CROWDED_WAIT: Duration = Duration::from_secs(3600);

/// What a code asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing was posted and repeating changes nothing.
    Refuse(Remedy, Scope),
    /// Nothing was posted; the same text may go out after the wait that stands beside the code, else after this one.
    Wait(Duration, Scope),
}

use Decision::{Refuse, Wait};

const STOP: Decision = Refuse(Remedy::StopAccount, Scope::Account);
const RECONNECT: Decision = Refuse(Remedy::Reconnect, Scope::Account);
const NEVER: Decision = Refuse(Remedy::Nothing, Scope::Item);
const EDIT: Decision = Refuse(Remedy::Edit, Scope::Item);

/// Of several codes in one answer the first in this order decides: what lasts beats a wait, and the wider scope the narrower.
pub(super) const CODES: &[(&str, Decision)] = &[
    ("IN_TIMEOUT", STOP),
    ("USER_REQUIRED", RECONNECT),
    ("TOO_OLD", NEVER),
    ("THREAD_LOCKED", NEVER),
    ("DELETED_COMMENT", NEVER),
    ("DELETED_LINK", NEVER),
    ("SUBREDDIT_NOTALLOWED", NEVER),
    ("SUBREDDIT_NO_ACCESS", NEVER),
    // The author blocked us, although the text asks to try again later.
    ("SOMETHING_IS_BROKEN", NEVER),
    ("USER_BLOCKED", NEVER),
    ("USER_MUTED", NEVER),
    ("MUTED_FROM_SUBREDDIT", NEVER),
    ("COMMENT_UNREPLIABLE", NEVER),
    ("NO_TEXT", EDIT),
    ("TOO_LONG", EDIT),
    ("TOO_SHORT", EDIT),
    ("SUBREDDIT_LINKING_DISALLOWED", EDIT),
    ("SUBREDDIT_OUTBOUND_LINKING_DISALLOWED", EDIT),
    ("COMMENT_GUIDANCE_VALIDATION_FAILED", EDIT),
    ("RATELIMIT", Wait(DEFAULT_WAIT, Scope::Account)),
    ("SUBREDDIT_RATELIMIT", Wait(DEFAULT_WAIT, Scope::Item)),
    ("TOO_MANY_COMMENTS", Wait(CROWDED_WAIT, Scope::Item)),
];

/// Its place in the order, and what it asks for. An unknown code is not known to pass by waiting, so nothing repeats it; a known one
/// beside it decides.
fn look_up(code: &str) -> (usize, Decision) {
    let known = CODES.iter().enumerate().find(|(_, (known, _))| *known == code);
    known.map_or((CODES.len(), NEVER), |(place, (_, decision))| (place, *decision))
}

/// The verdict of `errors`: `[CODE, message, field]` each. None where one is of another form.
pub(super) fn in_band(errors: &[Value], body: &Value) -> Option<Verdict> {
    let told = wire::number(body.get("json")?, "ratelimit").filter(|seconds| *seconds > 0.0);
    let mut first: Option<(usize, Verdict)> = None;
    for error in errors {
        let part = |index| error.get(index).and_then(Value::as_str);
        let code = part(0).or_else(|| error.as_str()).filter(|code| !code.is_empty())?;
        let (place, decision) = look_up(code);
        if first.as_ref().is_none_or(|(before, _)| place < *before) {
            first = Some((place, verdict(decision, code, part(1).unwrap_or_default(), told)));
        }
    }
    first.map(|(_, verdict)| verdict)
}

fn verdict(decision: Decision, code: &str, message: &str, told_secs: Option<f64>) -> Verdict {
    match decision {
        Refuse(remedy, scope) => {
            Verdict::Refused { code: wire::shortened(code, 80), reason: wire::shortened(message, 300), scope, remedy }
        }
        Wait(default, scope) => {
            // The text rounds down to whole units; the number, where there is one, is exact.
            let told = told_secs.map(|secs| http::seconds(secs.ceil() + 1.0)).or_else(|| wait_in(message));
            Verdict::RateLimited { retry_after: told.unwrap_or(default), scope }
        }
    }
}

/// "Take a break for 5 minutes" = 6 minutes: the first number followed by a unit, and one unit more.
pub(super) fn wait_in(message: &str) -> Option<Duration> {
    let outer = |letter: char| !letter.is_alphanumeric();
    let words: Vec<&str> = message.split_whitespace().map(|word| word.trim_matches(outer)).collect();
    words.windows(2).find_map(|pair| {
        let count: u64 = pair[0].parse().ok().filter(|count| *count < 1000)?;
        let unit = pair[1].to_lowercase();
        let millis = match unit.as_str() {
            u if u.starts_with("millisecond") => 1,
            u if u.starts_with("second") => 1000,
            u if u.starts_with("minute") || u.starts_with("minuut") => 60_000,
            u if u.starts_with("hour") => 3_600_000,
            _ => return None,
        };
        Some(Duration::from_millis((count + 1) * millis).max(Duration::from_secs(1)))
    })
}
