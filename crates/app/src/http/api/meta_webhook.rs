//! Where Meta tells of comments on Instagram. Whoever knows an app secret may tell; nothing of a body is looked at before its signature.
//! The answer is 200 once everything is stored, also for what nobody understands: Meta would only send it again.

use crate::app::App;
use crate::clients::meta;
use crate::config::InstagramSettings;
use crate::error::{ApiResult, Problem};
use crate::flow::ingest::intake::{LARGEST_BYTES, Room};
use crate::telemetry::{self, Delivery};
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use bytes::BytesMut;
use futures::StreamExt;
use rejoinder_platforms::{Pushed, instagram_webhook};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

pub(super) const PLATFORM: &str = "instagram";
/// What is kept of a body that nobody understands.
const KEPT_CHARS: usize = 4_000;
/// Of a body that is too large, so much is read and dropped before it is refused.
const PASSED_OVER_BYTES: usize = 16 * 1024 * 1024;
/// Meta's bodies come in one go.
const BODY_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryAnswer {
    /// Changes that are kept; those that came before count too.
    #[schema(example = 1)]
    pub kept: usize,
}

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
pub async fn instagram_webhook(
    State(app): State<App>,
    headers: HeaderMap,
    request: Request,
) -> ApiResult<Json<DeliveryAnswer>> {
    let settings = settings(&app)?;
    let Some(signature) = headers.get(meta::SIGNATURE_HEADER).and_then(|value| value.to_str().ok()) else {
        // Takes no room from what is signed.
        return Err(unsigned());
    };
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|length| length > LARGEST_BYTES) {
        pass_over(request.into_body()).await;
        return Err(too_large());
    }
    let Some(mut room) = app.intake.room(0) else { return Err(no_room()) };
    let body = read(request.into_body(), &mut room, BODY_WITHIN).await?;
    if !meta::is_signed(&settings.signing_secrets, signature, &body) {
        return Err(unsigned());
    }
    let (changes, outcome) = match instagram_webhook::split(&body) {
        Ok(changes) if changes.is_empty() => (changes, Delivery::Ignored),
        Ok(changes) => (changes, Delivery::Kept),
        Err(problem) => (vec![unreadable(&body, problem)], Delivery::Unreadable),
    };
    let kept = changes.len();
    if kept > 0 {
        app.intake.keep(PLATFORM, changes, room).await?;
    }
    telemetry::webhook_answered(PLATFORM, outcome);
    Ok(Json(DeliveryAnswer { kept }))
}

fn unsigned() -> Problem {
    telemetry::webhook_answered(PLATFORM, Delivery::Unsigned);
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "signature-invalid",
        "Not signed by Meta",
        "The delivery is not believed: X-Hub-Signature-256 is missing or fits no secret. Check META_APP_SECRET and INSTAGRAM_APP_SECRET.",
    )
}

fn no_room() -> Problem {
    telemetry::webhook_answered(PLATFORM, Delivery::TurnedAway);
    Problem::unavailable("Too many deliveries are under way. Send it again in a moment.")
}

/// The body, which takes room by what has come: nobody knows yet whether it is signed.
async fn read(body: Body, room: &mut Room, within: Duration) -> Result<BytesMut, Problem> {
    let reading = async {
        let (mut chunks, mut read) = (body.into_data_stream(), BytesMut::new());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| too_large())?;
            let bytes = read.len() + chunk.len();
            if bytes > LARGEST_BYTES {
                return Err(too_large());
            }
            if !room.grow(bytes) {
                return Err(no_room());
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read)
    };
    tokio::time::timeout(within, reading).await.unwrap_or_else(|_| {
        let detail = "The body did not come within ten seconds. Send it again.";
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "The body came too slowly", detail))
    })
}

/// A sender that is cut off while it sends sees a broken connection instead of the answer.
async fn pass_over(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut left = PASSED_OVER_BYTES;
    let passing = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(BODY_WITHIN, passing).await;
}

fn too_large() -> Problem {
    let detail = "A delivery may have at most 4 MiB, and must arrive in full.";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
}

/// A signed body that is no delivery, kept so that somebody can look at it.
fn unreadable(body: &[u8], problem: String) -> Pushed {
    let text: String = String::from_utf8_lossy(body).chars().take(KEPT_CHARS).collect();
    let payload = json!({ "unreadable": text, "bytes": body.len() }).to_string();
    Pushed { account_id: None, kind: "unreadable", key: None, sent_at: None, payload, problem: Some(problem) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Entropy, TestClock};
    use crate::flow::ingest::intake::Intake;
    use futures::stream;
    use sqlx::postgres::PgPoolOptions;
    use time::OffsetDateTime;

    fn intake() -> Intake {
        let db = PgPoolOptions::new().connect_lazy("postgres:///nowhere").unwrap();
        Intake::start(db, TestClock::at(OffsetDateTime::UNIX_EPOCH).clock(), Entropy::seeded(1))
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let mut room = intake().room(0).unwrap();
        let first = stream::once(async { Ok::<_, std::io::Error>("{") });
        let body = Body::from_stream(first.chain(stream::pending()));
        let problem = read(body, &mut room, Duration::ZERO).await.unwrap_err();
        assert_eq!((problem.status, problem.code), (408, "body-too-slow"));
    }

    #[tokio::test]
    async fn room_is_taken_by_what_has_come() {
        let intake = intake();
        let mut room = intake.room(0).unwrap();
        assert!(read(Body::from(vec![b' '; 3 << 20]), &mut room, BODY_WITHIN).await.is_ok());
        assert!(intake.room(62 << 20).is_none(), "three of 64 MiB are taken");
        assert!(intake.room(60 << 20).is_some());
        let mut others: Vec<_> = std::iter::from_fn(|| intake.room(LARGEST_BYTES)).collect();
        others.extend(std::iter::from_fn(|| intake.room(0)));
        let problem = read(Body::from(vec![b' '; 4 << 20]), &mut room, BODY_WITHIN).await.unwrap_err();
        assert_eq!(problem.status, 503);
    }
}
