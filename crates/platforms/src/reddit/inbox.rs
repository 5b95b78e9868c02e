//! The account's inbox: answers and mentions, also in threads of others. Found by time and by the set of ids that came before.
//!
//! An entry does not name its post, only a path (`context`) that holds its id; where that is missing too, the entry is looked up by
//! id. The post of a thread that is not ours is read once, so that the text stands somewhere. Private messages are left alone.
//! What was taken is marked as read, except where nothing may be written; that it fails changes nothing.

use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{InboundComment, InboundItem, Polled, Session};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::{Duration, OffsetDateTime};

/// How long the inbox is left alone after a reading.
const AGAIN_AFTER: Duration = Duration::minutes(2);
/// The same after a refusal, which a new consent may end.
const REFUSED_AGAIN: Duration = Duration::hours(1);
/// What lies in the inbox for longer than this at the first reading is none of ours.
const FIRST_LOOK_BACK: Duration = Duration::days(7);
/// How much later than a younger one an entry may still turn up.
const LATE: Duration = Duration::days(1);
const PAGES: usize = 3;
const KEPT: usize = 300;
/// Ids that one call may name.
const IDS_PER_CALL: usize = 100;

/// What came already. Times are epoch seconds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    /// Not to be read before.
    next: i64,
    /// Everything from before then counts as known.
    since: i64,
    ids: BTreeMap<String, i64>,
}

/// An entry, its post still to be found out where the path does not say it.
pub(super) struct Entry<'a> {
    thing: &'a Value,
    id: String,
    post_id: Option<String>,
}

pub(super) async fn read(api: &Api, session: &Session, seen: &mut Seen, now: OffsetDateTime, polled: &mut Polled) {
    if seen.next > now.unix_timestamp() {
        return;
    }
    if seen.since == 0 {
        seen.since = (now - FIRST_LOOK_BACK).unix_timestamp();
    }
    let again = match round(api, session, seen, now, polled).await {
        Ok(()) => AGAIN_AFTER,
        Err(error) => {
            polled.problems.push(format!("the inbox was not read: {error}"));
            if matches!(error, FetchError::Refused { .. }) { REFUSED_AGAIN } else { AGAIN_AFTER }
        }
    };
    seen.next = (now + again).unix_timestamp();
    seen.forget(now);
}

async fn round(
    api: &Api,
    session: &Session,
    seen: &mut Seen,
    now: OffsetDateTime,
    polled: &mut Polled,
) -> Result<(), FetchError> {
    let mut after: Option<String> = None;
    for _ in 0..PAGES {
        let mut query = vec![("limit", "100")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let answer = api.get(&session.access_token, &["message", "inbox"], &query, Scope::Item).await?;
        polled.budget = answer.budget.or(polled.budget);
        let listing = wire::listing(&answer.body);
        let listing = listing.ok_or_else(|| FetchError::Unavailable("the inbox came in an unknown form".to_owned()))?;
        let (fresh, known) = seen.fresh(listing.children, polled);
        take(api, session, fresh, seen, now, polled).await?;
        after = listing.after.map(str::to_owned);
        if known || after.is_none() {
            break;
        }
    }
    Ok(())
}

impl Seen {
    /// The comments of a page that did not come before, and whether it reached what did.
    pub(super) fn fresh<'a>(&self, things: &'a [Value], polled: &mut Polled) -> (Vec<Entry<'a>>, bool) {
        let (mut fresh, mut known) = (Vec::new(), false);
        for thing in things.iter().filter(|thing| wire::kind(thing) == "t1") {
            let data = wire::data(thing);
            let (Some(id), Some(created)) = (wire::fullname(data, "t1_"), wire::time(data, "created_utc")) else {
                polled.problems.push("an entry of the inbox without a usable id or time".to_owned());
                continue;
            };
            if created.unix_timestamp() <= self.since || self.ids.contains_key(&id) {
                known = true;
                continue;
            }
            let post_id = wire::text(data, "link_id").and_then(|id| wire::bare(id, "t3_")).or_else(|| in_context(data));
            fresh.push(Entry { thing, id, post_id: post_id.map(|id| format!("t3_{}", id.to_ascii_lowercase())) });
        }
        (fresh, known)
    }

    fn forget(&mut self, now: OffsetDateTime) {
        // A date in the future must not make everything until then count as known.
        let now = now.unix_timestamp();
        let mut times: Vec<i64> = self.ids.values().map(|time| (*time).min(now)).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let late = times.first().map_or(0, |newest| newest - LATE.whole_seconds());
        self.since = self.since.max(late).max(times.get(KEPT).copied().unwrap_or(0));
        let since = self.since;
        self.ids.retain(|_, created| *created > since);
    }
}

/// `/r/espresso/comments/1abc/title/kx1y/?context=3` stands under the post 1abc.
fn in_context(data: &Value) -> Option<&str> {
    let mut parts = wire::text(data, "context")?.split('/').skip_while(|part| *part != "comments");
    parts.nth(1).filter(|id| wire::is_bare(id))
}

