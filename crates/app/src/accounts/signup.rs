//! Signing up without an invitation, where `SIGNUP=open` allows it: an account of its own and a first team, in one transaction.

use super::passwords::{self, HashError, Passwords, PolicyError};
use super::sessions::{self, NewSession};
use super::teams::{self, NewTeam};
use super::users::{self, CreateError, InvalidEmail, InvalidName, NewUser};
use crate::clock::Moment;
use secrecy::SecretString;
use sqlx::PgPool;

/// What a person fills in, as it came.
pub struct SignUp {
    pub name: String,
    pub email: String,
    pub password: SecretString,
    pub team_name: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    #[error("name: {0}")]
    Name(InvalidName),
    #[error("team_name: {0}")]
    TeamName(InvalidName),
    #[error("email: {0}")]
    Email(#[from] InvalidEmail),
    #[error("password: {0}")]
    Password(#[from] PolicyError),
    #[error("This address has an account already. Sign in instead.")]
    Taken,
    #[error("too many passwords are being hashed at once")]
    Busy,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// All or nothing. The caller has looked whether the server takes strangers, and how often this one came.
pub async fn sign_up(
    db: &PgPool,
    passwords: &Passwords,
    moment: &Moment,
    form: SignUp,
) -> Result<NewSession, SignUpError> {
    let name = users::normal_name(&form.name).map_err(SignUpError::Name)?;
    let email = users::normal_email(&form.email)?;
    passwords::check_policy(&form.password, &email)?;
    let team_name = users::normal_name(&form.team_name).map_err(SignUpError::TeamName)?;
    let hash = passwords.hash(form.password, moment.entropy()).await.map_err(|HashError::Busy| SignUpError::Busy)?;

    let mut tx = db.begin().await?;
    let (user_id, team_id) = (moment.id(), moment.id());
    let user = NewUser { id: user_id, email: Some(&email), name: &name, password_hash: Some(hash) };
    users::create(&mut tx, user, moment.now).await.map_err(|error| match error {
        CreateError::EmailTaken => SignUpError::Taken,
        CreateError::Database(error) => SignUpError::Database(error),
    })?;
    let team = NewTeam { id: team_id, member_id: moment.id(), owner_user_id: user_id, name: &team_name };
    teams::create(&mut tx, team, moment.now).await?;
    teams::record_created(&mut tx, moment, team_id, user_id, &team_name).await?;
    let session = sessions::create(&mut tx, user_id, moment.now, moment.entropy()).await?;
    tx.commit().await?;
    Ok(session)
}
