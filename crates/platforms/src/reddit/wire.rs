//! Reddit's JSON as plain values. Members come and go with the age of a thing, numbers and ids arrive now and then as
//! another type, so every member is optional and a thing is refused only where it has no id, parent or time.

use crate::types::{Account, FoundReply, InboundComment, InboundPost, Standing};
use serde_json::Value;
use time::OffsetDateTime;
use unicode_normalization::UnicodeNormalization;
use url::Url;

/// Texts that stand in the place of one that is gone.
const GONE: [&str; 3] = ["[deleted]", "[removed]", "[ Removed by Reddit ]"];

pub(super) fn text<'a>(data: &'a Value, key: &str) -> Option<&'a str> {
    data.get(key)?.as_str()
}

pub(super) fn number(data: &Value, key: &str) -> Option<f64> {
    let value = data.get(key)?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n: &f64| n.is_finite())
}

fn flag(data: &Value, key: &str) -> bool {
    match data.get(key) {
        Some(Value::Bool(set)) => *set,
        Some(Value::String(set)) => set == "true",
        _ => false,
    }
}

/// Float epoch seconds. `edited` is `false` where it is not a time.
pub(super) fn time(data: &Value, key: &str) -> Option<OffsetDateTime> {
    let seconds = number(data, key).filter(|n| n.abs() < 1e12)?;
    OffsetDateTime::from_unix_timestamp_nanos((seconds * 1e6).round() as i128 * 1000).ok()
}

/// One page of a listing.
pub(super) struct Listing<'a> {
    pub children: &'a [Value],
    pub after: Option<&'a str>,
}

pub(super) fn listing(value: &Value) -> Option<Listing<'_>> {
    let data = value.get("data")?;
    let children = data.get("children")?.as_array()?;
    Some(Listing { children, after: text(data, "after").filter(|after| !after.is_empty()) })
}

pub(super) fn kind(thing: &Value) -> &str {
    text(thing, "kind").unwrap_or_default()
}

pub(super) fn data(thing: &Value) -> &Value {
    thing.get("data").unwrap_or(&Value::Null)
}

/// The base-36 part of a fullname of this kind ("t3_"), where it is one.
pub(super) fn bare<'a>(fullname: &'a str, prefix: &str) -> Option<&'a str> {
    fullname.strip_prefix(prefix).filter(|id| is_bare(id))
}

