//! Live events of a team (SSE): hints that something changed, with its kind and id. Lost ones do no harm: a `reset` says that
//! everything should be read anew.
//!
//! A stream ends when the session, the token or the membership ends (looked at every 30 s), and when the server stops; that of a
//! listener whom an identity provider signs in, when we hear that the session there has ended, and after 15 minutes at the latest, since
//! we may not hear of it. Their number is bounded per person and per process: a client beyond it is asked to come back later.

use super::auth::{Auth, Declares, Demand, TeamMember, Viewer};
use super::body::{JsonBody, Nothing, Path, Query};
use super::idempotency::SecretAnswer;
use crate::accounts::event_tickets::{self, Listener};
use crate::accounts::{api_tokens, clerk, sessions, teams};
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
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, OffsetDateTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

const MAX_STREAMS: usize = 2_000;
/// Of one person, in however many tabs.
const MAX_STREAMS_OF_ONE: usize = 20;
/// Of a stream whose listener's session is kept by somebody else.
const FOREIGN_LIFETIME: Duration = Duration::minutes(15);
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::seconds(30);
/// How often a stream looks at the clock.
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// What all streams of a process share.
#[derive(Clone)]
pub struct Streams {
    places: Arc<Semaphore>,
    /// How many each person has open.
    of_one: Arc<Mutex<HashMap<Uuid, usize>>>,
    stop: CancellationToken,
}

/// The place of one open stream; free again when it is dropped.
struct Place {
    user_id: Uuid,
    of_one: Arc<Mutex<HashMap<Uuid, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Streams {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_STREAMS)), of_one: Arc::default(), stop }
    }

    fn place(&self, user_id: Uuid) -> Result<Place, Problem> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Problem::unavailable("Too many pages listen for live events. Load the page again to see what changed.")
        })?;
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        let open = of_one.entry(user_id).or_default();
        if *open >= MAX_STREAMS_OF_ONE {
            return Err(Problem::too_many(
                60,
                format!("You have {MAX_STREAMS_OF_ONE} streams of live events open, which is the most. Close some."),
            ));
        }
        *open += 1;
        Ok(Place { user_id, of_one: Arc::clone(&self.of_one), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut open) = of_one.entry(self.user_id) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
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
    let unbound = Listener {
        team_id: member.team_id,
        user_id: member.caller.user_id,
        session_id: None,
        api_token_id: None,
        clerk_session: None,
    };
    match &member.caller.auth {
        Auth::Session(id) => Listener { session_id: Some(*id), ..unbound },
        Auth::Token { id, .. } => Listener { api_token_id: Some(*id), ..unbound },
        Auth::Clerk { session, .. } => Listener { clerk_session: session.clone(), ..unbound },
    }
}

/// A session elsewhere may have ended without our knowing: its holder comes back and is checked anew.
fn lifetime_of(listener: &Listener) -> Option<Duration> {
    (listener.session_id.is_none() && listener.api_token_id.is_none()).then_some(FOREIGN_LIFETIME)
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
    if let Some(session) = &listener.clerk_session
        && clerk::session_ended(conn, session).await?
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
    let place = streams.place(listener.user_id)?;
    let last_id = headers.get("last-event-id").and_then(|value| value.to_str().ok()).or(query.last_event_id.as_deref());
    let subscription = match last_id {
        Some(id) => app.events.subscribe_since(listener.team_id, id),
        None => app.events.subscribe(listener.team_id),
    };
    let now = app.clock.now();
    let ends_at = lifetime_of(&listener).map(|lifetime| now + lifetime);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let open =
        OpenStream { app, listener, subscription, tick, looked_at: now, ends_at, stop: streams.stop, _place: place };
    let stream = futures::stream::unfold(open, |mut open| async { open.next().await.map(|event| (Ok(event), open)) });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One open stream.
struct OpenStream {
    app: App,
    listener: Listener,
    subscription: Subscription,
    tick: Interval,
    looked_at: OffsetDateTime,
    ends_at: Option<OffsetDateTime>,
    stop: CancellationToken,
    _place: Place,
}

impl OpenStream {
    /// None ends the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                _ = self.tick.tick() => {
                    if !self.still_may().await {
                        return None;
                    }
                }
                message = self.subscription.next() => return message.map(|message| event_of(&message)),
            }
        }
    }

    /// A database that does not answer ends the stream too: the client comes back and is checked as anybody.
    async fn still_may(&mut self) -> bool {
        let now = self.app.clock.now();
        if self.ends_at.is_some_and(|end| end <= now) {
            return false;
        }
        // A clock that was set back may not put the next look off.
        if (Duration::ZERO..LOOK_AGAIN).contains(&(now - self.looked_at)) {
            return true;
        }
        self.looked_at = now;
        let Ok(mut conn) = self.app.db.acquire().await else { return false };
        may_listen(&mut conn, &self.listener, now).await.unwrap_or(false)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_takes_twenty_places_and_no_more() {
        let streams = Streams::new(CancellationToken::new());
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut places: Vec<Place> =
            (0..20).map(|_| streams.place(one).unwrap_or_else(|_| panic!("refused"))).collect();
        let refused = streams.place(one).err().expect("one too many");
        assert_eq!((refused.status, refused.retry_after_secs), (429, Some(60)));
        assert_eq!(streams.places.available_permits(), MAX_STREAMS - 20, "what was refused takes no place");
        assert!(streams.place(other).is_ok());
        places.pop();
        places.push(streams.place(one).unwrap_or_else(|_| panic!("one is free again")));
        drop(places);
        assert_eq!(streams.places.available_permits(), MAX_STREAMS);
        assert!(streams.of_one.lock().unwrap().is_empty(), "nobody is remembered");
    }

    #[test]
    fn only_who_listens_by_a_token_from_elsewhere_comes_back_every_quarter_of_an_hour() {
        let id = Uuid::from_u128(1);
        let session = Some("sess_1".to_owned());
        let clerk = Listener { team_id: id, user_id: id, session_id: None, api_token_id: None, clerk_session: session };
        assert_eq!(lifetime_of(&clerk), Some(Duration::minutes(15)));
        assert_eq!(lifetime_of(&Listener { session_id: Some(id), ..clerk.clone() }), None);
        assert_eq!(lifetime_of(&Listener { api_token_id: Some(id), ..clerk }), None);
    }
}
