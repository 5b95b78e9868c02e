//! Live events of a team (SSE): hints that something changed, with its kind and id. Lost ones do no harm: a `reset` says that
//! everything should be read anew.
//!
//! A stream ends when the session, the token or the membership ends (looked at every 30 s), and when the server stops. Their number is bounded
//! per process: a client beyond it is asked to come back later.

use super::auth::{Auth, Declares, Demand, TeamMember, Viewer};
use super::body::{JsonBody, Nothing, Path, Query};
use super::idempotency::SecretAnswer;
use crate::accounts::event_tickets::{self, Listener};
use crate::accounts::{api_tokens, sessions, teams};
use crate::app::App;
use crate::coord::events::{Message, Subscription};
use crate::error::{ApiResult, Problem};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::{Extension, Json};
use futures::Stream;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
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

/// Who may listen: a member of the team, or who shows a ticket that a member got.
pub struct MayListen(Listener);

impl FromRequestParts<App> for MayListen {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Query(EventsQuery { ticket, .. }) = Query::from_request_parts(parts, app).await?;
        let Some(ticket) = ticket else {
            let member = TeamMember::<Viewer>::from_request_parts(parts, app).await?;
            return Ok(Self(listener_of(&member)));
        };
        let spent = || {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "ticket-spent",
                "Not signed in",
                "The ticket was used, is older than 30 s or is none of this team. Get a new one and connect again.",
            )
        };
        let Path(team_id) = Path::<Uuid>::from_request_parts(parts, app).await?;
        let mut conn = app.db.acquire().await?;
        let listener = event_tickets::redeem(&mut conn, team_id, &ticket, app.clock.now()).await?.ok_or_else(spent)?;
        if !may_listen(&mut conn, &listener, app.clock.now()).await? {
            return Err(spent());
        }
        Ok(Self(listener))
    }
}

impl Declares for MayListen {
    fn declare(demand: &mut Demand) {
        TeamMember::<Viewer>::declare(demand);
    }
}

fn listener_of<R>(member: &TeamMember<R>) -> Listener {
    let (session_id, api_token_id) = match &member.caller.auth {
        Auth::Session(id) => (Some(*id), None),
        Auth::Token { id, .. } => (None, Some(*id)),
        // Ends with the membership, or when the person is deleted.
        Auth::Clerk { .. } => (None, None),
    };
    Listener { team_id: member.team_id, user_id: member.caller.user_id, session_id, api_token_id }
}

/// Whether what the listener had signed in with still counts, and it is still in the team.
async fn may_listen(conn: &mut PgConnection, listener: &Listener, now: OffsetDateTime) -> sqlx::Result<bool> {
    if let Some(id) = listener.session_id
        && !sessions::is_live(conn, id, now).await?
    {
        return Ok(false);
    }
    if let Some(id) = listener.api_token_id
        && !api_tokens::is_live(conn, id, now).await?
    {
        return Ok(false);
    }
    Ok(teams::role_of(conn, listener.team_id, listener.user_id).await?.is_some())
}

#[derive(Serialize, ToSchema)]
pub struct TicketAnswer {
    /// For `GET /api/teams/{team_id}/events?ticket=`; opens one stream, once.
    #[schema(example = "q3VqkO3kq0y9vQy8m2p1bJ7uR5sT4wXzA6cD8eF0gHi")]
    pub ticket: String,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// Get a ticket for live events
///
/// For browsers on other origins: an EventSource sends no header. The ticket opens one stream, once, within 30 s.
#[utoipa::path(post, path = "/api/teams/{team_id}/events/ticket", tag = "events",
    responses((status = 201, description = "The ticket, shown this once.", body = TicketAnswer)))]
pub async fn make_ticket(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    _: JsonBody<Nothing>,
) -> ApiResult<(StatusCode, Extension<SecretAnswer>, Json<TicketAnswer>)> {
    let moment = app.moment();
    let ticket = event_tickets::issue(&mut *app.db.acquire().await?, &moment, listener_of(&member)).await?;
    let answer =
        TicketAnswer { ticket: ticket.expose_secret().to_owned(), expires_at: moment.now + event_tickets::LIFETIME };
    Ok((StatusCode::CREATED, Extension(SecretAnswer), Json(answer)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// From `POST /api/teams/{team_id}/events/ticket`, in place of any other credential.
    ticket: Option<String>,
    /// As the header `Last-Event-ID`, for who connects anew with a new ticket.
    #[serde(alias = "lastEventId")]
    last_event_id: Option<String>,
}

/// Live events of a team
///
/// Server-sent events: `change` with `{"kind": "item" | "suggestion" | "integration" | "activity" | "notice" | "member", "id": "..."}`, and `reset` when
/// something may have been missed. Resumes with `Last-Event-ID`, from a minute before it; what was seen may come again.
#[utoipa::path(get, path = "/api/teams/{team_id}/events", tag = "events", params(EventsQuery),
    responses((status = 200, description = "A stream without end.", content_type = "text/event-stream", body = String)))]
pub async fn team_events(
    State(app): State<App>,
    Extension(streams): Extension<Streams>,
    MayListen(listener): MayListen,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> ApiResult<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let place = Arc::clone(&streams.places).try_acquire_owned().map_err(|_| {
        Problem::unavailable("Too many pages listen for live events. Load the page again to see what changed.")
    })?;
    let last_id = headers.get("last-event-id").and_then(|value| value.to_str().ok()).or(query.last_event_id.as_deref());
    let subscription = match last_id {
        Some(id) => app.events.subscribe_since(listener.team_id, id),
        None => app.events.subscribe(listener.team_id),
    };
    let mut look_again = interval_at(Instant::now() + LOOK_AGAIN, LOOK_AGAIN);
    look_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let open = OpenStream { app, listener, subscription, look_again, stop: streams.stop, _place: place };
    let stream = futures::stream::unfold(open, |mut open| async { open.next().await.map(|event| (Ok(event), open)) });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One open stream.
struct OpenStream {
    app: App,
    listener: Listener,
    subscription: Subscription,
    look_again: Interval,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl OpenStream {
    /// None ends the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                _ = self.look_again.tick() => {
                    if !self.still_may().await {
                        return None;
                    }
                }
                message = self.subscription.next() => return message.map(|message| event_of(&message)),
            }
        }
    }

    /// A database that does not answer ends the stream too: the client comes back and is checked as anybody.
    async fn still_may(&self) -> bool {
        let Ok(mut conn) = self.app.db.acquire().await else { return false };
        may_listen(&mut conn, &self.listener, self.app.clock.now()).await.unwrap_or(false)
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
