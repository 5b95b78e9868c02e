//! Who asks, and may they: extractors that stand in the signatures of handlers.
//!
//! `Caller` is anybody signed in; `TeamMember<Editor>` a member with at least that role in the team of the path;
//! `Loaded<SuggestionRef, Editor>` the same for a thing addressed by its own id. What belongs to another team answers 404, like
//! what does not exist; too low a role answers 403 with the role that is needed. `page` has the variants that lead a
//! browser to the sign-in page.

mod loaded;
mod page;
mod signed_in;

pub use loaded::{IntegrationRef, IntentRef, ItemRef, Loaded, NoticeRef, Owned, PostRef, SuggestionRef, VariationRef};
pub use page::{PageCaller, PageMember, SignInFirst, local_path};
pub use signed_in::SignedInPerson;

use super::cookies::{Credential, credential};
use super::csrf::form_token;
use crate::accounts::{sessions, teams};
use crate::app::App;
use crate::error::Problem;
use crate::model::Role;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use std::fmt;
use std::marker::PhantomData;
use uuid::Uuid;

/// Whoever is signed in.
#[derive(Clone)]
pub struct Caller {
    pub user_id: Uuid,
    pub name: String,
    pub auth: Auth,
    /// For the forms of the page that is shown to this caller.
    pub csrf: String,
}

/// How the caller showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    Session(Uuid),
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("user_id", &self.user_id).field("auth", &self.auth).finish_non_exhaustive()
    }
}

/// The least role that a handler asks for, as a type.
pub trait RequiredRole: Send + Sync + 'static {
    const ROLE: Role;
}

macro_rules! required_role {
    ($($name:ident),+) => {$(
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl RequiredRole for $name {
            const ROLE: Role = Role::$name;
        }
    )+};
}
required_role!(Viewer, Editor, Admin);

/// A member of the team of the path, or of the caller's only team where the path names none.
#[derive(Debug, Clone)]
pub struct TeamMember<R> {
    pub caller: Caller,
    pub team_id: Uuid,
    pub role: Role,
    required: PhantomData<R>,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        identify(parts, app).await?.ok_or_else(|| Problem::unauthorized("Sign in first: this needs a live session."))
    }
}

/// None: no credential, or a session that has ended. Looked up once per request.
async fn identify(parts: &mut Parts, app: &App) -> Result<Option<Caller>, Problem> {
    if let Some(known) = parts.extensions.get::<Caller>() {
        return Ok(Some(known.clone()));
    }
    let hash = match credential(&parts.headers, &app.config.public_url) {
        Credential::None => return Ok(None),
        Credential::Header => {
            return Err(Problem::unauthorized(
                "This server does not take the Authorization header. Sign in and use the session cookie.",
            ));
        }
        Credential::Session(hash) => hash,
    };
    let session = sessions::lookup(&mut *app.db.acquire().await?, &hash, app.clock.now()).await?;
    let caller = session.map(|session| Caller {
        user_id: session.user_id,
        name: session.user_name,
        auth: Auth::Session(session.id),
        csrf: form_token(&hash),
    });
    if let Some(caller) = &caller {
        parts.extensions.insert(caller.clone());
    }
    Ok(caller)
}

impl<R: RequiredRole> FromRequestParts<App> for TeamMember<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let (team_id, role) = match path_id(parts, &["team_id"]).await {
            PathId::Id(team_id) => {
                let role = teams::role_of(&mut *app.db.acquire().await?, team_id, caller.user_id).await?;
                (team_id, role.ok_or_else(|| Problem::not_found("team"))?)
            }
            PathId::NoId => return Err(Problem::not_found("team")),
            PathId::Absent => only_team(app, &caller).await?,
        };
        require_role(role, R::ROLE)?;
        Ok(Self { caller, team_id, role, required: PhantomData })
    }
}

async fn only_team(app: &App, caller: &Caller) -> Result<(Uuid, Role), Problem> {
    let teams = teams::memberships(&mut *app.db.acquire().await?, caller.user_id).await?;
    match teams.as_slice() {
        [only] => Ok((only.team_id, only.role)),
        [] => Err(Problem::not_found("team")),
        _ => Err(Problem::field("team_id", "Name the team: you are a member of several.")),
    }
}

/// 403 with the role that is needed, when `has` is below it.
pub fn require_role(has: Role, needed: Role) -> Result<(), Problem> {
    if has >= needed {
        return Ok(());
    }
    Err(Problem::forbidden(format!(
        "This needs the role {needed}; yours in this team is {has}. Ask an admin of the team to change it."
    )))
}

enum PathId {
    Id(Uuid),
    /// There is such a parameter, but no id in it: nothing can have that address.
    NoId,
    Absent,
}

/// The first of the named path parameters.
async fn path_id(parts: &mut Parts, names: &[&str]) -> PathId {
    let Ok(params) = RawPathParams::from_request_parts(parts, &()).await else { return PathId::Absent };
    let found = names.iter().find_map(|name| params.iter().find(|(key, _)| key == name));
    match found {
        Some((_, value)) => Uuid::parse_str(value).map_or(PathId::NoId, PathId::Id),
        None => PathId::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_the_ones_below_it_and_none_above() {
        assert!(require_role(Role::Admin, Editor::ROLE).is_ok());
        assert!(require_role(Role::Editor, Editor::ROLE).is_ok());
        let refused = require_role(Role::Viewer, Editor::ROLE).unwrap_err();
        assert_eq!(refused.status, 403);
        assert!(refused.detail.contains("the role editor; yours in this team is viewer"));
    }

    #[test]
    fn a_caller_in_a_log_line_shows_no_form_token() {
        let caller = Caller {
            user_id: Uuid::from_u128(1),
            name: "Ana".to_owned(),
            auth: Auth::Session(Uuid::from_u128(2)),
            csrf: "form-token".to_owned(),
        };
        assert!(!format!("{caller:?}").contains("form-token"));
    }
}
