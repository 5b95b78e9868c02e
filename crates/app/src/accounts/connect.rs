//! Connecting a platform account: out to the consent page and back.
//!
//! A state is single use, lives ten minutes, belongs to one person and team, and is spent before the code is exchanged: whatever
//! goes wrong afterwards, nothing half-made stays and the person simply starts again. A browser that comes back without that person's session
//! connects nothing: the grant waits for them (`pending`), as does one that reaches several accounts, for their choice. `exchange` has what
//! becomes of a code, `target` where browsers may be led.

mod exchange;
mod kept;
mod pending;
mod replaced;
pub mod target;

pub use kept::Choice;
pub use pending::{CompleteError, Completed, Pending, PendingSweep, complete, look};

use super::integrations::{self, Connected};
use super::subscriptions::WebhookSubscribe;
use super::{platform_apps, teams, tokens};
use crate::app::App;
use crate::clock::Moment;
use crate::config::Config;
use crate::coord::budget::Urgency;
use crate::error::chain;
use crate::flow::ingest::{IntegrationPoll, PostProcess, webhook_events};
use crate::jobs;
use crate::model::Role;
use crate::secrets::{Place, SealError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use exchange::{Consent, exchange};
use rejoinder_platforms::{AuthorizeRequest, Reached, Reader};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, Postgres, Transaction};
use std::sync::Arc;
use url::Url;
use uuid::Uuid;

const STATE_LASTS: time::Duration = time::Duration::minutes(10);
/// A person waits for it.
const REVOKE_LASTS: std::time::Duration = std::time::Duration::from_secs(5);

/// Why a connection did not come about, each with its own words on the page.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("there is no platform called {0}")]
    UnknownPlatform(String),
    /// The operator has not entered a client id for it.
    #[error("{0}")]
    NotConfigured(String),
    /// The installation has none, and the team brought none.
    #[error("This server has no app of its own at {0}: an admin of the team enters one under Settings, Own apps.")]
    NoApp(&'static str),
    #[error("{0} is no way to sign in that this server has for the platform")]
    UnknownLogin(String),
    /// What the caller asked to be led back to.
    #[error("must be a path or an address below {0}, where the frontend is")]
    ForeignTarget(Url),
    #[error("You did not give consent on the platform.")]
    Declined,
    #[error("The platform came back with a state that this server did not give out.")]
    StateUnknown,
    #[error("This connection was begun too long ago, or was already finished.")]
    StateSpent,
    /// The role was taken away while the person was on the consent page.
    #[error("Only an admin of the team may connect accounts.")]
    NotAdmin,
    /// Neither a code nor an error.
    #[error("The platform came back without a code.")]
    NoCode,
    /// The platform does not take the code: too late, or used before.
    #[error("The platform did not accept the consent any more.")]
    CodeSpent,
    /// The consent is good, and no account can be had by it.
    #[error("Nothing that you shared leads to an account on the platform.")]
    NoAccount,
    /// Without it nothing can be found.
    #[error("The consent lacks a permission that connecting needs: {0}")]
    LacksPermission(String),
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
    callback_of(&app.config, platform)
}

/// The same by the settings alone: the address to register at the platform.
pub fn callback_of(config: &Config, platform: &str) -> Url {
    let mut url = config.public_url.clone();
    url.set_path(&format!("/api/integrations/{platform}/oauth/callback"));
    url
}

fn reader(app: &App, platform: &str) -> Result<Arc<dyn Reader>, ConnectError> {
    if !rejoinder_platforms::PLATFORMS.iter().any(|(known, _)| *known == platform) {
        return Err(ConnectError::UnknownPlatform(platform.to_owned()));
    }
    app.readers.get(platform).cloned().map_err(|error| ConnectError::NotConfigured(error.to_string()))
}

/// By the platform's usual way of signing in.
pub async fn start(
    app: &App,
    moment: &Moment,
    whose: (Uuid, Uuid),
    platform: &str,
    return_to: Option<&str>,
) -> Result<Url, ConnectError> {
    start_by(app, moment, whose, (platform, None), return_to).await
}

