//! Live events: hints that something of a team changed, so that an open page asks again. They carry ids only and may be lost;
//! the truth is in the tables.
//!
//! A change sends its hint inside its own transaction (`notify`): no commit, no hint. One connection per process listens and
//! hands on to all subscribers. Where hints may be missing (the connection broke, a subscriber was too slow, the last seen id
//! is too old) the subscriber gets `Reset` and reads everything anew.

use crate::clock::Clock;
use futures::Stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::{PgListener, PgNotification};
use sqlx::{PgConnection, PgPool};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::AbortHandle;
use uuid::Uuid;

pub const CHANNEL: &str = "rejoinder_events";
/// Events that a slow subscriber may be behind, and that a returning one can be given again.
const KEPT: usize = 1024;
/// A returning subscriber is given this much more than it missed: processes stamp the same event at slightly different times.
const OVERLAP_MILLIS: i64 = 60_000;
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Postgres takes 8,000 bytes; a hint has at most 120.
const HINTS_IN_PACKET: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Item,
    Suggestion,
    Integration,
    Activity,
    Notice,
    /// A person of the team, or an invitation.
    Member,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Suggestion => "suggestion",
            Self::Integration => "integration",
            Self::Activity => "activity",
            Self::Notice => "notice",
            Self::Member => "member",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds of arrival and a counter; rises within a process.
    pub id: String,
    pub kind: Kind,
    pub object_id: Uuid,
}

/// What a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Event(Event),
    /// Something may have been missed: read everything anew.
    Reset,
}

/// What goes over the wire to the other processes.
#[derive(Serialize, Deserialize)]
struct Payload {
    team: Uuid,
    kind: Kind,
    id: Uuid,
}

/// Sends a hint with the caller's transaction: it leaves at commit, once per distinct (team, kind, id).
pub async fn notify(conn: &mut PgConnection, team_id: Uuid, kind: Kind, object_id: Uuid) -> sqlx::Result<()> {
    notify_many(conn, kind, &[(team_id, object_id)]).await
}

/// The same for the things of many teams, in one statement.
pub async fn notify_many(conn: &mut PgConnection, kind: Kind, things: &[(Uuid, Uuid)]) -> sqlx::Result<()> {
    let hints = packets(things.iter().map(|(team, id)| (*team, kind, *id)));
    sqlx::query!("select pg_notify($1, hint) from unnest($2::text[]) hint", CHANNEL, &hints).fetch_all(conn).await?;
    Ok(())
}

/// Many hints as `pg_notify` takes them on `CHANNEL`, each once, as many in a packet as it has room for: every process that listens is
/// woken for each.
pub fn packets(hints: impl Iterator<Item = (Uuid, Kind, Uuid)>) -> Vec<String> {
    let mut known = HashSet::new();
    let hints = hints.filter(|hint| known.insert(*hint));
    let hints: Vec<Payload> = hints.map(|(team, kind, id)| Payload { team, kind, id }).collect();
    let packet = |hints: &[Payload]| serde_json::to_string(hints).expect("ids and unit variants are always valid JSON");
    hints.chunks(HINTS_IN_PACKET).map(packet).collect()
}

/// Clones share one listening connection, which ends with the last of them.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    board: Arc<Board>,
    listener: Option<AbortHandle>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

impl Bus {
    /// Listens from now on. Errors only if the database is not reachable at first; later it reconnects by itself.
    pub async fn listen(db: &PgPool, clock: Clock) -> sqlx::Result<Self> {
        let mut listener = PgListener::connect_with(db).await?;
        listener.listen(CHANNEL).await?;
        let board = Arc::new(Board::new(clock.now()));
        let task = tokio::spawn(pump(listener, Arc::clone(&board), clock));
        Ok(Self(Arc::new(Inner { board, listener: Some(task.abort_handle()) })))
    }

    /// The team's events from now on.
    pub fn subscribe(&self, team_id: Uuid) -> Subscription {
        self.0.board.subscribe(team_id, None)
    }

    /// As `subscribe`, preceded by what came since the event `last_id` (and up to a minute before it), or by `Reset` where
    /// this process cannot know.
    pub fn subscribe_since(&self, team_id: Uuid, last_id: &str) -> Subscription {
        self.0.board.subscribe(team_id, Some(last_id))
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bus")
    }
}

