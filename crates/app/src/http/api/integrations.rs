//! Connected platform accounts. Connecting leads a browser out to the consent page and back; what went wrong on the way comes back
//! to the dashboard as a reason in the address, never as an error page.

use crate::accounts::connect::{self, Callback, ConnectError};
use crate::accounts::integrations::{self, Integration};
use crate::accounts::tokens::{self, TokenError};
use crate::app::App;
use crate::error::{ApiResult, Problem, chain};
use crate::flow::ingest::IntegrationPoll;
use crate::http::auth::{
    Admin, Editor, IntegrationRef, Loaded, NamedTeam, PageCaller, SignInFirst, TeamMember, Viewer,
};
use crate::http::body::{JsonBody, Nothing, Path, Query};
use crate::jobs;
use crate::model::{IntegrationState, PauseCause};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::{Url, form_urlencoded};
use utoipa::{IntoParams, ToSchema};
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
    #[serde(with = "time::serde::rfc3339")]
    pub next_poll_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct IntegrationsAnswer {
    pub items: Vec<IntegrationAnswer>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OauthStartAnswer {
    /// Send the person's browser there.
    #[schema(example = "https://www.reddit.com/api/v1/authorize?client_id=...")]
    pub redirect_url: String,
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
            next_poll_at: row.next_poll_at,
            created_at: row.created_at,
        }
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::UnknownPlatform(_) => Self::not_found("platform"),
            ConnectError::NotConfigured(_) => Self::conflict(
                "not-configured",
                format!("{error}. Whoever runs this server enters the client id and secret of its app."),
            ),
            ConnectError::Declined
            | ConnectError::StateSpent
            | ConnectError::OtherPerson
            | ConnectError::NotAdmin
            | ConnectError::CodeSpent
            | ConnectError::AppRefused(_) => Self::conflict("not-connected", error.to_string()),
            ConnectError::Unavailable(_) => Self::unavailable(error.to_string()),
            ConnectError::Database(error) => error.into(),
            ConnectError::Seal(error) => Self::internal(&error),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Reconnect(reason) => {
                Self::conflict("reconnect-needed", format!("Connect the account again: {reason}."))
            }
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
    let rows = integrations::list(&mut *app.db.acquire().await?, member.team_id).await?;
    Ok(Json(IntegrationsAnswer { items: rows.into_iter().map(IntegrationAnswer::from).collect() }))
}

/// For which team.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OauthStart {
    /// May be left out by who is admin of exactly one team.
    #[serde(alias = "teamId")]
    team_id: Option<Uuid>,
}

/// Begin to connect an account
#[utoipa::path(get, path = "/api/integrations/{platform}/oauth/start", params(OauthStart),
    responses((status = 200, description = "Where the person gives consent.", body = OauthStartAnswer)))]
pub async fn oauth_start(
    State(app): State<App>,
    by: NamedTeam<Admin>,
    Path(platform): Path<String>,
    Query(query): Query<OauthStart>,
) -> ApiResult<Json<OauthStartAnswer>> {
    begin(&app, &by, &platform, query.team_id).await
}

/// Begin to connect an account
///
/// The same as GET.
#[utoipa::path(post, path = "/api/integrations/{platform}/oauth/start", request_body = OauthStart,
    responses((status = 200, description = "Where the person gives consent.", body = OauthStartAnswer)))]
pub async fn oauth_start_post(
    State(app): State<App>,
    by: NamedTeam<Admin>,
    Path(platform): Path<String>,
    JsonBody(body): JsonBody<OauthStart>,
) -> ApiResult<Json<OauthStartAnswer>> {
    begin(&app, &by, &platform, body.team_id).await
}

async fn begin(
    app: &App,
    by: &NamedTeam<Admin>,
    platform: &str,
    team_id: Option<Uuid>,
) -> ApiResult<Json<OauthStartAnswer>> {
    let team_id = by.team(app, team_id).await?;
    let url = connect::start(app, &app.moment(), team_id, by.caller.user_id, platform).await?;
    Ok(Json(OauthStartAnswer { redirect_url: url.into() }))
}

/// What platforms append to the callback address; whatever else they add does not matter.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OauthCallback {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

