//! Polling. Comment counts tell which trees changed; only those are read. They come with the listing of the account's own posts,
//! or from elsewhere (`Parts::counted`), so that most rounds need no listing.
//!
//! Edits and deletions do not change a count: the product asks for those by id (`states`), so a tree is read again once a day
//! only, for what else may have been missed.
//!
//! The cursor remembers a mark per post and is bounded. A post whose tree could not be read keeps its old mark, so the
//! next round tries again soon; such posts go last, so that they never keep others waiting. Of a tree that is too large for one round the
//! places that are left are kept, and each round reads some of them. The inbox comes last (`inbox`).

use super::inbox::{self, Seen};
use super::tree::{self, Rest, Tree};
use super::{Api, wire};
use crate::error::{FetchError, Scope};
use crate::types::{Budget, Cursor, InboundItem, Parts, Polled, PostCount, Session};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

const TREES_PER_POLL: usize = 10;
const EXTRA_CALLS_PER_POLL: usize = 20;
/// Of these, kept for trees that an earlier round could not read whole.
const CALLS_TO_GO_ON: usize = 5;
/// Places of unread comments that the cursor keeps, over all posts.
const KEPT_PLACES: usize = 6_000;
/// A tree that takes more calls than this never ends.
const CALLS_PER_TREE: usize = 150;
const PROBLEMS: usize = 20;
const PAGES: usize = 5;
/// Marks kept: as many as the pages can show.
const MARKS: usize = 500;
/// Posts older than this are looked at where they stand on the first page, but no further page is read for them.
const WATCHED: Duration = Duration::days(30);
/// An unknown post younger than this gets its tree read, an older one only when its count changes.
const YOUNG: Duration = Duration::days(7);
const READ_AGAIN_AFTER: Duration = Duration::hours(24);
/// Unknown threads whose comments are read when an account is new, the youngest ones; of older ones only what is said from then on.
const BACKFILL_TREES: usize = 50;
const FAILURES_PER_POLL: usize = 2;
/// When a tree that could not be read is tried again; twice as long after each failure, up to half an hour.
const FAILED_AGAIN: std::time::Duration = std::time::Duration::from_secs(60);

/// What we know of a post since the last round. Times are epoch seconds; the short names keep the cursor small.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Comment count at the last reading of the tree; absent = never read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    /// Comment count that was told and whose tree is still to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<u64>,
    /// Created.
    c: i64,
    /// Edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e: Option<i64>,
    /// Locked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    l: bool,
    /// Tree read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<i64>,
    /// Failed readings in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    f: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Marks {
    posts: BTreeMap<String, Mark>,
    /// What is left of trees that one round could not read whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rest: BTreeMap<String, Rest>,
    #[serde(default)]
    inbox: Seen,
}

/// A tree to be read in this round.
struct Due {
    id: String,
    comments: u64,
    /// Only to catch edits; a later round will do.
    again: bool,
}

pub(super) async fn poll(
    api: &Api,
    session: &Session,
    cursor: &Cursor,
    parts: &Parts,
    now: OffsetDateTime,
) -> Result<Polled, FetchError> {
    let mut polled = Polled::default();
    let mut marks = cursor.place(&mut polled.problems);
    let again = if parts.own_posts {
        let posts = own_posts(api, session, now, &mut polled).await?;
        note_listed(posts, &mut marks, now, &mut polled.items)
    } else {
        Vec::new()
    };
    note_counted(&parts.counted, &mut marks);
    let due = order(again, &marks);
    let mut round = Round { api, session, now, marks: &mut marks, polled: &mut polled, extra: 0 };
    let halted = round.read_trees(due).await || round.go_on().await;
    if parts.inbox && !halted {
        inbox::read(api, session, &mut marks.inbox, now, &mut polled).await;
    }
    polled.cursor = write_marks(marks);
    for item in &mut polled.items {
        item.not_later_than(now);
    }
    if polled.problems.len() > PROBLEMS {
        let more = polled.problems.len() - PROBLEMS;
        polled.problems.truncate(PROBLEMS);
        polled.problems.push(format!("and {more} more"));
    }
    Ok(polled)
}

fn write_marks(mut marks: Marks) -> Cursor {
    let mut ages: Vec<i64> = marks.posts.values().map(|mark| mark.c).collect();
    ages.sort_unstable_by(|a, b| b.cmp(a));
    if let Some(oldest) = ages.get(MARKS) {
        marks.posts.retain(|_, mark| mark.c > *oldest || mark.s.is_some());
    }
    let Marks { posts, rest, .. } = &mut marks;
    let mut places = 0;
    rest.retain(|id, rest| {
        places += rest.len();
        posts.contains_key(id) && places <= KEPT_PLACES
    });
    Cursor::of(&marks)
}

