//! Which of Meta's two hosts a token belongs to, and what goes along with it. Tokens of Instagram Login are kept as Meta gave them; those
//! of Facebook Login are kept with a mark in front and the ids that belong to them: `facebook:{page}:{user}:{token}`. Outside this folder
//! both are just tokens.

use super::{FacebookConfig, InstagramConfig};
use crate::permits::AccessToken;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::fmt::Write;
use url::Url;

const MARK: &str = "facebook:";

/// What a marked token says.
#[derive(Clone, Copy)]
pub(super) struct Marked<'a> {
    /// The Page that it acts as; empty: the person.
    pub page_id: &'a str,
    /// The person, as Meta names them to this app alone.
    pub user_id: &'a str,
    token: &'a str,
}

impl<'a> Marked<'a> {
    /// As Meta gave it.
    pub(super) fn bare(&self) -> &'a str {
        self.token
    }

    /// None: a token of Instagram Login.
    pub(super) fn of(token: &'a str) -> Option<Self> {
        let mut parts = token.strip_prefix(MARK)?.splitn(3, ':');
        Some(Self { page_id: parts.next()?, user_id: parts.next()?, token: parts.next()? })
    }
}

pub(super) fn marked(page_id: &str, user_id: &str, token: &SecretString) -> SecretString {
    SecretString::from(format!("{MARK}{page_id}:{user_id}:{}", token.expose_secret()))
}

/// Where the calls of a token go, and how they show it.
pub(super) struct Access<'a> {
    pub base: &'a Url,
    pub marked: Option<Marked<'a>>,
    token: &'a str,
    proof: Option<String>,
}

/// What is told where a token cannot be used any more.
pub(super) const NO_FACEBOOK: &str =
    "the account was connected by Facebook, which is not set up on this server any more: it needs META_APP_ID";

impl<'a> Access<'a> {
    pub(super) fn of(config: &'a InstagramConfig, token: &'a AccessToken) -> Result<Self, &'static str> {
        match Marked::of(token.expose_secret()) {
            None => Ok(Self { base: &config.graph_base, marked: None, token: token.expose_secret(), proof: None }),
            Some(marked) => {
                let facebook = config.facebook.as_ref().ok_or(NO_FACEBOOK)?;
                let proof = Some(proof(facebook, marked.token));
                Ok(Self { base: &facebook.graph_base, marked: Some(marked), token: marked.token, proof })
            }
        }
    }

    /// Shows the token, and on Facebook's host the proof that the app's secret is with us. In the query: in forms it was overlooked at times.
    pub(super) fn show(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.bearer_auth(self.token);
        match &self.proof {
            Some(proof) => request.query(&[("appsecret_proof", proof)]),
            None => request,
        }
    }
}

/// HMAC-SHA256 of the token under the app's secret, in lower-case hex.
pub(super) fn proof(facebook: &FacebookConfig, token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(facebook.app_secret.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(token.as_bytes());
    mac.finalize().into_bytes().iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes every write");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_token_comes_apart_again() {
        let token = marked("7", "9", &SecretString::from("EAA:b"));
        let read = Marked::of(token.expose_secret()).unwrap();
        assert_eq!((read.page_id, read.user_id, read.token), ("7", "9", "EAA:b"));
        for plain in ["IGAAabc", "", "facebook:", "facebook:7:9"] {
            assert!(Marked::of(plain).is_none(), "{plain}");
        }
    }

    /// The vector that RFC 4231 gives for the construction (test case 2).
    #[test]
    fn the_proof_is_the_keyed_hash_in_lower_case_hex() {
        let base = Url::parse("https://graph.facebook.com").unwrap();
        let facebook = FacebookConfig {
            app_id: "1".into(),
            app_secret: "Jefe".into(),
            dialog_base: base.clone(),
            graph_base: base,
        };
        assert_eq!(
            proof(&facebook, "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
