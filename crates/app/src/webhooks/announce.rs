//! From a change to the calls that tell it, on the change's own transaction. Where nobody listens this costs nothing but the question.

use super::TEST_EVENT;
use super::deliveries::{self, NewDelivery};
use crate::clock::Moment;
use crate::flow::activity::{Entry, Kind};
use crate::flow::ingest::Source;
use crate::model::WebhookEvent;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Something that a team's own systems can be told.
#[derive(Debug, Clone)]
pub struct Event {
    /// The same for everybody who is told it: the id of the log's entry, or of the new item.
    pub id: Uuid,
    pub team_id: Uuid,
    pub kind: WebhookEvent,
    /// Ids and words of ours.
    pub data: Value,
}

/// What receivers see of an entry's payload; everything else stays inside.
const OF_THE_STATE: [&str; 4] = ["status", "stage", "state", "version"];
const OF_THE_CHANGE: [&str; 3] = ["platform", "platform_reply_id", "cause"];

impl Event {
    /// None for what is nobody's business outside.
    pub fn of_activity(entry: &Entry, id: Uuid) -> Option<Self> {
        let kind = told_as(entry.kind)?;
        let (subject, subject_id) = entry.subject.parts();
        let mut data = Map::new();
        data.insert(format!("{subject}_id"), json!(subject_id));
        data.insert("actor_user_id".to_owned(), json!(entry.actor));
        let state = OF_THE_STATE.iter().map(|name| (name, &entry.payload["after"][name]));
        let change = OF_THE_CHANGE.iter().map(|name| (name, &entry.payload[name]));
        let told = state.chain(change).filter(|(_, value)| !value.is_null());
        data.extend(told.map(|(name, value)| ((*name).to_owned(), value.clone())));
        Some(Self { id, team_id: entry.team_id, kind, data: Value::Object(data) })
    }

    pub fn item_created(source: &Source, item_id: Uuid) -> Self {
        let data = json!({ "item_id": item_id, "integration_id": source.integration_id, "platform": source.platform });
        Self { id: item_id, team_id: source.team_id, kind: WebhookEvent::ItemCreated, data }
    }
}

fn told_as(kind: Kind) -> Option<WebhookEvent> {
    Some(match kind {
        Kind::ItemStateChanged => WebhookEvent::ItemChanged,
        Kind::SuggestionRequested => WebhookEvent::SuggestionCreated,
        Kind::SuggestionDrafted => WebhookEvent::SuggestionDrafted,
        Kind::SuggestionApproved => WebhookEvent::SuggestionApproved,
        Kind::SuggestionRejected => WebhookEvent::SuggestionRejected,
        Kind::SuggestionHeld | Kind::SuggestionUndone | Kind::SuggestionReturned => WebhookEvent::SuggestionReturned,
        Kind::ReplyPosted => WebhookEvent::SuggestionPosted,
        Kind::ReplyRefused | Kind::SuggestionDraftFailed => WebhookEvent::SuggestionFailed,
        Kind::ReplyUncertain => WebhookEvent::SuggestionUncertain,
        Kind::IntegrationConnected => WebhookEvent::IntegrationConnected,
        Kind::IntegrationPaused => WebhookEvent::IntegrationPaused,
        Kind::IntegrationResumed => WebhookEvent::IntegrationResumed,
        Kind::IntegrationReconnectNeeded => WebhookEvent::IntegrationNeedsReconnect,
        Kind::IntegrationDisconnected => WebhookEvent::IntegrationDisconnected,
        Kind::TeamPaused => WebhookEvent::TeamPaused,
        Kind::TeamResumed => WebhookEvent::TeamResumed,
        _ => return None,
    })
}

/// Writes one delivery per event and endpoint that listens to it. Endpoints are held against being deleted meanwhile, which would make
/// the change fail that is told here.
pub async fn announce(conn: &mut PgConnection, moment: &Moment, events: &[Event]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    let listening = sqlx::query!(
        r#"select e.place as "place!", w.id as endpoint_id
           from unnest($1::uuid[], $2::text[]) with ordinality as e (team_id, type, place)
           join webhook_endpoints w on w.team_id = e.team_id and w.state = 'enabled' and w.event_types && array[e.type, '*']
           order by e.place, w.id
           for key share of w"#,
        &events.iter().map(|event| event.team_id).collect::<Vec<_>>(),
        &events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>() as &[&str],
    )
    .fetch_all(&mut *conn)
    .await?;
    let new = listening.iter().filter_map(|row| {
        let event = events.get(usize::try_from(row.place - 1).ok()?)?;
        Some(NewDelivery {
            team_id: event.team_id,
            endpoint_id: row.endpoint_id,
            event_id: event.id,
            event_type: event.kind.as_str().to_owned(),
            body: body(event.id, event.kind.as_str(), moment.now, event.team_id, &event.data),
            replay_of: None,
        })
    });
    deliveries::insert(conn, moment, &new.collect::<Vec<_>>()).await
}

/// What an endpoint is sent when a person tries it.
pub(super) fn test_of(endpoint_id: Uuid, team_id: Uuid, moment: &Moment) -> NewDelivery {
    let event_id = moment.id();
    let data = json!({ "webhook_id": endpoint_id, "message": "Somebody in your team asked for this test." });
    let body = body(event_id, TEST_EVENT, moment.now, team_id, &data);
    NewDelivery { team_id, endpoint_id, event_id, event_type: TEST_EVENT.to_owned(), body, replay_of: None }
}

fn body(id: Uuid, kind: &str, at: OffsetDateTime, team_id: Uuid, data: &Value) -> String {
    let timestamp = at.format(&Rfc3339).unwrap_or_default();
    json!({ "id": id, "type": kind, "timestamp": timestamp, "team_id": team_id, "data": data }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::activity::Subject;

    #[test]
    fn receivers_see_ids_and_states_and_no_text() {
        let entry = Entry {
            team_id: Uuid::from_u128(1),
            actor: Some(Uuid::from_u128(2)),
            kind: Kind::ReplyPosted,
            subject: Subject::Suggestion(Uuid::from_u128(3)),
            payload: json!({
                "before": { "status": "approved", "stage": "sending", "version": 3, "text": "words" },
                "after": { "status": "posted", "stage": "done", "version": 4, "text": "words" },
                "platform_reply_id": "t1_x", "platform_reply_url": "https://www.reddit.com/r/x/words", "reason": "words",
                "held_reasons": ["words"], "account": "words",
            }),
            request_id: None,
        };
        let event = Event::of_activity(&entry, Uuid::from_u128(4)).unwrap();
        assert_eq!(event.kind.as_str(), "suggestion.posted");
        let expected = json!({
            "suggestion_id": Uuid::from_u128(3), "actor_user_id": Uuid::from_u128(2), "status": "posted", "stage": "done", "version": 4,
            "platform_reply_id": "t1_x",
        });
        assert_eq!(event.data, expected);
        assert!(Event::of_activity(&Entry { kind: Kind::ReplyExchange, ..entry }, Uuid::nil()).is_none());
    }
}
