//! Webhooks that a team has us call: its endpoints, their secrets, and the log of calls. Admins only: an endpoint sees what the team does.

use super::paging::{Page, Paging};
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::http::auth::{Admin, DeliveryRef, Loaded, TeamMember, WebhookRef};
use crate::http::body::{JsonBody, Nothing, Query};
use crate::model::{DeliveryState, EndpointState};
use crate::webhooks::{self, DeliveryRow, Endpoint, EndpointFields, Span, WebhookError};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookEndpointAnswer {
    pub id: Uuid,
    pub team_id: Uuid,
    #[schema(example = "https://example.com/hooks/rejoinder")]
    pub url: String,
    #[schema(example = "Tells the support desk")]
    pub description: String,
    #[schema(example = json!(["suggestion.posted", "suggestion.failed"]))]
    pub event_types: Vec<String>,
    pub state: EndpointState,
    /// Why the server disabled it.
    pub state_reason: Option<String>,
    /// Since when no call was taken; null: the last one was.
    #[serde(with = "time::serde::rfc3339::option")]
    pub failing_since: Option<OffsetDateTime>,
    /// Until then the secret before the last rotation signs too.
    #[serde(with = "time::serde::rfc3339::option")]
    pub previous_secret_until: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// With its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookWithSecret {
    pub webhook: WebhookEndpointAnswer,
    /// Verifies the calls (Standard Webhooks).
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WebhooksAnswer {
    pub items: Vec<WebhookEndpointAnswer>,
}

/// What may be set; a field that is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookBody {
    /// Required for a new one. Https, and a public address.
    #[schema(example = "https://example.com/hooks/rejoinder", max_length = 2000)]
    url: Option<String>,
    #[schema(max_length = 200, example = "Tells the support desk")]
    description: Option<String>,
    /// Required for a new one. `*` stands for all: item.created, item.changed, suggestion.created, suggestion.drafted,
    /// suggestion.approved, suggestion.rejected, suggestion.returned, suggestion.posted, suggestion.failed, suggestion.uncertain,
    /// integration.connected, integration.paused, integration.resumed, integration.needs_reconnect, integration.disconnected,
    /// team.paused, team.resumed.
    #[serde(alias = "eventTypes")]
    #[schema(example = json!(["suggestion.posted", "suggestion.failed"]), min_items = 1)]
    event_types: Option<Vec<String>>,
    /// False: it is told nothing, and what waited is not sent any more.
    enabled: Option<bool>,
}

/// One event for one endpoint, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryAnswer {
    pub id: Uuid,
    pub webhook_id: Uuid,
    /// The header `webhook-id`; the same for a replay.
    pub event_id: Uuid,
    #[schema(example = "suggestion.posted")]
    pub event_type: String,
    pub state: DeliveryState,
    pub attempts: i32,
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_attempt_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_attempt_at: Option<OffsetDateTime>,
    /// The status that the receiver answered; null where there was no answer.
    pub last_status: Option<i32>,
    pub last_duration_ms: Option<i32>,
    #[schema(example = "the receiver answered 503")]
    pub last_error: Option<String>,
    /// The first KiB of the answer.
    pub last_answer: Option<String>,
    /// The body as it is sent.
    #[schema(
        example = r#"{"data":{"suggestion_id":"019cae2c-5f80-7c3e-9a51-3d2b8c4f6a10","status":"posted"},"type":"suggestion.posted"}"#
    )]
    pub body: String,
    /// The delivery that this one repeats.
    pub replay_of: Option<Uuid>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveriesQuery {
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

impl From<WebhookBody> for EndpointFields {
    fn from(body: WebhookBody) -> Self {
        Self { url: body.url, description: body.description, event_types: body.event_types, enabled: body.enabled }
    }
}

impl From<Endpoint> for WebhookEndpointAnswer {
    fn from(row: Endpoint) -> Self {
        Self {
            id: row.id,
            team_id: row.team_id,
            state: row.state(),
            url: row.url,
            description: row.description,
            event_types: row.event_types,
            state_reason: row.state_reason,
            failing_since: row.failing_since,
            previous_secret_until: row.previous_until,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl From<DeliveryRow> for DeliveryAnswer {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.id,
            webhook_id: row.endpoint_id,
            event_id: row.event_id,
            state: row.state(),
            event_type: row.event_type,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            last_attempt_at: row.last_attempt_at,
            last_status: row.last_status,
            last_duration_ms: row.last_duration_ms,
            last_error: row.last_error,
            last_answer: row.last_answer,
            body: row.body,
            replay_of: row.replay_of,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NotFound => Self::not_found("webhook"),
            WebhookError::Full => Self::conflict("full", error.to_string()),
            WebhookError::Disabled => Self::conflict("disabled", error.to_string()),
            WebhookError::TooMany => Self::conflict("too_many_events", error.to_string()),
            WebhookError::Field { field, message } => Self::field(field, message),
            WebhookError::Database(error) => error.into(),
            WebhookError::Seal(error) => Self::internal(&error),
        }
    }
}

/// The webhooks of a team, the oldest first
#[utoipa::path(get, path = "/api/teams/{team_id}/webhooks",
    responses((status = 200, description = "All of them; secrets are not shown again.", body = WebhooksAnswer)))]