/// Newest first, over as many pages as young posts fill. Only a failing first page fails the poll.
async fn own_posts(
    api: &Api,
    session: &Session,
    now: OffsetDateTime,
    polled: &mut Polled,
) -> Result<Vec<wire::Post>, FetchError> {
    let mut posts: Vec<wire::Post> = Vec::new();
    let mut after: Option<String> = None;
    for page in 0..PAGES {
        let path = ["user", &session.account.name, "submitted"];
        let mut query = vec![("sort", "new"), ("limit", "100")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let answer = match api.get(&session.access_token, &path, &query, Scope::Account).await {
            Ok(answer) => answer,
            Err(error) if page == 0 => return Err(error),
            Err(error) => {
                polled.problems.push(format!("older posts could not be listed: {error}"));
                break;
            }
        };
        polled.budget = answer.budget.or(polled.budget);
        let Some(listing) = wire::listing(&answer.body) else {
            return Err(FetchError::Unavailable("the posts came in an unknown form".to_owned()));
        };
        for thing in listing.children.iter().filter(|thing| wire::kind(thing) == "t3") {
            match wire::post(thing, &api.config.auth_base, &session.account) {
                Ok(post) => posts.push(post),
                Err(problem) => polled.problems.push(problem),
            }
        }
        after = listing.after.map(str::to_owned);
        if after.is_none() || posts.last().is_some_and(|post| now - post.post.created_at > WATCHED) {
            break;
        }
    }
    Ok(posts)
}

/// Emits new and changed posts and notes whose trees changed. Gives the trees that are only to be read again.
fn note_listed(
    posts: Vec<wire::Post>,
    marks: &mut Marks,
    now: OffsetDateTime,
    items: &mut Vec<InboundItem>,
) -> Vec<Due> {
    let mut due = Vec::new();
    // The listing is newest first.
    let mut unknown = 0;
    for wire::Post { post, comments } in posts {
        let created = post.created_at.unix_timestamp();
        let edited = post.edited_at.map(OffsetDateTime::unix_timestamp);
        let young = now - post.created_at < YOUNG;
        let known = marks.posts.contains_key(&post.id);
        let mark = marks.posts.entry(post.id.clone()).or_insert_with(|| Mark {
            n: (!young || comments == 0 || unknown >= BACKFILL_TREES).then_some(comments),
            c: created,
            // Those that the first rounds leave out wait for their day.
            r: (young && unknown >= BACKFILL_TREES).then(|| now.unix_timestamp()),
            ..Mark::default()
        });
        unknown += usize::from(!known && mark.n.is_none());
        mark.s = (mark.n != Some(comments)).then_some(comments);
        let stale = mark.r.is_none_or(|read| now.unix_timestamp() - read >= READ_AGAIN_AFTER.whole_seconds());
        if mark.s.is_none() && young && comments > 0 && stale {
            due.push(Due { id: post.id.clone(), comments, again: true });
        }
        if !known || mark.e != edited || mark.l != post.locked {
            (mark.e, mark.l) = (edited, post.locked);
            items.push(InboundItem::Post(post));
        }
    }
    due
}

fn note_counted(counted: &[PostCount], marks: &mut Marks) {
    for post in counted {
        let mark = marks.posts.entry(post.id.clone()).or_insert_with(|| Mark {
            n: (post.comments == 0).then_some(0),
            c: post.created_at.unix_timestamp(),
            ..Mark::default()
        });
        mark.s = (mark.n != Some(post.comments)).then_some(post.comments);
    }
}

/// The trees to read: failed ones last, then changed before repeated, young first.
fn order(again: Vec<Due>, marks: &Marks) -> Vec<Due> {
    let changed = marks
        .posts
        .iter()
        .filter_map(|(id, mark)| mark.s.map(|comments| Due { id: id.clone(), comments, again: false }));
    let mut due: Vec<Due> = changed.chain(again).collect();
    due.sort_by_key(|due| {
        let mark = marks.posts.get(&due.id);
        (mark.map_or(0, |mark| mark.f), due.again, mark.map_or(0, |mark| -mark.c))
    });
    due
}

struct Round<'a> {
    api: &'a Api,
    session: &'a Session,
    now: OffsetDateTime,
    marks: &'a mut Marks,
    polled: &'a mut Polled,
    extra: usize,
}

