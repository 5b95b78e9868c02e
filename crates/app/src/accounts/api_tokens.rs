//! API tokens: a person lets a program act in one team. The only writer of `api_tokens`.
//!
//! A token is `rjn_`, 32 random bytes and a checksum, shown once; the database keeps its SHA-256. It is worth the lesser of its own
//! role and its maker's role at the time of each request, and nothing once the maker left the team, also when they come back: leaving revokes it, and a token older than
//! the membership of its maker does not count. Use is written down at most
//! once a minute, so a request is a read.

use super::{token_hash, users};
use crate::clock::{Entropy, Moment};
use crate::flow::activity::{self, Kind, Subject};
use crate::model::Role;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub const PREFIX: &str = "rjn_";
const RANDOM_BYTES: usize = 32;
/// Of the SHA-256 of what stands before it, as 6 signs.
const CHECKSUM_BYTES: usize = 4;
const CHECKSUM_SIGNS: usize = 6;
const TOUCH_EVERY: Duration = Duration::minutes(1);
/// Live ones of a team: what is beyond anybody's need is a program run wild.
const MOST_PER_TEAM: i64 = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub id: Uuid,
    pub team_id: Uuid,
    pub created_by: Uuid,
    pub created_by_name: String,
    pub name: String,
    pub role: Role,
    maker: Option<String>,
    pub last_signs: String,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub last_used_at: Option<OffsetDateTime>,
}

impl ApiToken {
    /// What it counts for now; None: its maker is in the team no more.
    pub fn effective(&self) -> Option<Role> {
        self.maker.clone().map(|maker| Role::from(maker).min(self.role))
    }
}

/// Asked for by a person.
#[derive(Debug, Clone)]
pub struct NewToken<'a> {
    pub name: &'a str,
    pub role: Role,
    pub expires_at: Option<OffsetDateTime>,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error("{field}: {message}")]
    Field { field: &'static str, message: String },
    /// More than one's own role.
    #[error("A token can have at most your own role, {0}. Ask an admin of the team for more.")]
    AboveOwnRole(Role),
    #[error("The team has {MOST_PER_TEAM} tokens. Revoke those that nobody uses.")]
    TooMany,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A live token and who acts through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub id: Uuid,
    pub team_id: Uuid,
    pub user_id: Uuid,
    pub user_name: String,
    pub role: Role,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dead {
    Unknown,
    Revoked,
    Expired,
    /// Its maker is not in the team any more.
    MakerGone,
}

fn issue(entropy: &Entropy) -> SecretString {
    let start = format!("{PREFIX}{}", entropy.token(RANDOM_BYTES));
    let sum = checksum(&start);
    format!("{start}{sum}").into()
}

fn checksum(start: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(start.as_bytes())[..CHECKSUM_BYTES])
}

/// Whether we can have made it: what was mistyped or cut off needs no look into the database.
pub fn is_well_formed(token: &str) -> bool {
    let parts = token.len().checked_sub(CHECKSUM_SIGNS).and_then(|at| token.split_at_checked(at));
    parts.is_some_and(|(start, sum)| start.starts_with(PREFIX) && checksum(start) == sum)
}

/// Makes a token for `by`, whose role in the team is `own_role`. The only moment in which the token itself is known.
pub async fn create(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    (by, own_role): (Uuid, Role),
    new: NewToken<'_>,
) -> Result<(ApiToken, SecretString), CreateError> {
    let name = users::normal_name(new.name)
        .map_err(|error| CreateError::Field { field: "name", message: error.to_string() })?;
    if new.role > own_role {
        return Err(CreateError::AboveOwnRole(own_role));
    }
    if new.expires_at.is_some_and(|at| at <= moment.now) {
        return Err(CreateError::Field { field: "expires_at", message: "lies in the past".to_owned() });
    }
    if count_live(conn, team_id, moment.now).await? >= MOST_PER_TEAM {
        return Err(CreateError::TooMany);
    }
    let (id, token) = (moment.id(), issue(moment.entropy()));
    let text = token.expose_secret();
    let last_signs = &text[text.len() - 4..];
    sqlx::query!(
        "insert into api_tokens (id, team_id, created_by, name, role, token_hash, last_signs, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id,
        team_id,
        by,
        name,
        new.role.as_str(),
        &token_hash(text)[..],
        last_signs,
        moment.now,
        new.expires_at,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({ "after": { "name": name, "role": new.role, "last_signs": last_signs } });
    activity::record(conn, moment, team_id, Some(by), Kind::ApiTokenCreated, Subject::ApiToken(id), payload).await?;
    let made = load(conn, team_id, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok((made, token))
}

async fn count_live(conn: &mut PgConnection, team_id: Uuid, now: OffsetDateTime) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from api_tokens
           where team_id = $1 and revoked_at is null and (expires_at is null or expires_at > $2)"#,
        team_id,
        now,
    )
    .fetch_one(conn)
    .await
}

