//! A grant that waits for its person. The consent came back to a browser that had no session of whoever began it, as it does where the
//! frontend lives on another origin; or it reaches several accounts, of which the person takes one and the rest is wiped. Only that person, signed in, can turn it into a connection, with the ticket from the redirect.
//!
//! Always: the ticket stands here as a hash and works once, within ten minutes; team and role count as they are at that moment. What is
//! not confirmed in time is revoked at the platform and wiped, by whoever comes too late or by the sweep. A platform that does not answer is asked
//! again for an hour; then the grant is wiped all the same. A grant that was replaced by a newer one goes the same way.

use super::kept::{self, Choice, Kept, Sealed};
use super::{Consent, callback_url, reader, store};
use crate::accounts::{platform_apps, teams, token_hash};
use crate::app::App;
use crate::clock::Moment;
use crate::coord::budget::Urgency;
use crate::error::chain;
use crate::jobs::State;
use crate::model::Role;
use crate::queue::{Class, Job, JobContext, JobError};
use crate::secrets::{Place, SealError};
use async_trait::async_trait;
use rejoinder_platforms::{Account, AuthError, Grant, Reached, Through};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const LASTS: time::Duration = time::Duration::minutes(10);
/// How long a platform that does not answer is asked to revoke.
const REVOKE_FOR: time::Duration = time::Duration::HOUR;
const SWEEP: i64 = 100;

/// Why a ticket made no connection.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// Never given out, or to someone else: which of the two is not told.
    #[error("there is no such ticket")]
    Unknown,
    #[error("This ticket was used before; each works once. Connect the account again if it is not there.")]
    Used,
    #[error(
        "This ticket is older than ten minutes, so the access was given back to the platform. Connect the account again."
    )]
    Expired,
    #[error("The consent reaches several accounts: say with account_id which one to connect.")]
    NotChosen,
    /// Not a member of the team any more.
    #[error("you are no longer a member of the team")]
    NotMember,
    #[error("connecting needs the role admin; it is {0} now")]
    NotAdmin(Role),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// What a ticket stands for, shown before it is used.
#[derive(Debug, Clone)]
pub struct Pending {
    pub platform: String,
    pub display_name: String,
    pub team_name: String,
    /// Where the consent reaches several accounts; empty where there is nothing to choose.
    pub choices: Vec<Choice>,
}

/// What a ticket became.
#[derive(Debug, Clone)]
pub struct Completed {
    pub team_id: Uuid,
    pub integration_id: Uuid,
    pub platform: String,
}

struct Row {
    id: Uuid,
    team_id: Uuid,
    platform: String,
    platform_account_id: String,
    display_name: String,
    sealed_grant: Option<Vec<u8>>,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    used_at: Option<OffsetDateTime>,
    app_id: Option<Uuid>,
}

fn place(id: Uuid, team_id: Uuid) -> Place {
    Place { table: "pending_connections", column: "sealed_grant", row: id, team: team_id }
}

/// Keeps a grant for the person who began; gives the ticket. The caller commits.
pub(super) async fn keep(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    whose: (Uuid, Uuid),
    platform: &str,
    consent: &Consent,
) -> Result<SecretString, SealError> {
    let ticket = moment.entropy().token(32);
    let until = moment.now + LASTS;
    match consent.reached.as_slice() {
        [only] => {
            let kept = (platform, consent.app_id, &only.account, &only.grant);
            insert(app, conn, moment, whose, kept, &ticket, until).await?;
        }
        several => {
            keep_several(app, conn, moment, whose, (platform, consent.app_id, several), (&ticket, until)).await?
        }
    }
    Ok(SecretString::from(ticket))
}

