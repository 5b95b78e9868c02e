//! The other side of an invitation: who holds the link looks at it and takes it.

use crate::accounts::members;
use crate::accounts::passwords::{self, HashError, Passwords, PolicyError};
use crate::accounts::sessions::{self, NewSession};
use crate::accounts::users::{self, CreateError, InvalidEmail, InvalidName, NewUser};
use crate::accounts::{teams, token_hash};
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::model::Role;
use secrecy::SecretString;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

/// What the bearer of a link may know: not the address that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    pub team_name: String,
    pub role: Role,
    pub invited_by_name: String,
    pub expires_at: OffsetDateTime,
}

/// What a person without an account fills in, as it came.
pub struct Account {
    pub email: String,
    pub name: String,
    pub password: SecretString,
}

#[derive(Debug)]
pub struct Joined {
    pub team_id: Uuid,
    pub team_name: String,
    pub role: Role,
}

#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error("This invitation is not known. Ask an admin of the team for a new link.")]
    Unknown,
    #[error("This invitation was used already. If it was you, sign in.")]
    Used,
    #[error("This invitation was taken back or replaced by a newer one. Ask an admin of the team for a new link.")]
    Withdrawn,
    #[error("This invitation is older than 7 days. Ask an admin of the team to renew it.")]
    Late,
    /// Does not say which address it is.
    #[error(
        "This invitation is for another e-mail address. Sign in with the account of the address that it was sent to, or ask an admin of the team to invite the address that you use here."
    )]
    OtherAddress,
    /// Whichever address it is for.
    #[error(
        "Nobody has checked yet that the e-mail address of your account is yours. Sign out, choose \"Forgot your password?\" and set a password by the link that comes by mail; where this server sends no mail, ask its operator for such a link. Then open the invitation again."
    )]
    Unverified,
    #[error("You are in this team already.")]
    AlreadyMember,
    #[error("This address has an account already. Sign in with it, then open the link again.")]
    HasAccount,
    #[error("email: {0}")]
    Email(#[from] InvalidEmail),
    #[error("name: {0}")]
    Name(#[from] InvalidName),
    #[error("password: {0}")]
    Password(#[from] PolicyError),
    #[error("too many passwords are being hashed at once")]
    Busy,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// An invitation that works now.
struct Standing {
    id: Uuid,
    team_id: Uuid,
    email: String,
    role: Role,
    created_at: OffsetDateTime,
}

/// What a link offers, or why it does not work.
pub async fn preview(conn: &mut PgConnection, token: &str, now: OffsetDateTime) -> Result<Preview, AcceptError> {
    let row = sqlx::query!(
        r#"select t.name as team_name, i.role, u.name as invited_by_name, i.expires_at,
            i.accepted_at is not null as "used!", i.withdrawn_at is not null as "withdrawn!"
        from invitations i
        join teams t on t.id = i.team_id
        join users u on u.id = i.invited_by
        where i.token_hash = $1"#,
        &token_hash(token)[..]
    )
    .fetch_optional(conn)
    .await?
    .ok_or(AcceptError::Unknown)?;
    judge(row.used, row.withdrawn, row.expires_at <= now)?;
    let (team_name, invited_by_name, expires_at) = (row.team_name, row.invited_by_name, row.expires_at);
    Ok(Preview { team_name, role: row.role.into(), invited_by_name, expires_at })
}

fn judge(used: bool, withdrawn: bool, late: bool) -> Result<(), AcceptError> {
    match (used, withdrawn, late) {
        (true, _, _) => Err(AcceptError::Used),
        (_, true, _) => Err(AcceptError::Withdrawn),
        (_, _, true) => Err(AcceptError::Late),
        _ => Ok(()),
    }
}

/// Looks without holding anything.
async fn look(conn: &mut PgConnection, token: &str, now: OffsetDateTime) -> Result<Standing, AcceptError> {
    let row = sqlx::query!(
        r#"select id, team_id, email, role, created_at, expires_at,
            accepted_at is not null as "used!", withdrawn_at is not null as "withdrawn!"
        from invitations where token_hash = $1"#,
        &token_hash(token)[..]
    )
    .fetch_optional(conn)
    .await?
    .ok_or(AcceptError::Unknown)?;
    judge(row.used, row.withdrawn, row.expires_at <= now)?;
    let role = row.role.into();
    Ok(Standing { id: row.id, team_id: row.team_id, email: row.email, role, created_at: row.created_at })
}

/// Holds the team and finds the invitation as it stands then: of two who come with one link, the second finds it used.
async fn take(
    conn: &mut PgConnection,
    token: &str,
    now: OffsetDateTime,
) -> Result<(Standing, teams::Team), AcceptError> {
    let seen = look(conn, token, now).await?;
    let team = teams::lock(conn, seen.team_id).await?;
    Ok((look(conn, token, now).await?, team))
}

/// Takes a signed-in person into the team.
pub async fn accept(
    conn: &mut PgConnection,
    moment: &Moment,
    token: &str,
    user_id: Uuid,
) -> Result<Joined, AcceptError> {
    let (invitation, team) = take(conn, token, moment.now).await?;
    match users::verified_email(conn, user_id).await? {
        Some(email) if email == invitation.email => {}
        Some(_) => return Err(AcceptError::OtherAddress),
        None if users::by_id(conn, user_id).await?.is_some_and(|user| user.email.is_some()) => {
            return Err(AcceptError::Unverified);
        }
        None => return Err(AcceptError::OtherAddress),
    }
    join(conn, moment, &invitation, team, user_id).await
}

async fn join(
    conn: &mut PgConnection,
    moment: &Moment,
    invitation: &Standing,
    team: teams::Team,
    user_id: Uuid,
) -> Result<Joined, AcceptError> {
    let Standing { id, team_id, role, created_at, .. } = *invitation;
    if !members::join(conn, moment, team_id, user_id, role, created_at).await? {
        return Err(AcceptError::AlreadyMember);
    }
    sqlx::query!(
        "update invitations set accepted_at = $3, accepted_by = $4 where id = $1 and team_id = $2",
        id,
        team_id,
        moment.now,
        user_id
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({ "invitation_id": id, "after": { "role": role } });
    let whom = Subject::Member(user_id);
    activity::record(conn, moment, team_id, Some(user_id), Kind::MemberJoined, whom, payload).await?;
    Ok(Joined { team_id, team_name: team.name, role })
}

/// Makes the account of the invited person, the membership and a session, and spends the link: all or nothing. The password is
/// hashed before the transaction starts, and only for the right address.
pub async fn accept_as_new(
    db: &PgPool,
    passwords: &Passwords,
    moment: &Moment,
    token: &str,
    account: Account,
) -> Result<(Joined, NewSession), AcceptError> {
    let email = users::normal_email(&account.email)?;
    let name = users::normal_name(&account.name)?;
    let mut conn = db.acquire().await?;
    if look(&mut conn, token, moment.now).await?.email != email {
        return Err(AcceptError::OtherAddress);
    }
    if users::by_email(&mut conn, &email).await?.is_some() {
        return Err(AcceptError::HasAccount);
    }
    drop(conn);
    passwords::check_policy(&account.password, &email)?;
    let hash = passwords.hash(account.password, moment.entropy()).await.map_err(|HashError::Busy| AcceptError::Busy)?;

    let mut tx = db.begin().await?;
    let (invitation, team) = take(&mut tx, token, moment.now).await?;
    let user_id = moment.id();
    let user = NewUser { id: user_id, email: Some(&email), name: &name, password_hash: Some(hash) };
    users::create(&mut tx, user, moment.now).await.map_err(|error| match error {
        CreateError::EmailTaken => AcceptError::HasAccount,
        CreateError::Database(error) => AcceptError::Database(error),
    })?;
    // The link came to this address, or an admin handed it to its owner.
    users::mark_verified(&mut tx, user_id, moment.now).await?;
    let joined = join(&mut tx, moment, &invitation, team, user_id).await?;
    let session = sessions::create(&mut tx, user_id, moment.now, moment.entropy()).await?;
    tx.commit().await?;
    Ok((joined, session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_the_most_helpful_reason_why_it_does_not_work() {
        assert!(judge(false, false, false).is_ok());
        assert!(matches!(judge(true, false, true), Err(AcceptError::Used)));
        assert!(matches!(judge(false, true, true), Err(AcceptError::Withdrawn)));
        assert!(matches!(judge(false, false, true), Err(AcceptError::Late)));
    }
}
