//! Reading: who am I, the lists of a user and of a community, things by id, rules.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::{Caller, Params, answer, not_found, open_community, shapes};
use crate::Shared;
use crate::world::{CommunityAccess, Shown, World};

/// One entry of a listing before it is cut into pages: fullname, and the thing when the reader may see it.
pub(super) struct Entry {
    pub(super) fullname: String,
    pub(super) thing: Option<Value>,
}

/// Cuts a page out of the entries (newest first). The anchor may be an entry that the reader no longer sees, except for
/// `before`, which then answers with an empty page, as the vendor does.
pub(super) fn page(entries: Vec<Entry>, query: &HashMap<String, String>) -> Value {
    let limit = query.get("limit").and_then(|limit| limit.parse::<usize>().ok()).unwrap_or(25).clamp(1, 100);
    let place = |anchor: &String| entries.iter().position(|entry| entry.fullname == *anchor);
    let anchor = |name: &str| query.get(name).filter(|anchor| !anchor.is_empty());
    if let Some(before) = anchor("before") {
        let Some(end) = place(before).filter(|&at| entries[at].thing.is_some()) else {
            return shapes::listing(Vec::new(), None, None);
        };
        let newer: Vec<&Entry> = entries[..end].iter().filter(|entry| entry.thing.is_some()).collect();
        let shown = &newer[newer.len().saturating_sub(limit)..];
        let first = (newer.len() > limit).then(|| shown.first().map(|entry| entry.fullname.clone())).flatten();
        let last = shown.last().map(|entry| entry.fullname.clone());
        return shapes::listing(shown.iter().filter_map(|entry| entry.thing.clone()).collect(), last, first);
    }
    let start = match anchor("after") {
        Some(after) => match place(after) {
            Some(at) => at + 1,
            None => return shapes::listing(Vec::new(), None, None),
        },
        None => 0,
    };
    let older: Vec<&Entry> = entries[start..].iter().filter(|entry| entry.thing.is_some()).collect();
    let shown = &older[..older.len().min(limit)];
    let next = (older.len() > limit).then(|| shown.last().map(|entry| entry.fullname.clone())).flatten();
    let before = (start > 0).then(|| shown.first().map(|entry| entry.fullname.clone())).flatten();
    shapes::listing(shown.iter().filter_map(|entry| entry.thing.clone()).collect(), next, before)
}

pub(super) async fn me(State(shared): State<Arc<Shared>>, Extension(caller): Extension<Caller>) -> Response {
    let world = shared.world();
    let Some(account) = world.account(&caller.account) else {
        return not_found();
    };
    let unread = super::inbox::entries(&world, &caller, "unread").len();
    answer(&caller, false, shapes::me(account, unread))
}

pub(super) fn post_entries(world: &World, caller: &Caller, wanted: impl Fn(&crate::world::Post) -> bool) -> Vec<Entry> {
    let mut posts: Vec<_> = world.posts.iter().filter(|post| wanted(post)).collect();
    posts.sort_by(|left, right| (right.created_at, &right.id).cmp(&(left.created_at, &left.id)));
    let entry = |post: &crate::world::Post| {
        let shown = caller.view.of_post(post);
        Entry { fullname: post.fullname(), thing: (shown == Shown::Whole).then(|| shapes::post(world, post, shown)) }
    };
    posts.into_iter().map(entry).collect()
}

pub(super) async fn submitted(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(query): Params,
) -> Response {
    let world = shared.world();
    let Some(account) = world.account(&name) else {
        return not_found();
    };
    let entries = post_entries(&world, &caller, |post| post.author == account.name);
    answer(&caller, false, page(entries, &query))
}

pub(super) async fn comments_of_user(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(query): Params,
) -> Response {
    let world = shared.world();
    let Some(account) = world.account(&name) else {
        return not_found();
    };
    let mut comments: Vec<_> = world.comments.iter().filter(|comment| comment.author == account.name).collect();
    comments.sort_by(|left, right| (right.created_at, &right.id).cmp(&(left.created_at, &left.id)));
    let entries = comments.into_iter().map(|comment| {
        let shown = caller.view.of_comment(comment);
        let thing = (shown == Shown::Whole).then(|| shapes::comment_in_list(&world, comment, shown));
        Entry { fullname: comment.fullname(), thing }
    });
    answer(&caller, false, page(entries.collect(), &query))
}

pub(super) async fn new_in_community(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(query): Params,
) -> Response {
    let world = shared.world();
    let id = match open_community(&world, &name) {
        Ok(community) => &community.id,
        Err(refused) => return *refused,
    };
    let entries = post_entries(&world, &caller, |post| world.communities[post.community].id == *id);
    answer(&caller, false, page(entries, &query))
}

/// At most 100 ids; with more the vendor ignores them all. Unknown ids are just missing.
pub(super) async fn info(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Query(query): Params,
) -> Response {
    let world = shared.world();
    let ids: Vec<&str> = query.get("id").map(|ids| ids.split(',').collect()).unwrap_or_default();
    let mut things = Vec::new();
    for id in ids.iter().filter(|_| ids.len() <= 100) {
        if let Some(comment) = world.comment(id) {
            let shown = caller.view.of_comment(comment);
            if shown != Shown::Absent {
                things.push(shapes::comment(&world, comment, shown, None, json!("")));
            }
        } else if let Some(post) = world.post(id) {
            let shown = caller.view.of_post(post);
            // A private community shows its posts to members; of those only the author is sure to be one.
            let private = world.communities[post.community].access == CommunityAccess::Private;
            if shown != Shown::Absent && (!private || post.author == caller.account) {
                things.push(shapes::post(&world, post, shown));
            }
        }
    }
    answer(&caller, false, shapes::listing(things, None, None))
}

pub(super) async fn rules(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let world = shared.world();
    let community = match open_community(&world, &name) {
        Ok(community) => community,
        Err(refused) => return *refused,
    };
    let rules: Vec<Value> = community
        .rules
        .iter()
        .enumerate()
        .map(|(priority, rule)| {
            json!({
                "kind": rule.kind, "short_name": rule.short_name, "description": rule.description,
                "violation_reason": rule.short_name, "created_utc": 1_600_000_000.0, "priority": priority,
            })
        })
        .collect();
    let body = json!({"rules": rules, "site_rules": ["Spam", "Threats and harassment"], "site_rules_flow": []});
    answer(&caller, false, body)
}
