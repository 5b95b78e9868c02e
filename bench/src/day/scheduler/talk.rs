//! Accounts with their posts, and what strangers say to them.

use crate::rng::Rng;
use rejoinder_app::flow::ingest::{looks, rhythm};
use time::{Duration, OffsetDateTime};

/// A thread that was read is read again after this time while its post is young.
const AGAIN: Duration = Duration::DAY;
const YOUNG: Duration = Duration::WEEK;

pub struct Post {
    created_at: OffsetDateTime,
    /// Whether it is known here.
    pub known: bool,
    comments: u32,
    told: u32,
    read: u32,
    read_at: Option<OffsetDateTime>,
    changed_at: Option<OffsetDateTime>,
    /// Only to be sure.
    again: bool,
}

impl Post {
    pub fn new(created_at: OffsetDateTime, known: bool) -> Self {
        Self { created_at, known, comments: 0, told: 0, read: 0, read_at: None, changed_at: None, again: false }
    }

    /// A look told that something changed.
    pub fn to_read(&self) -> bool {
        self.known && self.told != self.read
    }

    pub fn listing_reads(&self) -> bool {
        self.to_read() || self.again
    }

    /// Counts; gives the interval until the next look.
    pub fn looked_at(&mut self, now: OffsetDateTime) -> Duration {
        if self.told != self.comments {
            (self.told, self.changed_at) = (self.comments, Some(now));
        }
        rhythm::look_wanted(now, self.created_at, self.changed_at)
    }
}

/// Something that a stranger said and that did not come in yet.
#[derive(Debug, Clone)]
pub struct Text {
    pub said_at: OffsetDateTime,
    /// None: in a thread of others.
    pub post: Option<usize>,
    /// To the account: it stands in its inbox.
    direct: bool,
    pub kind: &'static str,
}

pub struct Account {
    pub posts: Vec<Post>,
    pub waiting: Vec<Text>,
    /// Texts an hour.
    busy: f64,
    pub last_heard_at: Option<OffsetDateTime>,
    pub list_at: OffsetDateTime,
    cost: f32,
    pub looks_per_sec: f64,
    pub wanted: Duration,
    pub interval: Duration,
    pub threads_due: bool,
    /// Requests of the running sweep that are still to be made.
    pub to_sweep: usize,
}

impl Account {
    /// Posts of the last hundred days.
    pub fn new(number: usize, posts: usize, now: OffsetDateTime) -> Self {
        let age = |post: usize| Duration::hours(24 * 100 * (posts - post) as i64 / posts as i64);
        Self {
            posts: (0..posts).map(|post| Post::new(now - age(post), true)).collect(),
            waiting: Vec::new(),
            busy: match number % 20 {
                0 => 6.0,
                1..5 => 1.0,
                _ => 0.15,
            },
            last_heard_at: None,
            list_at: now,
            cost: 1.0,
            looks_per_sec: 0.0,
            wanted: Duration::minutes(5),
            interval: Duration::minutes(5),
            threads_due: false,
            to_sweep: 0,
        }
    }

    /// Requests that its rounds want.
    pub fn rounds_per_sec(&self) -> f64 {
        f64::from(self.cost) / self.wanted.as_seconds_f64().max(60.0)
    }

    pub fn until_next(&self, rng: &mut Rng) -> Duration {
        let drawn = (rng.below(1_000_000) as f64 + 1.0) / 1_000_001.0;
        Duration::seconds_f64(-drawn.ln() / self.busy * 3_600.0)
    }

    /// Mostly under what was posted last; now and then to others there, under an old post, or in a thread of others.
    pub fn say(&mut self, rng: &mut Rng, now: OffsetDateTime) {
        let (place, direct) = (rng.below(100), rng.below(100) < 70);
        if place < 10 {
            self.waiting.push(Text { said_at: now, post: None, direct: true, kind: "said elsewhere" });
            return;
        }
        let back = if place < 80 { rng.below(3) } else { rng.below(self.posts.len()) };
        let at = self.posts.len() - 1 - back.min(self.posts.len() - 1);
        let post = &mut self.posts[at];
        post.comments += 1;
        let quiet = now - post.changed_at.map_or(post.created_at, |at| at.max(post.created_at));
        let kind = match direct {
            _ if quiet < Duration::hours(2) => "said where people talk",
            true => "said to us, quiet thread",
            false if quiet < Duration::days(30) => "said to others, quiet",
            false => "said to others, 30 d quiet",
        };
        self.waiting.push(Text { said_at: now, post: Some(at), direct, kind });
    }

    pub fn read_thread(&mut self, at: usize, now: OffsetDateTime) -> Vec<Text> {
        let post = &mut self.posts[at];
        (post.told, post.read, post.read_at, post.again) = (post.comments, post.comments, Some(now), false);
        self.take(|text| text.post == Some(at))
    }

    pub fn read_inbox(&mut self) -> Vec<Text> {
        self.take(|text| text.direct)
    }

    fn take(&mut self, which: impl Fn(&Text) -> bool) -> Vec<Text> {
        let (came, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(which);
        self.waiting = waiting;
        came
    }

    /// Posts that nobody here knew before these texts were read.
    pub fn named_by(&mut self, texts: &[Text]) -> Vec<usize> {
        let mut new: Vec<usize> =
            texts.iter().filter_map(|text| text.post).filter(|at| !self.posts[*at].known).collect();
        new.sort_unstable();
        new.dedup();
        new.iter().for_each(|at| self.posts[*at].known = true);
        new
    }

    /// The list tells all numbers. Gives the posts that are new here.
    pub fn listed(&mut self, now: OffsetDateTime) -> Vec<usize> {
        let new = (0..self.posts.len()).filter(|at| !self.posts[*at].known).collect();
        let mut per_sec = 0.0;
        for post in &mut self.posts {
            post.known = true;
            if post.told != post.comments {
                (post.told, post.changed_at) = (post.comments, Some(now));
            }
            let stale = post.read_at.is_none_or(|at| now - at >= AGAIN);
            post.again = now - post.created_at < YOUNG && post.comments > 0 && stale;
            per_sec += 1.0 / rhythm::look_wanted(now, post.created_at, post.changed_at).as_seconds_f64();
        }
        self.looks_per_sec = per_sec / looks::BATCH as f64;
        new
    }

    /// Gives the time of the next round.
    pub fn rounded(&mut self, elsewhere: bool, requests: u32, stretch: f64, now: OffsetDateTime) -> OffsetDateTime {
        self.last_heard_at = if elsewhere { Some(now) } else { self.last_heard_at };
        self.cost = rhythm::cost(self.cost, requests);
        self.wanted = rhythm::wanted(now, self.last_heard_at);
        self.interval = rhythm::stretched(self.wanted, stretch);
        now + self.interval
    }
}