pub(super) fn is_bare(id: &str) -> bool {
    !id.is_empty() && id.len() <= 20 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// `name`, else `id` with or without its prefix.
pub(super) fn fullname(data: &Value, prefix: &str) -> Option<String> {
    let told = text(data, "name").or_else(|| text(data, "id"))?;
    let id = told.strip_prefix(prefix).unwrap_or(told);
    // Ids of the site are small letters and digits, however somebody wrote them.
    is_bare(id).then(|| format!("{prefix}{}", id.to_ascii_lowercase()))
}

pub(super) fn author_name(data: &Value) -> Option<&str> {
    text(data, "author").filter(|name| !name.is_empty() && *name != "[deleted]")
}

pub(super) fn author_id(data: &Value) -> Option<&str> {
    text(data, "author_fullname").filter(|id| bare(id, "t2_").is_some())
}

/// By id; old things carry only the name.
pub(super) fn is_by(account: &Account, id: Option<&str>, name: Option<&str>) -> bool {
    match (id, name) {
        (Some(id), _) => id == account.id,
        (None, Some(name)) => name.eq_ignore_ascii_case(&account.name),
        (None, None) => false,
    }
}

/// Only a path of the site itself becomes a link; anything else is dropped.
fn permalink(site: &Url, data: &Value) -> Option<Url> {
    let path = text(data, "permalink").filter(|path| path.starts_with('/') && !path.starts_with("//"))?;
    let link = site.join(path).ok()?;
    (link.origin() == site.origin()).then_some(link)
}

/// Comments of 2016 and before carry no permalink; theirs is made of the ids.
pub(super) fn comment_permalink(site: &Url, data: &Value, post_id: &str, id: &str) -> Option<Url> {
    permalink(site, data).or_else(|| {
        let (post, comment) = (bare(post_id, "t3_")?, bare(id, "t1_")?);
        site.join(&format!("/comments/{post}/_/{comment}/")).ok()
    })
}

/// A post together with the comment count that tells whether its tree changed.
pub(super) struct Post {
    pub post: InboundPost,
    pub comments: u64,
}

pub(super) fn post(thing: &Value, site: &Url, account: &Account) -> Result<Post, String> {
    let data = data(thing);
    let id = fullname(data, "t3_").ok_or("a post without a usable id")?;
    let created_at = time(data, "created_utc").ok_or_else(|| format!("post {id} without a time"))?;
    let (author_id, author_name) = author(data, account);
    let post = InboundPost {
        author_id,
        author_name,
        title: text(data, "title").map(str::to_owned),
        body: post_body(data).to_owned(),
        community: community(data),
        permalink: permalink(site, data),
        created_at,
        edited_at: time(data, "edited"),
        locked: is_locked(data),
        by_hand: None,
        id,
    };
    let comments = number(data, "num_comments").unwrap_or(0.0).max(0.0) as u64;
    Ok(Post { post, comments })
}

/// The text of a post; the address that it leads to where it has none.
pub(super) fn post_body(data: &Value) -> &str {
    let body = text(data, "selftext").filter(|body| !body.is_empty());
    body.or_else(|| text(data, "url").filter(|_| !flag(data, "is_self"))).unwrap_or_default()
}

fn community(data: &Value) -> Option<String> {
    let prefixed = text(data, "subreddit_name_prefixed").map(str::to_owned);
    prefixed.or_else(|| text(data, "subreddit").map(|name| format!("r/{name}")))
}

pub(super) fn is_locked(data: &Value) -> bool {
    flag(data, "locked") || flag(data, "archived")
}

/// The account's own things get its id even where the listing names no ids.
fn author(data: &Value, account: &Account) -> (Option<String>, Option<String>) {
    let (id, name) = (author_id(data), author_name(data));
    let id = if is_by(account, id, name) { Some(account.id.as_str()) } else { id };
    (id.map(str::to_owned), name.map(str::to_owned))
}

/// `post_id` is used where the comment does not name its post.
pub(super) fn comment(thing: &Value, post_id: &str, site: &Url, account: &Account) -> Result<InboundComment, String> {
    let data = data(thing);
    let id = fullname(data, "t1_").ok_or_else(|| format!("a comment without a usable id under {post_id}"))?;
    let created_at = time(data, "created_utc").ok_or_else(|| format!("comment {id} without a time"))?;
    let parent = text(data, "parent_id").ok_or_else(|| format!("comment {id} without a parent"))?.to_ascii_lowercase();
    let (author_id, author_name) = author(data, account);
    let link = text(data, "link_id").map(str::to_ascii_lowercase).filter(|link| bare(link, "t3_").is_some());
    let post_id = link.unwrap_or_else(|| post_id.to_owned());
    Ok(InboundComment {
        parent_comment_id: bare(&parent, "t1_").is_some().then_some(parent),
        permalink: comment_permalink(site, data, &post_id, &id),
        post_id,
        text: text(data, "body").unwrap_or_default().to_owned(),
        created_at,
        edited_at: time(data, "edited"),
        deleted: is_gone(data),
        by_hand: None,
        author_id,
        author_name,
        id,
    })
}

/// Neither an author nor a text. A deleted account alone leaves its texts standing.
pub(super) fn is_gone(data: &Value) -> bool {
    let body = text(data, "body").or_else(|| text(data, "selftext")).unwrap_or_default();
    author_name(data).is_none() && (body.is_empty() || GONE.contains(&body))
}

/// By whom a text was taken away, where it was: posts say it in a member of their own, comments only in their text.
pub(super) fn standing(data: &Value) -> Standing {
    let body = text(data, "body").or_else(|| text(data, "selftext")).unwrap_or_default();
    match text(data, "removed_by_category") {
        Some("deleted" | "author") => Standing::Deleted,
        Some(_) => Standing::Removed,
        None if !is_gone(data) => Standing::Here,
        None if body.is_empty() || body == GONE[0] => Standing::Deleted,
        None => Standing::Removed,
    }
}

pub(super) fn found(comment: &InboundComment) -> FoundReply {
    FoundReply { id: comment.id.clone(), permalink: comment.permalink.clone(), created_at: Some(comment.created_at) }
}

/// The form in which two texts are compared: the site trims and re-spaces, and old answers are escaped.
pub(super) fn normalised(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let composed: String = plain.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a refusal says about itself: (`reason` or `error_type`, readable text).
pub(super) fn refusal(body: Option<&Value>) -> (Option<String>, Option<String>) {
    let Some(body) = body else {
        return (None, None);
    };
    let first = |keys: &[&str]| keys.iter().find_map(|key| text(body, key)).filter(|text| !text.is_empty());
    let code = first(&["error_type", "reason"]).map(|code| shortened(code, 80));
    let words = first(&["explanation", "message", "error_description"]).map(|words| shortened(words, 300));
    (code, words)
}

/// At most `chars` characters.
pub(super) fn shortened(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}
