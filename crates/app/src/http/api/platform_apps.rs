//! Apps that a team brings: its own client id at a platform. A secret goes in and is never answered.

use crate::accounts::platform_apps::{self, AppError, PlatformApp};
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::http::auth::{Admin, TeamMember};
use crate::http::body::{JsonBody, Path};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An app of the team, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlatformAppAnswer {
    pub id: Uuid,
    #[schema(example = "reddit")]
    pub platform: String,
    #[schema(example = "p0aXcbmQoWi1Xw")]
    pub client_id: String,
    /// Accounts that were connected through it and are connected still.
    #[schema(example = 2)]
    pub accounts: i64,
    /// Where people come back to after their consent: register exactly this at the platform.
    #[schema(example = "https://rejoinder.example.com/api/integrations/reddit/oauth/callback")]
    pub redirect_uri: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its secret was set last.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlatformAppsAnswer {
    pub items: Vec<PlatformAppAnswer>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformAppBody {
    #[serde(alias = "clientId")]
    #[schema(example = "p0aXcbmQoWi1Xw", min_length = 1, max_length = 200)]
    client_id: String,
    /// Stored sealed and never shown again.
    #[serde(alias = "clientSecret")]
    #[schema(value_type = String, example = "E3c0mVJ5Xk2eLr8Tn4Qy", min_length = 1, max_length = 200)]
    client_secret: SecretString,
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Field { field, message } => Self::field(field, message),
            AppError::Database(error) => error.into(),
            AppError::Seal(error) => Self::internal(&error),
        }
    }
}

fn answer(app: &App, row: PlatformApp) -> PlatformAppAnswer {
    let redirect_uri = crate::accounts::connect::callback_url(app, &row.platform).to_string();
    PlatformAppAnswer {
        id: row.id,
        platform: row.platform,
        client_id: row.client_id,
        accounts: row.accounts,
        redirect_uri,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// The apps that a team brought
///
/// New accounts are connected through them; for other platforms through the app of the server.
#[utoipa::path(get, path = "/api/teams/{team_id}/platform-apps", tag = "integrations",
    responses((status = 200, description = "One per platform at most.", body = PlatformAppsAnswer)))]
pub async fn list_platform_apps(
    State(app): State<App>,
    member: TeamMember<Admin>,
) -> ApiResult<Json<PlatformAppsAnswer>> {
    let rows = platform_apps::list(&mut *app.db.acquire().await?, member.team_id).await?;
    Ok(Json(PlatformAppsAnswer { items: rows.into_iter().map(|row| answer(&app, row)).collect() }))
}

/// Bring an app of your own
///
/// Accounts that are connected from now on use it and its request budget. Those from before go on through the app that they were
/// connected with, until somebody connects them again. The same `client_id` again replaces the secret.
#[utoipa::path(put, path = "/api/teams/{team_id}/platform-apps/{platform}", tag = "integrations", request_body = PlatformAppBody,
    responses((status = 200, description = "As it stands now.", body = PlatformAppAnswer)))]
pub async fn set_platform_app(
    State(app): State<App>,
    member: TeamMember<Admin>,
    Path((_, platform)): Path<(Uuid, String)>,
    JsonBody(body): JsonBody<PlatformAppBody>,
) -> ApiResult<Json<PlatformAppAnswer>> {
    known(&platform)?;
    let (by, credentials) = ((member.team_id, member.caller.user_id), (body.client_id.as_str(), &body.client_secret));
    let mut tx = app.db.begin().await?;
    platform_apps::set(&app, &mut tx, &app.moment(), by, &platform, credentials).await?;
    let rows = platform_apps::list(&mut tx, member.team_id).await?;
    tx.commit().await?;
    let row =
        rows.into_iter().find(|row| row.platform == platform).ok_or_else(|| Problem::not_found("platform app"))?;
    Ok(Json(answer(&app, row)))
}

/// Take an app away
///
/// New accounts are connected through the app of the server again. Accounts of this app need a new consent.
#[utoipa::path(delete, path = "/api/teams/{team_id}/platform-apps/{platform}", tag = "integrations",
    responses((status = 204, description = "It is gone, and its secret with it.")))]
pub async fn remove_platform_app(
    State(app): State<App>,
    member: TeamMember<Admin>,
    Path((_, platform)): Path<(Uuid, String)>,
) -> ApiResult<StatusCode> {
    known(&platform)?;
    let mut tx = app.db.begin().await?;
    let by = (member.team_id, member.caller.user_id);
    if !platform_apps::remove(&mut tx, &app.moment(), by, &platform).await? {
        return Err(Problem::not_found("platform app"));
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn known(platform: &str) -> Result<(), Problem> {
    let known = rejoinder_platforms::PLATFORMS.iter().any(|(slug, _)| *slug == platform);
    if known { Ok(()) } else { Err(Problem::not_found("platform")) }
}