/// Turns entries into items. Err: nothing of this page is remembered, so it comes again.
async fn take(
    api: &Api,
    session: &Session,
    mut fresh: Vec<Entry<'_>>,
    seen: &mut Seen,
    now: OffsetDateTime,
    polled: &mut Polled,
) -> Result<(), FetchError> {
    let nameless = fresh.iter().filter(|entry| entry.post_id.is_none()).map(|entry| entry.id.clone()).collect();
    let whole = info(api, session, nameless, polled).await?;
    for entry in fresh.iter_mut().filter(|entry| entry.post_id.is_none()) {
        let link = whole.get(&entry.id).and_then(|thing| wire::text(wire::data(thing), "link_id"));
        entry.post_id = link.filter(|link| wire::bare(link, "t3_").is_some()).map(str::to_owned);
    }
    let comments = comments(api, session, &fresh, polled);
    // The threads of others, and what of ours the entries answer there.
    let mut wanted: BTreeSet<String> = comments.iter().map(|comment| comment.post_id.clone()).collect();
    wanted.extend(comments.iter().filter_map(|comment| comment.parent_comment_id.clone()));
    for entry in &fresh {
        let created = wire::time(wire::data(entry.thing), "created_utc").map_or(0, OffsetDateTime::unix_timestamp);
        seen.ids.insert(entry.id.clone(), created);
    }
    let around = match info(api, session, wanted, polled).await {
        Ok(around) => around,
        Err(error) => {
            seen.ids.retain(|id, _| !fresh.iter().any(|entry| entry.id == *id));
            return Err(error);
        }
    };
    keep(api, session, comments, &around, polled);
    mark_read(api, session, &fresh, now).await;
    Ok(())
}

fn comments(api: &Api, session: &Session, fresh: &[Entry<'_>], polled: &mut Polled) -> Vec<InboundComment> {
    let mut comments = Vec::new();
    for entry in fresh {
        let Some(post_id) = &entry.post_id else {
            polled.problems.push(format!("{}: its thread is not known", entry.id));
            continue;
        };
        match wire::comment(entry.thing, post_id, &api.config.auth_base, &session.account) {
            Ok(comment)
                if wire::is_by(&session.account, comment.author_id.as_deref(), comment.author_name.as_deref()) => {}
            Ok(comment) => comments.push(comment),
            Err(problem) => polled.problems.push(problem),
        }
    }
    comments
}

/// The post of each comment comes with it, else the comment would stand nowhere.
fn keep(
    api: &Api,
    session: &Session,
    comments: Vec<InboundComment>,
    around: &HashMap<String, Value>,
    polled: &mut Polled,
) {
    let mut posts = BTreeSet::new();
    for comment in comments {
        let post = around.get(&comment.post_id).map(|thing| wire::post(thing, &api.config.auth_base, &session.account));
        match post {
            Some(Ok(post)) => {
                if posts.insert(post.post.id.clone()) {
                    polled.items.push(InboundItem::Thread(post.post));
                }
            }
            Some(Err(problem)) => {
                polled.problems.push(problem);
                continue;
            }
            None => {
                polled.problems.push(format!("{}: its thread {} is closed to us", comment.id, comment.post_id));
                continue;
            }
        }
        let above = comment.parent_comment_id.as_ref().and_then(|id| around.get(id));
        let above = above.map(|thing| wire::comment(thing, &comment.post_id, &api.config.auth_base, &session.account));
        if let Some(Ok(above)) = above
            && wire::is_by(&session.account, above.author_id.as_deref(), above.author_name.as_deref())
        {
            polled.items.push(InboundItem::Comment(above));
        }
        polled.items.push(InboundItem::Comment(comment));
    }
}

/// Things by id; what the platform does not know is missing.
async fn info(
    api: &Api,
    session: &Session,
    ids: BTreeSet<String>,
    polled: &mut Polled,
) -> Result<HashMap<String, Value>, FetchError> {
    let mut found = HashMap::new();
    let ids: Vec<String> = ids.into_iter().collect();
    for batch in ids.chunks(IDS_PER_CALL) {
        let query = [("id", batch.join(","))];
        let query: Vec<(&str, &str)> = query.iter().map(|(key, ids)| (*key, ids.as_str())).collect();
        let answer = api.get(&session.access_token, &["api", "info"], &query, Scope::Item).await?;
        polled.budget = answer.budget.or(polled.budget);
        let listing = wire::listing(&answer.body);
        let listing =
            listing.ok_or_else(|| FetchError::Unavailable("the things came in an unknown form".to_owned()))?;
        for thing in listing.children {
            let prefix = format!("{}_", wire::kind(thing));
            found.extend(wire::fullname(wire::data(thing), &prefix).map(|id| (id, thing.clone())));
        }
    }
    Ok(found)
}

/// For the people who use the account by hand as well: what stands in our inbox is not new to them.
async fn mark_read(api: &Api, session: &Session, fresh: &[Entry<'_>], now: OffsetDateTime) {
    let is_new = |entry: &&Entry<'_>| wire::data(entry.thing).get("new") == Some(&Value::Bool(true));
    let ids: Vec<&str> = fresh.iter().filter(is_new).map(|entry| entry.id.as_str()).collect();
    if ids.is_empty() || !api.config.marks_read {
        return;
    }
    if let Err(error) = calls::mark_read(api, session, &ids.join(",")).await {
        tracing::debug!(platform = "reddit", %error, %now, "entries of the inbox stay unread");
    }
}
