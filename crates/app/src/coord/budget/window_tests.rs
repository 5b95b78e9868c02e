use super::*;
use proptest::prelude::*;
use time::macros::datetime;

const START: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);

/// A window of 1,000 that begins now, as the platform told it.
fn told(used: f64) -> Window {
    let mut window = Window::unknown(Host::Api, START);
    let heard = Heard { limit: 1000.0, remaining: 1000.0 - used, ends_at: START + Duration::minutes(10) };
    window.apply(&Tally { latest: Some(heard), ..Tally::of(0) }, START);
    window
}

fn urgency(lane: Lane, late_mins: i64) -> Urgency {
    Urgency { lane, late: Duration::minutes(late_mins) }
}

/// How many this lane can take at an instant.
fn takes(window: &Window, urgency: Urgency, now: OffsetDateTime) -> u32 {
    window.clone().take(urgency, 10_000, now).unwrap_or(0)
}

#[test]
fn the_limit_is_what_the_platform_tells() {
    let window = told(4.0);
    assert_eq!((window.limit, window.left(), window.assumed), (1000.0, 996.0, false));
}

#[test]
fn the_first_lanes_may_take_more_than_the_last() {
    let window = told(0.0);
    let all: Vec<u32> = Lane::ALL.iter().map(|lane| takes(&window, urgency(*lane, 0), START)).collect();
    assert_eq!(all, [1000, 950, 100, 50]);
}

#[test]
fn reading_is_spread_over_the_window() {
    let mut window = told(0.0);
    let mut per_minute = Vec::new();
    for minute in 0..10 {
        let now = START + Duration::minutes(minute);
        per_minute.push((0..500).filter(|_| window.take(urgency(Lane::Rest, 0), 1, now).is_ok()).count());
    }
    assert_eq!(per_minute, [50, 100, 100, 100, 100, 100, 100, 100, 100, 100]);
}

#[test]
fn who_must_wait_is_told_when_and_goes_then() {
    let mut window = told(0.0);
    while window.take(urgency(Lane::Rest, 0), 1, START).is_ok() {}
    let wait = window.take(urgency(Lane::Rest, 0), 1, START).unwrap_err();
    assert!(wait >= Wait::from_millis(500) && wait <= Wait::from_secs(2), "{wait:?}");
    assert_eq!(window.take(urgency(Lane::Rest, 0), 1, START + wait), Ok(1));
}

#[test]
fn whoever_waited_long_goes_before_the_busy() {
    let mut window = told(0.0);
    while window.take(urgency(Lane::Busy, 0), 1, START).is_ok() {}
    assert!(window.take(urgency(Lane::Rest, 4), 1, START).is_err());
    assert_eq!(window.take(urgency(Lane::Rest, 6), 1, START), Ok(1));
}

#[test]
fn an_answer_without_headers_counts_one_used() {
    let mut window = told(0.0);
    window.take(urgency(Lane::Send, 0), 2, START).unwrap();
    window.apply(&Tally { silent: 2, ..Tally::of(window.number) }, START);
    assert_eq!((window.remaining, window.outstanding), (998.0, 0.0));
}

#[test]
fn of_answers_out_of_order_the_lowest_counts() {
    let mut window = told(0.0);
    window.take(urgency(Lane::Send, 0), 2, START).unwrap();
    let ends_at = window.ends_at;
    for remaining in [998.0, 999.0] {
        let latest = Some(Heard { limit: 1000.0, remaining, ends_at });
        window.apply(&Tally { told: 1, latest, ..Tally::of(window.number) }, START);
    }
    assert_eq!(window.left(), 998.0);
}

#[test]
fn a_late_answer_of_the_window_before_changes_nothing() {
    let mut window = told(900.0);
    let next = START + Duration::seconds(605);
    window.roll(next);
    let latest = Some(Heard { limit: 1000.0, remaining: 90.0, ends_at: next });
    window.apply(&Tally { latest, ..Tally::of(1) }, next);
    // Its end lies too near: only a window whose end was told refuses it.
    window.ends_at = START + Duration::minutes(20);
    window.assumed = false;
    window.remaining = 1000.0;
    window.apply(&Tally { latest, ..Tally::of(1) }, next);
    assert_eq!(window.left(), 1000.0);
}

