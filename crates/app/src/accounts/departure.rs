//! A person whose account ends: they leave every team, every way in is closed (sessions, second steps, tokens, links, what they
//! confirmed codes with, the invitations they sent), and what is known of them is blanked.
//!
//! The row stays, so that what they did stands in the log under nobody's name, and so that the account never comes back by a late
//! message. A team outlives its people: its rows, accounts and drafts stay. The owner's place goes to the admin who came first;
//! nobody is made an admin by somebody else's leaving, so a team whose last admin left waits for the operator, which the log
//! of the team and of the server say.

use super::{api_tokens, invitations, password_resets, second_factor, second_steps, sessions, teams};
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

const NOBODY: &str = "Deleted person";

/// Ends the account on the caller's transaction, which holds its row.
pub(super) async fn depart(conn: &mut PgConnection, moment: &Moment, user_id: Uuid) -> sqlx::Result<()> {
    close_ways_in(conn, moment, user_id).await?;
    // In one order for all, so that two who leave the same teams wait for each other and no more.
    let teams = sqlx::query_scalar!(
        r#"select team_id as "team_id!" from team_members where user_id = $1
        union
        select team_id from api_tokens where created_by = $1 and revoked_at is null
        union
        select team_id from invitations where invited_by = $1 and accepted_at is null and withdrawn_at is null
        order by 1"#,
        user_id
    )
    .fetch_all(&mut *conn)
    .await?;
    for team_id in teams {
        leave(conn, moment, team_id, user_id).await?;
    }
    sqlx::query!(
        "update users set name = $2, email = null, verified_email = null, email_verified_at = null, password_hash = null,
            deleted_at = $3, updated_at = $3
        where id = $1",
        user_id,
        NOBODY,
        moment.now
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn close_ways_in(conn: &mut PgConnection, moment: &Moment, user_id: Uuid) -> sqlx::Result<()> {
    sessions::delete_all_of(conn, user_id).await?;
    second_steps::delete_all_of(conn, user_id).await?;
    password_resets::forget_all_of(conn, user_id).await?;
    second_factor::remove(conn, moment, user_id, None).await?;
    sqlx::query!("update setup_links set used_at = $2 where user_id = $1 and used_at is null", user_id, moment.now)
        .execute(conn)
        .await?;
    Ok(())
}

async fn leave(conn: &mut PgConnection, moment: &Moment, team_id: Uuid, user_id: Uuid) -> sqlx::Result<()> {
    let owned = teams::lock(conn, team_id).await?.owner_user_id == user_id;
    invitations::withdraw_all_of(conn, moment, team_id, user_id, None).await?;
    api_tokens::revoke_all_of(conn, moment, team_id, user_id, None).await?;
    let role = sqlx::query_scalar!(
        "delete from team_members where team_id = $1 and user_id = $2 returning role",
        team_id,
        user_id
    )
    .fetch_optional(&mut *conn)
    .await?;
    // Somebody else ended the membership meanwhile.
    let Some(role) = role else { return Ok(()) };
    let first_admin = sqlx::query_scalar!(
        "select user_id from team_members where team_id = $1 and role = 'admin' and accepted_at is not null
        order by accepted_at, user_id limit 1",
        team_id
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(next) = first_admin.filter(|_| owned) {
        teams::set_owner(conn, team_id, next).await?;
    }
    if first_admin.is_none() {
        tracing::warn!(%team_id, "the last admin of a team is gone; make somebody an admin: rejoinder users");
    }
    let payload = json!({
        "before": { "role": role, "owner": owned },
        "owner_user_id": first_admin.filter(|_| owned),
        "without_admin": first_admin.is_none(),
    });
    activity::record(conn, moment, team_id, None, Kind::PersonDeleted, Subject::Member(user_id), payload).await
}
