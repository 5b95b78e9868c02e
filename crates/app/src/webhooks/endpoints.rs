//! Where a team wants to be told, and the secrets that sign it. A secret is shown when it is made and never again.

use super::{ALL_EVENTS, BOTH_SECRETS, MOST_REPLAYED};
use crate::app::App;
use crate::clients::outbound;
use crate::clients::signatures::SigningSecret;
use crate::clock::Moment;
use crate::flow::activity::{self, Actor, Kind, Subject};
use crate::flow::ingest::normalise;
use crate::flow::notices;
use crate::model::{EndpointState, NoticeKind, WebhookEvent};
use crate::secrets::{Place, SealError};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

const MAX_ENDPOINTS: i64 = 20;
const DESCRIPTION_CHARS: usize = 200;
const COLUMN: &str = "secret";
const PREVIOUS_COLUMN: &str = "previous_secret";

#[derive(Clone)]
pub struct Endpoint {
    pub id: Uuid,
    pub team_id: Uuid,
    pub url: String,
    pub description: String,
    pub event_types: Vec<String>,
    pub state: String,
    pub state_reason: Option<String>,
    pub(super) secret: Vec<u8>,
    pub(super) previous_secret: Option<Vec<u8>>,
    pub previous_until: Option<OffsetDateTime>,
    pub failing_since: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

impl Endpoint {
    pub fn state(&self) -> EndpointState {
        self.state.clone().into()
    }

    pub fn is_enabled(&self) -> bool {
        self.state() == EndpointState::Enabled
    }

    /// "hooks.example.com": the rest of the address may hold a key.
    pub fn host(&self) -> String {
        let url = Url::parse(&self.url).ok();
        url.as_ref().and_then(Url::host_str).unwrap_or("its address").to_owned()
    }
}

/// What a person may set; None leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct EndpointFields {
    pub url: Option<String>,
    pub description: Option<String>,
    pub event_types: Option<Vec<String>>,
    pub enabled: Option<bool>,
}

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("there is no such webhook")]
    NotFound,
    #[error("A team has at most {MAX_ENDPOINTS} webhooks. Delete one that is not needed any more.")]
    Full,
    /// Nothing is sent to it.
    #[error("The webhook is disabled. Enable it first.")]
    Disabled,
    #[error("There are more than {MOST_REPLAYED} events to send again. Take a shorter span.")]
    TooMany,
    #[error("{field}: {message}")]
    Field { field: &'static str, message: String },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl EndpointFields {
    fn checked(mut self, allow_private: bool) -> Result<Self, WebhookError> {
        let wrong = |field, message| Err(WebhookError::Field { field, message });
        if let Some(url) = &self.url {
            match outbound::check_url(url.trim(), allow_private) {
                Ok(checked) => self.url = Some(checked.into()),
                Err(message) => return wrong("url", message),
            }
        }
        self.description = self.description.map(|text| normalise::line(&text, normalise::MAX_CHARS));
        if self.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS) {
            return wrong("description", format!("may have at most {DESCRIPTION_CHARS} characters"));
        }
        if let Some(types) = &mut self.event_types {
            types.sort_unstable();
            types.dedup();
            if types.is_empty() {
                return wrong("event_types", "must name at least one event, or `*` for all".to_owned());
            }
            if let Some(unknown) =
                types.iter().find(|name| *name != ALL_EVENTS && name.parse::<WebhookEvent>().is_err())
            {
                let shown: String = unknown.chars().take(60).collect();
                let known: Vec<&str> = WebhookEvent::ALL.iter().map(|kind| kind.as_str()).collect();
                return wrong("event_types", format!("`{shown}` is none of *, {}", known.join(", ")));
            }
        }
        Ok(self)
    }
}

fn place(column: &'static str, id: Uuid, team_id: Uuid) -> Place {
    Place { table: "webhook_endpoints", column, row: id, team: team_id }
}

macro_rules! select_endpoints {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            Endpoint,
            "select id, team_id, url, description, event_types, state, state_reason, secret, previous_secret, previous_until, failing_since,
                    created_at, updated_at
             from webhook_endpoints " + $rest,
            $($args),*
        )
    };
}

