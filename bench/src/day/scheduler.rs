//! The scheduler alone: windows, lanes and rhythm as the server uses them, a platform that only counts, no HTTP and no rows.

use super::{Delays, Report};
use crate::rng::Rng;
use rejoinder_app::coord::budget::window::{Heard, Tally, Window};
use rejoinder_app::coord::budget::{Lane, Urgency};
use rejoinder_app::flow::ingest::rhythm;
use rejoinder_platforms::Host;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const START: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);
const LIMIT: u32 = 1_000;
const WINDOW_SECS: i64 = 600;
/// The server looks for due rounds this often.
const STEP: Duration = Duration::seconds(5);
/// Things that a sweep asks for at a time, and how many things hang on a post with it.
const BATCH: usize = 100;
const THINGS_PER_POST: usize = 5;
const SWEEP_EVERY: Duration = Duration::hours(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Send,
    Token(usize),
    Poll(usize),
    Sweep(usize),
}

struct Account {
    last_heard_at: Option<OffsetDateTime>,
    cost: f32,
    wanted: Duration,
    interval: Duration,
    /// Texts an hour.
    busy: f64,
    polled_at: OffsetDateTime,
    /// Requests of the running sweep that are still to be made.
    to_sweep: usize,
}

/// The other side.
struct Platform {
    window: i64,
    used: u32,
    report: Report,
}

impl Platform {
    fn ask(&mut self, now: OffsetDateTime) -> Heard {
        let window = now.unix_timestamp().div_euclid(WINDOW_SECS);
        if window != self.window {
            (self.window, self.used) = (window, 0);
            self.report.windows += 1;
        }
        self.used += 1;
        self.report.requests += 1;
        self.report.most_in_window = self.report.most_in_window.max(self.used);
        self.report.refused += u64::from(self.used > LIMIT);
        let ends_at = OffsetDateTime::from_unix_timestamp((window + 1) * WINDOW_SECS).unwrap_or(now);
        let remaining = f64::from(LIMIT) - f64::from(self.used);
        Heard { limit: f64::from(LIMIT), remaining, ends_at }
    }
}

pub fn run(accounts: usize, posts: usize, time: Duration, seed: u64) -> Report {
    let mut day = Day::new(accounts, posts, seed);
    let mut now = START;
    while now < START + time {
        day.measure(now);
        while let Some(Reverse((due, work, since))) = day.queue.peek().copied().filter(|Reverse((due, ..))| *due <= now)
        {
            day.queue.pop();
            let _ = due;
            day.run(work, since, now);
        }
        now += STEP;
    }
    day.finish(time)
}

struct Day {
    accounts: Vec<Account>,
    window: Window,
    platform: Platform,
    queue: BinaryHeap<Reverse<(OffsetDateTime, Work, OffsetDateTime)>>,
    rng: Rng,
    stretch: f64,
    measured_at: OffsetDateTime,
    posts: usize,
    delays: [Delays; 5],
}

impl Day {
    fn new(accounts: usize, posts: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork("scheduler");
        let mut queue = BinaryHeap::new();
        let busy = |number: usize| match number % 20 {
            0 => 6.0,
            1..5 => 1.0,
            _ => 0.15,
        };
        let made = |number| Account {
            last_heard_at: None,
            cost: 1.0,
            wanted: Duration::minutes(5),
            interval: Duration::minutes(5),
            busy: busy(number),
            polled_at: START,
            to_sweep: 0,
        };
        for number in 0..accounts {
            // All at once: the worst start.
            queue.push(Reverse((START, Work::Poll(number), START)));
            let sweep = START + Duration::seconds(rng.below(7_200) as i64);
            queue.push(Reverse((sweep, Work::Sweep(number), sweep)));
            let token = START + Duration::seconds(rng.below(86_400) as i64);
            queue.push(Reverse((token, Work::Token(number), token)));
        }
        queue.push(Reverse((START + Duration::MINUTE, Work::Send, START + Duration::MINUTE)));
        let report = Report { accounts, followed_posts: accounts * posts, limit: LIMIT, ..Report::default() };
        Self {
            accounts: (0..accounts).map(made).collect(),
            window: Window::unknown(Host::Api, START),
            platform: Platform { window: 0, used: 0, report },
            queue,
            rng,
            stretch: 1.0,
            measured_at: START - Duration::HOUR,
            posts,
            delays: Default::default(),
        }
    }

    fn measure(&mut self, now: OffsetDateTime) {
        if now - self.measured_at < Duration::MINUTE {
            return;
        }
        self.measured_at = now;
        let per_sec = |account: &Account| f64::from(account.cost) / account.wanted.as_seconds_f64().max(60.0);
        self.stretch = rhythm::stretch(self.accounts.iter().map(per_sec).sum(), self.window.limit);
    }

