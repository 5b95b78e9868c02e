//! Intents and their variations.

use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::flow::intents::{self, Intent, IntentError, IntentFields, Variation, VariationFields};
use crate::http::auth::{Editor, IntentRef, Loaded, TeamMember, VariationRef, Viewer};
use crate::http::body::JsonBody;
use crate::http::etag::{IfMatch, etag};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct IntentAnswer {
    pub id: Uuid,
    #[schema(example = "Thanks")]
    pub name: String,
    /// friendly, formal, witty or neutral.
    #[schema(example = "friendly")]
    pub tone: String,
    /// From 0 to 1: below it no rule posts by itself.
    #[schema(example = 0.8)]
    pub confidence_threshold: f64,
    #[schema(example = "Calm and concrete. Never sorry twice.")]
    pub brand_voice: String,
    pub variations: Vec<VariationAnswer>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct VariationAnswer {
    pub id: Uuid,
    pub intent_id: Uuid,
    #[schema(example = "Thank you, {name}! Enjoy it.")]
    pub text: String,
    #[schema(example = 10)]
    pub weight: i32,
    pub enabled: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct IntentsAnswer {
    pub items: Vec<IntentAnswer>,
}

/// What may be set; a field that is left out stays as it is (a new intent gets the default).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IntentBody {
    /// Required for a new one; unique in the team; at most 80 characters.
    #[schema(example = "Thanks")]
    name: Option<String>,
    #[schema(example = "friendly")]
    tone: Option<String>,
    #[serde(alias = "confidenceThreshold")]
    #[schema(example = 0.8, minimum = 0, maximum = 1)]
    confidence_threshold: Option<f64>,
    /// At most 4,000 characters.
    #[serde(alias = "brandVoice")]
    brand_voice: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VariationBody {
    /// Required for a new one; at most 280 characters.
    #[schema(example = "Thank you! Enjoy it.")]
    text: Option<String>,
    #[schema(example = 10, minimum = 0, maximum = 1000)]
    weight: Option<i32>,
    enabled: Option<bool>,
}

impl IntentBody {
    fn fields(self) -> IntentFields {
        IntentFields {
            name: self.name,
            tone: self.tone,
            confidence_threshold: self.confidence_threshold,
            brand_voice: self.brand_voice,
        }
    }
}

impl VariationBody {
    fn fields(self) -> VariationFields {
        VariationFields { text: self.text, weight: self.weight, enabled: self.enabled }
    }
}

impl From<Variation> for VariationAnswer {
    fn from(row: Variation) -> Self {
        Self {
            id: row.id,
            intent_id: row.intent_id,
            text: row.text,
            weight: row.weight,
            enabled: row.enabled,
            created_at: row.created_at,
        }
    }
}

impl IntentAnswer {
    /// With those of the team's variations that are its own.
    fn new(intent: Intent, all: &[Variation]) -> Self {
        let own = all.iter().filter(|variation| variation.intent_id == intent.id);
        Self {
            id: intent.id,
            name: intent.name,
            tone: intent.tone,
            confidence_threshold: intent.confidence_threshold,
            brand_voice: intent.brand_voice,
            variations: own.cloned().map(VariationAnswer::from).collect(),
            created_at: intent.created_at,
            updated_at: intent.updated_at,
        }
    }
}

impl From<IntentError> for Problem {
    fn from(error: IntentError) -> Self {
        match error {
            IntentError::NotFound => Self::not_found("intent"),
            IntentError::NameTaken => Self::conflict("name-taken", "An intent of this name exists already."),
            IntentError::Full(detail) => Self::conflict("full", detail),
            IntentError::Field { field, message } => Self::field(field, message),
            IntentError::Database(error) => error.into(),
        }
    }
}

/// The intents of a team, by name
#[utoipa::path(get, path = "/api/teams/{team_id}/intents",
    responses((status = 200, description = "All intents with their variations.", body = IntentsAnswer)))]
pub async fn list_intents(State(app): State<App>, member: TeamMember<Viewer>) -> ApiResult<Json<IntentsAnswer>> {
    let mut conn = app.db.acquire().await?;
    let intents = intents::list(&mut conn, member.team_id).await?;
    let variations = intents::variations(&mut conn, member.team_id).await?;
    let items = intents.into_iter().map(|intent| IntentAnswer::new(intent, &variations)).collect();
    Ok(Json(IntentsAnswer { items }))
}

/// Make an intent
#[utoipa::path(post, path = "/api/teams/{team_id}/intents", request_body = IntentBody,
    responses((status = 201, description = "The new intent.", body = IntentAnswer)))]
pub async fn create_intent(
    State(app): State<App>,
    member: TeamMember<Editor>,
    JsonBody(body): JsonBody<IntentBody>,
) -> ApiResult<(StatusCode, Json<IntentAnswer>)> {
    let mut tx = app.db.begin().await?;
    let actor = member.caller.user_id;
    let intent = intents::create(&mut tx, &app.moment(), member.team_id, actor, body.fields()).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(IntentAnswer::new(intent, &[]))))
}

