//! The etiquette page: where rules hold back because replies were removed, and who asked not to be answered. Admins lift both, once
//! they have looked.

use super::asked::see_other;
use super::frame::{Frame, Section};
use super::marks::Mark;
use super::person::Person;
use super::samples;
use super::signin::NoFields;
use crate::app::App;
use crate::error::Problem;
use crate::flow::etiquette::opt_outs::{self, OptOut};
use crate::flow::etiquette::rule_pauses::{self, RulePause};
use crate::http::auth::{Admin, Loaded, OptOutRef, PageMember, RulePauseRef, Viewer};
use crate::http::csrf::CsrfForm;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use time::OffsetDateTime;
use uuid::Uuid;

/// Older ones stand in the API.
const SHOWN: i64 = 100;

#[derive(Debug, Clone, Template)]
#[template(path = "etiquette.html")]
pub struct EtiquettePage {
    pub frame: Frame,
    /// Those that stand come first.
    pub pauses: Vec<PauseLine>,
    pub opt_outs: Vec<OptOutLine>,
    pub may_lift: bool,
}

#[derive(Debug, Clone)]
pub struct PauseLine {
    pub id: Uuid,
    pub mark: Mark,
    pub account: String,
    pub community: Option<String>,
    pub reason: String,
    pub at: OffsetDateTime,
    pub lifted: Option<(OffsetDateTime, String)>,
}

#[derive(Debug, Clone)]
pub struct OptOutLine {
    pub id: Uuid,
    pub mark: Mark,
    /// "u/curious_cat"; "somebody" where their comment is gone.
    pub who: String,
    pub words: String,
    pub at: OffsetDateTime,
    pub item_id: Option<Uuid>,
    pub lifted: Option<(OffsetDateTime, String)>,
}

pub async fn show(State(app): State<App>, member: PageMember<Viewer>) -> Result<Response, Problem> {
    let person = Person::of(&app, member);
    let mut conn = app.db.acquire().await?;
    let mut pauses: Vec<PauseLine> =
        rule_pauses::list(&mut conn, person.team_id, None, SHOWN).await?.into_iter().map(PauseLine::of).collect();
    let mut opt_outs: Vec<OptOutLine> =
        opt_outs::list(&mut conn, person.team_id, None, SHOWN).await?.into_iter().map(OptOutLine::of).collect();
    pauses.sort_by_key(|line| line.lifted.is_some());
    opt_outs.sort_by_key(|line| line.lifted.is_some());
    let page =
        EtiquettePage { frame: person.frame(&mut conn).await?, pauses, opt_outs, may_lift: person.may_connect() };
    Ok(super::page(StatusCode::OK, &page))
}

pub async fn lift_pause(
    State(app): State<App>,
    _: PageMember<Viewer>,
    wanted: Loaded<RulePauseRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    rule_pauses::lift(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    tx.commit().await?;
    Ok(see_other("/dashboard/etiquette"))
}

pub async fn lift_opt_out(
    State(app): State<App>,
    _: PageMember<Viewer>,
    wanted: Loaded<OptOutRef, Admin>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    opt_outs::lift(&mut tx, &app.moment(), wanted.team_id, wanted.id, wanted.caller.user_id).await?;
    tx.commit().await?;
    Ok(see_other("/dashboard/etiquette"))
}

fn lifted(at: Option<OffsetDateTime>, by: Option<String>) -> Option<(OffsetDateTime, String)> {
    Some((at?, by.unwrap_or_else(|| "somebody".to_owned())))
}

impl PauseLine {
    fn of(row: RulePause) -> Self {
        let mark = Mark::of(&row.platform);
        Self {
            id: row.id,
            account: mark.handle(&row.account),
            mark,
            community: row.community,
            reason: row.reason,
            at: row.paused_at,
            lifted: lifted(row.lifted_at, row.lifted_by_name),
        }
    }
}

impl OptOutLine {
    fn of(row: OptOut) -> Self {
        let mark = Mark::of(&row.platform);
        Self {
            id: row.id,
            who: row.author_handle.map_or_else(|| "somebody".to_owned(), |name| mark.handle(&name)),
            mark,
            words: row.words,
            at: row.noted_at,
            item_id: row.item_id,
            lifted: lifted(row.lifted_at, row.lifted_by_name),
        }
    }
}

impl EtiquettePage {
    pub fn section(&self) -> Section {
        Section::Etiquette
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::etiquette::pages()
    }
}
