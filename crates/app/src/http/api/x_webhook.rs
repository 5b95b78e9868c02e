//! Where X tells of answers and mentions. X asks now and then whether the address is still ours; the answer is a signature of what it asks.

use super::deliveries::{self, DeliveryAnswer, Door};
use crate::app::App;
use crate::clients::x_signing;
use crate::error::{ApiResult, Problem};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;

/// Of what X asks to be signed.
const LONGEST_TOKEN: usize = 500;

#[derive(Debug, Serialize, ToSchema)]
pub struct CrcAnswer {
    /// `sha256=` and the signature in base64.
    #[schema(example = "sha256=SLaqlBvdYxXh2OJjfAcmCdRTRvZrl9NEA9xmdu3Yd2k=")]
    pub response_token: String,
}

fn secret(app: &App) -> ApiResult<&SecretString> {
    app.config.x.as_ref().and_then(|x| x.api_secret.as_ref()).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "webhooks-off",
            "No webhooks of X here",
            "Set X_CLIENT_ID, X_CLIENT_SECRET and X_API_SECRET, and restart the server.",
        )
    })
}

/// Prove to X that the webhook address is ours
///
/// X asks when the webhook is registered and every hour from then on.
#[utoipa::path(get, path = "/api/webhooks/x", security(()), tag = "webhooks",
    params(("crc_token" = String, Query, description = "What X wants to have signed.")),
    responses(
        (status = 200, description = "The token, signed with X_API_SECRET.", body = CrcAnswer),
        (status = 400, description = "There is no crc_token of at most 500 bytes.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "This server takes no webhooks of X.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn verify_x_webhook(State(app): State<App>, uri: Uri) -> ApiResult<Json<CrcAnswer>> {
    let secret = secret(&app)?;
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let token = pairs.into_owned().find(|(name, _)| name == "crc_token").map(|(_, token)| token).unwrap_or_default();
    if token.is_empty() || token.len() > LONGEST_TOKEN {
        let detail = format!("Name what is to be signed as crc_token, with 1 to {LONGEST_TOKEN} bytes.");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "crc-token-missing", "Nothing to sign", detail));
    }
    Ok(Json(CrcAnswer { response_token: x_signing::signature(secret, token.as_bytes()) }))
}

/// Take an event of X
///
/// Signed in `x-twitter-webhooks-signature` over the raw bytes. Each answer and each mention is kept once, whatever is repeated; other
/// events are passed over. What the body says is worked later.
#[utoipa::path(post, path = "/api/webhooks/x", security(()), tag = "webhooks",
    request_body(content = serde_json::Value, content_type = "application/json", description = "The event, as X sends it.",
        example = json!({ "data": { "event_uuid": "3091827364059182736", "event_type": "post.reply.create",
            "filter": { "user_id": "1577730467436138501" }, "payload": { "id": "2090000000000000001",
            "text": "@brassfinch Do the old baskets fit?", "author_id": "1577730467436138508",
            "created_at": "2026-08-12T18:00:00.000Z", "conversation_id": "2080761390344937796",
            "in_reply_to_tweet_id": "2080761390344937796", "in_reply_to_user_id": "1577730467436138501" } } })),
    responses(
        (status = 200, description = "Kept for good.", body = DeliveryAnswer),
        (status = 401, description = "The signature is missing or wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "This server takes no webhooks of X.", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body did not come within ten seconds.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than 4 MiB.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too much is under way; send it again.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn x_webhook(State(app): State<App>, request: Request) -> ApiResult<Json<DeliveryAnswer>> {
    let secret = secret(&app)?;
    let door = Door {
        platform: "x",
        signature_header: x_signing::HEADER,
        is_signed: &|signature, body| x_signing::is_signed(secret, signature, body),
        secrets: "X_API_SECRET",
    };
    deliveries::take(&app, door, request).await
}
