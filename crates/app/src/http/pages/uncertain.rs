//! What went out without a clear answer: since when, what was done about it so far, and when it is settled or that a person must look.
//! A form says what a person saw on the platform.

use super::frame::{Frame, Notice, Section};
use super::marks::{Mark, Tone};
use super::person::Person;
use super::words::WebLink;
use super::{place, samples};
use crate::app::App;
use crate::error::Problem;
use crate::flow::send::{Unknown, uncertain};
use crate::http::auth::{PageMember, Viewer};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const ROWS: usize = 50;

#[derive(Debug, Clone, Template)]
#[template(path = "uncertain.html")]
pub struct UncertainPage {
    pub frame: Frame,
    pub doubts: Vec<Doubt>,
    /// Keyset cursor of the next page; None on the last one.
    pub older: Option<String>,
    /// True on a page that was reached through "older".
    pub is_older: bool,
    /// Editors say what they saw.
    pub may_act: bool,
}

/// One reply of which nobody knows whether it stands there.
#[derive(Debug, Clone)]
pub struct Doubt {
    pub suggestion_id: Uuid,
    pub item_id: Uuid,
    pub mark: Mark,
    pub account: String,
    pub author: Option<String>,
    pub title: Option<String>,
    /// Where to look.
    pub thread: Option<WebLink>,
    pub text: String,
    pub approved_by: Option<String>,
    pub attempt: i32,
    pub went_out_at: OffsetDateTime,
    /// "Reddit answered 500"
    pub answer: String,
    pub reads: u64,
    pub last_read_at: Option<OffsetDateTime>,
    pub next_look_at: Option<OffsetDateTime>,
    /// Nobody decides before: it could still appear.
    pub decidable_at: OffsetDateTime,
    /// Why reading back cannot settle it: then a person must.
    pub wants_person: Option<String>,
    /// What was wrong with what a person said just now, and the address that they gave.
    pub mishap: Option<Mishap>,
}

#[derive(Debug, Clone)]
pub struct Mishap {
    pub suggestion_id: Uuid,
    pub sentence: String,
    pub address: String,
}

#[derive(Debug, Default, Deserialize)]
pub struct UncertainQuery {
    cursor: Option<String>,
    /// What was settled just now: "found" or "absent".
    settled: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<UncertainQuery>,
) -> Result<Response, Problem> {
    let person = Person::of(&app, member);
    let page = UncertainPage::load(&mut *app.db.acquire().await?, &person, query, None).await?;
    Ok(super::page(StatusCode::OK, &page))
}

impl UncertainPage {
    pub(super) async fn load(
        conn: &mut PgConnection,
        person: &Person,
        query: UncertainQuery,
        mishap: Option<Mishap>,
    ) -> Result<Self, sqlx::Error> {
        let before = query.cursor.as_deref().and_then(place::read);
        let mut rows = uncertain::list(conn, person.team_id, before, ROWS as i64 + 1).await?;
        let more = rows.len() > ROWS;
        rows.truncate(ROWS);
        let older = rows.last().filter(|_| more).map(|row| place::written((row.created_at, row.suggestion_id)));
        let mut frame = person.frame(conn).await?;
        if let Some(notice) = said(query.settled.as_deref(), mishap.as_ref(), &rows) {
            frame.notice = Some(notice);
        }
        let doubts = rows.into_iter().map(|row| {
            let mishap = mishap.clone().filter(|mishap| mishap.suggestion_id == row.suggestion_id);
            Doubt::of(person, row, mishap)
        });
        Ok(Self { frame, doubts: doubts.collect(), older, is_older: before.is_some(), may_act: person.may_act() })
    }

    pub fn section(&self) -> Section {
        Section::Uncertain
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::uncertain::pages()
    }
}

/// What the last action came to, where no row of the list can say it.
fn said(settled: Option<&str>, mishap: Option<&Mishap>, rows: &[Unknown]) -> Option<Notice> {
    if let Some(mishap) = mishap.filter(|mishap| rows.iter().all(|row| row.suggestion_id != mishap.suggestion_id)) {
        return Some(Notice { tone: Tone::Held, text: mishap.sentence.clone() });
    }
    let (tone, text) = match settled? {
        "found" => (Tone::Good, "Noted: the reply stands there. Its item is done."),
        "absent" => (Tone::Ask, "Noted: the reply is not there. It waits in the inbox for a new approval."),
        _ => return None,
    };
    Some(Notice { tone, text: text.to_owned() })
}

impl Doubt {
    fn of(person: &Person, row: Unknown, mishap: Option<Mishap>) -> Self {
        let mark = Mark::of(&row.platform);
        let reader = person.app.readers.get(&row.platform);
        let window = reader.map_or(Duration::from_secs(300), |reader| reader.capabilities().settle_window);
        let status = row.status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
        let answer = row.answer.as_ref().map(|answer| format!("{answer}{status}"));
        Self {
            suggestion_id: row.suggestion_id,
            item_id: row.item_id,
            account: mark.handle(&row.account),
            author: row.author_handle.as_deref().map(|name| mark.handle(name)),
            thread: row.permalink.as_deref().and_then(WebLink::parse),
            decidable_at: row.settles_at(window),
            wants_person: row.stage_reason.filter(|_| row.wants_person),
            title: row.post_title,
            text: row.text,
            approved_by: row.approved_by,
            attempt: row.attempt,
            went_out_at: row.armed_at,
            answer: answer.unwrap_or_else(|| "none: the worker stopped before it could say".to_owned()),
            reads: u64::try_from(row.absent_reads).unwrap_or(0),
            last_read_at: row.last_read_at,
            next_look_at: row.next_look_at,
            mishap,
            mark,
        }
    }

    pub fn may_be_decided(&self, now: &OffsetDateTime) -> bool {
        *now >= self.decidable_at
    }

    /// While it lies ahead.
    pub fn next_look(&self, now: &OffsetDateTime) -> Option<&OffsetDateTime> {
        self.next_look_at.as_ref().filter(|at| *at > now)
    }

    pub fn state(&self) -> &'static str {
        if self.wants_person.is_some() { "You must look" } else { "Being settled" }
    }

    pub fn address(&self) -> &str {
        self.mishap.as_ref().map_or("", |mishap| &mishap.address)
    }
}