impl Round<'_> {
    /// True where no further call makes sense in this round.
    async fn read_trees(&mut self, due: Vec<Due>) -> bool {
        self.extra = EXTRA_CALLS_PER_POLL - CALLS_TO_GO_ON;
        let mut failures = 0;
        let mut waiting = due.into_iter();
        for due in waiting.by_ref().take(TREES_PER_POLL) {
            if self.polled.budget.is_some_and(|budget| budget.remaining < 1.0) {
                self.polled.more |= !due.again;
                return true;
            }
            let request = tree::Request { post_id: &due.id, under: None };
            // While a rest is kept, the stubs of a new reading lead to what that rest leads to.
            let mut none = 0;
            let pending = self.marks.rest.contains_key(&due.id);
            let extra = if pending { &mut none } else { &mut self.extra };
            let error = match tree::read(self.api, self.session, &request, extra).await {
                Ok(mut tree) => {
                    if pending {
                        tree.left = Rest::default();
                    }
                    self.keep(&due, tree)
                }
                Err(error) => Some(error),
            };
            let Some(error) = error else { continue };
            failures += 1;
            if self.fail(&due, error) || failures == FAILURES_PER_POLL {
                return true;
            }
        }
        self.polled.more |= waiting.any(|due| !due.again);
        false
    }

    /// Reads on in trees that were too large for one round. True where no further call makes sense.
    async fn go_on(&mut self) -> bool {
        self.extra += CALLS_TO_GO_ON;
        for (id, rest) in std::mem::take(&mut self.marks.rest) {
            if self.extra == 0 || rest.calls >= CALLS_PER_TREE {
                self.leave(&id, rest);
                continue;
            }
            match tree::go_on(self.api, self.session, &id, &rest, &mut self.extra).await {
                Ok(tree) => {
                    let halted = tree.halted.is_some();
                    let left = self.take(tree);
                    self.leave(&id, left);
                    if halted {
                        return true;
                    }
                }
                Err(error) => self.polled.problems.push(format!("{id}: comments not read: {error}")),
            }
        }
        false
    }

    /// Keeps what is left of a tree, unless it never ends.
    fn leave(&mut self, id: &str, left: Rest) {
        if left.is_empty() {
            return;
        }
        if left.calls >= CALLS_PER_TREE {
            self.polled.problems.push(format!("{id}: too many comments to read them all"));
            return;
        }
        self.polled.more = true;
        self.marks.rest.insert(id.to_owned(), left);
    }

    /// Takes what came; gives back what is left.
    fn take(&mut self, tree: Tree) -> Rest {
        self.polled.budget = tree.budget.or(self.polled.budget);
        self.polled.items.extend(tree.comments.into_iter().map(InboundItem::Comment));
        self.polled.problems.extend(tree.problems);
        tree.left
    }

    /// Keeps what came; gives back the error that ended the reading early.
    fn keep(&mut self, due: &Due, mut tree: Tree) -> Option<FetchError> {
        let halted = tree.halted.take();
        let left = self.take(tree);
        if halted.is_none() {
            self.settle(due);
            self.leave(&due.id, left);
        }
        halted
    }

    fn settle(&mut self, due: &Due) {
        if let Some(mark) = self.marks.posts.get_mut(&due.id) {
            (mark.n, mark.s) = (Some(due.comments), None);
            (mark.r, mark.f) = (Some(self.now.unix_timestamp()), 0);
        }
    }

    /// True where no further call makes sense in this round.
    fn fail(&mut self, due: &Due, error: FetchError) -> bool {
        match error {
            FetchError::RateLimited { retry_after } | FetchError::OverBudget { retry_after } => {
                let limit = self.polled.budget.map_or(0.0, |budget| budget.limit);
                self.polled.budget = Some(Budget { limit, remaining: 0.0, resets_in: retry_after });
                self.polled.wait = Some(retry_after);
                self.polled.more = true;
                return true;
            }
            FetchError::AuthExpired => {
                self.polled.more = true;
                return true;
            }
            // Asking again would not change it: wait until the count changes.
            FetchError::Refused { .. } => self.settle(due),
            FetchError::Unavailable(_) => {
                if let Some(mark) = self.marks.posts.get_mut(&due.id) {
                    let wait = FAILED_AGAIN * 2_u32.pow(mark.f.min(5));
                    self.polled.wait = Some(self.polled.wait.map_or(wait, |before| before.min(wait)));
                    mark.f = mark.f.saturating_add(1);
                }
            }
        }
        self.polled.problems.push(format!("{}: comments not read: {error}", due.id));
        false
    }
}
