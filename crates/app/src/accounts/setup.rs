//! The one-time links: `first_admin` makes the first account of an installation, `sign_in` opens the dashboard of the demo.
//!
//! A link is printed once and stored as a hash; it works once, for 24 hours. A new start without any account replaces the link
//! of the one before, so the last printed line is the one that works. Two browsers with one link, or two processes that start
//! together, meet at a lock: exactly one makes the first account.

use super::passwords::{HashError, Passwords, PolicyError};
use super::sessions::{self, NewSession};
use super::teams::{self, NewTeam};
use super::token_hash;
use super::users::{self, CreateError, InvalidEmail, InvalidName, NewUser};
use crate::clock::Entropy;
use secrecy::SecretString;
use sqlx::{Connection, PgConnection, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub const LINK_LIFETIME: Duration = Duration::hours(24);

/// Key of the advisory lock under which the first account and its link are made.
const FIRST_ADMIN_LOCK: i64 = 0x7265_6a6f_6669_7273;

/// Why a link does not work; each has its own page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    #[error("This link is not known. The last start of the server printed the one that works.")]
    Unknown,
    #[error("This link was used already. Sign in instead.")]
    Used,
    #[error("This link is older than 24 hours. Restart the server to get a new one.")]
    Late,
    #[error("This installation has its first account already. Sign in instead.")]
    AlreadyDone,
}

