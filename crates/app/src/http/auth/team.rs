//! Callers in a team: with the least role that the handler's signature names.

use super::{Auth, Caller, PathId, RequiredRole, clerk, path_id, require_role};
use crate::app::App;
use crate::error::Problem;
use crate::model::Role;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use std::marker::PhantomData;
use url::form_urlencoded;
use uuid::Uuid;

/// A member of the team of the path, of the query (`team_id`), or of the caller's only team where neither names one.
#[derive(Debug, Clone)]
pub struct TeamMember<R> {
    pub caller: Caller,
    pub team_id: Uuid,
    pub role: Role,
    required: PhantomData<R>,
}

impl<R: RequiredRole> FromRequestParts<App> for TeamMember<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let (team_id, role) = match path_id(parts, &["team_id"]).await {
            PathId::Id(team_id) => (team_id, caller.role_in(&mut *app.db.acquire().await?, team_id).await?),
            PathId::NoId => return Err(Problem::not_found("team")),
            PathId::Absent => match query_team(parts)? {
                Some(team_id) => (team_id, caller.role_in(&mut *app.db.acquire().await?, team_id).await?),
                None => only_team(app, &caller).await?,
            },
        };
        require_role(role, R::ROLE)?;
        Ok(Self { caller, team_id, role, required: PhantomData })
    }
}

fn query_team(parts: &Parts) -> Result<Option<Uuid>, Problem> {
    let query = parts.uri.query().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "team_id" || name == "teamId");
    named
        .map(|(_, value)| {
            Uuid::parse_str(&value).map_err(|_| Problem::field("team_id", "is no id; GET /api/teams has it"))
        })
        .transpose()
}

async fn only_team(app: &App, caller: &Caller) -> Result<(Uuid, Role), Problem> {
    let teams = caller.memberships(&mut *app.db.acquire().await?).await?;
    match teams.as_slice() {
        [only] => Ok((only.team_id, only.role)),
        [] => Err(Problem::not_found("team")),
        _ => Err(Problem::field("team_id", "Name the team: you are a member of several.")),
    }
}

/// For handlers that learn the team from the body: a caller who may name a team in which it has at least the role `R`.
#[derive(Debug, Clone)]
pub struct NamedTeam<R> {
    pub caller: Caller,
    required: PhantomData<R>,
}

impl<R: RequiredRole> FromRequestParts<App> for NamedTeam<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self { caller: Caller::from_request_parts(parts, app).await?, required: PhantomData })
    }
}

impl<R: RequiredRole> NamedTeam<R> {
    /// The named team, or the only one in which the caller has the role.
    pub async fn team(&self, app: &App, named: Option<Uuid>) -> Result<Uuid, Problem> {
        let mut conn = app.db.acquire().await?;
        if let Some(team_id) = named {
            require_role(self.caller.role_in(&mut conn, team_id).await?, R::ROLE)?;
            return Ok(team_id);
        }
        let teams = self.caller.memberships(&mut conn).await?;
        let possible: Vec<Uuid> = teams.iter().filter(|team| team.role >= R::ROLE).map(|team| team.team_id).collect();
        match possible.as_slice() {
            [only] => Ok(*only),
            [] => Err(Problem::forbidden(format!("This needs the role {} in a team; you have it in none.", R::ROLE))),
            _ => Err(Problem::field("team_id", format!("Name the team: you have the role {} in several.", R::ROLE))),
        }
    }
}

/// A caller that is no API token and nobody who acts as the person: for what a program may not do in a person's name, such as making tokens or changing who is in a
/// team. Otherwise a token that leaked could make itself successors.
#[derive(Debug, Clone)]
pub struct InPerson;

impl FromRequestParts<App> for InPerson {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, app).await?.auth {
            Auth::Token { .. } => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "not-by-token",
                "Not allowed",
                "An API token cannot do this. Sign in and do it yourself.",
            )),
            Auth::Clerk { acting: Some(_), .. } => Err(clerk::impersonated()),
            Auth::Session(_) | Auth::Clerk { acting: None, .. } => Ok(Self),
        }
    }
}
