//! The JSON shapes of Reddit's things. Field names and oddities follow what the public API sends: times as floats,
//! `replies` as an empty string when there are none, null and false where a field has no meaning here.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::world::{Account, Comment, CommunityAccess, Message, Post, Shown, World};

/// Seconds since 1970 as a float with a zero behind the point.
pub(super) fn seconds(at: OffsetDateTime) -> Value {
    json!(at.unix_timestamp() as f64)
}

fn edited(at: Option<OffsetDateTime>) -> Value {
    at.map_or(Value::Bool(false), seconds)
}

/// Markdown as the vendor would render it, in the simplest possible way: escaped paragraphs.
fn to_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;");
    let paragraphs: Vec<String> = escaped.split("\n\n").map(|part| format!("<p>{}</p>", part.trim())).collect();
    format!("<!-- SC_OFF --><div class=\"md\">{}\n</div><!-- SC_ON -->", paragraphs.join("\n\n"))
}

pub(super) fn listing(children: Vec<Value>, after: Option<String>, before: Option<String>) -> Value {
    json!({"kind": "Listing", "data": {
        "modhash": null, "dist": children.len(), "children": children, "after": after, "before": before,
    }})
}

/// The author as others see it, and the fullname of the account behind it.
fn signature(world: &World, author: &str, shown: Shown) -> (Value, Value) {
    if shown != Shown::Whole {
        return (json!("[deleted]"), Value::Null);
    }
    let fullname = world.account(author).map(|account| format!("t2_{}", account.id));
    (json!(author), json!(fullname))
}

pub(super) fn post(world: &World, post: &Post, shown: Shown) -> Value {
    let community = &world.communities[post.community];
    let (author, author_fullname) = signature(world, &post.author, shown);
    let body = match shown {
        Shown::Whole => post.body.as_str(),
        Shown::Removed => "[removed]",
        Shown::Deleted | Shown::Absent => "[deleted]",
    };
    let permalink = world.permalink(post);
    // What is still hidden is not counted either, so the number changes when it appears.
    let now = world.now();
    let visible = |comment: &&Comment| comment.hidden_until.is_none_or(|until| until <= now);
    let below = world.comments.iter().filter(|comment| world.posts[comment.post].id == post.id);
    let num_comments = below.filter(visible).count();
    let mut data = json!({
        "id": post.id, "name": post.fullname(), "title": post.title, "selftext": body,
        "selftext_html": if body.is_empty() { Value::Null } else { json!(to_html(body)) },
        "author": author, "author_fullname": author_fullname,
        "subreddit": community.name, "subreddit_id": format!("t5_{}", community.id),
        "subreddit_name_prefixed": format!("r/{}", community.name), "subreddit_type": "public",
        "created": seconds(post.created_at), "created_utc": seconds(post.created_at), "edited": edited(post.edited_at),
        "permalink": permalink, "url": format!("https://www.reddit.com{permalink}"),
        "domain": format!("self.{}", community.name), "is_self": true,
        "num_comments": num_comments, "score": 1, "ups": 1, "downs": 0, "upvote_ratio": 1.0,
        "locked": post.locked, "archived": post.archived, "removed_by_category": null,
        "over_18": false, "spoiler": false, "stickied": false,
        "quarantine": community.access == CommunityAccess::Quarantined, "hidden": false,
        "pinned": false, "saved": false, "clicked": false, "visited": false, "contest_mode": false,
        "send_replies": true, "is_video": false, "is_original_content": false, "can_mod_post": false,
        "likes": null, "distinguished": null, "suggested_sort": null, "link_flair_text": null,
        "author_flair_text": null, "thumbnail": "self", "media": null, "secure_media": null,
    });
    match (shown, post.removed) {
        (Shown::Deleted, _) => data["removed_by_category"] = json!("deleted"),
        // The author sees the mark beside the text.
        (_, true) => data["removed_by_category"] = json!("moderator"),
        _ => {}
    }
    json!({"kind": "t3", "data": data})
}