/// Moves notifications to the board until the pool is closed.
async fn pump(mut listener: PgListener, board: Arc<Board>, clock: Clock) {
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => board.receive(&notification, clock.now()),
            Ok(None) => {
                tracing::warn!("the connection for live events broke; it is opened again");
                board.lost(clock.now());
            }
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => {
                tracing::warn!(error = %error, "no connection for live events; trying again");
                board.lost(clock.now());
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// A hint or a packet of them, without those that only a newer process knows.
fn understood(text: &str) -> Vec<Payload> {
    let parts = match serde_json::from_str(text) {
        Ok(Value::Array(parts)) => parts,
        Ok(one) => vec![one],
        Err(_) => Vec::new(),
    };
    parts.into_iter().filter_map(|part| serde_json::from_value(part).ok()).collect()
}

/// The recent events of all teams and the channel to the subscribers.
struct Board {
    recent: Mutex<Recent>,
    sender: broadcast::Sender<Posted>,
}

struct Recent {
    events: VecDeque<(Uuid, Event)>,
    /// Everything that arrived since this instant is in `events`.
    complete_since_millis: i64,
    counter: u64,
}

#[derive(Clone)]
struct Posted {
    /// None: for everybody.
    team_id: Option<Uuid>,
    message: Message,
}

impl Board {
    fn new(now: OffsetDateTime) -> Self {
        let recent = Recent { events: VecDeque::new(), complete_since_millis: millis(now), counter: 0 };
        Self { recent: Mutex::new(recent), sender: broadcast::channel(KEPT).0 }
    }

    fn receive(&self, notification: &PgNotification, now: OffsetDateTime) {
        for payload in understood(notification.payload()) {
            self.post(payload, now);
        }
    }

    fn post(&self, payload: Payload, now: OffsetDateTime) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.counter += 1;
        let id = format!("{:013}-{:06}", millis(now), recent.counter);
        let event = Event { id, kind: payload.kind, object_id: payload.id };
        if recent.events.len() == KEPT
            && let Some((_, dropped)) = recent.events.pop_front()
        {
            recent.complete_since_millis = millis_of(&dropped.id).unwrap_or(recent.complete_since_millis) + 1;
        }
        recent.events.push_back((payload.team, event.clone()));
        // Nobody listening is no error. Sent under the lock, so that a new subscriber gets each event once.
        let _ = self.sender.send(Posted { team_id: Some(payload.team), message: Message::Event(event) });
    }

    /// Hints may be missing from before `now`.
    fn lost(&self, now: OffsetDateTime) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.events.clear();
        recent.complete_since_millis = millis(now);
        let _ = self.sender.send(Posted { team_id: None, message: Message::Reset });
    }

    fn subscribe(&self, team_id: Uuid, last_id: Option<&str>) -> Subscription {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let missed = last_id.map_or_else(VecDeque::new, |id| recent.since(team_id, id));
        Subscription { team_id, missed, receiver }
    }
}

impl Recent {
    fn since(&self, team_id: Uuid, last_id: &str) -> VecDeque<Message> {
        let Some(from) = millis_of(last_id).map(|at| at.saturating_sub(OVERLAP_MILLIS)) else {
            return VecDeque::from([Message::Reset]);
        };
        if from < self.complete_since_millis {
            return VecDeque::from([Message::Reset]);
        }
        self.events
            .iter()
            .filter(|(team, event)| *team == team_id && millis_of(&event.id).is_some_and(|at| at >= from))
            .map(|(_, event)| Message::Event(event.clone()))
            .collect()
    }
}

fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn millis_of(event_id: &str) -> Option<i64> {
    event_id.split_once('-').and_then(|(at, _)| at.parse().ok())
}

/// One subscriber's view: the events of one team. Membership is the caller's to check, again and again.
pub struct Subscription {
    team_id: Uuid,
    missed: VecDeque<Message>,
    receiver: broadcast::Receiver<Posted>,
}

