//! From an address that a person copied to the comment behind it. Addresses of the site carry the older ids of comments, so the comment
//! is looked for among our own answers to the target; the comment itself says who wrote it.

use super::mentions::{self, Thing};
use super::{Api, readback, wire};
use crate::error::FetchError;
use crate::types::{InboundComment, ReplyAt, Session};
use url::Url;

const HOW: &str = "copy the link of the reply itself: it holds /c/ and the reply's number";

pub(super) async fn reply_at(
    api: &Api,
    session: &Session,
    address: &Url,
    target_id: &str,
) -> Result<ReplyAt, FetchError> {
    let id = match comment_id(address) {
        Ok(id) => id,
        Err(reason) => return Ok(ReplyAt::NoReply(reason)),
    };
    if let Some(mention) = Thing::mention(target_id) {
        return Ok(ReplyAt::Ours(mentions::told_at(&mention, &id, address)));
    }
    let Some(replies) = readback::replies_to(api, session, target_id).await? else {
        return Ok(ReplyAt::NoReply("leads nowhere: the comment that it answers is gone".to_owned()));
    };
    Ok(match replies.iter().find(|reply| is_named(reply, &id)) {
        Some(reply) => ReplyAt::Ours(wire::found(reply)),
        None => ReplyAt::NotOurs(format!("leads to no answer of {} to this comment", session.account.name)),
    })
}

/// By its id of today or by the one that addresses carry.
fn is_named(reply: &InboundComment, id: &str) -> bool {
    let segments = reply.permalink.as_ref().and_then(Url::path_segments);
    reply.id == id || segments.is_some_and(|mut segments| segments.any(|segment| segment == id))
}

/// The number of the last comment that the address names: `/p/{code}/c/{comment}/r/{reply}/`.
fn comment_id(address: &Url) -> Result<String, String> {
    let segments: Vec<&str> = address.path_segments().map(Iterator::collect).unwrap_or_default();
    let named = segments.windows(2).rev().find(|pair| matches!(pair[0], "c" | "r") && wire::is_id(pair[1]));
    named.map(|pair| pair[1].to_owned()).ok_or_else(|| format!("names no comment: {HOW}"))
}
