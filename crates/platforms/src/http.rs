//! The one place where HTTP clients are built and answers are read.
//!
//! Every client has a connect and a total timeout and follows no redirect. A client for writes also repeats nothing and
//! keeps no idle connection: a fresh connection per write is what makes "it never left" a fact instead of a guess.
//! Error texts name no address and no token, because addresses can carry codes and keys.

use crate::permits::{Ended, Host, Permits};
use crate::types::Budget;
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode};
use std::error::Error as _;
use std::time::Duration;
use url::Url;

/// Largest answer that is read into memory.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// No vendor's wish to wait is believed beyond this.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a client waits for a connection, and for everything together.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub connect: Duration,
    pub total: Duration,
}

/// A client could not be built: no usable root certificates, as a rule. The operator must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no HTTPS client: {0}")]
pub struct ClientError(pub String);

/// A client for outside services in general; redirects are not followed.
pub fn client(timeouts: Timeouts) -> Result<Client, ClientError> {
    finish(builder(timeouts))
}

/// For reading a platform.
pub fn read_client() -> Result<Client, ClientError> {
    client(Timeouts { connect: CONNECT_TIMEOUT, total: READ_TIMEOUT })
}

/// For public writes. `total` bounds the whole exchange; connecting gets at most half of it, so that a slow connection
/// is known to be one.
pub fn write_client(total: Duration) -> Result<Client, ClientError> {
    let timeouts = Timeouts { connect: CONNECT_TIMEOUT.min(total / 2), total };
    finish(builder(timeouts).retry(reqwest::retry::never()).pool_max_idle_per_host(0).http1_only())
}

#[expect(clippy::disallowed_methods, reason = "this module is where clients are built")]
fn builder(timeouts: Timeouts) -> ClientBuilder {
    // An error here says that a provider is installed already, which is what we want.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("rejoinder/", env!("CARGO_PKG_VERSION")))
}

fn finish(builder: ClientBuilder) -> Result<Client, ClientError> {
    builder.build().map_err(|error| ClientError(trouble(error)))
}

/// `base` with more path segments, each escaped.
pub fn address(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// What a caller reads where the budget has no place for its request.
pub const NO_PERMIT: &str = "the request budget of this app is used up for now";
/// How long a host keeps us out that says "too many" without saying how long.
const CLOSED: Duration = Duration::from_secs(60);

/// No answer came.
#[derive(Debug)]
pub enum Unsent {
    /// Nothing was sent: there is no place in the budget before this has passed.
    NoPermit(Duration),
    Failed(reqwest::Error),
}

/// What the head of an answer says of the budget: of what is left, and how long nothing may follow.
pub type Told = (Option<Budget>, Option<Duration>);

/// The one way out of an adapter: asks for a place in the budget, sends, and tells what the answer said of the budget.
/// Only the beginning of the answer has been read when this returns.
pub async fn send(request: RequestBuilder, permits: &Permits, host: Host) -> Result<Response, Unsent> {
    send_reading(request, permits, host, told).await
}

/// The same for a platform that tells of its budget in words of its own.
pub async fn send_reading(
    request: RequestBuilder,
    permits: &Permits,
    host: Host,
    read: impl Fn(StatusCode, &HeaderMap) -> Told + Send,
) -> Result<Response, Unsent> {
    let pass = permits.admit(host).await.map_err(Unsent::NoPermit)?;
    let sent = request.send().await;
    let ended = match &sent {
        Ok(response) => {
            let (budget, closed_for) = read(response.status(), response.headers());
            Ended::Spent { budget, closed_for }
        }
        Err(error) if never_left(error) => Ended::NeverLeft,
        Err(_) => Ended::Spent { budget: None, closed_for: None },
    };
    permits.ended(host, pass, ended).await;
    sent.map_err(Unsent::Failed)
}

fn told(status: StatusCode, headers: &HeaderMap) -> Told {
    (budget(headers), too_many(status, headers))
}

/// How long a host keeps us out that says "too many".
pub fn too_many(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    (status == StatusCode::TOO_MANY_REQUESTS).then(|| retry_after(headers).unwrap_or(CLOSED))
}

/// An answer read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON, where the answer calls it JSON and it is.
    pub fn json(&self) -> Option<serde_json::Value> {
        if !header(&self.headers, CONTENT_TYPE.as_str())?.to_ascii_lowercase().contains("json") {
            return None;
        }
        serde_json::from_slice(&self.body).ok()
    }
}

/// The body did not arrive, or not in full.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the answer broke off: {0}")]
    Broken(String),
}

/// Reads a body, at most `limit` bytes of it.
pub async fn read_body(mut response: Response, limit: usize) -> Result<Bytes, BodyError> {
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(BodyError::TooLarge(limit));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| BodyError::Broken(trouble(error)))? {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What went wrong, with its causes and without any address.
pub fn trouble(error: reqwest::Error) -> String {
    let kind = match &error {
        e if e.is_connect() => "no connection",
        e if e.is_timeout() => "timed out",
        e if e.is_builder() => "the request could not be built",
        e if e.is_body() || e.is_decode() => "the answer could not be read",
        _ => "the exchange failed",
    };
    let error = error.without_url();
    let mut text = kind.to_owned();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// True where no byte of the request can have reached the other side.
pub fn never_left(error: &reqwest::Error) -> bool {
    error.is_builder() || error.is_connect()
}

/// A header as text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    header(headers, name)?.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0)
}

/// Request budget from the `x-ratelimit-*` headers (used and remaining as decimals, reset in whole seconds).
pub fn budget(headers: &HeaderMap) -> Option<Budget> {
    let remaining = number(headers, "x-ratelimit-remaining")?;
    let resets_in = number(headers, "x-ratelimit-reset").map_or(Duration::ZERO, seconds);
    let limit = number(headers, "x-ratelimit-used").unwrap_or(0.0) + remaining;
    Some(Budget { limit, remaining, resets_in })
}

/// How long a 429 asks us to wait: `retry-after` in seconds, else the reset of the budget.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let told = number(headers, "retry-after").or_else(|| number(headers, "x-ratelimit-reset"))?;
    Some(seconds(told).max(Duration::from_secs(1)))
}

/// Seconds as a bounded duration.
pub fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn the_limit_is_the_sum_of_used_and_remaining() {
        let told =
            headers(&[("x-ratelimit-used", "4"), ("x-ratelimit-remaining", "996.0"), ("x-ratelimit-reset", "433")]);
        let budget = budget(&told).expect("all headers stand there");
        assert_eq!((budget.limit, budget.remaining, budget.resets_in), (1000.0, 996.0, Duration::from_secs(433)));
    }

    #[test]
    fn absurd_numbers_become_bounded_waits() {
        assert_eq!(retry_after(&headers(&[("retry-after", "1e300")])), Some(LONGEST_WAIT));
        assert_eq!(retry_after(&headers(&[("retry-after", "0")])), Some(Duration::from_secs(1)));
        assert_eq!(retry_after(&headers(&[("retry-after", "-4")])), None);
        assert_eq!(retry_after(&headers(&[("retry-after", "NaN")])), None);
        assert_eq!(budget(&headers(&[("x-ratelimit-remaining", "many")])), None);
    }

    #[test]
    fn a_page_that_is_not_called_json_is_not_read_as_json() {
        let mut answer =
            Answer { status: 200, headers: headers(&[("content-type", "text/html")]), body: Bytes::from("{}") };
        assert_eq!(answer.json(), None);
        answer.headers = headers(&[("content-type", "application/json; charset=UTF-8")]);
        assert_eq!(answer.json(), Some(serde_json::json!({})));
    }
}