    /// One request; told at once.
    fn ask(&mut self, urgency: Urgency, now: OffsetDateTime) -> Result<(), Duration> {
        self.window.take(urgency, 1, now).map_err(rhythm::wait)?;
        let heard = self.platform.ask(now);
        let number = self.window.number;
        self.window.apply(&Tally { told: 1, latest: Some(heard), ..Tally::of(number) }, now);
        Ok(())
    }

    /// `since`: when it was due first.
    fn run(&mut self, work: Work, since: OffsetDateTime, now: OffsetDateTime) {
        let late = now - since;
        let again = match work {
            Work::Send => self.send(late, now),
            Work::Token(number) => {
                self.ask(Urgency { lane: Lane::Token, late }, now).err().map(|wait| (now + wait, since)).or_else(|| {
                    self.delays[1].add(late);
                    let _ = number;
                    None
                })
            }
            Work::Poll(number) => self.poll(number, late, now),
            Work::Sweep(number) => self.sweep(number, since, now),
        };
        let again = match (again, work) {
            (Some((at, since)), _) => Some((at, since)),
            (None, Work::Send) => {
                // Two hundred replies an hour, at any moment.
                let at = now + Duration::seconds(1 + self.rng.below(35) as i64);
                Some((at, at))
            }
            (None, Work::Token(_)) => Some((now + Duration::DAY, now + Duration::DAY)),
            (None, _) => None,
        };
        if let Some((at, since)) = again {
            self.queue.push(Reverse((at, work, since)));
        }
    }

    /// Target, thread, write: all three or later.
    fn send(&mut self, late: Duration, now: OffsetDateTime) -> Option<(OffsetDateTime, OffsetDateTime)> {
        for _ in 0..3 {
            if let Err(wait) = self.ask(Urgency { lane: Lane::Send, late }, now) {
                return Some((now + wait, now - late));
            }
        }
        self.delays[0].add(late);
        None
    }

    fn poll(&mut self, number: usize, late: Duration, now: OffsetDateTime) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let wanted = rhythm::wanted(now, self.accounts[number].last_heard_at);
        let lane = rhythm::lane(wanted);
        let urgency = Urgency { lane, late };
        if let Err(wait) = self.ask(urgency, now) {
            return Some((now + wait, now - late));
        }
        let account = &self.accounts[number];
        let expected = account.busy * (now - account.polled_at).as_seconds_f64() / 3_600.0;
        let heard = (self.rng.below(10_000) as f64) / 10_000.0 < 1.0 - (-expected).exp();
        let mut requests = 1;
        if heard {
            // The thread that it was said in.
            if let Err(wait) = self.ask(urgency, now) {
                return Some((now + wait, now - late));
            }
            requests += 1;
        }
        self.delays[if lane == Lane::Busy { 2 } else { 3 }].add(late);
        let stretch = self.stretch;
        let account = &mut self.accounts[number];
        account.last_heard_at = if heard { Some(now) } else { account.last_heard_at };
        account.cost = rhythm::cost(account.cost, requests);
        account.wanted = rhythm::wanted(now, account.last_heard_at);
        account.interval = rhythm::stretched(account.wanted, stretch);
        account.polled_at = now;
        let next = now + account.interval;
        Some((next, next))
    }

    fn sweep(
        &mut self,
        number: usize,
        since: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let things = self.posts * THINGS_PER_POST;
        // A twelfth of the old ones is due each time, and the recent ones.
        let requests = (things / 10).div_ceil(BATCH).max(1);
        if self.accounts[number].to_sweep == 0 {
            self.accounts[number].to_sweep = requests;
        }
        while self.accounts[number].to_sweep > 0 {
            if let Err(wait) = self.ask(Urgency { lane: Lane::Rest, late: now - since }, now) {
                return Some((now + wait, since));
            }
            self.accounts[number].to_sweep -= 1;
        }
        self.delays[4].add(now - since);
        Some((now + SWEEP_EVERY, now + SWEEP_EVERY))
    }

    fn finish(self, time: Duration) -> Report {
        let mut intervals: Vec<(Duration, Duration)> =
            self.accounts.iter().map(|account| (account.wanted, account.interval)).collect();
        intervals.sort_unstable();
        let names = ["lane send", "lane token", "lane busy (rounds)", "lane rest (rounds)", "lane rest (sweeps)"];
        Report {
            hours: time.as_seconds_f64() / 3_600.0,
            delays: names.into_iter().zip(self.delays).collect(),
            interval: intervals.get(intervals.len() / 2).copied(),
            ..self.platform.report
        }
    }
}
