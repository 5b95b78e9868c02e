//! Rate headers. `x-rate-limit-*` speaks of 15 minutes, `x-user-limit-24hour-*` and `x-app-limit-24hour-*` of a day; resets are epoch seconds.
//! Any of them may be missing, and a missing one is no zero.

use super::problem::{About, Said, cap_ends};
use crate::error::Scope;
use crate::http;
use crate::types::Budget;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use std::time::Duration;
use time::OffsetDateTime;

const DEFAULT_WAIT: Duration = Duration::from_secs(15 * 60);
const LONGEST_WAIT: Duration = Duration::from_secs(32 * 24 * 60 * 60);
const DAY_LIMITS: [(&str, Scope); 2] = [("x-user-limit-24hour", Scope::Account), ("x-app-limit-24hour", Scope::App)];

fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    http::header(headers, name)?.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0)
}

fn until(epoch_secs: f64, now: OffsetDateTime) -> Duration {
    let left = epoch_secs - now.unix_timestamp_nanos() as f64 / 1e9;
    Duration::try_from_secs_f64(left.max(0.0)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

/// What an answer says of the app's budget. X counts calls by user, so a used-up limit shuts nobody else out, unless it names the app.
pub(super) fn told(status: StatusCode, headers: &HeaderMap, now: OffsetDateTime) -> http::Told {
    let of_app = DAY_LIMITS
        .iter()
        .find(|(name, scope)| *scope == Scope::App && number(headers, &format!("{name}-remaining")) == Some(0.0));
    let closed_for = of_app.filter(|_| status == StatusCode::TOO_MANY_REQUESTS).map(|(name, _)| {
        let told = number(headers, &format!("{name}-reset")).map_or(DEFAULT_WAIT, |at| until(at, now));
        told.max(Duration::from_secs(1))
    });
    (None, closed_for)
}

/// What is left of the tightest limit that the answer names.
pub(super) fn budget(headers: &HeaderMap, now: OffsetDateTime) -> Option<Budget> {
    let names = ["x-rate-limit", DAY_LIMITS[0].0, DAY_LIMITS[1].0];
    let told = names.iter().filter_map(|name| {
        let remaining = number(headers, &format!("{name}-remaining"))?;
        let limit = number(headers, &format!("{name}-limit")).unwrap_or(remaining);
        let resets_in = number(headers, &format!("{name}-reset")).map_or(Duration::ZERO, |at| until(at, now));
        Some(Budget { limit, remaining, resets_in })
    });
    told.min_by(|a, b| a.remaining.total_cmp(&b.remaining))
}

/// How long a 429 asks to wait, and for whom it holds. A cap names a day or a month and its 15-minute headers look healthy.
pub(super) fn wait(headers: &HeaderMap, said: &Said, now: OffsetDateTime) -> (Duration, Scope) {
    if said.about(429) == About::UsageCap {
        let wait = Duration::try_from(cap_ends(said, now) - now).unwrap_or(DEFAULT_WAIT);
        return (wait.clamp(Duration::from_secs(1), LONGEST_WAIT), Scope::App);
    }
    for (name, scope) in DAY_LIMITS {
        if number(headers, &format!("{name}-remaining")) == Some(0.0) {
            let wait = number(headers, &format!("{name}-reset")).map_or(DEFAULT_WAIT, |at| until(at, now));
            return (wait.max(Duration::from_secs(1)), scope);
        }
    }
    let told = number(headers, "retry-after").map(http::seconds);
    let reset = || number(headers, "x-rate-limit-reset").map(|at| until(at, now));
    (told.or_else(reset).unwrap_or(DEFAULT_WAIT).max(Duration::from_secs(1)), Scope::Account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 10:00 UTC);

    fn headers(pairs: &[(&str, String)]) -> HeaderMap {
        let pair = |(name, value): &(&str, String)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn at(secs: i64) -> String {
        (NOW.unix_timestamp() + secs).to_string()
    }

    #[test]
    fn a_plain_limit_waits_for_its_reset() {
        let told = headers(&[("x-rate-limit-remaining", "0".into()), ("x-rate-limit-reset", at(120))]);
        assert_eq!(wait(&told, &Said::default(), NOW), (Duration::from_secs(120), Scope::Account));
        assert_eq!(budget(&told, NOW).map(|left| left.resets_in), Some(Duration::from_secs(120)));
        assert_eq!(wait(&HeaderMap::new(), &Said::default(), NOW), (DEFAULT_WAIT, Scope::Account));
    }

    #[test]
    fn a_used_up_day_wins_over_healthy_minutes_and_a_missing_header_is_no_zero() {
        let minutes = [("x-rate-limit-remaining", "39000".into()), ("x-rate-limit-reset", at(60))];
        for (name, scope) in [("x-user-limit-24hour", Scope::Account), ("x-app-limit-24hour", Scope::App)] {
            let mut pairs = minutes.to_vec();
            let (remaining, reset) = (format!("{name}-remaining"), format!("{name}-reset"));
            pairs.extend([(remaining.as_str(), "0".to_owned()), (reset.as_str(), at(7200))]);
            assert_eq!(wait(&headers(&pairs), &Said::default(), NOW), (Duration::from_secs(7200), scope));
            assert_eq!(budget(&headers(&pairs), NOW).map(|left| left.remaining), Some(0.0));
        }
        assert_eq!(wait(&headers(&minutes), &Said::default(), NOW), (Duration::from_secs(60), Scope::Account));
    }

    #[test]
    fn only_a_limit_of_the_app_shuts_the_others_out() {
        let of = |name: &str, status| {
            let (remaining, reset) = (format!("{name}-remaining"), format!("{name}-reset"));
            told(status, &headers(&[(remaining.as_str(), "0".into()), (reset.as_str(), at(7200))]), NOW).1
        };
        let refused = StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(of("x-rate-limit", refused), None);
        assert_eq!(of("x-user-limit-24hour", refused), None);
        assert_eq!(of("x-app-limit-24hour", refused), Some(Duration::from_secs(7200)));
        assert_eq!(of("x-app-limit-24hour", StatusCode::OK), None, "the last call that was let through");
    }

    #[test]
    fn a_cap_waits_for_its_period_and_not_for_the_reset() {
        let told = headers(&[("x-rate-limit-remaining", "39000".into()), ("x-rate-limit-reset", at(60))]);
        let cap = |period: &str| Said { kind: "usage-capped".into(), period: Some(period.into()), ..Said::default() };
        assert_eq!(wait(&told, &cap("Daily"), NOW), (Duration::from_secs(14 * 3600), Scope::App));
        let month = wait(&told, &cap("Monthly"), NOW).0;
        assert_eq!(NOW + month, datetime!(2026-12-01 0:00 UTC));
    }
}
