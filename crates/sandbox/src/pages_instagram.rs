//! Instagram's pages for people: the posts, a post with its comments, a form to comment as a stranger.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Shared;
use crate::pages::{age, notice, show};
use crate::vendors::instagram::store::{Comment, Refusal};
use crate::world::World;

type Shelf = State<Arc<Shared>>;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/p", get(posts))
        .route("/p/{shortcode}", get(one))
        .route("/p/{shortcode}/", get(one))
        .route("/p/{shortcode}/c/{comment}", get(one_at))
        .route("/p/{shortcode}/c/{comment}/", get(one_at))
        .route("/p/say", post(say))
}

struct PostLine {
    shortcode: String,
    owner: String,
    caption: String,
    age: String,
    comments: usize,
}

#[derive(Template)]
#[template(path = "instagram_posts.html")]
struct PostsPage {
    posts: Vec<PostLine>,
}

struct Line {
    id: String,
    author: String,
    brand: bool,
    age: String,
    exact: String,
    text: String,
    level: usize,
    mark: &'static str,
}

#[derive(Template)]
#[template(path = "instagram_post.html")]
struct PostPage {
    id: String,
    owner: String,
    brand: bool,
    caption: String,
    age: String,
    closed: bool,
    comments: Vec<Line>,
    handles: Vec<String>,
}

fn nothing_here() -> Response {
    notice(StatusCode::NOT_FOUND, "Nothing here", "No such post, or it was deleted.", "")
}

fn seen(comment: &Comment, now: OffsetDateTime) -> bool {
    !comment.deleted && comment.hidden_until.is_none_or(|until| until <= now)
}

fn is_brand(world: &World, name: &str) -> bool {
    world.instagram.brand.as_deref() == Some(name)
}

async fn posts(shared: Shelf) -> Response {
    let world = shared.world();
    let (store, now) = (&world.instagram, world.now());
    let mut media: Vec<_> = store.media.iter().filter(|media| !media.deleted).collect();
    media.sort_by_key(|media| std::cmp::Reverse(media.created_at));
    let line = |media: &crate::vendors::instagram::store::Media| PostLine {
        shortcode: media.shortcode.clone(),
        owner: media.owner.clone(),
        caption: media.caption.clone(),
        age: age(media.created_at, now),
        comments: store.comments.iter().filter(|comment| comment.media == media.id && seen(comment, now)).count(),
    };
    show(StatusCode::OK, &PostsPage { posts: media.into_iter().map(line).collect() })
}

async fn one_at(shared: Shelf, Path((shortcode, _)): Path<(String, String)>) -> Response {
    one(shared, Path(shortcode)).await
}

async fn one(shared: Shelf, Path(shortcode): Path<String>) -> Response {
    let world = shared.world();
    let (store, now) = (&world.instagram, world.now());
    let Some(media) = store.media.iter().find(|media| media.shortcode == shortcode && !media.deleted) else {
        return nothing_here();
    };
    let line = |comment: &Comment, level: usize| Line {
        id: comment.id.clone(),
        author: comment.author.clone(),
        brand: is_brand(&world, &comment.author),
        age: age(comment.created_at, now),
        exact: comment.created_at.format(&Rfc3339).unwrap_or_default(),
        text: comment.text.clone(),
        level,
        mark: if comment.hidden { "hidden" } else { "" },
    };
    let of_post = |comment: &&Comment| comment.media == media.id && seen(comment, now);
    let mut comments = Vec::new();
    for top in store.comments.iter().filter(of_post).filter(|comment| comment.parent.is_none()) {
        comments.push(line(top, 0));
        let below = store.comments.iter().filter(of_post).filter(|reply| reply.parent.as_deref() == Some(&top.id));
        comments.extend(below.map(|reply| line(reply, 1)));
    }
    let mut handles: Vec<String> = store.accounts.iter().map(|account| account.username.clone()).collect();
    handles.retain(|name| !is_brand(&world, name));
    handles.sort_unstable();
    let page = PostPage {
        id: media.id.clone(),
        owner: media.owner.clone(),
        brand: is_brand(&world, &media.owner),
        caption: media.caption.clone(),
        age: age(media.created_at, now),
        closed: media.live || !media.comments_enabled,
        comments,
        handles,
    };
    show(StatusCode::OK, &page)
}

#[derive(Deserialize)]
struct Said {
    target: String,
    author: String,
    text: String,
}

/// A stranger comments; then back to the post, at the new comment.
async fn say(shared: Shelf, Form(said): Form<Said>) -> Response {
    let not_posted = |reason| notice(StatusCode::BAD_REQUEST, "Not posted", reason, "Go back to change the comment.");
    let mut world = shared.world();
    let author = said.author.trim();
    let usable = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.';
    if author.is_empty() || author.len() > 30 || !author.chars().all(usable) {
        return not_posted("A handle has at most 30 letters, digits, _ and dots.");
    }
    let now = world.now();
    match world.instagram.try_comment(author, &said.target, &said.text, now) {
        Ok(id) => {
            let media = world.instagram.comment(&id).and_then(|comment| world.instagram.media(&comment.media));
            let shortcode = media.map_or("", |media| media.shortcode.as_str());
            Redirect::to(&format!("/p/{shortcode}/#c{id}")).into_response()
        }
        Err(refusal) => not_posted(match refusal {
            Refusal::NoText => "The comment has no text.",
            Refusal::TooLong => "The comment is too long.",
            Refusal::Closed => "Comments are turned off under this post.",
            Refusal::Hidden => "What it answers is hidden.",
            Refusal::Gone => "What it answers does not exist.",
        }),
    }
}
