//! A person who is signed in sets another password. The current one is asked for, and every other session ends with it.

use super::passwords::{self, HashError, PolicyError};
use super::{second_steps, security, sessions, users};
use crate::app::App;
use crate::clock::Moment;
use crate::flow::activity::Kind;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;

/// Why a password was not taken as proof that it is the account's owner who acts.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    #[error("the password is wrong")]
    Wrong,
    /// Somebody whom another service signs in, or the demo's.
    #[error("the account has no password")]
    NoPassword,
    #[error("too many passwords are being checked at once")]
    Busy,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Confirm(#[from] ConfirmError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("This is your password already. Choose another.")]
    Same,
    /// Somebody else of the same account was quicker.
    #[error("the password was changed meanwhile")]
    Meanwhile,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<HashError> for ConfirmError {
    fn from(HashError::Busy: HashError) -> Self {
        Self::Busy
    }
}

impl From<HashError> for ChangeError {
    fn from(error: HashError) -> Self {
        Self::Confirm(error.into())
    }
}

/// Checks the password of somebody who is signed in. Holds no connection while it hashes. Gives the hash that it matched.
pub async fn confirm(app: &App, user_id: Uuid, password: SecretString) -> Result<SecretString, ConfirmError> {
    let door = users::door(&mut *app.db.acquire().await?, user_id).await?.ok_or(ConfirmError::NoPassword)?;
    let hash = door.password_hash.ok_or(ConfirmError::NoPassword)?;
    if app.passwords.verify(password, Some(hash.clone())).await? { Ok(hash) } else { Err(ConfirmError::Wrong) }
}

/// Sets the new password and ends all sessions but `session_id`. Says how many ended.
pub async fn change(
    app: &App,
    moment: &Moment,
    (user_id, session_id): (Uuid, Uuid),
    current: SecretString,
    new: SecretString,
) -> Result<u64, ChangeError> {
    let email = users::by_id(&mut *app.db.acquire().await?, user_id).await?.and_then(|user| user.email);
    passwords::check_policy(&new, email.as_deref().unwrap_or_default())?;
    let old_hash = confirm(app, user_id, current.clone()).await?;
    if current.expose_secret() == new.expose_secret() {
        return Err(ChangeError::Same);
    }
    let new_hash = app.passwords.hash(new, moment.entropy()).await?;
    let mut tx = app.db.begin().await?;
    if !users::replace_password(&mut tx, user_id, &old_hash, &new_hash, moment.now).await? {
        return Err(ChangeError::Meanwhile);
    }
    second_steps::delete_all_of(&mut tx, user_id).await?;
    let ended = sessions::delete_others(&mut tx, user_id, session_id).await?;
    super::password_resets::forget_all_of(&mut tx, user_id).await?;
    let payload = json!({ "sessions_ended": ended });
    security::record(&mut tx, moment, user_id, Some(user_id), Kind::AccountPasswordChanged, payload).await?;
    tx.commit().await?;
    Ok(ended)
}
