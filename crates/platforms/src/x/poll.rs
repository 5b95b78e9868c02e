//! Polling: the account's own posts, its mentions, and the answers in the conversations that it began (search by conversation, which
//! reaches back a week). Each is read from the largest id that was seen, newest first.
//!
//! What a round does not reach is kept as a range of ids and read in the next rounds, so a flood is neither lost nor read twice. The last
//! minute is read again, because X's index lags by some seconds.

use super::range::{Feed, Range, read_range};
use super::{Api, calls, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Budget, Cursor, InboundItem, Polled, Session};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::{Duration, OffsetDateTime};
use wire::Tweet;

/// X's search shows a post some seconds after it was made.
const LAG: Duration = Duration::seconds(60);
/// Conversations of ours whose answers are searched.
const WATCHED: Duration = Duration::days(7);
/// Pages of one feed in one round.
const PAGES: usize = 5;
/// What a search may be long, in characters.
const QUERY_CHARS: usize = 512;
const ROOTS: usize = 500;
const STRANGE_ROOTS: usize = 200;
const RANGES: usize = 20;
const IDS_PER_CALL: usize = 100;

/// Where the next round begins.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Place {
    /// Largest id seen, by feed.
    #[serde(default)]
    since: BTreeMap<String, u64>,
    /// First posts of conversations: ours, and others' (so that nobody asks twice whose they are).
    #[serde(default)]
    roots: BTreeSet<u64>,
    #[serde(default)]
    strange: BTreeSet<u64>,
    /// Left over by earlier rounds.
    #[serde(default)]
    ranges: Vec<Range>,
}

pub(super) async fn poll(
    api: &Api,
    session: &Session,
    cursor: &Cursor,
    now: OffsetDateTime,
) -> Result<Polled, FetchError> {
    let mut problems = Vec::new();
    let place: Place = cursor.place(&mut problems);
    let polled = Polled { problems, ..Polled::default() };
    let mut round = Round {
        api,
        session,
        now,
        place,
        polled,
        seen: HashMap::new(),
        authors: HashMap::new(),
        cut: false,
        over: false,
    };
    for left in std::mem::take(&mut round.place.ranges) {
        round.read(left).await?;
    }
    let own = round.fresh(Feed::Own);
    round.read_fresh("own", own).await?;
    let mentions = round.fresh(Feed::Mentions);
    round.read_fresh("mentions", mentions).await?;
    round.learn_roots();
    let searches = round.searches();
    for search in searches {
        round.read_fresh("threads", search).await?;
    }
    round.close_threads();
    round.ask_for_roots().await?;
    Ok(round.finish())
}

struct Round<'a> {
    api: &'a Api,
    session: &'a Session,
    now: OffsetDateTime,
    place: Place,
    polled: Polled,
    seen: HashMap<String, Tweet>,
    /// Who wrote the posts that answers refer to.
    authors: HashMap<String, Option<String>>,
    /// A search of this round was not read, not even its beginning.
    cut: bool,
    /// No further call makes sense in this round.
    over: bool,
}

