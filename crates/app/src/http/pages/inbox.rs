//! The inbox: list, thread and draft beside each other; on a phone three steps.
//!
//! `?item={id}` opens an item, `&step=draft` its draft on a phone. The three panes are fragments of their own, so
//! that a live update redraws one of them and leaves the rest alone.

use super::frame::{Frame, Section};
use super::inbox_draft::{DraftPane, Mishap};
use super::inbox_list::{Filter, ListPane, Shown};
use super::inbox_thread::ThreadPane;
use super::marks::Mark;
use super::person::Person;
use super::words::WebLink;
use super::{place, samples};
use crate::app::App;
use crate::error::Problem;
use crate::flow::ingest::inbox::{self, ItemRow};
use crate::flow::ingest::normalise;
use crate::flow::suggestion;
use crate::http::auth::{PageMember, Viewer};
use crate::model::{Stage, Status};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, Template)]
#[template(path = "inbox.html")]
pub struct InboxPage {
    pub frame: Frame,
    pub list: ListPane,
    pub open: Option<OpenItem>,
    /// Which pane a phone shows; a wide screen shows all.
    pub step: Step,
    /// What the person did just before, with the way back.
    pub earlier: Option<Earlier>,
}

/// The decision that led on to this item.
#[derive(Debug, Clone)]
pub struct Earlier {
    pub item_id: Uuid,
    /// "u/beanfan"
    pub author: String,
    /// "Reddit"
    pub platform: String,
    pub what: Decided,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// Can be taken back while it has not begun to go out.
    Approved {
        suggestion_id: Uuid,
        goes_out_at: OffsetDateTime,
    },
    GoingOut {
        suggestion_id: Uuid,
    },
    Posted {
        permalink: Option<WebLink>,
    },
    Closed,
}

#[derive(Debug, Clone)]
pub struct OpenItem {
    pub thread: ThreadPane,
    pub draft: DraftPane,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    List,
    Thread,
    Draft,
}

impl Earlier {
    /// What became of the item that the address names; nothing where it cannot be told.
    async fn load(conn: &mut PgConnection, person: &Person, id: Option<&str>) -> Result<Option<Self>, sqlx::Error> {
        let Some(id) = id.and_then(|text| Uuid::parse_str(text).ok()) else { return Ok(None) };
        let Some(item) = inbox::item(conn, person.team_id, id).await? else { return Ok(None) };
        let suggestion = suggestion::latest_of_item(conn, person.team_id, id).await?;
        let what = match suggestion.map(|found| (found.id, found.state)) {
            Some((_, state)) if state.status == Status::Pending => return Ok(None),
            Some((suggestion_id, state)) if state.status == Status::Approved => match (state.stage, state.send_after) {
                (Stage::Queued, Some(goes_out_at)) if goes_out_at > person.now => {
                    Decided::Approved { suggestion_id, goes_out_at }
                }
                _ => Decided::GoingOut { suggestion_id },
            },
            Some((_, state)) if state.status == Status::Posted => {
                Decided::Posted { permalink: state.platform_reply_url.as_deref().and_then(WebLink::parse) }
            }
            _ => Decided::Closed,
        };
        let mark = Mark::of(&item.platform);
        let author = item.author_handle.map_or_else(|| "[deleted]".to_owned(), |name| mark.handle(&name));
        Ok(Some(Self { item_id: id, author, platform: mark.name, what }))
    }
}

impl Earlier {
    /// For scripts that match live updates.
    pub fn suggestion_id(&self) -> Option<Uuid> {
        match self.what {
            Decided::Approved { suggestion_id, .. } | Decided::GoingOut { suggestion_id } => Some(suggestion_id),
            Decided::Posted { .. } | Decided::Closed => None,
        }
    }
}

impl Step {
    pub fn class(&self) -> &'static str {
        match self {
            Self::List => "step-list",
            Self::Thread => "step-thread",
            Self::Draft => "step-draft",
        }
    }
}

