//! What surrounds every page of a signed-in person: navigation, team, messages, the bar that says what is paused.

use super::marks::Tone;
use super::person::Person;
use super::samples;
use crate::accounts::teams::Membership;
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{PageMember, Viewer};
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

/// Filled once per request, the same for all pages.
#[derive(Debug, Clone)]
pub struct Frame {
    pub team_id: Uuid,
    pub team_name: String,
    /// Where the person may switch to.
    pub other_teams: Vec<TeamChoice>,
    pub user_name: String,
    /// Token that every form of this session carries.
    pub csrf: String,
    /// The moment that all relative times on the page count from.
    pub now: OffsetDateTime,
    /// Items that wait for a person.
    pub waiting: u64,
    /// Accounts that need one.
    pub account_problems: u64,
    /// Replies of which nobody knows whether they stand there.
    pub unknown: u64,
    /// Notices that nobody put aside.
    pub notices: u64,
    /// What keeps every reply in: the widest switch first.
    pub pauses: Vec<PauseBar>,
    pub notice: Option<Notice>,
}

/// A team that the person may switch to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamChoice {
    pub id: Uuid,
    pub name: String,
}

impl TeamChoice {
    pub fn beside(team_id: Uuid, teams: Vec<Membership>) -> Vec<Self> {
        let others = teams.into_iter().filter(|team| team.team_id != team_id);
        others.map(|team| Self { id: team.team_id, name: team.team_name }).collect()
    }
}

/// Which entry of the navigation is the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Inbox,
    Accounts,
    Intents,
    Watches,
    Etiquette,
    Uncertain,
    Notices,
    Log,
    Team,
    Settings,
    Account,
}

impl Section {
    /// As addresses name it.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Accounts => "accounts",
            Self::Intents => "intents",
            Self::Watches => "watches",
            Self::Etiquette => "etiquette",
            Self::Uncertain => "uncertain",
            Self::Notices => "notices",
            Self::Log => "log",
            Self::Team => "team",
            Self::Settings => "settings",
            Self::Account => "account",
        }
    }

    pub fn parse(slug: &str) -> Option<Self> {
        let all = [
            Self::Inbox,
            Self::Accounts,
            Self::Intents,
            Self::Watches,
            Self::Etiquette,
            Self::Uncertain,
            Self::Notices,
            Self::Log,
            Self::Team,
            Self::Settings,
            Self::Account,
        ];
        all.into_iter().find(|section| section.slug() == slug)
    }
}

/// One bar across the top while something is paused.
#[derive(Debug, Clone)]
pub struct PauseBar {
    /// "All sending of the team is paused."
    pub what: &'static str,
    pub why: Option<String>,
    /// None: the operator of the server.
    pub by: Option<String>,
    pub since: OffsetDateTime,
    /// Where the person's resume form posts to; None for those who may not resume.
    pub resume_path: Option<&'static str>,
    /// Said to those: "An admin can resume it."
    pub who_resumes: &'static str,
}

/// What the last action came to.
#[derive(Debug, Clone)]
pub struct Notice {
    pub tone: Tone,
    pub text: String,
}

/// Bars and navigation alone: an open page fetches them when something changed that they tell.
#[derive(Debug, Clone, Template)]
#[template(path = "frame_parts.html")]
pub struct FrameParts {
    pub frame: Frame,
    pub section: Section,
}

#[derive(Debug, Deserialize)]
pub struct FrameQuery {
    section: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<FrameQuery>,
) -> Result<Response, Problem> {
    let section = query.section.as_deref().and_then(Section::parse).unwrap_or(Section::Inbox);
    let frame = Person::of(&app, member).frame(&mut *app.db.acquire().await?).await?;
    Ok(super::page(StatusCode::OK, &FrameParts { frame, section }))
}

impl FrameParts {
    pub fn section(&self) -> Section {
        self.section
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        let part = |frame| Self { frame, section: Section::Accounts };
        vec![("calm", part(samples::frame())), ("troubled", part(samples::troubled_frame()))]
    }
}

impl Frame {
    /// "A" for "Ada": stands in for a picture.
    pub fn initial(&self) -> String {
        self.user_name.chars().next().map(|c| c.to_uppercase().collect()).unwrap_or_default()
    }
}
