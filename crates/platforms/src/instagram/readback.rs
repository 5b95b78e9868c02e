//! Reading back: how a target stands, and whether a reply of unknown outcome is there.
//!
//! Instagram keeps two levels: an answer to an answer lands under the top-level comment. So under one comment stand our answers to
//! several people, and Meta does not tell whom each is for. Under a top-level comment every answer of ours counts as an answer to it,
//! unless it begins with the name of somebody else; under an answer only our very text does, or one that begins with its author's name.
//! "Absent" is said only after reading past the time of sending, or to the end.

use super::mentions::{self, Thing};
use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Account, InboundComment, Probe, ReplyProbe, Session, TargetState};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

const PAGES: usize = 10;

/// A target as it was read.
struct Target {
    id: String,
    /// The comment that it stands under; None for top-level comments and for media.
    parent: Option<String>,
    author_name: Option<String>,
    created_at: Option<OffsetDateTime>,
    closed: bool,
}

pub(super) async fn target_state(
    api: &Api,
    session: &Session,
    post_id: &str,
    target_id: &str,
) -> Result<TargetState, FetchError> {
    if let Some(mention) = Thing::mention(target_id) {
        let exists = mentions::node(api, session, mention).await?.is_some();
        return Ok(TargetState { exists, ..TargetState::default() });
    }
    let Some(post) = node(api, session, post_id, wire::MEDIA_FIELDS).await? else {
        return Ok(TargetState::default());
    };
    let post_locked = wire::media(&post, &session.account).is_ok_and(|media| media.post.locked);
    if target_id == post_id {
        return Ok(TargetState { exists: true, locked: post_locked, edited_at: None, own_reply: None, by_hand: None });
    }
    let Some(target) = target(api, session, target_id).await? else {
        return Ok(TargetState::default());
    };
    let own = own_replies(api, session, post_id, &target, None).await?;
    Ok(TargetState {
        exists: true,
        // No reply can stand under a hidden comment.
        locked: post_locked || target.closed,
        edited_at: None,
        own_reply: own.replies.iter().find(|reply| answers(reply, &target)).map(wire::found),
        by_hand: None,
    })
}

