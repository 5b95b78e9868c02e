//! Where others name the account under posts of their own. Such things are told through our account alone, so their ids say what they are:
//! `mention-{media}`, `mention-{media}-{comment}`, and `mention-{media}-own-{comment}` for what we answered. Facebook Login only: by
//! Instagram Login they come among the comments. What stands under a post of others cannot be listed: a reply of unknown outcome is a
//! person's business. Sources: Meta's pages "Mentions" and "IG User Mentions".

use super::access::Access;
use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{FoundReply, InboundItem, InboundPost, Named, Session, Standing, ThingState};
use serde_json::Value;
use url::Url;

const MARK: &str = "mention-";
const COMMENT: [&str; 2] = ["id,text,timestamp,username,media{id}", "id,text,timestamp,username"];
const MEDIA: [&str; 2] = ["id,caption,media_type,timestamp,username,owner{id}", "id,caption,media_type,timestamp"];

/// Something of others that names us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mention<'a> {
    pub media_id: &'a str,
    pub comment_id: Option<&'a str>,
}

/// What a marked id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing<'a> {
    Mention(Mention<'a>),
    /// What we answered there.
    Ours,
}

impl<'a> Thing<'a> {
    pub(super) fn of(id: &'a str) -> Option<Self> {
        let parts: Vec<&str> = id.strip_prefix(MARK)?.split('-').collect();
        match parts.as_slice() {
            [media] if wire::is_id(media) => Some(Self::Mention(Mention { media_id: media, comment_id: None })),
            [media, comment] if wire::is_id(media) && wire::is_id(comment) => {
                Some(Self::Mention(Mention { media_id: media, comment_id: Some(comment) }))
            }
            [media, "own", comment] if wire::is_id(media) && wire::is_id(comment) => Some(Self::Ours),
            _ => None,
        }
    }

    pub(super) fn mention(id: &'a str) -> Option<Mention<'a>> {
        match Self::of(id) {
            Some(Self::Mention(mention)) => Some(mention),
            _ => None,
        }
    }
}

pub(super) fn own_id(mention: &Mention<'_>, comment_id: &str) -> String {
    format!("{MARK}{}-own-{comment_id}", mention.media_id)
}

/// What a webhook named. A comment comes with an empty place, because the post itself is told only to those whom its caption names.
pub(super) async fn read(api: &Api, session: &Session, named: &Named) -> Result<Vec<InboundItem>, FetchError> {
    let by_facebook = Access::of(&api.config, &session.access_token).is_ok_and(|access| access.marked.is_some());
    if !by_facebook {
        return Err(gone("mentions are not read with this kind of login"));
    }
    let media_id = named.post_id.as_deref().ok_or_else(|| gone("nobody says which post it stands under"))?;
    let mention = Mention { media_id, comment_id: named.comment_id.as_deref() };
    let data = node(api, session, mention).await?.ok_or_else(|| gone("the mention is gone"))?;
    items(session, mention, &data).map_err(FetchError::Unavailable)
}

fn items(session: &Session, mention: Mention<'_>, data: &Value) -> Result<Vec<InboundItem>, String> {
    let post_id = format!("{MARK}{}", mention.media_id);
    let Some(comment_id) = mention.comment_id else {
        let media = wire::media(data, &session.account)?;
        let author_name = wire::text(data, "username").map(str::to_owned);
        let post = InboundPost { id: post_id, author_id: wire::id_of(data, "owner"), author_name, ..media.post };
        return Ok(vec![InboundItem::Post(post)]);
    };
    let place = wire::PostRef { id: &post_id, permalink: None };
    let mut comment = wire::comment(data, &place, None, &session.account)?;
    comment.id = format!("{post_id}-{comment_id}");
    comment.parent_comment_id = None;
    let place = InboundPost {
        id: post_id,
        author_id: None,
        author_name: None,
        title: None,
        body: String::new(),
        community: None,
        permalink: None,
        created_at: comment.created_at,
        edited_at: None,
        locked: false,
        by_hand: None,
    };
    Ok(vec![InboundItem::Thread(place), InboundItem::Comment(comment)])
}

/// The thing as it is told through our account. None: it is gone, or names us no more.
pub(super) async fn node(api: &Api, session: &Session, mention: Mention<'_>) -> Result<Option<Value>, FetchError> {
    let (edge, argument, id, lists) = match mention.comment_id {
        Some(comment_id) => ("mentioned_comment", "comment_id", comment_id, COMMENT),
        None => ("mentioned_media", "media_id", mention.media_id, MEDIA),
    };
    let (id, account) = (calls::checked(id)?, calls::checked(&session.account.id)?);
    let mut refused = None;
    for list in lists {
        let fields = format!("{edge}.{argument}({id}){{{list}}}");
        match api.get(&session.access_token, &[account], &[("fields", &fields)], Scope::Item).await {
            Ok(mut read) => return Ok(read.body.get_mut(edge).map(Value::take)),
            Err(FetchError::Refused { code, .. }) if code == "100/33" => return Ok(None),
            Err(FetchError::Refused { code, reason, scope }) if refused.is_none() && calls::is_about_fields(&code) => {
                refused = Some(FetchError::Refused { code, reason, scope });
            }
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(|| FetchError::Unavailable("no list of fields was taken".to_owned())))
}

/// How it stands. Of our own answers nobody tells us, so they count as standing.
pub(super) async fn state(api: &Api, session: &Session, id: &str, thing: Thing<'_>) -> Result<ThingState, FetchError> {
    let Thing::Mention(mention) = thing else { return Ok(ThingState::bare(id, Standing::Here)) };
    let read = node(api, session, mention).await?;
    Ok(read.map_or_else(
        || ThingState::bare(id, Standing::Deleted),
        |data| ThingState {
            text: wire::text(&data, "text").or_else(|| wire::text(&data, "caption")).map(str::to_owned),
            ..ThingState::bare(id, Standing::Here)
        },
    ))
}

/// A person's word for where our answer stands: it cannot be looked at.
pub(super) fn told_at(mention: &Mention<'_>, comment_id: &str, address: &Url) -> FoundReply {
    FoundReply { id: own_id(mention, comment_id), permalink: Some(address.clone()), created_at: None }
}

fn gone(reason: &str) -> FetchError {
    FetchError::Refused { code: "NOT_READABLE".to_owned(), reason: reason.to_owned(), scope: Scope::Item }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_it_stands_for() {
        let mention = |id| Thing::mention(id).map(|mention| (mention.media_id, mention.comment_id));
        assert_eq!(mention("mention-7"), Some(("7", None)));
        assert_eq!(mention("mention-7-5"), Some(("7", Some("5"))));
        let ours = own_id(&Thing::mention("mention-7-5").unwrap(), "9");
        assert_eq!((Thing::of(&ours), Thing::mention(&ours)), (Some(Thing::Ours), None));
        for other in ["7", "mention-", "mention-x", "mention-7-", "mention-7-own", "mention-7-5-3", "mention-7-own-x"] {
            assert_eq!(Thing::of(other), None, "{other}");
        }
    }
}
