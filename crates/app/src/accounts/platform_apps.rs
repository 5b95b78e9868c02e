//! Apps that teams bring: a client id of their own at a platform, with its own request budget. The only writer of `platform_apps`.
//!
//! Always: a token works only with the app that it was given to, so an account remembers the app of its consent and every call
//! about it goes through that one. A client id never changes; another one is another row, and the one before stays for the accounts
//! that were connected through it. The secret is sealed, goes in and never out again.

use super::integrations::{self, Integration};
use super::teams;
use crate::app::App;
use crate::clock::Moment;
use crate::coord::budget::{Key, Urgency};
use crate::flow::activity::{self, Kind, Subject};
use crate::secrets::{Place, SealError};
use rejoinder_platforms::{AppCredentials, Through};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

const LONGEST: usize = 200;

/// What an admin sees of an app; the secret is not among it.
#[derive(Debug, Clone)]
pub struct PlatformApp {
    pub id: Uuid,
    pub platform: String,
    pub client_id: String,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    /// Accounts that were connected through it and are connected still.
    pub accounts: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{message}")]
    Field { field: &'static str, message: String },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Those that new accounts of the team are connected through, by platform.
pub async fn list(conn: &mut PgConnection, team_id: Uuid) -> Result<Vec<PlatformApp>, sqlx::Error> {
    sqlx::query_as!(
        PlatformApp,
        r#"select a.id, a.platform, a.client_id, a.created_at, a.updated_at,
                  (select count(*) from integrations i where i.app_id = a.id and i.state <> 'disconnected') as "accounts!"
           from platform_apps a where a.team_id = $1 and a.retired_at is null order by a.platform"#,
        team_id,
    )
    .fetch_all(conn)
    .await
}

/// The one that a new account of the team is connected through. None: the app of the installation.
pub async fn current(conn: &mut PgConnection, team_id: Uuid, platform: &str) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "select id from platform_apps where team_id = $1 and platform = $2 and retired_at is null",
        team_id,
        platform,
    )
    .fetch_optional(conn)
    .await
}

fn place(id: Uuid, team_id: Uuid) -> Place {
    Place { table: "platform_apps", column: "client_secret", row: id, team: team_id }
}

fn field(name: &'static str, text: &str) -> Result<(), AppError> {
    let wrong = |message: &str| Err(AppError::Field { field: name, message: message.to_owned() });
    match text {
        "" => wrong("is missing; copy it from the page of your app at the platform"),
        text if text.len() > LONGEST => wrong("is longer than 200 signs; copy it anew from the page of your app"),
        text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            wrong("holds a space or a sign that no such value has; copy it anew from the page of your app")
        }
        _ => Ok(()),
    }
}

/// New accounts of the team are connected through this app from now on. The same client id again replaces its secret.
pub async fn set(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    (team_id, actor): (Uuid, Uuid),
    platform: &str,
    (client_id, client_secret): (&str, &SecretString),
) -> Result<(), AppError> {
    field("client_id", client_id)?;
    field("client_secret", client_secret.expose_secret())?;
    teams::lock(conn, team_id).await?;
    let before = sqlx::query!(
        "select id, client_id from platform_apps where team_id = $1 and platform = $2 and retired_at is null",
        team_id,
        platform,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let same = before.as_ref().filter(|before| before.client_id == client_id).map(|before| before.id);
    let id = same.unwrap_or_else(|| moment.id());
    let sealed = app.keyring.seal(conn, moment.now, moment.entropy(), place(id, team_id), client_secret).await?;
    sqlx::query!(
        "update platform_apps set retired_at = $3, updated_at = $3
         where team_id = $1 and platform = $2 and retired_at is null and id <> $4",
        team_id,
        platform,
        moment.now,
        id,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into platform_apps (id, team_id, platform, client_id, client_secret, created_by, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7)
         on conflict on constraint platform_apps_pkey do update
         set client_secret = excluded.client_secret, updated_at = excluded.updated_at",
        id,
        team_id,
        platform,
        client_id,
        sealed,
        actor,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({
        "platform": platform, "client_id": client_id, "before": before.map(|before| before.client_id), "secret": "replaced",
    });
    activity::record(conn, moment, team_id, Some(actor), Kind::PlatformAppSet, Subject::Team(team_id), payload).await?;
    Ok(())
}

/// New accounts are connected through the app of the installation again. Accounts of this app need a new consent: without its
/// secret their tokens cannot be renewed. False: the team has none for this platform.
pub async fn remove(
    conn: &mut PgConnection,
    moment: &Moment,
    (team_id, actor): (Uuid, Uuid),
    platform: &str,
) -> Result<bool, sqlx::Error> {
    teams::lock(conn, team_id).await?;
    let removed = sqlx::query!(
        "update platform_apps set client_secret = null, retired_at = coalesce(retired_at, $3), updated_at = $3
         where team_id = $1 and platform = $2 and client_secret is not null
           and exists (select from platform_apps c where c.team_id = $1 and c.platform = $2 and c.retired_at is null)
         returning id, client_id",
        team_id,
        platform,
        moment.now,
    )
    .fetch_all(&mut *conn)
    .await?;
    if removed.is_empty() {
        return Ok(false);
    }
    for integration in integrations::list(conn, team_id).await? {
        if removed.iter().any(|app| Some(app.id) == integration.app_id) {
            let reason = "the app that it was connected through was removed from the team";
            integrations::needs_reconnect(conn, moment, &integration, reason).await?;
        }
    }
    let clients: Vec<&str> = removed.iter().map(|app| app.client_id.as_str()).collect();
    let payload = json!({ "platform": platform, "client_ids": clients });
    activity::record(conn, moment, team_id, Some(actor), Kind::PlatformAppRemoved, Subject::Team(team_id), payload)
        .await?;
    Ok(true)
}

/// Whose budget the calls of an account are counted on.
pub fn key_of(app: &App, integration: &Integration) -> Key {
    let client_id = match &integration.app_client_id {
        Some(client_id) => client_id.clone(),
        None => own_client(app, &integration.platform),
    };
    Key { platform: integration.platform.clone(), client_id }
}

fn own_client(app: &App, platform: &str) -> String {
    let own = app.readers.get(platform).ok().and_then(|reader| reader.own_client());
    own.unwrap_or_default().to_owned()
}

/// What calls about consents and tokens go through. `app_id` None: the app of the installation.
pub async fn through(
    app: &App,
    conn: &mut PgConnection,
    (team_id, platform): (Uuid, &str),
    app_id: Option<Uuid>,
    urgency: Urgency,
) -> Result<Through, SealError> {
    let Some(id) = app_id else {
        let key = Key { platform: platform.to_owned(), client_id: own_client(app, platform) };
        return Ok(Through { app: None, login: None, permits: app.budgets.permits(key, team_id, urgency) });
    };
    let row =
        sqlx::query!("select client_id, client_secret from platform_apps where id = $1 and team_id = $2", id, team_id)
            .fetch_one(&mut *conn)
            .await?;
    let client_secret = match row.client_secret.as_deref() {
        Some(sealed) => app.keyring.open(conn, place(id, team_id), sealed).await?,
        // Removed: the platform refuses what is signed with nothing.
        None => SecretString::from(""),
    };
    let key = Key { platform: platform.to_owned(), client_id: row.client_id.clone() };
    let credentials = AppCredentials { client_id: row.client_id, client_secret };
    Ok(Through { app: Some(credentials), login: None, permits: app.budgets.permits(key, team_id, urgency) })
}
