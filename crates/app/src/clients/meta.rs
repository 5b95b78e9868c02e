//! What Meta signs: webhooks by a header over the raw bytes, callbacks by a `signed_request`. Several secrets may be valid at a time,
//! since an app has one of its own for Instagram Login and Meta's pages do not agree which one signs.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const TAG_BYTES: usize = 32;
const LONGEST_REQUEST: usize = 16 * 1024;

const PADDED_OR_NOT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDED_OR_NOT);

fn signed_with_one(secrets: &[SecretString], bytes: &[u8], tag: &[u8]) -> bool {
    // Each secret is tried, so that the time tells nothing of which one fits.
    secrets.iter().fold(false, |found, secret| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { return found };
        mac.update(bytes);
        found | bool::from(mac.finalize().into_bytes().as_slice().ct_eq(tag))
    })
}

/// Whether `header` (`sha256=<hex>`) signs these bytes, exactly as they came over the wire.
pub fn is_signed(secrets: &[SecretString], header: &str, body: &[u8]) -> bool {
    hex(header.strip_prefix("sha256=").unwrap_or_default()).is_some_and(|tag| signed_with_one(secrets, body, &tag))
}

fn hex(text: &str) -> Option<[u8; TAG_BYTES]> {
    let digits = text.as_bytes();
    let mut bytes = [0; TAG_BYTES];
    if digits.len() != 2 * TAG_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

/// What a callback is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The person's or account's id as the app alone knows it.
    pub user_id: String,
    /// Seconds since 1970.
    pub issued_at: Option<i64>,
    /// The same for each repetition of the request, however it is written.
    pub fingerprint: [u8; TAG_BYTES],
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    algorithm: Option<String>,
    #[serde(default)]
    user_id: Option<serde_json::Value>,
    #[serde(default)]
    issued_at: Option<i64>,
}

