//! No other site may act through a signed-in browser.
//!
//! `guard` looks at every unsafe request that carries the session cookie: it must come from our own pages, and to the API it
//! must be JSON, which a plain form cannot send. Forms of our pages also carry a token that only the page could know
//! (`CsrfForm`); before there is a session, the token hangs on a cookie of its own (`PreSession`, `PreSessionForm`). Behind the token
//! stands the team that the page showed: a form of a window left open on one team does nothing to another.

use super::auth::PageTeam;
use super::cookies::{self, Credential, credential};
use crate::app::App;
use crate::error::Problem;
use axum::body::{Body, to_bytes};
use axum::extract::{Form, FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use url::{Url, form_urlencoded};
use uuid::Uuid;

const FIELD: &str = "csrf";
const HEADER: &str = "x-csrf-token";
const FORM_LIMIT_BYTES: usize = 64 * 1024;

/// Middleware for the whole router.
pub async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    match check_request(request.method(), request.uri().path(), request.headers(), &app.config.public_url) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check_request(method: &Method, path: &str, headers: &HeaderMap, public_url: &Url) -> Result<(), Problem> {
    if !matches!(credential(headers, public_url), Credential::Session(_)) {
        return Ok(());
    }
    if path.starts_with("/api/") && headers.contains_key(header::ORIGIN) {
        // Reading too: from another origin only a token counts.
        check_named_origin(headers, public_url)?;
    }
    if method.is_safe() {
        return Ok(());
    }
    if path.starts_with("/api/") {
        // Browsers always name the origin of such a request; without one it is a program that was given the cookie.
        if headers.contains_key("sec-fetch-site") || headers.contains_key(header::ORIGIN) {
            check_origin(headers, public_url)?;
        }
        return check_is_json(headers);
    }
    check_origin(headers, public_url)
}

/// Where an origin is named, it must be ours, whatever else the request says of itself.
fn check_named_origin(headers: &HeaderMap, public_url: &Url) -> Result<(), Problem> {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if text(header::ORIGIN).is_some_and(|origin| is_own_origin(origin, text(header::HOST), public_url)) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "The session cookie counts on this server's own pages only. From another origin send a bearer token.",
    ))
}

/// Whether the browser says that the request comes from one of our own pages.
fn check_origin(headers: &HeaderMap, public_url: &Url) -> Result<(), Problem> {
    let header = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let own = match header(header::HeaderName::from_static("sec-fetch-site")) {
        Some(site) => site == "same-origin" || site == "none",
        None => header(header::ORIGIN).is_some_and(|origin| is_own_origin(origin, header(header::HOST), public_url)),
    };
    if own {
        return Ok(());
    }
    Err(Problem::forbidden(
        "The request does not come from a page of this server. Open the dashboard and try there, or check that PUBLIC_URL is its address.",
    ))
}

fn is_own_origin(origin: &str, host: Option<&str>, public_url: &Url) -> bool {
    let same_host = || {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    };
    origin == public_url.origin().ascii_serialization() || same_host()
}

fn check_is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let has_body =
        headers.contains_key(header::TRANSFER_ENCODING) || text(header::CONTENT_LENGTH).is_some_and(|n| n != "0");
    let kind = text(header::CONTENT_TYPE).and_then(|value| value.split(';').next());
    match kind {
        Some(kind) if kind.trim().eq_ignore_ascii_case("application/json") => Ok(()),
        None if !has_body => Ok(()),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-json",
            "The body is not JSON",
            "Send the body as JSON with the header Content-Type: application/json.",
        )),
    }
}

