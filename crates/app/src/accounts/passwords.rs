//! Passwords: the policy and argon2id with OWASP's parameters (19 MiB, 2 passes, 1 lane).
//!
//! Two are hashed at once and few wait, so that a burst of attempts takes at most 38 MiB and no async thread. When the queue is
//! full the caller answers "try again". Where there is no hash to check against, a fixed one is checked, so that the time
//! of the answer tells nothing about who has an account.

use crate::clock::Entropy;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const AT_ONCE: usize = 2;
const WAITING: usize = 64;

pub const MIN_CHARS: usize = 10;
pub const MAX_CHARS: usize = 200;

/// What everybody tries first and the length rule lets pass; lower case.
const WORST: [&str; 18] = [
    "1234567890",
    "0123456789",
    "1234567891",
    "12345678910",
    "123456789012",
    "0987654321",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "qwertyuiop",
    "qwerty12345",
    "qwerty123456",
    "password12",
    "password123",
    "password1234",
    "passw0rd123",
    "iloveyou123",
    "administrator",
    "changeme123",
];

/// Nobody's: what a sign-in with an unknown address is checked against. Its parameters equal the ones above.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz$fFrGzQX0+HRD2r3Wyn8j1QjJExnFNNQejBLhLsipNMY";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("Use at least {MIN_CHARS} characters.")]
    TooShort,
    #[error("Use at most {MAX_CHARS} characters.")]
    TooLong,
    #[error("Use something other than your e-mail address.")]
    IsEmail,
    #[error("This password is among the first that anybody would try. Choose another.")]
    TooCommon,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("too many passwords are being hashed at once")]
    Busy,
}

/// Whether a new password is good enough. `email` is the person's own, in its stored form.
pub fn check_policy(password: &SecretString, email: &str) -> Result<(), PolicyError> {
    let text = normal(password);
    let text = text.expose_secret();
    let lower = text.trim().to_lowercase();
    match text.chars().count() {
        count if count < MIN_CHARS => Err(PolicyError::TooShort),
        count if count > MAX_CHARS => Err(PolicyError::TooLong),
        _ if lower == email => Err(PolicyError::IsEmail),
        _ if WORST.contains(&lower.as_str()) || is_one_char_repeated(&lower) => Err(PolicyError::TooCommon),
        _ => Ok(()),
    }
}

fn is_one_char_repeated(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next();
    chars.all(|c| Some(c) == first)
}

/// One form for what different keyboards produce for the same characters.
fn normal(password: &SecretString) -> SecretString {
    password.expose_secret().nfkc().collect::<String>().into()
}

/// Hashes and checks. Clones share the same places.
#[derive(Debug, Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { running: Arc::new(Semaphore::new(AT_ONCE)), admitted: Arc::new(Semaphore::new(AT_ONCE + WAITING)) }
    }
}

impl Passwords {
    /// A PHC string for the database.
    pub async fn hash(&self, password: SecretString, entropy: &Entropy) -> Result<SecretString, HashError> {
        let salt = entropy.bytes::<16>();
        self.off_thread(move || {
            let hash = argon2()
                .hash_password_with_salt(normal(&password).expose_secret().as_bytes(), &salt)
                .expect("fixed parameters and a 16 byte salt are valid");
            SecretString::from(hash.to_string())
        })
        .await
    }

    /// Whether the password is the one of the hash. Without a hash it does the same work and says no.
    pub async fn verify(&self, password: SecretString, hash: Option<SecretString>) -> Result<bool, HashError> {
        // Longer than any that was ever accepted: not worth the work, and no secret is told by that.
        if password.expose_secret().len() > MAX_CHARS * 8 {
            return Ok(false);
        }
        self.off_thread(move || {
            let known = hash.is_some();
            let phc = hash.as_ref().map_or(NOBODYS_HASH, ExposeSecret::expose_secret);
            let matches = PasswordHash::new(phc)
                .is_ok_and(|phc| argon2().verify_password(normal(&password).expose_secret().as_bytes(), &phc).is_ok());
            matches && known
        })
        .await
    }

    async fn off_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
        let _admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| HashError::Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| HashError::Busy)?;
        // The place is given back by the thread, not by the caller: a caller that goes away does not make room early.
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(running);
            result
        })
        .await
        .map_err(|_| HashError::Busy)
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.into()
    }

    #[test]
    fn the_policy_refuses_what_is_short_long_common_or_the_address_itself() {
        let check = |text: &str| check_policy(&secret(text), "ana.lima@example.com");
        assert_eq!(check("ninechars"), Err(PolicyError::TooShort));
        assert_eq!(check("äöüäöüäöüä"), Ok(()), "characters are counted, not bytes");
        assert_eq!(check("aaaaaaaaaaaa"), Err(PolicyError::TooCommon));
        assert_eq!(check("Password123"), Err(PolicyError::TooCommon));
        assert_eq!(check("Ana.Lima@example.com "), Err(PolicyError::IsEmail));
        assert_eq!(check(&"ab".repeat(100)), Ok(()));
        assert_eq!(check(&"abc".repeat(67)), Err(PolicyError::TooLong));
    }

    #[test]
    fn a_sign_in_without_an_account_costs_what_a_real_one_costs() {
        let nobody = PasswordHash::new(NOBODYS_HASH).unwrap();
        let real = argon2().hash_password_with_salt(b"any", b"sixteen byte sal").unwrap();
        assert_eq!(nobody.algorithm, real.algorithm);
        assert_eq!(nobody.version, real.version);
        assert_eq!(nobody.params, real.params);
        assert_eq!(nobody.hash.unwrap().as_ref().len(), real.hash.unwrap().as_ref().len());
    }

    #[tokio::test]
    async fn only_the_same_password_matches_and_no_hash_matches_nothing() {
        let passwords = Passwords::default();
        let hash = passwords.hash(secret("correct horse é"), &Entropy::seeded(1)).await.unwrap();
        assert!(hash.expose_secret().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let verify = |text: &str, hash: Option<&SecretString>| passwords.verify(secret(text), hash.cloned());
        assert_eq!(verify("correct horse é", Some(&hash)).await, Ok(true));
        assert_eq!(verify("correct horse e\u{301}", Some(&hash)).await, Ok(true), "another keyboard, same characters");
        assert_eq!(verify("correct horse e", Some(&hash)).await, Ok(false));
        assert_eq!(verify("correct horse é", None).await, Ok(false));
        assert_eq!(verify(&"x".repeat(100_000), Some(&hash)).await, Ok(false));
    }

    #[tokio::test]
    async fn a_burst_beyond_the_queue_is_turned_away_instead_of_piling_up() {
        let passwords = Passwords::default();
        let everyone = u32::try_from(AT_ONCE + WAITING).unwrap();
        let _all = Arc::clone(&passwords.admitted).try_acquire_many_owned(everyone).unwrap();
        assert_eq!(passwords.verify(secret("correct horse"), None).await, Err(HashError::Busy));
    }
}
