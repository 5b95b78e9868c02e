//! The log: one line per event, who did what to which object; open for before and after and the redacted exchange
//! with the platform. The log itself holds ids and hashes; texts are filled in when the page is drawn.

use super::frame::{Frame, Section};
use super::marks::{Mark, Tone};
use super::person::Person;
use super::{place, samples, story};
use crate::app::App;
use crate::error::Problem;
use crate::flow::activity::{self, ActivityRow};
use crate::http::auth::{PageMember, Viewer};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

const ROWS: usize = 50;

#[derive(Debug, Clone, Template)]
#[template(path = "activity.html")]
pub struct ActivityPage {
    pub frame: Frame,
    pub events: Vec<Event>,
    /// Keyset cursor of the next page; None on the last one.
    pub older: Option<String>,
    /// True on a page that was reached through "older".
    pub is_older: bool,
}

#[derive(Debug, Clone)]
pub struct Event {
    pub id: Uuid,
    pub at: OffsetDateTime,
    pub actor: Actor,
    /// "approved the reply to u/beanfan"
    pub what: String,
    /// Machine name: "suggestion.approved".
    pub kind: String,
    pub tone: Tone,
    pub mark: Option<Mark>,
    /// Words and path of the object's own page.
    pub object: Option<(String, String)>,
    pub before: Option<String>,
    pub after: Option<String>,
    /// Secrets are gone before it is stored.
    pub exchange: Option<Exchange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    Person(String),
    /// An automation rule by name.
    Rule(String),
    /// The server itself.
    Rejoinder,
}

#[derive(Debug, Clone)]
pub struct Exchange {
    pub request: String,
    pub answer: String,
}

#[derive(Debug, Deserialize)]
pub struct ActivityQuery {
    cursor: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<ActivityQuery>,
) -> Result<Response, Problem> {
    let person = Person::of(&app, member);
    let before = query.cursor.as_deref().and_then(place::read);
    let mut conn = app.db.acquire().await?;
    let mut rows = activity::list(&mut conn, person.team_id, None, before, ROWS as i64 + 1).await?;
    let more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let page = ActivityPage {
        frame: person.frame(&mut conn).await?,
        older: rows.last().filter(|_| more).map(|row| place::written((row.created_at, row.id))),
        is_older: before.is_some(),
        events: rows.into_iter().map(Event::of).collect(),
    };
    Ok(super::page(StatusCode::OK, &page))
}

impl Event {
    fn of(row: ActivityRow) -> Self {
        let (what, tone) = story::told(&row);
        let reason = row.payload["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
        let id = row.subject_id;
        let object = match row.subject_kind.as_str() {
            "suggestion" => Some(("Show the reply", format!("/dashboard/suggestions/{id}"))),
            "item" => Some(("Show the item", format!("/dashboard/inbox?filter=all&item={id}"))),
            "intent" => Some(("Show the intent", format!("/dashboard/intents?intent={id}#intent-{id}"))),
            "member" | "invitation" => Some(("Show the team", "/dashboard/team".to_owned())),
            "integration" => Some(("Show the accounts", "/dashboard/accounts".to_owned())),
            "webhook" => Some(("Show the webhooks", "/dashboard/webhooks".to_owned())),
            _ => None,
        };
        let exchange = row.payload.get("request").map(|request| Exchange {
            request: pretty(request),
            answer: [
                row.payload["status"].as_u64().map(|status| format!("HTTP {status}")),
                Some(pretty(&row.payload["answer"])),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("\n"),
        });
        Self {
            id: row.id,
            at: row.created_at,
            actor: row.actor_name.map_or(Actor::Rejoinder, Actor::Person),
            what: format!("{what}{reason}"),
            kind: row.kind,
            tone,
            mark: row.payload["platform"].as_str().map(Mark::of),
            object: object.map(|(words, path)| (words.to_owned(), path)),
            before: row.payload.get("before").map(described),
            after: row.payload.get("after").map(described),
            exchange,
        }
    }
}

/// "status: approved", one line each, the text of a draft last.
fn described(value: &Value) -> String {
    let Value::Object(fields) = value else { return plain(value) };
    let mut lines: Vec<String> = fields
        .iter()
        .filter(|(name, _)| *name != "text")
        .map(|(name, value)| format!("{name}: {}", plain(value)))
        .collect();
    lines.extend(fields.get("text").filter(|text| !text.is_null()).map(plain));
    lines.join("\n")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

impl Actor {
    pub fn name(&self) -> &str {
        match self {
            Self::Person(name) => name,
            Self::Rule(name) => name,
            Self::Rejoinder => "Rejoinder",
        }
    }

    /// Said before the name where it is no person.
    pub fn is_rule(&self) -> bool {
        matches!(self, Self::Rule(_))
    }
}

impl Event {
    pub fn has_more(&self) -> bool {
        self.before.is_some() || self.after.is_some() || self.exchange.is_some()
    }
}

impl ActivityPage {
    pub fn section(&self) -> Section {
        Section::Log
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::activity::pages()
    }
}
