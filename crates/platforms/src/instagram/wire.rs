//! Meta's JSON as plain values. Ids arrive as text or number, members come and go with permissions and age, so every member is optional
//! and a thing is refused only where it has no id or time.

use crate::types::{Account, FoundReply, InboundComment, InboundPost};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use unicode_normalization::UnicodeNormalization;
use url::Url;

/// Everything that we read of a medium; then what is left when a field of it is refused.
pub(super) const MEDIA_FIELDS: [&str; 2] = [
    "id,caption,media_type,media_product_type,permalink,timestamp,username,comments_count,is_comment_enabled,owner{id}",
    "id,caption,media_type,permalink,timestamp,comments_count",
];
pub(super) const COMMENT_FIELDS: [&str; 2] = [
    "id,text,timestamp,username,from{id,username},user{id},hidden,parent_id,media{id},legacy_instagram_comment_id",
    "id,text,timestamp,username,parent_id,media{id}",
];
/// Top-level comments with the answers below them.
pub(super) const TREE_FIELDS: [&str; 2] = [
    "id,text,timestamp,username,from{id,username},user{id},hidden,legacy_instagram_comment_id,\
     replies.limit(50){id,text,timestamp,username,from{id,username},user{id},hidden,parent_id,legacy_instagram_comment_id}",
    "id,text,timestamp,username,replies.limit(50){id,text,timestamp,username}",
];

/// `2020-02-24T09:15:16+0000`: no colon in the offset, so it is no RFC 3339.
const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second][offset_hour sign:mandatory][offset_minute]");

pub(super) fn text<'a>(data: &'a Value, key: &str) -> Option<&'a str> {
    data.get(key)?.as_str()
}

pub(super) fn integer(data: &Value, key: &str) -> Option<i64> {
    let value = data.get(key)?;
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

pub(super) fn number(data: &Value, key: &str) -> Option<f64> {
    let value = data.get(key)?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n: &f64| n.is_finite())
}

pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 30 && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// An id as text; never through a float.
pub(super) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(id) if is_id(id) => Some(id.clone()),
        Value::Number(id) => id.as_u64().map(|id| id.to_string()),
        _ => None,
    }
}

pub(super) fn id_at(data: &Value, key: &str) -> Option<String> {
    id(data.get(key)?)
}

/// The id of a member that is an object: `"media": {"id": ..}`.
pub(super) fn id_of(data: &Value, key: &str) -> Option<String> {
    id_at(data.get(key)?, "id")
}

pub(super) fn timestamp(data: &Value, key: &str) -> Option<OffsetDateTime> {
    let told = text(data, key)?;
    let at = OffsetDateTime::parse(told, TIMESTAMP).or_else(|_| OffsetDateTime::parse(told, &Rfc3339)).ok()?;
    Some(at.to_offset(time::UtcOffset::UTC))
}

/// Where the next page begins. Without `next` the page was the last, even where cursors stand there.
pub(super) fn after(body: &Value) -> Option<String> {
    body.pointer("/paging/next")?.as_str()?;
    let after = body.pointer("/paging/cursors/after")?.as_str().filter(|after| !after.is_empty())?;
    Some(after.to_owned())
}

