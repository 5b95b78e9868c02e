//! Platform tokens: sealed in the row, opened for one call, refreshed by one worker at a time.
//!
//! A refresh holds a lease column and no transaction. New tokens are stored before anyone uses them. A grant that the platform
//! calls dead is read again first: if someone else refreshed meanwhile, theirs is used.

use super::integrations::{self, Integration};
use super::platform_apps;
use crate::app::App;
use crate::clock::Moment;
use crate::coord::budget::Urgency;
use crate::flow::activity::{self, Kind, Subject};
use crate::secrets::{Place, SealError};
use rejoinder_platforms::{AccessToken, Account, AuthError, Grant, Session};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// A token this close to its end is refreshed before use.
const REFRESH_BEFORE: time::Duration = time::Duration::seconds(90);
/// Longer than a refresh can take (the client gives up after 20 s).
const LEASE: time::Duration = time::Duration::seconds(60);
const STORE_TRIES: u32 = 5;
const STORE_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A person must connect the account again.
    #[error("{0}")]
    Reconnect(String),
    /// The platform refuses the app that the account was connected through, and with it all accounts of that app.
    #[error("the platform refuses our app: {0}")]
    App(String),
    /// Passing: somebody refreshes right now, or the platform or the database does not answer.
    #[error("{reason}")]
    Wait { after: Duration, reason: String },
}

impl From<sqlx::Error> for TokenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Wait { after: Duration::from_secs(5), reason: format!("the database did not answer: {error}") }
    }
}

impl From<SealError> for TokenError {
    fn from(error: SealError) -> Self {
        // A key that cannot be had is the operator's matter; asking the person to connect again would lose a good token.
        Self::Wait { after: Duration::from_secs(300), reason: format!("the stored token cannot be opened: {error}") }
    }
}

fn place(column: &'static str, integration_id: Uuid, team_id: Uuid) -> Place {
    Place { table: "integrations", column, row: integration_id, team: team_id }
}

/// Seals both tokens of a grant for a row.
pub async fn seal(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    (integration_id, team_id): (Uuid, Uuid),
    grant: &Grant,
) -> Result<(Vec<u8>, Option<Vec<u8>>), SealError> {
    let entropy = moment.entropy();
    let access = app
        .keyring
        .seal(conn, moment.now, entropy, place("access_token", integration_id, team_id), &grant.access_token)
        .await?;
    let refresh = match &grant.refresh_token {
        Some(token) => Some(
            app.keyring.seal(conn, moment.now, entropy, place("refresh_token", integration_id, team_id), token).await?,
        ),
        None => None,
    };
    Ok((access, refresh))
}

/// When a grant ends, counted from now.
pub fn expires_at(grant: &Grant, now: OffsetDateTime) -> Option<OffsetDateTime> {
    grant.expires_in.map(|lifetime| now + lifetime)
}

/// A session that is valid now, for a row that was read a moment ago. `dead` is a token that the platform has just refused: the row is
/// read again, and that one is not handed out.
pub async fn session(
    app: &App,
    moment: &Moment,
    integration: &Integration,
    dead: Option<&AccessToken>,
) -> Result<Session, TokenError> {
    session_for(app, moment, integration, dead, Urgency::REST).await
}

/// The same for work that presses more or less.
pub async fn session_for(
    app: &App,
    moment: &Moment,
    integration: &Integration,
    dead: Option<&AccessToken>,
    urgency: Urgency,
) -> Result<Session, TokenError> {
    let mut conn = app.db.acquire().await?;
    let current = match dead {
        None => integration.clone(),
        Some(_) => integrations::load(&mut conn, integration.team_id, integration.id)
            .await?
            .ok_or_else(|| TokenError::Reconnect("the account is not connected any more".to_owned()))?,
    };
    let token = open(app, &mut conn, &current).await?;
    let refused = dead.is_some_and(|dead| dead.secret().expose_secret() == token.expose_secret());
    let ends_soon = current.expires_at.is_some_and(|at| at <= moment.now + REFRESH_BEFORE);
    if !refused && !ends_soon {
        return Ok(session_of(app, &current, token, urgency));
    }
    drop(conn);
    renewed(app, moment, &current, urgency).await
}

