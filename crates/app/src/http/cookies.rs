//! What a request shows to say who it is: a bearer token, or one of our two cookies (the session, and the token that a form
//! carries before there is one).
//!
//! With an https `PUBLIC_URL` both have the `__Host-` prefix, so that no other host of the domain can set them. Scripts never
//! read them. Which credential of a request counts is decided here alone: where an `Authorization` header stands, the cookie
//! is not looked at, neither by the sign-in nor by the CSRF guard.

use crate::accounts::sessions::ABSOLUTE_LIFETIME;
use crate::accounts::token_hash;
use axum::http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

const SESSION: &str = "rejoinder_session";
const PRE_SESSION: &str = "rejoinder_presession";

/// What a request shows to say who it is.
#[derive(Debug, Clone)]
pub enum Credential {
    None,
    /// The token of `Authorization: Bearer <token>`; not looked up yet.
    Bearer(SecretString),
    /// An `Authorization` header of another shape, or more than one.
    Malformed,
    /// Hash of the token in the session cookie; not looked up yet.
    Session([u8; 32]),
}

/// No token of anybody's is longer.
const BEARER_BYTES: usize = 8 * 1024;

pub fn credential(headers: &HeaderMap, public_url: &Url) -> Credential {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    match (sent.next(), sent.next()) {
        (None, _) => session_hash(headers, public_url).map_or(Credential::None, Credential::Session),
        (Some(value), None) => bearer(value).map_or(Credential::Malformed, Credential::Bearer),
        _ => Credential::Malformed,
    }
}

/// RFC 6750: the scheme in any case, one token of its alphabet.
fn bearer(value: &HeaderValue) -> Option<SecretString> {
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim_start();
    let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let sane = (1..=BEARER_BYTES).contains(&token.len()) && token.bytes().all(in_alphabet);
    (scheme.eq_ignore_ascii_case("bearer") && sane).then(|| SecretString::from(token))
}

fn session_hash(headers: &HeaderMap, public_url: &Url) -> Option<[u8; 32]> {
    read(headers, &name(SESSION, public_url)).map(token_hash)
}

/// Hash of the token in the pre-session cookie.
pub fn pre_session_hash(headers: &HeaderMap, public_url: &Url) -> Option<[u8; 32]> {
    read(headers, &name(PRE_SESSION, public_url)).map(token_hash)
}

/// The `Set-Cookie` that signs in.
pub fn set_session(token: &SecretString, public_url: &Url) -> HeaderValue {
    let max_age = format!("; Max-Age={}", ABSOLUTE_LIFETIME.whole_seconds());
    cookie(SESSION, token.expose_secret(), &max_age, public_url)
}

/// The `Set-Cookie` that signs out.
pub fn clear_session(public_url: &Url) -> HeaderValue {
    cookie(SESSION, "", "; Max-Age=0", public_url)
}

pub(super) fn set_pre_session(token: &SecretString, public_url: &Url) -> HeaderValue {
    cookie(PRE_SESSION, token.expose_secret(), "", public_url)
}

fn name(base: &str, public_url: &Url) -> String {
    if is_https(public_url) { format!("__Host-{base}") } else { base.to_owned() }
}

fn is_https(public_url: &Url) -> bool {
    public_url.scheme() == "https"
}

fn cookie(base: &str, value: &str, lifetime: &str, public_url: &Url) -> HeaderValue {
    let secure = if is_https(public_url) { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{lifetime}{secure}", name(base, public_url));
    let mut header = HeaderValue::from_str(&text).expect("tokens are base64url, the rest is fixed");
    header.set_sensitive(true);
    header
}

/// The value of the first cookie of that name.
fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn over_https_the_session_cookie_belongs_to_this_host_alone() {
        let set = |at: &str| set_session(&"abc".into(), &url(at)).to_str().unwrap().to_owned();
        assert_eq!(
            set("https://replies.example"),
            "__Host-rejoinder_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=7776000; Secure"
        );
        assert_eq!(
            set("http://localhost:3000"),
            "rejoinder_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=7776000"
        );
        assert!(!format!("{:?}", set_session(&"abc".into(), &url("http://a"))).contains("abc"));
    }

    #[test]
    fn a_cookie_without_the_prefix_opens_nothing_over_https() {
        let sent = headers(&[(header::COOKIE, "a=b; rejoinder_session=abc")]);
        assert!(matches!(credential(&sent, &url("https://replies.example")), Credential::None));
        let Credential::Session(hash) = credential(&sent, &url("http://localhost:3000")) else { panic!("no session") };
        assert_eq!(hash, token_hash("abc"));
    }

    #[test]
    fn beside_an_authorization_header_the_cookie_does_not_count() {
        let sent = headers(&[(header::COOKIE, "rejoinder_session=abc"), (header::AUTHORIZATION, "bearer  x.y-z_1==")]);
        let Credential::Bearer(token) = credential(&sent, &url("http://localhost:3000")) else { panic!("no bearer") };
        assert_eq!(token.expose_secret(), "x.y-z_1==");
        assert!(!format!("{token:?}").contains("x.y"));
    }

    #[test]
    fn an_authorization_header_of_another_shape_is_told_apart_from_none() {
        let long = format!("Bearer {}", "a".repeat(BEARER_BYTES + 1));
        for value in ["Bearer", "Bearer ", "Basic YTpi", "abc", "", "Bearer a b", "Bearer a,b", "Bearer \"a\"", &long] {
            let sent = headers(&[(header::COOKIE, "rejoinder_session=abc"), (header::AUTHORIZATION, value)]);
            assert!(matches!(credential(&sent, &url("http://localhost:3000")), Credential::Malformed), "{value}");
        }
        let mut twice = headers(&[(header::AUTHORIZATION, "Bearer a")]);
        twice.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        assert!(matches!(credential(&twice, &url("http://localhost:3000")), Credential::Malformed));
    }
}
