//! The keys that session tokens are signed with: one that the operator pasted, or those that the sign-in service publishes.
//!
//! Published keys are kept for five minutes. A key id names the vendor's instance and not the key, so it stays the same when the key
//! changes: a signature that does not match is a reason to look again, as an unknown id is. Anybody can make both up, so whatever
//! the reason, there is one question at a time and at most one in 30 seconds, and everybody who needs its answer waits for that one.
//! While the service does not answer, the keys that we have count on for a day; without any, nobody can be told apart and callers
//! are asked to come back. Only the address that the operator set is ever asked: a token cannot name another.

use super::rsa::RsaPublicKey;
use crate::clients::http::{CallError, call};
use crate::clock::Clock;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use time::{Duration, OffsetDateTime};
use url::Url;

/// How long keys count without being asked for again.
const FRESH: Duration = Duration::minutes(5);
/// How long they count while the service does not answer.
const STALE: Duration = Duration::hours(24);
/// Between two questions.
const ASK_EVERY: Duration = Duration::seconds(30);
/// The same while there is no key at all.
const ASK_EVERY_IN_NEED: Duration = Duration::seconds(5);
const ASK_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// An instance has one key, and two while it changes.
const MOST_KEYS: usize = 32;
const LONGEST_BODY: usize = 256 * 1024;

/// Where the keys come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Pasted by the operator: no network, and the key id of a token does not matter.
    Pasted(RsaPublicKey),
    Published {
        url: Url,
        /// For the address of the vendor's backend API, which wants a key.
        bearer: Option<SecretString>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key that counts signed it.
    #[error("signed with no known key")]
    NoMatch,
    /// No keys could be had: nothing can be said about the token.
    #[error("the keys of the sign-in service cannot be fetched")]
    Unavailable,
}

#[derive(Debug, Clone)]
pub struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    client: reqwest::Client,
    clock: Clock,
    known: RwLock<Arc<Known>>,
    /// Held while the service is being asked.
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// What the last answers told.
#[derive(Debug, Default)]
struct Known {
    /// All keys of an id.
    keys: HashMap<String, Vec<RsaPublicKey>>,
    told_at: Option<OffsetDateTime>,
    asked_at: Option<OffsetDateTime>,
    /// How many questions have ended.
    answers: u64,
}

impl Keys {
    pub fn new(source: Source, client: reqwest::Client, clock: Clock) -> Self {
        let (known, asking) = (RwLock::default(), Arc::default());
        Self(Arc::new(Inner { source, client, clock, known, asking }))
    }

    /// Whether a key that counts now signed this.
    pub async fn verify(&self, key_id: Option<&str>, signed: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let (url, bearer) = match &self.0.source {
            Source::Pasted(key) => return key.verifies(signed, signature).then_some(()).ok_or(KeyError::NoMatch),
            Source::Published { url, bearer } => (url, bearer.as_ref()),
        };
        // Without an id no published key is meant, and asking would not help.
        let key_id = key_id.ok_or(KeyError::NoMatch)?;
        let now = self.0.clock.now();
        let mut known = self.known();
        if !known.is_fresh(now) {
            known = match self.0.asking.clone().try_lock_owned() {
                Ok(turn) => self.ask(turn, &known, url, bearer).await,
                // Somebody asks already: what we have is good until then.
                Err(_) if known.counts(now) => known,
                Err(_) => self.ask(self.0.asking.clone().lock_owned().await, &known, url, bearer).await,
            };
        }
        if !known.counts(now) {
            return Err(KeyError::Unavailable);
        }
        if known.verifies(key_id, signed, signature) {
            return Ok(());
        }
        let asking = self.0.asking.clone();
        let turn = match asking.try_lock_owned() {
            Ok(_) if !known.may_ask(now) => return Err(KeyError::NoMatch),
            Ok(turn) => turn,
            Err(_) => self.0.asking.clone().lock_owned().await,
        };
        let newer = self.ask(turn, &known, url, bearer).await;
        let matches = newer.answers != known.answers && newer.verifies(key_id, signed, signature);
        matches.then_some(()).ok_or(KeyError::NoMatch)
    }

    fn known(&self) -> Arc<Known> {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, known: Known) {
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    /// What is known after the service was asked, by us or by who had the turn before. A caller that goes away ends no question.
    async fn ask(
        &self,
        turn: tokio::sync::OwnedMutexGuard<()>,
        seen: &Known,
        url: &Url,
        bearer: Option<&SecretString>,
    ) -> Arc<Known> {
        let (before, now) = (self.known(), self.0.clock.now());
        if before.answers != seen.answers || !before.may_ask(now) {
            return before;
        }
        let mut request = self.0.client.get(url.clone()).timeout(ASK_TIMEOUT);
        if let Some(key) = bearer {
            request = request.bearer_auth(key.expose_secret());
        }
        let keys = self.clone();
        let asked = tokio::spawn(async move {
            let _turn = turn;
            let (told, told_at) = match fetch(request).await {
                Ok(told) => (told, Some(now)),
                Err(error) => {
                    tracing::warn!(%error, "the keys of the sign-in service were not fetched; those from before count on");
                    (before.keys.clone(), before.told_at)
                }
            };
            keys.learn(Known { keys: told, told_at, asked_at: Some(now), answers: before.answers + 1 });
        });
        // It can only fail by a panic, and then nothing was learnt.
        let _ = asked.await;
        self.known()
    }
}

impl Known {
    fn is_fresh(&self, now: OffsetDateTime) -> bool {
        self.told_at.is_some_and(|told_at| (now - told_at).abs() < FRESH)
    }

