//! Polling: the way to what webhooks missed. One list of the account's media tells whose comments changed (by their count); only those
//! are read, newest first, back to the last reading; young ones again every hour, because a deletion and a new comment cancel out.
//!
//! The cursor remembers a mark per medium and is bounded. A medium whose comments could not be read keeps its old mark and goes last; one
//! with more of them than a round may read keeps the place, and counts as read from when the reading began.

use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Cursor, InboundItem, InboundPost, Polled, Session};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

const TREES_PER_POLL: usize = 10;
const MEDIA_PAGES: usize = 4;
/// Of 50 top-level comments each.
const COMMENT_PAGES: usize = 10;
/// Pages of answers under one comment.
const REPLY_PAGES: usize = 4;
const MARKS: usize = 200;
/// Media older than this are looked at where they stand on the first page, but no further page is read for them.
const WATCHED: Duration = Duration::days(30);
/// An unknown medium younger than this gets its comments read, an older one only when its count changes.
const YOUNG: Duration = Duration::days(7);
const READ_AGAIN_AFTER: Duration = Duration::hours(1);
/// Answers come under comments older than the last reading; so far back they are looked for.
const OVERLAP: Duration = Duration::days(2);
const CLOCK_SKEW: Duration = Duration::minutes(2);
const FAILURES_PER_POLL: usize = 2;
/// Of the account's budget: left for replies.
const KEPT_PERCENT: f64 = 10.0;

/// What we know of a medium since the last round. Times are epoch seconds; the short names keep the cursor small.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Comment count at the last reading; absent = never read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    /// Created.
    c: i64,
    /// Fingerprint of caption and lock.
    #[serde(default)]
    h: u64,
    /// Comments read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<i64>,
    /// Failed readings in a row.
    #[serde(default)]
    f: u32,
    /// Where a reading goes on that one round could not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    g: Option<GoOn>,
}

/// A place inside the comments of a medium.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct GoOn {
    /// The page of comments; None: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<String>,
    /// On that page the comment whose answers were not all read, and their next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<(String, String)>,
    /// When the reading began, and how many comments there were then.
    s: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
}

/// The place where a round stopped; None: it went to the end.
type Stopped = Option<(Option<String>, Option<(String, String)>)>;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Marks {
    media: BTreeMap<String, Mark>,
}

/// Comments to be read in this round.
struct Due {
    post: InboundPost,
    comments: Option<u64>,
    /// Read back to here.
    back_to: Option<OffsetDateTime>,
    go_on: Option<GoOn>,
}

pub(super) async fn poll(
    api: &Api,
    session: &Session,
    cursor: &Cursor,
    now: OffsetDateTime,
) -> Result<Polled, FetchError> {
    let mut polled = Polled::default();
    let mut marks = cursor.place(&mut polled.problems);
    let media = own_media(api, session, now, &mut polled).await?;
    let due = plan(media, &mut marks, now, &mut polled.items);
    read_due(api, session, due, &mut marks, now, &mut polled).await;
    polled.cursor = write_marks(marks);
    Ok(polled)
}

fn write_marks(mut marks: Marks) -> Cursor {
    let mut ages: Vec<i64> = marks.media.values().map(|mark| mark.c).collect();
    ages.sort_unstable_by(|a, b| b.cmp(a));
    if let Some(oldest) = ages.get(MARKS) {
        marks.media.retain(|_, mark| mark.c > *oldest);
    }
    Cursor::of(&marks)
}

/// Newest first, over as many pages as young media fill. Only a failing first page fails the poll.
async fn own_media(
    api: &Api,
    session: &Session,
    now: OffsetDateTime,
    polled: &mut Polled,
) -> Result<Vec<wire::Media>, FetchError> {
    let account = calls::checked(&session.account.id)?;
    let mut media: Vec<wire::Media> = Vec::new();
    let mut after: Option<String> = None;
    for number in 0..MEDIA_PAGES {
        let path = [account, "media"];
        let page = api.page(&session.access_token, &path, wire::MEDIA_FIELDS, after.as_deref(), Scope::Account);
        let page = match page.await {
            Ok(page) => page,
            Err(error) if number == 0 => return Err(error),
            Err(error) => {
                polled.problems.push(format!("older posts could not be listed: {error}"));
                break;
            }
        };
        polled.budget = page.budget.or(polled.budget);
        for data in &page.items {
            match wire::media(data, &session.account) {
                Ok(read) => media.push(read),
                Err(problem) => polled.problems.push(problem),
            }
        }
        after = page.after;
        if after.is_none() || media.last().is_some_and(|read| now - read.post.created_at > WATCHED) {
            break;
        }
    }
    Ok(media)
}

