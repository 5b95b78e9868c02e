//! What Meta tells of people: one took the consent back, one wants deleted what is stored of them. Forms with a `signed_request`, sent by Meta's
//! server; nothing of it is looked at before its signature. Whoever is named, the answer is the same.

use super::meta_webhook::{PLATFORM, settings};
use crate::app::App;
use crate::clients::meta::{self, SignedRequest};
use crate::error::{ApiResult, Problem};
use crate::privacy;
use crate::telemetry::{self, Delivery};
use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// A signed request has at most 16 KiB, and three letters for one where a form escapes it.
const LARGEST_FORM: usize = 48 * 1024;

/// The form, as Meta sends it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body, which is read by hand")]
pub struct SignedForm {
    /// `SIGNATURE.PAYLOAD`, both base64url; HMAC-SHA256 with the app secret.
    #[schema(
        example = "vlXgu64BQGFSQrY0ZcJBZASMvYvTHu9GQ0YM9rjPSso.eyJhbGdvcml0aG0iOiJITUFDLVNIQTI1NiIsInVzZXJfaWQiOiIxIn0"
    )]
    pub signed_request: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeauthorizeAnswer {
    /// The request was believed; says nothing of whether anybody here was meant.
    #[schema(example = true)]
    pub taken: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeletionAnswer {
    /// The page that shows how the request stands.
    #[schema(example = "https://replies.example.com/data-deletion/6f1c0d9e8b7a45328190aabbccddeeff")]
    pub url: String,
    #[schema(example = "6f1c0d9e8b7a45328190aabbccddeeff")]
    pub confirmation_code: String,
}

/// Take a consent back, as Meta tells
///
/// The accounts of the person are disconnected and their tokens deleted; their teams are told. A repetition changes nothing, and neither
/// does a request from before a newer consent.
#[utoipa::path(post, path = "/api/webhooks/meta/deauthorize", security(()), tag = "webhooks",
    request_body(content = SignedForm, content_type = "application/x-www-form-urlencoded", description = "The form, as Meta sends it.",
        example = json!({ "signed_request": "SIGNATURE.PAYLOAD" })),
    responses(
        (status = 200, description = "Taken, whoever was named.", body = DeauthorizeAnswer),
        (status = 401, description = "Not signed with a secret of the app.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "This server knows no app of Meta.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than 48 KiB.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn deauthorize(State(app): State<App>, request: Request) -> ApiResult<Json<DeauthorizeAnswer>> {
    let told = open(&app, request).await?;
    let mut tx = app.db.begin().await?;
    privacy::deauthorise(&mut tx, &app.moment(), PLATFORM, &told).await?;
    tx.commit().await?;
    telemetry::webhook_answered(PLATFORM, Delivery::Kept);
    Ok(Json(DeauthorizeAnswer { taken: true }))
}

/// Delete what is stored of a person, as Meta tells
///
/// The request is written down and carried out within minutes. The address in the answer shows how it stands, to anybody who has the code.
/// The same request has the same code however often it comes.
#[utoipa::path(post, path = "/api/webhooks/meta/data-deletion", security(()), tag = "webhooks",
    request_body(content = SignedForm, content_type = "application/x-www-form-urlencoded", description = "The form, as Meta sends it.",
        example = json!({ "signed_request": "SIGNATURE.PAYLOAD" })),
    responses(
        (status = 200, description = "Written down, whoever was named.", body = DeletionAnswer),
        (status = 401, description = "Not signed with a secret of the app.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "This server knows no app of Meta.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than 48 KiB.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn delete_data(State(app): State<App>, request: Request) -> ApiResult<Json<DeletionAnswer>> {
    let told = open(&app, request).await?;
    let mut tx = app.db.begin().await?;
    let code = privacy::ask_deletion(&mut tx, &app.moment(), PLATFORM, &told).await?;
    tx.commit().await?;
    telemetry::webhook_answered(PLATFORM, Delivery::Kept);
    let mut url = app.config.public_url.clone();
    url.set_path(&format!("/data-deletion/{code}"));
    Ok(Json(DeletionAnswer { url: url.into(), confirmation_code: code }))
}

async fn open(app: &App, request: Request) -> ApiResult<SignedRequest> {
    let settings = settings(app)?;
    let body = to_bytes(request.into_body(), LARGEST_FORM).await.map_err(|_| {
        telemetry::webhook_answered(PLATFORM, Delivery::Unsigned);
        let detail = "A callback may have at most 48 KiB, and must arrive in full.";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    })?;
    let sent = url::form_urlencoded::parse(&body).find(|(name, _)| name == "signed_request");
    // A plus that the sender did not escape is read as a blank.
    let text = sent.map(|(_, text)| text.replace(' ', "+")).unwrap_or_default();
    meta::open_signed_request(&settings.signing_secrets, &text).ok_or_else(|| {
        telemetry::webhook_answered(PLATFORM, Delivery::Unsigned);
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "signature-invalid",
            "Not signed by Meta",
            "The callback is not believed: its signed_request is missing or fits no secret. Check META_APP_SECRET and INSTAGRAM_APP_SECRET.",
        )
    })
}