/// The consent page to send the person to. `login`: one of the platform's further ways of signing in. `return_to`: where below
/// `REDIRECT_BASE` they are led afterwards; None: to the dashboard.
pub async fn start_by(
    app: &App,
    moment: &Moment,
    (team_id, user_id): (Uuid, Uuid),
    (platform, login): (&str, Option<&str>),
    return_to: Option<&str>,
) -> Result<Url, ConnectError> {
    let reader = reader(app, platform)?;
    let logins = reader.capabilities().logins;
    if let Some(unknown) = login.filter(|login| !logins.iter().any(|known| known.slug == *login)) {
        return Err(ConnectError::UnknownLogin(unknown.chars().take(40).collect()));
    }
    let base = &app.config.redirect_base;
    let foreign = || ConnectError::ForeignTarget(base.clone());
    let return_to = return_to.map(|asked| target::below(base, asked).ok_or_else(foreign)).transpose()?;
    let (id, state) = (moment.id(), moment.entropy().token(32));
    let verifier = SecretString::from(moment.entropy().token(48));
    let state_hash = Sha256::digest(state.as_bytes());
    let mut tx = app.db.begin().await?;
    // A team's own app is one for the usual way.
    let app_id = match login {
        None => platform_apps::current(&mut tx, team_id, platform).await?,
        Some(_) => None,
    };
    if app_id.is_none() && reader.own_client().is_none() {
        return Err(ConnectError::NoApp(reader.capabilities().name));
    }
    let of = (team_id, platform);
    let mut through = platform_apps::through(app, &mut tx, of, app_id, Urgency::TOKEN).await?;
    through.login = login.map(str::to_owned);
    let place = Place { table: "oauth_states", column: "verifier", row: id, team: team_id };
    let sealed = app.keyring.seal(&mut tx, moment.now, moment.entropy(), place, &verifier).await?;
    sqlx::query!(
        "insert into oauth_states (id, state_hash, team_id, user_id, platform, verifier, return_to, created_at, expires_at, app_id, login)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        id,
        state_hash.as_slice(),
        team_id,
        user_id,
        platform,
        sealed,
        return_to.map(String::from),
        moment.now,
        moment.now + STATE_LASTS,
        app_id,
        login,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    let code_challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret().as_bytes()));
    let redirect_uri = callback_url(app, platform);
    Ok(reader.authorize_url(&through, &AuthorizeRequest { state, redirect_uri, code_challenge }))
}

/// What came back on the callback address.
#[derive(Debug)]
pub struct Callback {
    pub state: String,
    pub code: Option<String>,
    pub error: Option<String>,
}

/// How a browser that came back goes on.
#[derive(Debug)]
pub struct CameBack {
    /// Where it is led, below `REDIRECT_BASE`.
    pub target: Url,
    pub arrived: Result<Arrived, ConnectError>,
}

#[derive(Debug)]
pub enum Arrived {
    /// The integration.
    Connected(Uuid),
    /// The person who began it confirms with this ticket, and says which account where there are several.
    Pending(SecretString),
}

/// Spends the state and exchanges the code. `session_of`: the person whose session the browser has; anybody but who began counts as nobody.
pub async fn come_back(
    app: &App,
    moment: &Moment,
    platform: &str,
    session_of: Option<Uuid>,
    callback: Callback,
) -> CameBack {
    let mut target = target::dashboard(&app.config.redirect_base);
    let arrived = arrive(app, moment, platform, session_of, callback, &mut target).await;
    CameBack { target, arrived }
}

async fn arrive(
    app: &App,
    moment: &Moment,
    platform: &str,
    session_of: Option<Uuid>,
    callback: Callback,
    target: &mut Url,
) -> Result<Arrived, ConnectError> {
    let reader = reader(app, platform)?;
    let begun = begun(app, platform, &callback.state).await?;
    if let Some(asked) = begun.return_to.as_deref().and_then(|asked| target::below(&app.config.redirect_base, asked)) {
        *target = asked;
    }
    let verifier = spend(app, moment, &begun).await?;
    let (team_id, user_id) = (begun.team_id, begun.user_id);
    let mut conn = app.db.acquire().await?;
    let role = teams::role_of(&mut conn, team_id, user_id).await?;
    let of = (team_id, platform);
    let mut through = platform_apps::through(app, &mut conn, of, begun.app_id, Urgency::TOKEN).await?;
    through.login = begun.login;
    drop(conn);
    if role != Some(Role::Admin) {
        return Err(ConnectError::NotAdmin);
    }
    let redirect_uri = callback_url(app, platform);
    let reached = exchange(&*reader, &through, callback, (&redirect_uri, &verifier)).await?;
    let consent = Consent { reached, granted_at: moment.now, app_id: begun.app_id };
    let confirmed = session_of == Some(user_id);
    match settle(app, moment, (team_id, user_id), platform, &consent, confirmed).await {
        Ok((tx, arrived)) => {
            // Whether it stands when the answer is lost is not known, so nothing is given back.
            tx.commit().await?;
            Ok(arrived)
        }
        Err(error) => {
            for reached in &consent.reached {
                pending::revoke(app, platform, &through, &reached.grant).await;
            }
            Err(error)
        }
    }
}

/// Stores what the consent gave, or keeps it for its person; the caller commits. The role counts as it is now: the platform took its time.
async fn settle(
    app: &App,
    moment: &Moment,
    (team_id, user_id): (Uuid, Uuid),
    platform: &str,
    consent: &Consent,
    confirmed: bool,
) -> Result<(Transaction<'static, Postgres>, Arrived), ConnectError> {
    let mut tx = app.db.begin().await?;
    teams::lock(&mut tx, team_id).await?;
    if teams::role_of(&mut tx, team_id, user_id).await? != Some(Role::Admin) {
        return Err(ConnectError::NotAdmin);
    }
    let arrived = match consent.reached.as_slice() {
        [only] if confirmed => {
            Arrived::Connected(store(app, &mut tx, moment, (team_id, user_id), platform, (only, consent)).await?)
        }
        _ => Arrived::Pending(pending::keep(app, &mut tx, moment, (team_id, user_id), platform, consent).await?),
    };
    Ok((tx, arrived))
}

