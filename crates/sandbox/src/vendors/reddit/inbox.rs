//! The inbox: answers to the caller's comments and posts, mentions of the caller, private messages.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::response::Response;
use serde_json::json;

use super::read::{Entry, page};
use super::{Caller, Params, answer, forbidden, not_found, shapes};
use crate::Shared;
use crate::world::{Comment, Shown, World};

/// The vendor's word for what a comment is to this account; None when it is nothing to it.
pub(crate) fn kind_for(world: &World, comment: &Comment, account: &str) -> Option<&'static str> {
    if comment.author == account {
        return None;
    }
    let above = world.comment(&comment.parent);
    if above.is_some_and(|above| above.author == account) {
        return Some("comment_reply");
    }
    if above.is_none() && world.posts[comment.post].author == account {
        return Some("post_reply");
    }
    let mention = format!("u/{}", account.to_lowercase());
    comment.body.to_lowercase().contains(&mention).then_some("username_mention")
}

/// The entries of one place (inbox, unread, comments, selfreply, mentions, messages), newest first.
pub(super) fn entries(world: &World, caller: &Caller, place: &str) -> Vec<Entry> {
    let unread = |fullname: &str| !world.read_marks.contains(&(caller.account.clone(), fullname.to_owned()));
    let mut found = Vec::new();
    for comment in &world.comments {
        let Some(kind) = kind_for(world, comment, &caller.account) else {
            continue;
        };
        let fullname = comment.fullname();
        let fits = match place {
            "unread" => unread(&fullname),
            "comments" => kind == "comment_reply",
            "selfreply" => kind == "post_reply",
            "mentions" => kind == "username_mention",
            "messages" => false,
            _ => true,
        };
        if fits && caller.view.of_comment(comment) == Shown::Whole {
            let thing = shapes::inbox_comment(world, comment, kind, unread(&fullname), &caller.account);
            found.push((comment.created_at, Entry { fullname, thing: Some(thing) }));
        }
    }
    for message in world.messages.iter().filter(|message| message.to == caller.account) {
        let fullname = format!("t4_{}", message.id);
        if matches!(place, "inbox" | "messages") || (place == "unread" && unread(&fullname)) {
            let thing = shapes::message(world, message, unread(&fullname));
            found.push((message.created_at, Entry { fullname, thing: Some(thing) }));
        }
    }
    found.sort_by(|left, right| (right.0, &right.1.fullname).cmp(&(left.0, &left.1.fullname)));
    found.into_iter().map(|(_, entry)| entry).collect()
}

pub(super) async fn messages(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(place): Path<String>,
    Query(query): Params,
) -> Response {
    if !matches!(place.as_str(), "inbox" | "unread" | "comments" | "selfreply" | "mentions" | "messages") {
        return not_found();
    }
    let world = shared.world();
    let found = entries(&world, &caller, &place);
    answer(&caller, false, page(found, &query))
}

pub(super) async fn mark_read(
    state: State<Arc<Shared>>,
    caller: Extension<Caller>,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    mark(&state, &caller, &fields, true)
}

pub(super) async fn mark_unread(
    state: State<Arc<Shared>>,
    caller: Extension<Caller>,
    Form(fields): Form<HashMap<String, String>>,
) -> Response {
    mark(&state, &caller, &fields, false)
}

fn mark(shared: &Shared, caller: &Caller, fields: &HashMap<String, String>, read: bool) -> Response {
    let mut world = shared.world();
    let names: Vec<String> =
        fields.get("id").map(|ids| ids.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let mine = |name: &String| {
        let message =
            world.messages.iter().any(|known| format!("t4_{}", known.id) == *name && known.to == caller.account);
        let comment = world.comment(name).is_some_and(|comment| kind_for(&world, comment, &caller.account).is_some());
        message || comment
    };
    if !names.iter().all(mine) {
        return forbidden();
    }
    for name in names {
        let mark = (caller.account.clone(), name.clone());
        let changed = if read { world.read_marks.insert(mark) } else { world.read_marks.remove(&mark) };
        if changed {
            let effect = if read { "mark_read" } else { "mark_unread" };
            let path = if read { "/reddit/api/read_message" } else { "/reddit/api/unread_message" };
            world.note("POST", path, Some(&caller.account), effect, Some(&name));
        }
    }
    answer(caller, false, json!({}))
}
