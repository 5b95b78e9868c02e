//! Our replies as they stand on the platforms after posting: the only writer of `replies`. A row is made with the outcome "posted"
//! and never goes; what people or moderators did to the reply since stands in it.

use crate::clock::Moment;
use crate::model::ReplyStanding;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// After posting, filters have had their say by then.
const FIRST_LOOK: Duration = Duration::minutes(10);

#[derive(Debug, Clone)]
pub struct Reply {
    pub suggestion_id: Uuid,
    pub team_id: Uuid,
    pub integration_id: Uuid,
    pub platform_reply_id: String,
    pub community: Option<String>,
    /// Our words there, where they were changed after posting.
    pub text: Option<String>,
    pub standing: String,
    pub score: Option<i64>,
    pub posted_at: OffsetDateTime,
    pub edited_at: Option<OffsetDateTime>,
    pub gone_at: Option<OffsetDateTime>,
    pub unpublished_by_name: Option<String>,
    pub checked_at: Option<OffsetDateTime>,
}

macro_rules! select_replies {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            Reply,
            "select suggestion_id, team_id, integration_id, platform_reply_id, community, text, standing, score, posted_at, edited_at, gone_at,
                    (select name from users where users.id = unpublished_by) as unpublished_by_name, checked_at
             from replies " + $rest,
            $($args),*
        )
    };
}

/// None: nothing of it was posted.
pub async fn load(conn: &mut PgConnection, team_id: Uuid, suggestion_id: Uuid) -> Result<Option<Reply>, sqlx::Error> {
    select_replies!("where suggestion_id = $1 and team_id = $2", suggestion_id, team_id).fetch_optional(conn).await
}

/// The same, kept from others until the transaction ends.
pub(super) async fn hold(conn: &mut PgConnection, suggestion_id: Uuid) -> Result<Option<Reply>, sqlx::Error> {
    select_replies!("where suggestion_id = $1 for no key update", suggestion_id).fetch_optional(conn).await
}

/// These suggestions were posted a moment ago.
pub(super) async fn stand(
    conn: &mut PgConnection,
    moment: &Moment,
    suggestion_ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    if suggestion_ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into replies (suggestion_id, team_id, integration_id, platform_reply_id, community, standing, posted_at, check_at)
         select s.id, s.team_id, s.integration_id, s.platform_reply_id, p.community, 'here', $2, $3
         from suggestions s join posts p on p.id = s.post_id
         where s.id = any($1) and coalesce(s.platform_reply_id, '') <> ''
         on conflict on constraint replies_pkey do nothing",
        suggestion_ids,
        moment.now,
        moment.now + FIRST_LOOK,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A person's words stand there now instead of those that were posted.
pub(super) async fn revised(
    conn: &mut PgConnection,
    moment: &Moment,
    suggestion_id: Uuid,
    text: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update replies set text = $2, edited_at = $3 where suggestion_id = $1",
        suggestion_id,
        text,
        moment.now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It was taken down by us; nobody has to look any more.
pub(super) async fn unpublished(
    conn: &mut PgConnection,
    moment: &Moment,
    suggestion_id: Uuid,
    by: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update replies set standing = 'unpublished', gone_at = $2, unpublished_by = $3, check_at = null where suggestion_id = $1",
        suggestion_id,
        moment.now,
        by,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Accounts with replies that are due for a look.
pub(super) async fn accounts_due(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select integration_id as "id!" from (select integration_id, check_at from replies where check_at <= $1 order by check_at limit $2) due
           group by integration_id"#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// The replies of an account that are due, those that wait longest first.
pub(super) async fn due(
    conn: &mut PgConnection,
    integration_id: Uuid,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Reply>, sqlx::Error> {
    select_replies!(
        "where integration_id = $1 and check_at <= $2 order by check_at limit $3",
        integration_id,
        now,
        limit
    )
    .fetch_all(conn)
    .await
}

/// All that are due are looked at later.
pub(super) async fn put_off(
    conn: &mut PgConnection,
    integration_id: Uuid,
    now: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update replies set check_at = $3 where integration_id = $1 and check_at <= $2",
        integration_id,
        now,
        until
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a look showed.
pub(super) struct Looked {
    pub standing: ReplyStanding,
    pub score: Option<i64>,
    pub check_at: Option<OffsetDateTime>,
}

/// `reply` as it is held.
pub(super) async fn looked(
    conn: &mut PgConnection,
    moment: &Moment,
    reply: &Reply,
    looked: &Looked,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update replies
         set standing = $2, score = coalesce($3, score), checked_at = $4, check_at = $5,
             gone_at = case when $2 = 'here' then null when standing = $2 then gone_at else $4 end
         where suggestion_id = $1",
        reply.suggestion_id,
        looked.standing.as_str(),
        looked.score,
        moment.now,
        looked.check_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}
