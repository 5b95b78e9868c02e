//! The webhooks page: where the team's own systems are told what happens, and what became of each call. For admins. A new secret is
//! shown on the page that answers the form, and never again.

use super::asked::see_other;
use super::frame::{Frame, Section};
use super::marks::Tone;
use super::person::Person;
use super::samples;
use super::signin::NoFields;
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{Admin, DeliveryRef, Loaded, PageMember, WebhookRef};
use crate::http::csrf::CsrfForm;
use crate::model::{DeliveryState, WebhookEvent};
use crate::webhooks::{self, DeliveryRow, Endpoint, EndpointFields, Span, WebhookError};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::ExposeSecret;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

#[derive(Debug, Clone, Template)]
#[template(path = "webhooks.html")]
pub struct WebhooksPage {
    pub frame: Frame,
    pub webhooks: Vec<WebhookCard>,
    /// A secret that was made a moment ago, with the host that it is for.
    pub secret: Option<(String, String)>,
    /// What the person typed into "New webhook" before it was refused, or an empty form.
    pub new: WebhookForm,
    /// The webhook that stands open.
    pub open: Option<Uuid>,
}

#[derive(Debug, Clone)]
pub struct WebhookCard {
    pub id: Uuid,
    pub host: String,
    pub form: WebhookForm,
    pub state: CardState,
    pub previous_until: Option<OffsetDateTime>,
    /// The last calls, newest first.
    pub calls: Vec<CallLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardState {
    Works,
    Failing {
        since: OffsetDateTime,
    },
    /// The reason, where it was not a person.
    Disabled {
        reason: Option<String>,
    },
}

#[derive(Debug, Clone)]
pub struct CallLine {
    pub id: Uuid,
    pub kind: String,
    pub state: DeliveryState,
    pub at: OffsetDateTime,
    pub attempts: i32,
    pub status: Option<i32>,
    pub took_ms: Option<i32>,
    pub error: Option<String>,
    pub next: Option<OffsetDateTime>,
    pub answer: Option<String>,
    pub body: String,
}

/// The fields as they stand in a form.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct WebhookForm {
    pub url: String,
    pub description: String,
    /// One event a line; `*` for all.
    pub events: String,
    /// The field that was refused and why.
    #[serde(skip)]
    pub error: Option<(String, String)>,
}

impl WebhookForm {
    fn fields(&self) -> EndpointFields {
        let events = self.events.split([',', ' ', '\n', '\r', '\t']).filter(|name| !name.is_empty());
        EndpointFields {
            url: Some(self.url.clone()),
            description: Some(self.description.clone()),
            event_types: Some(events.map(str::to_owned).collect()),
            enabled: None,
        }
    }

    /// Why the field was refused; None for the others.
    pub fn wrong(&self, field: &str) -> Option<&str> {
        self.error.as_ref().filter(|(named, _)| named == field).map(|(_, message)| message.as_str())
    }
}

impl CardState {
    pub fn tone(&self) -> Tone {
        match self {
            Self::Works => Tone::Plain,
            Self::Failing { .. } => Tone::Held,
            Self::Disabled { .. } => Tone::Bad,
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Works => "Enabled",
            Self::Failing { .. } => "Failing",
            Self::Disabled { .. } => "Disabled",
        }
    }

    pub fn is_enabled(&self) -> bool {
        !matches!(self, Self::Disabled { .. })
    }
}

impl WebhookCard {
    /// Something was given up that could be sent again.
    pub fn has_untaken(&self) -> bool {
        self.state.is_enabled() && self.calls.iter().any(|call| call.state == DeliveryState::Failed)
    }
}

impl CallLine {
    pub fn tone(&self) -> Tone {
        match self.state {
            DeliveryState::Delivered => Tone::Good,
            DeliveryState::Pending if self.attempts == 0 => Tone::Busy,
            DeliveryState::Pending => Tone::Held,
            DeliveryState::Failed => Tone::Bad,
        }
    }

    pub fn word(&self) -> &'static str {
        match self.state {
            DeliveryState::Delivered => "Delivered",
            DeliveryState::Pending if self.attempts == 0 => "On its way",
            DeliveryState::Pending => "Comes again",
            DeliveryState::Failed => "Given up",
        }
    }
}

