//! Connecting an account: out to the consent page and back, with a confirmation where the frontend lives on another origin. What went
//! wrong on the way comes back to the frontend as a reason in the address, never as an error page.

use super::integrations::{self, IntegrationAnswer};
use crate::accounts::connect::{self, Arrived, Callback, CompleteError, ConnectError, target};
use crate::app::App;
use crate::error::{ApiResult, Problem, chain};
use crate::http::auth::{Admin, Caller, InPerson, NamedTeam, PageCaller, SignInFirst, require_role};
use crate::http::body::{JsonBody, Path, Query};
use crate::model::Role;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct OauthStartAnswer {
    /// Send the person's browser there.
    #[schema(example = "https://www.reddit.com/api/v1/authorize?client_id=...")]
    pub redirect_url: String,
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::UnknownPlatform(_) => Self::not_found("platform"),
            ConnectError::NotConfigured(_) => Self::conflict(
                "not-configured",
                format!("{error}. Whoever runs this server enters the client id and secret of its app."),
            ),
            ConnectError::NoApp(_) => Self::conflict("no-app", error.to_string()),
            ConnectError::ForeignTarget(_) => Self::field("return_to", error.to_string()),
            ConnectError::UnknownLogin(_) => Self::field("login", error.to_string()),
            ConnectError::Declined
            | ConnectError::StateUnknown
            | ConnectError::StateSpent
            | ConnectError::NotAdmin
            | ConnectError::NoCode
            | ConnectError::CodeSpent
            | ConnectError::NoAccount
            | ConnectError::LacksPermission(_)
            | ConnectError::AppRefused(_) => Self::conflict("not-connected", error.to_string()),
            ConnectError::Unavailable(_) => Self::unavailable(error.to_string()),
            ConnectError::Database(error) => error.into(),
            ConnectError::Seal(error) => Self::internal(&error),
        }
    }
}

impl From<CompleteError> for Problem {
    fn from(error: CompleteError) -> Self {
        match error {
            CompleteError::Unknown => Self::not_found("ticket"),
            CompleteError::Used => {
                Self::new(StatusCode::UNAUTHORIZED, "ticket-used", "The ticket was used before", error.to_string())
            }
            CompleteError::Expired => Self::conflict("ticket-expired", error.to_string()),
            CompleteError::NotChosen => Self::conflict("account-not-chosen", error.to_string()),
            CompleteError::NotMember => Self::not_found("team"),
            CompleteError::NotAdmin(role) => match require_role(role, Role::Admin) {
                Err(problem) => problem,
                Ok(()) => Self::not_found("ticket"),
            },
            CompleteError::Database(error) => error.into(),
            CompleteError::Seal(error) => Self::internal(&error),
        }
    }
}

/// For which team, and where to go afterwards.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OauthStart {
    /// May be left out by who is admin of exactly one team.
    #[serde(alias = "teamId")]
    team_id: Option<Uuid>,
    /// Where the browser is led in the end: a path or an address below `REDIRECT_BASE`. Left out: its `/dashboard`.
    #[serde(alias = "returnTo")]
    #[schema(example = "/settings/accounts", max_length = 2000)]
    #[param(example = "/settings/accounts", max_length = 2000)]
    return_to: Option<String>,
    /// Another way of signing in than the platform's usual one, where it has some: `facebook` for Instagram accounts that are linked to a Facebook
    /// Page.
    #[schema(example = "facebook", max_length = 40)]
    #[param(example = "facebook", max_length = 40)]
    login: Option<String>,
}

/// Begin to connect an account
#[utoipa::path(get, path = "/api/integrations/{platform}/oauth/start", params(OauthStart), tag = "integrations",
    responses((status = 200, description = "Where the person gives consent.", body = OauthStartAnswer)))]
pub async fn oauth_start(
    State(app): State<App>,
    by: NamedTeam<Admin>,
    Path(platform): Path<String>,
    Query(query): Query<OauthStart>,
) -> ApiResult<Json<OauthStartAnswer>> {
    begin(&app, &by, &platform, query).await
}

/// Begin to connect an account
///
/// The same as GET.
#[utoipa::path(post, path = "/api/integrations/{platform}/oauth/start", request_body = OauthStart, tag = "integrations",
    responses((status = 200, description = "Where the person gives consent.", body = OauthStartAnswer)))]
