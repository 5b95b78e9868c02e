//! Reading back: how things stand, and whether a reply of unknown outcome is there. Our own posts are asked, not the search, whose index
//! lags; X shows them back to the time of sending, however many there are, or says so.

use super::range::{Feed, Range, read_range};
use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Budget, Probe, ReplyAt, ReplyProbe, Session, Standing, States, TargetState, ThingState};
use time::{Duration, OffsetDateTime};
use url::Url;
use wire::{Page, Tweet};

const IDS_PER_CALL: usize = 100;
/// So few are asked for at once where more could cost more than is left of the month's budget.
const LEAST_IDS: usize = 5;
/// Pages of our own posts since the target; beyond them a reply of ours may stand unseen, and the reading back after a send would find it.
const OWN_PAGES: usize = 3;
/// X shows the newest 3200 of an account.
const ALL_PAGES: usize = 32;

/// At most a hundred, each as it stands now. X shows the version that an id names: of an edited post the newest one is asked for, too.
async fn lookup(api: &Api, session: &Session, ids: &[&str]) -> Result<(Page, Option<Budget>), FetchError> {
    let (mut page, budget) = versions(api, session, ids).await?;
    let newer: Vec<String> = page.tweets.iter().filter_map(|tweet| tweet.newer.clone()).collect();
    if newer.is_empty() {
        return Ok((page, budget));
    }
    let (mut newest, left) = versions(api, session, &newer.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    // In front, so that they are found first.
    newest.tweets.append(&mut page.tweets);
    page.tweets = newest.tweets;
    Ok((page, left.or(budget)))
}

async fn versions(api: &Api, session: &Session, ids: &[&str]) -> Result<(Page, Option<Budget>), FetchError> {
    let list = ids.join(",");
    match api.posts(&session.access_token, &["2", "tweets"], &[("ids", &list)], Scope::Item).await {
        // A single one that is gone may be a 404.
        Err(FetchError::Refused { code, .. }) if code == "gone" => Ok((Page::default(), None)),
        answered => answered,
    }
}

/// One post in its newest version; None where it is gone or closed to us.
pub(super) async fn one(api: &Api, session: &Session, id: &str) -> Result<Option<Tweet>, FetchError> {
    let (page, _) = lookup(api, session, &[id]).await?;
    Ok(find(&page, id).or(page.tweets.first()).cloned())
}

/// A post by any of its versions: an edit made a new id, and we keep the first.
fn find<'a>(page: &'a Page, id: &str) -> Option<&'a Tweet> {
    page.tweets.iter().find(|tweet| tweet.id == id)
}

pub(super) async fn target_state(api: &Api, session: &Session, target_id: &str) -> Result<TargetState, FetchError> {
    let id = calls::checked(target_id)?;
    let (page, _) = lookup(api, session, &[id]).await?;
    let Some(target) = find(&page, id) else { return Ok(TargetState::default()) };
    let since = wire::number_of(id).unwrap_or(0);
    let own = read_range(api, session, Range { feed: Feed::Own, since, until: None }, OWN_PAGES).await;
    if let Some(error) = own.error {
        return Err(error);
    }
    let answer = own.tweets.iter().find(|tweet| answers(tweet, id) && tweet.is_by(&session.account));
    Ok(TargetState {
        exists: true,
        locked: false,
        edited_at: target.edited_at,
        own_reply: answer.map(|tweet| tweet.found(&api.config.auth_base)),
        by_hand: target.by_hand(&session.account),
    })
}

fn answers(tweet: &Tweet, target_id: &str) -> bool {
    tweet.replied_to.as_deref() == Some(target_id)
}