impl Subscription {
    /// None when the bus is gone.
    pub async fn next(&mut self) -> Option<Message> {
        if let Some(message) = self.missed.pop_front() {
            return Some(message);
        }
        loop {
            match self.receiver.recv().await {
                Ok(posted) if posted.team_id.is_none_or(|team| team == self.team_id) => return Some(posted.message),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Some(Message::Reset),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    pub fn into_stream(self) -> impl Stream<Item = Message> + Send {
        futures::stream::unfold(self, |mut subscription| async {
            subscription.next().await.map(|message| (message, subscription))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const START: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn post(board: &Board, team: u128, object: u128, at: OffsetDateTime) {
        board.post(Payload { team: Uuid::from_u128(team), kind: Kind::Item, id: Uuid::from_u128(object) }, at);
    }

    fn bus(board: &Arc<Board>) -> Bus {
        Bus(Arc::new(Inner { board: Arc::clone(board), listener: None }))
    }

    fn object(message: Option<Message>) -> u128 {
        match message {
            Some(Message::Event(event)) => event.object_id.as_u128(),
            other => panic!("no event: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_team_sees_its_own_events_only() {
        let board = Arc::new(Board::new(START));
        let mut mine = bus(&board).subscribe(Uuid::from_u128(1));
        post(&board, 2, 20, START);
        post(&board, 1, 10, START);
        assert_eq!(object(mine.next().await), 10);
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_to_read_anew() {
        let board = Arc::new(Board::new(START));
        let mut slow = bus(&board).subscribe(Uuid::from_u128(1));
        for n in 0..=KEPT as u128 {
            post(&board, 1, n, START);
        }
        assert_eq!(slow.next().await, Some(Message::Reset));
        assert_eq!(object(slow.next().await), 1);
    }

    #[tokio::test]
    async fn who_returns_gets_what_was_missed_and_then_the_new() {
        let board = Arc::new(Board::new(START));
        let at = |secs| START + time::Duration::seconds(secs);
        let mut first = bus(&board).subscribe(Uuid::from_u128(1));
        post(&board, 1, 1, at(10));
        post(&board, 1, 2, at(100));
        post(&board, 2, 9, at(101));
        post(&board, 1, 3, at(130));
        first.next().await;
        let Some(Message::Event(seen)) = first.next().await else { panic!("the second event") };
        let mut back = bus(&board).subscribe_since(Uuid::from_u128(1), &seen.id);
        post(&board, 1, 4, at(131));
        assert_eq!(object(back.next().await), 2, "what was seen may come again");
        assert_eq!(object(back.next().await), 3);
        assert_eq!(object(back.next().await), 4);
    }

    #[tokio::test]
    async fn who_returns_with_an_id_that_cannot_be_judged_reads_anew() {
        let board = Arc::new(Board::new(START));
        let team = Uuid::from_u128(1);
        let before_start = format!("{:013}-000001", millis(START) + OVERLAP_MILLIS - 1);
        for id in ["", "nonsense", "-1", &before_start] {
            assert_eq!(bus(&board).subscribe_since(team, id).next().await, Some(Message::Reset), "{id}");
        }
    }

    #[tokio::test]
    async fn after_a_broken_connection_everybody_reads_anew() {
        let board = Arc::new(Board::new(START));
        let mut any = bus(&board).subscribe(Uuid::from_u128(1));
        board.lost(START);
        assert_eq!(any.next().await, Some(Message::Reset));
    }

    #[test]
    fn a_packet_says_each_thing_once_and_fits_into_a_notification() {
        let team = Uuid::from_u128(u128::MAX);
        let hints = (0..100).chain(0..100).map(|n| (team, Kind::Integration, Uuid::from_u128(u128::MAX - n)));
        let packets = packets(hints);
        assert!(packets.iter().all(|packet| packet.len() < 8000));
        let heard: Vec<Uuid> = packets.iter().flat_map(|packet| understood(packet)).map(|hint| hint.id).collect();
        assert_eq!(heard, (0..100).map(|n| Uuid::from_u128(u128::MAX - n)).collect::<Vec<_>>());
    }

    #[test]
    fn what_only_a_newer_process_knows_takes_nothing_with_it() {
        let known = Payload { team: Uuid::from_u128(1), kind: Kind::Item, id: Uuid::from_u128(2) };
        let known = serde_json::to_string(&known).unwrap();
        let unknown = known.replace("item", "comet");
        let heard = |text: &str| understood(text).len();
        assert_eq!((heard(&known), heard(&unknown), heard("nonsense")), (1, 0, 0));
        assert_eq!(heard(&format!("[{unknown}, {known}]")), 1);
    }

    #[test]
    fn hints_carry_ids_and_nothing_else() {
        let payload = Payload { team: Uuid::from_u128(1), kind: Kind::Suggestion, id: Uuid::from_u128(2) };
        insta::assert_snapshot!(
            serde_json::to_string(&payload).unwrap(),
            @r#"{"team":"00000000-0000-0000-0000-000000000001","kind":"suggestion","id":"00000000-0000-0000-0000-000000000002"}"#
        );
    }
}