/// A comment. `replies` is what stands below it: an empty string or a Listing.
pub(super) fn comment(world: &World, comment: &Comment, shown: Shown, depth: Option<usize>, replies: Value) -> Value {
    let post = &world.posts[comment.post];
    let community = &world.communities[post.community];
    let (author, author_fullname) = signature(world, &comment.author, shown);
    let body = match shown {
        Shown::Whole => comment.body.as_str(),
        Shown::Removed => "[removed]",
        Shown::Deleted | Shown::Absent => "[deleted]",
    };
    let mut data = json!({
        "id": comment.id, "name": comment.fullname(), "body": body, "body_html": to_html(body),
        "author": author, "author_fullname": author_fullname,
        "link_id": post.fullname(), "parent_id": comment.parent, "replies": replies,
        "subreddit": community.name, "subreddit_id": format!("t5_{}", community.id),
        "subreddit_name_prefixed": format!("r/{}", community.name), "subreddit_type": "public",
        "created": seconds(comment.created_at), "created_utc": seconds(comment.created_at),
        "edited": edited(comment.edited_at), "permalink": world.comment_permalink(comment),
        "is_submitter": shown == Shown::Whole && comment.author == post.author,
        "score": comment.score, "ups": comment.score, "downs": 0, "score_hidden": false, "controversiality": 0, "likes": null,
        "locked": false, "archived": post.archived, "stickied": false, "saved": false, "collapsed": false,
        "collapsed_reason": null, "send_replies": true, "can_mod_post": false, "gilded": 0, "distinguished": null,
        "author_flair_text": null, "removal_reason": null, "num_reports": null, "mod_reports": [], "user_reports": [],
    });
    if let Some(depth) = depth {
        data["depth"] = json!(depth);
    }
    json!({"kind": "t1", "data": data})
}

/// A comment in the own list of its author: with the title of the thread, without answers.
pub(super) fn comment_in_list(world: &World, item: &Comment, shown: Shown) -> Value {
    let post = &world.posts[item.post];
    let mut thing = comment(world, item, shown, None, json!(""));
    thing["data"]["link_title"] = json!(post.title);
    thing["data"]["link_author"] = json!(post.author);
    thing["data"]["link_permalink"] = json!(format!("https://www.reddit.com{}", world.permalink(post)));
    thing["data"]["num_comments"] = json!(world.comments.iter().filter(|other| other.post == item.post).count());
    thing
}

/// A comment as an entry of the inbox. `kind` is the vendor's word, such as `comment_reply`.
pub(super) fn inbox_comment(world: &World, comment: &Comment, kind: &str, unread: bool, dest: &str) -> Value {
    let post = &world.posts[comment.post];
    let community = &world.communities[post.community].name;
    let (author, author_fullname) = signature(world, &comment.author, Shown::Whole);
    let num_comments = world.comments.iter().filter(|other| other.post == comment.post).count();
    json!({"kind": "t1", "data": {
        "id": comment.id, "name": comment.fullname(), "type": kind, "subject": kind.replace('_', " "), "new": unread,
        "was_comment": true, "author": author, "author_fullname": author_fullname, "dest": dest,
        "body": comment.body, "body_html": to_html(&comment.body), "parent_id": comment.parent,
        "link_title": post.title, "subreddit": community, "subreddit_name_prefixed": format!("r/{community}"),
        "context": format!("{}?context=3", world.comment_permalink(comment)),
        "created": seconds(comment.created_at), "created_utc": seconds(comment.created_at),
        "num_comments": num_comments, "score": 1, "likes": null, "replies": "", "distinguished": null,
        "first_message": null, "first_message_name": null, "associated_awarding_id": null,
    }})
}

pub(super) fn message(world: &World, message: &Message, unread: bool) -> Value {
    let (author, author_fullname) = signature(world, &message.from, Shown::Whole);
    json!({"kind": "t4", "data": {
        "id": message.id, "name": format!("t4_{}", message.id), "type": "unknown", "subject": message.subject,
        "new": unread, "was_comment": false, "author": author, "author_fullname": author_fullname, "dest": message.to,
        "body": message.body, "body_html": to_html(&message.body), "parent_id": null, "context": "",
        "subreddit": null, "subreddit_name_prefixed": null, "num_comments": null, "score": 0, "likes": null,
        "created": seconds(message.created_at), "created_utc": seconds(message.created_at), "replies": "",
        "distinguished": null, "first_message": null, "first_message_name": null, "associated_awarding_id": null,
    }})
}

/// The account that holds the token: a flat object without kind.
pub(super) fn me(account: &Account, inbox_count: usize) -> Value {
    json!({
        "id": account.id, "name": account.name, "created": seconds(account.created_at),
        "created_utc": seconds(account.created_at), "is_suspended": account.suspended,
        "suspension_expiration_utc": null, "has_verified_email": true, "verified": true, "over_18": false,
        "link_karma": 512, "comment_karma": 2048, "total_karma": 2560, "is_mod": false, "is_gold": false,
        "has_mail": inbox_count > 0, "inbox_count": inbox_count, "icon_img": "", "is_employee": false,
        "oauth_client_id": crate::vendors::DEFAULT_CLIENT, "features": {}, "subreddit": null,
    })
}
