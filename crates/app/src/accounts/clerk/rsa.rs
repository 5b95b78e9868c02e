//! RSA public keys as they come to us: pasted PEM texts and keys of a JWKS. Only what RS256 needs.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

/// Bytes of a modulus of 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
/// `rsaEncryption` with its empty parameters.
const RSA_ENCRYPTION: [u8; 13] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// Modulus and exponent, big-endian without leading zeros: all that a check of a signature needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// The operator pasted something else. Worded to follow the setting's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    #[error("is a private key; put the public key there, and make a new pair, since this one has been shown")]
    Private,
    #[error("is a certificate; put the public key there (BEGIN PUBLIC KEY)")]
    Certificate,
    #[error("is not a public key in PEM form")]
    NotPem,
    #[error("is not an RSA key of 2048 to 8192 bits")]
    NotRsa,
}

impl RsaPublicKey {
    /// A PEM text, also without its line breaks, with `\n` typed as two characters, or without its first and last line.
    pub fn from_pem(text: &str) -> Result<Self, NotAKey> {
        let text = text.replace("\\n", "\n").replace("\\r", "");
        if text.contains("PRIVATE KEY") {
            return Err(NotAKey::Private);
        }
        if text.contains("BEGIN CERTIFICATE") {
            return Err(NotAKey::Certificate);
        }
        let encoded: String = ["-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"]
            .into_iter()
            .chain(["-----BEGIN RSA PUBLIC KEY-----", "-----END RSA PUBLIC KEY-----"])
            .fold(text, |text, marker| text.replace(marker, ""))
            .split_whitespace()
            .collect();
        let der = STANDARD.decode(encoded).map_err(|_| NotAKey::NotPem)?;
        let (outer, rest) = element(SEQUENCE, &der).ok_or(NotAKey::NotPem)?;
        if !rest.is_empty() {
            return Err(NotAKey::NotPem);
        }
        from_subject_info(outer).or_else(|| from_integers(outer)).ok_or(NotAKey::NotRsa)
    }

    /// `n` and `e` of a JWK.
    pub fn from_jwk(n: &str, e: &str) -> Option<Self> {
        Self::new(&URL_SAFE_NO_PAD.decode(n).ok()?, &URL_SAFE_NO_PAD.decode(e).ok()?)
    }

    fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let stripped = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
        let (modulus, exponent) = (stripped(modulus), stripped(exponent));
        // An exponent of 1 lets everything pass; ring refuses it as well.
        let sane = MODULUS_BYTES.contains(&modulus.len())
            && (1..=4).contains(&exponent.len())
            && exponent.last().is_some_and(|byte| byte % 2 == 1)
            && exponent != [1];
        sane.then_some(Self { modulus, exponent })
    }

    /// Whether this key's owner signed it with RS256.
    pub fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
    }
}

/// `SubjectPublicKeyInfo`: algorithm, and the key as a string of bits.
fn from_subject_info(content: &[u8]) -> Option<RsaPublicKey> {
    let (algorithm, rest) = element(SEQUENCE, content)?;
    let (bits, rest) = element(BIT_STRING, rest)?;
    let (key, after) = element(SEQUENCE, bits.strip_prefix(&[0])?)?;
    (algorithm == RSA_ENCRYPTION && rest.is_empty() && after.is_empty()).then(|| from_integers(key)).flatten()
}

/// `RSAPublicKey`: two numbers.
fn from_integers(content: &[u8]) -> Option<RsaPublicKey> {
    let (modulus, rest) = element(INTEGER, content)?;
    let (exponent, rest) = element(INTEGER, rest)?;
    if rest.is_empty() { RsaPublicKey::new(modulus, exponent) } else { None }
}

/// The content of the DER element of this tag that the bytes begin with, and what follows it.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), &rest[2..]),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl genrsa 2048 | openssl rsa -pubout`.
    const PEM: &str = include_str!("sample_key.pem");

    #[test]
    fn a_pasted_key_is_read_however_it_was_pasted() {
        let key = RsaPublicKey::from_pem(PEM).unwrap();
        assert_eq!((key.modulus.len(), key.exponent.as_slice()), (256, &[1, 0, 1][..]));
        let bare: String = PEM.lines().filter(|line| !line.starts_with('-')).collect();
        for text in [
            PEM.replace('\n', "\\n"),
            PEM.replace('\n', ""),
            PEM.replace('\n', " "),
            PEM.replace('\n', "\r\n"),
            format!("\n  {PEM}\n"),
            bare,
        ] {
            assert_eq!(RsaPublicKey::from_pem(&text), Ok(key.clone()), "{text}");
        }
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(RsaPublicKey::from_jwk(&encode(&key.modulus), "AQAB"), Some(key.clone()));
        assert_eq!(RsaPublicKey::from_jwk(&format!("AA{}", encode(&key.modulus)), "AQAB"), None, "not its bytes");
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        let read = |text: &str| RsaPublicKey::from_pem(text).unwrap_err();
        assert_eq!(read("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"), NotAKey::Private);
        assert_eq!(read("-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----"), NotAKey::Certificate);
        assert_eq!(read("sk_test_abc"), NotAKey::NotPem);
        assert_eq!(read(""), NotAKey::NotPem);
        assert_eq!(read(&PEM.replace("MIIB", "MIIC")), NotAKey::NotPem);
        // P-256.
        let curve = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAExr2segIn1RTbJ4dQLcX5kc6OkwbTvyab9B1Mvr5fe26hZHpkQCyYEwV6C6uf3mV4PxzR+u6ws8bnHzKOFOPZeQ==";
        assert_eq!(read(curve), NotAKey::NotRsa);
    }

    #[test]
    fn a_weak_key_is_no_key() {
        assert!(RsaPublicKey::new(&[0xff; 256], &[1, 0, 1]).is_some());
        assert!(RsaPublicKey::new(&[0xff; 128], &[1, 0, 1]).is_none());
        for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0, 0, 1]] {
            assert!(RsaPublicKey::new(&[0xff; 256], exponent).is_none(), "{exponent:?}");
        }
    }

    #[test]
    fn broken_der_is_refused_without_a_panic() {
        let der = STANDARD.decode(PEM.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
        for cut in 0..der.len() {
            assert!(RsaPublicKey::from_pem(&STANDARD.encode(&der[..cut])).is_err());
        }
    }
}
