//! Pages for people: look at the communities and threads, comment as a stranger, see clock, faults and counters.
//! Plain forms, no scripts; the templates escape every text. What the brand's own account wrote carries the word "brand".

mod change;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::world::faults::{AiFault, ReadFault, WriteFault};
use crate::world::{Comment, CommunityAccess, Mix, Post, Refusal, Shown, View, World};
use crate::{Control, Shared};

type Shelf = State<Arc<Shared>>;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(home))
        .route("/r/{community}", get(community))
        .route("/r/{community}/comments/{id}", get(thread))
        .route("/r/{community}/comments/{id}/", get(thread))
        .route("/r/{community}/comments/{id}/{slug}/", get(thread))
        .route("/r/{community}/comments/{id}/{slug}", get(thread))
        .route("/r/{community}/comments/{id}/{slug}/{comment}/", get(thread))
        .route("/r/{community}/comments/{id}/{slug}/{comment}", get(thread))
        .route("/say", post(say))
        .route("/sandbox", get(sandbox_page).post(sandbox_act))
        .route("/sandbox.css", get(style))
        .merge(change::router())
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../templates/sandbox.css")).into_response()
}

pub(crate) fn show(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage<'a> {
    heading: &'a str,
    reason: &'a str,
    advice: &'a str,
}

/// A page that says what did not work and why.
pub(crate) fn notice(status: StatusCode, heading: &str, reason: &str, advice: &str) -> Response {
    show(status, &NoticePage { heading, reason, advice })
}

fn nothing_here() -> Response {
    notice(StatusCode::NOT_FOUND, "Nothing here", "No such community or thread, or it was deleted.", "")
}

fn not_posted(reason: &str) -> Response {
    notice(StatusCode::BAD_REQUEST, "Not posted", reason, "Go back to change the comment.")
}

struct ThreadLine {
    href: String,
    title: String,
    author: String,
    community: String,
    brand: bool,
    age: String,
    comments: usize,
}

struct CommunityLine {
    name: String,
    title: String,
    threads: usize,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    heading: String,
    /// Of one community: its name, and whom it lets in.
    community: Option<(String, CommunityAccess)>,
    communities: Vec<CommunityLine>,
    threads: Vec<ThreadLine>,
}

struct Line {
    anchor: String,
    author: String,
    brand: bool,
    age: String,
    exact: String,
    paragraphs: Vec<String>,
    /// Nesting as a class name, which stops at 8.
    level: usize,
    mark: &'static str,
}

#[derive(Template)]
#[template(path = "thread.html")]
struct ThreadPage {
    title: String,
    community: String,
    post: Line,
    closed: &'static str,
    comments: Vec<Line>,
    handles: Vec<String>,
}

#[derive(Template)]
#[template(path = "sandbox.html")]
struct SandboxPage {
    now: String,
    fixed: bool,
    planned: Vec<String>,
    prepared: usize,
    requests: Vec<(String, u64)>,
    journal: Vec<(String, String, String)>,
}

/// The words for whom a community lets in, in the order of the choice.
const ACCESS: [(CommunityAccess, &str, &str); 4] = [
    (CommunityAccess::Open, "open", "open to everybody"),
    (CommunityAccess::Quarantined, "quarantined", "quarantined: comments are taken and not shown"),
    (CommunityAccess::Private, "private", "private: lets nobody in"),
    (CommunityAccess::Banned, "banned", "banned: closed by the platform"),
];

pub(crate) fn age(at: OffsetDateTime, now: OffsetDateTime) -> String {
    let minutes = (now - at).whole_minutes().max(0);
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..1440 => format!("{} h ago", minutes / 60),
        _ => format!("{} d ago", minutes / 1440),
    }
}

fn paragraphs(text: &str) -> Vec<String> {
    text.split("\n\n").map(str::to_owned).collect()
}

fn is_brand(world: &World, author: &str) -> bool {
    world.brand.as_deref() == Some(author)
}

