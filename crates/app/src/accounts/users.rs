//! The people. An address is stored trimmed and in lower case, so that one mailbox is one account.

use crate::flow::ingest::normalise;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: Uuid,
    pub email: Option<String>,
    pub name: String,
    pub created_at: OffsetDateTime,
}

pub struct NewUser<'a> {
    pub id: Uuid,
    /// As `normal_email` gives it.
    pub email: Option<&'a str>,
    /// As `normal_name` gives it.
    pub name: &'a str,
    pub password_hash: Option<SecretString>,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error("this e-mail address has an account already")]
    EmailTaken,
    #[error(transparent)]
    Database(sqlx::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Write the address as name@example.com, at most 254 characters.")]
pub struct InvalidEmail;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Write a name of 1 to 100 characters.")]
pub struct InvalidName;

/// The form in which an address is stored and looked up. Only what can never be an address is refused.
pub fn normal_email(text: &str) -> Result<String, InvalidEmail> {
    let email = text.trim().to_lowercase();
    let (local, domain) = email.rsplit_once('@').ok_or(InvalidEmail)?;
    let sane = |c: char| !c.is_whitespace() && !c.is_control();
    let local_ok = !local.is_empty() && local.len() <= 64 && !local.contains('@') && local.chars().all(sane);
    let labels_ok = domain.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    });
    if local_ok && labels_ok && email.len() <= 254 { Ok(email) } else { Err(InvalidEmail) }
}

/// A name of a person or a team: trimmed, inner white space collapsed, invisible signs dropped, no control characters.
pub fn normal_name(text: &str) -> Result<String, InvalidName> {
    let typed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = normalise::line(&typed, 101);
    let fits = (1..=100).contains(&name.chars().count()) && !typed.chars().any(char::is_control);
    if fits { Ok(name) } else { Err(InvalidName) }
}

pub async fn create(conn: &mut PgConnection, user: NewUser<'_>, now: OffsetDateTime) -> Result<User, CreateError> {
    sqlx::query!(
        "insert into users (id, email, name, password_hash, created_at, updated_at) values ($1, $2, $3, $4, $5, $5)",
        user.id,
        user.email,
        user.name,
        user.password_hash.as_ref().map(ExposeSecret::expose_secret),
        now
    )
    .execute(conn)
    .await
    .map_err(|error| match error.as_database_error().and_then(|db| db.constraint()) {
        Some("users_email_key") => CreateError::EmailTaken,
        _ => CreateError::Database(error),
    })?;
    Ok(User { id: user.id, email: user.email.map(str::to_owned), name: user.name.to_owned(), created_at: now })
}

pub async fn by_id(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(User, "select id, email, name, created_at from users where id = $1", id).fetch_optional(conn).await
}

/// `email` as `normal_email` gives it.
pub async fn by_email(conn: &mut PgConnection, email: &str) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(User, "select id, email, name, created_at from users where email = $1", email)
        .fetch_optional(conn)
        .await
}

/// The address that is known to be this person's, in its normal form: what an invitation is compared with. What somebody typed
/// into the open sign-up is not known.
pub async fn verified_email(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Option<String>> {
    let email =
        sqlx::query_scalar!("select verified_email from users where id = $1", user_id).fetch_optional(conn).await?;
    Ok(email.flatten())
}

/// From now on a built-in account's address counts as its owner's: an invitation or a link came to it, or the operator set it up.
pub async fn mark_verified(conn: &mut PgConnection, user_id: Uuid, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!(
        "update users set verified_email = email, email_verified_at = $2
        where id = $1 and clerk_id is null and verified_email is distinct from email",
        user_id,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Holds the person until the transaction ends, against a sign-in that is just being let in. Taken before any other row of theirs.
pub async fn hold(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("select id from users where id = $1 for no key update", user_id).fetch_optional(conn).await?;
    Ok(())
}

/// Keeps the ways in of a person as they are until the transaction ends. Taken before any other row of theirs.
pub async fn hold_ways_in(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("select id from users where id = $1 for share", user_id).fetch_optional(conn).await?;
    Ok(())
}

/// The same. False: the password that was checked is not theirs any more.
pub(super) async fn hold_password(
    conn: &mut PgConnection,
    user_id: Uuid,
    checked: &SecretString,
) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"select password_hash is not distinct from $2 as "same!" from users where id = $1 for share"#,
        user_id,
        checked.expose_secret()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some_and(|row| row.same))
}

/// The account of an address with its password hash, for the check at sign-in only.
pub(super) async fn with_password(
    conn: &mut PgConnection,
    email: &str,
) -> sqlx::Result<Option<(User, Option<SecretString>)>> {
    let row = sqlx::query!("select id, email, name, password_hash, created_at from users where email = $1", email)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|row| {
        let user = User { id: row.id, email: row.email, name: row.name, created_at: row.created_at };
        (user, row.password_hash.map(SecretString::from))
    }))
}

