//! The second factor: an authenticator app, and ten recovery codes for the day on which it is lost.
//!
//! What always holds: the secret is sealed for its row; signing in asks for it only after a first code has shown that the app has it;
//! a code is taken once, and none older than the last one taken; a recovery code is stored as a hash and taken once. How often one
//! may guess is the caller's to limit (`http/limits`). Only this file writes `totp_secrets` and `recovery_codes`.

use super::security;
use super::totp;
use crate::app::App;
use crate::clock::Moment;
use crate::flow::activity::{Actor, Kind};
use crate::secrets::{Place, SealError};
use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub const RECOVERY_CODES: usize = 10;
const SECRET_BYTES: usize = 20;
const CODE_BYTES: usize = 10;

/// How the second factor of a person stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Since when signing in asks for a code; None: it does not.
    pub on_since: Option<OffsetDateTime>,
    pub recovery_codes_left: i64,
}

/// What the app needs to know; shown to its owner and to nobody else.
pub struct Enrolment {
    /// Base32, to be typed.
    pub secret: SecretString,
    /// `otpauth:`, for the picture.
    pub address: SecretString,
}

/// What a person showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    AppCode,
    RecoveryCode { left: i64 },
}

#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// Mistyped, too old, or taken already.
    #[error("the code is wrong")]
    Wrong,
    #[error("the second factor is on already")]
    AlreadyOn,
    /// Nothing to confirm, or nothing to turn off.
    #[error("the second factor is not being set up")]
    NotThere,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

