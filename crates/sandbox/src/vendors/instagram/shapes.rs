//! The JSON shapes of Graph nodes. A field that a node does not have fails the whole request, as on the real platform.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::fields::Field;
use super::store::{Comment, Media};
use super::{Caller, GraphProblem};
use crate::world::World;

type Shape = Result<Value, GraphProblem>;

fn time(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+0000");
    at.format(form).unwrap_or_default()
}

fn unknown(field: &Field, node: &str) -> GraphProblem {
    GraphProblem::new(
        400,
        100,
        None,
        &format!("(#100) Tried accessing nonexisting field ({}) on node type ({node})", field.name),
    )
}

/// `id` stands in every answer, asked for or not.
fn with_id(id: &str) -> Map<String, Value> {
    Map::from_iter([("id".to_owned(), json!(id))])
}

pub(super) fn user(world: &World, caller: &Caller, fields: &[Field]) -> Shape {
    let (store, username) = (&world.instagram, caller.account.as_str());
    let account = store.account(username).ok_or_else(GraphProblem::gone)?;
    let mut node = with_id(&account.scoped_id);
    for field in fields {
        let value = match field.name.as_str() {
            "id" => continue,
            "user_id" => json!(account.id),
            "username" => json!(account.username),
            "name" => json!(account.username),
            "account_type" => json!("BUSINESS"),
            "media_count" => {
                json!(store.media.iter().filter(|media| media.owner == username && !media.deleted).count())
            }
            "followers_count" => json!(512),
            // Told to those whom they name, by Facebook Login.
            "mentioned_comment" if caller.by_facebook => {
                let told = field.about.as_deref().and_then(|id| store.comment(id));
                let told = told.filter(|item| !item.deleted && names(&item.text, username));
                comment(world, caller, told.ok_or_else(GraphProblem::gone)?, &field.inner)?
            }
            "mentioned_media" if caller.by_facebook => {
                let told = field.about.as_deref().and_then(|id| store.media(id));
                let told = told.filter(|item| names(&item.caption, username));
                media(world, caller, told.ok_or_else(GraphProblem::gone)?, &field.inner)?
            }
            "profile_picture_url" => json!("https://cdn.example/p.jpg"),
            _ => return Err(unknown(field, "IGUser")),
        };
        node.insert(field.name.clone(), value);
    }
    Ok(Value::Object(node))
}

pub(super) fn names(text: &str, username: &str) -> bool {
    text.contains(&format!("@{username}"))
}

/// Comments that a reader sees under a medium (`parent` None) or a top-level comment.
pub(super) fn visible<'a>(world: &'a World, caller: &Caller, media: &str, parent: Option<&str>) -> Vec<&'a Comment> {
    let seen = |comment: &&Comment| {
        let waits = comment.hidden_until.is_some_and(|until| until > caller.now);
        let too_new = caller.as_of.is_some_and(|as_of| comment.created_at > as_of);
        comment.media == media && comment.parent.as_deref() == parent && !comment.deleted && !waits && !too_new
    };
    world.instagram.comments.iter().filter(seen).collect()
}

pub(super) fn media(world: &World, caller: &Caller, media: &Media, fields: &[Field]) -> Shape {
    let store = &world.instagram;
    let mut node = with_id(&media.id);
    for field in fields {
        let value = match field.name.as_str() {
            "id" => continue,
            // Absent where there is none.
            "caption" if media.caption.is_empty() => continue,
            "caption" => json!(media.caption),
            "media_type" => json!(if media.live { "BROADCAST" } else { "IMAGE" }),
            "media_product_type" => json!(if media.live { "LIVE" } else { "FEED" }),
            "permalink" => json!(format!("{}/p/{}/", caller.site, media.shortcode)),
            "shortcode" => json!(media.shortcode),
            "timestamp" => json!(time(media.created_at)),
            "username" => json!(media.owner),
            "comments_count" => {
                let comments = store.comments.iter().filter(|comment| comment.media == media.id && !comment.deleted);
                let waits = |comment: &&Comment| comment.hidden_until.is_none_or(|until| until <= caller.now);
                json!(comments.filter(waits).count())
            }
            "like_count" => json!(3),
            "is_comment_enabled" => json!(media.comments_enabled),
            "media_url" | "thumbnail_url" => json!("https://cdn.example/m.jpg"),
            "owner" => json!({"id": store.account(&media.owner).map(|account| &account.id)}),
            "comments" => {
                let list = visible(world, caller, &media.id, None);
                let nodes = list.iter().rev().take(field.limit.unwrap_or(25));
                edge(nodes.map(|item| comment(world, caller, item, &field.inner)))?
            }
            _ => return Err(unknown(field, "IGMedia")),
        };
        node.insert(field.name.clone(), value);
    }
    Ok(Value::Object(node))
}

fn edge(nodes: impl Iterator<Item = Shape>) -> Shape {
    Ok(json!({"data": nodes.collect::<Result<Vec<_>, _>>()?}))
}

pub(super) fn comment(world: &World, caller: &Caller, item: &Comment, fields: &[Field]) -> Shape {
    let store = &world.instagram;
    let author_id = store.account(&item.author).map(|account| account.id.as_str());
    let defaults: Vec<Field>;
    let fields = if fields.is_empty() {
        defaults = super::fields::parse("id,text,timestamp").unwrap_or_default();
        &defaults
    } else {
        fields
    };
    let mut node = with_id(&item.id);
    for field in fields {
        let value = match field.name.as_str() {
            "id" => continue,
            "text" => json!(item.text),
            "timestamp" => json!(time(item.created_at)),
            "username" => json!(item.author),
            "from" => json!({"id": author_id, "username": item.author}),
            // Only on what the caller wrote itself.
            "user" if item.author == caller.account => json!({"id": author_id}),
            "user" => continue,
            "hidden" => json!(item.hidden),
            "like_count" => json!(0),
            "parent_id" => match &item.parent {
                Some(parent) => json!(parent),
                None => continue,
            },
            "media" => json!({"id": item.media}),
            "legacy_instagram_comment_id" => json!(item.legacy_id),
            "replies" => {
                let list = visible(world, caller, &item.media, Some(&item.id));
                if list.is_empty() {
                    continue;
                }
                let limit = field.limit.unwrap_or(25);
                let shown = edge(list.iter().take(limit).map(|reply| comment(world, caller, reply, &field.inner)))?;
                with_paging(shown, list.len() > limit, limit, "replies")
            }
            _ => return Err(unknown(field, "IGComment")),
        };
        node.insert(field.name.clone(), value);
    }
    Ok(Value::Object(node))
}

/// Cursors stand there also where the page is the last; `next` does not.
pub(super) fn with_paging(mut list: Value, more: bool, end: usize, next: &str) -> Value {
    let after = format!("QVFI{end}");
    list["paging"] = json!({"cursors": {"before": "QVFI0", "after": after}});
    if more {
        list["paging"]["next"] = json!(format!("https://graph.example/{next}?access_token=SECRET&after={after}"));
    }
    list
}