/// The query of the page and of its parts.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct InboxQuery {
    pub filter: Option<String>,
    pub q: Option<String>,
    pub item: Option<String>,
    pub step: Option<String>,
    pub cursor: Option<String>,
    /// One row of the list alone.
    pub only: Option<String>,
    /// Item that was decided on just before.
    pub decided: Option<String>,
}

impl InboxQuery {
    fn shown(&self) -> Shown {
        Shown {
            filter: self.filter.as_deref().and_then(Filter::parse).unwrap_or(Filter::Waiting),
            query: normalise::line(self.q.as_deref().unwrap_or_default(), 200),
            before: self.cursor.as_deref().and_then(place::read),
            only: self.only.as_deref().and_then(|text| Uuid::parse_str(text).ok()),
        }
    }

    fn step(&self) -> Step {
        match (self.step.as_deref(), &self.item) {
            (_, None) => Step::List,
            (Some("draft"), _) => Step::Draft,
            _ => Step::Thread,
        }
    }

    /// The item that is named; 404 for what is none of the team's.
    async fn open(&self, conn: &mut PgConnection, team_id: Uuid) -> Result<Option<ItemRow>, Problem> {
        let Some(text) = &self.item else { return Ok(None) };
        let id = Uuid::parse_str(text).map_err(|_| Problem::not_found("item"))?;
        inbox::item(conn, team_id, id).await?.ok_or_else(|| Problem::not_found("item")).map(Some)
    }

    async fn named(&self, conn: &mut PgConnection, team_id: Uuid) -> Result<ItemRow, Problem> {
        self.open(conn, team_id).await?.ok_or_else(|| Problem::not_found("item"))
    }
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<InboxQuery>,
) -> Result<Response, Problem> {
    let person = Person::of(&app, member);
    let mut conn = app.db.acquire().await?;
    let page = InboxPage::load(&mut conn, &person, &query, Mishap::default()).await?;
    Ok(super::page(StatusCode::OK, &page))
}

pub async fn list_part(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<InboxQuery>,
) -> Result<Response, Problem> {
    let person = Person::of(&app, member);
    let selected = query.item.as_deref().and_then(|text| Uuid::parse_str(text).ok());
    let mut conn = app.db.acquire().await?;
    let list = ListPane::load(&mut conn, &person, &query.shown(), selected).await?;
    Ok(super::page(StatusCode::OK, &list))
}

pub async fn thread_part(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<InboxQuery>,
) -> Result<Response, Problem> {
    let person = Person::of(&app, member);
    let mut conn = app.db.acquire().await?;
    let item = query.named(&mut conn, person.team_id).await?;
    Ok(super::page(StatusCode::OK, &ThreadPane::load(&mut conn, &person, &item).await?))
}

pub async fn draft_part(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<InboxQuery>,
) -> Result<Response, Problem> {
    let person = Person::of(&app, member);
    let mut conn = app.db.acquire().await?;
    let item = query.named(&mut conn, person.team_id).await?;
    Ok(super::page(StatusCode::OK, &DraftPane::load(&mut conn, &person, &item, Mishap::default()).await?))
}

impl InboxPage {
    /// The page as `query` asks for it. `mishap` is what the person's last action came to, if it was not done.
    pub async fn load(
        conn: &mut PgConnection,
        person: &Person,
        query: &InboxQuery,
        mishap: Mishap,
    ) -> Result<Self, Problem> {
        let item = query.open(conn, person.team_id).await?;
        let selected = item.as_ref().map(|item| item.id);
        let mut list = ListPane::load(conn, person, &query.shown(), selected).await?;
        list.focus_selected = selected.is_some();
        let open = match &item {
            Some(item) => Some(OpenItem {
                thread: ThreadPane::load(conn, person, item).await?,
                draft: DraftPane::load(conn, person, item, mishap).await?,
            }),
            None => None,
        };
        let earlier = Earlier::load(conn, person, query.decided.as_deref()).await?;
        Ok(Self { frame: person.frame(conn).await?, list, open, step: query.step(), earlier })
    }

    pub fn section(&self) -> Section {
        Section::Inbox
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::inbox::pages()
    }
}
