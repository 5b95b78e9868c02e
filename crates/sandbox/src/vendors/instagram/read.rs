//! Reading: who am I, a node, the media of an account, comments and answers.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::fields::{self, Field};
use super::{Answered, Caller, GraphProblem, shapes};
use crate::Shared;
use crate::world::World;

type Params = Query<HashMap<String, String>>;
/// Largest page; a larger limit is taken as this.
const PAGE: usize = 50;

fn asked(query: &HashMap<String, String>) -> Result<Vec<Field>, GraphProblem> {
    let text = query.get("fields").map_or("", String::as_str);
    fields::parse(text).ok_or_else(|| GraphProblem::new(400, 2500, None, "Syntax error in the field expansion"))
}

pub(super) async fn me(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    query: Params,
) -> Response {
    let world = shared.world();
    caller.answer(asked(&query).and_then(|fields| shapes::user(&world, &caller, &fields)))
}

pub(super) async fn node(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path((_, id)): Path<(String, String)>,
    query: Params,
) -> Response {
    let world = shared.world();
    caller.answer(asked(&query).and_then(|fields| one(&world, &caller, &id, &fields)))
}

fn one(world: &World, caller: &Caller, id: &str, fields: &[Field]) -> Answered {
    if caller.is_me(world, id) {
        return shapes::user(world, caller, fields);
    }
    if let Some(media) = world.instagram.media(id).filter(|media| media.owner == caller.account) {
        return shapes::media(world, caller, media, fields);
    }
    let comment = world.instagram.comment(id).filter(|comment| may_see(world, caller, &comment.media));
    let comment = comment.filter(|comment| {
        shapes::visible(world, caller, &comment.media, comment.parent.as_deref()).iter().any(|seen| seen.id == id)
    });
    shapes::comment(world, caller, comment.ok_or_else(GraphProblem::gone)?, fields)
}

/// Comments are told to the owner of the medium.
fn may_see(world: &World, caller: &Caller, media: &str) -> bool {
    world.instagram.media(media).is_some_and(|media| media.owner == caller.account)
}

/// Cuts a page out of a list, in its order.
fn page<T>(items: Vec<T>, query: &HashMap<String, String>, edge: &str, shape: impl Fn(T) -> Answered) -> Answered {
    let limit = query.get("limit").and_then(|limit| limit.parse::<usize>().ok()).unwrap_or(25).clamp(1, PAGE);
    let start = match query.get("after").map(|after| after.strip_prefix("QVFI").and_then(|at| at.parse::<usize>().ok()))
    {
        Some(Some(start)) => start,
        Some(None) => return Err(GraphProblem::new(400, 100, None, "(#100) Invalid cursor")),
        None => 0,
    };
    let more = items.len() > start + limit;
    let shown: Result<Vec<Value>, GraphProblem> = items.into_iter().skip(start).take(limit).map(shape).collect();
    let shown = shown?;
    let end = start + shown.len();
    // The last page of a list may come without any paging.
    if shown.is_empty() {
        return Ok(json!({"data": shown}));
    }
    Ok(shapes::with_paging(json!({"data": shown}), more, end, edge))
}

pub(super) async fn media(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path((_, id)): Path<(String, String)>,
    query: Params,
) -> Response {
    let world = shared.world();
    let list = || {
        let fields = asked(&query)?;
        if !caller.is_me(&world, &id) {
            return Err(GraphProblem::gone());
        }
        let own = |media: &&super::store::Media| {
            media.owner == caller.account
                && !media.deleted
                && caller.as_of.is_none_or(|as_of| media.created_at <= as_of)
        };
        let mut media: Vec<_> = world.instagram.media.iter().filter(own).collect();
        media.sort_by_key(|media| std::cmp::Reverse(media.created_at));
        page(media, &query, "media", |media| shapes::media(&world, &caller, media, &fields))
    };
    caller.answer(list())
}

/// Top level only, newest first.
pub(super) async fn comments(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path((_, id)): Path<(String, String)>,
    query: Params,
) -> Response {
    let world = shared.world();
    let list = || {
        let fields = asked(&query)?;
        if !may_see(&world, &caller, &id) {
            return Err(GraphProblem::gone());
        }
        let mut comments = shapes::visible(&world, &caller, &id, None);
        comments.reverse();
        comments.sort_by_key(|comment| std::cmp::Reverse(comment.created_at));
        page(comments, &query, "comments", |comment| shapes::comment(&world, &caller, comment, &fields))
    };
    caller.answer(list())
}

/// Oldest first.
pub(super) async fn replies(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path((_, id)): Path<(String, String)>,
    query: Params,
) -> Response {
    let world = shared.world();
    let list = || {
        let fields = asked(&query)?;
        let known =
            world.instagram.comment(&id).filter(|comment| !comment.deleted && may_see(&world, &caller, &comment.media));
        let above = known.ok_or_else(GraphProblem::gone)?;
        let replies = shapes::visible(&world, &caller, &above.media, Some(&above.id));
        page(replies, &query, "replies", |reply| shapes::comment(&world, &caller, reply, &fields))
    };
    caller.answer(list())
}
