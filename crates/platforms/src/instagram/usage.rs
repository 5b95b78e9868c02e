//! How much of the budgets is used, from Meta's two headers: of the app, whose door closes for all of its accounts, and of the account.
//! Values are percent, the time until access comes back is in minutes, and either header may be absent or unreadable. Percents are no
//! requests, so ours are counted as those of a platform that tells nothing. Source: Meta's page "Rate Limits".

use crate::http;
use crate::types::Budget;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::time::Duration;

const APP: &str = "x-app-usage";
const BUSINESS: &str = "x-business-use-case-usage";
/// What is used comes back bit by bit within a day; by then it is worth looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);
/// The app's window rolls over an hour, and asking on makes it longer.
const APP_CLOSED: Duration = Duration::from_secs(3600);
const PARTS: [&str; 3] = ["call_count", "total_time", "total_cputime"];

fn object(headers: &HeaderMap, name: &str) -> Option<Value> {
    serde_json::from_str::<Value>(http::header(headers, name)?).ok().filter(Value::is_object)
}

/// The part of the budget that is used most, in percent.
fn used(entry: &Value) -> Option<f64> {
    let parts = PARTS.iter().filter_map(|part| entry.get(part)?.as_f64());
    parts.filter(|n| n.is_finite() && *n >= 0.0).reduce(f64::max)
}

/// Every entry of the header about business use cases.
fn business(headers: &HeaderMap) -> Vec<Value> {
    let told = object(headers, BUSINESS).unwrap_or_default();
    let lists = told.as_object().into_iter().flat_map(|ids| ids.values());
    lists.flat_map(|list| list.as_array().cloned().unwrap_or_default()).collect()
}

/// How long until access comes back, where the answer says so.
pub(super) fn regain(headers: &HeaderMap) -> Option<Duration> {
    let minutes = business(headers)
        .iter()
        .filter_map(|entry| entry.get("estimated_time_to_regain_access")?.as_f64())
        .filter(|minutes| minutes.is_finite() && *minutes > 0.0)
        .reduce(f64::max)?;
    Some(http::seconds(minutes * 60.0))
}

/// What an answer means to the budget that all accounts of the app share.
pub(super) fn of_app(status: StatusCode, headers: &HeaderMap) -> http::Told {
    let used_up = object(headers, APP).as_ref().and_then(used).is_some_and(|used| used >= 100.0);
    let closed_for = used_up.then(|| regain(headers).unwrap_or(APP_CLOSED));
    (None, closed_for.or_else(|| http::too_many(status, headers)))
}

/// The tightest of all budgets that the answer tells of, as percent.
pub(super) fn budget(headers: &HeaderMap) -> Option<Budget> {
    let app = object(headers, APP).as_ref().and_then(used);
    let used = business(headers).iter().filter_map(used).chain(app).reduce(f64::max)?;
    let regain = regain(headers);
    let remaining = if regain.is_some() { 0.0 } else { (100.0 - used).max(0.0) };
    Some(Budget { limit: 100.0, remaining, resets_in: regain.unwrap_or(LOOK_AGAIN) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn headers(app: &'static str, business: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(APP, HeaderValue::from_static(app));
        headers.insert(BUSINESS, HeaderValue::from_static(business));
        headers
    }

    #[test]
    fn the_tightest_budget_counts_and_minutes_are_minutes() {
        let told = headers(
            r#"{"call_count":28,"total_time":25,"total_cputime":91}"#,
            r#"{"1":[{"type":"instagram","call_count":95,"estimated_time_to_regain_access":0}],"2":[{"type":"pages","call_count":3}]}"#,
        );
        let budget = budget(&told).unwrap();
        assert_eq!((budget.remaining, regain(&told)), (5.0, None));
        let spent = headers("{}", r#"{"1":[{"call_count":100,"estimated_time_to_regain_access":19}]}"#);
        let budget = super::budget(&spent).unwrap();
        assert_eq!((budget.remaining, budget.resets_in), (0.0, Duration::from_secs(19 * 60)));
    }

    #[test]
    fn only_a_used_up_app_shuts_the_door_for_all() {
        let closed = |app, business| of_app(StatusCode::BAD_REQUEST, &headers(app, business)).1;
        let account = r#"{"1":[{"call_count":100,"estimated_time_to_regain_access":19}]}"#;
        assert_eq!(closed(r#"{"call_count":99.9}"#, account), None, "one account is used up");
        assert_eq!(closed(r#"{"total_time":100}"#, "{}"), Some(APP_CLOSED));
        assert_eq!(closed(r#"{"call_count":240}"#, account), Some(Duration::from_secs(19 * 60)));
        let nothing = HeaderMap::new();
        assert_eq!(of_app(StatusCode::TOO_MANY_REQUESTS, &nothing), (None, Some(Duration::from_secs(60))));
    }

    #[test]
    fn headers_that_say_nothing_are_no_budget() {
        for nonsense in ["", "{", "[]", "7", r#"{"call_count":"many"}"#, r#"{"1":{"call_count":5}}"#] {
            assert_eq!(budget(&headers(nonsense, nonsense)), None, "{nonsense}");
        }
        assert_eq!(budget(&HeaderMap::new()), None);
    }
}