#[test]
fn a_closed_door_holds_back_even_replies_until_its_time() {
    let mut window = told(0.0);
    let until = START + Duration::seconds(90);
    window.apply(&Tally { closed_until: Some(until), ..Tally::of(window.number) }, START);
    assert_eq!(window.take(urgency(Lane::Send, 0), 1, START), Err(Wait::from_secs(90)));
    assert_eq!(window.take(urgency(Lane::Send, 0), 1, until), Ok(1));
}

#[test]
fn a_door_that_is_shut_for_longer_than_the_window_stays_shut() {
    let mut window = told(0.0);
    let until = START + Duration::hours(1);
    window.apply(&Tally { closed_until: Some(until), ..Tally::of(window.number) }, START);
    let later = START + Duration::minutes(25);
    assert_eq!(window.take(urgency(Lane::Send, 0), 1, later), Err(Wait::from_secs(35 * 60)));
    assert_eq!(window.take(urgency(Lane::Send, 0), 1, until), Ok(1));
}

#[test]
fn permits_of_a_dead_process_are_lost_for_one_window_only() {
    let mut window = told(0.0);
    window.take(urgency(Lane::Send, 0), 1000, START).unwrap();
    assert!(window.take(urgency(Lane::Send, 0), 1, START + Duration::minutes(9)).is_err());
    assert_eq!(window.take(urgency(Lane::Send, 0), 1, START + Duration::seconds(602)), Ok(1));
}

/// Asked at the very second in which the platform begins anew, with permits at hand that are given back afterwards.
#[test]
fn windows_that_the_platform_begins_first_hold_up_nothing_for_good() {
    let mut window = told(0.0);
    for number in 1..200 {
        let now = START + Duration::minutes(10 * number);
        window.take(urgency(Lane::Send, 0), 16, now - Duration::SECOND).unwrap();
        let before = window.number;
        let latest = Some(Heard { limit: 1000.0, remaining: 999.0, ends_at: now + Duration::minutes(10) });
        window.apply(&Tally { told: 1, latest, ..Tally::of(before) }, now);
        assert_eq!((window.number, window.left()), (before + 1, 984.0), "15 are on their way, window {number}");
        window.apply(&Tally { unused: 10, silent: 2, ..Tally::of(before) }, now);
        assert_eq!(window.left(), 994.0, "3 are lost, 2 may have been counted, window {number}");
    }
}

proptest! {
    /// Whatever is asked, answered, lost or told late: in no window does the platform see more than its limit.
    #[test]
    fn the_limit_is_never_passed(
        limit in 5_u32..400,
        steps in prop::collection::vec((0_u8..6, 0_i64..40, 0_usize..4, 1_u32..30), 1..200),
    ) {
        let mut platform = Platform { limit, began: START, used: 0 };
        let (mut now, mut window) = (START, Window::unknown(Host::Api, START));
        // As after the first answer of all.
        let heard = platform.ask(now);
        window.apply(&Tally { latest: Some(heard), ..Tally::of(0) }, now);
        let mut answers: Vec<Tally> = Vec::new();
        for (act, secs, lane, want) in steps {
            now += Duration::seconds(secs);
            match act {
                0 if !answers.is_empty() => {
                    let tally = answers.swap_remove(want as usize % answers.len());
                    window.apply(&tally, now);
                }
                1 => drop(answers.pop()),
                _ => {
                    let lane = Lane::ALL[lane];
                    let Ok(given) = window.take(urgency(lane, 0), want, now) else { continue };
                    for _ in 0..given {
                        let latest = Some(platform.ask(now));
                        answers.push(Tally { told: 1, latest, ..Tally::of(window.number) });
                    }
                }
            }
        }
    }
}

/// The other side: windows of ten minutes that begin with the first request.
struct Platform {
    limit: u32,
    began: OffsetDateTime,
    used: u32,
}

impl Platform {
    fn ask(&mut self, now: OffsetDateTime) -> Heard {
        while now >= self.began + LENGTH {
            self.began += LENGTH;
            self.used = 0;
        }
        self.used += 1;
        assert!(self.used <= self.limit, "the budget was passed");
        let (limit, used) = (f64::from(self.limit), f64::from(self.used));
        Heard { limit, remaining: limit - used, ends_at: self.began + LENGTH }
    }
}
