//! People: their accounts, teams, sessions and how the first one gets in.
//!
//! Passwords are hashed off the async threads and few at a time; tokens stand in the database as hashes only. Signing in
//! answers alike, and after the same work, for an unknown address and for a wrong password. Attempts are limited by the
//! caller (`http/limits`), not here. Only this folder writes `users`, `teams`, `team_members`, `team_settings`, `integrations`,
//! `sessions`, `setup_links`, `invitations`, `mails`, `oauth_states`, `pending_connections`.

pub mod access;
pub mod clerk;
pub mod connect;
pub mod integrations;
pub mod invitations;
pub mod mails;
pub mod members;
pub mod passwords;
pub mod sessions;
pub mod setup;
pub mod signup;
pub mod team_settings;
pub mod teams;
pub mod tokens;
pub mod users;

use passwords::{HashError, Passwords};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

/// What stands in the database for a token that its bearer holds.
pub fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown address, no password set, or a wrong one: the caller must not tell which.
    #[error("e-mail address or password is wrong")]
    Wrong,
    #[error("too many passwords are being checked at once")]
    Busy,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Checks an e-mail address with its password. Holds no connection while it hashes.
pub async fn check_password(
    db: &PgPool,
    passwords: &Passwords,
    email: &str,
    password: SecretString,
) -> Result<users::User, SignInError> {
    let found = match users::normal_email(email) {
        Ok(email) => users::with_password(&mut *db.acquire().await?, &email).await?,
        Err(_) => None,
    };
    let (user, hash) = match found {
        Some((user, hash)) => (Some(user), hash),
        None => (None, None),
    };
    let good = match passwords.verify(password, hash).await {
        Ok(good) => good,
        Err(HashError::Busy) => return Err(SignInError::Busy),
    };
    user.filter(|_| good).ok_or(SignInError::Wrong)
}
