//! How often one may ask.
//!
//! Every request counts against its caller: 600 a minute (`callers`).
//! Attempts to sign in count in Postgres, for all processes together: per address, per address and e-mail address, and much more
//! loosely per e-mail address alone, so that a stranger who knows it does not keep its owner out. So do invitations and sign-ups
//! (`people`). Before that they count in this process, whatever cookie they bring, so that a flood of them costs neither a connection
//! nor a hash. Codes of a second factor, and what a signed-in person has to confirm, count per person.

mod callers;
mod people;

pub use callers::{CallerLimits, LookedUp, per_caller};
pub use people::{count_acceptance, count_invitation, count_sign_up};

use crate::app::App;
use crate::coord::buckets::{self, TakeError};
use crate::error::Problem;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use time::OffsetDateTime;
use uuid::Uuid;

/// Forms that are sent before signing in, per address: more than Postgres will let through, to keep the rest away from it.
const DOOR_PER_MINUTE: f64 = 30.0;
const SIGN_IN_PER_ADDRESS: f64 = 10.0;
const SIGN_IN_PER_ADDRESS_SECS: f64 = 60.0;
const SIGN_IN_PER_PAIR: f64 = 5.0;
/// From wherever they come: what many addresses together may guess.
const SIGN_IN_PER_EMAIL: f64 = 50.0;
const SIGN_IN_PER_EMAIL_SECS: f64 = 15.0 * 60.0;

/// Mails with a link that one address gets on request of one client address, and of all together: a stranger who asks in somebody's
/// name does not keep them from asking.
const MAILS_PER_PAIR: f64 = 3.0;
const MAILS_PER_EMAIL: f64 = 10.0;
const MAILS_PER_EMAIL_SECS: f64 = 3600.0;
const CONFIRM_PER_PERSON: f64 = 5.0;
const CONFIRM_PER_PERSON_SECS: f64 = 15.0 * 60.0;
/// Six digits, of which three are right at a time: guessed with even chances in about ten years.
const CODES_PER_PERSON: f64 = 5.0;
const CODES_PER_PERSON_SECS: f64 = 50.0 * 60.0;

/// Where the request comes from, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(address_of(&parts.extensions, &parts.headers, app)))
    }
}

fn address_of(extensions: &Extensions, headers: &HeaderMap, app: &App) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let trusted = |address| app.config.trusted_proxies.iter().any(|network| network.contains(address));
    peer.map_or(Ipv6Addr::UNSPECIFIED.into(), |peer| client_address(peer, headers, trusted))
}

/// The peer, or behind trusted proxies the last address in `X-Forwarded-For` that is none of them: everything to the left
/// of it is only claimed.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut client = peer.to_canonical();
    let chain: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("unreadable").split(','))
        .collect();
    for hop in chain.iter().rev() {
        if !trusted(client) {
            break;
        }
        let hop = hop.trim();
        let address = hop.parse::<IpAddr>().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|hop| hop.ip()));
        match address {
            Some(address) => client = address.to_canonical(),
            None => break,
        }
    }
    client
}

/// One customer line: an IPv4 address, or the /64 of an IPv6 address.
fn line_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() & !u128::from(u64::MAX),
    }
}

fn whole_secs(secs: f64) -> u64 {
    // Saturates; the answer is a hint, not a measure.
    secs.ceil().max(1.0) as u64
}

/// The forms that somebody sends who is not signed in.
fn is_door(method: &Method, path: &str) -> bool {
    method == Method::POST && matches!(path, "/signin" | "/signin/code" | "/forgot" | "/reset" | "/setup")
}

/// Counts an attempt to sign in, before the password is looked at. 429 says when to try again.
pub async fn count_sign_in(
    conn: &mut PgConnection,
    address: ClientAddress,
    email: &str,
    now: OffsetDateTime,
) -> Result<(), Problem> {
    let line = line_key(address);
    // The tight ones first: what they refuse does not count against the e-mail address.
    let limits = [
        (line, SIGN_IN_PER_ADDRESS, SIGN_IN_PER_ADDRESS_SECS),
        (pair_key(address, email), SIGN_IN_PER_PAIR, SIGN_IN_PER_EMAIL_SECS),
        (email_key(email), SIGN_IN_PER_EMAIL, SIGN_IN_PER_EMAIL_SECS),
    ];
    for (key, most, secs) in limits {
        take_one(conn, &key, most, secs, now).await?;
    }
    Ok(())
}

async fn take_one(
    conn: &mut PgConnection,
    key: &str,
    most: f64,
    secs: f64,
    now: OffsetDateTime,
) -> Result<(), Problem> {
    buckets::take(conn, key, 1.0, most, most / secs, now).await.map_err(|error| sign_in_refused(error, now))
}