pub async fn status(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Status> {
    sqlx::query_as!(
        Status,
        r#"select
            (select confirmed_at from totp_secrets where user_id = $1) as on_since,
            (select count(*) from recovery_codes where user_id = $1 and used_at is null) as "recovery_codes_left!""#,
        user_id
    )
    .fetch_one(conn)
    .await
}

/// Whether signing in asks for a code.
pub async fn is_on(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<bool> {
    Ok(status(conn, user_id).await?.on_since.is_some())
}

/// Makes a new secret for the app; an older one that was never confirmed is forgotten.
pub async fn begin(
    conn: &mut PgConnection,
    app: &App,
    moment: &Moment,
    user_id: Uuid,
    email: &str,
) -> Result<Enrolment, FactorError> {
    let secret = SecretString::from(totp::base32(&moment.entropy().bytes::<SECRET_BYTES>()));
    let sealed = app.keyring.seal(conn, moment.now, moment.entropy(), place(user_id), &secret).await?;
    let done = sqlx::query!(
        "insert into totp_secrets as t (user_id, secret, created_at) values ($1, $2, $3)
        on conflict (user_id) do update set secret = excluded.secret, created_at = excluded.created_at, last_step = null
        where t.confirmed_at is null",
        user_id,
        sealed,
        moment.now
    )
    .execute(conn)
    .await?;
    if done.rows_affected() == 0 {
        return Err(FactorError::AlreadyOn);
    }
    Ok(enrolment(app, secret, email))
}

/// The secret that waits for its first code, to be shown again beside a code that was wrong.
pub async fn pending(
    conn: &mut PgConnection,
    app: &App,
    user_id: Uuid,
    email: &str,
) -> Result<Option<Enrolment>, FactorError> {
    let row =
        sqlx::query_scalar!("select secret from totp_secrets where user_id = $1 and confirmed_at is null", user_id)
            .fetch_optional(&mut *conn)
            .await?;
    let Some(sealed) = row else { return Ok(None) };
    let secret = app.keyring.open(conn, place(user_id), &sealed).await?;
    Ok(Some(enrolment(app, secret, email)))
}

fn enrolment(app: &App, secret: SecretString, email: &str) -> Enrolment {
    let issuer = match app.config.public_url.host_str() {
        Some("localhost" | "127.0.0.1") | None => "Rejoinder".to_owned(),
        Some(host) => format!("Rejoinder {host}"),
    };
    let address = totp::address(&secret, &issuer, email);
    Enrolment { secret, address }
}

/// The first code: from now on signing in asks for one. Gives the recovery codes, which are known at no other moment.
/// In a transaction of the caller.
pub async fn confirm(
    conn: &mut PgConnection,
    app: &App,
    moment: &Moment,
    user_id: Uuid,
    typed: &str,
) -> Result<Vec<SecretString>, FactorError> {
    let row = sqlx::query!("select secret, confirmed_at from totp_secrets where user_id = $1 for update", user_id)
        .fetch_optional(&mut *conn)
        .await?
        .ok_or(FactorError::NotThere)?;
    if row.confirmed_at.is_some() {
        return Err(FactorError::AlreadyOn);
    }
    let secret = app.keyring.open(conn, place(user_id), &row.secret).await?;
    let step = totp::matching_step(&secret, &plain(typed), moment.now, None).ok_or(FactorError::Wrong)?;
    sqlx::query!(
        "update totp_secrets set confirmed_at = $2, last_step = $3 where user_id = $1",
        user_id,
        moment.now,
        step
    )
    .execute(&mut *conn)
    .await?;
    let codes = renew_recovery_codes(conn, moment, user_id).await?;
    security::record(conn, moment, user_id, Some(user_id), Kind::AccountTotpOn, json!({})).await?;
    Ok(codes)
}

/// Ten new ones; the old ones open nothing any more.
async fn renew_recovery_codes(
    conn: &mut PgConnection,
    moment: &Moment,
    user_id: Uuid,
) -> sqlx::Result<Vec<SecretString>> {
    let codes: Vec<String> =
        (0..RECOVERY_CODES).map(|_| totp::base32(&moment.entropy().bytes::<CODE_BYTES>())).collect();
    sqlx::query!("delete from recovery_codes where user_id = $1", user_id).execute(&mut *conn).await?;
    sqlx::query!(
        "insert into recovery_codes (id, user_id, code_hash, created_at)
        select id, $1, code_hash, $2 from unnest($3::uuid[], $4::bytea[]) as code (id, code_hash)",
        user_id,
        moment.now,
        &codes.iter().map(|_| moment.id()).collect::<Vec<_>>(),
        &codes.iter().map(|code| code_hash(user_id, code).to_vec()).collect::<Vec<_>>()
    )
    .execute(conn)
    .await?;
    Ok(codes.iter().map(|code| SecretString::from(grouped(code))).collect())
}

/// "ABCD-EFGH-IJKL-MNOP": four at a time can be read and typed.
fn grouped(code: &str) -> String {
    let letters: Vec<char> = code.chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

fn code_hash(user_id: Uuid, code: &str) -> [u8; 32] {
    Sha256::new().chain_update(user_id.as_bytes()).chain_update(code.as_bytes()).finalize().into()
}

/// As it was meant: blanks and dashes are for reading.
fn plain(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>().to_uppercase()
}

/// Takes a code of the app or a recovery code, once. In a transaction of the caller.
pub async fn take(
    conn: &mut PgConnection,
    app: &App,
    moment: &Moment,
    user_id: Uuid,
    typed: &str,
) -> Result<Shown, FactorError> {
    let row = sqlx::query!(
        "select secret, last_step from totp_secrets where user_id = $1 and confirmed_at is not null for update",
        user_id
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or(FactorError::NotThere)?;
    let typed = plain(typed);
    let secret = app.keyring.open(conn, place(user_id), &row.secret).await?;
    if let Some(step) = totp::matching_step(&secret, &typed, moment.now, row.last_step) {
        sqlx::query!("update totp_secrets set last_step = $2 where user_id = $1", user_id, step).execute(conn).await?;
        return Ok(Shown::AppCode);
    }
    take_recovery_code(conn, moment, user_id, &typed).await
}

async fn take_recovery_code(
    conn: &mut PgConnection,
    moment: &Moment,
    user_id: Uuid,
    code: &str,
) -> Result<Shown, FactorError> {
    let done = sqlx::query!(
        "update recovery_codes set used_at = $3 where user_id = $1 and code_hash = $2 and used_at is null",
        user_id,
        &code_hash(user_id, code)[..],
        moment.now
    )
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Err(FactorError::Wrong);
    }
    let left = status(conn, user_id).await?.recovery_codes_left;
    let payload = json!({ "left": left });
    security::record(conn, moment, user_id, Some(user_id), Kind::AccountRecoveryCodeUsed, payload).await?;
    Ok(Shown::RecoveryCode { left })
}

/// Signing in asks for no code any more. False: it did not before either.
pub async fn remove(conn: &mut PgConnection, moment: &Moment, user_id: Uuid, actor: Actor) -> sqlx::Result<bool> {
    sqlx::query!("delete from recovery_codes where user_id = $1", user_id).execute(&mut *conn).await?;
    let was_on = sqlx::query_scalar!(
        r#"delete from totp_secrets where user_id = $1 returning confirmed_at is not null as "on!""#,
        user_id
    )
    .fetch_optional(&mut *conn)
    .await?
    .unwrap_or(false);
    if was_on {
        security::record(conn, moment, user_id, actor, Kind::AccountTotpOff, json!({})).await?;
    }
    Ok(was_on)
}

fn place(user_id: Uuid) -> Place {
    Place { table: "totp_secrets", column: "secret", row: user_id, team: Uuid::nil() }
}
