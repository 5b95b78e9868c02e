//! Reading what an event only named: a post, and the first post of its conversation, which says whether it stands under one of ours.

use super::{Api, calls, readback};
use crate::error::{FetchError, Scope};
use crate::types::{InboundItem, Named, Session};

pub(super) async fn read(api: &Api, session: &Session, named: &Named) -> Result<Vec<InboundItem>, FetchError> {
    let (site, account) = (&api.config.auth_base, &session.account);
    let gone = || calls::refusal("gone", "the post is gone, or closed to us".to_owned(), Scope::Item);
    let comment = match &named.comment_id {
        Some(id) => Some(readback::one(api, session, calls::checked(id)?).await?.ok_or_else(gone)?),
        None => None,
    };
    let root_id = named.post_id.clone().or_else(|| comment.as_ref().and_then(|tweet| tweet.conversation_id.clone()));
    let Some(root_id) = root_id else { return Err(gone()) };
    let root = match &comment {
        Some(tweet) if tweet.is_root() => None,
        _ => readback::one(api, session, calls::checked(&root_id)?).await?,
    };
    let Some(comment) = comment else {
        return Ok(vec![InboundItem::Post(root.ok_or_else(gone)?.into_post(site, account).ok_or_else(gone)?)]);
    };
    // Under a post of ours it is a comment; in a conversation of others it stands for itself.
    let root = root.filter(|root| root.is_by(account)).and_then(|root| root.into_post(site, account));
    let Some(root) = root else {
        return Ok(vec![InboundItem::Post(comment.into_post(site, account).ok_or_else(gone)?)]);
    };
    let comment = comment.into_comment(root.id.clone(), site, account).ok_or_else(gone)?;
    Ok(vec![InboundItem::Post(root), InboundItem::Comment(comment)])
}