#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    #[error(transparent)]
    Link(#[from] LinkFault),
    #[error("name: {0}")]
    Name(InvalidName),
    #[error("team_name: {0}")]
    TeamName(InvalidName),
    #[error("email: {0}")]
    Email(#[from] InvalidEmail),
    #[error("password: {0}")]
    Password(#[from] PolicyError),
    #[error("too many passwords are being hashed at once")]
    Busy,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What a person fills in to become the first admin, as it came.
pub struct FirstAdmin {
    pub name: String,
    pub email: String,
    pub password: SecretString,
    pub team_name: String,
}

#[derive(Debug)]
pub struct Redeemed {
    pub user_id: Uuid,
    pub team_id: Uuid,
    pub session: NewSession,
}

/// The token of a fresh first-admin link while there is no account, else None.
pub async fn ensure_setup_link(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    entropy: &Entropy,
) -> sqlx::Result<Option<SecretString>> {
    let mut tx = conn.begin().await?;
    lock_first_admin(&mut tx).await?;
    if users::any(&mut tx).await? {
        return Ok(None);
    }
    sqlx::query!("delete from setup_links where purpose = 'first_admin' and used_at is null").execute(&mut *tx).await?;
    let token = insert_link(&mut tx, "first_admin", None, now, entropy).await?;
    tx.commit().await?;
    Ok(Some(token))
}

/// Whether a first-admin link works now, for showing its form.
pub async fn check_first_admin(conn: &mut PgConnection, token: &str, now: OffsetDateTime) -> Result<(), RedeemError> {
    let link = sqlx::query!(
        r#"select used_at is not null as "used!", expires_at <= $2 as "late!",
            exists (select from users) as "done!"
        from setup_links where token_hash = $1 and purpose = 'first_admin'"#,
        &token_hash(token)[..],
        now
    )
    .fetch_optional(conn)
    .await?
    .ok_or(LinkFault::Unknown)?;
    Ok(judge(link.used, link.late, link.done)?)
}

fn judge(used: bool, late: bool, done: bool) -> Result<(), LinkFault> {
    match (used, done, late) {
        (true, _, _) => Err(LinkFault::Used),
        (_, true, _) => Err(LinkFault::AlreadyDone),
        (_, _, true) => Err(LinkFault::Late),
        _ => Ok(()),
    }
}

/// Makes the first account, its team and a session, and spends the link: all or nothing. The password is hashed before the
/// transaction starts, and only for a link that works.
pub async fn redeem_first_admin(
    db: &PgPool,
    passwords: &Passwords,
    token: &str,
    form: FirstAdmin,
    now: OffsetDateTime,
    entropy: &Entropy,
) -> Result<Redeemed, RedeemError> {
    let name = users::normal_name(&form.name).map_err(RedeemError::Name)?;
    let email = users::normal_email(&form.email)?;
    super::passwords::check_policy(&form.password, &email)?;
    let team_name = users::normal_name(&form.team_name).map_err(RedeemError::TeamName)?;
    check_first_admin(&mut *db.acquire().await?, token, now).await?;
    let password_hash = passwords.hash(form.password, entropy).await.map_err(|HashError::Busy| RedeemError::Busy)?;

    let mut tx = db.begin().await?;
    lock_first_admin(&mut tx).await?;
    check_first_admin(&mut tx, token, now).await?;
    sqlx::query!("update setup_links set used_at = $2 where token_hash = $1", &token_hash(token)[..], now)
        .execute(&mut *tx)
        .await?;
    let user_id = entropy.uuid_v7(now);
    let user = NewUser { id: user_id, email: Some(&email), name: &name, password_hash: Some(password_hash) };
    users::create(&mut tx, user, now).await.map_err(|error| match error {
        // Whoever came in beside the lock: the address can only belong to an account made meanwhile.
        CreateError::EmailTaken => RedeemError::Link(LinkFault::AlreadyDone),
        CreateError::Database(error) => RedeemError::Database(error),
    })?;
    users::mark_verified(&mut tx, user_id, now).await?;
    let team_id = entropy.uuid_v7(now);
    let team = NewTeam { id: team_id, member_id: entropy.uuid_v7(now), owner_user_id: user_id, name: &team_name };
    teams::create(&mut tx, team, now).await?;
    let session = sessions::create(&mut tx, user_id, now, entropy).await?;
    tx.commit().await?;
    Ok(Redeemed { user_id, team_id, session })
}

/// A link that signs one person in once: the demo prints one at each start.
pub async fn sign_in_link(
    conn: &mut PgConnection,
    user_id: Uuid,
    now: OffsetDateTime,
    entropy: &Entropy,
) -> sqlx::Result<SecretString> {
    insert_link(conn, "sign_in", Some(user_id), now, entropy).await
}

/// Spends a sign-in link and opens a session, in one transaction.
pub async fn redeem_sign_in(
    db: &PgPool,
    token: &str,
    now: OffsetDateTime,
    entropy: &Entropy,
) -> Result<NewSession, RedeemError> {
    let mut tx = db.begin().await?;
    let link = sqlx::query!(
        r#"select id, user_id, used_at is not null as "used!", expires_at <= $2 as "late!"
        from setup_links where token_hash = $1 and purpose = 'sign_in' for update"#,
        &token_hash(token)[..],
        now
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or(LinkFault::Unknown)?;
    judge(link.used, link.late, false)?;
    let user_id = link.user_id.ok_or(LinkFault::Unknown)?;
    sqlx::query!("update setup_links set used_at = $2 where id = $1", link.id, now).execute(&mut *tx).await?;
    let session = sessions::create(&mut tx, user_id, now, entropy).await?;
    tx.commit().await?;
    Ok(session)
}

/// Held to the end of the transaction.
async fn lock_first_admin(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock($1)", FIRST_ADMIN_LOCK).execute(conn).await?;
    Ok(())
}

async fn insert_link(
    conn: &mut PgConnection,
    purpose: &str,
    user_id: Option<Uuid>,
    now: OffsetDateTime,
    entropy: &Entropy,
) -> sqlx::Result<SecretString> {
    let token = entropy.token(32);
    sqlx::query!(
        "insert into setup_links (id, token_hash, purpose, user_id, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6)",
        entropy.uuid_v7(now),
        &token_hash(&token)[..],
        purpose,
        user_id,
        now,
        now + LINK_LIFETIME
    )
    .execute(conn)
    .await?;
    Ok(token.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_the_most_helpful_reason_why_it_does_not_work() {
        assert_eq!(judge(false, false, false), Ok(()));
        assert_eq!(judge(true, true, true), Err(LinkFault::Used));
        assert_eq!(judge(false, true, true), Err(LinkFault::AlreadyDone));
        assert_eq!(judge(false, true, false), Err(LinkFault::Late));
    }
}
