//! What a person changes about the door of their own account: the same for the API and for the page. Wrong tries are limited per
//! person, since a session may be in the wrong hands; what was right clears the count.

use super::auth::SignedInPerson;
use super::limits;
use crate::accounts::password_change::{self, ChangeError, ConfirmError};
use crate::accounts::second_factor::{self, Enrolment, FactorError};
use crate::accounts::users;
use crate::app::App;
use crate::error::Problem;
use crate::flow::activity::Actor;
use secrecy::SecretString;

pub const CURRENT_PASSWORD: &str = "current_password";
pub const NEW_PASSWORD: &str = "new_password";
pub const PASSWORD: &str = "password";
pub const CODE: &str = "code";

/// Says how many other sessions ended.
pub async fn change_password(
    app: &App,
    person: SignedInPerson,
    current: SecretString,
    new: SecretString,
) -> Result<u64, Problem> {
    count(app, person).await?;
    let who = (person.user_id, person.session_id);
    let ended = match password_change::change(app, &app.moment(), who, current, new).await {
        Ok(ended) => ended,
        Err(ChangeError::Confirm(error)) => return Err(not_confirmed(error, CURRENT_PASSWORD)),
        Err(error @ (ChangeError::Policy(_) | ChangeError::Same)) => {
            return Err(Problem::field(NEW_PASSWORD, error.to_string()));
        }
        Err(ChangeError::Meanwhile) => {
            let told = "The password was changed from somewhere else meanwhile. Sign in with the newer one.";
            return Err(Problem::conflict("changed-meanwhile", told));
        }
        Err(ChangeError::Database(error)) => return Err(error.into()),
    };
    limits::confirmed(&mut *app.db.acquire().await?, person.user_id).await?;
    Ok(ended)
}

/// A new secret for the authenticator app.
pub async fn begin_totp(app: &App, person: SignedInPerson, password: SecretString) -> Result<Enrolment, Problem> {
    count(app, person).await?;
    confirm(app, person, password).await?;
    let email = email(app, person).await?;
    let mut tx = app.db.begin().await?;
    let begun = second_factor::begin(&mut tx, app, &app.moment(), person.user_id, &email).await;
    let begun = begun.map_err(factor_problem)?;
    tx.commit().await?;
    limits::confirmed(&mut *app.db.acquire().await?, person.user_id).await?;
    Ok(begun)
}

/// The secret that waits for its first code.
pub async fn pending_totp(app: &App, person: SignedInPerson) -> Result<Option<Enrolment>, Problem> {
    let email = email(app, person).await?;
    let mut conn = app.db.acquire().await?;
    second_factor::pending(&mut conn, app, person.user_id, &email).await.map_err(factor_problem)
}

/// Turns the second factor on; gives the recovery codes.
pub async fn confirm_totp(app: &App, person: SignedInPerson, code: &str) -> Result<Vec<SecretString>, Problem> {
    count(app, person).await?;
    let mut tx = app.db.begin().await?;
    let confirmed = second_factor::confirm(&mut tx, app, &app.moment(), person.user_id, code).await;
    let codes = confirmed.map_err(factor_problem)?;
    limits::confirmed(&mut tx, person.user_id).await?;
    tx.commit().await?;
    Ok(codes)
}

/// Turns it off; needs both factors once more.
pub async fn end_totp(app: &App, person: SignedInPerson, password: SecretString, code: &str) -> Result<(), Problem> {
    count(app, person).await?;
    confirm(app, person, password).await?;
    // The same count as at sign-in, which no right password clears.
    limits::count_code(&mut *app.db.acquire().await?, person.user_id, app.clock.now()).await?;
    let moment = app.moment();
    let actor: Actor = Some(person.user_id);
    let mut tx = app.db.begin().await?;
    second_factor::take(&mut tx, app, &moment, person.user_id, code).await.map_err(factor_problem)?;
    second_factor::remove(&mut tx, &moment, person.user_id, actor).await?;
    limits::code_was_right(&mut tx, person.user_id).await?;
    limits::confirmed(&mut tx, person.user_id).await?;
    tx.commit().await?;
    Ok(())
}

async fn count(app: &App, person: SignedInPerson) -> Result<(), Problem> {
    limits::count_confirmation(&mut *app.db.acquire().await?, person.user_id, app.clock.now()).await
}

async fn confirm(app: &App, person: SignedInPerson, password: SecretString) -> Result<(), Problem> {
    match password_change::confirm(app, person.user_id, password).await {
        Ok(_) => Ok(()),
        Err(error) => Err(not_confirmed(error, PASSWORD)),
    }
}

async fn email(app: &App, person: SignedInPerson) -> Result<String, Problem> {
    let user = users::by_id(&mut *app.db.acquire().await?, person.user_id).await?;
    Ok(user.map(|user| user.email.unwrap_or(user.name)).unwrap_or_default())
}

fn not_confirmed(error: ConfirmError, field: &'static str) -> Problem {
    match error {
        ConfirmError::Wrong => Problem::field(field, "This is not your password."),
        ConfirmError::NoPassword => Problem::conflict(
            "no-password",
            "This account has no password here: another service signs you in, or the link of the demo did.",
        ),
        ConfirmError::Busy => Problem::unavailable("Too many passwords are being checked at once. Try again."),
        ConfirmError::Database(error) => error.into(),
    }
}

fn factor_problem(error: FactorError) -> Problem {
    match error {
        FactorError::Wrong => {
            Problem::field(CODE, "This code is wrong, too old or was used already. Wait for the next one.")
        }
        FactorError::AlreadyOn => Problem::conflict("totp-on", "The second step is on already. Turn it off first."),
        FactorError::NotThere => {
            Problem::conflict("totp-off", "The second step is not being set up. Begin with your password.")
        }
        FactorError::Seal(error) => Problem::internal(&error),
        FactorError::Database(error) => error.into(),
    }
}
