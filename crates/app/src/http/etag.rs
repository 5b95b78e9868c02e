//! Where two may write: an answer names its state in `ETag`, a change that brings it back as `If-Match` happens only while it stands.

use crate::error::{ApiResult, Problem};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use std::convert::Infallible;
use time::OffsetDateTime;

/// The header of an answer that stands since `changed_at`.
pub fn etag(changed_at: OffsetDateTime) -> [(HeaderName, HeaderValue); 1] {
    let value = HeaderValue::from_str(&tag(changed_at)).expect("digits and quotes");
    [(header::ETAG, value)]
}

fn tag(changed_at: OffsetDateTime) -> String {
    format!("\"{}\"", changed_at.unix_timestamp_nanos() / 1_000)
}

/// The states in which the caller wants its change; without the header, any.
#[derive(Debug, Clone, Default)]
pub struct IfMatch(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let sent = parts.headers.get_all(header::IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default());
        let sent: Vec<&str> = sent.collect();
        Ok(Self((!sent.is_empty()).then(|| sent.join(","))))
    }
}

impl IfMatch {
    /// 412 with what stands there, where the caller saw something else. Look while the row is held.
    pub fn check<T: Serialize>(&self, changed_at: OffsetDateTime, stands: impl FnOnce() -> T) -> ApiResult<()> {
        let Some(sent) = &self.0 else { return Ok(()) };
        let own = tag(changed_at);
        // A weak tag never matches here (RFC 9110, 13.1.1).
        if sent.split(',').map(str::trim).any(|one| one == "*" || one == own) {
            return Ok(());
        }
        let mut problem = Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "stale",
            "Somebody changed it since",
            format!(
                "It stands as {own}, not as the If-Match of this request. Look at `current` and send the change again."
            ),
        );
        problem.current = serde_json::to_value(stands()).ok().map(Box::new);
        Err(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_change_goes_through_only_on_what_was_seen() {
        let at = datetime!(2026-03-02 09:00:00.000001 UTC);
        let sent = |text: &str| IfMatch(Some(text.to_owned())).check(at, || "as it stands");
        assert_eq!(etag(at)[0].1, "\"1772442000000001\"");
        for good in ["\"1772442000000001\"", "*", "\"1\", \"1772442000000001\""] {
            assert!(sent(good).is_ok(), "{good}");
        }
        for stale in ["\"1772442000000000\"", "W/\"1772442000000001\"", "1772442000000001", ""] {
            let problem = sent(stale).unwrap_err();
            assert_eq!(
                (problem.status, problem.current.as_deref()),
                (412, Some(&serde_json::json!("as it stands"))),
                "{stale}"
            );
        }
        assert!(IfMatch::default().check(at, || ()).is_ok());
    }
}
