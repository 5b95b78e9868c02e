//! Reading threads: a post with its comments, for pages, the API and prompts. Read only.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Longest thread that is shown at once.
pub const MAX_COMMENTS: i64 = 500;

#[derive(Debug, Clone)]
pub struct PostRow {
    pub id: Uuid,
    pub team_id: Uuid,
    pub integration_id: Uuid,
    pub platform: String,
    pub platform_post_id: String,
    pub author_platform_id: Option<String>,
    pub author_handle: Option<String>,
    pub own: bool,
    pub title: Option<String>,
    pub body: String,
    pub community: Option<String>,
    pub permalink: Option<String>,
    pub locked: bool,
    pub platform_created_at: OffsetDateTime,
    pub deleted_at: Option<OffsetDateTime>,
    pub fetched_at: OffsetDateTime,
    pub created_at: OffsetDateTime,
    /// Why only a person on the platform's own page can answer it.
    pub by_hand: Option<String>,
}

#[derive(Debug, Clone)]
pub struct CommentRow {
    pub id: Uuid,
    pub post_id: Uuid,
    pub parent_comment_id: Option<Uuid>,
    pub platform_comment_id: String,
    pub author_platform_id: Option<String>,
    pub author_handle: Option<String>,
    pub own: bool,
    pub text: String,
    pub permalink: Option<String>,
    pub platform_created_at: OffsetDateTime,
    pub edited_at: Option<OffsetDateTime>,
    pub deleted_at: Option<OffsetDateTime>,
    /// Why only a person on the platform's own page can answer it.
    pub by_hand: Option<String>,
}

pub async fn post(conn: &mut PgConnection, team_id: Uuid, post_id: Uuid) -> Result<Option<PostRow>, sqlx::Error> {
    sqlx::query_as!(
        PostRow,
        "select id, team_id, integration_id, platform, platform_post_id, author_platform_id, author_handle, own, title, body, community, permalink, locked,
                platform_created_at, deleted_at, fetched_at, created_at, by_hand
         from posts where id = $1 and team_id = $2",
        post_id,
        team_id,
    )
    .fetch_optional(conn)
    .await
}

/// Newest stored first, keyset-paged.
pub async fn posts(
    conn: &mut PgConnection,
    team_id: Uuid,
    platform: Option<&str>,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<PostRow>, sqlx::Error> {
    let (before_at, before_id) = before.unzip();
    sqlx::query_as!(
        PostRow,
        "select id, team_id, integration_id, platform, platform_post_id, author_platform_id, author_handle, own, title, body, community, permalink, locked,
                platform_created_at, deleted_at, fetched_at, created_at, by_hand
         from posts
         where team_id = $1
           and ($2::text is null or platform = $2)
           and ($3::timestamptz is null or (created_at, id) < ($3, $4))
         order by created_at desc, id desc
         limit $5",
        team_id,
        platform,
        before_at,
        before_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Oldest first, from after a row.
pub async fn comments(
    conn: &mut PgConnection,
    team_id: Uuid,
    post_id: Uuid,
    after: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<CommentRow>, sqlx::Error> {
    let (after_at, after_id) = after.unzip();
    sqlx::query_as!(
        CommentRow,
        "select id, post_id, parent_comment_id, platform_comment_id, author_platform_id, author_handle, own, text, permalink, platform_created_at, edited_at,
                deleted_at, by_hand
         from comments
         where post_id = $1 and team_id = $2
           and ($3::timestamptz is null or (platform_created_at, id) > ($3, $4))
         order by platform_created_at, id
         limit $5",
        post_id,
        team_id,
        after_at,
        after_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

pub async fn comment(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Option<CommentRow>, sqlx::Error> {
    sqlx::query_as!(
        CommentRow,
        "select id, post_id, parent_comment_id, platform_comment_id, author_platform_id, author_handle, own, text, permalink, platform_created_at, edited_at,
                deleted_at, by_hand
         from comments where id = $1 and team_id = $2",
        id,
        team_id,
    )
    .fetch_optional(conn)
    .await
}

/// How many comments of a thread we know.
pub async fn count_comments(conn: &mut PgConnection, team_id: Uuid, post_id: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "n!" from comments where post_id = $1 and team_id = $2"#,
        post_id,
        team_id
    )
    .fetch_one(conn)
    .await
}

/// The comments above one, oldest first, at most ten.
pub async fn parents(conn: &mut PgConnection, team_id: Uuid, id: Uuid) -> Result<Vec<CommentRow>, sqlx::Error> {
    sqlx::query_as!(
        CommentRow,
        r#"with recursive chain as (
               select parent_comment_id as id, 1 as depth from comments where id = $1 and team_id = $2
               union all
               select c.parent_comment_id, chain.depth + 1 from comments c join chain on c.id = chain.id where chain.depth < 10
           )
           select c.id, c.post_id, c.parent_comment_id, c.platform_comment_id, c.author_platform_id, c.author_handle, c.own, c.text, c.permalink,
                  c.platform_created_at, c.edited_at, c.deleted_at, c.by_hand
           from chain join comments c on c.id = chain.id
           where c.team_id = $2
           order by chain.depth desc"#,
        id,
        team_id,
    )
    .fetch_all(conn)
    .await
}