/// Disconnects an account and gives its access back to the platform. A platform that does not answer changes nothing: the tokens are wiped
/// here all the same.
pub async fn disconnect(
    app: &App,
    moment: &Moment,
    (team_id, user_id): (Uuid, Uuid),
    id: Uuid,
) -> Result<bool, SealError> {
    let mut tx = app.db.begin().await?;
    let Some(integration) = integrations::hold_to_change(&mut tx, team_id, id).await? else { return Ok(false) };
    let grant = match tokens::grant_of(app, &mut tx, &integration).await {
        Ok(grant) => grant,
        Err(SealError::Database(error)) => return Err(error.into()),
        Err(error) => {
            tracing::warn!(error = %chain(&error), "the tokens of an account cannot be opened and are wiped");
            None
        }
    };
    let of = (team_id, integration.platform.as_str());
    let through = platform_apps::through(app, &mut tx, of, integration.app_id, Urgency::TOKEN).await?;
    integrations::disconnect(&mut tx, moment, &integration, Some(user_id)).await?;
    tx.commit().await?;
    if let Some(grant) = grant {
        let revoked = pending::revoke(app, &integration.platform, &through, &grant);
        if tokio::time::timeout(REVOKE_LASTS, revoked).await.is_err() {
            tracing::warn!(platform = integration.platform, "the platform took too long to take an access back");
        }
    }
    Ok(true)
}

/// The account becomes the team's and is polled for the first time; grants that this one replaces go back to the platform. The caller holds
/// the team.
async fn store(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    (team_id, user_id): (Uuid, Uuid),
    platform: &str,
    (reached, consent): (&Reached, &Consent),
) -> Result<Uuid, SealError> {
    let (Reached { account, grant, .. }, Consent { granted_at, app_id, .. }) = (reached, consent);
    integrations::lock_account(conn, platform, &account.id).await?;
    let known = integrations::row_for_account(conn, team_id, platform, &account.id).await?;
    let id = known.unwrap_or_else(|| moment.id());
    replaced::give_back(app, conn, moment, user_id, (platform, account, grant)).await?;
    let (access_token, refresh_token) = tokens::seal(app, conn, moment, (id, team_id), grant).await?;
    let connected = Connected {
        id,
        platform,
        account,
        access_token,
        refresh_token,
        scopes: &grant.scopes,
        expires_at: tokens::expires_at(grant, *granted_at),
        app_id: *app_id,
    };
    integrations::connect(conn, moment, team_id, Some(user_id), connected).await?;
    jobs::enqueue(conn, &IntegrationPoll { integration_id: id }, moment.now).await?;
    if app.readers.get(platform).is_ok_and(|reader| reader.takes_webhooks()) {
        jobs::enqueue(conn, &WebhookSubscribe { integration_id: id }, moment.now).await?;
    }
    // What webhooks told of the account before, and what waited for it to be connected again.
    webhook_events::adopt(conn, moment, id, platform, &account.id).await?;
    if !webhook_events::waiting(conn, id, 1).await?.is_empty() {
        jobs::enqueue(conn, &PostProcess { integration_id: id }, moment.now).await?;
    }
    Ok(id)
}

struct Begun {
    id: Uuid,
    team_id: Uuid,
    user_id: Uuid,
    verifier: Vec<u8>,
    return_to: Option<String>,
    app_id: Option<Uuid>,
    login: Option<String>,
}

async fn begun(app: &App, platform: &str, state: &str) -> Result<Begun, ConnectError> {
    let hash = Sha256::digest(state.as_bytes());
    let begun = sqlx::query_as!(
        Begun,
        "select id, team_id, user_id, verifier, return_to, app_id, login from oauth_states where state_hash = $1 and platform = $2",
        hash.as_slice(),
        platform,
    );
    begun.fetch_optional(&app.db).await?.ok_or(ConnectError::StateUnknown)
}

async fn spend(app: &App, moment: &Moment, begun: &Begun) -> Result<SecretString, ConnectError> {
    let mut conn = app.db.acquire().await?;
    let spent = sqlx::query!(
        "update oauth_states set used_at = $3 where id = $1 and team_id = $2 and used_at is null and expires_at > $3",
        begun.id,
        begun.team_id,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    if spent.rows_affected() == 0 {
        return Err(ConnectError::StateSpent);
    }
    let place = Place { table: "oauth_states", column: "verifier", row: begun.id, team: begun.team_id };
    Ok(app.keyring.open(&mut conn, place, &begun.verifier).await?)
}

/// Upkeep: states that nobody came back for. Returns how many went.
pub async fn forget_old_states(conn: &mut sqlx::PgConnection, moment: &Moment) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!("delete from oauth_states where expires_at < $1", moment.now - time::Duration::days(1))
        .execute(conn)
        .await?;
    Ok(gone.rows_affected())
}
