//! Requests for deletion: the only writer of `data_deletions`. A row names a person only until the request is carried out.

use super::PersonErase;
use crate::clients::meta::SignedRequest;
use crate::clock::Moment;
use crate::jobs;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

const CODE_BYTES: usize = 16;

/// A request as it was taken, now or before.
pub(super) struct Asked {
    pub id: Uuid,
    pub code: String,
    pub open: bool,
}

fn hex(bytes: [u8; CODE_BYTES]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same signed request is one row with one code. One without a date cannot be told from its repetition, so it is carried out anew.
pub(super) async fn ask(
    conn: &mut PgConnection,
    moment: &Moment,
    platform: &str,
    request: &SignedRequest,
) -> Result<Asked, sqlx::Error> {
    sqlx::query_as!(
        Asked,
        r#"insert into data_deletions as kept (id, platform, code, fingerprint, app_user_id, asked_at)
           values ($1, $2, $3, $4, $5, $6)
           on conflict on constraint data_deletions_fingerprint_key do update
           set app_user_id = case when $7 then excluded.app_user_id else kept.app_user_id end,
               asked_at = case when $7 then excluded.asked_at else kept.asked_at end,
               done_at = case when $7 then null else kept.done_at end
           returning id, code, done_at is null as "open!""#,
        moment.id(),
        platform,
        hex(moment.entropy().bytes()),
        &request.fingerprint,
        request.user_id,
        moment.now,
        request.issued_at.is_none(),
    )
    .fetch_one(conn)
    .await
}

/// A request that is to be carried out.
pub(super) struct Open {
    pub platform: String,
    pub app_user_id: String,
    pub asked_at: OffsetDateTime,
}

pub(super) async fn open(conn: &mut PgConnection, id: Uuid) -> Result<Option<Open>, sqlx::Error> {
    sqlx::query_as!(
        Open,
        r#"select platform, app_user_id as "app_user_id!", asked_at from data_deletions where id = $1 and done_at is null"#,
        id,
    )
    .fetch_optional(conn)
    .await
}

/// Nothing of the person stays in the request either.
pub(super) async fn done(
    conn: &mut PgConnection,
    id: Uuid,
    asked: &Open,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update data_deletions set done_at = $3, app_user_id = null where id = $1 and asked_at = $2 and done_at is null",
        id,
        asked.asked_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Upkeep: requests whose job got lost.
pub async fn take_up(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> Result<(), sqlx::Error> {
    let open =
        sqlx::query_scalar!("select id from data_deletions where done_at is null order by asked_at limit $1", limit)
            .fetch_all(&mut *conn)
            .await?;
    for deletion_id in open {
        jobs::enqueue_if_absent(conn, &PersonErase { deletion_id }, now).await?;
    }
    Ok(())
}

/// How a request stands; all that anybody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    pub asked_at: OffsetDateTime,
    pub done_at: Option<OffsetDateTime>,
}

/// None: there is no such code.
pub async fn look(conn: &mut PgConnection, code: &str) -> Result<Option<Looked>, sqlx::Error> {
    if code.len() != 2 * CODE_BYTES || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    sqlx::query_as!(Looked, "select asked_at, done_at from data_deletions where code = $1", code)
        .fetch_optional(conn)
        .await
}
