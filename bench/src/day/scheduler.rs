//! The scheduler alone: windows, lanes and rhythm as the server uses them, a platform that only counts, no HTTP and no rows.
//! What people say (`talk`) comes in as it does over HTTP: through the inbox, or through a thread whose number changed.

mod talk;

use super::{Delays, Report};
use crate::rng::Rng;
use rejoinder_app::coord::budget::window::{Heard, Tally, Window};
use rejoinder_app::coord::budget::{Lane, Urgency};
use rejoinder_app::flow::ingest::{looks, rhythm};
use rejoinder_platforms::Host;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::{BTreeSet, BinaryHeap};
use talk::{Account, Post, Text};
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
const SWEEP_EVERY: Duration = Duration::hours(3);
/// Nobody speaks in the last part, so that all that was said can have come in.
const QUIET_END: Duration = Duration::hours(4);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Speak(usize),
    Publish(usize),
    Send,
    Token,
    Threads(usize),
    Round(usize),
    Sweep(usize),
}

/// The other side.
struct Platform {
    window: i64,
    used: u32,
    report: Report,
    kinds: BTreeMap<&'static str, u64>,
}

impl Platform {
    fn ask(&mut self, kind: &'static str, now: OffsetDateTime) -> Heard {
        let window = now.unix_timestamp().div_euclid(WINDOW_SECS);
        if window != self.window {
            (self.window, self.used) = (window, 0);
            self.report.windows += 1;
        }
        self.used += 1;
        *self.kinds.entry(kind).or_default() += 1;
        self.report.requests += 1;
        self.report.most_in_window = self.report.most_in_window.max(self.used);
        self.report.refused += u64::from(self.used > LIMIT);
        let ends_at = OffsetDateTime::from_unix_timestamp((window + 1) * WINDOW_SECS).unwrap_or(now);
        let remaining = f64::from(LIMIT) - f64::from(self.used);
        Heard { limit: f64::from(LIMIT), remaining, ends_at }
    }
}

pub fn run(accounts: usize, posts: usize, time: Duration, seed: u64) -> Report {
    let mut day = Day::new(accounts, posts, START + time, seed);
    let mut now = START;
    while now < START + time {
        day.measure(now);
        day.look(now);
        while let Some(Reverse((_, work, since))) = day.queue.peek().copied().filter(|Reverse((due, ..))| *due <= now) {
            day.queue.pop();
            if let Some((at, since)) = day.run(work, since, now) {
                day.queue.push(Reverse((at, work, since)));
            }
        }
        now += STEP;
    }
    day.finish(time)
}

/// When work goes on, and since when it has been due then.
type Again = Option<(OffsetDateTime, OffsetDateTime)>;

struct Day {
    accounts: Vec<Account>,
    window: Window,
    platform: Platform,
    queue: BinaryHeap<Reverse<(OffsetDateTime, Work, OffsetDateTime)>>,
    /// Posts by when they are looked at: account, number.
    looks: BTreeSet<(OffsetDateTime, usize, usize)>,
    rng: Rng,
    stretch: f64,
    measured_at: OffsetDateTime,
    look_again_at: OffsetDateTime,
    end: OffsetDateTime,
    lanes: BTreeMap<&'static str, Delays>,
    came_in: BTreeMap<&'static str, Delays>,
}

impl Day {
    fn new(accounts: usize, posts: usize, end: OffsetDateTime, seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork("scheduler");
        let mut queue = BinaryHeap::new();
        let mut looks = BTreeSet::new();
        let made: Vec<Account> = (0..accounts).map(|number| Account::new(number, posts, START)).collect();
        for (number, account) in made.iter().enumerate() {
            // All at once: the worst start.
            queue.push(Reverse((START, Work::Round(number), START)));
            looks.extend((0..posts).map(|post| (START, number, post)));
            let within = |rng: &mut Rng, secs: usize| START + Duration::seconds(rng.below(secs) as i64);
            for (work, secs) in [(Work::Sweep(number), 10_800), (Work::Token, 86_400), (Work::Publish(number), 86_400)]
            {
                let at = within(&mut rng, secs);
                queue.push(Reverse((at, work, at)));
            }
            let at = START + account.until_next(&mut rng);
            queue.push(Reverse((at, Work::Speak(number), at)));
        }
        queue.push(Reverse((START + Duration::MINUTE, Work::Send, START + Duration::MINUTE)));
        let report = Report { accounts, followed_posts: accounts * posts, limit: LIMIT, ..Report::default() };
        Self {
            accounts: made,
            window: Window::unknown(Host::Api, START),
            platform: Platform { window: 0, used: 0, report, kinds: BTreeMap::new() },
            queue,
            looks,
            rng,
            stretch: 1.0,
            measured_at: START - Duration::HOUR,
            look_again_at: START,
            end,
            lanes: BTreeMap::new(),
            came_in: BTreeMap::new(),
        }
    }

