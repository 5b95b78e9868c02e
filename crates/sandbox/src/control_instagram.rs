//! The control handle's part for Instagram. Ids are the platform's; methods that take one panic where it does not exist, routes for other
//! processes answer 404.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::vendors::instagram::store::{Comment, LONG_LIFE, SharedPages};
use crate::{Control, Shared};

/// A comment on Instagram as it really is.
#[derive(Clone, Debug, Serialize)]
pub struct InstagramComment {
    pub id: String,
    /// As addresses of the site name it.
    pub legacy_id: String,
    pub media: String,
    /// The top-level comment that it stands under.
    pub parent: Option<String>,
    pub author: String,
    pub text: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    pub hidden: bool,
    pub deleted: bool,
}

impl From<&Comment> for InstagramComment {
    fn from(comment: &Comment) -> Self {
        Self {
            id: comment.id.clone(),
            legacy_id: comment.legacy_id.clone(),
            media: comment.media.clone(),
            parent: comment.parent.clone(),
            author: comment.author.clone(),
            text: comment.text.clone(),
            created_at: comment.created_at,
            hidden: comment.hidden,
            deleted: comment.deleted,
        }
    }
}

impl Control {
    /// Makes a professional account unless it exists. Returns its id, as webhooks name it.
    pub fn instagram_account(&self, username: &str) -> String {
        self.shared().world().instagram.ensure_account(username).id
    }

    /// What the app alone knows the account by, as callbacks name it.
    pub fn instagram_scoped_id(&self, username: &str) -> String {
        self.shared().world().instagram.ensure_account(username).scoped_id
    }

    /// A post with a picture. Returns its id.
    pub fn instagram_media(&self, owner: &str, caption: &str) -> String {
        let mut world = self.shared().world();
        let at = world.now();
        world.instagram.add_media(owner, caption, at)
    }

    /// Comments on a post or comment, even where the platform would refuse it. Returns the id.
    pub fn instagram_comment(&self, author: &str, target: &str, text: &str) -> String {
        let mut world = self.shared().world();
        let at = world.now();
        world.instagram.add_comment(author, target, text, at).expect("the target exists in this sandbox")
    }

    /// All comments directly below a post (top level) or below a comment, oldest first, whatever became of them.
    pub fn instagram_under(&self, target: &str) -> Vec<InstagramComment> {
        let world = self.shared().world();
        let below = |comment: &&Comment| match &comment.parent {
            Some(parent) => parent == target,
            None => comment.media == target,
        };
        world.instagram.comments.iter().filter(below).map(InstagramComment::from).collect()
    }

    /// Everything that an account wrote, oldest first.
    pub fn instagram_by(&self, author: &str) -> Vec<InstagramComment> {
        let world = self.shared().world();
        world.instagram.comments.iter().filter(|comment| comment.author == author).map(InstagramComment::from).collect()
    }

    pub fn instagram_delete(&self, id: &str) {
        self.change_instagram(id, |comment| comment.deleted = true);
    }

    pub fn instagram_hide(&self, id: &str, hidden: bool) {
        self.change_instagram(id, |comment| comment.hidden = hidden);
    }

    fn change_instagram(&self, id: &str, change: impl FnOnce(&mut Comment)) {
        change(self.shared().world().instagram.comment_mut(id).expect("the comment exists in this sandbox"));
    }

    /// Turns comments under a post on or off.
    pub fn instagram_close(&self, media: &str, closed: bool) {
        let mut world = self.shared().world();
        let media = world.instagram.media.iter_mut().find(|known| known.id == media);
        media.expect("the post exists in this sandbox").comments_enabled = !closed;
    }

    /// A code as the consent page would hand it out.
    pub fn instagram_code(&self, username: &str, redirect_uri: &str, scopes: &str) -> String {
        let mut world = self.shared().world();
        world.instagram.ensure_account(username);
        let now = world.now();
        let scopes: Vec<String> = scopes.split([',', ' ']).map(str::to_owned).collect();
        world.instagram.grant_code(username, redirect_uri, &scopes, now)
    }

    /// A Facebook Page, to which an account may be linked. Returns its id.
    pub fn facebook_page(&self, name: &str, account: Option<&str>) -> String {
        self.shared().world().instagram.add_page(name, account)
    }