/// Refreshes a token ahead of its end, or because a person asks.
pub async fn renew(app: &App, moment: &Moment, integration: &Integration) -> Result<(), TokenError> {
    renewed(app, moment, integration, Urgency::TOKEN).await.map(drop)
}

async fn renewed(app: &App, moment: &Moment, current: &Integration, urgency: Urgency) -> Result<Session, TokenError> {
    let mut conn = app.db.acquire().await?;
    // By the clock of now: the job that asks may have begun long ago, and a lease that is over already keeps nobody out.
    let now = app.clock.now();
    let until = now + LEASE;
    let leased = sqlx::query!(
        "update integrations set token_lease_until = $3
         where id = $1 and team_id = $2 and (token_lease_until is null or token_lease_until <= $4)",
        current.id,
        current.team_id,
        until,
        now,
    )
    .execute(&mut *conn)
    .await?;
    if leased.rows_affected() == 0 {
        return Err(TokenError::Wait {
            after: Duration::from_secs(2),
            reason: "the token is being refreshed".to_owned(),
        });
    }
    drop(conn);
    // In a task of its own: where each refresh token works once, an answer must be stored even when who asked is gone meanwhile.
    let (own_app, own_moment, own_current) = (app.clone(), moment.clone(), current.clone());
    let task = tokio::spawn(async move { refresh_and_let_go(&own_app, &own_moment, &own_current, until).await });
    let result = task.await.unwrap_or_else(|error| {
        Err(TokenError::Wait { after: Duration::from_secs(30), reason: format!("the refresh broke off: {error}") })
    });
    let mut conn = app.db.acquire().await?;
    match result? {
        Some(token) => Ok(session_of(app, current, token, urgency)),
        // Someone else stored newer tokens meanwhile.
        None => {
            let current = integrations::load(&mut conn, current.team_id, current.id)
                .await?
                .ok_or_else(|| TokenError::Reconnect("the account is not connected any more".to_owned()))?;
            let token = open(app, &mut conn, &current).await?;
            Ok(session_of(app, &current, token, urgency))
        }
    }
}

async fn refresh_and_let_go(
    app: &App,
    moment: &Moment,
    current: &Integration,
    leased_until: OffsetDateTime,
) -> Result<Option<SecretString>, TokenError> {
    let result = refresh(app, moment, current).await;
    sqlx::query!(
        "update integrations set token_lease_until = null where id = $1 and token_lease_until = $2",
        current.id,
        leased_until
    )
    .execute(&app.db)
    .await?;
    result
}

/// Both tokens of a row, to give them back. None: it has none.
pub(super) async fn grant_of(
    app: &App,
    conn: &mut PgConnection,
    integration: &Integration,
) -> Result<Option<Grant>, SealError> {
    let (id, team_id) = (integration.id, integration.team_id);
    let Some(access) = integration.access_token.as_deref() else { return Ok(None) };
    let access_token = app.keyring.open(conn, place("access_token", id, team_id), access).await?;
    let refresh_token = match integration.refresh_token.as_deref() {
        Some(sealed) => Some(app.keyring.open(conn, place("refresh_token", id, team_id), sealed).await?),
        None => None,
    };
    Ok(Some(Grant { access_token, refresh_token, scopes: integration.scopes.clone(), expires_in: None }))
}

async fn open(app: &App, conn: &mut PgConnection, integration: &Integration) -> Result<SecretString, TokenError> {
    let sealed = integration
        .access_token
        .as_deref()
        .ok_or_else(|| TokenError::Reconnect("the account is not connected any more".to_owned()))?;
    Ok(app.keyring.open(conn, place("access_token", integration.id, integration.team_id), sealed).await?)
}

fn session_of(app: &App, integration: &Integration, token: SecretString, urgency: Urgency) -> Session {
    let account = Account { id: integration.platform_account_id.clone(), name: integration.display_name.clone() };
    let permits = app.budgets.permits(platform_apps::key_of(app, integration), integration.team_id, urgency);
    Session { account, access_token: AccessToken::new(token, permits) }
}

