//! The people of a team and what each may do there: the roles, ownership, leaving.
//!
//! A team always has an admin, and its owner is one. Every change holds the team's row and looks there again whether who acts
//! may still do it: of two admins who take the role from each other at once, one is told that it is too late. Removing a
//! person ends the membership, the tokens they made for the team and the invitations they sent, for good: coming back revives none.
//! What they did stays in the log under their name.

use super::teams::{self, Team};
use super::{api_tokens, invitations};
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::model::Role;
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub user_id: Uuid,
    pub name: String,
    pub email: Option<String>,
    pub role: Role,
    pub is_owner: bool,
    pub joined_at: OffsetDateTime,
}

#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    #[error("there is no such member")]
    NotFound,
    /// The owner keeps the role and the place until somebody else is the owner.
    #[error("This person owns the team. Hand the ownership to another member first.")]
    IsOwner,
    #[error("This is the last admin of the team. Make somebody else an admin first.")]
    LastAdmin,
    /// Somebody was quicker and took the role that this needs.
    #[error("Your own role in this team was changed meanwhile, so nothing was done. Load the page again.")]
    ActorChanged,
    #[error("Only the owner of the team can hand it over. You are not the owner.")]
    NotOwner,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// In the order in which they came, from after `(joined_at, user_id)`; at most `limit`.