macro_rules! select_tokens {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            ApiToken,
            r#"select t.id, t.team_id, t.created_by, u.name as created_by_name, t.name, t.role, m.role as "maker?",
                      t.last_signs, t.created_at, t.expires_at, t.last_used_at
               from api_tokens t
               join users u on u.id = t.created_by
               left join team_members m on m.team_id = t.team_id and m.user_id = t.created_by and m.accepted_at <= t.created_at
               where t.team_id = $1 and t.revoked_at is null "# + $rest,
            $($args),*
        )
    };
}

async fn load(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> sqlx::Result<Option<ApiToken>> {
    select_tokens!("and t.id = $2", team_id, id).fetch_optional(conn).await
}

/// Those that were not revoked, the newest first, from before `(created_at, id)`; of one maker, or of the whole team.
pub async fn list(
    conn: &mut PgConnection,
    team_id: Uuid,
    made_by: Option<Uuid>,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> sqlx::Result<Vec<ApiToken>> {
    let (before_at, before_id) = before.unzip();
    select_tokens!(
        "and ($2::uuid is null or t.created_by = $2)
         and ($3::timestamptz is null or (t.created_at, t.id) < ($3, $4))
         order by t.created_at desc, t.id desc
         limit $5",
        team_id,
        made_by,
        before_at,
        before_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// From now on it opens nothing. False: it was revoked before.
pub async fn revoke(conn: &mut PgConnection, moment: &Moment, team_id: Uuid, id: Uuid, by: Uuid) -> sqlx::Result<bool> {
    let revoked = sqlx::query!(
        "update api_tokens set revoked_at = $3, revoked_by = $4
         where team_id = $1 and id = $2 and revoked_at is null
         returning name, last_signs",
        team_id,
        id,
        moment.now,
        by,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = revoked else { return Ok(false) };
    let payload = json!({ "before": { "name": row.name, "last_signs": row.last_signs } });
    activity::record(conn, moment, team_id, Some(by), Kind::ApiTokenRevoked, Subject::ApiToken(id), payload).await?;
    Ok(true)
}

/// Ends all tokens that a person made in a team whose row the caller holds. `by`: None where nobody of the team did it.
pub(super) async fn revoke_all_of(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    user_id: Uuid,
    by: Option<Uuid>,
) -> sqlx::Result<()> {
    let revoked = sqlx::query!(
        "update api_tokens set revoked_at = $3, revoked_by = $4
         where team_id = $1 and created_by = $2 and revoked_at is null
         returning id, name, last_signs",
        team_id,
        user_id,
        moment.now,
        by,
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in revoked {
        let payload = json!({ "before": { "name": row.name, "last_signs": row.last_signs } });
        activity::record(conn, moment, team_id, by, Kind::ApiTokenRevoked, Subject::ApiToken(row.id), payload).await?;
    }
    Ok(())
}

/// Who acts through the token of this `token_hash`. Notes the use.
pub async fn lookup(
    conn: &mut PgConnection,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> sqlx::Result<Result<Holder, Dead>> {
    let found = sqlx::query!(
        r#"select t.id, t.team_id, t.created_by, t.role, t.expires_at, t.revoked_at, t.last_used_at, u.name, m.role as "maker_role?"
           from api_tokens t
           join users u on u.id = t.created_by
           left join team_members m on m.team_id = t.team_id and m.user_id = t.created_by and m.accepted_at <= t.created_at
           where t.token_hash = $1"#,
        &hash[..],
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = found else { return Ok(Err(Dead::Unknown)) };
    if row.revoked_at.is_some() {
        return Ok(Err(Dead::Revoked));
    }
    if row.expires_at.is_some_and(|at| at <= now) {
        return Ok(Err(Dead::Expired));
    }
    if row.maker_role.is_none() {
        return Ok(Err(Dead::MakerGone));
    }
    if row.last_used_at.is_none_or(|at| now - at >= TOUCH_EVERY) {
        sqlx::query!(
            "update api_tokens set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at <= $3)",
            row.id,
            now,
            now - TOUCH_EVERY,
        )
        .execute(conn)
        .await?;
    }
    let role = Role::from(row.role);
    Ok(Ok(Holder { id: row.id, team_id: row.team_id, user_id: row.created_by, user_name: row.name, role }))
}

/// Whether it would still open something.
pub async fn is_live(conn: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
               select from api_tokens where id = $1 and revoked_at is null and (expires_at is null or expires_at > $2)
           ) as "live!""#,
        id,
        now,
    )
    .fetch_one(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_mistyped_or_cut_off_is_known_without_the_database() {
        let token = issue(&Entropy::seeded(1));
        let text = token.expose_secret();
        assert_eq!((text.len(), &text[..4]), (53, "rjn_"));
        assert!(is_well_formed(text));
        for at in 0..text.len() {
            let mut wrong = text.to_owned();
            wrong.replace_range(at..=at, if &text[at..=at] == "x" { "y" } else { "x" });
            assert!(!is_well_formed(&wrong), "{at}");
            assert!(!is_well_formed(&text[..at]), "{at}");
        }
        assert!(!is_well_formed("rjn_äöüäöü"));
    }
}
