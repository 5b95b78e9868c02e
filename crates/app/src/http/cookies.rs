//! What a request shows to say who it is: a bearer token, or one of our cookies (the session, the token that a form carries before
//! there is one, and the one between password and code). Two more cookies remember the team that a person with several looks at, and
//! the invitation that somebody is about to accept.
//!
//! With an https `PUBLIC_URL` all have the `__Host-` prefix, so that no other host of the domain can set them. Scripts never
//! read them. Which credential of a request counts is decided here alone: where an `Authorization` header stands, the cookie
//! is not looked at, neither by the sign-in nor by the CSRF guard.

use crate::accounts::second_steps;
use crate::accounts::sessions::ABSOLUTE_LIFETIME;
use crate::accounts::token_hash;
use axum::http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use uuid::Uuid;

const SESSION: &str = "rejoinder_session";
/// Holds nothing that could not be made anew.
const ROUND: &str = "rejoinder_round";
const PRE_SESSION: &str = "rejoinder_presession";
const TEAM: &str = "rejoinder_team";
const INVITATION: &str = "rejoinder_invitation";
const SECOND_STEP: &str = "rejoinder_second_step";

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

/// Hash of the token in the cookie that the right password left.
pub fn second_step_hash(headers: &HeaderMap, public_url: &Url) -> Option<[u8; 32]> {
    read(headers, &name(SECOND_STEP, public_url)).map(token_hash)
}

pub fn set_second_step(token: &SecretString, public_url: &Url) -> HeaderValue {
    let max_age = format!("; Max-Age={}", second_steps::LIFETIME.whole_seconds());
    cookie(SECOND_STEP, token.expose_secret(), &max_age, public_url)
}

pub fn clear_second_step(public_url: &Url) -> HeaderValue {
    cookie(SECOND_STEP, "", "; Max-Age=0", public_url)
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

/// The team that this browser shows. It opens nothing: the membership is looked up each time.
pub fn chosen_team(headers: &HeaderMap, public_url: &Url) -> Option<Uuid> {
    read(headers, &name(TEAM, public_url)).and_then(|text| Uuid::parse_str(text).ok())
}

pub fn set_team(team_id: Uuid, public_url: &Url) -> HeaderValue {
    cookie(TEAM, &team_id.to_string(), "; Max-Age=31536000", public_url)
}

/// The token of the invitation whose link was opened last.
pub fn invitation(headers: &HeaderMap, public_url: &Url) -> Option<SecretString> {
    read(headers, &name(INVITATION, public_url)).map(SecretString::from)
}

/// For an hour: long enough to sign in first. None where the text can be no token of ours.
pub fn set_invitation(token: &SecretString, public_url: &Url) -> Option<HeaderValue> {
    let token = token.expose_secret();
    let ours = token.len() == 43 && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    ours.then(|| cookie(INVITATION, token, "; Max-Age=3600", public_url))
}

pub fn clear_invitation(public_url: &Url) -> HeaderValue {
    cookie(INVITATION, "", "; Max-Age=0", public_url)
}

/// The values of a cookie of Clerk's, the one of this instance first: several instances share a domain.
pub fn clerk<'a>(headers: &'a HeaderMap, base: &str, suffix: &str) -> Vec<&'a str> {
    [format!("{base}_{suffix}"), base.to_owned()].iter().filter_map(|name| read(headers, name)).collect()
}

/// How often the browser was sent past Clerk lately, and the secret that its way back carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    pub count: u8,
    pub state: Option<String>,
}

pub fn round(headers: &HeaderMap, public_url: &Url) -> Round {
    let read = read(headers, &name(ROUND, public_url)).and_then(|value| value.split_once('.'));
    read.and_then(|(count, state)| Some(Round { count: count.parse().ok()?, state: Some(state.to_owned()) }))
        .unwrap_or_default()
}

pub fn set_round(round: &Round, public_url: &Url) -> HeaderValue {
    let value = format!("{}.{}", round.count, round.state.as_deref().unwrap_or_default());
    cookie(ROUND, &value, "; Max-Age=60", public_url)
}

pub fn clear_round(public_url: &Url) -> HeaderValue {
    cookie(ROUND, "", "; Max-Age=0", public_url)
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
    fn the_way_past_the_sign_in_service_is_remembered_for_this_host_alone() {
        let (at, round) = (url("https://replies.example"), Round { count: 2, state: Some("s-1".to_owned()) });
        let set = set_round(&round, &at).to_str().unwrap().to_owned();
        assert_eq!(set, "__Host-rejoinder_round=2.s-1; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
        let sent = |text| super::round(&headers(&[(header::COOKIE, text)]), &at);
        assert_eq!(sent("__Host-rejoinder_round=2.s-1"), round);
        assert_eq!(sent("rejoinder_round=2.s-1"), Round::default(), "set by another host of the domain");
    }

    #[test]
    fn a_cookie_without_the_prefix_opens_nothing_over_https() {
        let sent = headers(&[(header::COOKIE, "a=b; rejoinder_session=abc")]);
        assert!(matches!(credential(&sent, &url("https://replies.example")), Credential::None));
        let Credential::Session(hash) = credential(&sent, &url("http://localhost:3000")) else { panic!("no session") };
        assert_eq!(hash, token_hash("abc"));
    }

    #[test]
    fn an_invitation_in_a_cookie_is_a_token_and_nothing_else() {
        let at = url("https://replies.example");
        let token = "a-_B".repeat(10) + "xyz";
        let set = set_invitation(&token.as_str().into(), &at).unwrap();
        let expected =
            format!("__Host-rejoinder_invitation={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure");
        assert_eq!(set.to_str().unwrap(), expected);
        for text in ["", "short", &format!("{};x", &token[..41]), &format!("{}\n", &token[..42]), &format!("{token}x")]
        {
            assert!(set_invitation(&text.into(), &at).is_none(), "{text:?}");
        }
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