fn fingerprint(post: &InboundPost) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ u64::from(post.locked);
    post.body.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Emits new and changed media and orders the comments to read: failed ones last, then changed before repeated, young first.
fn plan(media: Vec<wire::Media>, marks: &mut Marks, now: OffsetDateTime, items: &mut Vec<InboundItem>) -> Vec<Due> {
    let mut due: Vec<((u32, bool, i64), Due)> = Vec::new();
    for wire::Media { post, comments } in media {
        let created = post.created_at.unix_timestamp();
        let young = now - post.created_at < YOUNG;
        let print = fingerprint(&post);
        let known = marks.media.contains_key(&post.id);
        let mark = marks.media.entry(post.id.clone()).or_insert_with(|| Mark {
            n: if young && comments != Some(0) { None } else { comments },
            c: created,
            ..Mark::default()
        });
        // Without a count, young media are read at their hours.
        let again = mark.n.is_some() && (comments.is_none() || mark.n == comments);
        let stale = mark.r.is_none_or(|read| now.unix_timestamp() - read >= READ_AGAIN_AFTER.whole_seconds());
        if !known || mark.h != print {
            mark.h = print;
            items.push(InboundItem::Post(post.clone()));
        }
        if mark.g.is_some() || !again || (young && comments != Some(0) && stale) {
            let back_to = mark.r.and_then(|read| OffsetDateTime::from_unix_timestamp(read).ok()).map(|at| at - OVERLAP);
            due.push(((mark.f, again, -created), Due { post, comments, back_to, go_on: mark.g.clone() }));
        }
    }
    due.sort_by_key(|(order, _)| *order);
    due.into_iter().map(|(_, due)| due).collect()
}

async fn read_due(
    api: &Api,
    session: &Session,
    due: Vec<Due>,
    marks: &mut Marks,
    now: OffsetDateTime,
    polled: &mut Polled,
) {
    let mut failures = 0;
    let mut waiting = due.into_iter();
    for due in waiting.by_ref().take(TREES_PER_POLL) {
        if let Some(budget) = polled.budget.filter(|budget| budget.remaining < KEPT_PERCENT) {
            polled.wait = Some(budget.resets_in);
            polled.more = true;
            return;
        }
        let read = read_comments(api, session, &due, polled).await;
        let Some(mark) = marks.media.get_mut(&due.post.id) else { continue };
        match read {
            Ok(stopped) => {
                polled.more |= stopped.is_some();
                mark.ended(&due, stopped, now);
            }
            // The place is not taken any more: from the beginning.
            Err(FetchError::Refused { reason, scope: Scope::Item, .. }) if mark.g.take().is_some() => {
                polled.problems.push(format!("{}: {reason}", due.post.id));
                polled.more = true;
            }
            // Closed to us: not asked for again until its count changes.
            Err(FetchError::Refused { reason, scope: Scope::Item, .. }) => {
                polled.problems.push(format!("{}: {reason}", due.post.id));
                (mark.n, mark.r, mark.f) = (due.comments.or(Some(0)), Some(now.unix_timestamp()), 0);
            }
            Err(error) => {
                polled.problems.push(format!("{}: {error}", due.post.id));
                mark.f += 1;
                failures += 1;
                if stop_at(&error, polled) || failures == FAILURES_PER_POLL {
                    return;
                }
            }
        }
    }
    polled.more |= waiting.next().is_some();
}

/// Whether the rest of the round would fail likewise.
fn stop_at(error: &FetchError, polled: &mut Polled) -> bool {
    match error {
        FetchError::RateLimited { retry_after } | FetchError::OverBudget { retry_after } => {
            let limit = polled.budget.map_or(100.0, |budget| budget.limit);
            polled.budget = Some(crate::types::Budget { limit, remaining: 0.0, resets_in: *retry_after });
            polled.wait = Some(*retry_after);
            polled.more = true;
            true
        }
        FetchError::AuthExpired | FetchError::Refused { .. } => {
            polled.more = true;
            true
        }
        FetchError::Unavailable(_) => false,
    }
}

