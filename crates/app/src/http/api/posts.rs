//! Posts and the comments under them, as they were last read from the platform.

use super::paging::{Page, Paging};
use crate::app::App;
use crate::error::{ApiResult, Problem};
use crate::flow::ingest::thread::{self, CommentRow, PostRow};
use crate::http::auth::{Loaded, PostRef, TeamMember, Viewer};
use crate::http::body::Query;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Debug, Serialize, ToSchema)]
pub struct PostAnswer {
    pub id: Uuid,
    pub team_id: Uuid,
    pub integration_id: Uuid,
    #[schema(example = "reddit")]
    pub platform: String,
    #[schema(example = "t3_1abcde")]
    pub platform_post_id: String,
    pub author_handle: Option<String>,
    /// Written by the connected account itself.
    pub own: bool,
    #[schema(example = "Our new grinder is here")]
    pub title: Option<String>,
    #[schema(example = "Ask us anything.")]
    pub body: String,
    #[schema(example = "r/espresso")]
    pub community: Option<String>,
    pub permalink: Option<String>,
    /// Nobody can reply there any more.
    pub locked: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub platform_created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub fetched_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CommentAnswer {
    pub id: Uuid,
    pub post_id: Uuid,
    /// Null for an answer to the post itself.
    pub parent_comment_id: Option<Uuid>,
    #[schema(example = "t1_2fghij")]
    pub platform_comment_id: String,
    pub author_handle: Option<String>,
    pub own: bool,
    #[schema(example = "Does it work with a 58 mm basket?")]
    pub text: String,
    pub permalink: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub platform_created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub edited_at: Option<OffsetDateTime>,
    /// Set when the comment was deleted on the platform; its text is empty then.
    #[serde(with = "time::serde::rfc3339::option")]
    pub deleted_at: Option<OffsetDateTime>,
}

impl From<PostRow> for PostAnswer {
    fn from(row: PostRow) -> Self {
        Self {
            id: row.id,
            team_id: row.team_id,
            integration_id: row.integration_id,
            platform: row.platform,
            platform_post_id: row.platform_post_id,
            author_handle: row.author_handle,
            own: row.own,
            title: row.title,
            body: row.body,
            community: row.community,
            permalink: row.permalink,
            locked: row.locked,
            platform_created_at: row.platform_created_at,
            fetched_at: row.fetched_at,
            created_at: row.created_at,
        }
    }
}

impl From<CommentRow> for CommentAnswer {
    fn from(row: CommentRow) -> Self {
        Self {
            id: row.id,
            post_id: row.post_id,
            parent_comment_id: row.parent_comment_id,
            platform_comment_id: row.platform_comment_id,
            author_handle: row.author_handle,
            own: row.own,
            text: row.text,
            permalink: row.permalink,
            platform_created_at: row.platform_created_at,
            edited_at: row.edited_at,
            deleted_at: row.deleted_at,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PostsQuery {
    /// Only posts of this platform.
    #[param(example = "reddit")]
    platform: Option<String>,
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CommentsQuery {
    #[param(minimum = 1, maximum = 100, default = 25)]
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The posts of a team, the newest stored first
#[utoipa::path(get, path = "/api/teams/{team_id}/posts", params(PostsQuery),
    responses((status = 200, description = "One page of posts.", body = Page<PostAnswer>)))]
pub async fn list_posts(
    State(app): State<App>,
    member: TeamMember<Viewer>,
    Query(query): Query<PostsQuery>,
) -> ApiResult<Json<Page<PostAnswer>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    if let Some(platform) = &query.platform {
        check_platform(platform)?;
    }
    let mut conn = app.db.acquire().await?;
    let platform = query.platform.as_deref();
    let rows = thread::posts(&mut conn, member.team_id, platform, paging.from, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.created_at, row.id))))
}

fn check_platform(platform: &str) -> ApiResult<()> {
    let known: Vec<&str> = rejoinder_platforms::PLATFORMS.iter().map(|(slug, _)| *slug).collect();
    if known.contains(&platform) {
        return Ok(());
    }
    Err(Problem::field("platform", format!("is none of {}", known.join(", "))))
}

/// One post
#[utoipa::path(get, path = "/api/posts/{post_id}",
    responses((status = 200, description = "The post.", body = PostAnswer)))]
pub async fn get_post(State(app): State<App>, post: Loaded<PostRef, Viewer>) -> ApiResult<Json<PostAnswer>> {
    let row = thread::post(&mut *app.db.acquire().await?, post.team_id, post.id).await?;
    row.map(|row| Json(row.into())).ok_or_else(|| Problem::not_found("post"))
}

/// The comments under a post, the oldest first
#[utoipa::path(get, path = "/api/posts/{post_id}/comments", params(CommentsQuery),
    responses((status = 200, description = "One page of comments.", body = Page<CommentAnswer>)))]
pub async fn list_comments(
    State(app): State<App>,
    post: Loaded<PostRef, Viewer>,
    Query(query): Query<CommentsQuery>,
) -> ApiResult<Json<Page<CommentAnswer>>> {
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let mut conn = app.db.acquire().await?;
    let rows = thread::comments(&mut conn, post.team_id, post.id, paging.from, paging.rows()).await?;
    Ok(Json(paging.page(rows, |row| (row.platform_created_at, row.id))))
}