pub async fn list_webhooks(State(app): State<App>, member: TeamMember<Admin>) -> ApiResult<Json<WebhooksAnswer>> {
    let rows = webhooks::list(&mut *app.db.acquire().await?, member.team_id).await?;
    Ok(Json(WebhooksAnswer { items: rows.into_iter().map(WebhookEndpointAnswer::from).collect() }))
}

/// Add a webhook
///
/// The answer holds its secret, once: keep it where the receiver verifies the calls.
#[utoipa::path(post, path = "/api/teams/{team_id}/webhooks", request_body = WebhookBody,
    responses((status = 201, description = "The new webhook with its secret.", body = WebhookWithSecret)))]
pub async fn create_webhook(
    State(app): State<App>,
    member: TeamMember<Admin>,
    JsonBody(body): JsonBody<WebhookBody>,
) -> ApiResult<(StatusCode, Json<WebhookWithSecret>)> {
    let whose = (member.team_id, member.caller.user_id);
    let mut tx = app.db.begin().await?;
    let (endpoint, secret) = webhooks::create(&app, &mut tx, &app.moment(), whose, body.into()).await?;
    tx.commit().await?;
    let answer = WebhookWithSecret { webhook: endpoint.into(), secret: secret.expose_secret().to_owned() };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// One webhook
#[utoipa::path(get, path = "/api/webhook-endpoints/{id}",
    responses((status = 200, description = "The webhook without its secret.", body = WebhookEndpointAnswer)))]
pub async fn get_webhook(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
) -> ApiResult<Json<WebhookEndpointAnswer>> {
    let mut conn = app.db.acquire().await?;
    Ok(Json(endpoint(&mut conn, wanted.team_id, wanted.id).await?.into()))
}

async fn endpoint(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Endpoint, WebhookError> {
    webhooks::load(conn, team_id, id).await?.ok_or(WebhookError::NotFound)
}

/// Change a webhook
#[utoipa::path(patch, path = "/api/webhook-endpoints/{id}", request_body = WebhookBody,
    responses((status = 200, description = "The webhook as it is now.", body = WebhookEndpointAnswer)))]
pub async fn change_webhook(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
    JsonBody(body): JsonBody<WebhookBody>,
) -> ApiResult<Json<WebhookEndpointAnswer>> {
    let which = (wanted.team_id, wanted.id, wanted.caller.user_id);
    let mut tx = app.db.begin().await?;
    let endpoint = webhooks::update(&app, &mut tx, &app.moment(), which, body.into()).await?;
    tx.commit().await?;
    Ok(Json(endpoint.into()))
}

/// Delete a webhook
///
/// Its log of calls goes with it.
#[utoipa::path(delete, path = "/api/webhook-endpoints/{id}", responses((status = 204, description = "Gone.")))]
pub async fn delete_webhook(State(app): State<App>, wanted: Loaded<WebhookRef, Admin>) -> ApiResult<StatusCode> {
    let which = (wanted.team_id, wanted.id, wanted.caller.user_id);
    let mut tx = app.db.begin().await?;
    webhooks::delete(&mut tx, &app.moment(), which).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a new secret for a webhook
///
/// The old one signs too for another 24 hours, so that the receiver can change over.
#[utoipa::path(post, path = "/api/webhook-endpoints/{id}/rotate-secret",
    responses((status = 200, description = "The webhook with its new secret, shown this once.", body = WebhookWithSecret)))]
