//! Where Clerk tells of its people. Whoever knows the endpoint's secret may tell; nothing else of the request is looked at before.

use crate::accounts::clerk::webhook::{self, EventError, Outcome};
use crate::app::App;
use crate::clients::signatures;
use crate::error::{ApiResult, Problem};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookAnswer {
    /// done, repeated (carried out before) or ignored (nothing that is kept here, or older than what is known).
    #[schema(example = "done")]
    pub outcome: &'static str,
}

/// Take a webhook of Clerk
///
/// Signed by Svix: `svix-id`, `svix-timestamp`, `svix-signature`. Each id is carried out once; a repetition answers 200 and does nothing.
#[utoipa::path(post, path = "/api/webhooks/clerk", security(()), tag = "webhooks",
    request_body(content = serde_json::Value, content_type = "application/json", description = "The event, as Clerk sends it.",
        example = json!({ "type": "user.deleted", "object": "event", "data": { "id": "user_2abc", "object": "user", "deleted": true } })),
    responses(
        (status = 200, description = "Taken.", body = WebhookAnswer),
        (status = 401, description = "The signature is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "This server takes no webhooks of Clerk.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn clerk_webhook(State(app): State<App>, headers: HeaderMap, body: Bytes) -> ApiResult<Json<WebhookAnswer>> {
    let secrets = app.clerk.as_ref().map(|clerk| clerk.settings().webhook_secrets.as_slice()).unwrap_or_default();
    if secrets.is_empty() {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "webhooks-off",
            "No webhooks of Clerk here",
            "Set CLERK_WEBHOOK_SECRET to the signing secret of the endpoint, and restart the server.",
        ));
    }
    let moment = app.moment();
    let id = signatures::verify(secrets, &headers, &body, moment.now).map_err(|error| {
        tracing::warn!(%error, "a webhook of Clerk was not believed");
        let detail =
            format!("The webhook is not believed: {error}. Check CLERK_WEBHOOK_SECRET and the clock of this server.");
        Problem::new(StatusCode::UNAUTHORIZED, "signature-invalid", "Not signed by Clerk", detail)
    })?;
    let outcome = match webhook::receive(&app.db, &moment, id, &body).await {
        Ok(Outcome::Done) => "done",
        Ok(Outcome::Repeated) => "repeated",
        Ok(Outcome::Ignored) => "ignored",
        Err(EventError::Malformed { path, reason }) => return Err(Problem::field(path, reason)),
        Err(EventError::Database(error)) => return Err(error.into()),
    };
    Ok(Json(WebhookAnswer { outcome }))
}