/// Where the platform sends the browser back to
///
/// For browsers. Leads to `/dashboard?integration=connected&connected={platform}`, or to
/// `/dashboard?integration=failed&reason={reason}` with the reason declined, spent, other_person, refused or unavailable.
/// Without a session it leads to the sign-in page and from there back.
#[utoipa::path(get, path = "/api/integrations/{platform}/oauth/callback", params(OauthCallback), security(()),
    responses((status = 303, description = "On to the dashboard.")))]
pub async fn oauth_callback(
    State(app): State<App>,
    caller: Result<PageCaller, SignInFirst>,
    Path(platform): Path<String>,
    Query(query): Query<OauthCallback>,
) -> Response {
    let PageCaller(caller) = match caller {
        Ok(caller) => caller,
        Err(first) => return first.into_response(),
    };
    let callback = Callback { state: query.state.unwrap_or_default(), code: query.code, error: query.error };
    let base = &app.config.redirect_base;
    match connect::finish(&app, &app.moment(), &platform, caller.user_id, callback).await {
        Ok(_) => lead_to(base, &[("integration", "connected"), ("connected", &platform)]),
        Err(ConnectError::UnknownPlatform(_)) => Problem::not_found("platform").into_response(),
        Err(error) => {
            tracing::warn!(platform, error = %chain(&error), "an account was not connected");
            lead_to(base, &[("integration", "failed"), ("reason", reason(&error)), ("platform", &platform)])
        }
    }
}

fn reason(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Declined => "declined",
        ConnectError::StateSpent | ConnectError::CodeSpent => "spent",
        ConnectError::OtherPerson => "other_person",
        ConnectError::NotAdmin => "not_admin",
        ConnectError::UnknownPlatform(_) | ConnectError::NotConfigured(_) | ConnectError::AppRefused(_) => "refused",
        ConnectError::Unavailable(_) | ConnectError::Database(_) | ConnectError::Seal(_) => "unavailable",
    }
}

fn lead_to(base: &Url, pairs: &[(&str, &str)]) -> Response {
    Redirect::to(&dashboard(base, pairs)).into_response()
}

fn dashboard(base: &Url, pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{}/dashboard?{query}", base.as_str().trim_end_matches('/'))
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
/// Its tokens are wiped at once; its posts, comments and replies stay.
#[utoipa::path(delete, path = "/api/integrations/{id}", responses((status = 204, description = "Disconnected.")))]
pub async fn disconnect_integration(
    State(app): State<App>,
    wanted: Loaded<IntegrationRef, Admin>,
) -> ApiResult<StatusCode> {
    let integration = load(&app, wanted.team_id, wanted.id).await?;
    let mut tx = app.db.begin().await?;
    integrations::disconnect(&mut tx, &app.moment(), &integration, Some(wanted.caller.user_id)).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn load(app: &App, team_id: Uuid, id: Uuid) -> ApiResult<Integration> {
    let row = integrations::load(&mut *app.db.acquire().await?, team_id, id).await?;
    row.ok_or_else(|| Problem::not_found("integration"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_way_not_to_connect_has_its_reason_on_the_dashboard() {
        assert_eq!(reason(&ConnectError::Declined), "declined");
        assert_eq!(reason(&ConnectError::StateSpent), "spent");
        assert_eq!(reason(&ConnectError::CodeSpent), "spent");
        assert_eq!(reason(&ConnectError::OtherPerson), "other_person");
        assert_eq!(reason(&ConnectError::AppRefused("bad client".to_owned())), "refused");
        assert_eq!(reason(&ConnectError::Unavailable("timeout".to_owned())), "unavailable");
        assert_eq!(reason(&ConnectError::Database(sqlx::Error::PoolTimedOut)), "unavailable");
    }

    #[test]
    fn the_way_back_leads_to_the_frontend_wherever_it_stands() {
        let pairs = [("integration", "connected"), ("connected", "reddit")];
        for base in ["https://app.example/", "https://app.example"] {
            let to = dashboard(&Url::parse(base).unwrap(), &pairs);
            assert_eq!(to, "https://app.example/dashboard?integration=connected&connected=reddit");
        }
        let below = dashboard(&Url::parse("https://app.example/replies").unwrap(), &[("platform", "a&b=c")]);
        assert_eq!(below, "https://app.example/replies/dashboard?platform=a%26b%3Dc");
    }

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
