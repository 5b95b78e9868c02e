//! The team page: who is in it and what each may do; for admins also who is invited. Everybody may leave here and go to another
//! team of theirs.
//!
//! The link of an invitation is drawn into the answer of the form that made it, and is nowhere afterwards. What a form could not do
//! comes back on the page with its reason.

mod change;
mod invitations;

pub use change::{change_role, found, hand_over, into_team, leave, remove, rename, switch};
pub use invitations::{invite, renew, withdraw};

use super::frame::{Frame, Section};
use super::person::Person;
use super::{place, samples};
use crate::accounts::invitations::{self as invited, Invitation};
use crate::accounts::members::{self, Member};
use crate::accounts::teams;
use crate::app::App;
use crate::config::SignUp;
use crate::error::Problem;
use crate::http::auth::{PageMember, Viewer};
use crate::model::Role;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use time::OffsetDateTime;
use uuid::Uuid;

const ROWS: usize = 100;

/// As a select offers them.
pub const ROLES: [Role; 3] = [Role::Viewer, Role::Editor, Role::Admin];

#[derive(Debug, Clone, Template)]
#[template(path = "team.html")]
pub struct TeamPage {
    pub frame: Frame,
    pub members: Vec<MemberLine>,
    /// Where the list goes on; None on the last page.
    pub more: Option<String>,
    /// True on a page that was reached through "more".
    pub is_later: bool,
    pub invitations: Vec<InvitationLine>,
    pub form: InviteForm,
    /// The link of an invitation that was made just now.
    pub issued: Option<IssuedLink>,
    /// What the last form came to.
    pub done: Option<&'static str>,
    /// Why it came to nothing.
    pub refused: Option<String>,
    pub may_manage: bool,
    pub may_hand_over: bool,
    /// To whom: id and name.
    pub heirs: Vec<(Uuid, String)>,
    /// Whether the person may make another team.
    pub may_found: bool,
}

#[derive(Debug, Clone)]
pub struct MemberLine {
    pub user_id: Uuid,
    pub name: String,
    pub email: Option<String>,
    pub role: Role,
    pub is_owner: bool,
    pub is_me: bool,
    pub joined_at: OffsetDateTime,
}

#[derive(Debug, Clone)]
pub struct InvitationLine {
    pub id: Uuid,
    pub email: String,
    pub role: Role,
    pub invited_by: String,
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Clone)]
pub struct IssuedLink {
    pub email: String,
    pub link: String,
    pub mailed: bool,
}

/// The fields as they stand in the form.
#[derive(Debug, Clone)]
pub struct InviteForm {
    pub email: String,
    pub role: Role,
    pub error: Option<String>,
}

/// What a form came to, for the page that is drawn at once.
#[derive(Debug, Default)]
pub struct Outcome {
    pub refused: Option<String>,
    pub issued: Option<IssuedLink>,
    pub form: Option<InviteForm>,
}

#[derive(Debug, Deserialize)]
pub struct TeamQuery {
    cursor: Option<String>,
    done: Option<String>,
}

pub async fn show(
    State(app): State<App>,
    member: PageMember<Viewer>,
    Query(query): Query<TeamQuery>,
) -> Result<Response, Problem> {
    let after = query.cursor.as_deref().and_then(place::read);
    let page = TeamPage::load(Person::of(&app, member), after, Outcome::default()).await?;
    Ok(super::page(StatusCode::OK, &TeamPage { done: query.done.as_deref().and_then(change::said), ..page }))
}

/// "Admin"
pub fn word(role: &Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer",
        Role::Editor => "Editor",
        Role::Admin => "Admin",
    }
}

/// What the role allows, as it follows "you".
pub fn may(role: &Role) -> &'static str {
    match role {
        Role::Viewer => "read everything and change nothing",
        Role::Editor => "draft, approve and send replies",
        Role::Admin => "draft, approve and send replies, connect accounts, invite people and change settings",
    }
}

impl TeamPage {
    async fn load(person: Person, after: Option<place::Place>, outcome: Outcome) -> Result<Self, sqlx::Error> {
        let mut conn = person.app.db.acquire().await?;
        let mut rows = members::list(&mut conn, person.team_id, after, ROWS as i64 + 1).await?;
        let more = rows.len() > ROWS;
        rows.truncate(ROWS);
        let may_manage = person.may_connect();
        let open = if may_manage { invited::open(&mut conn, person.team_id).await? } else { Vec::new() };
        let team = teams::load(&mut conn, person.team_id).await?;
        // An owner whose account is gone is among nobody's members.
        let owner_id = team.map(|team| team.owner_user_id);
        let orphaned = match owner_id {
            Some(owner_id) => members::load(&mut conn, person.team_id, owner_id).await?.is_none(),
            None => false,
        };
        let heirs = rows.iter().filter(|row| !row.is_owner).map(|row| (row.user_id, row.name.clone())).collect();
        let anybody_founds = person.app.config.signup == SignUp::Open;
        Ok(Self {
            frame: person.frame(&mut conn).await?,
            more: rows.last().filter(|_| more).map(|row| place::written((row.joined_at, row.user_id))),
            is_later: after.is_some(),
            members: rows.into_iter().map(|row| MemberLine::of(row, person.user_id)).collect(),
            invitations: open.into_iter().map(InvitationLine::of).collect(),
            form: outcome.form.unwrap_or_default(),
            issued: outcome.issued,
            done: None,
            refused: outcome.refused,
            may_manage,
            may_hand_over: may_manage && (orphaned || owner_id == Some(person.user_id)),
            heirs,
            may_found: may_manage || anybody_founds,
        })
    }

    pub fn section(&self) -> Section {
        Section::Team
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::team::pages()
    }
}

impl MemberLine {
    fn of(row: Member, me: Uuid) -> Self {
        let Member { user_id, name, email, role, is_owner, joined_at } = row;
        Self { user_id, name, email, role, is_owner, is_me: user_id == me, joined_at }
    }

    /// "A" for "Ada": stands in for a picture.
    pub fn initial(&self) -> String {
        self.name.chars().next().map(|c| c.to_uppercase().collect()).unwrap_or_default()
    }
}

impl InvitationLine {
    fn of(row: Invitation) -> Self {
        let Invitation { id, email, role, invited_by_name, expires_at, .. } = row;
        Self { id, email, role, invited_by: invited_by_name, expires_at }
    }

    pub fn is_late(&self, now: &OffsetDateTime) -> bool {
        self.expires_at <= *now
    }
}

impl Default for InviteForm {
    fn default() -> Self {
        Self { email: String::new(), role: Role::Editor, error: None }
    }
}