/// One thing by its id. None: it is gone, or closed to us.
pub(super) async fn node(
    api: &Api,
    session: &Session,
    id: &str,
    fields: [&str; 2],
) -> Result<Option<Value>, FetchError> {
    let id = calls::checked(id)?;
    let mut refused = None;
    for fields in fields {
        match api.get(&session.access_token, &[id], &[("fields", fields)], Scope::Item).await {
            Ok(read) => return Ok(Some(read.body)),
            Err(FetchError::Refused { code, .. }) if code == "100/33" => return Ok(None),
            Err(FetchError::Refused { code, reason, scope }) if refused.is_none() && calls::is_about_fields(&code) => {
                refused = Some(FetchError::Refused { code, reason, scope });
            }
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(|| FetchError::Unavailable("no list of fields was taken".to_owned())))
}

async fn target(api: &Api, session: &Session, id: &str) -> Result<Option<Target>, FetchError> {
    let Some(data) = node(api, session, id, wire::COMMENT_FIELDS).await? else { return Ok(None) };
    let from = data.get("from").and_then(|from| wire::text(from, "username"));
    Ok(Some(Target {
        id: id.to_owned(),
        parent: wire::id_at(&data, "parent_id"),
        author_name: from.or_else(|| wire::text(&data, "username")).map(str::to_owned),
        created_at: wire::timestamp(&data, "timestamp"),
        closed: wire::is_hidden(&data),
    }))
}

/// Our texts around a target.
#[derive(Default)]
struct Own {
    replies: Vec<InboundComment>,
    /// Texts of nobody that Meta names.
    authorless: Vec<InboundComment>,
    /// True when everything since `back_to` was read, and could be.
    complete: bool,
}

impl Own {
    /// Keeps what is ours of a page. Gives the time of its oldest entry, and whether each could be read: one without time or id may be ours.
    fn take(&mut self, items: &[Value], post: &wire::PostRef<'_>, parent: Option<&str>, account: &Account) -> Page {
        let mut page = Page { oldest: None, readable: true };
        for data in items {
            let Ok(comment) = wire::comment(data, post, parent, account) else {
                page.readable = false;
                continue;
            };
            page.oldest = Some(comment.created_at);
            if wire::is_authorless(&comment) {
                self.authorless.push(comment);
            } else if wire::is_by(account, &comment) {
                self.replies.push(comment);
            }
        }
        page
    }
}

/// How far a page went.
struct Page {
    oldest: Option<OffsetDateTime>,
    readable: bool,
}

/// Our texts that stand where a reply to the target lands: under the medium, or under the top-level comment.
async fn own_replies(
    api: &Api,
    session: &Session,
    post_id: &str,
    target: &Target,
    back_to: Option<OffsetDateTime>,
) -> Result<Own, FetchError> {
    let top = target.parent.as_deref().unwrap_or(&target.id);
    let under_post = target.id == post_id;
    let place = if under_post { [calls::checked(post_id)?, "comments"] } else { [calls::checked(top)?, "replies"] };
    let post = wire::PostRef { id: post_id, permalink: None };
    let (mut own, mut after, mut readable) = (Own::default(), None::<String>, true);
    for _ in 0..PAGES {
        let page = api.page(&session.access_token, &place, wire::COMMENT_FIELDS, after.as_deref(), Scope::Item).await?;
        let told = own.take(&page.items, &post, (!under_post).then_some(top), &session.account);
        readable &= told.readable;
        after = page.after;
        // Only comments of a medium are told newest first.
        let reached = under_post && told.oldest.zip(back_to).is_some_and(|(oldest, back_to)| oldest < back_to);
        if after.is_none() || reached {
            own.complete = readable;
            break;
        }
    }
    Ok(own)
}

/// Whether one of our texts is an answer to the target, as far as it can be told.
fn answers(reply: &InboundComment, target: &Target) -> bool {
    if target.created_at.is_some_and(|at| reply.created_at < at) {
        return false;
    }
    let addressed = addressed_to(&reply.text);
    let to_target =
        addressed.zip(target.author_name.as_deref()).is_some_and(|(to, name)| to.eq_ignore_ascii_case(name));
    match target.parent {
        Some(_) => to_target,
        None => addressed.is_none() || to_target,
    }
}

/// The name that a text begins with: "@ana thank you".
fn addressed_to(text: &str) -> Option<&str> {
    let word = text.trim_start().strip_prefix('@')?;
    let end = word.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(word.len());
    Some(word[..end].trim_end_matches('.')).filter(|name| !name.is_empty())
}

pub(super) async fn find_own_reply(api: &Api, session: &Session, probe: &ReplyProbe) -> Result<Probe, FetchError> {
    if Thing::of(&probe.target_id).is_some() {
        return Ok(Probe::CannotTell("Instagram does not list what stands under posts of others".to_owned()));
    }
    let earliest = earliest(probe);
    let place = if probe.target_id == probe.post_id {
        Target { id: probe.post_id.clone(), parent: None, author_name: None, created_at: None, closed: false }
    } else {
        match target(api, session, &probe.target_id).await? {
            Some(target) => target,
            // With a comment go the answers below it, whatever became of ours.
            None => return Ok(Probe::CannotTell("the comment that it answers is gone".to_owned())),
        }
    };
    let mut own = own_replies(api, session, &probe.post_id, &place, Some(earliest)).await?;
    // The same words to somebody else under the same comment are another attempt's.
    own.replies.retain(|reply| !probe.taken.contains(&reply.id));
    own.authorless.retain(|reply| !probe.taken.contains(&reply.id));
    let is_ours = |comment: &&InboundComment| {
        comment.created_at >= earliest && wire::normalised(&comment.text) == wire::normalised(&probe.text)
    };
    if let Some(ours) = own.replies.iter().find(is_ours) {
        return Ok(Probe::Found(wire::found(ours)));
    }
    if own.authorless.iter().any(|comment| is_ours(&comment)) {
        return Ok(Probe::CannotTell("our text stands there, but Instagram does not say whose it is".to_owned()));
    }
    let by_hand = |comment: &&InboundComment| place.id != probe.post_id && answers(comment, &place);
    Ok(match own.replies.iter().find(by_hand) {
        Some(other) => Probe::OtherOwnReply(wire::found(other)),
        None if own.complete => Probe::AbsentOnce,
        None => Probe::CannotTell("the comments cannot be listed back to the time of sending".to_owned()),
    })
}

fn earliest(probe: &ReplyProbe) -> OffsetDateTime {
    let skew = Duration::try_from(probe.skew).unwrap_or(Duration::MAX);
    // Meta's times have whole seconds.
    let skew = skew.saturating_add(Duration::SECOND);
    probe.armed_at.checked_sub(skew).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Our answers to a target, for an address that a person copied.
pub(super) async fn replies_to(
    api: &Api,
    session: &Session,
    target_id: &str,
) -> Result<Option<Vec<InboundComment>>, FetchError> {
    let Some(target) = target(api, session, target_id).await? else { return Ok(None) };
    // No post has this id, so the place is under the comment.
    Ok(Some(own_replies(api, session, "", &target, None).await?.replies))
}

#[cfg(test)]
mod tests {
    use super::super::wire_tests::account;
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_read_may_be_ours() {
        let post = wire::PostRef { id: "7", permalink: None };
        let whole = json!({"id": "5", "timestamp": "2020-02-24T09:15:16+0000", "text": "x", "from": {"id": "9"}});
        let mut own = Own::default();
        assert!(own.take(std::slice::from_ref(&whole), &post, None, &account()).readable);
        for member in ["id", "timestamp"] {
            let mut broken = whole.clone();
            broken.as_object_mut().unwrap().remove(member);
            assert!(!own.take(&[whole.clone(), broken], &post, None, &account()).readable, "{member}");
        }
    }

    #[test]
    fn a_text_that_begins_with_a_name_is_for_that_person() {
        assert_eq!(addressed_to(" @ana.lima_1, thank you"), Some("ana.lima_1"));
        assert_eq!(addressed_to("@ana. Thank you"), Some("ana"));
        for plain in ["thank you @ana", "@", "@ ana", "", "mail@ana"] {
            assert_eq!(addressed_to(plain), None, "{plain}");
        }
    }
}
