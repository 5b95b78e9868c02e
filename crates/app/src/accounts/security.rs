//! What happens to the door of an account is told: in the log of each team that the person belongs to, and to the person by mail.
//!
//! The mail is made when it is sent and holds no secret, so the command line, which has no key and no mail server, can ask for it
//! as well. Where this server sends no mail, nothing is sent.

use super::{teams, users};
use crate::clients::mail::{MailError, Outgoing};
use crate::clock::Moment;
use crate::flow::activity::{self, Actor, Entry, Kind, Subject};
use crate::jobs::{self, State};
use crate::queue::{Class, Job, JobContext, JobError};
use crate::request_id;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;
use uuid::Uuid;

/// Writes it down and, where it opens or closes a door, tells the person. `actor`: None for the operator.
pub async fn record(
    conn: &mut PgConnection,
    moment: &Moment,
    user_id: Uuid,
    actor: Actor,
    kind: Kind,
    payload: Value,
) -> sqlx::Result<()> {
    let teams = teams::memberships(conn, user_id).await?;
    let entry = |team_id| Entry {
        team_id,
        actor,
        kind,
        subject: Subject::Member(user_id),
        payload: payload.clone(),
        request_id: request_id::current(),
    };
    activity::record_all(conn, moment, teams.into_iter().map(|team| entry(team.team_id)).collect()).await?;
    tracing::info!(%user_id, kind = kind.as_str(), by_operator = actor.is_none(), "the door of an account changed");
    if words(kind.as_str()).is_some() {
        let notice =
            SecurityNotice { id: moment.id(), user_id, kind: kind.as_str().to_owned(), by_person: actor.is_some() };
        jobs::enqueue(conn, &notice, moment.now).await?;
    }
    Ok(())
}

/// Subject, and what happened as it follows "of your account ... ".
fn words(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "account.password_changed" => ("Your password was changed", "The password of your account was changed"),
        "account.password_reset" => {
            ("Your password was changed", "The password of your account was set anew by a link")
        }
        "account.totp_on" => ("Signing in asks for a code now", "The second step of signing in was turned on"),
        "account.totp_off" => ("Signing in asks for no code any more", "The second step of signing in was turned off"),
        "account.recovery_code_used" => {
            ("A recovery code was used", "A recovery code was used to get into your account")
        }
        _ => return None,
    })
}

/// Tells a person by mail what happened to the account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecurityNotice {
    pub id: Uuid,
    pub user_id: Uuid,
    pub kind: String,
    pub by_person: bool,
}

#[async_trait]
impl Job<State> for SecurityNotice {
    const NAME: &'static str = "mail.security";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 12;
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn key(&self) -> Option<String> {
        Some(format!("mail:{}", self.id))
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let app = &state.app;
        let Some(mailer) = &app.mail else { return Ok(()) };
        let user = users::by_id(&mut *app.db.acquire().await?, self.user_id).await?;
        let Some((email, name)) = user.and_then(|user| Some((user.email?, user.name))) else { return Ok(()) };
        let Some((subject, _)) = words(&self.kind) else { return Ok(()) };
        let at = happened_at(self.id).unwrap_or(ctx.now);
        let text = self.text(&name, at, &app.config.public_url);
        let sent = mailer.send(Outgoing { id: self.id, to: &email, subject, text: &text, date: at }).await;
        sent.map_err(|error| match error {
            MailError::Later(reason) => JobError::Retry(reason),
            MailError::Never(reason) => JobError::Permanent(reason),
        })
    }
}

/// Ids carry the millisecond in which they were drawn.
fn happened_at(id: Uuid) -> Option<OffsetDateTime> {
    let (secs, nanos) = id.get_timestamp()?.to_unix();
    let start = OffsetDateTime::from_unix_timestamp(i64::try_from(secs).ok()?).ok()?;
    Some(start + time::Duration::nanoseconds(i64::from(nanos)))
}

impl SecurityNotice {
    fn text(&self, name: &str, at: OffsetDateTime, public_url: &Url) -> String {
        let minute = format_description!("[day padding:none] [month repr:long] [year] at [hour]:[minute] UTC");
        let at = at.format(&minute).unwrap_or_default();
        let what = words(&self.kind).map_or("", |(_, what)| what);
        let by = if self.by_person { "" } else { " by the operator of the server" };
        let host = public_url.host_str().unwrap_or_default();
        format!(
            "Hello {name},\n\n{what}{by} on {at}. It is your account at Rejoinder on {host}.\n\n\
            If you did not do this or ask for it, set a new password at once:\n{public_url}forgot\n\
            and tell an admin of your team.\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_mail_says_what_happened_when_and_what_to_do() {
        let at = datetime!(2026-03-02 09:00 UTC);
        let moment = Moment::at(at, &crate::clock::Entropy::seeded(1));
        let notice = SecurityNotice {
            id: moment.id(),
            user_id: Uuid::nil(),
            kind: Kind::AccountTotpOff.as_str().to_owned(),
            by_person: false,
        };
        let url = Url::parse("https://replies.example/").unwrap();
        let text = notice.text("Ana Lima", happened_at(notice.id).unwrap(), &url);
        assert!(text.contains("turned off by the operator of the server on 2 March 2026 at 09:00 UTC."), "{text}");
        assert!(text.contains("\nhttps://replies.example/forgot\n"), "{text}");
    }
}