fn link(told: Option<&str>) -> Option<Url> {
    Url::parse(told?).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// A medium together with the comment count that tells whether its comments changed.
pub(super) struct Media {
    pub post: InboundPost,
    /// None where Meta does not tell.
    pub comments: Option<u64>,
}

/// A medium of the account itself, or of `owner` where it names another.
pub(super) fn media(data: &Value, account: &Account) -> Result<Media, String> {
    let id = id_at(data, "id").ok_or("a post without a usable id")?;
    let created_at = timestamp(data, "timestamp").ok_or_else(|| format!("post {id} without a time"))?;
    let username = text(data, "username");
    let foreign = username.is_some_and(|name| !name.eq_ignore_ascii_case(&account.name))
        && id_of(data, "owner").is_none_or(|owner| owner != account.id);
    let live = text(data, "media_product_type") == Some("LIVE") || text(data, "media_type") == Some("BROADCAST");
    let closed = data.get("is_comment_enabled").and_then(Value::as_bool) == Some(false);
    let post = InboundPost {
        by_hand: None,
        author_id: if foreign { id_of(data, "owner") } else { Some(account.id.clone()) },
        author_name: Some(username.unwrap_or(&account.name).to_owned()),
        title: None,
        body: text(data, "caption").unwrap_or_default().to_owned(),
        community: None,
        permalink: link(text(data, "permalink")),
        created_at,
        edited_at: None,
        // Nobody can reply under a broadcast through the API.
        locked: live || closed,
        id,
    };
    Ok(Media { post, comments: number(data, "comments_count").map(|n| n.max(0.0) as u64) })
}

/// Who wrote it, as far as Meta tells: `user` stands only on the account's own comments.
pub(super) fn author(data: &Value, account: &Account) -> (Option<String>, Option<String>) {
    let from = data.get("from").unwrap_or(&Value::Null);
    let id = id_at(from, "id");
    let name = text(from, "username").or_else(|| text(data, "username")).filter(|name| !name.is_empty());
    let named_as_us = name.is_some_and(|name| name.eq_ignore_ascii_case(&account.name));
    let marked_as_us = from.get("self_ig_scoped_id").is_some_and(|id| !id.is_null()) || data.get("user").is_some();
    let ours = marked_as_us || id.as_deref() == Some(&account.id) || (id.is_none() && named_as_us);
    (if ours { Some(account.id.clone()) } else { id }, name.map(str::to_owned))
}

/// Whether anything tells who wrote it.
pub(super) fn is_authorless(comment: &InboundComment) -> bool {
    comment.author_id.is_none() && comment.author_name.is_none()
}

pub(super) fn is_by(account: &Account, comment: &InboundComment) -> bool {
    match (&comment.author_id, &comment.author_name) {
        (Some(id), _) => *id == account.id,
        (None, Some(name)) => name.eq_ignore_ascii_case(&account.name),
        (None, None) => false,
    }
}

/// `parent` and `post` are used where the comment does not name its own.
pub(super) fn comment(
    data: &Value,
    post: &PostRef<'_>,
    parent: Option<&str>,
    account: &Account,
) -> Result<InboundComment, String> {
    let id = id_at(data, "id").ok_or_else(|| format!("a comment without a usable id under {}", post.id))?;
    let created_at = timestamp(data, "timestamp").ok_or_else(|| format!("comment {id} without a time"))?;
    let (author_id, author_name) = author(data, account);
    Ok(InboundComment {
        by_hand: None,
        post_id: post.id.to_owned(),
        parent_comment_id: id_at(data, "parent_id").or_else(|| parent.map(str::to_owned)),
        permalink: comment_permalink(post.permalink, data),
        text: text(data, "text").unwrap_or_default().to_owned(),
        created_at,
        edited_at: None,
        deleted: false,
        author_id,
        author_name,
        id,
    })
}

/// The medium that comments stand under.
#[derive(Clone, Copy)]
pub(super) struct PostRef<'a> {
    pub id: &'a str,
    pub permalink: Option<&'a Url>,
}

/// The site knows comments by their older ids.
fn comment_permalink(post: Option<&Url>, data: &Value) -> Option<Url> {
    let legacy = id_at(data, "legacy_instagram_comment_id")?;
    let mut url = post?.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(["c", &legacy, ""]);
    Some(url)
}

/// The answers that came with a top-level comment, and whether there are more.
pub(super) fn replies(data: &Value) -> (&[Value], bool) {
    let Some(replies) = data.get("replies") else { return (&[], false) };
    let items = replies.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    (items, after(replies).is_some())
}

pub(super) fn is_hidden(data: &Value) -> bool {
    data.get("hidden").and_then(Value::as_bool) == Some(true)
}

pub(super) fn found(comment: &InboundComment) -> FoundReply {
    FoundReply { id: comment.id.clone(), permalink: comment.permalink.clone(), created_at: Some(comment.created_at) }
}

/// The form in which two texts are compared: the site trims and re-spaces.
pub(super) fn normalised(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most `chars` characters.
pub(super) fn shortened(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}
