//! One window of requests: how many a platform lets a client id send until it ends, who may take them and when. Pure.
//!
//! What the platform told counts: the limit is the sum of its two numbers. Between two answers what was given out and not
//! answered yet is taken off. Nothing is given that could pass the limit, even when answers come late, out of order or
//! without headers, or when a process dies with permits in its hands: such permits are lost until the window ends.

use super::{Lane, Urgency};
use rejoinder_platforms::Host;
use std::time::Duration as Wait;
use time::{Duration, OffsetDateTime};

/// How long a window lasts, as far as nobody told.
const LENGTH: Duration = Duration::minutes(10);
/// The platform's clock may be behind ours: a window is over this much later than told.
const GRACE: Duration = Duration::seconds(2);
/// Ends of windows are told in whole seconds; two that lie closer are the same.
const SAME_END: Duration = Duration::seconds(30);
/// What is believed of the limit until the platform told one.
const UNTOLD_API: f64 = 300.0;
const UNTOLD_TOKEN: f64 = 100.0;

#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub number: i64,
    pub limit: f64,
    pub remaining: f64,
    pub outstanding: f64,
    pub ends_at: OffsetDateTime,
    pub assumed: bool,
    pub closed_until: Option<OffsetDateTime>,
    /// Given out when this window was over by its end, and the next one was not sure to have begun: counted in both.
    pub overlap: f64,
    /// Of what is outstanding, so much was given out in the window before and may count in this one. It comes back under the number of its
    /// own window; what does not is lost, but with this window and not with all that follow.
    pub carried: f64,
}

/// What came of requests of one window, added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    pub window: i64,
    /// Answered with headers.
    pub told: u32,
    /// Sent, and nothing was told: each counts as one used.
    pub silent: u32,
    /// Never sent.
    pub unused: u32,
    pub latest: Option<Heard>,
    pub closed_until: Option<OffsetDateTime>,
}

/// Headers, with the end of their window by our clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    pub limit: f64,
    pub remaining: f64,
    pub ends_at: OffsetDateTime,
}

impl Tally {
    pub fn of(window: i64) -> Self {
        Self { window, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::of(self.window)
    }

    /// Of several answers in one window the lowest counts: they may come out of order.
    pub fn hear(&mut self, heard: Heard) {
        self.latest = Some(match self.latest {
            Some(before) if heard.ends_at - before.ends_at > SAME_END => heard,
            Some(before) if before.ends_at - heard.ends_at > SAME_END => before,
            Some(before) if (before.limit - heard.limit).abs() < 1.0 => {
                Heard { remaining: before.remaining.min(heard.remaining), ..heard }
            }
            _ => heard,
        });
    }
}

impl Window {
    pub fn unknown(host: Host, now: OffsetDateTime) -> Self {
        let limit = match host {
            Host::Api => UNTOLD_API,
            Host::Token => UNTOLD_TOKEN,
        };
        let ends_at = now + LENGTH;
        Self {
            number: 1,
            limit,
            remaining: limit,
            outstanding: 0.0,
            ends_at,
            assumed: true,
            closed_until: None,
            overlap: 0.0,
            carried: 0.0,
        }
    }

    /// What can still be given out.
    pub fn left(&self) -> f64 {
        self.remaining - self.outstanding
    }

    /// The next window where this one is over.
    pub fn roll(&mut self, now: OffsetDateTime) {
        if now < self.ends_at + GRACE {
            return;
        }
        let windows_passed = 1 + (now - self.ends_at).whole_seconds() / LENGTH.whole_seconds();
        self.ends_at += LENGTH * i32::try_from(windows_passed).unwrap_or(i32::MAX);
        let (overlap, closed_until) = (self.overlap, self.closed_until.filter(|until| *until > now));
        self.begin();
        // A door that was shut for longer stays shut: nobody told of a new window.
        (self.outstanding, self.closed_until) = (overlap, closed_until);
        self.assumed = true;
    }

    fn begin(&mut self) {
        self.number += 1;
        self.remaining = self.limit;
        (self.outstanding, self.overlap, self.carried) = (0.0, 0.0, 0.0);
        self.closed_until = None;
    }

