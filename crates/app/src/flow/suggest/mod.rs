//! Drafting. A person asks; the job `ai.generate` writes. Eligibility comes first: no tokens are spent on what cannot be posted.
//!
//! Always: one open suggestion per target (asking twice leads to the same one); the row, its activity entry and the job commit
//! together; a result counts only for the generation that was asked for last.

pub mod context;
pub mod job;
mod sweep;

pub use job::AiGenerate;
pub use sweep::SuggestSweep;

use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::etiquette::opt_outs;
use crate::flow::ingest::thread::{self, CommentRow, PostRow};
use crate::flow::intents;
use crate::flow::places;
use crate::flow::suggestion::{self, Change, ChangeError, NewSuggestion, Suggestion, Target};
use crate::jobs;
use crate::model::{Mode, TargetKind};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

/// What a person asks for.
#[derive(Debug, Clone)]
pub struct Request {
    pub post_id: Uuid,
    /// The comment to answer; without it the post itself.
    pub comment_id: Option<Uuid>,
    pub intent_id: Option<Uuid>,
    pub mode: Mode,
    /// A person's own text: no draft is asked for.
    pub text: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It could be drafted but never posted.
    #[error("{reason}")]
    NotEligible { code: &'static str, reason: String },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

fn not_eligible<T>(code: &'static str, reason: impl Into<String>) -> Result<T, RequestError> {
    Err(RequestError::NotEligible { code, reason: reason.into() })
}

/// Makes a suggestion and asks for its draft, or returns the open one for the same target. `true` = it is new.
pub async fn request(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    actor: Uuid,
    request: Request,
) -> Result<(Suggestion, bool), RequestError> {
    let post = thread::post(conn, team_id, request.post_id).await?.ok_or(RequestError::NotFound("post"))?;
    let comment = match request.comment_id {
        Some(id) => {
            let comment = thread::comment(conn, team_id, id).await?.ok_or(RequestError::NotFound("comment"))?;
            if comment.post_id != post.id {
                return Err(RequestError::NotFound("comment under this post"));
            }
            Some(comment)
        }
        None => None,
    };
    if let Some(intent_id) = request.intent_id {
        intents::load(conn, team_id, intent_id).await?.ok_or(RequestError::NotFound("intent"))?;
    }
    eligible(&post, comment.as_ref())?;
    wants_answers(conn, team_id, &post, comment.as_ref()).await?;
    let_in(conn, moment, team_id, &post).await?;
    let new = new_suggestion(conn, team_id, actor, &request, &post, comment.as_ref()).await?;
    let Some((id, generation_id)) = suggestion::insert(conn, moment, &new).await? else {
        let open = suggestion::open_for_target(conn, team_id, new.integration_id, &new.target.platform_id).await?;
        // Closed between the two statements: the next request makes a new one.
        return match open {
            Some(open) => Ok((open, false)),
            None => not_eligible("changed-meanwhile", "Someone has just closed the draft for it. Ask again."),
        };
    };
    if request.text.is_none() {
        jobs::enqueue(conn, &AiGenerate { suggestion_ids: vec![id], team_id, generation_id }, moment.now).await?;
    }
    let payload = json!({ "post_id": post.id, "comment_id": request.comment_id, "intent_id": request.intent_id, "mode": request.mode });
    activity::record(conn, moment, team_id, Some(actor), Kind::SuggestionRequested, Subject::Suggestion(id), payload)
        .await?;
    let suggestion = suggestion::load(conn, team_id, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok((suggestion, true))
}

fn eligible(post: &PostRow, comment: Option<&CommentRow>) -> Result<(), RequestError> {
    if post.locked {
        return not_eligible("locked", "The thread is locked or archived; nobody can reply there any more.");
    }
    if let Some(reason) = comment.map_or(post.by_hand.as_ref(), |comment| comment.by_hand.as_ref()) {
        return not_eligible("by-hand-only", reason.clone());
    }
    match comment {
        Some(comment) if comment.own => {
            not_eligible("own-text", "This comment is your own. Choose a comment of someone else.")
        }
        Some(comment) if comment.deleted_at.is_some() => {
            not_eligible("gone", "The comment was deleted on the platform.")
        }
        None if post.deleted_at.is_some() => not_eligible("gone", "The post was deleted on the platform."),
        None if post.own => {
            not_eligible("own-text", "This post is your own. Name the comment to answer as comment_id.")
        }
        _ => Ok(()),
    }
}

/// A community that does not let the account in takes no reply.
async fn let_in(conn: &mut PgConnection, moment: &Moment, team_id: Uuid, post: &PostRow) -> Result<(), RequestError> {
    let Some(community) = &post.community else { return Ok(()) };
    let known = places::known(conn, team_id, post.integration_id, community).await?;
    if let Some(known) = &known {
        places::refresh_old(conn, moment, post.integration_id, known).await?;
    }
    match known.and_then(|place| place.closed()) {
        Some(reason) => not_eligible("community-closed", reason),
        None => Ok(()),
    }
}

/// Who asked not to be answered is not answered, whoever of the team asks.
async fn wants_answers(
    conn: &mut PgConnection,
    team_id: Uuid,
    post: &PostRow,
    comment: Option<&CommentRow>,
) -> Result<(), RequestError> {
    let (author_id, handle) = match comment {
        Some(comment) => (&comment.author_platform_id, &comment.author_handle),
        None => (&post.author_platform_id, &post.author_handle),
    };
    let Some(key) = opt_outs::author_key(author_id.as_deref(), handle.as_deref()) else { return Ok(()) };
    match opt_outs::standing(conn, team_id, &post.platform, &key).await? {
        Some(_) => not_eligible(
            "opted-out",
            "Its author asked not to be answered. An admin may lift that on the page Etiquette.",
        ),
        None => Ok(()),
    }
}

async fn new_suggestion(
    conn: &mut PgConnection,
    team_id: Uuid,
    actor: Uuid,
    request: &Request,
    post: &PostRow,
    comment: Option<&CommentRow>,
) -> Result<NewSuggestion, RequestError> {
    let (kind, platform_id) = match comment {
        Some(comment) => (TargetKind::Comment, comment.platform_comment_id.clone()),
        None => (TargetKind::Post, post.platform_post_id.clone()),
    };
    let item_id = crate::flow::ingest::inbox::item_for_target(conn, team_id, post.integration_id, &platform_id)
        .await?
        .ok_or(RequestError::NotFound("inbox item for it"))?;
    if suggestion::replied_to(conn, team_id, post.integration_id, &platform_id).await? {
        return not_eligible("already-answered", "A reply of yours stands there already.");
    }
    Ok(NewSuggestion {
        team_id,
        integration_id: post.integration_id,
        item_id,
        post_id: post.id,
        comment_id: comment.map(|comment| comment.id),
        target: Target { kind, platform_id, post_platform_id: post.platform_post_id.clone() },
        mode: request.mode,
        wanted_intent_id: request.intent_id,
        created_by: actor,
        text: request.text.clone(),
    })
}

/// Asks for the draft anew; the old text stays until the new one is there.
pub async fn regenerate(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    actor: Uuid,
) -> Result<Suggestion, ChangeError> {
    let generation_id = moment.id();
    let change = Change::Regenerate { generation_id };
    let suggestion = suggestion::change(conn, moment, team_id, id, Some(actor), change).await?;
    if suggestion.state.generation_id == generation_id {
        jobs::enqueue(conn, &AiGenerate { suggestion_ids: vec![id], team_id, generation_id }, moment.now).await?;
    }
    Ok(suggestion)
}
