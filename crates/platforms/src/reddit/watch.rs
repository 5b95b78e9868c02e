//! Watches: new posts of a community (`/r/{name}/new`) or with certain words (`/search`).
//!
//! Found by time and by the set of ids that came before, never by an anchor alone: listings answer an anchor that was
//! deleted with empty pages for ever, and the search shows some posts minutes late and out of order.

use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Cursor, InboundItem, InboundPost, Polled, Session, Watch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Pages of one round; the first round reads one, so that a new watch brings no flood.
const PAGES: usize = 5;
/// Ids kept: what the pages of one round can show.
const KEPT: usize = 500;
/// How much later than a younger one a post may still turn up.
const LATE_SECS: i64 = 24 * 60 * 60;

/// What came already: ids with their time, and the time before which everything counts as known.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen {
    #[serde(default)]
    ids: BTreeMap<String, i64>,
    #[serde(default)]
    since: i64,
}

pub(super) async fn watch(
    api: &Api,
    session: &Session,
    watch: &Watch,
    cursor: &Cursor,
    now: OffsetDateTime,
) -> Result<Polled, FetchError> {
    let call = Call::of(watch)?;
    let mut polled = Polled::default();
    let mut seen: Seen = cursor.place(&mut polled.problems);
    let pages = if seen.ids.is_empty() { 1 } else { PAGES };
    let mut after: Option<String> = None;
    for page in 0..pages {
        let mut query = call.query();
        query.extend(after.as_deref().map(|after| ("after", after)));
        let answer = match api.get(&session.access_token, &call.path(), &query, Scope::Item).await {
            Ok(answer) => answer,
            Err(error) if page == 0 => return Err(error),
            // Nothing of this round is remembered, so the next one reads it all again.
            Err(error) => {
                polled.problems.push(format!("older posts could not be listed: {error}"));
                return Ok(Polled { cursor: cursor.clone(), more: true, ..polled });
            }
        };
        polled.budget = answer.budget.or(polled.budget);
        let listing = wire::listing(&answer.body);
        let listing = listing.ok_or_else(|| FetchError::Unavailable("the posts came in an unknown form".to_owned()))?;
        let known = take(api, session, &call, listing.children, &mut seen, &mut polled);
        after = listing.after.map(str::to_owned);
        if after.is_none() || known {
            break;
        }
    }
    polled.cursor = seen.kept(now);
    polled.items.iter_mut().for_each(|item| item.not_later_than(now));
    Ok(polled)
}

/// Notes the new posts of a page. True where it reached what came before.
fn take(
    api: &Api,
    session: &Session,
    call: &Call<'_>,
    things: &[serde_json::Value],
    seen: &mut Seen,
    polled: &mut Polled,
) -> bool {
    let mut known = false;
    for thing in things.iter().filter(|thing| wire::kind(thing) == "t3") {
        let post = match wire::post(thing, &api.config.auth_base, &session.account) {
            Ok(post) => post.post,
            Err(problem) => {
                polled.problems.push(problem);
                continue;
            }
        };
        let created = post.created_at.unix_timestamp();
        if created <= seen.since || seen.ids.contains_key(&post.id) {
            known = true;
            continue;
        }
        seen.ids.insert(post.id.clone(), created);
        if call.fits(&post) && !wire::is_gone(wire::data(thing)) {
            polled.items.push(InboundItem::Post(post));
        }
    }
    known
}

impl Seen {
    /// The newest ids, and nothing older than what may still turn up late.
    fn kept(mut self, now: OffsetDateTime) -> Cursor {
        let mut times: Vec<i64> = self.ids.values().copied().collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        // A date in the future must not make everything until then count as known.
        let times: Vec<i64> = times.into_iter().map(|time| time.min(now.unix_timestamp())).collect();
        let oldest = times.first().map_or(0, |newest| newest - LATE_SECS).max(times.get(KEPT).copied().unwrap_or(0));
        self.since = self.since.max(oldest);
        self.ids.retain(|_, created| *created > self.since);
        Cursor::of(&self)
    }
}

/// One watch as a call.
struct Call<'a> {
    community: Option<&'a str>,
    /// The words as the search takes them, and as they are compared.
    words: Option<(String, String)>,
}

impl<'a> Call<'a> {
    fn of(watch: &'a Watch) -> Result<Self, FetchError> {
        match watch {
            Watch::Community { name } => Ok(Self { community: Some(calls::community_name(name)?), words: None }),
            Watch::Keyword { text, community } => {
                let plain = text.replace(['"', '\\'], " ");
                let plain = wire::normalised(&plain);
                if plain.is_empty() {
                    return Err(calls::refusal("NO_WORDS", "the watch names no words".to_owned(), Scope::Item));
                }
                let community = community.as_deref().map(calls::community_name).transpose()?;
                Ok(Self { community, words: Some((format!("\"{plain}\""), plain.to_lowercase())) })
            }
        }
    }

    fn path(&self) -> Vec<&str> {
        match (self.community, &self.words) {
            (Some(name), None) => vec!["r", name, "new"],
            (Some(name), Some(_)) => vec!["r", name, "search"],
            (None, _) => vec!["search"],
        }
    }

    fn query(&self) -> Vec<(&str, &str)> {
        let mut query = vec![("limit", "100")];
        if let Some((asked, _)) = &self.words {
            query.extend([("q", asked.as_str()), ("sort", "new"), ("type", "link")]);
            query.extend(self.community.map(|_| ("restrict_sr", "1")));
        }
        query
    }

    /// The search also finds what it holds for similar; a reply is due only where the words stand.
    fn fits(&self, post: &InboundPost) -> bool {
        self.words.as_ref().is_none_or(|(_, words)| {
            let whole = format!("{} {}", post.title.as_deref().unwrap_or_default(), post.body);
            wire::normalised(&whole).to_lowercase().contains(words)
        })
    }
}