fn earliest(probe: &ReplyProbe) -> OffsetDateTime {
    let skew = Duration::try_from(probe.skew).unwrap_or(Duration::MAX);
    probe.armed_at.checked_sub(skew).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

pub(super) async fn find_own_reply(api: &Api, session: &Session, probe: &ReplyProbe) -> Result<Probe, FetchError> {
    calls::checked(&probe.target_id)?;
    // An id before the first one of that moment: what has it is older.
    let since = wire::first_id_at(earliest(probe)).saturating_sub(1);
    let own = read_range(api, session, Range { feed: Feed::Own, since, until: None }, ALL_PAGES).await;
    let site = &api.config.auth_base;
    let answers = own.tweets.iter().filter(|tweet| answers(tweet, &probe.target_id) && tweet.is_by(&session.account));
    let answers: Vec<&Tweet> = answers.collect();
    let wanted = wire::comparable(&probe.text);
    if let Some(ours) = answers.iter().find(|tweet| wire::comparable(&tweet.text) == wanted) {
        return Ok(Probe::Found(ours.found(site)));
    }
    if let Some(error) = own.error {
        return match error {
            FetchError::Refused { code, scope: Scope::Account, .. } => {
                Ok(Probe::CannotTell(format!("X does not list our own posts ({code})")))
            }
            error => Err(error),
        };
    }
    if let Some(other) = answers.first() {
        return Ok(Probe::OtherOwnReply(other.found(site)));
    }
    if own.left.is_some() {
        return Ok(Probe::CannotTell("our own posts cannot be listed back to the time of sending".to_owned()));
    }
    match own.problems.len() {
        0 => Ok(Probe::AbsentOnce),
        count => Ok(Probe::CannotTell(format!("{count} of our own posts could not be read"))),
    }
}

pub(super) async fn states(api: &Api, session: &Session, ids: &[String]) -> Result<States, FetchError> {
    let mut states = States { things: Vec::with_capacity(ids.len()), budget: None };
    let (mut rest, mut at_once) = (ids, IDS_PER_CALL);
    while !rest.is_empty() {
        let (some, later) = rest.split_at(at_once.min(rest.len()));
        let known: Vec<&str> = some.iter().map(String::as_str).filter(|id| wire::is_id(id)).collect();
        let mut page = Page::default();
        if !known.is_empty() {
            match lookup(api, session, &known).await {
                Ok((read, budget)) => (page, states.budget) = (read, budget.or(states.budget)),
                // Fewer may still be paid.
                Err(FetchError::OverBudget { .. }) if some.len() > LEAST_IDS => {
                    at_once = (some.len() / 4).max(LEAST_IDS);
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        states.things.extend(some.iter().map(|id| state(id, &page)));
        rest = later;
    }
    Ok(states)
}

fn state(id: &str, page: &Page) -> ThingState {
    let tweet = find(page, id);
    let closed = page.missing.iter().any(|missing| missing.id == id && !missing.not_found);
    let standing = match (tweet, closed) {
        (Some(_), _) => Standing::Here,
        // Of a protected or suspended account: it may come back.
        (None, true) => Standing::Removed,
        (None, false) => Standing::Deleted,
    };
    ThingState {
        text: tweet.map(|tweet| tweet.text.clone()),
        edited_at: tweet.and_then(|tweet| tweet.edited_at),
        ..ThingState::bare(id, standing)
    }
}

/// Where to find an address that says which post is meant.
const HOW: &str = "open the reply itself on X and copy the address that the browser shows";

pub(super) async fn reply_at(
    api: &Api,
    session: &Session,
    address: &Url,
    target_id: &str,
) -> Result<ReplyAt, FetchError> {
    let id = match id_of(address, &api.config.auth_base) {
        Ok(id) => id,
        Err(reason) => return Ok(ReplyAt::NoReply(reason)),
    };
    let (page, _) = lookup(api, session, &[&id]).await?;
    let ours = &session.account;
    let Some(tweet) = page.tweets.first() else {
        return Ok(ReplyAt::NoReply("leads to no post on X that can be seen; it may not be shown yet".to_owned()));
    };
    if !tweet.is_by(ours) {
        let author = tweet.author_name.as_ref().map_or_else(|| "somebody else".to_owned(), |name| format!("@{name}"));
        return Ok(ReplyAt::NotOurs(format!("leads to a post by {author}, not by @{}", ours.name)));
    }
    if !answers(tweet, target_id) {
        return Ok(ReplyAt::NotOurs(format!("leads to a post of @{} that answers something else", ours.name)));
    }
    Ok(ReplyAt::Ours(tweet.found(&api.config.auth_base)))
}

/// The id that an address of a post names: `/<name>/status/<id>` and what hangs behind it.
fn id_of(address: &Url, site: &Url) -> Result<String, String> {
    let host = address.host_str().unwrap_or_default().trim_end_matches('.');
    let of = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    if of("t.co") {
        return Err(format!("is a short link, which does not say what it leads to: {HOW}"));
    }
    if !of("x.com") && !of("twitter.com") && address.origin() != site.origin() {
        return Err(format!("is not on X: {HOW}"));
    }
    let path: Vec<&str> = address.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let at = path.iter().position(|part| matches!(*part, "status" | "statuses"));
    let id = at.and_then(|at| path.get(at + 1)).filter(|id| wire::is_id(id));
    id.map(|id| (*id).to_owned()).ok_or_else(|| format!("is not that of a post: {HOW}"))
}

#[cfg(test)]
mod tests {
    use super::id_of;
    use url::Url;

    fn read(address: &str) -> Result<String, String> {
        id_of(&Url::parse(address).unwrap(), &Url::parse("http://127.0.0.1:4000/x").unwrap())
    }

    #[test]
    fn every_form_of_an_address_names_its_post() {
        for address in [
            "https://x.com/acme/status/1577730467436138524",
            "https://twitter.com/acme/status/1577730467436138524?s=20&t=abc",
            "https://mobile.twitter.com/i/web/status/1577730467436138524",
            "https://x.com/acme/status/1577730467436138524/photo/1",
            "http://127.0.0.1:4000/x/acme/status/1577730467436138524",
        ] {
            assert_eq!(read(address).as_deref(), Ok("1577730467436138524"), "{address}");
        }
    }

    #[test]
    fn what_names_no_post_says_what_to_copy_instead() {
        for (address, said) in [
            ("https://t.co/abc", "short link"),
            ("https://notx.com/acme/status/1", "not on X"),
            ("https://x.com.evil.example/acme/status/1", "not on X"),
            ("https://x.com/acme", "not that of a post"),
            ("https://x.com/acme/status/1,2", "not that of a post"),
        ] {
            assert!(
                read(address).is_err_and(|told| told.contains(said) && told.contains("copy the address")),
                "{address}"
            );
        }
    }
}
