//! A new password for somebody who cannot sign in: by a link that comes by mail, or that the operator's command prints.
//!
//! What always holds: a link lives one hour and works once; the database has its hash only; an operator's
//! newer link replaces the older, while links by mail stand beside each other, so that who asks in another's name takes nothing away; a new password ends all sessions and asks for the second factor as before. Whether an address has an account is told to
//! nobody: for an unknown one the same job is queued, which then finds nobody. Only this file writes `password_resets`.

use super::mails::{self, Mail, PostError};
use super::passwords::{self, HashError, PolicyError};
use super::{second_steps, security, sessions, token_hash, users};
use crate::app::App;
use crate::clock::Moment;
use crate::flow::activity::{Actor, Kind};
use crate::jobs::{self, State};
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

pub const LIFETIME: time::Duration = time::Duration::hours(1);

/// Who asked for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    Forgot,
    Operator,
}

impl AskedBy {
    fn as_str(self) -> &'static str {
        match self {
            Self::Forgot => "forgot",
            Self::Operator => "operator",
        }
    }
}

/// Why a link does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    #[error("This link is not known, or a password was set since it was made. Ask for a new one.")]
    Unknown,
    #[error("This link was used already.")]
    Used,
    #[error("This link is older than one hour.")]
    Late,
}

#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    #[error(transparent)]
    Link(#[from] LinkFault),
    #[error(transparent)]
    Password(#[from] PolicyError),
    #[error("too many passwords are being hashed at once")]
    Busy,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes a link's token. Of the operator's links the newest works; those by mail all do until one is used, and how many are mailed is
/// limited (`http/limits`).
pub async fn make(
    conn: &mut PgConnection,
    moment: &Moment,
    user_id: Uuid,
    asked_by: AskedBy,
) -> sqlx::Result<SecretString> {
    if asked_by == AskedBy::Operator {
        sqlx::query!(
            "delete from password_resets where user_id = $1 and asked_by = $2 and used_at is null",
            user_id,
            asked_by.as_str()
        )
        .execute(&mut *conn)
        .await?;
    }
    let token = moment.entropy().token(32);
    sqlx::query!(
        "insert into password_resets (id, user_id, token_hash, asked_by, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6)",
        moment.id(),
        user_id,
        &token_hash(&token)[..],
        asked_by.as_str(),
        moment.now,
        moment.now + LIFETIME
    )
    .execute(conn)
    .await?;
    Ok(token.into())
}

/// Where a person sets the password.
pub fn link(public_url: &Url, token: &SecretString) -> SecretString {
    let mut url = public_url.clone();
    url.set_path("/reset");
    url.query_pairs_mut().append_pair("token", token.expose_secret());
    SecretString::from(String::from(url))
}

/// Whether a link works now, for showing its form. Gives the person.
pub async fn check(conn: &mut PgConnection, token: &str, now: OffsetDateTime) -> Result<Uuid, RedeemError> {
    let link = sqlx::query!(
        r#"select user_id, used_at is not null as "used!", expires_at <= $2 as "late!"
        from password_resets where token_hash = $1 for update"#,
        &token_hash(token)[..],
        now
    )
    .fetch_optional(conn)
    .await?
    .ok_or(LinkFault::Unknown)?;
    match (link.used, link.late) {
        (true, _) => Err(LinkFault::Used.into()),
        (_, true) => Err(LinkFault::Late.into()),
        _ => Ok(link.user_id),
    }
}

/// Sets the password and spends the link. It is hashed before the transaction starts, and only for a link that works.
pub async fn redeem(
    app: &App,
    moment: &Moment,
    token: &str,
    password: SecretString,
) -> Result<users::User, RedeemError> {
    let user = {
        let mut conn = app.db.acquire().await?;
        let user_id = check(&mut conn, token, moment.now).await?;
        users::by_id(&mut conn, user_id).await?.ok_or(LinkFault::Unknown)?
    };
    passwords::check_policy(&password, user.email.as_deref().unwrap_or_default())?;
    let hash = app.passwords.hash(password, moment.entropy()).await.map_err(|HashError::Busy| RedeemError::Busy)?;
    let mut tx = app.db.begin().await?;
    users::hold(&mut tx, user.id).await?;
    check(&mut tx, token, moment.now).await?;
    sqlx::query!("update password_resets set used_at = $2 where token_hash = $1", &token_hash(token)[..], moment.now)
        .execute(&mut *tx)
        .await?;
    forget_all_of(&mut tx, user.id).await?;
    users::set_password(&mut tx, user.id, &hash, moment.now).await?;
    // The link came to the address, or the operator handed it to its owner.
    users::mark_verified(&mut tx, user.id, moment.now).await?;
    second_steps::delete_all_of(&mut tx, user.id).await?;
    let ended = sessions::delete_all_of(&mut tx, user.id).await?;
    let actor: Actor = Some(user.id);
    let payload = json!({ "sessions_ended": ended });
    security::record(&mut tx, moment, user.id, actor, Kind::AccountPasswordReset, payload).await?;
    tx.commit().await?;
    Ok(user)
}

/// The links that are still unused: after a new password none of them opens the door.
pub async fn forget_all_of(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from password_resets where user_id = $1 and used_at is null", user_id).execute(conn).await?;
    Ok(())
}

/// Those that nobody will ask about any more.
pub async fn delete_old(conn: &mut PgConnection, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!("delete from password_resets where expires_at < $1", now - time::Duration::days(7))
        .execute(conn)
        .await?;
    Ok(())
}

/// Somebody asks for a link to this address. Does the same, and takes as long, whether it has an account or not.
pub async fn forgot(conn: &mut PgConnection, moment: &Moment, email: &str) -> sqlx::Result<()> {
    let found = match users::normal_email(email) {
        Ok(email) => users::by_email(conn, &email).await?.map(|user| user.id),
        Err(_) => None,
    };
    let user_id = found.unwrap_or_else(|| moment.id());
    jobs::enqueue(conn, &PasswordForgot { user_id }, moment.now).await?;
    Ok(())
}

/// Makes the link and its mail, where the person exists and has a password here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PasswordForgot {
    pub user_id: Uuid,
}

#[async_trait]
impl Job<State> for PasswordForgot {
    const NAME: &'static str = "account.forgot";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 5;
    const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
    /// A person waits for it.
    const PRIORITY: i16 = -1;

    fn key(&self) -> Option<String> {
        Some(format!("forgot:{}", self.user_id))
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let app = &state.app;
        let moment = Moment::at(ctx.now, &app.entropy);
        let mut tx = app.db.begin().await?;
        let Some(door) = users::door(&mut tx, self.user_id).await? else { return Ok(()) };
        // Whom Clerk signs in has no password here; a link must not open a second door.
        let (Some(email), false) = (door.email, door.by_clerk) else { return Ok(()) };
        let token = make(&mut tx, &moment, self.user_id, AskedBy::Forgot).await?;
        let mail = mail(email, &door.name, &link(&app.config.public_url, &token));
        mails::post(&mut tx, app, &moment, &mail).await.map_err(|error| match error {
            PostError::Database(error) => error.into(),
            PostError::Seal(error) => JobError::Permanent(error.to_string()),
        })?;
        tx.commit().await?;
        Ok(())
    }
}

fn mail(to: String, name: &str, link: &SecretString) -> Mail {
    Mail {
        to,
        subject: "A new password for Rejoinder".to_owned(),
        text: format!(
            "Hello {name},\n\nsomebody asked for a new password for your account. This link lets you set one; it works once, \
            for one hour:\n\n{}\n\nIf it was not you, do nothing: your password stays as it is.\n",
            link.expose_secret()
        ),
    }
}
