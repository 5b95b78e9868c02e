//! What people and moderators do to a post or comment, what a community lets in, and what lies in an account's inbox.

use super::{Shelf, age, nothing_here, notice, paragraphs, show};
use crate::vendors::reddit::kind_for;
use crate::world::{CommunityAccess, World};
use crate::{Control, Shared};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use std::sync::Arc;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/change/{fullname}", get(show_thing).post(change))
        .route("/r/{community}/access", post(set_access))
        .route("/inbox/{account}", get(inbox))
}

#[derive(Template)]
#[template(path = "change.html")]
struct ChangePage {
    fullname: String,
    author: String,
    text: String,
    thread: String,
    is_comment: bool,
    /// "deleted", "removed, locked"; empty where nothing was done yet.
    state: String,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    account: String,
    entries: Vec<Entry>,
}

struct Entry {
    kind: &'static str,
    from: String,
    href: String,
    age: String,
    unread: bool,
    paragraphs: Vec<String>,
}

fn named(marks: &[(bool, &str)]) -> String {
    let names: Vec<&str> = marks.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    names.join(", ")
}

fn page_of(world: &World, fullname: &str) -> Option<ChangePage> {
    let (author, text, thread, is_comment, state) = match (world.comment(fullname), world.post(fullname)) {
        (Some(comment), _) => {
            let unlisted = (comment.unlisted, "not shown in the thread");
            let state = named(&[(comment.deleted, "deleted"), (comment.removed, "removed"), unlisted]);
            (&comment.author, &comment.body, world.permalink(&world.posts[comment.post]), true, state)
        }
        (None, Some(post)) => {
            let closed = [(post.locked, "locked"), (post.archived, "archived")];
            let state = named(&[(post.deleted, "deleted"), (post.removed, "removed"), closed[0], closed[1]]);
            (&post.author, &post.body, world.permalink(post), false, state)
        }
        (None, None) => return None,
    };
    Some(ChangePage {
        fullname: fullname.to_owned(),
        author: author.clone(),
        text: text.clone(),
        thread: format!("{thread}#{fullname}"),
        is_comment,
        state,
    })
}

async fn show_thing(shared: Shelf, Path(fullname): Path<String>) -> Response {
    match page_of(&shared.world(), &fullname) {
        Some(page) => show(StatusCode::OK, &page),
        None => nothing_here(),
    }
}

#[derive(Deserialize)]
struct Change {
    act: String,
    #[serde(default)]
    text: String,
}

async fn change(State(shared): Shelf, Path(fullname): Path<String>, Form(form): Form<Change>) -> Response {
    let Some(page) = page_of(&shared.world(), &fullname) else {
        return nothing_here();
    };
    let control = Control::new(shared);
    match (form.act.as_str(), page.is_comment) {
        ("edit", true) if form.text.trim().is_empty() => {
            return notice(StatusCode::BAD_REQUEST, "Not changed", "The comment has no text.", "Go back to change it.");
        }
        ("edit", true) => control.edit_comment(&fullname, &form.text),
        ("delete", true) => control.delete_comment(&fullname),
        ("remove", true) => control.remove_comment(&fullname),
        ("delete", false) => control.delete_post(&fullname),
        ("remove", false) => control.remove_post(&fullname),
        ("lock", false) => control.lock_post(&fullname),
        ("archive", false) => control.archive(&fullname),
        _ => return StatusCode::BAD_REQUEST.into_response(),
    }
    Redirect::to(&format!("/change/{fullname}")).into_response()
}

#[derive(Deserialize)]
struct Access {
    access: CommunityAccess,
}

async fn set_access(State(shared): Shelf, Path(name): Path<String>, Form(form): Form<Access>) -> Response {
    if shared.world().community(&name).is_none() {
        return nothing_here();
    }
    Control::new(shared).set_access(&name, form.access);
    Redirect::to(&format!("/r/{name}")).into_response()
}

/// As the account itself sees it, newest first.
async fn inbox(shared: Shelf, Path(name): Path<String>) -> Response {
    let world = shared.world();
    let Some(account) = world.account(&name).map(|account| account.name.clone()) else {
        return nothing_here();
    };
    let unread = |fullname: &str| !world.read_marks.contains(&(account.clone(), fullname.to_owned()));
    let mut entries = Vec::new();
    for comment in world.comments.iter().filter(|comment| !comment.deleted && !comment.removed && !comment.unlisted) {
        if let Some(kind) = kind_for(&world, comment, &account) {
            let href = format!("{}#{}", world.permalink(&world.posts[comment.post]), comment.fullname());
            let words = (kind, comment.author.clone(), href, comment.fullname(), comment.body.as_str());
            entries.push((comment.created_at, words));
        }
    }
    for message in world.messages.iter().filter(|message| message.to == account) {
        let words =
            ("message", message.from.clone(), String::new(), format!("t4_{}", message.id), message.body.as_str());
        entries.push((message.created_at, words));
    }
    entries.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let now = world.now();
    let entries = entries.into_iter().map(|(at, (kind, from, href, fullname, text))| Entry {
        kind: match kind {
            "comment_reply" => "answer to a comment",
            "post_reply" => "answer to a post",
            "username_mention" => "mention",
            _ => "message",
        },
        from,
        href,
        age: age(at, now),
        unread: unread(&fullname),
        paragraphs: paragraphs(text),
    });
    show(StatusCode::OK, &InboxPage { account: account.clone(), entries: entries.collect() })
}