    fn counts(&self, now: OffsetDateTime) -> bool {
        self.told_at.is_some_and(|told_at| (now - told_at).abs() < STALE)
    }

    /// A clock that is set back must not keep us from asking.
    fn may_ask(&self, now: OffsetDateTime) -> bool {
        let every = if self.counts(now) { ASK_EVERY } else { ASK_EVERY_IN_NEED };
        self.asked_at.is_none_or(|asked_at| (now - asked_at).abs() >= every)
    }

    fn verifies(&self, key_id: &str, signed: &[u8], signature: &[u8]) -> bool {
        self.keys.get(key_id).is_some_and(|keys| keys.iter().any(|key| key.verifies(signed, signature)))
    }
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("answered {0}; check CLERK_JWKS_URL or CLERK_ISSUER, and CLERK_API_KEY where the address wants one")]
    Status(u16),
    #[error("the answer is no list of keys")]
    NotKeys,
    #[error("the answer holds no RSA key for signatures")]
    NoKeys,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    n: String,
    e: String,
}

/// How many keys the service publishes now. For who looks at it from outside; nothing is kept.
///
/// # Errors
/// Why none could be had, without addresses.
pub async fn ask(client: &reqwest::Client, url: &Url, bearer: Option<&SecretString>) -> Result<usize, String> {
    let mut request = client.get(url.clone()).timeout(ASK_TIMEOUT);
    if let Some(key) = bearer {
        request = request.bearer_auth(key.expose_secret());
    }
    let keys = fetch(request).await.map_err(|error| error.to_string())?;
    Ok(keys.values().map(Vec::len).sum())
}

async fn fetch(request: reqwest::RequestBuilder) -> Result<HashMap<String, Vec<RsaPublicKey>>, FetchError> {
    let answer = call(request).await?;
    if answer.status != 200 {
        return Err(FetchError::Status(answer.status));
    }
    key_set(&answer.body)
}

fn key_set(body: &str) -> Result<HashMap<String, Vec<RsaPublicKey>>, FetchError> {
    if body.len() > LONGEST_BODY {
        return Err(FetchError::NotKeys);
    }
    let set: KeySet = serde_json::from_str(body).map_err(|_| FetchError::NotKeys)?;
    let mut keys: HashMap<String, Vec<RsaPublicKey>> = HashMap::new();
    // A kind of key that we do not know is no reason to throw away the others.
    let told = set.keys.into_iter().take(MOST_KEYS).filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    for jwk in told {
        let for_us = jwk.kty == "RSA"
            && jwk.alg.is_none_or(|alg| alg == "RS256")
            && jwk.purpose.is_none_or(|purpose| purpose == "sig");
        if let Some(key) = RsaPublicKey::from_jwk(&jwk.n, &jwk.e).filter(|_| for_us) {
            keys.entry(jwk.kid).or_default().push(key);
        }
    }
    if keys.is_empty() { Err(FetchError::NoKeys) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    #[test]
    fn only_rsa_keys_for_signatures_are_taken_from_a_set() {
        let n = URL_SAFE_NO_PAD.encode([0xf1; 256]);
        let key = |kid: &str, changes: serde_json::Value| {
            let mut jwk = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": "AQAB" });
            jwk.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            jwk
        };
        let other = URL_SAFE_NO_PAD.encode([0xf3; 256]);
        let set = json!({ "keys": [
            key("ins_1", json!({})), key("ins_1", json!({ "n": other })), key("enc", json!({ "use": "enc" })),
            key("rs512", json!({ "alg": "RS512" })), key("oct", json!({ "kty": "oct" })), key("weak", json!({ "e": "AQ" })),
            { "kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA" }, 7,
        ]});
        let keys = key_set(&set.to_string()).unwrap();
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["ins_1"]);
        assert_eq!(keys["ins_1"].len(), 2, "an id names all keys of an instance");
    }

    #[test]
    fn an_answer_without_keys_takes_none_away() {
        for body in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert!(matches!(key_set(body), Err(FetchError::NotKeys)), "{body}");
        }
        assert!(matches!(key_set(r#"{"keys":[]}"#), Err(FetchError::NoKeys)));
        let long = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(LONGEST_BODY));
        assert!(matches!(key_set(&long), Err(FetchError::NotKeys)));
    }
}
