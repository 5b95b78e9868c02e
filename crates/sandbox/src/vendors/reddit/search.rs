//! Search for posts: all words of the query stand in title or text, a quoted query as one phrase. Newest first.

use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;

use super::read::{page, post_entries};
use super::{Caller, Params, answer, open_community};
use crate::Shared;
use crate::world::{CommunityAccess, Post, World};

pub(super) async fn everywhere(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Query(query): Params,
) -> Response {
    let world = shared.world();
    let wanted = words(query.get("q").map_or("", String::as_str));
    let open = |post: &Post| world.communities[post.community].access == CommunityAccess::Open;
    let entries = post_entries(&world, &caller, |post| open(post) && holds(post, &wanted));
    answer(&caller, false, page(entries, &query))
}

/// Without `restrict_sr` the vendor searches everywhere, also below a community's path.
pub(super) async fn in_community(
    state: State<Arc<Shared>>,
    caller: Extension<Caller>,
    Path(name): Path<String>,
    query: Params,
) -> Response {
    if !query.get("restrict_sr").is_some_and(|value| matches!(value.as_str(), "1" | "on" | "true")) {
        return everywhere(state, caller, query).await;
    }
    let world: &World = &state.world();
    let id = match open_community(world, &name) {
        Ok(community) => &community.id,
        Err(refused) => return *refused,
    };
    let wanted = words(query.get("q").map_or("", String::as_str));
    let here = |post: &Post| world.communities[post.community].id == *id;
    let entries = post_entries(world, &caller, |post| here(post) && holds(post, &wanted));
    answer(&caller, false, page(entries, &query))
}

fn words(query: &str) -> Vec<String> {
    let query = query.trim().to_lowercase();
    match query.strip_prefix('"').and_then(|query| query.strip_suffix('"')) {
        Some(phrase) => vec![phrase.to_owned()],
        None => query.split_whitespace().map(str::to_owned).collect(),
    }
}

fn holds(post: &Post, wanted: &[String]) -> bool {
    let text = format!("{} {}", post.title, post.body).to_lowercase();
    !wanted.is_empty() && wanted.iter().all(|word| text.contains(word))
}
