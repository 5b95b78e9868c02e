//! Connecting a platform account: out to the consent page and back.
//!
//! A state is single use, lives ten minutes, belongs to one person and team, and is spent before the code is exchanged: whatever
//! goes wrong afterwards, nothing half-made stays and the person simply starts again.

use super::integrations::{self, Connected};
use super::{teams, tokens};
use crate::app::App;
use crate::clock::Moment;
use crate::flow::ingest::IntegrationPoll;
use crate::jobs;
use crate::model::Role;
use crate::secrets::{Place, SealError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rejoinder_platforms::{AuthError, AuthorizeRequest, FetchError};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;

const STATE_LASTS: time::Duration = time::Duration::minutes(10);

/// Why a connection did not come about, each with its own words on the page.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("there is no platform called {0}")]
    UnknownPlatform(String),
    /// The operator has not entered a client id for it.
    #[error("{0}")]
    NotConfigured(String),
    #[error("You did not give consent on the platform.")]
    Declined,
    #[error("This connection was begun too long ago, or was already finished.")]
    StateSpent,
    #[error("This connection was begun by someone else, or in another browser.")]
    OtherPerson,
    /// The role was taken away while the person was on the consent page.
    #[error("Only an admin of the team may connect accounts.")]
    NotAdmin,
    /// The platform does not take the code: too late, or used before.
    #[error("The platform did not accept the consent any more.")]
    CodeSpent,
    #[error("The platform refuses this server's app: {0}")]
    AppRefused(String),
    #[error("The platform did not answer: {0}")]
    Unavailable(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Where the platform sends people back to.
pub fn callback_url(app: &App, platform: &str) -> Url {
    let mut url = app.config.public_url.clone();
    url.set_path(&format!("/api/integrations/{platform}/oauth/callback"));
    url
}

fn reader(app: &App, platform: &str) -> Result<std::sync::Arc<dyn rejoinder_platforms::Reader>, ConnectError> {
    if !rejoinder_platforms::PLATFORMS.iter().any(|(known, _)| *known == platform) {
        return Err(ConnectError::UnknownPlatform(platform.to_owned()));
    }
    app.readers.get(platform).cloned().map_err(|error| ConnectError::NotConfigured(error.to_string()))
}

/// The consent page to send the person to.
pub async fn start(
    app: &App,
    moment: &Moment,
    team_id: Uuid,
    user_id: Uuid,
    platform: &str,
) -> Result<Url, ConnectError> {
    let reader = reader(app, platform)?;
    let (id, state) = (moment.id(), moment.entropy().token(32));
    let verifier = SecretString::from(moment.entropy().token(48));
    let state_hash = Sha256::digest(state.as_bytes());
    let mut tx = app.db.begin().await?;
    let place = Place { table: "oauth_states", column: "verifier", row: id, team: team_id };
    let sealed = app.keyring.seal(&mut tx, moment.now, moment.entropy(), place, &verifier).await?;
    sqlx::query!(
        "insert into oauth_states (id, state_hash, team_id, user_id, platform, verifier, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        id,
        state_hash.as_slice(),
        team_id,
        user_id,
        platform,
        sealed,
        moment.now,
        moment.now + STATE_LASTS,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    let code_challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret().as_bytes()));
    let redirect_uri = callback_url(app, platform);
    Ok(reader.authorize_url(&AuthorizeRequest { state, redirect_uri, code_challenge }))
}

/// What came back on the callback address.
#[derive(Debug)]
pub struct Callback {
    pub state: String,
    pub code: Option<String>,
    pub error: Option<String>,
}

/// Spends the state, exchanges the code, stores the account and starts the first poll. Returns the integration.
pub async fn finish(
    app: &App,
    moment: &Moment,
    platform: &str,
    user_id: Uuid,
    callback: Callback,
) -> Result<Uuid, ConnectError> {
    let reader = reader(app, platform)?;
    let (team_id, verifier) = spend_state(app, moment, platform, user_id, &callback.state).await?;
    let mut conn = app.db.acquire().await?;
    if teams::role_of(&mut conn, team_id, user_id).await? != Some(Role::Admin) {
        return Err(ConnectError::NotAdmin);
    }
    drop(conn);
    if let Some(error) = callback.error {
        return Err(match error.as_str() {
            "access_denied" => ConnectError::Declined,
            other => ConnectError::AppRefused(other.chars().filter(|c| c.is_ascii_graphic()).take(60).collect()),
        });
    }
    // Some platforms append `#_`; browsers drop it, copied addresses do not.
    let code = callback.code.as_deref().map(|code| code.trim_end_matches("#_")).ok_or(ConnectError::CodeSpent)?;
    let grant =
        reader.exchange_code(code, &callback_url(app, platform), verifier.expose_secret()).await.map_err(|error| {
            match error {
                AuthError::GrantDead(_) => ConnectError::CodeSpent,
                AuthError::AppRefused(reason) => ConnectError::AppRefused(reason),
                AuthError::Unavailable { reason, .. } => ConnectError::Unavailable(reason),
            }
        })?;
    let account = reader.me(&grant.access_token).await.map_err(|error| match error {
        FetchError::Refused { code, reason, .. } => ConnectError::AppRefused(format!("{reason} ({code})")),
        other => ConnectError::Unavailable(other.to_string()),
    })?;
    let mut tx = app.db.begin().await?;
    let id =
        integrations::row_for_account(&mut tx, team_id, platform, &account.id).await?.unwrap_or_else(|| moment.id());
    let (access_token, refresh_token) = tokens::seal(app, &mut tx, moment, (id, team_id), &grant).await?;
    let connected = Connected {
        id,
        platform,
        account: &account,
        access_token,
        refresh_token,
        scopes: &grant.scopes,
        expires_at: tokens::expires_at(&grant, moment.now),
    };
    integrations::connect(&mut tx, moment, team_id, Some(user_id), connected).await?;
    jobs::enqueue(&mut tx, &IntegrationPoll { integration_id: id }, moment.now).await?;
    tx.commit().await?;
    Ok(id)
}

async fn spend_state(
    app: &App,
    moment: &Moment,
    platform: &str,
    user_id: Uuid,
    state: &str,
) -> Result<(Uuid, SecretString), ConnectError> {
    let mut conn = app.db.acquire().await?;
    let hash = Sha256::digest(state.as_bytes());
    let owner = sqlx::query_scalar!("select user_id from oauth_states where state_hash = $1", hash.as_slice())
        .fetch_optional(&mut *conn)
        .await?
        .ok_or(ConnectError::StateSpent)?;
    if owner != user_id {
        // Not spent: its owner may still come back.
        return Err(ConnectError::OtherPerson);
    }
    let row = sqlx::query!(
        "update oauth_states set used_at = $3
         where state_hash = $1 and platform = $2 and used_at is null and expires_at > $3
         returning id, team_id, verifier",
        hash.as_slice(),
        platform,
        moment.now,
    )
    .fetch_optional(&mut *conn)
    .await?
    .ok_or(ConnectError::StateSpent)?;
    let place = Place { table: "oauth_states", column: "verifier", row: row.id, team: row.team_id };
    Ok((row.team_id, app.keyring.open(&mut conn, place, &row.verifier).await?))
}

/// Upkeep: states that nobody came back for. Returns how many went.
pub async fn forget_old_states(conn: &mut sqlx::PgConnection, moment: &Moment) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!("delete from oauth_states where expires_at < $1", moment.now - time::Duration::days(1))
        .execute(conn)
        .await?;
    Ok(gone.rows_affected())
}
