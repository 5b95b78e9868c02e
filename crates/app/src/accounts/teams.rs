//! Teams and who belongs to them. A membership counts from `accepted_at` on.

use super::team_settings;
use crate::model::Role;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub team_id: Uuid,
    pub team_name: String,
    pub role: Role,
}

pub struct NewTeam<'a> {
    pub id: Uuid,
    pub member_id: Uuid,
    pub owner_user_id: Uuid,
    /// As `users::normal_name` gives it.
    pub name: &'a str,
}

/// Makes a team with its owner as the first admin, and its settings.
pub async fn create(conn: &mut PgConnection, team: NewTeam<'_>, now: OffsetDateTime) -> sqlx::Result<()> {
    sqlx::query!(
        "with team as (
            insert into teams (id, owner_user_id, name, created_at) values ($1, $2, $3, $4)
            returning id, owner_user_id
        )
        insert into team_members (id, team_id, user_id, role, accepted_at)
        select $5, team.id, team.owner_user_id, 'admin', $4
        from team",
        team.id,
        team.owner_user_id,
        team.name,
        now,
        team.member_id
    )
    .execute(&mut *conn)
    .await?;
    team_settings::create(conn, team.id, now).await
}

/// The teams of a person, oldest team first.
pub async fn memberships(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Vec<Membership>> {
    sqlx::query_as!(
        Membership,
        "select t.id as team_id, t.name as team_name, m.role
        from team_members m
        join teams t on t.id = m.team_id
        where m.user_id = $1 and m.accepted_at is not null
        order by t.created_at, t.id",
        user_id
    )
    .fetch_all(conn)
    .await
}

/// None: not a member, or the invitation is not accepted yet.
pub async fn role_of(conn: &mut PgConnection, team_id: Uuid, user_id: Uuid) -> sqlx::Result<Option<Role>> {
    let role = sqlx::query_scalar!(
        "select role from team_members where team_id = $1 and user_id = $2 and accepted_at is not null",
        team_id,
        user_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(role.map(Role::from))
}
