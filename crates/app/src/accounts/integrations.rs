//! Connected platform accounts: the only writer of `integrations`. Tokens stand sealed in the row and are opened in
//! `accounts::tokens` alone.
//!
//! An account that is paused writes nothing and is read all the same. `state` has every change of state, `connection` the
//! end of a consent, `withdrawal` what its owner ends on the platform.

mod connection;
mod rhythm;
mod state;
mod withdrawal;

pub use crate::model::PauseCause;
pub use connection::{Connected, connect, lock_account, row_for_account};
pub use rhythm::{
    Reading, Rhythm, Round, doubt_sweep, list_now, listed, platforms_of, poll_those_with, readings, rhythm, rounded,
    sweep_doubt, sweep_due_at, sweeps_due, swept,
};
pub use state::{
    Switched, access_ends, access_renewed, disconnect, needs_reconnect, pause, pause_app, pause_by_person, resume,
};
pub use withdrawal::{erase, owned_by, withdraw};

use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::ingest::Source;
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
    pub pause_cause: Option<String>,
    /// The person who paused it.
    pub paused_by: Option<Uuid>,
    pub paused_by_name: Option<String>,
    pub poll_cursor: Value,
    pub last_polled_at: Option<OffsetDateTime>,
    pub last_poll_problem: Option<String>,
    pub next_poll_at: OffsetDateTime,
    pub token_lease_until: Option<OffsetDateTime>,
    /// The platform asked to wait so long before anything is read.
    pub read_after: Option<OffsetDateTime>,
    /// When an admin confirmed the platform's policy; rules post nothing before.
    pub policy_confirmed_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    /// The team's own app that it was connected through; None: the app of the installation.
    pub app_id: Option<Uuid>,
    pub app_client_id: Option<String>,
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

    /// Whether its threads are read: a pause keeps us from writing, not from reading.
    pub fn is_read(&self) -> bool {
        matches!(self.state(), IntegrationState::Connected | IntegrationState::Paused)
    }

    /// Who or what paused it; also while its access has ended meanwhile.
    pub fn pause_cause(&self) -> Option<PauseCause> {
        self.pause_cause.clone().map(PauseCause::from)
    }

    /// "moka_and_co (Reddit)", for sentences.
    pub fn label(&self) -> String {
        let known = rejoinder_platforms::PLATFORMS.iter().find(|(slug, _)| *slug == self.platform);
        format!("{} ({})", self.display_name, known.map_or(self.platform.as_str(), |(_, name)| name))
    }
}

macro_rules! select_integrations {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            Integration,
            r#"select id, team_id, platform, platform_account_id, display_name, access_token, refresh_token, scopes, expires_at, state,
                    state_reason, state_since, pause_cause, paused_by,
                    (select name from users where users.id = paused_by) as paused_by_name,
                    poll_cursor, last_polled_at, last_poll_problem, next_poll_at, token_lease_until, read_after, policy_confirmed_at, created_at, app_id,
                    (select client_id from platform_apps where platform_apps.id = app_id) as app_client_id
             from integrations "# + $rest,
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

/// Accounts whose next round is due. `limit` bounds one sweep.
pub async fn due(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select id from integrations where state in ('connected', 'paused') and next_poll_at <= $1 order by next_poll_at limit $2",
        now,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Loads the row and keeps others from changing it until the transaction ends.
pub async fn hold_to_change(
    conn: &mut PgConnection,
    team_id: Uuid,
    id: Uuid,
) -> Result<Option<Integration>, sqlx::Error> {
    select_integrations!("where id = $1 and team_id = $2 for no key update", id, team_id).fetch_optional(conn).await
}

/// All rows of one account that have tokens, whatever their team, held to be changed, always in the same order.
pub(super) async fn hold_account(
    conn: &mut PgConnection,
    platform: &str,
    account_id: &str,
) -> Result<Vec<Integration>, sqlx::Error> {
    select_integrations!(
        "where platform = $1 and platform_account_id = $2 and access_token is not null order by id for no key update",
        platform,
        account_id,
    )
    .fetch_all(conn)
    .await
}

/// The connected accounts of a platform that were connected through one app, held to be changed, always in the same order.
async fn connected_of(
    conn: &mut PgConnection,
    platform: &str,
    app_id: Option<Uuid>,
) -> Result<Vec<Integration>, sqlx::Error> {
    select_integrations!(
        "where platform = $1 and app_id is not distinct from $2 and state = 'connected' order by id for no key update",
        platform,
        app_id,
    )
    .fetch_all(conn)
    .await
}

/// Some account of the team that is read, to look after the texts of one that is not any more.
pub async fn another_reader(
    conn: &mut PgConnection,
    team_id: Uuid,
    platform: &str,
) -> Result<Option<Integration>, sqlx::Error> {
    select_integrations!(
        "where team_id = $1 and platform = $2 and state in ('connected', 'paused') order by created_at, id limit 1",
        team_id,
        platform,
    )
    .fetch_optional(conn)
    .await
}

/// Accounts whose token ends before `until` and can be renewed.
pub async fn expiring(
    conn: &mut PgConnection,
    platform: &str,
    until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Integration>, sqlx::Error> {
    select_integrations!(
        "where platform = $3 and state in ('connected', 'paused') and expires_at <= $1 and refresh_token is not null
         order by expires_at limit $2",
        until,
        limit,
        platform,
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

/// The platform asked to wait: whatever comes meanwhile, nothing is read before.
pub async fn read_not_before(
    conn: &mut PgConnection,
    team_id: Uuid,
    id: Uuid,
    until: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update integrations set read_after = greatest(read_after, $3) where id = $1 and team_id = $2",
        id,
        team_id,
        until,
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

/// An admin stands for automatic replies with the account. The first confirmation stays.
pub async fn confirm_policy(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    by: Uuid,
) -> Result<(), sqlx::Error> {
    let confirmed = sqlx::query_scalar!(
        "update integrations set policy_confirmed_at = $3, policy_confirmed_by = $4, updated_at = $3
         where id = $1 and team_id = $2 and policy_confirmed_at is null
         returning display_name",
        id,
        team_id,
        moment.now,
        by,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(account) = confirmed else { return Ok(()) };
    let payload = json!({ "account": account });
    activity::record(conn, moment, team_id, Some(by), Kind::PolicyConfirmed, Subject::Integration(id), payload).await
}

/// A person asks for a round now.
pub async fn poll_now(conn: &mut PgConnection, moment: &Moment, team_id: Uuid, id: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update integrations set next_poll_at = $3, list_at = null where id = $1 and team_id = $2 and state in ('connected', 'paused')",
        id,
        team_id,
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
