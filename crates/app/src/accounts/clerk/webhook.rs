//! What Clerk tells of its people: made, changed, deleted.
//!
//! Messages come late, more than once, in any order, or not at all. Each is carried out once, in one transaction with the note that
//! it was; what is older than what we know is not written, and after a deletion nothing is. A person whom we never saw gets a row
//! all the same, and so does one of whom we only hear the deletion: whatever comes later finds it.

use super::{dashboard, people};
use crate::accounts::{departure, users};
use crate::clock::Moment;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

const PLATFORM: &str = "clerk";
const LONGEST_ID: usize = 255;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// It was carried out before.
    Repeated,
    /// It tells nothing that we keep, or something older than what we know.
    Ignored,
}

#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Signed, but not of the shape that Clerk sends: where, and what is wrong there.
    #[error("{path}: {reason}")]
    Malformed { path: String, reason: String },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

#[derive(Deserialize)]
struct User {
    id: String,
    first_name: Option<String>,
    last_name: Option<String>,
    username: Option<String>,
    #[serde(default)]
    email_addresses: Vec<EmailAddress>,
    primary_email_address_id: Option<String>,
    /// Milliseconds since 1970.
    updated_at: i64,
}

#[derive(Deserialize)]
struct EmailAddress {
    id: String,
    email_address: String,
    verification: Option<Verification>,
}

#[derive(Deserialize)]
struct Verification {
    status: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// Carries out the message of that id, whose signature was seen to be good.
pub async fn receive(db: &PgPool, moment: &Moment, id: &str, body: &[u8]) -> Result<Outcome, EventError> {
    let event: Event = read("", serde_json::from_slice(body).map_err(|error| malformed("", &error.to_string()))?)?;
    let mut tx = db.begin().await?;
    if !first_time(&mut tx, moment, id).await? {
        return Ok(Outcome::Repeated);
    }
    let changed = match event.kind.as_str() {
        "user.created" | "user.updated" => changed(&mut tx, moment, read("data", event.data)?).await?,
        "user.deleted" => deleted(&mut tx, moment, read("data", event.data)?).await?,
        "session.ended" | "session.removed" | "session.revoked" => {
            let Named { id } = read("data", event.data)?;
            dashboard::end(&mut tx, moment, checked_id(&id)?).await?
        }
        _ => false,
    };
    tx.commit().await?;
    Ok(if changed { Outcome::Done } else { Outcome::Ignored })
}

fn read<T: DeserializeOwned>(around: &str, value: Value) -> Result<T, EventError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = [around, &path].into_iter().filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>();
        malformed(&path.join("."), &error.inner().to_string())
    })
}

fn malformed(path: &str, reason: &str) -> EventError {
    let path = if path.is_empty() { "body" } else { path };
    EventError::Malformed { path: path.to_owned(), reason: reason.to_owned() }
}

/// Notes the message. One that comes twice at once waits here for the other.
async fn first_time(conn: &mut PgConnection, moment: &Moment, id: &str) -> sqlx::Result<bool> {
    let noted = sqlx::query!(
        "insert into webhook_seen (platform, key, received_at) values ($1, $2, $3)
        on conflict on constraint webhook_seen_pkey do nothing",
        PLATFORM,
        id,
        moment.now
    )
    .execute(conn)
    .await?;
    Ok(noted.rows_affected() == 1)
}

fn checked_id(id: &str) -> Result<&str, EventError> {
    let sane = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if sane { Ok(id) } else { Err(malformed("data.id", "is no id: 1 to 255 visible ASCII characters")) }
}

