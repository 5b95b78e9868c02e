//! The comment tree of a thread: nested listings, `more` nodes where the limit or the depth cuts, and the call that
//! fetches what a `more` node names.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::{Caller, Params, answer, not_found, plain_error, shapes};
use crate::Shared;
use crate::world::{Comment, Post, Shown, World};

const MAX_DEPTH: usize = 10;

struct Walk<'a> {
    world: &'a World,
    caller: &'a Caller,
    newest_first: bool,
    /// How many more comments fit into the answer.
    left: usize,
    max_depth: usize,
    /// When set, only this chain of ancestors is followed down to the comment that was asked for.
    path: Vec<String>,
}

impl Walk<'_> {
    /// What stands in the tree: whole comments, and marks of gone ones that still have answers.
    fn shown(&self, comment: &Comment) -> Shown {
        if comment.unlisted {
            return Shown::Absent;
        }
        match self.caller.view.of_comment(comment) {
            shown @ (Shown::Deleted | Shown::Removed) => {
                let held = comment.children.iter().any(|&at| self.shown(&self.world.comments[at]) != Shown::Absent);
                if held { shown } else { Shown::Absent }
            }
            shown => shown,
        }
    }

    fn visible(&self, places: &[usize]) -> Vec<(&Comment, Shown)> {
        let comments = places.iter().map(|&at| &self.world.comments[at]);
        let mut visible: Vec<_> = comments
            .map(|comment| (comment, self.shown(comment)))
            .filter(|(_, shown)| *shown != Shown::Absent)
            .collect();
        visible.sort_by_key(|(comment, _)| (comment.created_at, comment.id.clone()));
        if self.newest_first {
            visible.reverse();
        }
        visible
    }

    fn count_below(&self, comment: &Comment) -> usize {
        let below = self.visible(&comment.children);
        below.len() + below.iter().map(|(child, _)| self.count_below(child)).sum::<usize>()
    }

    /// The children of one node as Listing children, with a `more` node when not all fit.
    fn level(&mut self, parent: &str, places: &[usize], depth: usize) -> Vec<Value> {
        let world = self.world;
        let mut nodes = Vec::new();
        let mut cut: Vec<&Comment> = Vec::new();
        let follow = self.path.get(depth).cloned();
        let visible: Vec<(usize, Shown)> = self
            .visible(places)
            .iter()
            .filter(|(comment, _)| follow.as_ref().is_none_or(|only| comment.id == *only))
            .filter_map(|(comment, shown)| {
                places.iter().find(|&&at| world.comments[at].id == comment.id).map(|&at| (at, *shown))
            })
            .collect();
        for (at, shown) in visible {
            let comment = &world.comments[at];
            if self.left == 0 {
                cut.push(comment);
                continue;
            }
            self.left -= 1;
            let replies = self.below(comment, depth);
            nodes.push(shapes::comment(world, comment, shown, Some(depth), replies));
        }
        if let Some(first) = cut.first() {
            let count: usize = cut.iter().map(|comment| 1 + self.count_below(comment)).sum();
            let ids: Vec<&str> = cut.iter().map(|comment| comment.id.as_str()).collect();
            nodes.push(json!({"kind": "more", "data": {
                "count": count, "name": first.fullname(), "id": first.id, "parent_id": parent,
                "depth": depth, "children": ids,
            }}));
        }
        nodes
    }

    fn below(&mut self, comment: &Comment, depth: usize) -> Value {
        let children = if self.visible(&comment.children).is_empty() {
            Vec::new()
        } else if depth + 1 >= self.max_depth {
            vec![json!({"kind": "more", "data": {
                "count": 0, "name": "t1__", "id": "_", "parent_id": comment.fullname(),
                "depth": depth + 1, "children": [],
            }})]
        } else {
            self.level(&comment.fullname(), &comment.children, depth + 1)
        };
        if children.is_empty() { json!("") } else { shapes::listing(children, None, None) }
    }
}

