//! The forms about invitations. One that makes a link answers with the page that shows it, this once.

use super::change::not_done;
use super::{InviteForm, IssuedLink, Outcome, TeamPage};
use crate::accounts::invitations::{self, InviteError, Issued};
use crate::app::App;
use crate::error::Problem;
use crate::http::auth::{Admin, PageMember};
use crate::http::body::Path;
use crate::http::csrf::CsrfForm;
use crate::http::limits;
use crate::http::pages::asked::see_other;
use crate::http::pages::page;
use crate::http::pages::person::Person;
use crate::http::pages::signin::NoFields;
use crate::model::Role;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::ExposeSecret;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Debug, Deserialize)]
pub struct SentInvitation {
    email: String,
    role: Role,
}

pub async fn invite(
    State(app): State<App>,
    member: PageMember<Admin>,
    CsrfForm(sent): CsrfForm<SentInvitation>,
) -> Result<Response, Problem> {
    match create(&app, &member, &sent).await {
        Ok(issued) => shown(&app, member, issued).await,
        Err(problem) if problem.status >= 500 || problem.code == "role-changed" => Err(problem),
        Err(problem) => {
            let reason = problem.errors.first().map_or(problem.detail.clone(), |error| error.message.clone());
            let form = InviteForm { email: sent.email, role: sent.role, error: Some(reason) };
            let outcome = Outcome { form: Some(form), ..Outcome::default() };
            let drawn = TeamPage::load(Person::of(&app, member), None, outcome).await?;
            Ok(page(problem.status_code(), &drawn))
        }
    }
}

async fn create(app: &App, member: &PageMember<Admin>, sent: &SentInvitation) -> Result<Issued, Problem> {
    let (moment, by) = (app.moment(), member.caller.user_id);
    limits::count_invitation(&mut *app.db.acquire().await?, member.team_id, by, moment.now).await?;
    let mut tx = app.db.begin().await?;
    let issued = invitations::create(app, &mut tx, &moment, member.team_id, by, &sent.email, sent.role).await?;
    tx.commit().await?;
    Ok(issued)
}

async fn shown(app: &App, member: PageMember<Admin>, issued: Issued) -> Result<Response, Problem> {
    let link = invitations::link(&app.config.public_url, issued.token.expose_secret());
    let issued = IssuedLink { email: issued.invitation.email, link: link.into(), mailed: issued.mailed };
    let outcome = Outcome { issued: Some(issued), ..Outcome::default() };
    let drawn = TeamPage::load(Person::of(app, member), None, outcome).await?;
    Ok(page(StatusCode::OK, &drawn))
}

pub async fn renew(
    State(app): State<App>,
    member: PageMember<Admin>,
    Path(id): Path<Uuid>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    match new_link(&app, &member, id).await {
        Ok(issued) => shown(&app, member, issued).await,
        Err(problem) => not_done(&app, member, problem).await,
    }
}

async fn new_link(app: &App, member: &PageMember<Admin>, id: Uuid) -> Result<Issued, Problem> {
    let (moment, by) = (app.moment(), member.caller.user_id);
    limits::count_invitation(&mut *app.db.acquire().await?, member.team_id, by, moment.now).await?;
    let mut tx = app.db.begin().await?;
    let issued = invitations::renew(app, &mut tx, &moment, member.team_id, by, id).await?;
    tx.commit().await?;
    Ok(issued)
}

pub async fn withdraw(
    State(app): State<App>,
    member: PageMember<Admin>,
    Path(id): Path<Uuid>,
    CsrfForm(NoFields {}): CsrfForm<NoFields>,
) -> Result<Response, Problem> {
    match take_back(&app, &member, id).await {
        Ok(()) => Ok(see_other("/dashboard/team?done=withdrawn")),
        Err(error) => not_done(&app, member, error.into()).await,
    }
}

async fn take_back(app: &App, member: &PageMember<Admin>, id: Uuid) -> Result<(), InviteError> {
    let mut tx = app.db.begin().await?;
    invitations::withdraw(&mut tx, &app.moment(), member.team_id, member.caller.user_id, id).await?;
    Ok(tx.commit().await?)
}