/// Opens `SIG.PAYLOAD`. None: it is malformed or not signed with one of the secrets.
pub fn open_signed_request(secrets: &[SecretString], text: &str) -> Option<SignedRequest> {
    let (signature, payload) = text.split_once('.').filter(|_| text.len() <= LONGEST_REQUEST)?;
    // Either alphabet has been seen, with padding and without.
    let decode = |part: &str| ANY_PADDING.decode(part.replace('+', "-").replace('/', "_")).ok();
    let tag = decode(signature)?;
    if !signed_with_one(secrets, payload.as_bytes(), &tag) {
        return None;
    }
    let opened: Payload = serde_json::from_slice(&decode(payload)?).ok()?;
    if !opened.algorithm.is_some_and(|algorithm| algorithm.eq_ignore_ascii_case("HMAC-SHA256")) {
        return None;
    }
    let user_id = match opened.user_id? {
        serde_json::Value::String(id) => id,
        serde_json::Value::Number(id) => id.to_string(),
        _ => return None,
    };
    let is_id = (1..=64).contains(&user_id.len()) && user_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let fingerprint = Sha256::digest(&tag).into();
    is_id.then_some(SignedRequest { user_id, issued_at: opened.issued_at, fingerprint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(all: &[&str]) -> Vec<SecretString> {
        all.iter().map(|secret| SecretString::from(*secret)).collect()
    }

    /// The vector that GitHub publishes for the same construction.
    const VECTOR: (&str, &[u8], &str) = (
        "It's a Secret to Everybody",
        b"Hello, World!",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    );

    #[test]
    fn one_of_several_secrets_and_the_very_bytes_count() {
        let (secret, body, header) = VECTOR;
        assert!(is_signed(&secrets(&["other", secret]), header, body));
        assert!(is_signed(&secrets(&[secret, "other"]), header, body));
        assert!(!is_signed(&secrets(&["other"]), header, body));
        assert!(!is_signed(&[], header, body));
        assert!(!is_signed(&secrets(&[secret]), header, b"Hello, World! "));
        let upper = header.to_uppercase().replace("SHA256", "sha256");
        assert!(is_signed(&secrets(&[secret]), &upper, body), "hex is hex");
        for broken in ["", "sha256=", &header[..70], &header.replace("sha256", "sha1"), &format!("{header}0")] {
            assert!(!is_signed(&secrets(&[secret]), broken, body), "{broken}");
        }
    }

    fn signed(secret: &str, payload: &str) -> String {
        let payload = ANY_PADDING.encode(payload);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(payload.as_bytes());
        format!("{}.{payload}", ANY_PADDING.encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn a_signed_request_opens_with_its_secret_only() {
        let request = signed("s", r#"{"algorithm":"HMAC-SHA256","issued_at":1291836800,"user_id":"218471"}"#);
        let opened = open_signed_request(&secrets(&["other", "s"]), &request).unwrap();
        assert_eq!((opened.user_id.as_str(), opened.issued_at), ("218471", Some(1_291_836_800)));
        assert_eq!(open_signed_request(&secrets(&["other"]), &request), None);
        assert_eq!(open_signed_request(&secrets(&["s"]), &request).unwrap(), opened, "a repetition is known");
        let number = signed("s", r#"{"algorithm":"HMAC-SHA256","user_id":218471}"#);
        let other = open_signed_request(&secrets(&["s"]), &number).unwrap();
        assert_eq!(other.user_id, "218471");
        assert_ne!(other.fingerprint, opened.fingerprint);
        let long = format!(r#"{{"algorithm":"HMAC-SHA256","user_id":"1","x":"{}"}}"#, "x".repeat(LONGEST_REQUEST));
        assert_eq!(open_signed_request(&secrets(&["s"]), &signed("s", &long)), None, "signed, and too long");
        for payload in [
            r#"{"algorithm":"none","user_id":"1"}"#,
            r#"{"user_id":"1"}"#,
            r#"{"algorithm":"HMAC-SHA256"}"#,
            r#"{"algorithm":"HMAC-SHA256","user_id":"../x"}"#,
            "[]",
            "x",
        ] {
            assert_eq!(open_signed_request(&secrets(&["s"]), &signed("s", payload)), None, "{payload}");
        }
        for text in ["", ".", "a.b", "a", &request.replace('.', ""), &request[1..]] {
            assert_eq!(open_signed_request(&secrets(&["s"]), text), None, "{text}");
        }
    }

    /// Recorded signatures and requests, where `REJOINDER_FIXTURES` names their folder.
    #[test]
    fn recorded_signatures_are_told_apart() {
        let Some(folder) = std::env::var_os("REJOINDER_FIXTURES") else {
            println!("REJOINDER_FIXTURES is not set: recorded signatures are skipped");
            return;
        };
        let mut seen = 0;
        for file in std::fs::read_dir(std::path::Path::new(&folder).join("instagram")).unwrap() {
            let path = file.unwrap().path();
            let Ok(file) = serde_json::from_slice::<serde_json::Value>(&std::fs::read(&path).unwrap()) else {
                continue;
            };
            let word = |pointer: &str| file.pointer(pointer).and_then(|word| word.as_str()).unwrap_or_default();
            if let Some(valid) = file.pointer("/signature/valid").and_then(serde_json::Value::as_bool) {
                let (secret, body) = (word("/signature/app_secret"), word("/signature/body_raw"));
                let header = word("/signature/x_hub_signature_256");
                assert_eq!(is_signed(&secrets(&[secret]), header, body.as_bytes()), valid, "{}", path.display());
                seen += 1;
            }
            if let Some(valid) = file.pointer("/signed_request/valid").and_then(serde_json::Value::as_bool) {
                let secret = word("/signed_request/app_secret");
                let opened = open_signed_request(&secrets(&[secret]), word("/signed_request/value"));
                assert_eq!(opened.is_some(), valid, "{}", path.display());
                seen += 1;
            }
        }
        assert!(seen >= 4, "{seen} recorded signatures");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,300}", body in prop::collection::vec(any::<u8>(), 0..50)) {
            let _ = open_signed_request(&secrets(&["s"]), &text);
            prop_assert!(!is_signed(&secrets(&["s"]), &text, &body));
        }
    }
}
