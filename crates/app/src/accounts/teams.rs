//! Teams. Whoever changes who may do what in a team holds its row (`lock`), so that two such changes never cross; work that only
//! refers to the team goes on meanwhile. Who belongs to a team: `members`. A membership counts from `accepted_at` on.

use super::team_settings;
use super::users::{self, InvalidName};
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::model::Role;
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub team_id: Uuid,
    pub team_name: String,
    pub owner_user_id: Uuid,
    pub created_at: OffsetDateTime,
    pub role: Role,
}

/// Teams that one person may own.
pub const MAX_OWNED: i64 = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    pub id: Uuid,
    pub name: String,
    pub owner_user_id: Uuid,
    pub created_at: OffsetDateTime,
}

#[derive(Debug, thiserror::Error)]
pub enum TeamError {
    #[error("name: {0}")]
    Name(#[from] InvalidName),
    /// The person owns as many as one may.
    #[error("You own {MAX_OWNED} teams already, which is the most. Hand one over to somebody else first.")]
    Full,
    /// A server that takes people by invitation.
    #[error("On this server only an admin of a team may make another. Ask one, or the operator.")]
    AdminsOnly,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
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
        "select t.id as team_id, t.name as team_name, t.owner_user_id, t.created_at, m.role
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

pub async fn load(conn: &mut PgConnection, team_id: Uuid) -> sqlx::Result<Option<Team>> {
    sqlx::query_as!(Team, "select id, name, owner_user_id, created_at from teams where id = $1", team_id)
        .fetch_optional(conn)
        .await
}

/// Holds the team's row until the transaction ends. Rows that refer to the team are written all the same.
pub async fn lock(conn: &mut PgConnection, team_id: Uuid) -> sqlx::Result<Team> {
    sqlx::query_as!(
        Team,
        "select id, name, owner_user_id, created_at from teams where id = $1 for no key update",
        team_id
    )
    .fetch_one(conn)
    .await
}

/// One more team for somebody who has an account. `anybody`: also for a person who is nowhere an admin.
pub async fn found(
    conn: &mut PgConnection,
    moment: &Moment,
    owner: Uuid,
    name: &str,
    anybody: bool,
) -> Result<Team, TeamError> {
    let name = users::normal_name(name)?;
    // Keeps the person from making many at once.
    sqlx::query!("select id from users where id = $1 for no key update", owner).fetch_one(&mut *conn).await?;
    let has = sqlx::query!(
        r#"select (select count(*) from teams where owner_user_id = $1) as "owned!",
            exists (select from team_members where user_id = $1 and role = 'admin' and accepted_at is not null) as "admin!""#,
        owner
    )
    .fetch_one(&mut *conn)
    .await?;
    if !anybody && !has.admin {
        return Err(TeamError::AdminsOnly);
    }
    if has.owned >= MAX_OWNED {
        return Err(TeamError::Full);
    }
    let id = moment.id();
    let team = NewTeam { id, member_id: moment.id(), owner_user_id: owner, name: &name };
    create(conn, team, moment.now).await?;
    record_created(conn, moment, id, owner, &name).await?;
    Ok(Team { id, name, owner_user_id: owner, created_at: moment.now })
}

pub(super) async fn record_created(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    name: &str,
) -> sqlx::Result<()> {
    let payload = json!({ "after": { "name": name } });
    activity::record(conn, moment, team_id, Some(by), Kind::TeamCreated, Subject::Team(team_id), payload).await
}

pub async fn rename(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    name: &str,
) -> Result<Team, TeamError> {
    let name = users::normal_name(name)?;
    let before = lock(conn, team_id).await?;
    if before.name == name {
        return Ok(before);
    }
    sqlx::query!("update teams set name = $2 where id = $1", team_id, name).execute(&mut *conn).await?;
    let payload = json!({ "before": { "name": before.name }, "after": { "name": name } });
    activity::record(conn, moment, team_id, Some(by), Kind::TeamRenamed, Subject::Team(team_id), payload).await?;
    Ok(Team { name, ..before })
}

/// Writes the new owner; `members::transfer` decides. The caller holds the row.
pub(super) async fn set_owner(conn: &mut PgConnection, team_id: Uuid, user_id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update teams set owner_user_id = $2 where id = $1", team_id, user_id).execute(conn).await?;
    Ok(())
}
