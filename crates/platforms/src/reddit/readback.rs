//! Reading back: how a target stands, and whether a reply of unknown outcome is there.
//!
//! A reply is looked for in two places: under its target, and in the account's own comments, because a quarantined
//! community takes a reply without showing it in the thread. "Absent" is said only after reading past the time of sending.

use super::tree::{self, Root};
use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{InboundComment, Probe, ReplyProbe, Session, TargetState};
use time::{Duration, OffsetDateTime};

const EXTRA_CALLS: usize = 5;
const PAGES: usize = 10;
/// A listing ends at about 1000 things whether there are more or not; an end near that proves nothing.
const SURELY_WHOLE: usize = 900;

pub(super) async fn target_state(
    api: &Api,
    session: &Session,
    post_id: &str,
    target_id: &str,
) -> Result<TargetState, FetchError> {
    if wire::bare(target_id, "t1_").is_none() {
        calls::bare_id(target_id, "t3_")?;
    }
    let (root, own) = thread(api, session, post_id, target_id).await?;
    let root = match root {
        Some(root) => Some(root),
        // A closed thread shows nothing, and what is gone may be missing in it.
        None => root_by_id(api, session, post_id, target_id).await?,
    };
    let Some(root) = root.filter(|root| !root.gone) else { return Ok(TargetState::default()) };
    Ok(TargetState {
        exists: true,
        locked: root.locked,
        edited_at: root.edited_at,
        own_reply: own.first().map(wire::found),
        by_hand: None,
    })
}

async fn root_by_id(api: &Api, session: &Session, post_id: &str, target_id: &str) -> Result<Option<Root>, FetchError> {
    let post = calls::bare_id(post_id, "t3_")?;
    let ids = if target_id == post_id { target_id.to_owned() } else { format!("{target_id},t3_{post}") };
    let answer = api.get(&session.access_token, &["api", "info"], &[("id", &ids)], Scope::Item).await?;
    let listing = wire::listing(&answer.body);
    let listing = listing.ok_or_else(|| FetchError::Unavailable("the target came in an unknown form".to_owned()))?;
    Ok(Root::among(listing.children.iter(), post_id, target_id))
}

/// The target, where the thread shows it, and our direct answers to it that stand there. A closed thread shows none.
async fn thread(
    api: &Api,
    session: &Session,
    post_id: &str,
    target_id: &str,
) -> Result<(Option<Root>, Vec<InboundComment>), FetchError> {
    let request = tree::Request { post_id, under: Some(target_id) };
    let mut extra = EXTRA_CALLS;
    let tree = match tree::read(api, session, &request, &mut extra).await {
        Ok(tree) => tree,
        Err(FetchError::Refused { scope: Scope::Item, .. }) => return Ok((None, Vec::new())),
        Err(error) => return Err(error),
    };
    match tree.halted {
        Some(error) if !matches!(error, FetchError::Refused { .. }) => Err(error),
        _ => {
            let own = tree.comments.into_iter().filter(|comment| is_own(session, comment)).collect();
            Ok((tree.root, own))
        }
    }
}

fn is_own(session: &Session, comment: &InboundComment) -> bool {
    wire::is_by(&session.account, comment.author_id.as_deref(), comment.author_name.as_deref())
}

pub(super) async fn find_own_reply(api: &Api, session: &Session, probe: &ReplyProbe) -> Result<Probe, FetchError> {
    let earliest = earliest(probe);
    let is_ours = |comment: &InboundComment| {
        comment.created_at >= earliest && wire::normalised(&comment.text) == wire::normalised(&probe.text)
    };
    let (_, mut own) = thread(api, session, &probe.post_id, &probe.target_id).await?;
    let mut cannot_tell = None;
    if !own.iter().any(is_ours) {
        cannot_tell = own_comments_back_to(api, session, probe, earliest, &mut own).await?;
    }
    if let Some(ours) = own.iter().find(|comment| is_ours(comment)) {
        return Ok(Probe::Found(wire::found(ours)));
    }
    Ok(match (own.first(), cannot_tell) {
        (Some(other), _) => Probe::OtherOwnReply(wire::found(other)),
        (None, Some(reason)) => Probe::CannotTell(reason),
        (None, None) => Probe::AbsentOnce,
    })
}

fn earliest(probe: &ReplyProbe) -> OffsetDateTime {
    let skew = Duration::try_from(probe.skew).unwrap_or(Duration::MAX);
    probe.armed_at.checked_sub(skew).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Adds the account's comments under the target, newest first, back to `earliest`. Gives the reason where it cannot be
/// read that far.
async fn own_comments_back_to(
    api: &Api,
    session: &Session,
    probe: &ReplyProbe,
    earliest: OffsetDateTime,
    own: &mut Vec<InboundComment>,
) -> Result<Option<String>, FetchError> {
    let mut after: Option<String> = None;
    let (mut seen, mut unreadable) = (0, 0);
    for _ in 0..PAGES {
        let mut query = vec![("sort", "new"), ("limit", "100")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let path = ["user", &session.account.name, "comments"];
        let answer = match api.get(&session.access_token, &path, &query, Scope::Account).await {
            Err(FetchError::Refused { code, .. }) => {
                return Ok(Some(format!("Reddit does not list our own comments ({code})")));
            }
            answer => answer?,
        };
        let Some(listing) = wire::listing(&answer.body) else {
            return Err(FetchError::Unavailable("our own comments came in an unknown form".to_owned()));
        };
        let mut oldest = None;
        for thing in listing.children {
            match wire::comment(thing, &probe.post_id, &api.config.auth_base, &session.account) {
                Ok(comment) => {
                    oldest = Some(comment.created_at);
                    own.extend(
                        (tree::parent_of(&comment) == probe.target_id && is_own(session, &comment)).then_some(comment),
                    );
                }
                Err(_) => unreadable += 1,
            }
        }
        seen += listing.children.len();
        after = listing.after.map(str::to_owned);
        let whole = after.is_none() && seen < SURELY_WHOLE;
        if whole || oldest.is_some_and(|oldest| oldest < earliest) {
            return Ok((unreadable > 0).then(|| format!("{unreadable} of our own comments could not be read")));
        }
        if after.is_none() {
            break;
        }
    }
    Ok(Some("our own comments cannot be listed back to the time of sending".to_owned()))
}