pub async fn list(
    conn: &mut PgConnection,
    team_id: Uuid,
    after: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> sqlx::Result<Vec<Member>> {
    let (after_at, after_id) = after.unzip();
    sqlx::query_as!(
        Member,
        r#"select m.user_id, u.name, u.email, m.role, m.user_id = t.owner_user_id as "is_owner!", m.accepted_at as "joined_at!"
        from team_members m
        join users u on u.id = m.user_id
        join teams t on t.id = m.team_id
        where m.team_id = $1 and m.accepted_at is not null
            and ($2::timestamptz is null or (m.accepted_at, m.user_id) > ($2, $3))
        order by m.accepted_at, m.user_id
        limit $4"#,
        team_id,
        after_at,
        after_id,
        limit
    )
    .fetch_all(conn)
    .await
}

pub async fn load(conn: &mut PgConnection, team_id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Member>> {
    sqlx::query_as!(
        Member,
        r#"select m.user_id, u.name, u.email, m.role, m.user_id = t.owner_user_id as "is_owner!", m.accepted_at as "joined_at!"
        from team_members m
        join users u on u.id = m.user_id
        join teams t on t.id = m.team_id
        where m.team_id = $1 and m.user_id = $2 and m.accepted_at is not null"#,
        team_id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

/// Whether somebody of the team is known by this address, in its normal form.
pub(super) async fn has_email(conn: &mut PgConnection, team_id: Uuid, email: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
            select from team_members m
            join users u on u.id = m.user_id
            where m.team_id = $1 and u.email = $2 and m.accepted_at is not null
        ) as "has!""#,
        team_id,
        email
    )
    .fetch_one(conn)
    .await
}

/// Refuses who is no longer an admin. The caller holds the team's row.
pub(super) async fn still_admin(conn: &mut PgConnection, team_id: Uuid, user_id: Uuid) -> Result<(), MemberError> {
    match teams::role_of(conn, team_id, user_id).await? {
        Some(Role::Admin) => Ok(()),
        _ => Err(MemberError::ActorChanged),
    }
}

/// Adds a person to the team whose row the caller holds. False: already in it.
pub(super) async fn join(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    user_id: Uuid,
    role: Role,
    invited_at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "insert into team_members (id, team_id, user_id, role, invited_at, accepted_at) values ($1, $2, $3, $4, $5, $6)
        on conflict on constraint team_members_once do nothing",
        moment.id(),
        team_id,
        user_id,
        role.as_str(),
        invited_at,
        moment.now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a member another role. The same role again changes nothing.
pub async fn change_role(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    user_id: Uuid,
    role: Role,
) -> Result<Member, MemberError> {
    teams::lock(conn, team_id).await?;
    still_admin(conn, team_id, by).await?;
    let member = load(conn, team_id, user_id).await?.ok_or(MemberError::NotFound)?;
    if member.role == role {
        return Ok(member);
    }
    if member.is_owner {
        return Err(MemberError::IsOwner);
    }
    if member.role == Role::Admin {
        keeps_an_admin(conn, team_id, user_id).await?;
    }
    set_role(conn, moment, team_id, by, &member, role).await?;
    if member.role == Role::Admin {
        invitations::withdraw_all_of(conn, moment, team_id, user_id, Some(by)).await?;
    }
    Ok(Member { role, ..member })
}

async fn set_role(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    member: &Member,
    role: Role,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update team_members set role = $3 where team_id = $1 and user_id = $2",
        team_id,
        member.user_id,
        role.as_str()
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({ "before": { "role": member.role }, "after": { "role": role } });
    let whom = Subject::Member(member.user_id);
    activity::record(conn, moment, team_id, Some(by), Kind::MemberRoleChanged, whom, payload).await
}

/// The team has another admin than this person. The caller holds the team's row.
async fn keeps_an_admin(conn: &mut PgConnection, team_id: Uuid, without: Uuid) -> Result<(), MemberError> {
    let other = sqlx::query_scalar!(
        r#"select exists (
            select from team_members
            where team_id = $1 and user_id <> $2 and role = 'admin' and accepted_at is not null
        ) as "other!""#,
        team_id,
        without
    )
    .fetch_one(conn)
    .await?;
    if other { Ok(()) } else { Err(MemberError::LastAdmin) }
}

/// Ends a membership: an admin anybody's, everybody their own.
pub async fn remove(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    user_id: Uuid,
) -> Result<(), MemberError> {
    teams::lock(conn, team_id).await?;
    let leaves = by == user_id;
    if !leaves {
        still_admin(conn, team_id, by).await?;
    }
    let member = load(conn, team_id, user_id).await?.ok_or(MemberError::NotFound)?;
    if member.is_owner {
        return Err(MemberError::IsOwner);
    }
    if member.role == Role::Admin {
        keeps_an_admin(conn, team_id, user_id).await?;
    }
    sqlx::query!("delete from team_members where team_id = $1 and user_id = $2", team_id, user_id)
        .execute(&mut *conn)
        .await?;
    invitations::withdraw_all_of(conn, moment, team_id, user_id, Some(by)).await?;
    api_tokens::revoke_all_of(conn, moment, team_id, user_id, Some(by)).await?;
    let kind = if leaves { Kind::MemberLeft } else { Kind::MemberRemoved };
    let payload = json!({ "before": { "role": member.role } });
    activity::record(conn, moment, team_id, Some(by), kind, Subject::Member(user_id), payload).await?;
    Ok(())
}

/// Hands the team to another member, who becomes an admin where they are none. The one who was the owner stays an admin. Where the
/// owner's account is gone, any admin can.
pub async fn transfer(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    to: Uuid,
) -> Result<Team, MemberError> {
    let team = teams::lock(conn, team_id).await?;
    if team.owner_user_id != by {
        if load(conn, team_id, team.owner_user_id).await?.is_some() {
            return Err(MemberError::NotOwner);
        }
        still_admin(conn, team_id, by).await?;
    }
    let member = load(conn, team_id, to).await?.ok_or(MemberError::NotFound)?;
    if to == team.owner_user_id {
        return Ok(team);
    }
    if member.role != Role::Admin {
        set_role(conn, moment, team_id, by, &member, Role::Admin).await?;
    }
    teams::set_owner(conn, team_id, to).await?;
    let payload = json!({ "before": { "owner_user_id": team.owner_user_id }, "after": { "owner_user_id": to } });
    activity::record(conn, moment, team_id, Some(by), Kind::TeamOwnerChanged, Subject::Member(to), payload).await?;
    Ok(Team { owner_user_id: to, ..team })
}