pub async fn oauth_start_post(
    State(app): State<App>,
    by: NamedTeam<Admin>,
    Path(platform): Path<String>,
    JsonBody(body): JsonBody<OauthStart>,
) -> ApiResult<Json<OauthStartAnswer>> {
    begin(&app, &by, &platform, body).await
}

async fn begin(
    app: &App,
    by: &NamedTeam<Admin>,
    platform: &str,
    asked: OauthStart,
) -> ApiResult<Json<OauthStartAnswer>> {
    let team_id = by.team(app, asked.team_id).await?;
    let for_whom = (team_id, by.caller.user_id);
    let by = (platform, asked.login.as_deref());
    let url = connect::start_by(app, &app.moment(), for_whom, by, asked.return_to.as_deref()).await?;
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
/// For browsers. With the session of the person who began, it leads to the frontend with
/// `?integration=connected&connected={platform}`. Without it (the frontend lives on another origin, or somebody else is signed in),
/// or where the consent reaches several accounts, nothing is connected yet: it leads there with `?integration=confirm&ticket={ticket}&platform={platform}`, and the person
/// who began sends the ticket to `POST /api/integrations/complete` within ten minutes (`POST /api/integrations/choices` tells which accounts
/// there are to choose from). What went wrong: `?integration=failed&reason={reason}`
/// with the reason declined, unknown, spent, incomplete, not_admin, no_account, no_permission, refused or unavailable.
#[utoipa::path(get, path = "/api/integrations/{platform}/oauth/callback", params(OauthCallback), security(()), tag = "integrations",
    responses((status = 303, description = "On to the frontend.")))]
pub async fn oauth_callback(
    State(app): State<App>,
    caller: Result<PageCaller, SignInFirst>,
    Path(platform): Path<String>,
    Query(query): Query<OauthCallback>,
) -> Response {
    let session_of = match caller {
        Ok(PageCaller(caller)) => Some(caller.user_id),
        Err(SignInFirst::Refused(problem)) if problem.status >= 500 => return problem.into_response(),
        Err(_) => None,
    };
    let callback = Callback { state: query.state.unwrap_or_default(), code: query.code, error: query.error };
    let back = connect::come_back(&app, &app.moment(), &platform, session_of, callback).await;
    let lead = |pairs: &[(&str, &str)]| lead_to(&back.target, pairs);
    match &back.arrived {
        Ok(Arrived::Connected(_)) => lead(&[("integration", "connected"), ("connected", &platform)]),
        Ok(Arrived::Pending(ticket)) => {
            lead(&[("integration", "confirm"), ("ticket", ticket.expose_secret()), ("platform", &platform)])
        }
        Err(ConnectError::UnknownPlatform(_)) => Problem::not_found("platform").into_response(),
        Err(error) => {
            tracing::warn!(platform, error = %chain(error), "an account was not connected");
            lead(&[("integration", "failed"), ("reason", reason(error)), ("platform", &platform)])
        }
    }
}

fn reason(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Declined => "declined",
        ConnectError::StateUnknown => "unknown",
        ConnectError::StateSpent | ConnectError::CodeSpent => "spent",
        ConnectError::NoCode => "incomplete",
        ConnectError::NotAdmin => "not_admin",
        ConnectError::NoAccount => "no_account",
        ConnectError::LacksPermission(_) => "no_permission",
        ConnectError::UnknownPlatform(_)
        | ConnectError::NotConfigured(_)
        | ConnectError::NoApp(_)
        | ConnectError::UnknownLogin(_)
        | ConnectError::ForeignTarget(_)
        | ConnectError::AppRefused(_) => "refused",
        ConnectError::Unavailable(_) | ConnectError::Database(_) | ConnectError::Seal(_) => "unavailable",
    }
}