fn thread_lines(world: &World, wanted: impl Fn(&Post) -> bool) -> Vec<ThreadLine> {
    let now = world.now();
    let mut posts: Vec<(usize, &Post)> =
        world.posts.iter().enumerate().filter(|(_, post)| !post.deleted && wanted(post)).collect();
    posts.sort_by_key(|(_, post)| std::cmp::Reverse(post.created_at));
    let line = |(at, post): (usize, &Post)| ThreadLine {
        href: world.permalink(post),
        title: post.title.clone(),
        author: post.author.clone(),
        community: world.communities[post.community].name.clone(),
        brand: is_brand(world, &post.author),
        age: age(post.created_at, now),
        comments: world.comments.iter().filter(|comment| comment.post == at).count(),
    };
    posts.into_iter().map(line).collect()
}

async fn home(shared: Shelf) -> Response {
    let world = shared.world();
    let communities = world.communities.iter().enumerate().map(|(at, community)| CommunityLine {
        name: community.name.clone(),
        title: community.title.clone(),
        threads: world.posts.iter().filter(|post| post.community == at && !post.deleted).count(),
    });
    let page = HomePage {
        heading: "Communities".to_owned(),
        community: None,
        communities: communities.collect(),
        threads: thread_lines(&world, |_| true),
    };
    show(StatusCode::OK, &page)
}

async fn community(shared: Shelf, Path(name): Path<String>) -> Response {
    let world = shared.world();
    let Some(place) = world.communities.iter().position(|known| known.name.eq_ignore_ascii_case(&name)) else {
        return nothing_here();
    };
    let heading = world.communities[place].title.clone();
    let threads = thread_lines(&world, |post| post.community == place);
    let community = &world.communities[place];
    let community = Some((community.name.clone(), community.access));
    show(StatusCode::OK, &HomePage { heading, community, communities: Vec::new(), threads })
}

fn collect(world: &World, view: &View, places: &[usize], level: usize, lines: &mut Vec<Line>) {
    for &at in places {
        let comment: &Comment = &world.comments[at];
        let shown = view.of_comment(comment);
        if shown != Shown::Absent && !comment.unlisted {
            let (author, text, mark) = match shown {
                Shown::Whole => (comment.author.as_str(), comment.body.as_str(), ""),
                Shown::Removed => ("[deleted]", "[removed]", "removed"),
                Shown::Deleted | Shown::Absent => ("[deleted]", "[deleted]", "deleted"),
            };
            lines.push(Line {
                anchor: comment.fullname(),
                author: if shown == Shown::Whole { format!("u/{author}") } else { author.to_owned() },
                brand: is_brand(world, author),
                age: age(comment.created_at, view.now),
                exact: comment.created_at.format(&Rfc3339).unwrap_or_default(),
                paragraphs: paragraphs(text),
                level: level.min(8),
                mark: if mark.is_empty() && comment.edited_at.is_some() { "edited" } else { mark },
            });
        }
        collect(world, view, &comment.children, level + 1, lines);
    }
}

async fn thread(shared: Shelf, Path(path): Path<std::collections::HashMap<String, String>>) -> Response {
    let world = shared.world();
    let id = path.get("id").map_or("", String::as_str);
    let Some(post) = world.post(&format!("t3_{id}")).filter(|post| !post.deleted) else {
        return nothing_here();
    };
    let view = View { account: None, now: world.now(), as_of: None };
    let mut comments = Vec::new();
    collect(&world, &view, &post.children, 0, &mut comments);
    let mut handles: Vec<String> = world.accounts.iter().map(|account| account.name.clone()).collect();
    handles.retain(|name| !is_brand(&world, name));
    handles.sort_unstable();
    let page = ThreadPage {
        title: post.title.clone(),
        community: world.communities[post.community].name.clone(),
        post: Line {
            anchor: post.fullname(),
            author: format!("u/{}", post.author),
            brand: is_brand(&world, &post.author),
            age: age(post.created_at, view.now),
            exact: post.created_at.format(&Rfc3339).unwrap_or_default(),
            paragraphs: paragraphs(if post.removed { "[removed]" } else { &post.body }),
            level: 0,
            mark: if post.removed { "removed" } else { "" },
        },
        closed: match (post.locked, post.archived) {
            (true, _) => "This thread is locked.",
            (_, true) => "This thread is archived.",
            _ => "",
        },
        comments,
        handles,
    };
    show(StatusCode::OK, &page)
}

#[derive(Deserialize)]
struct Said {
    parent: String,
    author: String,
    text: String,
}

