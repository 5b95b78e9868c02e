//! Connected platform accounts: the only writer of `integrations`. Tokens stand sealed in the row and are opened in
//! `accounts::tokens` alone.

use crate::clock::Moment;
use crate::flow::activity::{self, Actor, Kind, Subject};
use crate::flow::ingest::Source;
use crate::flow::send;
use crate::model::IntegrationState;
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A connected account as the rest of the product sees it. Sealed tokens are bytes here and mean nothing without the keyring.
#[derive(Clone)]
pub struct Integration {
    pub id: Uuid,
    pub team_id: Uuid,
    pub platform: String,
    pub platform_account_id: String,
    pub display_name: String,
    pub access_token: Option<Vec<u8>>,
    pub refresh_token: Option<Vec<u8>>,
    pub scopes: Vec<String>,
    pub expires_at: Option<OffsetDateTime>,
    pub state: String,
    pub state_reason: Option<String>,
    pub state_since: OffsetDateTime,
    pub poll_cursor: Value,
    pub last_polled_at: Option<OffsetDateTime>,
    pub last_poll_problem: Option<String>,
    pub next_poll_at: OffsetDateTime,
    pub token_lease_until: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub pause_cause: Option<String>,
    pub paused_by: Option<Uuid>,
}

impl std::fmt::Debug for Integration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Integration")
            .field("id", &self.id)
            .field("platform", &self.platform)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Integration {
    pub fn state(&self) -> IntegrationState {
        self.state.clone().into()
    }

    pub fn is_connected(&self) -> bool {
        self.state() == IntegrationState::Connected
    }
}

macro_rules! select_integrations {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            Integration,
            "select id, team_id, platform, platform_account_id, display_name, access_token, refresh_token, scopes, expires_at, state,
                    state_reason, state_since, poll_cursor, last_polled_at, last_poll_problem, next_poll_at, token_lease_until, created_at,
                    pause_cause, paused_by
             from integrations " + $rest,
            $($args),*
        )
    };
}

