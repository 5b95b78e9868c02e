//! Mails on their way out: written in the transaction of the change that they tell of, handed over by the job `mail.send`.
//!
//! A mail may hold a link that lets somebody in. So the row is sealed and the job holds its id only. (To make the link while
//! sending would keep it out of the database altogether, but a second try would then send another link than the first, which
//! may have arrived.) The row goes when the mail is handed over, when the server refuses it for good, and after two days.
//! Only this file writes `mails`.

use crate::app::App;
use crate::clients::mail::{MailError, Outgoing};
use crate::clock::Moment;
use crate::jobs::{self, State};
use crate::queue::{Class, Job, JobContext, JobError};
use crate::secrets::{Place, SealError};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// What the links in a mail outlive by far.
const KEPT: time::Duration = time::Duration::days(2);

/// One mail to one person, in plain text.
#[derive(Clone, Serialize, Deserialize)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Puts a mail on its way, on the caller's transaction. Does nothing where this server sends no mail: ask `app.mail` first
/// where that makes a difference.
pub async fn post(conn: &mut PgConnection, app: &App, moment: &Moment, mail: &Mail) -> Result<(), PostError> {
    if app.mail.is_none() {
        return Ok(());
    }
    let id = moment.id();
    let plain = serde_json::to_string(mail).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let plain = SecretString::from(plain);
    let sealed = app.keyring.seal(conn, moment.now, moment.entropy(), place(id), &plain).await?;
    sqlx::query!("insert into mails (id, sealed, created_at) values ($1, $2, $3)", id, sealed, moment.now)
        .execute(&mut *conn)
        .await?;
    jobs::enqueue(conn, &MailSend { mail_id: id }, moment.now).await?;
    Ok(())
}

fn place(id: Uuid) -> Place {
    Place { table: "mails", column: "sealed", row: id, team: Uuid::nil() }
}

async fn forget(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from mails where id = $1", id).execute(conn).await?;
    Ok(())
}

/// Removes what nobody will send any more.
pub async fn forget_old(conn: &mut PgConnection, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!("delete from mails where created_at < $1", now - KEPT).execute(conn).await?;
    Ok(())
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MailSend {
    pub mail_id: Uuid,
}

#[async_trait]
impl Job<State> for MailSend {
    const NAME: &'static str = "mail.send";
    const CLASS: Class = Class::Upkeep;
    /// Over some hours; a mail server that is away for longer has its operator's attention.
    const MAX_ATTEMPTS: i16 = 12;
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// A person waits for it.
    const PRIORITY: i16 = -1;

    fn key(&self) -> Option<String> {
        Some(format!("mail:{}", self.mail_id))
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let app = &state.app;
        let mut conn = app.db.acquire().await?;
        let row = sqlx::query!("select sealed, created_at from mails where id = $1", self.mail_id)
            .fetch_optional(&mut *conn)
            .await?;
        // Handed over already, or too old.
        let Some(row) = row else { return Ok(()) };
        let Some(mailer) = &app.mail else {
            return Err(JobError::Retry(
                "SMTP_URL is not set for this worker, but it was where the mail was written".to_owned(),
            ));
        };
        let plain = app.keyring.open(&mut conn, place(self.mail_id), &row.sealed).await;
        let plain = plain.map_err(|error| JobError::Permanent(error.to_string()))?;
        drop(conn);
        let mail: Mail = serde_json::from_str(plain.expose_secret())
            .map_err(|_| JobError::Permanent("the mail was written by another version".to_owned()))?;
        let outgoing =
            Outgoing { id: self.mail_id, to: &mail.to, subject: &mail.subject, text: &mail.text, date: row.created_at };
        let sent = mailer.send(outgoing).await;
        let last = ctx.attempt >= ctx.max_attempts;
        if last || !matches!(sent, Err(MailError::Later(_))) {
            forget(&mut *app.db.acquire().await?, self.mail_id).await?;
        }
        sent.map_err(|error| match error {
            MailError::Later(reason) => JobError::Retry(reason),
            MailError::Never(reason) => JobError::Permanent(reason),
        })
    }
}
