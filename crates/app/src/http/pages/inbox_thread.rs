//! The thread pane, also alone at `/dashboard/inbox/thread`: the post, the comments that lead to the target and its
//! neighbours, the target marked. All texts here are strangers' texts or our own replies, as the platform has them.

use super::marks::Mark;
use super::person::Person;
use super::samples;
use super::words::WebLink;
use crate::error::Problem;
use crate::flow::ingest::inbox::ItemRow;
use crate::flow::ingest::thread::{self, CommentRow, PostRow};
use askama::Template;
use askama::filters::HtmlSafe;
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// How many comments before and after the target are shown; those that lead to it always are.
const BEFORE: usize = 20;
const AFTER: usize = 40;

#[derive(Debug, Clone, Template)]
#[template(path = "inbox_thread.html")]
pub struct ThreadPane {
    pub now: OffsetDateTime,
    pub item_id: Uuid,
    pub mark: Mark,
    /// "r/espresso"
    pub place: Option<String>,
    pub title: Option<String>,
    pub permalink: Option<WebLink>,
    /// Nobody can reply there any more.
    pub locked: bool,
    pub post: Utterance,
    /// In reading order: each comment after its parent.
    pub comments: Vec<Comment>,
    /// Comments of the thread that are not shown here.
    pub not_shown: u64,
}

/// The pane escapes its own texts, so a page takes it as it is.
impl HtmlSafe for ThreadPane {}

/// A text by somebody, on a platform.
#[derive(Debug, Clone)]
pub struct Utterance {
    /// None where the author is deleted.
    pub author: Option<String>,
    pub text: String,
    /// None where the platform told no time.
    pub at: Option<OffsetDateTime>,
    pub edited_at: Option<OffsetDateTime>,
    pub deleted: bool,
    /// What we answer here.
    pub is_target: bool,
    /// Written by our account.
    pub is_own: bool,
}

#[derive(Debug, Clone)]
pub struct Comment {
    /// 0 for an answer to the post itself.
    pub depth: u8,
    pub said: Utterance,
}

impl Comment {
    /// Deep threads stop to move right: a phone has no room for it.
    pub fn indent(&self) -> u8 {
        self.depth.min(5)
    }
}

impl Utterance {
    pub fn author_name(&self) -> &str {
        self.author.as_deref().unwrap_or("[deleted]")
    }
}

impl Utterance {
    fn of_post(post: &PostRow, mark: &Mark, is_target: bool) -> Self {
        Self {
            author: post.author_handle.as_deref().map(|name| mark.handle(name)),
            text: post.body.clone(),
            at: Some(post.platform_created_at),
            edited_at: None,
            deleted: false,
            is_target,
            is_own: post.own,
        }
    }

    fn of_comment(row: CommentRow, mark: &Mark, target: Option<Uuid>) -> Self {
        Self {
            author: row.author_handle.as_deref().map(|name| mark.handle(name)),
            text: row.text,
            at: Some(row.platform_created_at),
            edited_at: row.edited_at,
            deleted: row.deleted_at.is_some(),
            is_target: Some(row.id) == target,
            is_own: row.own,
        }
    }
}

/// Each comment after its parent, with its depth. One whose parent we do not know stands at the top.
fn in_reading_order(rows: Vec<CommentRow>) -> Vec<(u8, CommentRow)> {
    let known: HashSet<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut answers: HashMap<Option<Uuid>, Vec<CommentRow>> = HashMap::new();
    for row in rows {
        answers.entry(row.parent_comment_id.filter(|id| known.contains(id))).or_default().push(row);
    }
    let mut ordered = Vec::new();
    let mut waiting: Vec<(u8, CommentRow)> = Vec::new();
    let put = |waiting: &mut Vec<(u8, CommentRow)>, depth: u8, rows: Option<Vec<CommentRow>>| {
        waiting.extend(rows.into_iter().flatten().rev().map(|row| (depth, row)));
    };
    put(&mut waiting, 0, answers.remove(&None));
    while let Some((depth, row)) = waiting.pop() {
        let below = answers.remove(&Some(row.id));
        ordered.push((depth, row));
        put(&mut waiting, depth.saturating_add(1), below);
    }
    ordered
}

/// The ones around the target and those that lead to it.
fn around(ordered: Vec<(u8, CommentRow)>, target: Option<Uuid>) -> Vec<(u8, CommentRow)> {
    let at = ordered.iter().position(|(_, row)| Some(row.id) == target).unwrap_or(0);
    let mut leading = HashSet::new();
    let mut wanted_depth = ordered.get(at).map_or(0, |(depth, _)| *depth);
    for (depth, row) in ordered[..at].iter().rev() {
        if *depth < wanted_depth {
            leading.insert(row.id);
            wanted_depth = *depth;
        }
    }
    let near = at.saturating_sub(BEFORE)..=at + AFTER;
    let indexed = ordered.into_iter().enumerate();
    indexed.filter(|(index, (_, row))| near.contains(index) || leading.contains(&row.id)).map(|(_, row)| row).collect()
}

impl ThreadPane {
    pub async fn load(conn: &mut PgConnection, person: &Person, item: &ItemRow) -> Result<Self, Problem> {
        let post = thread::post(conn, person.team_id, item.post_id).await?;
        let post = post.ok_or_else(|| Problem::not_found("post"))?;
        let mut rows = thread::comments(conn, person.team_id, post.id, None, thread::MAX_COMMENTS).await?;
        if let Some(target) = item.comment_id
            && !rows.iter().any(|row| row.id == target)
        {
            // A very long thread: the target and the way to it are fetched by themselves.
            let mut missing = thread::parents(conn, person.team_id, target).await?;
            missing.extend(thread::comment(conn, person.team_id, target).await?);
            missing.retain(|row| !rows.iter().any(|known| known.id == row.id));
            rows.extend(missing);
        }
        let total = usize::try_from(thread::count_comments(conn, person.team_id, post.id).await?).unwrap_or(0);
        let shown = around(in_reading_order(rows), item.comment_id);
        let mark = Mark::of(&post.platform);
        let not_shown = total.saturating_sub(shown.len()) as u64;
        let comments = shown
            .into_iter()
            .map(|(depth, row)| Comment { depth, said: Utterance::of_comment(row, &mark, item.comment_id) })
            .collect();
        Ok(Self {
            now: person.now,
            item_id: item.id,
            place: post.community.clone(),
            title: post.title.clone(),
            permalink: post.permalink.as_deref().and_then(WebLink::parse),
            locked: post.locked,
            post: Utterance::of_post(&post, &mark, item.comment_id.is_none()),
            mark,
            comments,
            not_shown,
        })
    }

    pub fn samples() -> Vec<(&'static str, Self)> {
        samples::threads::panes()
    }
}