async fn changed(conn: &mut PgConnection, moment: &Moment, user: User) -> Result<bool, EventError> {
    let id = checked_id(&user.id)?;
    let updated_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(user.updated_at) * 1_000_000)
        .map_err(|_| malformed("data.updated_at", "is no time in milliseconds since 1970"))?;
    people::make(conn, moment, id).await?;
    // The address counts for signing in here only where nobody else has it; accounts are not joined by it.
    let done = sqlx::query!(
        "update users set
            name = coalesce($2, name),
            verified_email = $3,
            email_verified_at = case
                when $3::text is null then null
                when verified_email = $3 then email_verified_at
                else $5
            end,
            email = case when exists (select from users other where other.email = $3 and other.clerk_id is distinct from $1) then null else $3 end,
            clerk_updated_at = $4,
            updated_at = $5
        where clerk_id = $1 and deleted_at is null and (clerk_updated_at is null or clerk_updated_at <= $4)",
        id,
        name(&user),
        verified_email(&user),
        updated_at,
        moment.now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn deleted(conn: &mut PgConnection, moment: &Moment, user: Named) -> Result<bool, EventError> {
    let id = checked_id(&user.id)?;
    people::make(conn, moment, id).await?;
    let row = sqlx::query!(
        r#"select id, deleted_at is not null as "deleted!" from users where clerk_id = $1 for no key update"#,
        id
    )
    .fetch_one(&mut *conn)
    .await?;
    if row.deleted {
        return Ok(false);
    }
    departure::depart(conn, moment, row.id).await?;
    Ok(true)
}

/// What people call them: the whole name, else the user name. None: nothing that could be shown.
fn name(user: &User) -> Option<String> {
    let whole = [&user.first_name, &user.last_name].into_iter().flatten().map(|part| part.trim()).collect::<Vec<_>>();
    let texts = [Some(whole.join(" ")), user.username.clone()];
    texts.into_iter().flatten().find_map(|text| {
        let short: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
        users::normal_name(&short).ok()
    })
}

/// The primary address, if Clerk saw that it is theirs.
fn verified_email(user: &User) -> Option<String> {
    let primary = user.primary_email_address_id.as_deref()?;
    let address = user.email_addresses.iter().find(|address| address.id == primary)?;
    let verified = address.verification.as_ref().and_then(|seen| seen.status.as_deref()) == Some("verified");
    users::normal_email(&address.email_address).ok().filter(|_| verified)
}

/// Forgets messages that no sender repeats any more; at most `limit`.
pub async fn forget_old(conn: &mut PgConnection, before: OffsetDateTime, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from webhook_seen
        where (platform, key) in (
            select platform, key from webhook_seen where received_at < $1 order by received_at limit $2 for update skip locked
        )",
        before,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn user(changes: Value) -> User {
        let mut value = json!({
            "id": "user_1", "first_name": "Ana", "last_name": "Lima", "username": "ana", "updated_at": 1,
            "email_addresses": [
                { "id": "idn_1", "email_address": "Old@Example.com", "verification": { "status": "verified" } },
                { "id": "idn_2", "email_address": "Ana@Example.com", "verification": { "status": "verified" } },
            ],
            "primary_email_address_id": "idn_2",
        });
        value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_name_is_one_that_can_be_shown() {
        let named = |changes| name(&user(changes));
        assert_eq!(named(json!({})).as_deref(), Some("Ana Lima"));
        assert_eq!(named(json!({ "last_name": null })).as_deref(), Some("Ana"));
        assert_eq!(named(json!({ "first_name": " ", "last_name": null })).as_deref(), Some("ana"));
        assert_eq!(named(json!({ "first_name": "A\u{7}na", "last_name": "\u{202E}" })).as_deref(), Some("Ana"));
        assert_eq!(named(json!({ "first_name": "a".repeat(300) })).unwrap().chars().count(), 100);
        assert_eq!(named(json!({ "first_name": null, "last_name": null, "username": null })), None);
    }

    #[test]
    fn only_the_primary_address_counts_and_only_when_it_is_verified() {
        let email = |changes| verified_email(&user(changes));
        assert_eq!(email(json!({})).as_deref(), Some("ana@example.com"));
        assert_eq!(email(json!({ "primary_email_address_id": null })), None);
        assert_eq!(email(json!({ "primary_email_address_id": "idn_9" })), None);
        for verification in [json!(null), json!({ "status": "unverified" }), json!({})] {
            let address = json!({ "id": "idn_2", "email_address": "a@example.com", "verification": verification });
            assert_eq!(email(json!({ "email_addresses": [address] })), None);
        }
        let nonsense = json!({ "id": "idn_2", "email_address": "nonsense", "verification": { "status": "verified" } });
        assert_eq!(email(json!({ "email_addresses": [nonsense] })), None);
    }
}
