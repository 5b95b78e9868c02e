//! What the operator of the installation may do about people, from the command line and nowhere else: find them, let them in again,
//! put them out, make an admin. No actor stands in the log for it: the command line is no member of a team.

use super::password_resets::{self, AskedBy};
use super::users::{self, CreateError, NewUser, User};
use super::{second_factor, second_steps, security, sessions};
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::model::Role;
use secrecy::SecretString;
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// One person of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    pub id: Uuid,
    pub email: Option<String>,
    pub name: String,
    pub created_at: OffsetDateTime,
    pub has_password: bool,
    pub by_clerk: bool,
    pub second_factor: bool,
    pub sessions: i64,
    pub last_seen_at: Option<OffsetDateTime>,
    /// "admin of Brassfinch".
    pub teams: Vec<String>,
}

/// A team that a person can be made admin of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamRow {
    pub id: Uuid,
    pub name: String,
    /// The role of the person asked about, if any.
    pub role: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error("Clerk signs this person in; set the password there")]
    ByClerk,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Everybody, the oldest account first.
pub async fn people(conn: &mut PgConnection, now: OffsetDateTime) -> sqlx::Result<Vec<PersonRow>> {
    sqlx::query_as!(
        PersonRow,
        r#"select u.id, u.email, u.name, u.created_at,
            u.password_hash is not null as "has_password!",
            u.clerk_id is not null as "by_clerk!",
            exists (select from totp_secrets t where t.user_id = u.id and t.confirmed_at is not null) as "second_factor!",
            (select count(*) from sessions s where s.user_id = u.id and s.expires_at > $1) as "sessions!",
            (select max(s.last_seen_at) from sessions s where s.user_id = u.id) as last_seen_at,
            array(
                select m.role || ' of ' || t.name
                from team_members m
                join teams t on t.id = m.team_id
                where m.user_id = u.id and m.accepted_at is not null
                order by t.created_at, t.id
            ) as "teams!"
        from users u
        order by u.created_at, u.id"#,
        now
    )
    .fetch_all(conn)
    .await
}

/// An account without a password: its owner sets one by the link that comes out.
pub async fn create(
    conn: &mut PgConnection,
    moment: &Moment,
    email: &str,
    name: &str,
) -> Result<(User, SecretString), OperatorError> {
    let user = NewUser { id: moment.id(), email: Some(email), name, password_hash: None };
    let user = users::create(conn, user, moment.now).await?;
    users::mark_verified(conn, user.id, moment.now).await?;
    let token = password_resets::make(conn, moment, user.id, AskedBy::Operator).await?;
    Ok((user, token))
}

/// The token of a link that sets a new password. The password of now works until then.
pub async fn reset_password(
    conn: &mut PgConnection,
    moment: &Moment,
    user_id: Uuid,
) -> Result<SecretString, OperatorError> {
    if users::door(conn, user_id).await?.is_some_and(|door| door.by_clerk) {
        return Err(OperatorError::ByClerk);
    }
    security::record(conn, moment, user_id, None, Kind::AccountResetLinkMade, json!({})).await?;
    Ok(password_resets::make(conn, moment, user_id, AskedBy::Operator).await?)
}

/// Takes the second factor away. False: there was none.
pub async fn reset_totp(conn: &mut PgConnection, moment: &Moment, user_id: Uuid) -> sqlx::Result<bool> {
    users::hold(conn, user_id).await?;
    second_steps::delete_all_of(conn, user_id).await?;
    second_factor::remove(conn, moment, user_id, None).await
}

/// Ends all sessions of a person. Says how many.
pub async fn sign_out(conn: &mut PgConnection, moment: &Moment, user_id: Uuid) -> sqlx::Result<u64> {
    users::hold(conn, user_id).await?;
    second_steps::delete_all_of(conn, user_id).await?;
    let ended = sessions::delete_all_of(conn, user_id).await?;
    if ended > 0 {
        let payload = json!({ "sessions_ended": ended });
        security::record(conn, moment, user_id, None, Kind::AccountSessionsEnded, payload).await?;
    }
    Ok(ended)
}

/// All teams, with the role of a person in each.
pub async fn teams(conn: &mut PgConnection, user_id: Uuid) -> sqlx::Result<Vec<TeamRow>> {
    sqlx::query_as!(
        TeamRow,
        r#"select t.id, t.name, m.role as "role?"
        from teams t
        left join team_members m on m.team_id = t.id and m.user_id = $1 and m.accepted_at is not null
        order by t.created_at, t.id"#,
        user_id
    )
    .fetch_all(conn)
    .await
}

/// Makes a person an admin of a team, as a new member if need be. False: the person is one.
pub async fn make_admin(conn: &mut PgConnection, moment: &Moment, user_id: Uuid, team_id: Uuid) -> sqlx::Result<bool> {
    let before = super::teams::role_of(conn, team_id, user_id).await?;
    if before == Some(Role::Admin) {
        return Ok(false);
    }
    sqlx::query!(
        "insert into team_members (id, team_id, user_id, role, accepted_at) values ($1, $2, $3, 'admin', $4)
        on conflict (team_id, user_id) do update set role = 'admin', accepted_at = coalesce(team_members.accepted_at, $4)",
        moment.id(),
        team_id,
        user_id,
        moment.now
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({ "before": { "role": before.map(Role::as_str) }, "after": { "role": "admin" } });
    activity::record(conn, moment, team_id, None, Kind::MemberMadeAdmin, Subject::Member(user_id), payload).await?;
    Ok(true)
}
