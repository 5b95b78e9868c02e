//! Who wants no answers, where rules hold back, whose policy was confirmed.

use super::integrations::{IntegrationAnswer, load};
use super::paging::{Page, Paging};
use crate::accounts::integrations;
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::flow::etiquette::opt_outs::{self, OptOut};
use crate::flow::etiquette::rule_pauses::{self, RulePause};
use crate::http::auth::{Admin, IntegrationRef, Loaded, OptOutRef, RulePauseRef, TeamMember, Viewer};
use crate::http::body::{JsonBody, Nothing, Query};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Somebody who asked not to be answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct OptOutAnswer {
    pub id: Uuid,
    pub team_id: Uuid,
    #[schema(example = "reddit")]
    pub platform: String,
    /// While the comment in which they said so stands there.
    #[schema(example = "curious_cat")]
    pub author_handle: Option<String>,
    /// The item of that comment.
    pub item_id: Option<Uuid>,
    /// The words of the list that were found.
    #[schema(example = "don't reply to me")]
    pub words: String,
    #[serde(with = "time::serde::rfc3339")]
    pub noted_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub lifted_at: Option<OffsetDateTime>,
    pub lifted_by_name: Option<String>,
}

/// A place where rules post nothing, because replies were removed there.
#[derive(Debug, Serialize, ToSchema)]
pub struct RulePauseAnswer {
    pub id: Uuid,
    pub team_id: Uuid,
    pub integration_id: Uuid,
    #[schema(example = "reddit")]
    pub platform: String,
    #[schema(example = "moka_and_co")]
    pub account: String,
    /// Null: everywhere, with the account.
    #[schema(example = "r/espresso")]
    pub community: Option<String>,
    #[schema(example = "3 replies were removed in r/espresso within 7 days")]
    pub reason: String,
    #[serde(with = "time::serde::rfc3339")]
    pub paused_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub lifted_at: Option<OffsetDateTime>,
    pub lifted_by_name: Option<String>,
}

impl From<OptOut> for OptOutAnswer {
    fn from(row: OptOut) -> Self {
        Self {
            id: row.id,
            team_id: row.team_id,
            platform: row.platform,
            author_handle: row.author_handle,
            item_id: row.item_id,
            words: row.words,
            noted_at: row.noted_at,
            lifted_at: row.lifted_at,
            lifted_by_name: row.lifted_by_name,
        }
    }
}

impl From<RulePause> for RulePauseAnswer {
    fn from(row: RulePause) -> Self {
        Self {
            id: row.id,
            team_id: row.team_id,
            integration_id: row.integration_id,
            platform: row.platform,
            account: row.account,
            community: row.community,
            reason: row.reason,
            paused_at: row.paused_at,
            lifted_at: row.lifted_at,
            lifted_by_name: row.lifted_by_name,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EtiquetteQuery {
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

/// Who asked the team not to be answered, the newest first
#[utoipa::path(get, path = "/api/teams/{team_id}/opt-outs", tag = "etiquette", params(EtiquetteQuery),
    responses((status = 200, description = "One page, those that were lifted too.", body = Page<OptOutAnswer>)))]
pub async fn list_opt_outs(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    Query(query): Query<EtiquetteQuery>,
) -> ApiResult<Json<Page<OptOutAnswer>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let mut conn = app.db.acquire().await?;
    let rows = opt_outs::list(&mut conn, member.team_id, paging.from, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.noted_at, row.id))))
}

/// Answer somebody again who had asked for silence
///
/// For a wish that was taken back or misread. What they wrote before does not count again; lifting twice changes nothing.
#[utoipa::path(post, path = "/api/opt-outs/{id}/lift", tag = "etiquette", responses((status = 204, description = "Lifted.")))]
pub async fn lift_opt_out(
    State(app): State<App>,
    wanted: Loaded<OptOutRef, Admin>,
    _: JsonBody<Nothing>,
) -> ApiResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    let found = opt_outs::lift(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    tx.commit().await?;
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("opt-out")) }
}

/// Where rules post nothing because replies were removed, the newest first
#[utoipa::path(get, path = "/api/teams/{team_id}/rule-pauses", tag = "etiquette", params(EtiquetteQuery),
    responses((status = 200, description = "One page, those that were lifted too.", body = Page<RulePauseAnswer>)))]
pub async fn list_rule_pauses(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    Query(query): Query<EtiquetteQuery>,
) -> ApiResult<Json<Page<RulePauseAnswer>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let mut conn = app.db.acquire().await?;
    let rows = rule_pauses::list(&mut conn, member.team_id, paging.from, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.paused_at, row.id))))
}

/// Let rules post there again
///
/// Removals from before do not count any more. Lifting twice changes nothing.
#[utoipa::path(post, path = "/api/rule-pauses/{id}/lift", tag = "etiquette", responses((status = 204, description = "Lifted.")))]
pub async fn lift_rule_pause(
    State(app): State<App>,
    wanted: Loaded<RulePauseRef, Admin>,
    _: JsonBody<Nothing>,
) -> ApiResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    let found = rule_pauses::lift(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    tx.commit().await?;
    if found { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("rule pause")) }
}

/// Confirm the platform's policy for an account
///
/// Says that an admin has read what the platform asks of automatic replies and stands for them. Rules post nothing with the account before;
/// people's own replies are not concerned. Confirming again changes nothing.
#[utoipa::path(post, path = "/api/integrations/{id}/confirm-policy", tag = "integrations",
    responses((status = 200, description = "Confirmed.", body = IntegrationAnswer)))]
pub async fn confirm_policy(
    State(app): State<App>,
    wanted: Loaded<IntegrationRef, Admin>,
    _: JsonBody<Nothing>,
) -> ApiResult<Json<IntegrationAnswer>> {
    let mut tx = app.db.begin().await?;
    let moment = app.moment();
    integrations::confirm_policy(&mut tx, &moment, wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    tx.commit().await?;
    Ok(Json(load(&app, wanted.team_id, wanted.id).await?.into()))
}