impl Round<'_> {
    /// From where the last round ended; at first a week back.
    fn fresh(&self, feed: Feed) -> Range {
        let name = match feed {
            Feed::Own => "own",
            Feed::Mentions => "mentions",
            Feed::Search(_) => "threads",
        };
        let since = self.place.since.get(name).copied();
        Range { feed, since: since.unwrap_or_else(|| self.week_ago()), until: None }
    }

    fn week_ago(&self) -> u64 {
        wire::first_id_at(self.now - wire::WEEK + Duration::minutes(5))
    }

    /// A search refuses an id that is older than a week, also in a range that was left over.
    fn oldest_of(&self, feed: &Feed) -> u64 {
        match feed {
            Feed::Search(_) => self.week_ago(),
            Feed::Own | Feed::Mentions => 0,
        }
    }

    async fn read_fresh(&mut self, name: &str, range: Range) -> Result<(), FetchError> {
        if self.over {
            return Ok(());
        }
        let began = range.since;
        let Some(top) = self.read(range).await? else {
            self.cut |= name == "threads";
            return Ok(());
        };
        let settled = wire::first_id_at(self.now - LAG);
        let next = top.min(settled).max(began);
        // All searches of a round share one place: it moves when all of them were read.
        let name = if name == "threads" { "threads.next" } else { name };
        let known = self.place.since.entry(name.to_owned()).or_insert(next);
        *known = (*known).max(next);
        Ok(())
    }

    /// Reads a range as far as it goes; what is left of it waits for the next round. Gives the largest id, None where nothing was read.
    async fn read(&mut self, range: Range) -> Result<Option<u64>, FetchError> {
        let range = Range { since: range.since.max(self.oldest_of(&range.feed)), ..range };
        if range.until.is_some_and(|until| until <= range.since) {
            return Ok(None);
        }
        if self.over || self.polled.budget.is_some_and(|budget| budget.remaining < 1.0) {
            self.over = true;
            if range.until.is_some() {
                self.place.ranges.push(range);
            }
            return Ok(None);
        }
        let read = read_range(self.api, self.session, range, PAGES).await;
        self.polled.budget = read.budget.or(self.polled.budget);
        self.polled.problems.extend(read.problems);
        let top = read.tweets.iter().filter_map(|tweet| wire::number_of(&tweet.listed_id)).max();
        for (id, other) in read.others {
            self.authors.insert(id, other.author_id);
        }
        for tweet in read.tweets {
            self.seen.insert(tweet.id.clone(), tweet);
        }
        let again = read.left.as_ref().is_some_and(|left| left.until.is_some());
        if let Some(left) = read.left.filter(|_| again) {
            if self.place.ranges.len() == RANGES {
                self.polled.problems.push("more was written than can be read; the oldest of it is left out".to_owned());
                self.place.ranges.remove(0);
            }
            self.place.ranges.push(left);
            self.polled.more = true;
        }
        match read.error {
            None => Ok(Some(top.unwrap_or(0))),
            Some(error) => self.failed(error).map(|()| top.filter(|_| again)),
        }
    }

    /// What passes by itself ends the round with what came; the rest is the caller's to decide.
    fn failed(&mut self, error: FetchError) -> Result<(), FetchError> {
        let nothing_read = self.seen.is_empty();
        match error {
            FetchError::RateLimited { retry_after } if !nothing_read => {
                let limit = self.polled.budget.map_or(0.0, |budget| budget.limit);
                self.polled.budget = Some(Budget { limit, remaining: 0.0, resets_in: retry_after });
                self.polled.wait = Some(retry_after);
                self.over = true;
                Ok(())
            }
            FetchError::OverBudget { retry_after } if !nothing_read => {
                self.polled.wait = Some(retry_after);
                self.polled.over_budget = true;
                self.over = true;
                Ok(())
            }
            // A search that X does not take must not hold up the rest for ever.
            FetchError::Refused { scope: Scope::Item, .. } => {
                self.polled.problems.push(format!("not all could be read: {error}"));
                Ok(())
            }
            FetchError::Unavailable(_) if !nothing_read => {
                self.polled.problems.push(format!("not all could be read: {error}"));
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Our own first posts, as far as this round saw them.
    fn learn_roots(&mut self) {
        let account = &self.session.account;
        let own = self.seen.values().filter(|tweet| tweet.is_by(account) && tweet.is_root() && !tweet.retweet);
        self.place.roots.extend(own.filter_map(|tweet| wire::number_of(&tweet.id)));
    }

    /// One search for as many conversations as fit into a query. Our own answers come with our own posts.
    fn searches(&self) -> Vec<Range> {
        let oldest = wire::first_id_at(self.now - WATCHED);
        let ending = format!(") -from:{} -is:retweet", self.session.account.name);
        let mut queries: Vec<String> = Vec::new();
        for root in self.place.roots.range(oldest..) {
            let term = format!("conversation_id:{root}");
            match queries.last_mut() {
                Some(query) if query.len() + term.len() + " OR ".len() + ending.len() <= QUERY_CHARS => {
                    query.push_str(" OR ");
                    query.push_str(&term);
                }
                _ => queries.push(format!("({term}")),
            }
        }
        queries.into_iter().map(|query| self.fresh(Feed::Search(query + &ending))).collect()
    }

    fn close_threads(&mut self) {
        let next = self.place.since.remove("threads.next");
        if let Some(next) = next.filter(|_| !self.over && !self.cut) {
            self.place.since.insert("threads".to_owned(), next);
        }
    }

    /// Whose the conversations are that this round's posts stand in: by what came with them, else by asking.
    async fn ask_for_roots(&mut self) -> Result<(), FetchError> {
        let known = |number: &u64| self.place.roots.contains(number) || self.place.strange.contains(number);
        let roots =
            self.seen.values().filter(|tweet| !tweet.is_root()).filter_map(|tweet| tweet.conversation_id.clone());
        let unknown: BTreeSet<String> =
            roots.filter(|root| wire::number_of(root).is_some_and(|number| !known(&number))).collect();
        let mut ask = Vec::new();
        for root in unknown {
            let author = self.seen.get(&root).map(|tweet| tweet.author_id.clone());
            match author.or_else(|| self.authors.get(&root).cloned()) {
                // A root of ours must also be stored: its answers stand under it.
                Some(Some(author)) if author != self.session.account.id => self.sort_root(&root, false),
                _ => ask.push(root),
            }
        }
        for ids in ask.chunks(IDS_PER_CALL) {
            let list = ids.join(",");
            let asked =
                self.api.posts(&self.session.access_token, &["2", "tweets"], &[("ids", &list)], Scope::Item).await;
            let (page, budget) = match asked {
                Ok(answer) => answer,
                // Nobody knows whose they are, and nobody needs to ask again.
                Err(FetchError::Refused { scope: Scope::Item, .. }) => (wire::Page::default(), None),
                // Without them an answer would be stored as a post of its own: the whole round is read again.
                Err(error) => return Err(error),
            };
            self.polled.budget = budget.or(self.polled.budget);
            for id in ids {
                let tweet = page.tweets.iter().find(|tweet| tweet.id == *id);
                self.sort_root(id, tweet.is_some_and(|tweet| tweet.is_by(&self.session.account)));
            }
            self.seen.extend(page.tweets.into_iter().filter(|tweet| tweet.is_by(&self.session.account)).map(keyed));
        }
        Ok(())
    }

    fn sort_root(&mut self, id: &str, ours: bool) {
        if let Some(number) = wire::number_of(id) {
            let place = if ours { &mut self.place.roots } else { &mut self.place.strange };
            place.insert(number);
        }
    }

    fn finish(mut self) -> Polled {
        let (site, account) = (&self.api.config.auth_base, &self.session.account);
        let mut tweets: Vec<Tweet> = self.seen.into_values().filter(|tweet| !tweet.retweet).collect();
        tweets.sort_by_key(|tweet| wire::number_of(&tweet.id));
        for tweet in tweets {
            let id = tweet.id.clone();
            let root = tweet.conversation_id.clone().filter(|_| !tweet.is_root());
            let ours = root.filter(|root| wire::number_of(root).is_some_and(|root| self.place.roots.contains(&root)));
            let item = match (ours, tweet.is_by(account)) {
                (Some(root), _) => tweet.into_comment(root, site, account).map(InboundItem::Comment),
                // Our answer elsewhere stands under what it answers, where that came in as a post.
                (None, true) if tweet.replied_to.is_some() => {
                    let under = tweet.replied_to.clone().unwrap_or_default();
                    tweet.into_comment(under, site, account).map(InboundItem::Comment)
                }
                _ => tweet.into_post(site, account).map(InboundItem::Post),
            };
            match item {
                Some(mut item) => {
                    item.not_later_than(self.now);
                    self.polled.items.push(item);
                }
                None => self.polled.problems.push(format!("post {id} came without a time")),
            }
        }
        keep_newest(&mut self.place.roots, ROOTS);
        keep_newest(&mut self.place.strange, STRANGE_ROOTS);
        self.polled.cursor = Cursor::of(&self.place);
        self.polled
    }
}

fn keyed(tweet: Tweet) -> (String, Tweet) {
    (tweet.id.clone(), tweet)
}

fn keep_newest(ids: &mut BTreeSet<u64>, count: usize) {
    while ids.len() > count {
        ids.pop_first();
    }
}

/// How posts of others with certain words are followed: those that stand there, then each new one.
pub(super) async fn watch(
    api: &Api,
    session: &Session,
    words: &str,
    cursor: &Cursor,
    now: OffsetDateTime,
) -> Result<Polled, FetchError> {
    let plain: String = words.chars().map(|sign| if sign == '"' || sign.is_control() { ' ' } else { sign }).collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let ending = format!(" -is:retweet -from:{}", session.account.name);
    if plain.is_empty() || plain.chars().count() + ending.len() + 2 > QUERY_CHARS {
        return Err(calls::refusal("bad_words", "X cannot search for these words".to_owned(), Scope::Item));
    }
    let week = wire::first_id_at(now - wire::WEEK + Duration::minutes(5));
    let began = cursor.0.get("since").and_then(serde_json::Value::as_u64).unwrap_or(week).max(week);
    let feed = Feed::Search(format!("\"{plain}\"{ending}"));
    // What an earlier round did not reach comes first.
    let left = cursor.0.get("left").and_then(|left| serde_json::from_value::<(u64, u64)>(left.clone()).ok());
    let range = match left {
        Some((since, until)) => Range { feed, since: since.max(week), until: Some(until) },
        None => Range { feed, since: began, until: None },
    };
    let read = read_range(api, session, range, PAGES).await;
    if let Some(error) = read.error.filter(|_| read.tweets.is_empty()) {
        return Err(error);
    }
    let top = read.tweets.iter().filter_map(|tweet| wire::number_of(&tweet.listed_id)).max().unwrap_or(0);
    let next = match left {
        Some(_) => began,
        None => top.min(wire::first_id_at(now - LAG)).max(began),
    };
    let left = read.left.and_then(|left| Some((left.since, left.until?)));
    let posts = read.tweets.into_iter().filter(|tweet| !tweet.retweet);
    let items = posts.filter_map(|tweet| tweet.into_post(&api.config.auth_base, &session.account));
    Ok(Polled {
        items: items.map(InboundItem::Post).collect(),
        cursor: Cursor(serde_json::json!({ "since": next, "left": left })),
        more: left.is_some(),
        budget: read.budget,
        wait: None,
        over_budget: false,
        problems: read.problems,
    })
}