    fn measure(&mut self, now: OffsetDateTime) {
        if now - self.measured_at < Duration::MINUTE {
            return;
        }
        self.measured_at = now;
        let rounds = self.accounts.iter().map(Account::rounds_per_sec).sum();
        let looks = self.accounts.iter().map(|account| account.looks_per_sec).sum();
        self.stretch = rhythm::stretch(rounds, looks, self.window.limit);
    }

    /// One request; told at once.
    fn ask(&mut self, kind: &'static str, urgency: Urgency, now: OffsetDateTime) -> Result<(), Duration> {
        self.window.take(urgency, 1, now).map_err(rhythm::wait)?;
        let heard = self.platform.ask(kind, now);
        let number = self.window.number;
        self.window.apply(&Tally { told: 1, latest: Some(heard), ..Tally::of(number) }, now);
        Ok(())
    }

    fn late(&mut self, lane: &'static str, late: Duration) {
        self.lanes.entry(lane).or_default().add(late);
    }

    /// `since`: when it was due first.
    fn run(&mut self, work: Work, since: OffsetDateTime, now: OffsetDateTime) -> Again {
        let late = now - since;
        let done = match work {
            Work::Speak(number) => return self.speak(number, now),
            Work::Publish(number) => self.publish(number, now),
            Work::Send => self.send(late, now),
            Work::Token => self.ask("token", Urgency { lane: Lane::Token, late }, now).map(|()| {
                self.late("lane token", late);
                Some(now + Duration::DAY)
            }),
            Work::Threads(number) => self.threads(number, late, now).map(|()| None),
            Work::Round(number) => self.round(number, late, now).map(Some),
            Work::Sweep(number) => self.sweep(number, late, now).map(Some),
        };
        match done {
            Ok(next) => next.map(|at| (at, at)),
            Err(wait) => Some((now + wait, since)),
        }
    }

    fn speak(&mut self, number: usize, now: OffsetDateTime) -> Again {
        if now + QUIET_END >= self.end {
            return None;
        }
        self.accounts[number].say(&mut self.rng, now);
        let at = now + self.accounts[number].until_next(&mut self.rng);
        Some((at, at))
    }

