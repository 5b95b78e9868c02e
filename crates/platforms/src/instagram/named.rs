//! Reading what a webhook only named: a comment with the post that it stands under, or a post alone. A mention may stand on somebody else's
//! post (`mentions`).

use super::{Api, mentions, readback, wire};
use crate::error::{FetchError, Scope};
use crate::types::{InboundItem, KnownPosts, Named, Session};
use serde_json::Value;

pub(super) async fn read(
    api: &Api,
    session: &Session,
    named: &Named,
    known: &KnownPosts,
) -> Result<Vec<InboundItem>, FetchError> {
    if named.mention {
        // Under our own post it is a comment like any other.
        return match plain(api, session, named, known).await {
            Err(FetchError::Refused { scope: Scope::Item, .. }) => mentions::read(api, session, named).await,
            read => read,
        };
    }
    plain(api, session, named, known).await
}

async fn plain(
    api: &Api,
    session: &Session,
    named: &Named,
    known: &KnownPosts,
) -> Result<Vec<InboundItem>, FetchError> {
    let comment = match &named.comment_id {
        Some(id) => {
            let read = readback::node(api, session, id, wire::COMMENT_FIELDS).await?;
            Some(read.ok_or_else(|| gone("the comment is gone"))?)
        }
        None => None,
    };
    // Of an ad the comment names the copy; who asks with the original knows better.
    let told = comment.as_ref().and_then(|comment| wire::id_of(comment, "media"));
    let post_id = named.post_id.clone().or(told).ok_or_else(|| gone("nobody says which post it stands under"))?;
    if let Some((permalink, comment)) = known.get(&post_id).zip(comment.as_ref()) {
        let place = wire::PostRef { id: &post_id, permalink: permalink.as_ref() };
        let comment = wire::comment(comment, &place, None, &session.account).map_err(FetchError::Unavailable)?;
        return Ok(vec![InboundItem::Comment(comment)]);
    }
    let post = readback::node(api, session, &post_id, wire::MEDIA_FIELDS).await?;
    let post = post.ok_or_else(|| gone("the post is gone"))?;
    items(session, &post_id, &post, comment.as_ref()).map_err(FetchError::Unavailable)
}

fn items(session: &Session, post_id: &str, post: &Value, comment: Option<&Value>) -> Result<Vec<InboundItem>, String> {
    let media = wire::media(post, &session.account)?;
    let place = wire::PostRef { id: post_id, permalink: media.post.permalink.as_ref() };
    let comment = comment.map(|data| wire::comment(data, &place, None, &session.account)).transpose()?;
    let items = comment.map(InboundItem::Comment);
    Ok(std::iter::once(InboundItem::Post(media.post)).chain(items).collect())
}

fn gone(reason: &str) -> FetchError {
    FetchError::Refused { code: "NOT_READABLE".to_owned(), reason: reason.to_owned(), scope: Scope::Item }
}

#[cfg(test)]
mod tests {
    use super::super::wire_tests::account;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_comment_comes_with_its_post() {
        let session = Session { account: account(), access_token: "t".into() };
        let post = json!({"id": "7", "timestamp": "2020-02-24T09:15:16+0000", "caption": "Hi"});
        let comment = json!({"id": "5", "timestamp": "2020-02-24T09:15:16+0000", "text": "x", "media": {"id": "7"}});
        assert_eq!(items(&session, "7", &post, Some(&comment)).unwrap().len(), 2);
        assert!(items(&session, "7", &json!({"id": "7"}), None).is_err(), "a post without a time");
    }
}