/// `/comments/{id}`: the post and its comments. With a comment in the path or query only its chain and what is below it.
pub(super) async fn thread(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<HashMap<String, String>>,
    Query(query): Params,
) -> Response {
    let world = shared.world();
    let id = path.get("id").map_or("", |id| id.trim_end_matches(".json"));
    let Some(post) = world.post(&format!("t3_{id}")) else {
        return not_found();
    };
    if let Some(refused) = super::closed(&world.communities[post.community]) {
        return refused;
    }
    let shown = caller.view.of_post(post);
    if shown == Shown::Absent {
        return not_found();
    }
    let number = |name: &str| query.get(name).and_then(|value| value.parse::<usize>().ok());
    let mut walk = Walk {
        world: &world,
        caller: &caller,
        newest_first: query.get("sort").is_some_and(|sort| sort == "new"),
        left: number("limit").filter(|&limit| limit > 0).unwrap_or(200).min(500),
        max_depth: number("depth").filter(|&depth| depth > 0).unwrap_or(MAX_DEPTH).min(MAX_DEPTH),
        path: Vec::new(),
    };
    let focus = path.get("comment").or_else(|| query.get("comment")).filter(|comment| !comment.is_empty());
    let children = match focus {
        None => walk.level(&post.fullname(), &post.children, 0),
        Some(focus) => focused(&mut walk, post, focus, number("context").unwrap_or(0).min(8)),
    };
    let posts = shapes::listing(vec![shapes::post(&world, post, shown)], None, None);
    answer(&caller, false, json!([posts, shapes::listing(children, None, None)]))
}

/// One comment with up to `context` parents above it. A comment that is gone gives nothing.
fn focused(walk: &mut Walk<'_>, post: &Post, focus: &str, context: usize) -> Vec<Value> {
    let world = walk.world;
    let Some(mut top) = world.comment(&format!("t1_{focus}")).filter(|found| world.posts[found.post].id == post.id)
    else {
        return Vec::new();
    };
    if walk.shown(top) == Shown::Absent {
        return Vec::new();
    }
    let mut chain = vec![top.id.clone()];
    while let Some(above) = world.comment(&top.parent).filter(|_| chain.len() <= context) {
        chain.insert(0, above.id.clone());
        top = above;
    }
    let top_parent = top.parent.clone();
    walk.path = chain;
    walk.level(&top_parent, world.children_of(&top_parent), 0)
}

pub(super) async fn more_by_query(
    state: State<Arc<Shared>>,
    caller: Extension<Caller>,
    Query(fields): Params,
) -> Response {
    more(&state, &caller, &fields)
}

pub(super) async fn more_by_form(
    state: State<Arc<Shared>>,
    caller: Extension<Caller>,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    more(&state, &caller, &fields)
}

/// A flat list: the named comments and all below them, each with its depth.
fn more(shared: &Shared, caller: &Caller, fields: &HashMap<String, String>) -> Response {
    let world = shared.world();
    let Some(post) = fields.get("link_id").and_then(|link| world.post(link)) else {
        return plain_error(400);
    };
    let names: Vec<&str> = fields.get("children").map(|ids| ids.split(',').collect()).unwrap_or_default();
    let walk = Walk { world: &world, caller, newest_first: false, left: 0, max_depth: MAX_DEPTH, path: Vec::new() };
    let mut things = Vec::new();
    let mut waiting: Vec<&Comment> =
        names.iter().take(100).filter_map(|id| world.comment(&format!("t1_{id}"))).collect();
    waiting.retain(|comment| world.posts[comment.post].id == post.id);
    waiting.reverse();
    while let Some(comment) = waiting.pop() {
        let shown = walk.shown(comment);
        if shown == Shown::Absent {
            continue;
        }
        things.push(shapes::comment(&world, comment, shown, Some(depth_of(&world, comment)), json!("")));
        waiting.extend(comment.children.iter().rev().map(|&at| &world.comments[at]));
    }
    let raw = fields.get("raw_json").is_some_and(|value| value == "1");
    answer(caller, raw, json!({"json": {"errors": [], "data": {"things": things}}}))
}

fn depth_of(world: &World, comment: &Comment) -> usize {
    let mut depth = 0;
    let mut at = comment;
    while let Some(above) = world.comment(&at.parent) {
        depth += 1;
        at = above;
    }
    depth
}