/// Counts somebody who asks for a link by mail. False: that address got mails enough, which is not told.
pub async fn count_forgot(
    conn: &mut PgConnection,
    address: ClientAddress,
    email: &str,
    now: OffsetDateTime,
) -> Result<bool, Problem> {
    take_one(conn, &line_key(address), SIGN_IN_PER_ADDRESS, SIGN_IN_PER_ADDRESS_SECS, now).await?;
    let pair = format!("mail-pair:{}", pair_hash(address, email));
    let mails = format!("mail-email:{}", short_hash(email.trim().to_lowercase().as_bytes()));
    // The tight one first: what it refuses does not count against the e-mail address.
    for (key, most) in [(pair, MAILS_PER_PAIR), (mails, MAILS_PER_EMAIL)] {
        match take_one(conn, &key, most, MAILS_PER_EMAIL_SECS, now).await {
            Ok(()) => {}
            Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => return Ok(false),
            Err(problem) => return Err(problem),
        }
    }
    Ok(true)
}

/// Counts a code of the second step, from wherever it comes: whoever gets here knows the password.
pub async fn count_code(conn: &mut PgConnection, user_id: Uuid, now: OffsetDateTime) -> Result<(), Problem> {
    take_one(conn, &format!("code:{user_id}"), CODES_PER_PERSON, CODES_PER_PERSON_SECS, now).await
}

pub async fn code_was_right(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<()> {
    buckets::forget(conn, &format!("code:{user_id}")).await
}

/// Counts a password or code that a signed-in person gives once more.
pub async fn count_confirmation(conn: &mut PgConnection, user_id: Uuid, now: OffsetDateTime) -> Result<(), Problem> {
    take_one(conn, &format!("confirm:{user_id}"), CONFIRM_PER_PERSON, CONFIRM_PER_PERSON_SECS, now).await
}

pub async fn confirmed(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<()> {
    buckets::forget(conn, &format!("confirm:{user_id}")).await
}

/// The right password clears the count of its e-mail address at this client address.
pub async fn sign_in_succeeded(conn: &mut PgConnection, address: ClientAddress, email: &str) -> Result<(), Problem> {
    Ok(buckets::forget(conn, &pair_key(address, email)).await?)
}

fn line_key(address: ClientAddress) -> String {
    format!("signin-address:{}", short_hash(&line_of(address.0).to_be_bytes()))
}

fn email_key(email: &str) -> String {
    format!("signin-email:{}", short_hash(email.trim().to_lowercase().as_bytes()))
}

fn pair_key(address: ClientAddress, email: &str) -> String {
    format!("signin-pair:{}", pair_hash(address, email))
}

fn pair_hash(address: ClientAddress, email: &str) -> String {
    let mut pair = line_of(address.0).to_be_bytes().to_vec();
    pair.extend_from_slice(email.trim().to_lowercase().as_bytes());
    short_hash(&pair)
}

/// Keys name nobody.
fn short_hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn too_many_attempts(secs: u64) -> Problem {
    let wait = if secs < 120 { format!("{secs} s") } else { format!("{} min", secs.div_ceil(60)) };
    Problem::too_many(secs, format!("Too many attempts to sign in. Try again in {wait}."))
}

fn sign_in_refused(error: TakeError, now: OffsetDateTime) -> Problem {
    match error {
        TakeError::Wait { until } => too_many_attempts(whole_secs((until - now).as_seconds_f64())),
        TakeError::Database(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn forwarded(text: &str) -> HeaderMap {
        HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), HeaderValue::from_str(text).unwrap())])
    }

    #[test]
    fn only_trusted_proxies_are_believed_about_the_client() {
        let trusted = |address: IpAddr| address == ip("10.0.0.1") || address == ip("10.0.0.2");
        let seen = |peer: &str, header: &str| client_address(ip(peer), &forwarded(header), trusted);
        assert_eq!(seen("203.0.113.9", "198.51.100.1"), ip("203.0.113.9"), "a stranger claims");
        assert_eq!(seen("10.0.0.1", "198.51.100.1"), ip("198.51.100.1"));
        assert_eq!(seen("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2"), ip("198.51.100.1"), "the left part is claimed");
        assert_eq!(seen("::ffff:10.0.0.1", "198.51.100.1:4711"), ip("198.51.100.1"));
        assert_eq!(seen("10.0.0.1", "nonsense"), ip("10.0.0.1"));
        assert_eq!(client_address(ip("10.0.0.1"), &HeaderMap::new(), trusted), ip("10.0.0.1"));
    }

    #[test]
    fn one_ipv6_line_is_one_caller() {
        assert_eq!(line_of(ip("2001:db8:1:2::3")), line_of(ip("2001:db8:1:2:ffff::9")));
        assert_ne!(line_of(ip("2001:db8:1:2::3")), line_of(ip("2001:db8:1:3::3")));
        assert_ne!(line_of(ip("198.51.100.1")), line_of(ip("198.51.100.2")));
    }

    #[test]
    fn the_answer_to_too_many_attempts_says_when_to_try_again() {
        let problem = sign_in_refused(TakeError::Wait { until: NOW + Duration::seconds(179) }, NOW);
        assert_eq!((problem.status, problem.retry_after_secs), (429, Some(179)));
        assert_eq!(problem.detail, "Too many attempts to sign in. Try again in 3 min.");
    }

    #[test]
    fn a_bucket_key_names_nobody() {
        assert!(!email_key("ana@example.com").contains("ana"));
        assert_eq!(email_key(" Ana@example.com"), email_key("ana@example.com"));
    }
}
