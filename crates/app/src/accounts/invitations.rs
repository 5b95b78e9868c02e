//! Invitations: an admin asks an address into the team; the link goes to that person and works once, for 7 days.
//!
//! The link's token is 32 random bytes, known to its bearer and stored as a hash. It opens the team only for whom it names: the
//! verified address of who accepts must be the invited one, so a link that went astray lets nobody in. Who has no account makes
//! one with it, in the same transaction as the membership. Asking the same address again replaces the open invitation, and a
//! renewed one has a new link: the older stops working. Ended ones are kept for a month, then upkeep removes them.

mod accept;
mod letter;

pub use accept::{AcceptError, Account, Joined, Preview, accept, accept_as_new, preview};

use super::mails::{self, PostError};
use super::members::{self, MemberError};
use super::teams::{self, Team};
use super::token_hash;
use super::users::{self, InvalidEmail};
use crate::app::App;
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::model::Role;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use url::Url;
use uuid::Uuid;

pub const LIFETIME: Duration = Duration::days(7);
/// Open ones of a team at once.
pub const MAX_OPEN: i64 = 100;
/// How long ended ones are kept, so that an old link still says what became of it.
const KEPT: Duration = Duration::days(30);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub id: Uuid,
    pub team_id: Uuid,
    pub email: String,
    pub role: Role,
    pub invited_by: Uuid,
    pub invited_by_name: String,
    pub created_at: OffsetDateTime,
    /// An open one that is older waits for being renewed or withdrawn.
    pub expires_at: OffsetDateTime,
}

/// An invitation with its link: the only moment in which the token is known.
#[derive(Debug)]
pub struct Issued {
    pub invitation: Invitation,
    pub token: SecretString,
    /// Whether a mail with the link is on its way.
    pub mailed: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    #[error("email: {0}")]
    Email(#[from] InvalidEmail),
    #[error("Somebody with this address is in the team already. To change what they may do, change their role.")]
    AlreadyMember,
    #[error("The team has {MAX_OPEN} open invitations, which is the most. Withdraw some first.")]
    Full,
    #[error("there is no such invitation")]
    NotFound,
    #[error("This invitation was accepted already. The person is among the members now.")]
    Accepted,
    #[error("Your own role in this team was changed meanwhile, so nothing was done. Load the page again.")]
    ActorChanged,
    /// The mail with the link could not be put on its way; nothing was done.
    #[error(transparent)]
    Mail(#[from] PostError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<MemberError> for InviteError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Database(error) => Self::Database(error),
            _ => Self::ActorChanged,
        }
    }
}

/// Where the link leads.
pub fn link(public_url: &Url, token: &str) -> Url {
    let mut url = public_url.clone();
    url.set_path("/invite");
    url.query_pairs_mut().append_pair("token", token);
    url
}

/// The open ones of a team by address, those past their time too.
pub async fn open(conn: &mut PgConnection, team_id: Uuid) -> sqlx::Result<Vec<Invitation>> {
    sqlx::query_as!(
        Invitation,
        "select i.id, i.team_id, i.email, i.role, i.invited_by, u.name as invited_by_name, i.created_at, i.expires_at
        from invitations i
        join users u on u.id = i.invited_by
        where i.team_id = $1 and i.accepted_at is null and i.withdrawn_at is null
        order by i.email",
        team_id
    )
    .fetch_all(conn)
    .await
}

/// Invites an address, in place of an open invitation to it. The caller's transaction ends with the link in the hands of `by`.
pub async fn create(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    email: &str,
    role: Role,
) -> Result<Issued, InviteError> {
    let email = users::normal_email(email)?;
    let team = teams::lock(conn, team_id).await?;
    members::still_admin(conn, team_id, by).await?;
    if members::has_email(conn, team_id, &email).await? {
        return Err(InviteError::AlreadyMember);
    }
    let replaced = sqlx::query_scalar!(
        "update invitations set withdrawn_at = $3
        where team_id = $1 and email = $2 and accepted_at is null and withdrawn_at is null
        returning id",
        team_id,
        email,
        moment.now
    )
    .fetch_optional(&mut *conn)
    .await?;
    if open_count(conn, team_id).await? >= MAX_OPEN {
        return Err(InviteError::Full);
    }
    let (id, token) = (moment.id(), moment.entropy().token(32));
    sqlx::query!(
        "insert into invitations (id, team_id, email, role, token_hash, invited_by, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)",
        id,
        team_id,
        email,
        role.as_str(),
        &token_hash(&token)[..],
        by,
        moment.now,
        moment.now + LIFETIME
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({ "after": { "address": masked(&email), "role": role }, "replaced": replaced });
    let subject = Subject::Invitation(id);
    activity::record(conn, moment, team_id, Some(by), Kind::InvitationCreated, subject, payload).await?;
    created(app, conn, moment, &team, id, token).await
}

async fn open_count(conn: &mut PgConnection, team_id: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "n!" from invitations where team_id = $1 and accepted_at is null and withdrawn_at is null"#,
        team_id
    )
    .fetch_one(conn)
    .await
}

