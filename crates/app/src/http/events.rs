//! Live events of a team (SSE): hints that something changed, with its kind and id. Lost ones do no harm: a `reset` says that
//! everything should be read anew.
//!
//! A stream ends when the session or the membership ends (looked at every 30 s), and when the server stops. Their number is bounded
//! per process: a client beyond it is asked to come back later.

use super::auth::{TeamMember, Viewer};
use super::cookies::{Credential, credential};
use crate::accounts::{sessions, teams};
use crate::app::App;
use crate::coord::events::{Message, Subscription};
use crate::error::{ApiResult, Problem};
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MAX_STREAMS: usize = 2_000;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What all streams of a process share.
#[derive(Clone)]
pub struct Streams {
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Streams {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_STREAMS)), stop }
    }
}

/// Live events of a team
///
/// Server-sent events: `change` with `{"kind": "item" | "suggestion" | "integration" | "activity" | "notice" | "member", "id": "..."}`, and `reset` when
/// something may have been missed. Resumes with `Last-Event-ID`; what was seen may come again.
#[utoipa::path(get, path = "/api/teams/{team_id}/events", tag = "events",
    responses((status = 200, description = "A stream without end.", content_type = "text/event-stream", body = String)))]
pub async fn team_events(
    State(app): State<App>,
    Extension(streams): Extension<Streams>,
    member: TeamMember<Viewer>,
    headers: HeaderMap,
) -> ApiResult<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let place = Arc::clone(&streams.places).try_acquire_owned().map_err(|_| {
        Problem::unavailable("Too many pages listen for live events. Load the page again to see what changed.")
    })?;
    let Credential::Session(session_hash) = credential(&headers, &app.config.public_url) else {
        return Err(Problem::unauthorized("Live events need a session."));
    };
    let last_id = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let subscription = match last_id {
        Some(id) => app.events.subscribe_since(member.team_id, id),
        None => app.events.subscribe(member.team_id),
    };
    let mut look_again = interval_at(Instant::now() + LOOK_AGAIN, LOOK_AGAIN);
    look_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener {
        app,
        team_id: member.team_id,
        user_id: member.caller.user_id,
        session_hash,
        subscription,
        look_again,
        stop: streams.stop,
        _place: place,
    };
    let stream = futures::stream::unfold(listener, |mut listener| async {
        listener.next().await.map(|event| (Ok(event), listener))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One open stream.
struct Listener {
    app: App,
    team_id: Uuid,
    user_id: Uuid,
    session_hash: [u8; 32],
    subscription: Subscription,
    look_again: Interval,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// None ends the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                _ = self.look_again.tick() => {
                    if !self.may_listen().await {
                        return None;
                    }
                }
                message = self.subscription.next() => return message.map(|message| event_of(&message)),
            }
        }
    }

    /// A database that does not answer ends the stream too: the client comes back and is checked as anybody.
    async fn may_listen(&self) -> bool {
        let looked = async {
            let mut conn = self.app.db.acquire().await?;
            let session = sessions::lookup(&mut conn, &self.session_hash, self.app.clock.now()).await?;
            if session.is_none() {
                return Ok(false);
            }
            Ok::<_, sqlx::Error>(teams::role_of(&mut conn, self.team_id, self.user_id).await?.is_some())
        };
        looked.await.unwrap_or(false)
    }
}

fn event_of(message: &Message) -> Event {
    match message {
        Message::Event(event) => Event::default()
            .event("change")
            .id(&event.id)
            .data(json!({ "kind": event.kind, "id": event.object_id }).to_string()),
        Message::Reset => Event::default().event("reset").data("{}"),
    }
}