    /// A code as Facebook's consent page would hand it out for these Pages.
    pub fn facebook_code(&self, pages: &[String], redirect_uri: &str, scopes: &str) -> String {
        let mut world = self.shared().world();
        let now = world.now();
        let scopes: Vec<String> = scopes.split([',', ' ']).map(str::to_owned).collect();
        let shared = SharedPages { client_id: "sandbox-client".to_owned(), pages: pages.to_vec() };
        world.instagram.facebook_code(shared, redirect_uri, &scopes, now)
    }

    /// A long-lived token without the consent page.
    pub fn instagram_token(&self, username: &str, scopes: &str) -> String {
        let mut world = self.shared().world();
        world.instagram.ensure_account(username);
        let now = world.now();
        let scopes: Vec<String> = scopes.split([',', ' ']).map(str::to_owned).collect();
        world.instagram.issue(username, &scopes, LONG_LIFE, now)
    }

    /// Every token is dead, for the reason that this subcode of 190 names.
    pub fn instagram_kill_tokens(&self, subcode: u32) {
        self.shared().world().instagram.kill_all(subcode);
    }

    /// From now on the headers tell this percent; over 100 is refused. None: as it was called.
    pub fn instagram_usage(&self, percent: Option<u32>) {
        self.shared().world().instagram_calls.usage = percent;
    }

    /// From now on tokens can neither be exchanged nor renewed, and why is not told.
    pub fn plan_token_trouble(&self, trouble: bool) {
        self.shared().world().instagram_calls.token_trouble = trouble;
    }

    /// Fields that the account's events are sent for.
    pub fn instagram_subscribed(&self, username: &str) -> Vec<String> {
        let world = self.shared().world();
        world.instagram.subscribed.get(username).into_iter().flatten().cloned().collect()
    }

    /// Life of a token that lasts.
    pub fn instagram_token_life() -> Duration {
        LONG_LIFE
    }
}

type World = State<Arc<Shared>>;
type Fields = HashMap<String, String>;
type Answer = Result<Json<Value>, StatusCode>;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/instagram/media", post(add_media))
        .route("/instagram/comments", get(comments).post(add_comment))
        .route("/instagram/close", post(close))
        .route("/instagram/tokens", post(token))
}

fn field<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, StatusCode> {
    fields.get(name).map(String::as_str).ok_or(StatusCode::UNPROCESSABLE_ENTITY)
}

fn control(world: &World) -> Control {
    Control::new(world.0.clone())
}

fn known(world: &World, id: &str) -> Result<(), StatusCode> {
    let world = world.0.world();
    let known = world.instagram.comment(id).is_some() || world.instagram.media(id).is_some();
    if known { Ok(()) } else { Err(StatusCode::NOT_FOUND) }
}

async fn add_media(world: World, Json(fields): Json<Fields>) -> Answer {
    let id = control(&world).instagram_media(field(&fields, "owner")?, field(&fields, "caption")?);
    Ok(Json(json!({"id": id})))
}

async fn comments(world: World, Query(fields): Query<Fields>) -> Answer {
    Ok(Json(json!(control(&world).instagram_under(field(&fields, "under")?))))
}

async fn add_comment(world: World, Json(fields): Json<Fields>) -> Answer {
    let [author, target, text] = ["author", "target", "text"].map(|name| field(&fields, name));
    known(&world, target?)?;
    Ok(Json(json!({"id": control(&world).instagram_comment(author?, target?, text?)})))
}

async fn close(world: World, Json(fields): Json<Fields>) -> Answer {
    let id = field(&fields, "media")?;
    world.0.world().instagram.media(id).ok_or(StatusCode::NOT_FOUND)?;
    control(&world).instagram_close(id, true);
    Ok(Json(json!({})))
}

async fn token(world: World, Json(fields): Json<Fields>) -> Answer {
    let (account, scopes) = (field(&fields, "account")?, field(&fields, "scope")?);
    let (access_token, id) =
        (control(&world).instagram_token(account, scopes), control(&world).instagram_account(account));
    Ok(Json(json!({"access_token": access_token, "id": id})))
}