async fn refresh(app: &App, moment: &Moment, integration: &Integration) -> Result<Option<SecretString>, TokenError> {
    let Some(sealed) = integration.refresh_token.as_deref() else {
        return Err(TokenError::Reconnect("the access has ended and the platform gave no way to renew it".to_owned()));
    };
    let reader = app
        .readers
        .get(&integration.platform)
        .map_err(|error| TokenError::Wait { after: Duration::from_secs(300), reason: error.to_string() })?;
    let mut conn = app.db.acquire().await?;
    let stands = integrations::load(&mut conn, integration.team_id, integration.id).await?;
    if stands.is_some_and(|row| row.refresh_token != integration.refresh_token) {
        // Refreshed by somebody else since the caller read the row: this one was used, and works once.
        return Ok(None);
    }
    let refresh_token =
        app.keyring.open(&mut conn, place("refresh_token", integration.id, integration.team_id), sealed).await?;
    let of = (integration.team_id, integration.platform.as_str());
    let through = platform_apps::through(app, &mut conn, of, integration.app_id, Urgency::TOKEN).await?;
    drop(conn);
    match reader.refresh(&through, &refresh_token).await {
        Ok(grant) => {
            let stored = store_surely(app, moment, integration, &grant).await?;
            Ok(stored.then_some(grant.access_token))
        }
        Err(AuthError::GrantDead(reason)) => {
            let mut conn = app.db.acquire().await?;
            let now_stored = integrations::load(&mut conn, integration.team_id, integration.id).await?;
            if now_stored
                .is_some_and(|row| row.refresh_token.is_some() && row.refresh_token != integration.refresh_token)
            {
                return Ok(None);
            }
            Err(TokenError::Reconnect(reason))
        }
        Err(AuthError::AppRefused(reason)) => Err(TokenError::App(reason)),
        Err(AuthError::Unavailable { reason, after }) => {
            Err(TokenError::Wait { after: after.unwrap_or(Duration::from_secs(30)), reason })
        }
    }
}

/// What the platform gave exists nowhere else, and what it replaces is dead: a database that is away for a moment is waited for.
async fn store_surely(
    app: &App,
    moment: &Moment,
    integration: &Integration,
    grant: &Grant,
) -> Result<bool, TokenError> {
    let mut left = STORE_TRIES;
    loop {
        match store(app, moment, integration, grant).await {
            Err(TokenError::Wait { reason, .. }) if left > 0 => {
                tracing::warn!(integration_id = %integration.id, reason, "a renewed access could not be stored; trying again");
                left -= 1;
                tokio::time::sleep(STORE_PAUSE).await;
            }
            ended => return ended,
        }
    }
}

async fn store(app: &App, moment: &Moment, integration: &Integration, grant: &Grant) -> Result<bool, TokenError> {
    let mut tx = app.db.begin().await?;
    let (access, refresh) = seal(app, &mut tx, moment, (integration.id, integration.team_id), grant).await?;
    let stored = sqlx::query!(
        "update integrations
         set access_token = $3, refresh_token = coalesce($4, refresh_token), expires_at = $5, updated_at = $6
         where id = $1 and team_id = $2 and state <> 'disconnected' and refresh_token is not distinct from $7",
        integration.id,
        integration.team_id,
        access,
        refresh,
        expires_at(grant, moment.now),
        moment.now,
        integration.refresh_token,
    )
    .execute(&mut *tx)
    .await?;
    if stored.rows_affected() == 0 {
        // Connected anew or disconnected meanwhile: what stands there counts.
        return Ok(false);
    }
    let payload = json!({ "expires_at": expires_at(grant, moment.now).map(OffsetDateTime::unix_timestamp) });
    let subject = Subject::Integration(integration.id);
    activity::record(&mut tx, moment, integration.team_id, None, Kind::TokenRefreshed, subject, payload).await?;
    tx.commit().await?;
    Ok(true)
}