pub async fn load(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<Integration>, sqlx::Error> {
    select_integrations!("where id = $1 and team_id = $2", id, team_id).fetch_optional(conn).await
}

/// For jobs, which carry the integration's id alone; everything that follows uses the team of the row.
pub async fn load_any_team(conn: &mut PgConnection, id: Uuid) -> Result<Option<Integration>, sqlx::Error> {
    select_integrations!("where id = $1", id).fetch_optional(conn).await
}

/// Those that are not disconnected, oldest first.
pub async fn list(conn: &mut PgConnection, team_id: Uuid) -> Result<Vec<Integration>, sqlx::Error> {
    select_integrations!("where team_id = $1 and state <> 'disconnected' order by created_at, id", team_id)
        .fetch_all(conn)
        .await
}

/// Connected accounts whose next round is due. `limit` bounds one sweep.
pub async fn due(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select id from integrations where state = 'connected' and next_poll_at <= $1 order by next_poll_at limit $2",
        now,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Loads the row and keeps others from changing it until the transaction ends; readers of the same kind do not wait.
pub async fn hold(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<Integration>, sqlx::Error> {
    select_integrations!("where id = $1 and team_id = $2 for share", id, team_id).fetch_optional(conn).await
}

/// Connected accounts whose token ends before `until` and can be renewed.
pub async fn expiring(
    conn: &mut PgConnection,
    until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Integration>, sqlx::Error> {
    select_integrations!(
        "where state = 'connected' and expires_at <= $1 and refresh_token is not null order by expires_at limit $2",
        until,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// A round is over: cursor, time and the next round, in the transaction that stored what it brought.
pub async fn polled(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    cursor: &Value,
    next_poll_at: OffsetDateTime,
    problem: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update integrations set poll_cursor = $3, last_polled_at = $4, next_poll_at = $5, last_poll_problem = $6, updated_at = $4
         where id = $1 and team_id = $2",
        source.integration_id,
        source.team_id,
        cursor,
        moment.now,
        next_poll_at,
        problem,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn poll_put_off(
    conn: &mut PgConnection,
    integration: &Integration,
    until: OffsetDateTime,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update integrations set next_poll_at = $3, last_poll_problem = $4 where id = $1 and team_id = $2",
        integration.id,
        integration.team_id,
        until,
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A person asks for a round now.
pub async fn poll_now(conn: &mut PgConnection, moment: &Moment, team_id: Uuid, id: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update integrations set next_poll_at = $3 where id = $1 and team_id = $2 and state = 'connected'",
        id,
        team_id,
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the state of a live integration unless it stands already; says so in the log.
async fn set_state(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    actor: Actor,
    state: IntegrationState,
    reason: Option<&str>,
    kind: Kind,
) -> Result<(), sqlx::Error> {
    let changed = sqlx::query!(
        "update integrations set state = $3, state_reason = $4, state_since = $5, updated_at = $5
         where id = $1 and team_id = $2 and state <> $3 and state <> 'disconnected'",
        integration.id,
        integration.team_id,
        state.as_str(),
        reason,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(());
    }
    let payload = json!({ "before": { "state": integration.state }, "after": { "state": state }, "reason": reason });
    activity::record(conn, moment, integration.team_id, actor, kind, Subject::Integration(integration.id), payload)
        .await
}

/// Who or what paused an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseCause {
    Person,
    Failures,
    App,
}

impl PauseCause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Failures => "failures",
            Self::App => "app",
        }
    }
}

/// Nothing of a connected account goes out any more until somebody resumes it. False when it was not connected.
pub async fn pause(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    actor: Actor,
    cause: PauseCause,
    reason: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let paused = sqlx::query!(
        "update integrations set state = 'paused', state_reason = $3, state_since = $4, updated_at = $4, pause_cause = $5, paused_by = $6
         where id = $1 and team_id = $2 and state = 'connected'",
        integration.id,
        integration.team_id,
        reason,
        moment.now,
        cause.as_str(),
        actor,
    )
    .execute(&mut *conn)
    .await?;
    if paused.rows_affected() == 0 {
        return Ok(false);
    }
    let payload = json!({
        "before": { "state": IntegrationState::Connected }, "after": { "state": IntegrationState::Paused }, "reason": reason,
        "cause": cause.as_str(),
    });
    let subject = Subject::Integration(integration.id);
    activity::record(conn, moment, integration.team_id, actor, Kind::IntegrationPaused, subject, payload).await?;
    Ok(true)
}

/// Trouble of the whole app: all its connected accounts are paused, whatever their teams.
pub async fn pause_platform(
    conn: &mut PgConnection,
    moment: &Moment,
    platform: &str,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let connected =
        select_integrations!("where platform = $1 and state = 'connected' order by id for update", platform)
            .fetch_all(&mut *conn)
            .await?;
    for integration in connected {
        pause(conn, moment, &integration, None, PauseCause::App, Some(reason)).await?;
    }
    Ok(())
}

/// Loads the row and keeps everybody else from holding it until the transaction ends.
pub async fn hold_to_change(
    conn: &mut PgConnection,
    team_id: Uuid,
    id: Uuid,
) -> Result<Option<Integration>, sqlx::Error> {
    select_integrations!("where id = $1 and team_id = $2 for no key update", id, team_id).fetch_optional(conn).await
}

pub async fn needs_reconnect(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let kind = Kind::IntegrationReconnectNeeded;
    set_state(conn, moment, integration, None, IntegrationState::NeedsReconnect, Some(reason), kind).await
}

/// Wipes the tokens and keeps the row with its history. Revoking at the platform comes before, outside the transaction.
pub async fn disconnect(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    actor: Actor,
) -> Result<(), sqlx::Error> {
    let kind = Kind::IntegrationDisconnected;
    set_state(conn, moment, integration, actor, IntegrationState::Disconnected, None, kind).await?;
    sqlx::query!(
        "update integrations set access_token = null, refresh_token = null, expires_at = null where id = $1 and team_id = $2",
        integration.id,
        integration.team_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A consent that ended well.
pub struct Connected<'a> {
    pub id: Uuid,
    pub platform: &'a str,
    pub account: &'a rejoinder_platforms::Account,
    pub access_token: Vec<u8>,
    pub refresh_token: Option<Vec<u8>>,
    pub scopes: &'a [String],
    pub expires_at: Option<OffsetDateTime>,
}

/// The row that a connection of this account would use: the team's own earlier one, if any.
pub async fn row_for_account(
    conn: &mut PgConnection,
    team_id: Uuid,
    platform: &str,
    account_id: &str,
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select id from integrations where team_id = $1 and platform = $2 and platform_account_id = $3
         order by state <> 'disconnected' desc, updated_at desc limit 1",
        team_id,
        platform,
        account_id,
    )
    .fetch_optional(conn)
    .await
}

/// Stores a connection. A newer consent in another team pauses the older one there: two teams must not answer with one account.
pub async fn connect(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    actor: Actor,
    connected: Connected<'_>,
) -> Result<(), sqlx::Error> {
    release_elsewhere(conn, moment, team_id, &connected).await?;
    sqlx::query!(
        "insert into integrations (id, team_id, platform, platform_account_id, display_name, access_token, refresh_token, scopes,
             expires_at, state, state_since, next_poll_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'connected', $10, $10, $10, $10)
         on conflict on constraint integrations_pkey do update
         set display_name = excluded.display_name, access_token = excluded.access_token, refresh_token = excluded.refresh_token,
             scopes = excluded.scopes, expires_at = excluded.expires_at, state = 'connected', state_reason = null,
             state_since = excluded.state_since, next_poll_at = excluded.next_poll_at, token_lease_until = null,
             last_poll_problem = null, updated_at = excluded.updated_at",
        connected.id,
        team_id,
        connected.platform,
        connected.account.id,
        connected.account.name,
        connected.access_token,
        connected.refresh_token,
        connected.scopes,
        connected.expires_at,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({
        "platform": connected.platform, "account": connected.account.name, "account_id": connected.account.id, "scopes": connected.scopes,
    });
    activity::record(
        conn,
        moment,
        team_id,
        actor,
        Kind::IntegrationConnected,
        Subject::Integration(connected.id),
        payload,
    )
    .await?;
    // Replies may wait for it.
    send::wake(conn, moment).await
}

async fn release_elsewhere(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    connected: &Connected<'_>,
) -> Result<(), sqlx::Error> {
    let older = select_integrations!(
        "where platform = $1 and platform_account_id = $2 and state <> 'disconnected' and team_id <> $3 for update",
        connected.platform,
        connected.account.id,
        team_id,
    )
    .fetch_all(&mut *conn)
    .await?;
    for integration in older {
        disconnect(conn, moment, &integration, None).await?;
        sqlx::query!(
            "update integrations set state_reason = $2 where id = $1",
            integration.id,
            "This account was connected to another team later.",
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}
