//! One-time codes of an authenticator app: RFC 6238 with what every app takes for granted (HMAC-SHA-1, 30 s, 6 digits), its secret
//! in base32 and its `otpauth:` address. Pure; who stores and asks for codes is `second_factor`.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

const STEP_SECS: i64 = 30;
const DIGITS: usize = 6;
/// Clocks of telephones differ from ours, and typing takes time.
const STEPS_AROUND: i64 = 1;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn step_of(now: OffsetDateTime) -> i64 {
    now.unix_timestamp().div_euclid(STEP_SECS)
}

/// The code that an app shows at this time. For tests, and for the comparison here.
pub fn code_at(secret: &SecretString, now: OffsetDateTime) -> Option<String> {
    Some(code(&from_base32(secret.expose_secret())?, step_of(now)))
}

/// The step that a typed code belongs to, if it is one of about now and later than `last_step`.
pub(super) fn matching_step(
    secret: &SecretString,
    typed: &str,
    now: OffsetDateTime,
    last_step: Option<i64>,
) -> Option<i64> {
    let key = from_base32(secret.expose_secret())?;
    let here = step_of(now);
    let steps = here - STEPS_AROUND..=here + STEPS_AROUND;
    // All are looked at, so that the time tells nothing about which one fits.
    steps.fold(None, |found, step| {
        let fits = bool::from(code(&key, step).as_bytes().ct_eq(typed.as_bytes()));
        let fresh = last_step.is_none_or(|last| step > last);
        if fits && fresh { Some(step) } else { found }
    })
}

fn code(key: &[u8], step: i64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("any length of key is valid");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[digest.len() - 1] & 0x0f);
    let word = u32::from_be_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]) & 0x7fff_ffff;
    format!("{:0DIGITS$}", word % 10_u32.pow(DIGITS as u32))
}

/// Some apps take a plus sign for itself, so blanks are percent-encoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'@');

/// What an app reads from the picture: where and for whom the code is, and the secret.
pub(super) fn address(secret: &SecretString, issuer: &str, account: &str) -> SecretString {
    let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let (issuer, account, secret) = (encoded(issuer), encoded(account), secret.expose_secret());
    format!("otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}").into()
}

/// RFC 4648 without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let mut block = [0_u8; 8];
        block[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(block);
        for place in 0..(group.len() * 8).div_ceil(5) {
            let index = (bits >> (35 - 5 * place)) & 0x1f;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = (bits << 5) | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(secs).unwrap()
    }

    /// RFC 6238, appendix B: the last six digits of its eight.
    const VECTORS: [(i64, &str); 6] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    fn secret() -> SecretString {
        base32(b"12345678901234567890").into()
    }

    #[test]
    fn the_codes_are_those_of_the_standard() {
        for (secs, expected) in VECTORS {
            assert_eq!(code_at(&secret(), at(secs)).unwrap(), expected, "{secs}");
        }
    }

    #[test]
    fn a_code_counts_for_the_steps_around_it_and_never_again() {
        let fits = |secs: i64, last| matching_step(&secret(), "287082", at(secs), last);
        assert_eq!(fits(59, None), Some(1));
        assert_eq!((fits(29, None), fits(89, None)), (Some(1), Some(1)), "one step early and one late");
        assert_eq!((fits(-1, None), fits(90, None)), (None, None));
        assert_eq!(fits(59, Some(0)), Some(1));
        assert_eq!((fits(59, Some(1)), fits(59, Some(2))), (None, None), "taken already, or later ones were");
        assert_eq!(matching_step(&secret(), "287083", at(59), None), None);
        assert_eq!(matching_step(&secret(), "", at(59), None), None);
    }

    #[test]
    fn base32_is_that_of_the_standard() {
        // RFC 4648, section 10, without its padding.
        let vectors = [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ];
        for (plain, text) in vectors {
            assert_eq!(base32(plain.as_bytes()), text);
            assert_eq!(from_base32(text).unwrap(), plain.as_bytes());
        }
        assert_eq!(from_base32("MZXW0"), None);
    }

    #[test]
    fn the_address_names_the_server_and_the_person() {
        let address = address(&"MZXW6".into(), "Rejoinder replies.example:8443", "ana+x@example.com");
        assert_eq!(
            address.expose_secret(),
            "otpauth://totp/Rejoinder%20replies.example%3A8443:ana%2Bx@example.com?secret=MZXW6&issuer=Rejoinder%20replies.example%3A8443"
        );
    }
}
