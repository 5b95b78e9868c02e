//! Connecting an account: a consent that ended well becomes a row.

use super::{load, state};
use crate::clock::Moment;
use crate::flow::activity::{self, Actor, Kind, Subject};
use crate::flow::send;
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A consent that ended well.
pub struct Connected<'a> {
    pub id: Uuid,
    pub platform: &'a str,
    pub account: &'a rejoinder_platforms::Account,
    pub access_token: Vec<u8>,
    pub refresh_token: Option<Vec<u8>>,
    pub scopes: &'a [String],
    pub expires_at: Option<OffsetDateTime>,
    /// The team's own app that the consent was given to; None: the app of the installation.
    pub app_id: Option<Uuid>,
}

/// Of several consents for one account, in whatever teams, one is stored at a time. Held to the end of the transaction.
pub async fn lock_account(conn: &mut PgConnection, platform: &str, account_id: &str) -> Result<(), sqlx::Error> {
    let key = format!("integration {platform} {account_id}");
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", key).execute(conn).await?;
    Ok(())
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

/// Stores a connection. A newer consent in another team ends the older one there: two teams must not answer with one
/// account. What a person paused is connected again and stays paused; else what waited for the account goes on.
pub async fn connect(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    actor: Actor,
    connected: Connected<'_>,
) -> Result<(), sqlx::Error> {
    release_elsewhere(conn, moment, team_id, &connected).await?;
    sqlx::query!(
        "insert into integrations as kept (id, team_id, platform, platform_account_id, display_name, access_token, refresh_token, scopes,
             expires_at, state, state_since, next_poll_at, created_at, updated_at, app_id, consented_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'connected', $10, $10, $10, $10, $11, $10)
         on conflict on constraint integrations_pkey do update
         set display_name = excluded.display_name, access_token = excluded.access_token, refresh_token = excluded.refresh_token,
             scopes = excluded.scopes, expires_at = excluded.expires_at, app_id = excluded.app_id, consented_at = excluded.consented_at,
             state = case when kept.pause_cause = 'person' then 'paused' else 'connected' end,
             state_reason = case when kept.pause_cause is distinct from 'person' then null
                                 when kept.state = 'paused' then kept.state_reason
                                 else 'It was paused before its access ended.' end,
             state_since = case when kept.state = 'paused' and kept.pause_cause = 'person' then kept.state_since
                                else excluded.state_since end,
             pause_cause = case when kept.pause_cause = 'person' then kept.pause_cause end,
             paused_by = case when kept.pause_cause = 'person' then kept.paused_by end,
             next_poll_at = excluded.next_poll_at, list_at = null, token_lease_until = null, last_poll_problem = null, updated_at = excluded.updated_at",
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
        connected.app_id,
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
    tell(conn, moment, team_id, connected.id).await
}

/// The team's notices as the account stands now; what waited for it goes on.
async fn tell(conn: &mut PgConnection, moment: &Moment, team_id: Uuid, id: Uuid) -> Result<(), sqlx::Error> {
    state::settled(conn, moment, team_id, id).await?;
    let Some(current) = load(conn, team_id, id).await? else { return Ok(()) };
    if current.is_connected() {
        return send::wake(conn, moment).await;
    }
    state::raise_paused(conn, moment, &current, current.state_reason.as_deref()).await
}

async fn release_elsewhere(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    connected: &Connected<'_>,
) -> Result<(), sqlx::Error> {
    let older = sqlx::query!(
        "select id, team_id from integrations
         where platform = $1 and platform_account_id = $2 and state <> 'disconnected' and team_id <> $3",
        connected.platform,
        connected.account.id,
        team_id,
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in older {
        if let Some(integration) = load(conn, row.team_id, row.id).await? {
            state::release(conn, moment, &integration).await?;
        }
    }
    Ok(())
}
