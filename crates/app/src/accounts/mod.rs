//! People: their accounts, teams, sessions and how the first one gets in.
//!
//! Passwords are hashed off the async threads and few at a time; tokens stand in the database as hashes only. Signing in
//! answers alike, and after the same work, for an unknown address and for a wrong password. Attempts are limited by the
//! caller (`http/limits`), not here. Only this folder writes `users`, `teams`, `team_members`, `team_settings`, `integrations`,
//! `sessions`, `setup_links`, `invitations`, `mails`, `oauth_states`, `pending_connections`, `password_resets`, `totp_secrets`,
//! `recovery_codes`, `second_steps`, `platform_apps`, `api_tokens`, `event_tickets`, `webhook_subscriptions`.

pub mod access;
pub mod api_tokens;
pub mod clerk;
pub mod connect;
mod departure;
pub mod device;
pub mod event_tickets;
pub mod integrations;
pub mod invitations;
pub mod mails;
pub mod members;
pub mod operator;
pub mod password_change;
pub mod password_resets;
pub mod passwords;
pub mod platform_apps;
pub mod second_factor;
pub mod second_steps;
pub mod security;
pub mod sessions;
pub mod setup;
pub mod signup;
pub mod subscriptions;
pub mod team_settings;
pub mod teams;
pub mod tokens;
pub mod totp;
pub mod users;

use crate::clock::Moment;
use passwords::{HashError, Passwords};
use secrecy::SecretString;
use sessions::NewSession;
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

/// Somebody whose password was right when it was checked.
pub struct Checked {
    pub user: users::User,
    /// The one that it matched.
    password_hash: SecretString,
}

/// What the right password opens.
#[derive(Debug)]
pub enum LetIn {
    Session(NewSession),
    /// The token for the cookie of the second step.
    SecondStep(SecretString),
}

/// Checks an e-mail address with its password. Holds no connection while it hashes.
pub async fn check_password(
    db: &PgPool,
    passwords: &Passwords,
    email: &str,
    password: SecretString,
) -> Result<Checked, SignInError> {
    let found = match users::normal_email(email) {
        Ok(email) => users::with_password(&mut *db.acquire().await?, &email).await?,
        Err(_) => None,
    };
    let (user, hash) = match found {
        Some((user, hash)) => (Some(user), hash),
        None => (None, None),
    };
    let matched = hash.clone();
    let good = match passwords.verify(password, hash).await {
        Ok(good) => good,
        Err(HashError::Busy) => return Err(SignInError::Busy),
    };
    match (user, matched) {
        (Some(user), Some(password_hash)) if good => Ok(Checked { user, password_hash }),
        _ => Err(SignInError::Wrong),
    }
}

/// Lets somebody in whose password was right a moment ago, or on to the second step. None: the password is not theirs any more.
/// Hashing takes its time, and a password set meanwhile ends what the old one opens.
pub async fn let_in(db: &PgPool, moment: &Moment, checked: &Checked, device: &str) -> sqlx::Result<Option<LetIn>> {
    let user_id = checked.user.id;
    let mut tx = db.begin().await?;
    if !users::hold_password(&mut tx, user_id, &checked.password_hash).await? {
        return Ok(None);
    }
    let let_in = if second_factor::is_on(&mut tx, user_id).await? {
        LetIn::SecondStep(second_steps::open(&mut tx, moment, user_id).await?)
    } else {
        let new = sessions::create(&mut tx, user_id, moment.now, moment.entropy()).await?;
        sessions::remember_device(&mut tx, new.id, device).await?;
        LetIn::Session(new)
    };
    tx.commit().await?;
    Ok(Some(let_in))
}
