//! Connected platform accounts. `connect` has the way in.

use crate::accounts::connect;
use crate::accounts::integrations::{self, Integration};
use crate::accounts::subscriptions;
use crate::accounts::tokens::{self, TokenError};
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::flow::ingest::IntegrationPoll;
use crate::http::auth::{Admin, Editor, IntegrationRef, Loaded, TeamMember, Viewer};
use crate::http::body::{JsonBody, Nothing};
use crate::jobs;
use crate::model::{IntegrationState, PauseCause};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A connected account; its tokens are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct IntegrationAnswer {
    pub id: Uuid,
    pub team_id: Uuid,
    #[schema(example = "reddit")]
    pub platform: String,
    #[schema(example = "t2_9xk2p")]
    pub platform_account_id: String,
    #[schema(example = "moka_and_co")]
    pub display_name: String,
    #[schema(example = json!(["identity", "read", "submit"]))]
    pub scopes: Vec<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    pub state: IntegrationState,
    pub state_reason: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub state_since: OffsetDateTime,
    /// Why it is paused; it stays while the access has ended meanwhile.
    pub pause_cause: Option<PauseCause>,
    /// The person who paused it.
    pub paused_by: Option<Uuid>,
    pub paused_by_name: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_polled_at: Option<OffsetDateTime>,
    pub last_poll_problem: Option<String>,
    /// When an admin confirmed the platform's policy; rules post nothing with the account before.
    #[serde(with = "time::serde::rfc3339::option")]
    pub policy_confirmed_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    pub next_poll_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// How its events reach this server; null where its platform sends none, and until it was asked.
    pub events: Option<EventsAnswer>,
}

/// Events of an account. Its threads are read all the same, so that what events miss comes in later.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventsAnswer {
    /// What the platform sends, in its words; empty where it does not.
    #[schema(example = json!(["comments", "live_comments"]))]
    pub subscribed: Vec<String>,
    /// Why it does not.
    pub problem: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_event_at: Option<OffsetDateTime>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct IntegrationsAnswer {
    pub items: Vec<IntegrationAnswer>,
}

impl From<Integration> for IntegrationAnswer {
    fn from(row: Integration) -> Self {
        Self {
            id: row.id,
            team_id: row.team_id,
            state: row.state(),
            pause_cause: row.pause_cause(),
            paused_by: row.paused_by,
            paused_by_name: row.paused_by_name,
            platform: row.platform,
            platform_account_id: row.platform_account_id,
            display_name: row.display_name,
            scopes: row.scopes,
            expires_at: row.expires_at,
            state_reason: row.state_reason,
            state_since: row.state_since,
            last_polled_at: row.last_polled_at,
            last_poll_problem: row.last_poll_problem,
            policy_confirmed_at: row.policy_confirmed_at,
            next_poll_at: row.next_poll_at,
            created_at: row.created_at,
            events: None,
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Reconnect(reason) => {
                Self::conflict("reconnect-needed", format!("Connect the account again: {reason}."))
            }
            TokenError::App(reason) => Problem::conflict(
                "app-refused",
                format!("{reason}. Look at the app that the account was connected through."),
            ),
            TokenError::Wait { after, reason } => {
                // The reason may name what is inside this server.
                tracing::warn!(reason, "a token could not be refreshed now");
                let mut problem = Self::unavailable("The access could not be renewed right now. Try again later.");
                problem.retry_after_secs = Some(u32::try_from(after.as_secs().max(1)).unwrap_or(u32::MAX));
                problem
            }
        }
    }
}

/// The connected accounts of a team, the oldest first
#[utoipa::path(get, path = "/api/teams/{team_id}/integrations",
    responses((status = 200, description = "All that are not disconnected.", body = IntegrationsAnswer)))]
pub async fn list_integrations(
    State(app): State<App>,
    member: TeamMember<Viewer>,
) -> ApiResult<Json<IntegrationsAnswer>> {
    let mut conn = app.db.acquire().await?;
    let rows = integrations::list(&mut conn, member.team_id).await?;
    let health = subscriptions::health(&mut conn, member.team_id).await?;
    let mut items: Vec<IntegrationAnswer> = rows.into_iter().map(IntegrationAnswer::from).collect();
    for item in &mut items {
        let known = health.iter().find(|health| health.integration_id == item.id);
        item.events = known.map(|health| EventsAnswer {
            subscribed: health.fields.clone(),
            problem: health.problem.clone(),
            last_event_at: health.last_event_at,
        });
    }
    Ok(Json(IntegrationsAnswer { items }))
}

/// Renew the access and look for new comments now
#[utoipa::path(post, path = "/api/integrations/{id}/refresh",
    responses((status = 202, description = "The access is renewed, reading is queued.", body = IntegrationAnswer)))]
pub async fn refresh_integration(
    State(app): State<App>,
    wanted: Loaded<IntegrationRef, Editor>,
    _: JsonBody<Nothing>,
) -> ApiResult<(StatusCode, Json<IntegrationAnswer>)> {
    let (team_id, id) = (wanted.team_id, wanted.id);
    let integration = load(&app, team_id, id).await?;
    if !integration.is_read() {
        let detail = match integration.state() {
            IntegrationState::NeedsReconnect => "The account needs a new consent. Connect it again first.",
            _ => "The account is disconnected. Connect it again first.",
        };
        return Err(Problem::conflict("not-connected", detail));
    }
    let moment = app.moment();
    if let Err(error) = tokens::renew(&app, &moment, &integration).await {
        if let TokenError::Reconnect(reason) = &error {
            let mut tx = app.db.begin().await?;
            integrations::needs_reconnect(&mut tx, &moment, &integration, reason).await?;
            tx.commit().await?;
        }
        return Err(error.into());
    }
    let mut tx = app.db.begin().await?;
    if integrations::poll_now(&mut tx, &moment, team_id, id).await? {
        jobs::enqueue(&mut tx, &IntegrationPoll { integration_id: id }, moment.now).await?;
    }
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(load(&app, team_id, id).await?.into())))
}

/// Disconnect an account
///
/// Its access is given back to the platform and its tokens are wiped at once; its posts, comments and replies stay.
#[utoipa::path(delete, path = "/api/integrations/{id}", responses((status = 204, description = "Disconnected.")))]
pub async fn disconnect_integration(
    State(app): State<App>,
    wanted: Loaded<IntegrationRef, Admin>,
) -> ApiResult<StatusCode> {
    let by = (wanted.team_id, wanted.caller.user_id);
    match connect::disconnect(&app, &app.moment(), by, wanted.id).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(Problem::not_found("integration")),
        Err(error) => Err(Problem::internal(&error)),
    }
}

pub(super) async fn load(app: &App, team_id: Uuid, id: Uuid) -> ApiResult<Integration> {
    let row = integrations::load(&mut *app.db.acquire().await?, team_id, id).await?;
    row.ok_or_else(|| Problem::not_found("integration"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_token_that_cannot_be_renewed_says_what_to_do_and_nothing_of_the_inside() {
        let dead = Problem::from(TokenError::Reconnect("the grant is dead".to_owned()));
        assert_eq!((dead.status, dead.detail.as_str()), (409, "Connect the account again: the grant is dead."));
        let wait = Problem::from(TokenError::Wait {
            after: Duration::from_secs(30),
            reason: "database db.internal: refused".to_owned(),
        });
        assert_eq!((wait.status, wait.retry_after_secs), (503, Some(30)));
        assert!(!wait.detail.contains("internal"));
    }
}