/// A stranger comments; then back to the thread, at the new comment.
async fn say(shared: Shelf, Form(said): Form<Said>) -> Response {
    let mut world = shared.world();
    let author = said.author.trim();
    let usable = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    if author.is_empty() || author.chars().count() > 40 || !author.chars().all(usable) {
        return not_posted("A handle has at most 40 letters, digits, _ and -.");
    }
    let now = world.now();
    match world.try_comment(author, &said.parent, &said.text, now) {
        Ok(fullname) => {
            let link = world.comment(&fullname).map(|comment| world.permalink(&world.posts[comment.post]));
            Redirect::to(&format!("{}#{fullname}", link.unwrap_or_default())).into_response()
        }
        Err(refusal) => not_posted(match refusal {
            Refusal::NoText => "The comment has no text.",
            Refusal::TooLong => "The comment is too long.",
            Refusal::Locked => "The thread is locked.",
            Refusal::Archived => "The thread is archived.",
            Refusal::ParentDeleted => "What it answers was deleted.",
            Refusal::UnknownParent => "What it answers does not exist.",
            Refusal::Closed => "The community is closed.",
            Refusal::Suspended => "This account is suspended.",
        }),
    }
}

async fn sandbox_page(shared: Shelf) -> Response {
    let world = shared.world();
    let mut planned: Vec<String> = world.faults.writes.iter().map(|fault| format!("write: {fault:?}")).collect();
    planned.extend(world.faults.reads.iter().map(|fault| format!("read: {fault:?}")));
    planned.extend(world.faults.ai.iter().map(|fault| format!("model: {fault:?}")));
    let mixes = [
        ("write", world.faults.write_mix.as_ref().map(Mix::kinds)),
        ("read", world.faults.read_mix.as_ref().map(Mix::kinds)),
    ];
    let drawn = mixes.iter().filter_map(|(what, kinds)| Some((what, (*kinds)?)));
    planned.extend(drawn.map(|(what, kinds)| format!("each {what} draws from {kinds} kinds of faults")));
    if let Some(hold) = world.faults.hold() {
        planned.push(format!("writes are held ({:?}), {} so far", hold.point, hold.arrived_count()));
    }
    let journal = world.journal.iter().rev().take(50).map(|entry| {
        let at = entry.at.format(&Rfc3339).unwrap_or_default();
        let what = format!("{} {}", entry.effect, entry.thing.as_deref().unwrap_or_default());
        (at, what, entry.account.clone().unwrap_or_default())
    });
    let page = SandboxPage {
        now: world.now().format(&Rfc3339).unwrap_or_default(),
        fixed: matches!(world.clock, crate::Clock::Fixed(_)),
        planned,
        prepared: world.prepared.len(),
        requests: world.requests.iter().map(|(route, count)| (route.clone(), *count)).collect(),
        journal: journal.collect(),
    };
    show(StatusCode::OK, &page)
}

#[derive(Deserialize)]
struct Act {
    act: String,
}

/// The few acts that the page offers; everything else is asked for below `/control`.
async fn sandbox_act(State(shared): Shelf, Form(form): Form<Act>) -> Response {
    let control = Control::new(shared);
    match form.act.as_str() {
        "trickle" => drop(control.trickle_once()),
        "rate_limited" => control.plan_write(vec![WriteFault::RateLimited { secs: 540 }]),
        "done_then_dropped" => control.plan_write(vec![WriteFault::DoneThenDropped]),
        "server_error" => control.plan_write(vec![WriteFault::ServerErrorBefore]),
        "refuse_locked" => control.plan_write(vec![WriteFault::Refuse { code: "THREAD_LOCKED".to_owned() }]),
        "read_503" => control.plan_reads(vec![ReadFault::Html { code: 503 }]),
        "ai_503" => control.plan_ai(vec![AiFault::Status { code: 503 }]),
        "expire_tokens" => control.expire_tokens(),
        "revoke_tokens" => control.revoke_tokens(),
        "clear" => control.clear_faults(),
        "hour" => drop(control.advance(Duration::from_secs(3600))),
        _ => return StatusCode::BAD_REQUEST.into_response(),
    }
    Redirect::to("/sandbox").into_response()
}
