//! The way in for what platforms tell of: the same for each. Nothing of a body is looked at before its signature. The answer is 200 once
//! everything is stored, also for what nobody understands: the platform would only send it again.

use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::flow::ingest::intake::{LARGEST_BYTES, Room};
use crate::telemetry::{self, Delivery};
use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::BytesMut;
use futures::StreamExt;
use rejoinder_platforms::Pushed;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;

/// What is kept of a body that nobody understands.
const KEPT_CHARS: usize = 4_000;
/// Of a body that is too large, so much is read and dropped before it is refused.
const PASSED_OVER_BYTES: usize = 16 * 1024 * 1024;
/// Platforms send their bodies in one go.
const BODY_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryAnswer {
    /// Changes that are kept; those that came before count too.
    #[schema(example = 1)]
    pub kept: usize,
}

/// Whose deliveries come in here, and how they are known.
pub(super) struct Door<'a> {
    pub platform: &'static str,
    /// "X-Hub-Signature-256"
    pub signature_header: &'static str,
    /// Whether the header signs these very bytes.
    pub is_signed: &'a (dyn Fn(&str, &[u8]) -> bool + Sync),
    /// What to look at where nothing fits.
    pub secrets: &'static str,
}

pub(super) async fn take(app: &App, door: Door<'_>, request: Request) -> ApiResult<Json<DeliveryAnswer>> {
    let platform = door.platform;
    let reader = app.readers.get(platform).map_err(|error| Problem::unavailable(error.to_string()))?;
    let (parts, body) = request.into_parts();
    let headers: &HeaderMap = &parts.headers;
    let Some(signature) = headers.get(door.signature_header).and_then(|value| value.to_str().ok()) else {
        // Takes no room from what is signed.
        return Err(unsigned(&door));
    };
    let told = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|length| length > LARGEST_BYTES) {
        pass_over(body).await;
        return Err(too_large());
    }
    let Some(mut room) = app.intake.room(0) else { return Err(no_room(platform)) };
    let body = read(platform, body, &mut room, BODY_WITHIN).await?;
    if !(door.is_signed)(signature, &body) {
        return Err(unsigned(&door));
    }
    let (changes, outcome) = match reader.split(&body) {
        Ok(changes) if changes.is_empty() => (changes, Delivery::Ignored),
        Ok(changes) => (changes, Delivery::Kept),
        Err(problem) => (vec![unreadable(&body, problem)], Delivery::Unreadable),
    };
    let kept = changes.len();
    if kept > 0 {
        app.intake.keep(platform, changes, room).await?;
    }
    telemetry::webhook_answered(platform, outcome);
    Ok(Json(DeliveryAnswer { kept }))
}

fn unsigned(door: &Door<'_>) -> Problem {
    telemetry::webhook_answered(door.platform, Delivery::Unsigned);
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "signature-invalid",
        "Not signed by the platform",
        format!(
            "The delivery is not believed: {} is missing or fits no secret. Check {}.",
            door.signature_header, door.secrets
        ),
    )
}

fn no_room(platform: &'static str) -> Problem {
    telemetry::webhook_answered(platform, Delivery::TurnedAway);
    Problem::unavailable("Too many deliveries are under way. Send it again in a moment.")
}

/// The body, which takes room by what has come: nobody knows yet whether it is signed.
async fn read(platform: &'static str, body: Body, room: &mut Room, within: Duration) -> Result<BytesMut, Problem> {
    let reading = async {
        let (mut chunks, mut read) = (body.into_data_stream(), BytesMut::new());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| too_large())?;
            let bytes = read.len() + chunk.len();
            if bytes > LARGEST_BYTES {
                return Err(too_large());
            }
            if !room.grow(bytes) {
                return Err(no_room(platform));
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
        let problem = read("instagram", body, &mut room, Duration::ZERO).await.unwrap_err();
        assert_eq!((problem.status, problem.code), (408, "body-too-slow"));
    }

    #[tokio::test]
    async fn room_is_taken_by_what_has_come() {
        let intake = intake();
        let mut room = intake.room(0).unwrap();
        assert!(read("instagram", Body::from(vec![b' '; 3 << 20]), &mut room, BODY_WITHIN).await.is_ok());
        assert!(intake.room(62 << 20).is_none(), "three of 64 MiB are taken");
        assert!(intake.room(60 << 20).is_some());
        let mut others: Vec<_> = std::iter::from_fn(|| intake.room(LARGEST_BYTES)).collect();
        others.extend(std::iter::from_fn(|| intake.room(0)));
        let problem = read("instagram", Body::from(vec![b' '; 4 << 20]), &mut room, BODY_WITHIN).await.unwrap_err();
        assert_eq!(problem.status, 503);
    }
}
