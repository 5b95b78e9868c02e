//! The switches of a team and of its accounts. A pause answers when nothing starts any more, which takes up to about 25 s while
//! calls are under way. An editor may stop an account; only an admin lets it go on, and stops or resumes the whole team.

use crate::app::App;
use crate::error::{ApiResult, Problem, chain};
use crate::flow::send::{self, Paused, REASON_CHARS, SwitchError, SwitchScope, Switches};
use crate::http::auth::{Admin, Caller, Editor, IntegrationRef, Loaded, TeamMember};
use crate::http::body::{JsonBody, Nothing};
use crate::model::IntegrationState;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// For the others of the team; at most 300 characters.
    #[schema(example = "Wrong price in our drafts", max_length = 300)]
    reason: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PauseAnswer {
    /// From now on no call starts.
    #[schema(example = true)]
    pub paused: bool,
    /// Calls that had been armed and were not over when the switch was turned.
    #[schema(example = 2)]
    pub in_flight: usize,
    /// Those of them that told no end within their time limit; what became of them is read back from the platform.
    #[schema(example = 0)]
    pub still_running: usize,
    /// Since when it is paused; an earlier pause stays as it was.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    pub reason: Option<String>,
    /// Name of the person; null where the operator of the server did it.
    pub paused_by_name: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ResumeAnswer {
    #[schema(example = false)]
    pub paused: bool,
    /// Wider switches that still keep everything in: "team", "instance".
    #[schema(example = json!(["team"]))]
    pub still_paused_by: Vec<&'static str>,
}

impl From<Paused> for PauseAnswer {
    fn from(paused: Paused) -> Self {
        Self {
            paused: true,
            in_flight: paused.in_flight,
            still_running: paused.still_running,
            since: paused.standing.since,
            reason: paused.standing.reason,
            paused_by_name: paused.standing.by_name,
        }
    }
}

impl From<SwitchError> for Problem {
    fn from(error: SwitchError) -> Self {
        match error {
            SwitchError::NotFound(what) => Self::not_found(what),
            SwitchError::NotLive(IntegrationState::NeedsReconnect) => Self::conflict(
                "reconnect-needed",
                "The account needs a new consent: nothing goes out from it until an admin connects it again.",
            ),
            SwitchError::NotLive(_) => Self::conflict(
                "not-connected",
                "The account is disconnected: nothing goes out from it. Connect it first.",
            ),
            SwitchError::LongReason(chars) => {
                Self::field("reason", format!("has {chars} characters; at most {REASON_CHARS} are kept"))
            }
            SwitchError::Database(error) => error.into(),
            SwitchError::Unwatched(error) => {
                tracing::error!(error = %chain(&error), "the calls under way could not be watched");
                Self::unavailable(
                    "It is paused and nothing new goes out, but whether calls under way have ended could not be seen. \
                     Pause again to wait for them.",
                )
            }
        }
    }
}

/// Pause all sending of a team
///
/// Answers when no call starts any more. What is approved waits; comments come in and drafts are written as before. Pausing again
/// changes nothing.
#[utoipa::path(post, path = "/api/teams/{team_id}/pause", request_body = PauseBody,
    responses((status = 200, description = "Paused, by this call or an earlier one.", body = PauseAnswer)))]
pub async fn pause_team(
    State(app): State<App>,
    member: TeamMember<Admin>,
    JsonBody(body): JsonBody<PauseBody>,
) -> ApiResult<Json<PauseAnswer>> {
    pause(&app, SwitchScope::Team(member.team_id), &member.caller, body).await
}

/// Let the sending of a team go on
///
/// What waited goes out under the usual limits. Resuming again changes nothing.
#[utoipa::path(post, path = "/api/teams/{team_id}/resume",
    responses((status = 200, description = "Resumed, by this call or an earlier one.", body = ResumeAnswer)))]
pub async fn resume_team(
    State(app): State<App>,
    member: TeamMember<Admin>,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<ResumeAnswer>> {
    resume(&app, SwitchScope::Team(member.team_id), &member.caller).await
}

/// Pause all sending of an account
///
/// As for a team. Editors may pause; an account that its own failures had paused stays so until an admin resumes it.
#[utoipa::path(post, path = "/api/integrations/{id}/pause", request_body = PauseBody,
    responses((status = 200, description = "Paused, by this call or an earlier one.", body = PauseAnswer)))]
pub async fn pause_integration(
    State(app): State<App>,
    wanted: Loaded<IntegrationRef, Editor>,
    JsonBody(body): JsonBody<PauseBody>,
) -> ApiResult<Json<PauseAnswer>> {
    pause(&app, SwitchScope::Integration { team_id: wanted.team_id, id: wanted.id }, &wanted.caller, body).await
}

/// Let the sending of an account go on
///
/// Whatever had paused it: a person, its own failures or trouble of the whole app.
#[utoipa::path(post, path = "/api/integrations/{id}/resume",
    responses((status = 200, description = "Resumed, by this call or an earlier one.", body = ResumeAnswer)))]
pub async fn resume_integration(
    State(app): State<App>,
    wanted: Loaded<IntegrationRef, Admin>,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<ResumeAnswer>> {
    resume(&app, SwitchScope::Integration { team_id: wanted.team_id, id: wanted.id }, &wanted.caller).await
}

async fn pause(app: &App, scope: SwitchScope, caller: &Caller, body: PauseBody) -> ApiResult<Json<PauseAnswer>> {
    let paused = Switches::from(app).pause(scope, Some(caller.user_id), body.reason.as_deref()).await?;
    Ok(Json(paused.into()))
}

async fn resume(app: &App, scope: SwitchScope, caller: &Caller) -> ApiResult<Json<ResumeAnswer>> {
    Switches::from(app).resume(scope, Some(caller.user_id)).await?;
    let mut conn = app.db.acquire().await?;
    let mut still_paused_by = Vec::new();
    if let SwitchScope::Integration { team_id, .. } = scope
        && send::standing(&mut conn, SwitchScope::Team(team_id)).await?.is_some()
    {
        still_paused_by.push("team");
    }
    if send::standing(&mut conn, SwitchScope::Instance).await?.is_some() {
        still_paused_by.push("instance");
    }
    Ok(Json(ResumeAnswer { paused: false, still_paused_by }))
}
