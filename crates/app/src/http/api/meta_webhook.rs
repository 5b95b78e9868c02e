//! Where Meta tells of comments on Instagram. Whoever knows an app secret may tell.

use super::deliveries::{self, DeliveryAnswer, Door};
use crate::app::App;
use crate::clients::meta;
use crate::config::InstagramSettings;
use crate::error::{ApiResult, Problem};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

pub(super) const PLATFORM: &str = "instagram";

pub(super) fn settings(app: &App) -> ApiResult<&InstagramSettings> {
    app.config.instagram.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "webhooks-off",
            "No webhooks of Instagram here",
            "Set META_APP_ID and META_APP_SECRET, and restart the server.",
        )
    })
}

/// Confirm the webhook address to Meta
///
/// Meta asks whenever the webhook is configured; the answer is the bare challenge.
#[utoipa::path(get, path = "/api/webhooks/meta/instagram", security(()), tag = "webhooks",
    params(
        ("hub.mode" = String, Query, description = "Always `subscribe`."),
        ("hub.verify_token" = String, Query, description = "What was typed in at Meta: WEBHOOK_SECRET_META."),
        ("hub.challenge" = String, Query, description = "Sent back as it is."),
    ),
    responses(
        (status = 200, description = "The challenge, as plain text.", body = String, content_type = "text/plain"),
        (status = 401, description = "The verify token is not ours.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "This server takes no webhooks of Instagram.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn verify_instagram_webhook(State(app): State<App>, uri: Uri) -> ApiResult<String> {
    let settings = settings(&app)?;
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let token = settings.verify_token.as_ref().map(|token| token.expose_secret()).unwrap_or_default();
    let ours = !token.is_empty() && bool::from(token.as_bytes().ct_eq(value("hub.verify_token").as_bytes()));
    let challenge = value("hub.challenge");
    let plain =
        challenge.len() <= 200 && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !ours || value("hub.mode") != "subscribe" || !plain {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "verify-token-invalid",
            "Not confirmed",
            "The verify token is not the one in WEBHOOK_SECRET_META, or it is not set.",
        ));
    }
    Ok(challenge.to_owned())
}

/// Take a webhook of Instagram
///
/// Signed in `X-Hub-Signature-256` over the raw bytes. Up to 1,000 changes at a time; each is kept once, whatever is repeated. What the
/// body says is worked later.
#[utoipa::path(post, path = "/api/webhooks/meta/instagram", security(()), tag = "webhooks",
    request_body(content = serde_json::Value, content_type = "application/json", description = "The delivery, as Meta sends it.",
        example = json!({ "object": "instagram", "entry": [{ "id": "17841405309211844", "time": 1785412106, "changes": [
            { "field": "comments", "value": { "id": "17870913679156914", "text": "Which setting for a V60?",
              "from": { "id": "1784140530921", "username": "curious_cat" }, "media": { "id": "17918195224117851" } } }] }] })),
    responses(
        (status = 200, description = "Kept for good.", body = DeliveryAnswer),
        (status = 401, description = "The signature is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "This server takes no webhooks of Instagram.", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body did not come within ten seconds.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than 4 MiB.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too much is under way; send it again.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn instagram_webhook(State(app): State<App>, request: Request) -> ApiResult<Json<DeliveryAnswer>> {
    let settings = settings(&app)?;
    let door = Door {
        platform: PLATFORM,
        signature_header: "X-Hub-Signature-256",
        is_signed: &|signature, body| meta::is_signed(&settings.signing_secrets, signature, body),
        secrets: "META_APP_SECRET and INSTAGRAM_APP_SECRET",
    };
    deliveries::take(&app, door, request).await
}
