//! The forms of the team page that change people and the team itself, and the way to another team.

use super::{Outcome, TeamPage};
use crate::accounts::members::{self, MemberError};
use crate::accounts::teams::{self, TeamError};
use crate::app::App;
use crate::config::SignUp;
use crate::error::Problem;
use crate::http::auth::{Admin, PageCaller, PageMember, Viewer};
use crate::http::body::Path;
use crate::http::cookies;
use crate::http::csrf::CsrfForm;
use crate::http::pages::asked::see_other;
use crate::http::pages::person::Person;
use crate::http::pages::signin::NoFields;
use crate::model::Role;
use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Debug, Deserialize)]
pub struct RoleForm {
    role: Role,
}

#[derive(Debug, Deserialize)]
pub struct NameForm {
    name: String,
}

#[derive(Debug, Deserialize)]
pub struct HeirForm {
    user_id: Uuid,
}

#[derive(Debug, Deserialize)]
pub struct TeamForm {
    team_id: Uuid,
}

/// What is said after a form that was carried out.
pub(super) fn said(done: &str) -> Option<&'static str> {
    Some(match done {
        "role" => "The role is changed and holds at once.",
        "removed" => "The person is no longer in the team.",
        "renamed" => "The team has its new name.",
        "handed-over" => "The team is handed over. You are an admin of it as before.",
        "withdrawn" => "The invitation is withdrawn: its link does not work any more.",
        _ => return None,
    })
}

fn done(what: &str) -> Response {
    see_other(&format!("/dashboard/team?done={what}"))
}

/// The page again with the reason.
pub(super) async fn not_done<R>(app: &App, member: PageMember<R>, problem: Problem) -> Result<Response, Problem> {
    if problem.status >= 500 || problem.status == 404 {
        return Err(problem);
    }
    // The person's own role may be another by now, so the page is not drawn with it.
    if problem.code == "role-changed" {
        return Err(problem);
    }
    let reason = problem.errors.first().map_or(problem.detail.clone(), |error| error.message.clone());
    let outcome = Outcome { refused: Some(reason), ..Outcome::default() };
    let page = TeamPage::load(Person::of(app, member), None, outcome).await?;
    Ok(crate::http::pages::page(problem.status_code(), &page))
}

pub async fn change_role(
    State(app): State<App>,
    member: PageMember<Admin>,
    Path(user_id): Path<Uuid>,
    CsrfForm(form): CsrfForm<RoleForm>,
) -> Result<Response, Problem> {
    let (team_id, by) = (member.team_id, member.caller.user_id);
    let mut tx = app.db.begin().await?;
    match members::change_role(&mut tx, &app.moment(), team_id, by, user_id, form.role).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(done("role"))
        }
        Err(error) => {
            drop(tx);
            not_done(&app, member, error.into()).await
        }
    }
}

pub async fn remove(
    State(app): State<App>,
    member: PageMember<Admin>,
    Path(user_id): Path<Uuid>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    match end(&app, member.team_id, member.caller.user_id, user_id).await {
        Ok(()) => Ok(done("removed")),
        Err(error) => not_done(&app, member, error.into()).await,
    }
}

pub async fn leave(
    State(app): State<App>,
    member: PageMember<Viewer>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    let me = member.caller.user_id;
    match end(&app, member.team_id, me, me).await {
        Ok(()) => Ok(see_other("/dashboard/inbox")),
        Err(error) => not_done(&app, member, error.into()).await,
    }
}

async fn end(app: &App, team_id: Uuid, by: Uuid, user_id: Uuid) -> Result<(), MemberError> {
    let mut tx = app.db.begin().await?;
    members::remove(&mut tx, &app.moment(), team_id, by, user_id).await?;
    Ok(tx.commit().await?)
}

pub async fn hand_over(
    State(app): State<App>,
    member: PageMember<Admin>,
    CsrfForm(form): CsrfForm<HeirForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    let (team_id, by) = (member.team_id, member.caller.user_id);
    match members::transfer(&mut tx, &app.moment(), team_id, by, form.user_id).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(done("handed-over"))
        }
        Err(error) => {
            drop(tx);
            not_done(&app, member, error.into()).await
        }
    }
}

pub async fn rename(
    State(app): State<App>,
    member: PageMember<Admin>,
    CsrfForm(form): CsrfForm<NameForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.begin().await?;
    match teams::rename(&mut tx, &app.moment(), member.team_id, member.caller.user_id, &form.name).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(done("renamed"))
        }
        Err(error) => {
            drop(tx);
            not_done(&app, member, error.into()).await
        }
    }
}

/// Makes another team and goes there.
pub async fn found(
    State(app): State<App>,
    member: PageMember<Viewer>,
    CsrfForm(form): CsrfForm<NameForm>,
) -> Result<Response, Problem> {
    let anybody = app.config.signup == SignUp::Open;
    let mut tx = app.db.begin().await?;
    match teams::found(&mut tx, &app.moment(), member.caller.user_id, &form.name, anybody).await {
        Ok(team) => {
            tx.commit().await?;
            Ok(into_team(&app, team.id))
        }
        Err(TeamError::Database(error)) => Err(error.into()),
        Err(error) => {
            drop(tx);
            not_done(&app, member, error.into()).await
        }
    }
}

/// Goes to another team of the person; this browser stays there.
pub async fn switch(
    State(app): State<App>,
    PageCaller(caller): PageCaller,
    CsrfForm(form): CsrfForm<TeamForm>,
) -> Result<Response, Problem> {
    let role = teams::role_of(&mut *app.db.acquire().await?, form.team_id, caller.user_id).await?;
    role.ok_or_else(|| Problem::not_found("team"))?;
    Ok(into_team(&app, form.team_id))
}

/// To the inbox of a team.
pub fn into_team(app: &App, team_id: Uuid) -> Response {
    let mut answer = see_other("/dashboard/inbox");
    answer.headers_mut().append(header::SET_COOKIE, cookies::set_team(team_id, &app.config.public_url));
    answer
}
