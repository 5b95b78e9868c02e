//! The one place where clients of this crate are built and their answers are read.
//!
//! Always: connecting takes at most 5 s, a call at most 25 s unless the caller sets its own limit, a redirect is an
//! answer and not followed (it could carry a key to a stranger), a body over 2 MiB is refused, and no failure text holds
//! an address, since addresses may hold keys.

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(25);
const BODY_LIMIT_BYTES: usize = 2 * 1024 * 1024;
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What a server answered, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The wait that the headers ask for.
    pub retry_after: Option<Duration>,
    pub body: String,
}

/// No usable answer came. All of them may pass: try again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("no answer in time")]
    Timeout,
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    #[error("the answer is larger than 2 MiB")]
    TooLarge,
}

/// # Errors
/// The TLS set-up of this machine is unusable; the operator must act.
#[allow(clippy::disallowed_methods, reason = "this is the one place that builds clients")]
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    // An error means that another client installed it before: just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("rejoinder/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// For addresses that others chose: names are looked up by `resolver` alone, no proxy, a new connection for every call.
///
/// # Errors
/// As `client`.
#[allow(clippy::disallowed_methods, reason = "this is the one place that builds clients")]
pub fn outbound_client(
    resolver: impl reqwest::dns::Resolve + 'static,
    timeout: Duration,
) -> Result<reqwest::Client, reqwest::Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .dns_resolver(resolver)
        .user_agent(concat!("rejoinder/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Sends once and reads the whole body.
pub async fn call(request: reqwest::RequestBuilder) -> Result<Answer, CallError> {
    let mut response = request.send().await.map_err(named)?;
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    if response.content_length().is_some_and(|length| length > BODY_LIMIT_BYTES as u64) {
        return Err(CallError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(named)? {
        if body.len() + chunk.len() > BODY_LIMIT_BYTES {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, body: String::from_utf8_lossy(&body).into_owned() })
}

pub(super) fn named(error: reqwest::Error) -> CallError {
    if error.is_timeout() {
        return CallError::Timeout;
    }
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        reason = cause.to_string();
        source = cause.source();
    }
    CallError::Unreachable(reason)
}

/// The wait asked for by `retry-after-ms` or `Retry-After`. A date is read against the server's own `Date`, so that
/// neither clock matters.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|value| value.parse::<f64>().ok()) {
        return seconds(millis / 1000.0);
    }
    let wait = text(RETRY_AFTER.as_str())?;
    if let Ok(value) = wait.parse::<f64>() {
        return seconds(value);
    }
    let until = OffsetDateTime::parse(wait, &Rfc2822).ok()?;
    let now = OffsetDateTime::parse(text(DATE.as_str())?, &Rfc2822).ok()?;
    seconds((until - now).as_seconds_f64())
}

/// A sane wait from a number of seconds: none for nonsense, a day at most.
pub fn seconds(value: f64) -> Option<Duration> {
    let positive = value.is_finite() && value >= 0.0;
    positive.then(|| Duration::from_secs_f64(value.min(LONGEST_WAIT.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    async fn served(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/")
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn waits_are_read_in_every_form() {
        assert_eq!(retry_after(&headers(&[("retry-after", "48")])), Some(Duration::from_secs(48)));
        assert_eq!(retry_after(&headers(&[("retry-after-ms", "250")])), Some(Duration::from_millis(250)));
        let dated = [("retry-after", "Wed, 21 Oct 2026 07:29:00 GMT"), ("date", "Wed, 21 Oct 2026 07:28:00 GMT")];
        assert_eq!(retry_after(&headers(&dated)), Some(Duration::from_secs(60)));
        for nonsense in ["", "-3", "soon", "NaN", "inf"] {
            assert_eq!(retry_after(&headers(&[("retry-after", nonsense)])), None, "{nonsense}");
        }
        assert_eq!(retry_after(&headers(&[("retry-after", "1e300")])), Some(LONGEST_WAIT));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let moved = (StatusCode::FOUND, [("location", "/other")], "moved");
        let router =
            Router::new().route("/", get(move || async move { moved })).route("/other", get(|| async { "followed" }));
        let base = served(router).await;
        let answer = call(client().unwrap().get(base)).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (302, "moved"));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let router = Router::new().route("/", get(|| async { vec![b'x'; BODY_LIMIT_BYTES + 1] }));
        let base = served(router).await;
        assert_eq!(call(client().unwrap().get(base)).await, Err(CallError::TooLarge));
    }

    #[tokio::test]
    async fn failures_do_not_tell_the_address() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = call(client().unwrap().get(format!("http://127.0.0.1:{port}/?key=hidden"))).await.unwrap_err();
        assert!(matches!(error, CallError::Unreachable(_)));
        assert!(!error.to_string().contains("hidden") && !error.to_string().contains(&port.to_string()), "{error}");
    }
}
