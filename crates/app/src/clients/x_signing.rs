//! What X signs, and has signed, with the app's API secret: events by a header over the raw bytes, and the token of its challenge.
//! Source: X's page "Webhooks", sections on CRC and on validating signatures.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

pub const HEADER: &str = "x-twitter-webhooks-signature";

fn tag(secret: &SecretString, bytes: &[u8]) -> Vec<u8> {
    // A key of any length is taken.
    Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .map(|mac| mac.chain_update(bytes).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

/// `sha256=<base64>`.
pub fn signature(secret: &SecretString, bytes: &[u8]) -> String {
    format!("sha256={}", BASE64_STANDARD.encode(tag(secret, bytes)))
}

/// Whether `header` signs these bytes, exactly as they came over the wire.
pub fn is_signed(secret: &SecretString, header: &str, body: &[u8]) -> bool {
    let told = header.strip_prefix("sha256=").and_then(|text| BASE64_STANDARD.decode(text).ok());
    told.is_some_and(|told| !told.is_empty() && bool::from(tag(secret, body).ct_eq(&told)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The vector that GitHub publishes for the same construction, in base64.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNED: &str = "sha256=dXEH6g6yUJ/CESIczphLijdXC211hsIsRvQ3nIsEPhc=";

    #[test]
    fn the_very_bytes_and_the_secret_count() {
        let secret = SecretString::from(SECRET);
        assert_eq!(signature(&secret, BODY), SIGNED);
        assert!(is_signed(&secret, SIGNED, BODY));
        assert!(!is_signed(&secret, SIGNED, b"Hello, World! "));
        assert!(!is_signed(&SecretString::from("other"), SIGNED, BODY));
        let other_hash = SIGNED.replace("sha256", "sha1");
        for broken in ["", "sha256=", &SIGNED[..40], other_hash.as_str(), &SIGNED[7..], "sha256=AAAA"] {
            assert!(!is_signed(&secret, broken, BODY), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in ".{0,100}", body in prop::collection::vec(any::<u8>(), 0..50)) {
            prop_assert!(!is_signed(&SecretString::from("s"), &header, &body));
        }
    }
}
