//! The notices page: what the team must know without having asked. What still stands comes first; a person puts it aside for
//! everybody, its cause ends by itself or elsewhere.

use super::asked::see_other;
use super::frame::{Frame, Section};
use super::marks::Tone;
use super::person::Person;
use super::signin::NoFields;
use super::{place, samples};
use crate::app::App;
use crate::error::Problem;
use crate::flow::notices::{self, NoticeRow, Which};
use crate::http::auth::{Editor, Loaded, NoticeRef, PageMember, Viewer};
use crate::http::csrf::CsrfForm;
use crate::model::NoticeKind;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

/// More than this nobody reads; the rest comes up as these go.
const OPEN: i64 = 100;
const EARLIER: usize = 30;

#[derive(Debug, Clone, Template)]
#[template(path = "notices.html")]
pub struct NoticesPage {
    pub frame: Frame,
    pub open: Vec<NoticeLine>,
    pub earlier: Vec<NoticeLine>,
    /// Keyset cursor of the next page; None on the last one.
    pub older: Option<String>,
    /// True on a page that was reached through "older"; it repeats nothing of what stands.
    pub is_older: bool,
    /// Editors put notices aside.
    pub may_dismiss: bool,
}

#[derive(Debug, Clone)]
pub struct NoticeLine {
    pub id: Uuid,
    pub kind: NoticeKind,
    pub text: String,
    pub at: OffsetDateTime,
    pub ended: Option<Ended>,
    /// Words and path of what it is about.
    pub object: Option<(&'static str, String)>,
}

/// Why nobody has to look any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The cause is gone.
    Over { at: OffsetDateTime },
    /// A person has read it.
    Dismissed { at: OffsetDateTime, by: Option<String> },
}

#[derive(Debug, Deserialize)]
pub struct NoticesQuery {
    cursor: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<NoticesQuery>,
) -> Result<Response, Problem> {
    let person = Person::of(&app, member);
    let before = query.cursor.as_deref().and_then(place::read);
    let mut conn = app.db.acquire().await?;
    let open = match before {
        None => notices::list(&mut conn, person.team_id, Which::Open, None, OPEN).await?,
        Some(_) => Vec::new(),
    };
    let mut earlier = notices::list(&mut conn, person.team_id, Which::Past, before, EARLIER as i64 + 1).await?;
    let more = earlier.len() > EARLIER;
    earlier.truncate(EARLIER);
    let page = NoticesPage {
        frame: person.frame(&mut conn).await?,
        older: earlier.last().filter(|_| more).map(|row| place::written((row.created_at, row.id))),
        open: open.into_iter().map(NoticeLine::of).collect(),
        earlier: earlier.into_iter().map(NoticeLine::of).collect(),
        is_older: before.is_some(),
        may_dismiss: person.may_act(),
    };
    Ok(super::page(StatusCode::OK, &page))
}

pub async fn dismiss(
    State(app): State<App>,
    _: PageMember<Viewer>,
    wanted: Loaded<NoticeRef, Editor>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    notices::dismiss(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    tx.commit().await?;
    Ok(see_other("/dashboard/notices"))
}

impl NoticeLine {
    fn of(row: NoticeRow) -> Self {
        let object = match row.subject_kind.as_str() {
            "integration" => Some(("Show the accounts", "/dashboard/accounts".to_owned())),
            "rule_pause" => Some(("Show where", "/dashboard/etiquette".to_owned())),
            "webhook" => Some(("Show the webhooks", "/dashboard/webhooks".to_owned())),
            "team" if row.kind == NoticeKind::PlatformBudgetSpent.as_str() => {
                Some(("Show the settings", "/dashboard/settings".to_owned()))
            }
            "suggestion" => Some(("Show the reply", format!("/dashboard/suggestions/{}", row.subject_id))),
            _ => None,
        };
        let ended = match (row.resolved_at, row.dismissed_at) {
            (Some(at), _) => Some(Ended::Over { at }),
            (None, Some(at)) => Some(Ended::Dismissed { at, by: row.dismissed_by_name.clone() }),
            (None, None) => None,
        };
        Self { id: row.id, kind: row.kind(), at: row.created_at, text: row.text, ended, object }
    }

    pub fn tone(&self) -> Tone {
        match (&self.ended, self.kind) {
            (Some(_), _) => Tone::Plain,
            (None, NoticeKind::ReconnectNeeded) => Tone::Bad,
            (None, _) => Tone::Held,
        }
    }

    pub fn word(&self) -> &'static str {
        match self.kind {
            NoticeKind::IntegrationPaused => "Account paused",
            NoticeKind::ReconnectNeeded => "Needs a new consent",
            NoticeKind::SendUnknown => "Outcome unknown",
            NoticeKind::TeamPaused => "Team paused",
            NoticeKind::InstancePaused => "Server paused",
            NoticeKind::RulesPaused => "Rules paused",
            NoticeKind::WebhookDisabled => "Webhook disabled",
            NoticeKind::AccessEnding => "Access ends soon",
            NoticeKind::PlatformBudgetSpent => "Month's budget used up",
        }
    }
}

impl NoticesPage {
    pub fn section(&self) -> Section {
        Section::Notices
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::notices::pages()
    }
}