/// The token for the forms of a page, from the hash of the cookie that the browser holds.
pub(super) fn form_token(cookie_hash: &[u8; 32]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(cookie_hash).expect("any length of key is valid");
    mac.update(b"form");
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// The token for the forms of a page about one team.
pub(super) fn token_for_team(token: &str, team_id: Uuid) -> String {
    format!("{token}.{}", team_id.simple())
}

fn check_team(shown: Option<&str>, extensions: &Extensions) -> Result<(), Problem> {
    let (Some(shown), Some(PageTeam(team_id))) = (shown, extensions.get()) else { return Ok(()) };
    if shown == team_id.simple().to_string() {
        return Ok(());
    }
    Err(Problem::conflict(
        "other-team",
        "The page showed another team than the one that you are in by now, so nothing was done. Load the page again and look which team it is.",
    ))
}

/// A form sent by one of our pages while signed in.
pub struct CsrfForm<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for CsrfForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let hash = match credential(request.headers(), &app.config.public_url) {
            Credential::Session(hash) => hash,
            _ => return Err(Problem::unauthorized("Sign in first.")),
        };
        read_form(request, app, &hash).await.map(Self)
    }
}

/// A form sent before signing in: sign-in itself and the first set-up.
pub struct PreSessionForm<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for PreSessionForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let hash = cookies::pre_session_hash(request.headers(), &app.config.public_url).ok_or_else(stale_form)?;
        read_form(request, app, &hash).await.map(Self)
    }
}

/// For a page that shows such a form: the token for its field, and the cookie to set when the browser has none yet.
pub struct PreSession {
    pub csrf: String,
    pub set_cookie: Option<HeaderValue>,
}

impl FromRequestParts<App> for PreSession {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        if let Some(hash) = cookies::pre_session_hash(&parts.headers, &app.config.public_url) {
            return Ok(Self { csrf: form_token(&hash), set_cookie: None });
        }
        let token = app.entropy.token(32);
        let csrf = form_token(&crate::accounts::token_hash(&token));
        let token = SecretString::from(token);
        Ok(Self { csrf, set_cookie: Some(cookies::set_pre_session(&token, &app.config.public_url)) })
    }
}

fn stale_form() -> Problem {
    Problem::forbidden("The form is too old or was not made by this server. Load the page again and repeat.")
}

async fn read_form<T: DeserializeOwned>(request: Request, app: &App, cookie_hash: &[u8; 32]) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    check_origin(&parts.headers, &app.config.public_url)?;
    let bytes = to_bytes(body, FORM_LIMIT_BYTES).await.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The form is too large",
            "A form may have at most 64 KiB.",
        )
    })?;
    let (sent, fields) = split_token(&parts.headers, &bytes);
    let sent = sent.unwrap_or_default();
    let (sent, shown) = sent.split_once('.').map_or((sent.as_str(), None), |(token, team)| (token, Some(team)));
    let expected = form_token(cookie_hash);
    if !bool::from(sent.as_bytes().ct_eq(expected.as_bytes())) {
        return Err(stale_form());
    }
    check_team(shown, &parts.extensions)?;
    let request = Request::from_parts(parts, Body::from(fields));
    Form::<T>::from_request(request, &()).await.map(|Form(value)| value).map_err(|rejection| {
        if rejection.status() == StatusCode::UNPROCESSABLE_ENTITY {
            describe(&rejection.body_text())
        } else {
            Problem::bad_request("Send the form with the header Content-Type: application/x-www-form-urlencoded.")
        }
    })
}

