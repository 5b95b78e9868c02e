//! Signed webhooks by the Standard Webhooks scheme, which Svix (and so Clerk) uses: those that come in are verified, those that
//! go out are signed.
//!
//! Signed is `<id>.<timestamp>.<body>`, byte for byte as it goes over the wire, with HMAC-SHA256. A message is good for five minutes
//! before and after its timestamp, so a copied one cannot be played back later; within them the receiver remembers its id.
//! Several secrets may be valid at a time: that is how one is exchanged for another without losing a message.

use crate::clock::Entropy;
use axum::http::HeaderMap;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// How far the timestamp may lie from our clock, to either side.
pub const TOLERANCE: Duration = Duration::minutes(5);
const PREFIX: &str = "whsec_";
const GENERATED_BYTES: usize = 32;
/// A short key can be guessed; a long one is no key but some other text.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=256;
const LONGEST_ID: usize = 255;
/// Both families of header names; Svix sends the first, the standard names the second.
const HEADERS: [[&str; 3]; 2] =
    [["svix-id", "svix-timestamp", "svix-signature"], ["webhook-id", "webhook-timestamp", "webhook-signature"]];

/// The key that both sides know. Never printed.
#[derive(Debug, Clone)]
pub struct SigningSecret(SecretSlice<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a signing secret; it looks like whsec_ and then base64 of at least 16 bytes")]
pub struct NotASecret;

/// Why a message is not believed. Nothing in it helps to forge one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The name of the header that is missing, empty, or not readable.
    #[error("the header {0} is missing or not readable")]
    Header(&'static str),
    #[error("the timestamp is more than five minutes old")]
    TooOld,
    #[error("the timestamp is more than five minutes ahead")]
    TooNew,
    #[error("the signature does not match the body and any of the secrets")]
    NoMatch,
}

impl SigningSecret {
    /// A new one, for webhooks that we send.
    pub fn generate(entropy: &Entropy) -> Self {
        Self(SecretSlice::from(entropy.bytes::<GENERATED_BYTES>().to_vec()))
    }

    /// From its text: `whsec_` and base64, as both sides show it. The prefix may be missing.
    pub fn parse(text: &str) -> Result<Self, NotASecret> {
        let text = text.trim();
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
        let key = GeneralPurpose::new(&alphabet::STANDARD, config).decode(encoded).map_err(|_| NotASecret)?;
        let key = Zeroizing::new(key);
        if KEY_BYTES.contains(&key.len()) { Ok(Self(SecretSlice::from(key.to_vec()))) } else { Err(NotASecret) }
    }

    /// The text that the other side puts into its settings.
    pub fn to_text(&self) -> SecretString {
        SecretString::from(format!("{PREFIX}{}", STANDARD.encode(self.0.expose_secret())))
    }

    /// The value of the header `webhook-signature`: `v1,` and base64. `sent_at` counts in whole seconds.
    pub fn sign(&self, id: &str, sent_at: OffsetDateTime, body: &[u8]) -> String {
        self.sign_text(id, &sent_at.unix_timestamp().to_string(), body)
    }

    fn sign_text(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("any length of key is valid");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The id of a message that came from who knows one of the secrets, within five minutes of `now`.
///
/// # Errors
/// The sender's fault, or the operator's (wrong secret, wrong clock): the message is not believed.
pub fn verify<'a>(
    secrets: &[SigningSecret],
    headers: &'a HeaderMap,
    body: &[u8],
    now: OffsetDateTime,
) -> Result<&'a str, SignatureError> {
    let family = HEADERS.iter().find(|names| names.iter().all(|name| headers.contains_key(*name)));
    let [id_name, timestamp_name, signature_name] = *family.unwrap_or(&HEADERS[0]);
    let header = |name| text(headers, name).ok_or(SignatureError::Header(name));
    let (id, timestamp, signatures) = (header(id_name)?, header(timestamp_name)?, header(signature_name)?);
    if id.len() > LONGEST_ID {
        return Err(SignatureError::Header(id_name));
    }
    let sent_at = seconds(timestamp).ok_or(SignatureError::Header(timestamp_name))?;
    if now - sent_at > TOLERANCE {
        return Err(SignatureError::TooOld);
    }
    if sent_at - now > TOLERANCE {
        return Err(SignatureError::TooNew);
    }
    let matches = secrets.iter().any(|secret| {
        let expected = secret.sign_text(id, timestamp, body);
        signatures.split(' ').any(|given| given.as_bytes().ct_eq(expected.as_bytes()).into())
    });
    if matches { Ok(id) } else { Err(SignatureError::NoMatch) }
}

/// A header that stands there once.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    (values.next().is_none() && !value.is_empty()).then_some(value)
}