/// One row with the first account in it; which one it becomes is for the person to say.
async fn keep_several(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    whose: (Uuid, Uuid),
    (platform, app_id, reached): (&str, Option<Uuid>, &[Reached]),
    (ticket, until): (&str, OffsetDateTime),
) -> Result<(), SealError> {
    let choices: Vec<Choice> = reached.iter().map(Choice::of).collect();
    let sealed = Sealed::Several(reached.iter().map(|one| (Choice::of(one), Kept::of(&one.grant))).collect());
    let account = Account { id: String::new(), name: format!("{} accounts", choices.len()) };
    let id = insert_sealed(app, conn, moment, whose, (platform, app_id, &account, &sealed), (ticket, until)).await?;
    let choices = serde_json::to_value(&choices).expect("plain values are always valid JSON");
    sqlx::query!("update pending_connections set choices = $3 where id = $1 and team_id = $2", id, whose.0, choices)
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps a grant that nobody uses any more, under a ticket that nobody has: the sweep gives it back to the platform. The caller commits.
pub(super) async fn give_back_later(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    whose: (Uuid, Uuid),
    kept: (&str, Option<Uuid>, &Account, &Grant),
) -> Result<(), SealError> {
    insert(app, conn, moment, whose, kept, &moment.entropy().token(32), moment.now).await
}

async fn insert(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    whose: (Uuid, Uuid),
    (platform, app_id, account, grant): (&str, Option<Uuid>, &Account, &Grant),
    ticket: &str,
    expires_at: OffsetDateTime,
) -> Result<(), SealError> {
    let sealed = Sealed::One(Kept::of(grant));
    let kept = (platform, app_id, account, &sealed);
    insert_sealed(app, conn, moment, whose, kept, (ticket, expires_at)).await.map(drop)
}

async fn insert_sealed(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    (team_id, user_id): (Uuid, Uuid),
    (platform, app_id, account, kept): (&str, Option<Uuid>, &Account, &Sealed),
    (ticket, expires_at): (&str, OffsetDateTime),
) -> Result<Uuid, SealError> {
    let (id, hash) = (moment.id(), token_hash(ticket));
    let text = SecretString::from(serde_json::to_string(kept).expect("plain values are always valid JSON"));
    let sealed = app.keyring.seal(conn, moment.now, moment.entropy(), place(id, team_id), &text).await?;
    sqlx::query!(
        "insert into pending_connections (id, ticket_hash, team_id, user_id, platform, platform_account_id, display_name, sealed_grant,
             created_at, expires_at, app_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        id,
        hash.as_slice(),
        team_id,
        user_id,
        platform,
        account.id,
        account.name,
        sealed,
        moment.now,
        expires_at,
        app_id,
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Empty: it was wiped.
async fn open(app: &App, conn: &mut PgConnection, row: &Row) -> Result<Vec<Reached>, SealError> {
    let Some(sealed) = row.sealed_grant.as_deref() else { return Ok(Vec::new()) };
    let text = app.keyring.open(conn, place(row.id, row.team_id), sealed).await?;
    let sealed: Sealed = serde_json::from_str(text.expose_secret()).map_err(|_| SealError::Damaged)?;
    let own = || Choice { id: row.platform_account_id.clone(), name: row.display_name.clone(), place: None };
    Ok(sealed.reached(own))
}

/// Turns the ticket into a connection. `account_id`: which account, where the consent reaches several.
pub async fn complete(
    app: &App,
    moment: &Moment,
    user_id: Uuid,
    ticket: &str,
    account_id: Option<&str>,
) -> Result<Completed, CompleteError> {
    let mut tx = app.db.begin().await?;
    let row = lock(&mut tx, user_id, ticket).await?.ok_or(CompleteError::Unknown)?;
    if row.used_at.is_some() {
        return Err(CompleteError::Used);
    }
    let reached = if row.expires_at > moment.now { open(app, &mut tx, &row).await? } else { Vec::new() };
    if reached.is_empty() {
        tx.rollback().await?;
        let_go(app, moment, row.id).await?;
        return Err(CompleteError::Expired);
    }
    let reached = kept::chosen(reached, account_id).ok_or(CompleteError::NotChosen)?;
    teams::lock(&mut tx, row.team_id).await?;
    match teams::role_of(&mut tx, row.team_id, user_id).await? {
        None => return Err(CompleteError::NotMember),
        Some(Role::Admin) => {}
        Some(role) => return Err(CompleteError::NotAdmin(role)),
    }
    let consent = Consent { reached: Vec::new(), granted_at: row.created_at, app_id: row.app_id };
    let whose = (row.team_id, user_id);
    let integration_id = store(app, &mut tx, moment, whose, &row.platform, (&reached, &consent)).await?;
    sqlx::query!(
        "update pending_connections set used_at = $3, sealed_grant = null, choices = null where id = $1 and team_id = $2",
        row.id,
        row.team_id,
        moment.now,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Completed { team_id: row.team_id, integration_id, platform: row.platform })
}

async fn lock(conn: &mut PgConnection, user_id: Uuid, ticket: &str) -> Result<Option<Row>, sqlx::Error> {
    let hash = token_hash(ticket);
    sqlx::query_as!(
        Row,
        "select id, team_id, platform, platform_account_id, display_name, sealed_grant, created_at, expires_at, used_at, app_id
         from pending_connections where ticket_hash = $1 and user_id = $2 for update",
        hash.as_slice(),
        user_id,
    )
    .fetch_optional(conn)
    .await
}

/// What the ticket would connect, for the person who began it, while it can be used.
pub async fn look(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    user_id: Uuid,
    ticket: &str,
) -> Result<Option<Pending>, sqlx::Error> {
    let hash = token_hash(ticket);
    let row = sqlx::query!(
        "select p.platform, p.display_name, t.name as team_name, p.choices
         from pending_connections p
         join teams t on t.id = p.team_id
         where p.ticket_hash = $1 and p.user_id = $2 and p.used_at is null and p.expires_at > $3",
        hash.as_slice(),
        user_id,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Pending {
        platform: row.platform,
        display_name: row.display_name,
        team_name: row.team_name,
        choices: row.choices.and_then(|choices| serde_json::from_value(choices).ok()).unwrap_or_default(),
    }))
}

/// Gives an expired grant back to the platform and wipes it. The platform is called without a transaction, after the ticket was ended
/// for everybody, so that nobody whose clock is behind connects what is being given back.
async fn let_go(app: &App, moment: &Moment, id: Uuid) -> Result<(), SealError> {
    let mut conn = app.db.acquire().await?;
    let row = sqlx::query_as!(
        Row,
        "update pending_connections set expires_at = created_at
         where id = $1 and expires_at <= $2 and sealed_grant is not null
         returning id, team_id, platform, platform_account_id, display_name, sealed_grant, created_at, expires_at, used_at, app_id",
        id,
        moment.now,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let opened = open(app, &mut conn, &row).await;
    let of = (row.team_id, row.platform.as_str());
    let through = platform_apps::through(app, &mut conn, of, row.app_id, Urgency::TOKEN).await?;
    drop(conn);
    let revoked = match opened {
        Ok(reached) => {
            let mut revoked = true;
            for reached in &reached {
                revoked &= revoke(app, &row.platform, &through, &reached.grant).await;
            }
            revoked
        }
        Err(SealError::Database(error)) => return Err(error.into()),
        Err(error) => {
            tracing::warn!(error = %chain(&error), "a grant that waited cannot be opened and is wiped");
            true
        }
    };
    if !revoked && moment.now < row.created_at + LASTS + REVOKE_FOR {
        return Ok(());
    }
    sqlx::query!(
        "update pending_connections set sealed_grant = null, choices = null where id = $1 and used_at is null",
        id
    )
    .execute(&app.db)
    .await?;
    Ok(())
}

/// Whether asking again is of no use.
pub(super) async fn revoke(app: &App, platform: &str, through: &Through, grant: &Grant) -> bool {
    let Ok(reader) = reader(app, platform) else { return false };
    match reader.revoke(through, grant).await {
        Ok(()) => true,
        Err(AuthError::Unavailable { reason, .. }) => {
            tracing::warn!(platform, reason, "a grant could not be given back now");
            false
        }
        Err(error) => {
            tracing::warn!(platform, error = %chain(&error), callback = %callback_url(app, platform), "a grant was not given back");
            true
        }
    }
}

/// Gives back and wipes what nobody confirmed in time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PendingSweep {}

#[async_trait]
impl Job<State> for PendingSweep {
    const NAME: &'static str = "connect.sweep";
    const CLASS: Class = Class::Upkeep;
    const MAX_ATTEMPTS: i16 = 1;
    const TIMEOUT: Duration = Duration::from_secs(300);

    fn key(&self) -> Option<String> {
        Some(Self::NAME.to_owned())
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let (app, moment) = (&state.app, Moment::at(ctx.now, &state.app.entropy));
        let expired = sqlx::query_scalar!(
            "select id from pending_connections where sealed_grant is not null and expires_at <= $1 order by expires_at limit $2",
            ctx.now,
            SWEEP,
        )
        .fetch_all(&app.db)
        .await?;
        for id in expired {
            if let Err(error) = let_go(app, &moment, id).await {
                tracing::warn!(error = %chain(&error), "a grant that waited was not wiped now");
            }
        }
        sqlx::query!(
            "delete from pending_connections where sealed_grant is null and expires_at < $1",
            ctx.now - time::Duration::days(1),
        )
        .execute(&app.db)
        .await?;
        Ok(())
    }
}