impl Mark {
    /// A round is over. What was said since the reading began is not read yet, so it counts from there.
    fn ended(&mut self, due: &Due, stopped: Stopped, now: OffsetDateTime) {
        let (began, comments) = match &due.go_on {
            Some(go_on) => (go_on.s, go_on.n),
            None => (now.unix_timestamp(), due.comments),
        };
        self.f = 0;
        match stopped {
            Some((a, p)) => self.g = Some(GoOn { a, p, s: began, n: comments }),
            None => (self.g, self.n, self.r) = (None, comments.or(Some(0)), Some(began)),
        }
    }
}

/// Newest first, back to the last reading, with the answers below. What was read before an error is kept. Gives the place where it
/// stopped because a round reads no more.
async fn read_comments(api: &Api, session: &Session, due: &Due, polled: &mut Polled) -> Result<Stopped, FetchError> {
    let post = wire::PostRef { id: &due.post.id, permalink: due.post.permalink.as_ref() };
    let go_on = due.go_on.as_ref();
    let mut at: Option<String> = go_on.and_then(|go_on| go_on.a.clone());
    let mut inside = go_on.and_then(|go_on| go_on.p.clone());
    let mut oldest = None;
    for _ in 0..COMMENT_PAGES {
        let path = [calls::checked(post.id)?, "comments"];
        let page = api.page(&session.access_token, &path, wire::TREE_FIELDS, at.as_deref(), Scope::Item).await?;
        polled.budget = page.budget.or(polled.budget);
        for data in &page.items {
            oldest = wire::timestamp(data, "timestamp").or(oldest);
            keep(session, &post, None, data, polled);
            let from = inside.take_if(|(parent, _)| wire::id_at(data, "id").as_deref() == Some(parent.as_str()));
            if let Some(stopped) = read_replies(api, session, &post, data, from, polled).await? {
                return Ok(Some((at, Some(stopped))));
            }
        }
        let reached = oldest.zip(due.back_to).is_some_and(|(oldest, back_to)| oldest < back_to);
        match page.after {
            Some(after) if !reached => at = Some(after),
            _ => return Ok(None),
        }
    }
    // What is older than the last reading was read then; only what hangs below it may be new.
    let read_at = due.back_to.map(|back_to| back_to + OVERLAP - CLOCK_SKEW);
    let caught_up = oldest.zip(read_at).is_some_and(|(oldest, read_at)| oldest < read_at);
    Ok((!caught_up).then_some((at, None)))
}

/// Gives the comment and the next page of its answers where there are more than a round reads.
async fn read_replies(
    api: &Api,
    session: &Session,
    post: &wire::PostRef<'_>,
    top: &Value,
    from: Option<(String, String)>,
    polled: &mut Polled,
) -> Result<Option<(String, String)>, FetchError> {
    let Some(parent) = wire::id_at(top, "id") else { return Ok(None) };
    let (replies, more) = wire::replies(top);
    for reply in replies {
        keep(session, post, Some(&parent), reply, polled);
    }
    if !more {
        return Ok(None);
    }
    let told = top.get("replies").and_then(wire::after);
    let mut after = from.map(|(_, after)| after).or(told);
    for _ in 0..REPLY_PAGES {
        let path = [parent.as_str(), "replies"];
        let page = api.page(&session.access_token, &path, wire::COMMENT_FIELDS, after.as_deref(), Scope::Item).await?;
        for reply in &page.items {
            keep(session, post, Some(&parent), reply, polled);
        }
        after = page.after;
        if after.is_none() {
            return Ok(None);
        }
    }
    Ok(after.map(|after| (parent, after)))
}

fn keep(session: &Session, post: &wire::PostRef<'_>, parent: Option<&str>, data: &Value, polled: &mut Polled) {
    match wire::comment(data, post, parent, &session.account) {
        // What the account hid is out of sight for its team, too.
        Ok(_) if wire::is_hidden(data) => {}
        Ok(comment) => polled.items.push(InboundItem::Comment(comment)),
        Err(problem) => polled.problems.push(problem),
    }
}