/// The address may hold a ticket: no cache keeps it and no other site is told it.
fn lead_to(to: &Url, pairs: &[(&str, &str)]) -> Response {
    let mut answer = Redirect::to(&target::with(to, pairs)).into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteConnection {
    /// As it stood in the address that the callback led to.
    #[schema(example = "bP2mYl1gUo0Yxwq3k7m8Zb9cXJ4h5TqL0sVd6eFg7Hi", max_length = 200)]
    ticket: String,
    /// Which account, where the consent reaches several; otherwise it may be left out.
    #[serde(alias = "accountId")]
    #[schema(example = "17841405309211844", max_length = 100)]
    account_id: Option<String>,
}

/// Confirm a connection that came back without a session
///
/// Only the person who began it (anybody else: 404), while still an admin of the team. A ticket works once (a second time: 401 `ticket-used`) and for ten
/// minutes (later: 409 `ticket-expired`; the access is given back to the platform then). Where the consent reaches several accounts,
/// `account_id` says which one (missing or none of them: 409 `account-not-chosen`; the ticket stays good).
#[utoipa::path(post, path = "/api/integrations/complete", request_body = CompleteConnection, tag = "integrations",
    responses((status = 200, description = "The account is connected; its first comments come in soon.", body = IntegrationAnswer)))]
pub async fn complete_connection(
    State(app): State<App>,
    caller: Caller,
    _: InPerson,
    JsonBody(body): JsonBody<CompleteConnection>,
) -> ApiResult<Json<IntegrationAnswer>> {
    let account_id = body.account_id.as_deref();
    let done = connect::complete(&app, &app.moment(), caller.user_id, &body.ticket, account_id).await?;
    Ok(Json(integrations::load(&app, done.team_id, done.integration_id).await?.into()))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskChoices {
    /// As it stood in the address that the callback led to.
    #[schema(example = "bP2mYl1gUo0Yxwq3k7m8Zb9cXJ4h5TqL0sVd6eFg7Hi", max_length = 200)]
    ticket: String,
}

/// What a ticket can be turned into.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChoicesAnswer {
    #[schema(example = "instagram")]
    pub platform: String,
    /// Empty where there is nothing to choose.
    pub accounts: Vec<AccountChoice>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AccountChoice {
    /// For `account_id`.
    #[schema(example = "17841405309211844")]
    pub account_id: String,
    #[schema(example = "acme.coffee")]
    pub name: String,
    /// What it is reached through.
    #[schema(example = "Page Acme Coffee")]
    pub place: Option<String>,
}

/// Which accounts a consent reaches
///
/// Only for the person who began it, while the ticket is good; anybody else, and later: 404.
#[utoipa::path(post, path = "/api/integrations/choices", request_body = AskChoices, tag = "integrations",
    responses((status = 200, description = "The accounts to choose from; none where there is only one.", body = ChoicesAnswer)))]
pub async fn connection_choices(
    State(app): State<App>,
    caller: Caller,
    _: InPerson,
    JsonBody(body): JsonBody<AskChoices>,
) -> ApiResult<Json<ChoicesAnswer>> {
    let mut conn = app.db.acquire().await?;
    let found = connect::look(&mut conn, app.clock.now(), caller.user_id, &body.ticket).await?;
    let pending = found.ok_or_else(|| Problem::not_found("ticket"))?;
    let account =
        |choice: connect::Choice| AccountChoice { account_id: choice.id, name: choice.name, place: choice.place };
    Ok(Json(ChoicesAnswer { platform: pending.platform, accounts: pending.choices.into_iter().map(account).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_not_to_connect_has_its_reason_on_the_dashboard() {
        assert_eq!(reason(&ConnectError::Declined), "declined");
        assert_eq!(reason(&ConnectError::StateUnknown), "unknown");
        assert_eq!(reason(&ConnectError::StateSpent), "spent");
        assert_eq!(reason(&ConnectError::CodeSpent), "spent");
        assert_eq!(reason(&ConnectError::NoCode), "incomplete");
        assert_eq!(reason(&ConnectError::NotAdmin), "not_admin");
        assert_eq!(reason(&ConnectError::NoAccount), "no_account");
        assert_eq!(reason(&ConnectError::LacksPermission("instagram_basic".to_owned())), "no_permission");
        assert_eq!(reason(&ConnectError::AppRefused("bad client".to_owned())), "refused");
        assert_eq!(reason(&ConnectError::Unavailable("timeout".to_owned())), "unavailable");
        assert_eq!(reason(&ConnectError::Database(sqlx::Error::PoolTimedOut)), "unavailable");
    }
}