impl From<DeliveryRow> for CallLine {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.id,
            state: row.state(),
            kind: row.event_type,
            at: row.created_at,
            attempts: row.attempts,
            status: row.last_status,
            took_ms: row.last_duration_ms,
            error: row.last_error,
            next: row.next_attempt_at,
            answer: row.last_answer.filter(|answer| !answer.is_empty()),
            body: row.body,
        }
    }
}

impl WebhookCard {
    fn of(endpoint: Endpoint, calls: Vec<DeliveryRow>, now: OffsetDateTime) -> Self {
        let state = match (endpoint.is_enabled(), endpoint.failing_since) {
            (false, _) => CardState::Disabled { reason: endpoint.state_reason.clone() },
            (true, Some(since)) => CardState::Failing { since },
            (true, None) => CardState::Works,
        };
        Self {
            id: endpoint.id,
            host: endpoint.host(),
            state,
            previous_until: endpoint.previous_until.filter(|until| *until > now),
            calls: calls.into_iter().map(CallLine::from).collect(),
            form: WebhookForm {
                url: endpoint.url,
                description: endpoint.description,
                events: endpoint.event_types.join("\n"),
                error: None,
            },
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct WebhooksQuery {
    webhook: Option<Uuid>,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Admin>,
    Query(query): Query<WebhooksQuery>,
) -> Result<Response, Problem> {
    let page = WebhooksPage::load(&app, Person::of(&app, member), query.webhook).await?;
    Ok(super::page(StatusCode::OK, &page))
}

pub async fn create(
    State(app): State<App>,
    member: PageMember<Admin>,
    CsrfForm(sent): CsrfForm<WebhookForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let whose = (member.team_id, member.caller.user_id);
    match webhooks::create(&app, &mut tx, &app.moment(), whose, sent.fields()).await {
        Ok((endpoint, secret)) => {
            tx.commit().await?;
            let page = WebhooksPage::load(&app, Person::of(&app, member), Some(endpoint.id)).await?;
            let secret = Some((endpoint.host(), secret.expose_secret().to_owned()));
            Ok(super::page(StatusCode::OK, &WebhooksPage { secret, ..page }))
        }
        Err(WebhookError::Field { field, message }) => {
            drop(tx);
            let new = WebhookForm { error: Some((field.to_owned(), message)), ..sent };
            let page = WebhooksPage::load(&app, Person::of(&app, member), None).await?;
            Ok(super::page(StatusCode::UNPROCESSABLE_ENTITY, &WebhooksPage { new, ..page }))
        }
        Err(error) => Err(error.into()),
    }
}

pub async fn update(
    State(app): State<App>,
    member: PageMember<Admin>,
    wanted: Loaded<WebhookRef, Admin>,
    CsrfForm(sent): CsrfForm<WebhookForm>,
) -> Result<Response, Problem> {
    match changed(&app, &wanted, sent.fields()).await {
        Ok(()) => Ok(back_to(wanted.id)),
        Err(WebhookError::Field { field, message }) => {
            let mut page = WebhooksPage::load(&app, Person::of(&app, member), Some(wanted.id)).await?;
            if let Some(card) = page.webhooks.iter_mut().find(|card| card.id == wanted.id) {
                card.form = WebhookForm { error: Some((field.to_owned(), message)), ..sent };
            }
            Ok(super::page(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
        Err(error) => Err(error.into()),
    }
}

async fn changed(app: &App, wanted: &Loaded<WebhookRef, Admin>, fields: EndpointFields) -> Result<(), WebhookError> {
    let mut tx = app.db.begin().await?;
    let which = (wanted.team_id, wanted.id, wanted.caller.user_id);
    webhooks::update(app, &mut tx, &app.moment(), which, fields).await?;
    tx.commit().await?;
    Ok(())
}

fn back_to(id: Uuid) -> Response {
    see_other(&format!("/dashboard/webhooks?webhook={id}#webhook-{id}"))
}

pub async fn enable(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    changed(&app, &wanted, EndpointFields { enabled: Some(true), ..EndpointFields::default() }).await?;
    Ok(back_to(wanted.id))
}

pub async fn disable(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    changed(&app, &wanted, EndpointFields { enabled: Some(false), ..EndpointFields::default() }).await?;
    Ok(back_to(wanted.id))
}

pub async fn rotate(
    State(app): State<App>,
    member: PageMember<Admin>,
    wanted: Loaded<WebhookRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let which = (wanted.team_id, wanted.id, wanted.caller.user_id);
    let (endpoint, secret) = webhooks::rotate_secret(&app, &mut tx, &app.moment(), which).await?;
    tx.commit().await?;
    let page = WebhooksPage::load(&app, Person::of(&app, member), Some(wanted.id)).await?;
    let secret = Some((endpoint.host(), secret.expose_secret().to_owned()));
    Ok(super::page(StatusCode::OK, &WebhooksPage { secret, ..page }))
}

pub async fn test(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let endpoint = webhooks::load(&mut tx, wanted.team_id, wanted.id).await?.ok_or(WebhookError::NotFound)?;
    webhooks::send_test(&mut tx, &app.moment(), &endpoint).await?;
    tx.commit().await?;
    Ok(back_to(wanted.id))
}

pub async fn delete(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let which = (wanted.team_id, wanted.id, wanted.caller.user_id);
    webhooks::delete(&mut tx, &app.moment(), which).await?;
    tx.commit().await?;
    Ok(see_other("/dashboard/webhooks"))
}

/// Which part of the log is sent again.
#[derive(Debug, Deserialize)]
pub struct SpanForm {
    hours: u16,
}

pub async fn replay_span(
    State(app): State<App>,
    wanted: Loaded<WebhookRef, Admin>,
    CsrfForm(SpanForm { hours }): CsrfForm<SpanForm>,
) -> Result<Response, Problem> {
    let moment = app.moment();
    let span = Span { since: moment.now - Duration::hours(hours.into()), until: moment.now, taken_too: false };
    let mut tx = app.db.begin().await?;
    let endpoint = webhooks::load(&mut tx, wanted.team_id, wanted.id).await?.ok_or(WebhookError::NotFound)?;
    webhooks::replay_span(&mut tx, &moment, &endpoint, span).await?;
    tx.commit().await?;
    Ok(back_to(wanted.id))
}

pub async fn replay(
    State(app): State<App>,
    wanted: Loaded<DeliveryRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let delivery = webhooks::load_delivery(&mut tx, wanted.team_id, wanted.id).await?;
    let delivery = delivery.ok_or_else(|| Problem::not_found("delivery"))?;
    let endpoint =
        webhooks::load(&mut tx, wanted.team_id, delivery.endpoint_id).await?.ok_or(WebhookError::NotFound)?;
    webhooks::replay(&mut tx, &app.moment(), &endpoint, &delivery).await?;
    tx.commit().await?;
    Ok(back_to(endpoint.id))
}

impl WebhooksPage {
    async fn load(app: &App, person: Person, open: Option<Uuid>) -> Result<Self, sqlx::Error> {
        let mut conn = app.db.acquire().await?;
        let mut cards = Vec::new();
        for endpoint in webhooks::list(&mut conn, person.team_id).await? {
            let calls = webhooks::recent(&mut conn, person.team_id, endpoint.id).await?;
            cards.push(WebhookCard::of(endpoint, calls, person.now));
        }
        let new = WebhookForm { events: "suggestion.posted\nsuggestion.failed".to_owned(), ..WebhookForm::default() };
        Ok(Self { frame: person.frame(&mut conn).await?, webhooks: cards, secret: None, new, open })
    }

    pub fn is_open(&self, card: &WebhookCard) -> bool {
        self.open == Some(card.id) || card.form.error.is_some()
    }

    /// Every event that can be named.
    pub fn known_events(&self) -> Vec<&'static str> {
        WebhookEvent::ALL.iter().map(|kind| kind.as_str()).collect()
    }

    pub fn section(&self) -> Section {
        Section::Settings
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::webhooks::pages()
    }
}