/// Called in the transaction in which an invitation got its link, new or renewed. Where this server sends mail, the link goes to the
/// invited person; who invited has it in any case.
async fn created(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    team: &Team,
    id: Uuid,
    token: String,
) -> Result<Issued, InviteError> {
    let invitation = find(conn, team.id, id).await?.ok_or(InviteError::NotFound)?;
    let mailed = app.mail.is_some();
    if mailed {
        let link = link(&app.config.public_url, &token);
        mails::post(conn, app, moment, &letter::letter(&invitation, &team.name, &link)).await?;
    }
    Ok(Issued { invitation, token: SecretString::from(token), mailed })
}

async fn find(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> sqlx::Result<Option<Invitation>> {
    sqlx::query_as!(
        Invitation,
        "select i.id, i.team_id, i.email, i.role, i.invited_by, u.name as invited_by_name, i.created_at, i.expires_at
        from invitations i
        join users u on u.id = i.invited_by
        where i.id = $1 and i.team_id = $2",
        id,
        team_id
    )
    .fetch_optional(conn)
    .await
}

/// Holds an open invitation of the team: its address and role. The caller holds the team's row.
async fn take_open(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<(String, Role), InviteError> {
    let row = sqlx::query!(
        r#"select email, role, accepted_at is not null as "accepted!", withdrawn_at is not null as "withdrawn!"
        from invitations where id = $1 and team_id = $2 for no key update"#,
        id,
        team_id
    )
    .fetch_optional(conn)
    .await?
    .ok_or(InviteError::NotFound)?;
    match (row.accepted, row.withdrawn) {
        (true, _) => Err(InviteError::Accepted),
        (_, true) => Err(InviteError::NotFound),
        _ => Ok((row.email, row.role.into())),
    }
}

/// A new link and 7 more days; the link before stops working.
pub async fn renew(
    app: &App,
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    id: Uuid,
) -> Result<Issued, InviteError> {
    let team = teams::lock(conn, team_id).await?;
    members::still_admin(conn, team_id, by).await?;
    let (email, role) = take_open(conn, team_id, id).await?;
    let token = moment.entropy().token(32);
    sqlx::query!(
        "update invitations set token_hash = $3, expires_at = $4, invited_by = $5 where id = $1 and team_id = $2",
        id,
        team_id,
        &token_hash(&token)[..],
        moment.now + LIFETIME,
        by
    )
    .execute(&mut *conn)
    .await?;
    record(conn, moment, team_id, by, Kind::InvitationRenewed, id, described(&email, role)).await?;
    created(app, conn, moment, &team, id, token).await
}

/// Takes an open invitation back: its link stops working.
pub async fn withdraw(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    id: Uuid,
) -> Result<(), InviteError> {
    teams::lock(conn, team_id).await?;
    members::still_admin(conn, team_id, by).await?;
    let (email, role) = take_open(conn, team_id, id).await?;
    sqlx::query!("update invitations set withdrawn_at = $3 where id = $1 and team_id = $2", id, team_id, moment.now)
        .execute(&mut *conn)
        .await?;
    record(conn, moment, team_id, by, Kind::InvitationWithdrawn, id, described(&email, role)).await?;
    Ok(())
}

/// Takes back all open invitations that a person made in a team whose row the caller holds: they may not invite any more. `by`:
/// None where nobody of the team did it.
pub(super) async fn withdraw_all_of(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    user_id: Uuid,
    by: Option<Uuid>,
) -> sqlx::Result<()> {
    let withdrawn = sqlx::query!(
        "update invitations set withdrawn_at = $3
        where team_id = $1 and invited_by = $2 and accepted_at is null and withdrawn_at is null
        returning id, email, role",
        team_id,
        user_id,
        moment.now
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in withdrawn {
        let (subject, payload) = (Subject::Invitation(row.id), described(&row.email, row.role.into()));
        activity::record(conn, moment, team_id, by, Kind::InvitationWithdrawn, subject, payload).await?;
    }
    Ok(())
}

async fn record(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    kind: Kind,
    id: Uuid,
    payload: Value,
) -> sqlx::Result<()> {
    activity::record(conn, moment, team_id, Some(by), kind, Subject::Invitation(id), payload).await
}

fn described(email: &str, role: Role) -> Value {
    json!({ "address": masked(email), "role": role })
}

/// "a…@example.com": the log is read by everybody in the team and kept for long, the address itself is neither.
fn masked(email: &str) -> String {
    let (local, domain) = email.rsplit_once('@').unwrap_or((email, ""));
    format!("{}…@{domain}", local.chars().take(1).collect::<String>())
}

/// Removes at most `limit` that ended, or ran out, a month ago.
pub async fn delete_old(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from invitations
        where id in (
            select id from invitations where expires_at <= $1 order by expires_at limit $2 for update skip locked
        )",
        now - KEPT,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_names_no_whole_address() {
        assert_eq!(masked("ana.lima@example.com"), "a…@example.com");
        assert_eq!(masked("ä@example.com"), "ä…@example.com");
    }

    #[test]
    fn the_link_carries_the_token_in_its_query_alone() {
        let base = Url::parse("https://replies.example").unwrap();
        assert_eq!(link(&base, "a-_b").as_str(), "https://replies.example/invite?token=a-_b");
    }
}