/// One intent
#[utoipa::path(get, path = "/api/intents/{id}",
    responses((status = 200, description = "The intent with its variations.", body = IntentAnswer)))]
pub async fn get_intent(State(app): State<App>, intent: Loaded<IntentRef, Viewer>) -> ApiResult<impl IntoResponse> {
    let mut conn = app.db.acquire().await?;
    let row = intents::load(&mut conn, intent.team_id, intent.id).await?.ok_or(IntentError::NotFound)?;
    Ok((etag(row.updated_at), Json(with_variations(&mut conn, intent.team_id, row).await?)))
}

async fn with_variations(conn: &mut PgConnection, team_id: Uuid, intent: Intent) -> ApiResult<IntentAnswer> {
    let variations = intents::variations(conn, team_id).await?;
    Ok(IntentAnswer::new(intent, &variations))
}

/// Change an intent
///
/// With the `ETag` that you saw as `If-Match`, only while nobody else changed it.
#[utoipa::path(patch, path = "/api/intents/{id}", request_body = IntentBody,
    params(("If-Match" = Option<String>, Header, description = "The ETag of what you saw; a change since answers 412.")),
    responses((status = 200, description = "The intent as it is now.", body = IntentAnswer)))]
pub async fn update_intent(
    State(app): State<App>,
    intent: Loaded<IntentRef, Editor>,
    if_match: IfMatch,
    JsonBody(body): JsonBody<IntentBody>,
) -> ApiResult<impl IntoResponse> {
    let mut tx = app.db.begin().await?;
    let stands = intents::take(&mut tx, intent.team_id, intent.id).await?.ok_or(IntentError::NotFound)?;
    let variations = intents::variations(&mut tx, intent.team_id).await?;
    if_match.check(stands.updated_at, || IntentAnswer::new(stands, &variations))?;
    let actor = intent.caller.user_id;
    let row = intents::update(&mut tx, &app.moment(), intent.team_id, intent.id, actor, body.fields()).await?;
    let tag = etag(row.updated_at);
    let answer = with_variations(&mut tx, intent.team_id, row).await?;
    tx.commit().await?;
    Ok((tag, Json(answer)))
}

/// Take an intent out of use
///
/// Suggestions that name it keep it; its name is free again.
#[utoipa::path(delete, path = "/api/intents/{id}", responses((status = 204, description = "Done.")))]
pub async fn delete_intent(State(app): State<App>, intent: Loaded<IntentRef, Editor>) -> ApiResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    intents::delete(&mut tx, &app.moment(), intent.team_id, intent.id, intent.caller.user_id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add a variation to an intent
#[utoipa::path(post, path = "/api/intents/{id}/variations", request_body = VariationBody,
    responses((status = 201, description = "The new variation.", body = VariationAnswer)))]
pub async fn create_variation(
    State(app): State<App>,
    intent: Loaded<IntentRef, Editor>,
    JsonBody(body): JsonBody<VariationBody>,
) -> ApiResult<(StatusCode, Json<VariationAnswer>)> {
    let mut tx = app.db.begin().await?;
    let (team_id, actor) = (intent.team_id, intent.caller.user_id);
    let row = intents::add_variation(&mut tx, &app.moment(), team_id, intent.id, actor, body.fields()).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// Change a variation
#[utoipa::path(patch, path = "/api/variations/{id}", request_body = VariationBody,
    responses((status = 200, description = "The variation as it is now.", body = VariationAnswer)))]
pub async fn update_variation(
    State(app): State<App>,
    variation: Loaded<VariationRef, Editor>,
    JsonBody(body): JsonBody<VariationBody>,
) -> ApiResult<Json<VariationAnswer>> {
    let mut tx = app.db.begin().await?;
    let (team_id, actor) = (variation.team_id, variation.caller.user_id);
    let row = intents::update_variation(&mut tx, &app.moment(), team_id, variation.id, actor, body.fields()).await?;
    tx.commit().await?;
    Ok(Json(row.into()))
}

/// Delete a variation
#[utoipa::path(delete, path = "/api/variations/{id}", responses((status = 204, description = "Done.")))]
pub async fn delete_variation(
    State(app): State<App>,
    variation: Loaded<VariationRef, Editor>,
) -> ApiResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    let actor = variation.caller.user_id;
    intents::delete_variation(&mut tx, &app.moment(), variation.team_id, variation.id, actor).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_fail_has_its_status() {
        let status = |error: IntentError| Problem::from(error).status;
        assert_eq!(status(IntentError::NotFound), 404);
        assert_eq!(status(IntentError::NameTaken), 409);
        assert_eq!(status(IntentError::Full("full".to_owned())), 409);
        let wrong = Problem::from(IntentError::Field { field: "tone", message: "`rude`".to_owned() });
        assert_eq!((wrong.status, wrong.errors[0].field.as_str()), (422, "tone"));
    }
}
