//! What Clerk's frontend API sends a browser back with: a signed list of cookies. Only Clerk's own cookies are taken from it.

use super::token::{self, TokenError, Unverified};
use serde::Deserialize;

/// Beginnings of the names of Clerk's cookies.
const COOKIES: [&str; 4] = ["__session", "__client_uat", "__refresh", "__clerk_db_jwt"];
/// It carries several session tokens.
const LONGEST: usize = 32 * 1024;
const LONGEST_COOKIE: usize = 8 * 1024;
const MOST_COOKIES: usize = 16;

/// The cookies to set, as `Set-Cookie` wants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    pub cookies: Vec<String>,
    /// The session tokens among them. Empty: nobody is signed in there.
    pub tokens: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    handshake: Vec<String>,
}

pub(super) fn read(token: &str) -> Result<Unverified<'_, Payload>, TokenError> {
    token::take_apart(token, LONGEST)
}

impl Handshake {
    pub(super) fn of(payload: Payload) -> Self {
        let cookies: Vec<String> =
            payload.handshake.into_iter().filter(|cookie| is_clerks(cookie)).take(MOST_COOKIES).collect();
        let value = |cookie: &String| {
            let (name, rest) = cookie.split_once('=')?;
            let value = rest.split(';').next()?.trim();
            (name.starts_with("__session") && !value.is_empty()).then(|| value.to_owned())
        };
        let tokens = cookies.iter().filter_map(value).collect();
        Self { cookies, tokens }
    }
}

fn is_clerks(cookie: &str) -> bool {
    let name = cookie.split('=').next().unwrap_or_default();
    let known =
        COOKIES.iter().any(|own| name.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')));
    known && cookie.len() <= LONGEST_COOKIE && cookie.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cookies_of_clerk_are_taken() {
        let payload = |cookies: &[&str]| Payload { handshake: cookies.iter().map(|text| (*text).to_owned()).collect() };
        let told = Handshake::of(payload(&[
            "__session=abc; Path=/; SameSite=Lax",
            "__session_naoXFJnI=def; Path=/",
            "__client_uat=17; Path=/",
            "rejoinder_session=evil; Path=/",
            "__sessions=evil",
            "__session=x\r\nSet-Cookie: a=b",
        ]));
        assert_eq!(told.cookies.len(), 3);
        assert_eq!(told.tokens, ["abc", "def"]);
        assert!(Handshake::of(payload(&["__session=; Max-Age=0", "__client_uat=0"])).tokens.is_empty());
    }
}