/// The oldest first; a team has few.
pub async fn list(conn: &mut PgConnection, team_id: Uuid) -> Result<Vec<Endpoint>, sqlx::Error> {
    select_endpoints!("where team_id = $1 order by created_at, id", team_id).fetch_all(conn).await
}

pub async fn load(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<Endpoint>, sqlx::Error> {
    select_endpoints!("where id = $1 and team_id = $2", id, team_id).fetch_optional(conn).await
}

pub(super) async fn hold(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<Endpoint>, sqlx::Error> {
    select_endpoints!("where id = $1 and team_id = $2 for no key update", id, team_id).fetch_optional(conn).await
}

async fn seal(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    place: Place,
    secret: &SecretString,
) -> Result<Vec<u8>, SealError> {
    app.keyring.seal(conn, moment.now, moment.entropy(), place, secret).await
}

/// Makes an endpoint; gives its secret, for the only time.
pub async fn create(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    (team_id, actor): (Uuid, Uuid),
    fields: EndpointFields,
) -> Result<(Endpoint, SecretString), WebhookError> {
    let fields = fields.checked(app.outbound.allows_private())?;
    let missing = |field| WebhookError::Field { field, message: "is required".to_owned() };
    let url = fields.url.ok_or_else(|| missing("url"))?;
    let event_types = fields.event_types.ok_or_else(|| missing("event_types"))?;
    // Two at once count each other.
    sqlx::query!("select id from teams where id = $1 for no key update", team_id).fetch_one(&mut *conn).await?;
    let count = sqlx::query_scalar!(r#"select count(*) as "n!" from webhook_endpoints where team_id = $1"#, team_id);
    if count.fetch_one(&mut *conn).await? >= MAX_ENDPOINTS {
        return Err(WebhookError::Full);
    }
    let (id, secret) = (moment.id(), SigningSecret::generate(moment.entropy()).to_text());
    let sealed = seal(app, conn, moment, place(COLUMN, id, team_id), &secret).await?;
    sqlx::query!(
        "insert into webhook_endpoints (id, team_id, url, description, event_types, state, secret, created_by, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        id,
        team_id,
        url,
        fields.description.unwrap_or_default(),
        &event_types,
        if fields.enabled == Some(false) { "disabled" } else { "enabled" },
        sealed,
        actor,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    let endpoint = load(conn, team_id, id).await?.ok_or(WebhookError::NotFound)?;
    let payload =
        json!({ "after": { "host": endpoint.host(), "event_types": endpoint.event_types, "state": endpoint.state } });
    record(conn, moment, &endpoint, Some(actor), Kind::WebhookCreated, payload).await?;
    Ok((endpoint, secret))
}

async fn record(
    conn: &mut PgConnection,
    moment: &Moment,
    endpoint: &Endpoint,
    actor: Actor,
    kind: Kind,
    payload: serde_json::Value,
) -> Result<(), sqlx::Error> {
    activity::record(conn, moment, endpoint.team_id, actor, kind, Subject::Webhook(endpoint.id), payload).await
}

pub async fn update(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    (team_id, id, actor): (Uuid, Uuid, Uuid),
    fields: EndpointFields,
) -> Result<Endpoint, WebhookError> {
    let fields = fields.checked(app.outbound.allows_private())?;
    let before = hold(conn, team_id, id).await?.ok_or(WebhookError::NotFound)?;
    let enabled = fields.enabled.unwrap_or(before.is_enabled());
    sqlx::query!(
        "update webhook_endpoints
         set url = coalesce($3, url), description = coalesce($4, description), event_types = coalesce($5, event_types),
             state = case when $6 then 'enabled' else 'disabled' end, state_reason = case when $7 then null else state_reason end,
             failing_since = case when $7 or $3 is not null then null else failing_since end, updated_at = $8
         where id = $1 and team_id = $2",
        id,
        team_id,
        fields.url,
        fields.description,
        fields.event_types.as_deref(),
        enabled,
        enabled != before.is_enabled(),
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    if enabled {
        notices::resolve(conn, moment, team_id, NoticeKind::WebhookDisabled, id).await?;
    } else {
        drop_waiting(conn, moment, team_id, id).await?;
    }
    let after = load(conn, team_id, id).await?.ok_or(WebhookError::NotFound)?;
    let of = |endpoint: &Endpoint| json!({ "host": endpoint.host(), "event_types": endpoint.event_types, "state": endpoint.state });
    let payload = json!({ "before": of(&before), "after": of(&after) });
    record(conn, moment, &after, Some(actor), Kind::WebhookChanged, payload).await?;
    Ok(after)
}

/// Its log goes with it.
pub async fn delete(
    conn: &mut PgConnection,
    moment: &Moment,
    (team_id, id, actor): (Uuid, Uuid, Uuid),
) -> Result<(), WebhookError> {
    let endpoint = hold(conn, team_id, id).await?.ok_or(WebhookError::NotFound)?;
    sqlx::query!("delete from webhook_endpoints where id = $1 and team_id = $2", id, team_id)
        .execute(&mut *conn)
        .await?;
    notices::resolve(conn, moment, team_id, NoticeKind::WebhookDisabled, id).await?;
    let payload = json!({ "before": { "host": endpoint.host() } });
    record(conn, moment, &endpoint, Some(actor), Kind::WebhookDeleted, payload).await?;
    Ok(())
}

/// A new secret; the one before goes on signing beside it for a day, so that the receiver can change over without missing a call. One
/// that cannot be opened any more is replaced at once.
pub async fn rotate_secret(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    (team_id, id, actor): (Uuid, Uuid, Uuid),
) -> Result<(Endpoint, SecretString), WebhookError> {
    let before = hold(conn, team_id, id).await?.ok_or(WebhookError::NotFound)?;
    let previous = match app.keyring.open(conn, place(COLUMN, id, team_id), &before.secret).await {
        Ok(old) => Some(seal(app, conn, moment, place(PREVIOUS_COLUMN, id, team_id), &old).await?),
        Err(SealError::Database(error)) => return Err(error.into()),
        Err(_) => None,
    };
    let secret = SigningSecret::generate(moment.entropy()).to_text();
    let sealed = seal(app, conn, moment, place(COLUMN, id, team_id), &secret).await?;
    sqlx::query!(
        "update webhook_endpoints set secret = $3, previous_secret = $4, previous_until = $5, updated_at = $6
         where id = $1 and team_id = $2",
        id,
        team_id,
        sealed,
        previous,
        previous.as_ref().map(|_| moment.now + BOTH_SECRETS),
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    record(
        conn,
        moment,
        &before,
        Some(actor),
        Kind::WebhookSecretRotated,
        json!({ "after": { "host": before.host() } }),
    )
    .await?;
    let endpoint = load(conn, team_id, id).await?.ok_or(WebhookError::NotFound)?;
    Ok((endpoint, secret))
}

/// The secrets that sign now, the newest first.
pub(super) async fn signing(
    app: &App,
    conn: &mut PgConnection,
    endpoint: &Endpoint,
    now: OffsetDateTime,
) -> Result<Vec<SigningSecret>, SealError> {
    let mut sealed = vec![(COLUMN, &endpoint.secret)];
    if let Some(previous) = endpoint.previous_secret.as_ref()
        && endpoint.previous_until.is_some_and(|until| until > now)
    {
        sealed.push((PREVIOUS_COLUMN, previous));
    }
    let mut secrets = Vec::new();
    for (column, bytes) in sealed {
        let text = app.keyring.open(conn, place(column, endpoint.id, endpoint.team_id), bytes).await?;
        secrets.push(SigningSecret::parse(text.expose_secret()).map_err(|_| SealError::Damaged)?);
    }
    Ok(secrets)
}

/// What still waited is told no more; a person can replay it.
pub(super) async fn drop_waiting(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update webhook_deliveries
         set state = 'failed', next_attempt_at = null, finished_at = $3,
             last_error = coalesce(last_error || '; then the', 'The') || ' webhook was disabled'
         where endpoint_id = $1 and team_id = $2 and state = 'pending'",
        id,
        team_id,
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
