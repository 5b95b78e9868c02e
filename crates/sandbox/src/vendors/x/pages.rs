//! Pages for people: the posts of the sandbox's X, a conversation, and a form to write as a stranger. The web page has no summons rule: the
//! brand may answer here whatever it likes.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;

use crate::Shared;
use crate::pages::{age, notice, show};
use crate::world::World;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(home))
        .route("/{name}/status/{id}", get(conversation))
        .route("/i/web/status/{id}", get(without_name))
        .route("/say", post(say))
}

struct Line {
    id: String,
    href: String,
    author: String,
    brand: bool,
    age: String,
    text: String,
    level: usize,
}

#[derive(Template)]
#[template(path = "x_posts.html")]
struct PostsPage {
    heading: String,
    lines: Vec<Line>,
    /// The post that the form answers; empty: a post of its own.
    answers: String,
    handles: Vec<String>,
}

fn line(world: &World, id: u64, level: usize) -> Option<Line> {
    let tweet = world.x.tweets.get(&id).filter(|tweet| !tweet.deleted)?;
    let author = world.x.user(tweet.author)?.name.clone();
    Some(Line {
        id: id.to_string(),
        href: format!("/x/{author}/status/{id}"),
        brand: world.brand.as_deref() == Some(&author),
        age: age(tweet.at, world.now()),
        text: tweet.text.clone(),
        level: level.min(8),
        author,
    })
}

fn handles(world: &World) -> Vec<String> {
    world.x.users.iter().map(|user| user.name.clone()).collect()
}

async fn home(State(shared): State<Arc<Shared>>) -> Response {
    let world = shared.world();
    let lines = world.x.tweets.keys().rev().take(100).filter_map(|id| line(&world, *id, 0)).collect();
    let page = PostsPage { heading: "X".to_owned(), lines, answers: String::new(), handles: handles(&world) };
    show(StatusCode::OK, &page)
}

fn below(world: &World, id: u64, level: usize, lines: &mut Vec<Line>) {
    lines.extend(line(world, id, level));
    let answers: Vec<u64> =
        world.x.tweets.range(id..).filter(|(_, one)| one.replied_to == Some(id)).map(|(id, _)| *id).collect();
    for answer in answers {
        below(world, answer, level + 1, lines);
    }
}

async fn without_name(shared: State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    conversation(shared, Path(("i".to_owned(), id))).await
}

async fn conversation(State(shared): State<Arc<Shared>>, Path((_, id)): Path<(String, String)>) -> Response {
    let world = shared.world();
    let found = id.parse::<u64>().ok().and_then(|id| world.x.tweets.get(&id)).filter(|tweet| !tweet.deleted);
    let Some(tweet) = found else {
        return notice(StatusCode::NOT_FOUND, "Nothing here", "This post does not exist, or it was deleted.", "");
    };
    let mut lines = Vec::new();
    below(&world, tweet.conversation, 0, &mut lines);
    let page = PostsPage { heading: "Conversation".to_owned(), lines, answers: id, handles: handles(&world) };
    show(StatusCode::OK, &page)
}

#[derive(Deserialize)]
struct Said {
    author: String,
    text: String,
    #[serde(default)]
    answers: String,
}

async fn say(State(shared): State<Arc<Shared>>, Form(said): Form<Said>) -> Response {
    let mut world = shared.world();
    let name = said.author.trim().trim_start_matches('@').to_owned();
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || name.len() > 15 || !name.bytes().all(usable) || said.text.trim().is_empty() {
        let reason = "A name has 1 to 15 letters, digits and _, and a post has a text.";
        return notice(StatusCode::BAD_REQUEST, "Not posted", reason, "Go back to change it.");
    }
    let (author, now) = (world.x.ensure_user(&name), world.now());
    let answers = said.answers.parse::<u64>().ok();
    let id = world.x.add(author, &said.text, answers, None, now);
    Redirect::to(&format!("/x/{name}/status/{id}#p{id}")).into_response()
}