/// The token from the field or the header, and the form without the field, so that types can refuse unknown fields.
fn split_token(headers: &HeaderMap, bytes: &[u8]) -> (Option<String>, String) {
    let mut sent = headers.get(HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut fields = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(bytes) {
        if name == FIELD {
            sent = Some(value.into_owned());
        } else {
            fields.append_pair(&name, &value);
        }
    }
    (sent, fields.finish())
}

/// "...: age: invalid digit found in string" or "...: missing field `age`" as the fault of that field.
fn describe(rejection: &str) -> Problem {
    let message = rejection.split_once("form body: ").map_or(rejection, |(_, message)| message);
    let (field, reason) = match (message.split_once(": "), message.split('`').nth(1)) {
        (Some((field, reason)), _) if !field.contains(' ') => (field, reason),
        (_, Some(field)) => (field, message),
        _ => ("form", message),
    };
    Problem::field(field, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Url {
        Url::parse("https://replies.example").unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn status(method: Method, path: &str, pairs: &[(&'static str, &str)]) -> u16 {
        let mut sent = headers(pairs);
        sent.insert(header::COOKIE, HeaderValue::from_static("__Host-rejoinder_session=abc"));
        check_request(&method, path, &sent, &own()).map_or_else(|problem| problem.status, |()| 200)
    }

    #[test]
    fn another_site_cannot_act_through_the_cookie() {
        for pairs in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site"), ("origin", "https://replies.example")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "https://replies.example.evil.example"), ("host", "replies.example")],
            &[],
        ] {
            assert_eq!(status(Method::POST, "/items/1/done", pairs), 403, "{pairs:?}");
        }
        assert_eq!(status(Method::GET, "/items", &[("sec-fetch-site", "cross-site")]), 200, "reading changes nothing");
    }

    #[test]
    fn another_origin_reads_nothing_of_the_api_with_the_cookie() {
        let with = |pairs: &[(&'static str, &str)]| status(Method::GET, "/api/me", pairs);
        assert_eq!(with(&[("origin", "https://app.example")]), 403);
        assert_eq!(with(&[("origin", "null")]), 403);
        assert_eq!(with(&[("origin", "https://replies.example")]), 200);
        assert_eq!(with(&[]), 200);
        let token = [("origin", "https://app.example"), ("authorization", "Bearer x")];
        assert_eq!(with(&token), 200, "a token is no cookie");
    }

    #[test]
    fn our_own_pages_can() {
        for pairs in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://replies.example")],
            &[("origin", "http://10.0.0.7:3000"), ("host", "10.0.0.7:3000")],
        ] {
            assert_eq!(status(Method::POST, "/items/1/done", pairs), 200, "{pairs:?}");
        }
    }

    #[test]
    fn the_api_takes_no_plain_form_with_the_cookie() {
        let with = |kind: &'static str| {
            let pairs = [("sec-fetch-site", "same-origin"), ("content-type", kind), ("content-length", "2")];
            status(Method::POST, "/api/posts/1/suggestions", &pairs)
        };
        assert_eq!(with("application/json; charset=utf-8"), 200);
        assert_eq!(with("text/plain"), 415);
        assert_eq!(with("application/x-www-form-urlencoded"), 415);
        let same = ("sec-fetch-site", "same-origin");
        assert_eq!(status(Method::POST, "/api/x", &[same, ("content-length", "2")]), 415);
        assert_eq!(status(Method::DELETE, "/api/x", &[same]), 200, "no body, nothing to forge");
    }

    #[test]
    fn without_the_cookie_there_is_nothing_to_forge() {
        let sent = headers(&[("sec-fetch-site", "cross-site"), ("authorization", "Bearer x")]);
        assert!(check_request(&Method::POST, "/api/x", &sent, &own()).is_ok());
    }

    #[test]
    fn the_token_is_found_in_field_or_header_and_kept_from_the_form() {
        let from_field = split_token(&headers(&[]), b"a=1&csrf=tok&b=%C3%A9");
        assert_eq!(from_field, (Some("tok".to_owned()), "a=1&b=%C3%A9".to_owned()));
        let from_header = split_token(&headers(&[("x-csrf-token", "tok")]), b"a=1");
        assert_eq!(from_header, (Some("tok".to_owned()), "a=1".to_owned()));
        assert_eq!(split_token(&headers(&[]), b""), (None, String::new()));
    }

    #[test]
    fn every_session_has_its_own_token() {
        assert_ne!(form_token(&[1; 32]), form_token(&[2; 32]));
        assert_eq!(form_token(&[1; 32]), form_token(&[1; 32]));
    }

    #[test]
    fn a_wrong_form_names_its_field() {
        let named = |text: &str| describe(text).errors[0].field.clone();
        assert_eq!(named("Failed to deserialize form body: age: invalid digit found in string"), "age");
        assert_eq!(named("Failed to deserialize form body: missing field `age`"), "age");
    }
}