/// How a person gets in.
pub struct Door {
    pub name: String,
    pub email: Option<String>,
    /// None: another service signs the person in, or nothing does yet.
    pub password_hash: Option<SecretString>,
    pub by_clerk: bool,
}

pub async fn door(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Door>> {
    let row = sqlx::query!(
        r#"select name, email, password_hash, clerk_id is not null as "by_clerk!" from users where id = $1"#,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Door {
        name: row.name,
        email: row.email,
        password_hash: row.password_hash.map(SecretString::from),
        by_clerk: row.by_clerk,
    }))
}

/// Sets a new password in the place of the one that was checked. False: it is not that one any more.
pub async fn replace_password(
    conn: &mut PgConnection,
    user_id: Uuid,
    old_hash: &SecretString,
    new_hash: &SecretString,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update users set password_hash = $3, updated_at = $4 where id = $1 and password_hash = $2",
        user_id,
        old_hash.expose_secret(),
        new_hash.expose_secret(),
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets a new password; the caller ends the person's sessions (`sessions::delete_all_of`).
pub async fn set_password(
    conn: &mut PgConnection,
    user_id: Uuid,
    hash: &SecretString,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update users set password_hash = $2, updated_at = $3 where id = $1",
        user_id,
        hash.expose_secret(),
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether anybody has an account here.
pub async fn any(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from users) as "any!""#).fetch_one(conn).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_is_one_account_however_it_is_typed() {
        assert_eq!(normal_email("  Ana@Example.COM\n"), Ok("ana@example.com".to_owned()));
        assert_eq!(normal_email("ana+team@mail.example.com"), Ok("ana+team@mail.example.com".to_owned()));
        assert_eq!(normal_email("root@localhost"), Ok("root@localhost".to_owned()));
    }

    #[test]
    fn what_can_never_be_an_address_is_refused() {
        for text in ["", "ana", "@example.com", "ana@", "a b@example.com", "a@b@c.com", "ana@ex ample.com", "ana@.com"]
        {
            assert_eq!(normal_email(text), Err(InvalidEmail), "{text}");
        }
        assert_eq!(normal_email("ana@-example.com"), Err(InvalidEmail));
        assert_eq!(normal_email(&format!("{}@example.com", "a".repeat(65))), Err(InvalidEmail));
        assert_eq!(normal_email(&format!("ana@{}com", "example.".repeat(40))), Err(InvalidEmail));
    }

    #[test]
    fn a_name_is_one_visible_line() {
        assert_eq!(normal_name(" Ana \n Lima "), Ok("Ana Lima".to_owned()));
        assert_eq!(normal_name("  "), Err(InvalidName));
        assert_eq!(normal_name("Ana\u{7}"), Err(InvalidName));
        assert_eq!(normal_name("\u{0}"), Err(InvalidName));
        assert_eq!(normal_name("\u{200B}"), Err(InvalidName), "nobody would see it");
        assert_eq!(normal_name("A\u{202E}na"), Ok("Ana".to_owned()));
        assert_eq!(normal_name(&"ä".repeat(100)), Ok("ä".repeat(100)));
        assert_eq!(normal_name(&"a".repeat(101)), Err(InvalidName));
    }
}