    /// A post a day, known here when it is listed or when the inbox names it.
    fn publish(&mut self, number: usize, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Duration> {
        self.accounts[number].posts.push(Post::new(now, false));
        self.platform.report.followed_posts += 1;
        Ok(Some(now + Duration::DAY))
    }

    /// Target, thread, write: all three or later. Two hundred replies an hour, at any moment.
    fn send(&mut self, late: Duration, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Duration> {
        for _ in 0..3 {
            self.ask("replies", Urgency { lane: Lane::Send, late }, now)?;
        }
        self.late("lane send", late);
        Ok(Some(now + Duration::seconds(1 + self.rng.below(35) as i64)))
    }

    /// The comments of a hundred posts are counted, whoever's they are.
    fn look(&mut self, now: OffsetDateTime) {
        while now >= self.look_again_at {
            let Some((oldest, ..)) = self.looks.first().copied() else { return };
            let full = self.looks.iter().take(looks::BATCH).filter(|(at, ..)| *at <= now).count() == looks::BATCH;
            if oldest > now || !(full || oldest <= now - looks::GATHER) {
                return;
            }
            let late = now - oldest;
            if let Err(wait) = self.ask("looks (api/info)", Urgency { lane: Lane::Busy, late }, now) {
                self.look_again_at = now + wait;
                return;
            }
            self.late("lane busy (looks)", late);
            let due = self.looks.iter().take(looks::BATCH).take_while(|(at, ..)| *at <= now + looks::AHEAD);
            for entry in due.copied().collect::<Vec<_>>() {
                self.looks.remove(&entry);
                let (_, number, post) = entry;
                let wanted = self.accounts[number].posts[post].looked_at(now);
                if self.accounts[number].posts[post].to_read() && !self.accounts[number].threads_due {
                    self.accounts[number].threads_due = true;
                    self.queue.push(Reverse((now, Work::Threads(number), now)));
                }
                self.looks.insert((now + rhythm::stretched(wanted, self.stretch), number, post));
            }
        }
    }

    /// The threads that changed, one request each.
    fn threads(&mut self, number: usize, late: Duration, now: OffsetDateTime) -> Result<(), Duration> {
        while let Some(post) = self.accounts[number].posts.iter().position(Post::to_read) {
            self.ask("threads", Urgency { lane: Lane::Busy, late }, now)?;
            let heard = self.accounts[number].read_thread(post, now);
            self.heard(heard, now);
        }
        self.late("lane busy (threads)", late);
        self.accounts[number].threads_due = false;
        Ok(())
    }

    fn round(&mut self, number: usize, late: Duration, now: OffsetDateTime) -> Result<OffsetDateTime, Duration> {
        let lane = rhythm::lane(rhythm::wanted(now, self.accounts[number].last_heard_at));
        let urgency = Urgency { lane, late };
        let mut requests = 1;
        let listed = self.accounts[number].list_at <= now;
        if listed {
            self.ask("own posts listed", urgency, now)?;
            requests += 1;
            self.list(number, now);
            while let Some(post) = self.accounts[number].posts.iter().position(Post::listing_reads) {
                self.ask("threads", urgency, now)?;
                requests += 1;
                let heard = self.accounts[number].read_thread(post, now);
                self.heard(heard, now);
            }
        }
        self.ask("inbox", urgency, now)?;
        let heard = self.accounts[number].read_inbox();
        if !heard.is_empty() {
            // Their posts, and the entries marked as read.
            for kind in ["inbox: posts (api/info)", "inbox: marked as read"] {
                self.ask(kind, urgency, now)?;
                requests += 1;
            }
        }
        let elsewhere = heard.iter().any(|text| text.post.is_none());
        for post in self.accounts[number].named_by(&heard) {
            self.looks.insert((now, number, post));
        }
        self.heard(heard, now);
        self.late("lane rest (rounds)", late);
        let stretch = self.stretch;
        Ok(self.accounts[number].rounded(elsewhere, requests, stretch, now))
    }

    fn list(&mut self, number: usize, now: OffsetDateTime) {
        let stretch = self.stretch;
        let account = &mut self.accounts[number];
        account.list_at = now + rhythm::stretched(rhythm::LISTED, stretch);
        for post in account.listed(now) {
            self.looks.insert((now, number, post));
        }
    }

    fn heard(&mut self, texts: Vec<Text>, now: OffsetDateTime) {
        for text in texts {
            self.came_in.entry(text.kind).or_default().add(now - text.said_at);
        }
    }

    fn sweep(&mut self, number: usize, late: Duration, now: OffsetDateTime) -> Result<OffsetDateTime, Duration> {
        let things = self.accounts[number].posts.len() * THINGS_PER_POST;
        // A seventh of the old ones is due each time, and the recent ones.
        let requests = (things / 6).div_ceil(BATCH).max(1);
        if self.accounts[number].to_sweep == 0 {
            self.accounts[number].to_sweep = requests;
        }
        while self.accounts[number].to_sweep > 0 {
            self.ask("sweeps (api/info)", Urgency { lane: Lane::Rest, late }, now)?;
            self.accounts[number].to_sweep -= 1;
        }
        self.late("lane rest (sweeps)", late);
        Ok(now + SWEEP_EVERY)
    }

    fn finish(self, time: Duration) -> Report {
        let mut intervals: Vec<(Duration, Duration)> =
            self.accounts.iter().map(|account| (account.wanted, account.interval)).collect();
        intervals.sort_unstable();
        Report {
            hours: time.as_seconds_f64() / 3_600.0,
            kinds: self.platform.kinds.into_iter().map(|(kind, requests)| (kind.to_owned(), requests)).collect(),
            lost: self.accounts.iter().map(|account| account.waiting.len()).sum(),
            delays: self.lanes.into_iter().chain(self.came_in).collect(),
            interval: intervals.get(intervals.len() / 2).copied(),
            ..self.platform.report
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day of 200 accounts with a hundred posts each, on one client id.
    #[test]
    fn two_hundred_accounts_ask_little_and_hear_everything_in_time() {
        let report = run(200, 100, Duration::hours(12), 3);
        report.check().unwrap();
        let reading: u64 =
            report.kinds.iter().filter(|(kind, _)| kind != "replies").map(|(_, requests)| requests).sum();
        let asked = report.per_thousand_posts_and_hour(reading);
        assert!(asked <= 60.0, "{asked:.0} requests for 1,000 followed posts and hour");
        let heard = |kind: &str| report.delays.iter().find(|(name, _)| *name == kind).unwrap().1.clone();
        let bounds = [
            // A second remark comes soon after the first, while the post still counts as a quiet one.
            ("said where people talk", 45),
            ("said to us, quiet thread", 35),
            ("said elsewhere", 35),
            ("said to others, quiet", 35),
            ("said to others, 30 d quiet", 65),
        ];
        for (kind, minutes) in bounds {
            let delays = heard(kind);
            assert!(delays.count > 10 && delays.most_secs <= f64::from(minutes * 60), "{kind}: {delays:?}");
        }
        let talk = heard("said where people talk");
        assert!(talk.sum_secs <= 240.0 * talk.count as f64, "{talk:?}");
    }

    #[test]
    fn ten_accounts_are_read_as_often_as_they_want() {
        let report = run(10, 20, Duration::hours(24), 3);
        report.check().unwrap();
        let heard = report.delays.iter().find(|(name, _)| *name == "said where people talk").unwrap().1.clone();
        assert!(heard.count > 10 && heard.most_secs <= 630.0, "{heard:?}");
        assert!(heard.sum_secs <= 90.0 * heard.count as f64, "{heard:?}");
    }
}