pub async fn rotate_webhook_secret(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<WebhookWithSecret>> {
    let which = (wanted.team_id, wanted.id, wanted.caller.user_id);
    let mut tx = app.db.begin().await?;
    let (endpoint, secret) = webhooks::rotate_secret(&app, &mut tx, &app.moment(), which).await?;
    tx.commit().await?;
    Ok(Json(WebhookWithSecret { webhook: endpoint.into(), secret: secret.expose_secret().to_owned() }))
}

/// Send a test event to a webhook
#[utoipa::path(post, path = "/api/webhook-endpoints/{id}/test",
    responses((status = 202, description = "It is on its way; its outcome will stand in the log.", body = DeliveryAnswer)))]
pub async fn test_webhook(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
    _: JsonBody<Nothing>,
) -> ApiResult<(StatusCode, Json<DeliveryAnswer>)> {
    let mut tx = app.db.begin().await?;
    let endpoint = endpoint(&mut tx, wanted.team_id, wanted.id).await?;
    let sent = webhooks::send_test(&mut tx, &app.moment(), &endpoint).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(sent.into())))
}

/// The calls of a webhook, the newest first
///
/// Kept for 30 days.
#[utoipa::path(get, path = "/api/webhook-endpoints/{id}/deliveries", params(DeliveriesQuery),
    responses((status = 200, description = "One page of the log.", body = Page<DeliveryAnswer>)))]
pub async fn list_webhook_deliveries(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
    Query(query): Query<DeliveriesQuery>,
) -> ApiResult<Json<Page<DeliveryAnswer>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let mut conn = app.db.acquire().await?;
    let rows = webhooks::log(&mut conn, wanted.team_id, wanted.id, paging.from, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.created_at, row.id))))
}

/// Which events are sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayBody {
    /// Events that came up at this time or later.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    /// And before this time; left out: until now.
    #[serde(default, with = "time::serde::rfc3339::option")]
    until: Option<OffsetDateTime>,
    /// True: also those that the receiver has taken, for one that lost what it knew.
    #[serde(default, alias = "takenToo")]
    taken_too: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayAnswer {
    /// How many events are on their way.
    pub replayed: usize,
}

/// Send the events of a time once more
///
/// Those that the receiver has not taken, the oldest first, each under its own id; at most 1,000.
#[utoipa::path(post, path = "/api/webhook-endpoints/{id}/replay", request_body = ReplayBody,
    responses((status = 202, description = "They are on their way.", body = ReplayAnswer)))]
pub async fn replay_webhook(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
    JsonBody(body): JsonBody<ReplayBody>,
) -> ApiResult<(StatusCode, Json<ReplayAnswer>)> {
    let moment = app.moment();
    let span = Span { since: body.since, until: body.until.unwrap_or(moment.now), taken_too: body.taken_too };
    let mut tx = app.db.begin().await?;
    let endpoint = endpoint(&mut tx, wanted.team_id, wanted.id).await?;
    let replayed = webhooks::replay_span(&mut tx, &moment, &endpoint, span).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(ReplayAnswer { replayed })))
}

/// Send an event once more
///
/// Under its own id, as a new delivery.
#[utoipa::path(post, path = "/api/webhook-deliveries/{id}/replay",
    responses((status = 202, description = "The new delivery.", body = DeliveryAnswer)))]
pub async fn replay_webhook_delivery(
    State(app): State<App>,
    wanted: Loaded<DeliveryRef, Admin>,
    _: JsonBody<Nothing>,
) -> ApiResult<(StatusCode, Json<DeliveryAnswer>)> {
    let mut tx = app.db.begin().await?;
    let delivery = webhooks::load_delivery(&mut tx, wanted.team_id, wanted.id).await?;
    let delivery = delivery.ok_or_else(|| Problem::not_found("delivery"))?;
    let endpoint = endpoint(&mut tx, wanted.team_id, delivery.endpoint_id).await?;
    let again = webhooks::replay(&mut tx, &app.moment(), &endpoint, &delivery).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(again.into())))
}