    pub fn apply(&mut self, tally: &Tally, now: OffsetDateTime) {
        self.roll(now);
        let back = f64::from(tally.told + tally.silent + tally.unused);
        if tally.window == self.number {
            self.outstanding = (self.outstanding - back).max(self.carried);
            self.remaining -= f64::from(tally.silent);
        } else if tally.window + 1 == self.number {
            let back = back.min(self.carried);
            self.outstanding -= back;
            self.carried -= back;
            self.remaining -= f64::from(tally.silent).min(back);
        }
        if let Some(heard) = tally.latest {
            self.believe(heard, now);
        }
        if let Some(until) = tally.closed_until {
            self.closed_until = Some(self.closed_until.map_or(until, |before| before.max(until)));
        }
    }

    fn believe(&mut self, heard: Heard, now: OffsetDateTime) {
        let later_by = heard.ends_at - self.ends_at;
        if later_by > SAME_END {
            // It began before we thought so; what is on its way counts in it.
            let on_its_way = self.outstanding - self.carried;
            self.begin();
            (self.outstanding, self.carried) = (on_its_way, on_its_way);
            (self.limit, self.remaining) = (heard.limit, heard.remaining);
        } else if later_by < -SAME_END && (!self.assumed || heard.ends_at <= now) {
            // An answer of a window that is over.
            return;
        } else if (heard.limit - self.limit).abs() >= 1.0 {
            (self.limit, self.remaining) = (heard.limit, heard.remaining);
        } else {
            self.remaining = self.remaining.min(heard.remaining);
        }
        self.ends_at = heard.ends_at;
        self.assumed = false;
    }

    /// Takes up to `want` permits, or says how long to wait for one.
    pub fn take(&mut self, urgency: Urgency, want: u32, now: OffsetDateTime) -> Result<u32, Wait> {
        self.roll(now);
        if let Some(until) = self.closed_until.filter(|until| *until > now) {
            return Err(wait(until - now));
        }
        let floor = self.floors(urgency).map(|line| line.at(self.share_of_time(now))).fold(0.0, f64::max);
        let free = (self.left() - floor).floor();
        if free < 1.0 {
            return Err(wait(self.opens_at(urgency) - now));
        }
        if now >= self.ends_at {
            self.outstanding += 1.0;
            self.overlap += 1.0;
            return Ok(1);
        }
        let given = want.min(free.min(f64::from(u32::MAX)) as u32);
        self.outstanding += f64::from(given);
        Ok(given)
    }

    /// The part of the window that is still to come.
    fn share_of_time(&self, now: OffsetDateTime) -> f64 {
        ((self.ends_at - now) / LENGTH).clamp(0.0, 1.0)
    }

    /// What must stay: for the lanes before, and for the time until the end, less what may be taken ahead of time.
    fn floors(&self, urgency: Urgency) -> impl Iterator<Item = Line> {
        let line = |slope: f64, ahead: f64| Line { slope: slope * self.limit, ahead: ahead * self.limit };
        // Five minutes of waiting are worth the head start of the lane before.
        let aged = 0.05 * (urgency.late.as_seconds_f64() / 300.0).clamp(0.0, 6.0);
        let lines = match urgency.lane {
            Lane::Send => [None, None],
            // A hundredth stays to the very end: a reply must not wait for the next window.
            Lane::Token => [Some(line(0.04, -0.01)), None],
            Lane::Busy => [Some(line(0.06, -0.01)), Some(line(1.0, 0.10 + aged))],
            Lane::Rest => [Some(line(0.08, -0.01)), Some(line(1.0, 0.05 + aged))],
        };
        lines.into_iter().flatten()
    }

    /// When one more can be had, if nobody else takes it.
    fn opens_at(&self, urgency: Urgency) -> OffsetDateTime {
        let rest = self.left() - 1.0;
        if rest < 0.0 {
            return self.ends_at + GRACE;
        }
        let share = self.floors(urgency).map(|line| (rest + line.ahead) / line.slope).fold(1.0, f64::min);
        self.ends_at - LENGTH * share.max(0.0)
    }
}

/// `slope` times the share of time that is left, less `ahead`.
struct Line {
    slope: f64,
    ahead: f64,
}

impl Line {
    fn at(&self, share: f64) -> f64 {
        self.slope * share - self.ahead
    }
}

fn wait(time: Duration) -> Wait {
    Wait::try_from(time).unwrap_or_default().max(Wait::from_secs(1))
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
