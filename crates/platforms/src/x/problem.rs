//! What a refusal of X says about itself. The body comes in three forms (title and type, `errors[]`, page of a gateway), `type` under two
//! hosts, `status` often not at all: so the HTTP status decides first, then the last part of `type`, then the words.
//! Sources: "Response codes and errors" of X's pages, and bodies quoted in public reports.

use super::wire;
use crate::error::{Remedy, Scope};
use crate::http::Answer;
use serde_json::Value;
use time::OffsetDateTime;

/// The parts of a refusal, whatever its form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Last part of `type`; empty for `about:blank`.
    pub kind: String,
    pub title: String,
    pub detail: String,
    /// Of the older form.
    pub code: Option<u64>,
    pub period: Option<String>,
}

/// `https://api.x.com/2/problems/credits` -> `credits`.
pub(super) fn last_part(kind: &str) -> &str {
    if kind == "about:blank" { "" } else { kind.trim_end_matches('/').rsplit('/').next().unwrap_or_default() }
}

pub(super) fn said(answer: &Answer) -> Said {
    // Some refusals come without a content type; what is no JSON says nothing.
    answer.json().or_else(|| serde_json::from_slice(&answer.body).ok()).map_or_else(Said::default, |body| read(&body))
}

fn read(body: &Value) -> Said {
    let first = body.pointer("/errors/0").unwrap_or(&Value::Null);
    let word = |keys: &[&str], chars| {
        let both = [body, first];
        let mut all = both.iter().flat_map(|place| keys.iter().filter_map(|key| wire::text(place, key)));
        wire::shortened(all.find(|word| !word.is_empty()).unwrap_or_default(), chars)
    };
    Said {
        kind: last_part(&word(&["type"], 200)).to_owned(),
        title: word(&["title", "error"], 80),
        detail: word(&["detail", "message", "error_description"], 300),
        code: first.get("code").or_else(|| body.get("code")).and_then(Value::as_u64),
        period: Some(word(&["period"], 20)).filter(|period| !period.is_empty()),
    }
}

/// What a refusal is about, as far as it changes what we do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The same text stands there already, or stood there a short while ago.
    Duplicate,
    /// X takes a reply only where the author asked for us.
    NotSummoned,
    /// How we were let in does not do for this call: a fault of the set-up.
    Access,
    /// This account may not do it now; by one report it replied too often.
    Account,
    /// The account is locked or suspended until somebody looks after it on X.
    Locked,
    /// The app has no credits left.
    Credits,
    /// The calls that the app paid for in this day or month are used up.
    UsageCap,
    /// The thing is gone or closed to us.
    Gone,
    TooLong,
    /// No reason that we know.
    Other,
}

impl Said {
    pub fn about(&self, status: u16) -> About {
        let detail = self.detail.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| detail.contains(word));
        match (status, self.kind.as_str(), self.code) {
            (402, ..) | (_, "credits" | "credits-depleted", _) => About::Credits,
            (_, "usage-capped", _) => About::UsageCap,
            (429, ..) if self.title == "UsageCapExceeded" || self.period.is_some() => About::UsageCap,
            (403, "client-forbidden" | "unsupported-authentication" | "oauth1-permissions", _) | (_, _, Some(453)) => {
                About::Access
            }
            (403, _, Some(187)) => About::Duplicate,
            (403, _, Some(64 | 326)) => About::Locked,
            (403, ..) if says(&["duplicate content", "duplicate"]) => About::Duplicate,
            (403, ..) if says(&["where you are mentioned", "not been mentioned", "otherwise engaged"]) => {
                About::NotSummoned
            }
            (403, ..) if says(&["temporarily locked", "account is suspended", "account has been suspended"]) => {
                About::Locked
            }
            (403, ..) if says(&["account is not permitted"]) => About::Account,
            (_, "resource-not-found", _) | (404, ..) => About::Gone,
            (400, ..) if says(&["deleted or not visible"]) => About::Gone,
            (400 | 403, ..) if says(&["too long"]) => About::TooLong,
            _ => About::Other,
        }
    }

    /// A short word for the log and for rules of others.
    pub fn word(&self, status: u16) -> String {
        match self.about(status) {
            About::Duplicate => "duplicate_content".to_owned(),
            About::NotSummoned => "not_summoned".to_owned(),
            About::Credits => "credits_depleted".to_owned(),
            About::UsageCap => "usage_capped".to_owned(),
            About::Gone => "gone".to_owned(),
            About::TooLong => "too_long".to_owned(),
            About::Locked => "account_locked".to_owned(),
            About::Access | About::Account | About::Other => match (self.kind.as_str(), self.code) {
                ("", Some(code)) => format!("CODE_{code}"),
                ("", None) => format!("HTTP_{status}"),
                (kind, _) => wire::shortened(kind, 80),
            },
        }
    }

    pub fn words(&self, status: u16) -> String {
        let told = if self.detail.is_empty() { &self.title } else { &self.detail };
        if told.is_empty() { format!("X answered {status}") } else { told.clone() }
    }
}

/// How far a refusal of this kind reaches; `otherwise` where it only speaks of the thing that was asked for.
pub(super) fn scope(about: About, otherwise: Scope) -> Scope {
    match about {
        About::Credits | About::UsageCap => Scope::App,
        About::Access | About::Account | About::Locked => Scope::Account,
        About::Duplicate | About::NotSummoned | About::TooLong => Scope::Item,
        About::Gone | About::Other => otherwise,
    }
}

/// What a person can do about a refused write of this kind.
pub(super) fn remedy(about: About) -> Remedy {
    match about {
        About::Duplicate => Remedy::EditUnlessOurs,
        About::TooLong => Remedy::Edit,
        About::NotSummoned => Remedy::ByHand,
        About::Access | About::Locked => Remedy::StopAccount,
        About::Account | About::Credits | About::UsageCap | About::Gone | About::Other => Remedy::Nothing,
    }
}

/// When a used-up cap is given anew: days and months of UTC.
pub(super) fn cap_ends(said: &Said, now: OffsetDateTime) -> OffsetDateTime {
    let today = now.date();
    let first_of_next = match said.period.as_deref() {
        Some(period) if period.eq_ignore_ascii_case("monthly") => {
            let (year, next) = match today.month() {
                time::Month::December => (today.year() + 1, time::Month::January),
                month => (today.year(), month.next()),
            };
            time::Date::from_calendar_date(year, next, 1).ok()
        }
        _ => today.next_day(),
    };
    first_of_next.map_or(now + time::Duration::DAY, |day| day.midnight().assume_utc())
}