fn seconds(text: &str) -> Option<OffsetDateTime> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse::<i64>().ok().filter(|_| plain)?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    /// Made by the `svix` package for the four above.
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn secret() -> SigningSecret {
        SigningSecret::parse(SECRET).unwrap()
    }

    fn headers(family: [&'static str; 3], values: [&str; 3]) -> HeaderMap {
        let names = family.map(HeaderName::from_static);
        names.into_iter().zip(values.map(|value| HeaderValue::from_str(value).unwrap())).collect()
    }

    fn svix(values: [&str; 3]) -> HeaderMap {
        headers(HEADERS[0], values)
    }

    fn good() -> HeaderMap {
        svix([ID, &AT.to_string(), SIGNATURE])
    }

    fn verified(secrets: &[SigningSecret], headers: &HeaderMap, now: i64) -> Result<String, SignatureError> {
        verify(secrets, headers, BODY, at(now)).map(str::to_owned)
    }

    #[test]
    fn we_sign_as_svix_does_and_take_what_it_signed() {
        assert_eq!(secret().sign(ID, at(AT), BODY), SIGNATURE);
        assert_eq!(verified(&[secret()], &good(), AT), Ok(ID.to_owned()));
        let standard = headers(HEADERS[1], [ID, &AT.to_string(), SIGNATURE]);
        assert_eq!(verified(&[secret()], &standard, AT), Ok(ID.to_owned()));
    }

    #[test]
    fn any_of_the_secrets_and_any_of_the_signatures_is_enough() {
        let other = SigningSecret::generate(&Entropy::seeded(1));
        let several = format!("v1,AAAA v2,{} v1a,x {SIGNATURE}", &SIGNATURE[3..]);
        let sent = svix([ID, &AT.to_string(), &several]);
        assert_eq!(verified(&[other.clone(), secret()], &sent, AT), Ok(ID.to_owned()));
        assert_eq!(verified(&[other], &sent, AT), Err(SignatureError::NoMatch));
        assert_eq!(verified(&[], &sent, AT), Err(SignatureError::NoMatch));
    }

    #[test]
    fn a_change_of_any_signed_byte_is_seen() {
        let time = AT.to_string();
        for values in [
            ["msg_other", &time, SIGNATURE],
            [ID, "1614265331", SIGNATURE],
            [ID, &time, &SIGNATURE[3..]],
            [ID, &time, &SIGNATURE.replace("v1,", "v2,")],
            [ID, &time, &SIGNATURE[..SIGNATURE.len() - 1]],
            [ID, &time, "v1,"],
        ] {
            assert_eq!(verified(&[secret()], &svix(values), AT), Err(SignatureError::NoMatch), "{values:?}");
        }
        assert_eq!(verify(&[secret()], &good(), b"{}", at(AT)), Err(SignatureError::NoMatch));
    }

    #[test]
    fn a_message_is_good_for_five_minutes_to_both_sides() {
        let secrets = [secret()];
        for now in [AT - 300, AT + 300] {
            assert!(verified(&secrets, &good(), now).is_ok());
        }
        assert_eq!(verified(&secrets, &good(), AT + 301), Err(SignatureError::TooOld));
        assert_eq!(verified(&secrets, &good(), AT - 301), Err(SignatureError::TooNew));
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in HEADERS[0] {
            let mut sent = good();
            sent.remove(name);
            assert_eq!(verified(&[secret()], &sent, AT), Err(SignatureError::Header(name)));
        }
        for time in ["soon", "+1614265330", "1614265330.5", "99999999999999999999", "-1"] {
            let sent = svix([ID, time, SIGNATURE]);
            assert_eq!(verified(&[secret()], &sent, AT), Err(SignatureError::Header("svix-timestamp")), "{time}");
        }
        let mut twice = good();
        twice.append("svix-id", HeaderValue::from_static("msg_two"));
        assert_eq!(verified(&[secret()], &twice, AT), Err(SignatureError::Header("svix-id")));
    }

    #[test]
    fn a_secret_is_read_as_it_is_shown_and_never_printed() {
        let made = SigningSecret::generate(&Entropy::seeded(7));
        let read = SigningSecret::parse(made.to_text().expose_secret()).unwrap();
        assert_eq!(made.sign(ID, at(AT), BODY), read.sign(ID, at(AT), BODY));
        assert!(SigningSecret::parse(&SECRET[PREFIX.len()..]).is_ok());
        for text in ["", "whsec_", "whsec_short", "whsec_!!!!MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "sk_live_0123456789"] {
            assert_eq!(SigningSecret::parse(text).unwrap_err(), NotASecret, "{text}");
        }
        assert_eq!(format!("{:?}", secret()).matches("MfKQ").count(), 0);
    }
}
