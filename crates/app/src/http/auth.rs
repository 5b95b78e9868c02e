//! Who asks, and may they: extractors that stand in the signatures of handlers.
//!
//! `Caller` is anybody signed in, by session or by token; `InPerson` no API token; `TeamMember<Editor>` a member with at least that role in the team of the path;
//! `Loaded<SuggestionRef, Editor>` the same for a thing addressed by its own id. What belongs to another team answers 404, like
//! what does not exist; too low a role answers 403 with the role that is needed. `page` has the variants that lead a
//! browser to the sign-in page.

mod bearer;
mod clerk;
mod demand;
mod loaded;
mod page;
mod signed_in;
mod team;

pub use clerk::problem as clerk_problem;
pub use demand::{Declares, Demand, demand_of};
pub use loaded::{
    ApiTokenRef, DeliveryRef, IntegrationRef, IntentRef, ItemRef, Loaded, NoticeRef, OptOutRef, Owned, PostRef,
    RulePauseRef, SuggestionRef, VariationRef, WatchRef, WebhookRef,
};
pub(in crate::http) use page::PageTeam;
pub use page::{PageCaller, PageMember, SignInFirst, local_path};
pub use signed_in::SignedInPerson;
pub use team::{InPerson, NamedTeam, TeamMember};

use super::cookies::{Credential, credential};
use super::csrf::form_token;
use super::limits::LookedUp;
use crate::accounts::sessions;
use crate::accounts::teams::{self, Membership};
use crate::app::App;
use crate::error::Problem;
use crate::model::Role;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::request::Parts;
use sqlx::PgConnection;
use std::fmt;
use uuid::Uuid;

/// Whoever is signed in.
#[derive(Clone)]
pub struct Caller {
    pub user_id: Uuid,
    pub name: String,
    pub auth: Auth,
    /// For the forms of the page that is shown to this caller; empty without a session.
    pub csrf: String,
}

/// How the caller showed who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    Session(Uuid),
    /// An API token: its maker acts through a program, in one team and with at most this role.
    Token {
        id: Uuid,
        team_id: Uuid,
        role: Role,
    },
    /// A session of Clerk: `session` is its id there.
    Clerk {
        session: Option<String>,
        /// Who acts as the person, by their id there.
        acting: Option<String>,
    },
}

impl Auth {
    /// As `GET /api/auth/verify` names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::Token { .. } => "token",
            Self::Clerk { .. } => "clerk",
        }
    }
}

impl Caller {
    /// What the person's role in a team counts for by this credential. None: nothing there is visible to it. Whoever asks for the
    /// role asks the database now, so that a token never outlives the rights of its maker.
    pub fn effective(&self, team_id: Uuid, role: Role) -> Option<Role> {
        match &self.auth {
            Auth::Session(_) | Auth::Clerk { .. } => Some(role),
            Auth::Token { team_id: own, role: most, .. } => (*own == team_id).then(|| role.min(*most)),
        }
    }

    /// The caller's role in a team; 404 where it has none.
    pub async fn role_in(&self, conn: &mut PgConnection, team_id: Uuid) -> Result<Role, Problem> {
        let role = teams::role_of(conn, team_id, self.user_id).await?;
        role.and_then(|role| self.effective(team_id, role)).ok_or_else(|| Problem::not_found("team"))
    }

    /// The teams that this caller sees, with its role there; the oldest first.
    pub async fn memberships(&self, conn: &mut PgConnection) -> Result<Vec<Membership>, Problem> {
        let teams = teams::memberships(conn, self.user_id).await?;
        let seen = |team: Membership| self.effective(team.team_id, team.role).map(|role| Membership { role, ..team });
        Ok(teams.into_iter().filter_map(seen).collect())
    }

    /// As whom requests are counted: an API token for itself, a person in all their sessions and tokens of the identity provider together.
    fn counted_as(&self) -> Uuid {
        match &self.auth {
            Auth::Token { id, .. } => *id,
            Auth::Session(_) | Auth::Clerk { .. } => self.user_id,
        }
    }

    /// Whose requests are one sequence: what was answered to the person is not repeated to a token of lesser rights.
    pub fn key_owner(&self) -> Uuid {
        match &self.auth {
            Auth::Session(_) | Auth::Clerk { .. } => self.user_id,
            Auth::Token { id, .. } => *id,
        }
    }
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
    let found = look_up(parts, app).await;
    if let Some(looked_up) = parts.extensions.get::<LookedUp>() {
        match &found {
            Ok(caller) => looked_up.tell(caller.as_ref().map(Caller::counted_as)),
            Err(problem) if problem.status == StatusCode::UNAUTHORIZED.as_u16() => looked_up.tell(None),
            // Nobody knows.
            Err(_) => {}
        }
    }
    if let Ok(Some(caller)) = &found {
        parts.extensions.insert(caller.clone());
    }
    found
}

async fn look_up(parts: &Parts, app: &App) -> Result<Option<Caller>, Problem> {
    Ok(match credential(&parts.headers, &app.config.public_url) {
        Credential::None => None,
        Credential::Malformed => return Err(bearer::malformed()),
        Credential::Bearer(token) if bearer::is_ours(&token) => Some(bearer::api_token(app, &token).await?),
        Credential::Bearer(token) => Some(bearer::bearer_person(app, &token).await?),
        Credential::Session(hash) => {
            let session = sessions::lookup(&mut *app.db.acquire().await?, &hash, app.clock.now()).await?;
            session.map(|session| Caller {
                user_id: session.user_id,
                name: session.user_name,
                auth: Auth::Session(session.id),
                csrf: form_token(&hash),
            })
        }
    })
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

    fn caller(auth: Auth) -> Caller {
        Caller { user_id: Uuid::from_u128(1), name: "Ana".to_owned(), auth, csrf: "form-token".to_owned() }
    }

    #[test]
    fn a_token_is_worth_the_lesser_of_its_role_and_its_makers_and_nothing_in_another_team() {
        let (own, other) = (Uuid::from_u128(3), Uuid::from_u128(4));
        let token = |role| caller(Auth::Token { id: Uuid::from_u128(2), team_id: own, role });
        assert_eq!(token(Role::Editor).effective(own, Role::Admin), Some(Role::Editor));
        assert_eq!(token(Role::Editor).effective(own, Role::Viewer), Some(Role::Viewer));
        assert_eq!(token(Role::Admin).effective(other, Role::Admin), None);
        let session = caller(Auth::Session(Uuid::from_u128(2)));
        assert_eq!(session.effective(other, Role::Admin), Some(Role::Admin));
    }

    #[test]
    fn a_caller_in_a_log_line_shows_no_form_token() {
        assert!(!format!("{:?}", caller(Auth::Session(Uuid::from_u128(2)))).contains("form-token"));
    }
}
