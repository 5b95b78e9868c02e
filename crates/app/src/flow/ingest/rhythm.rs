//! How often an account is read, and how often the comments under its posts are counted. Pure. By itself every 1 to 15 minutes, by how
//! lately somebody spoke; where many accounts share a request budget, all their intervals are stretched alike: up to sixfold so
//! that not more is asked than is of use, and further where the budget does not suffice.

use crate::coord::budget::Lane;
use time::{Duration, OffsetDateTime};

/// More is waiting than one round takes.
pub const SOON: Duration = Duration::seconds(2);
/// The part of a budget that rounds and looks may plan with; the rest is for threads that changed, replies, the sweep over what is
/// stored and what goes wrong.
const PLANNED: f64 = 0.7;
/// While no more than this part of a budget is wanted, everything is read as often as it wants.
const EASY: f64 = 0.05;
/// From there on intervals grow with what is wanted, up to this many times: who is one of many asks no more often than is of use.
const THRIFT: f64 = 6.0;
/// How often an account's own posts are listed: new ones without a comment are in no hurry, and of one with a comment the inbox tells.
pub const LISTED: Duration = Duration::minutes(15);
/// Windows of budgets.
const WINDOW_SECS: f64 = 600.0;

/// The interval by activity alone.
pub fn wanted(now: OffsetDateTime, last_heard_at: Option<OffsetDateTime>) -> Duration {
    match last_heard_at.map(|at| now - at) {
        Some(quiet) if quiet < Duration::minutes(30) => Duration::minutes(1),
        Some(quiet) if quiet < Duration::hours(2) => Duration::minutes(2),
        Some(quiet) if quiet < Duration::hours(12) => Duration::minutes(3),
        _ => Duration::minutes(5),
    }
}

/// Where a platform tells of what happens, looking is for the gaps alone.
pub const BESIDE_EVENTS: Duration = Duration::minutes(15);

/// The interval of counting the comments under a post, by when its number changed last, or since it stands.
pub fn look_wanted(now: OffsetDateTime, created_at: OffsetDateTime, changed_at: Option<OffsetDateTime>) -> Duration {
    match now - changed_at.map_or(created_at, |at| at.max(created_at)) {
        quiet if quiet < Duration::hours(2) => Duration::minutes(1),
        quiet if quiet < Duration::DAY => Duration::minutes(2),
        quiet if quiet < Duration::WEEK => Duration::minutes(3),
        quiet if quiet < Duration::days(30) => Duration::minutes(5),
        _ => Duration::minutes(10),
    }
}

/// Where people talk right now goes before the rest.
pub fn lane(wanted: Duration) -> Lane {
    if wanted <= Duration::minutes(2) { Lane::Busy } else { Lane::Rest }
}

/// How many times longer all intervals must be than wanted. Requests a second that rounds and looks want, and the limit. Where no post
/// is looked at, rounds bring everything and are not put off for thrift.
pub fn stretch(rounds: f64, looks: f64, limit: f64) -> f64 {
    let (per_sec, limit_per_sec) = (rounds + looks, limit / WINDOW_SECS);
    if limit_per_sec <= 0.0 {
        return 1.0;
    }
    let thrift = if looks > 0.0 { (per_sec / (limit_per_sec * EASY)).clamp(1.0, THRIFT) } else { 1.0 };
    thrift.max(per_sec / (limit_per_sec * PLANNED))
}

/// The interval as it is kept.
pub fn stretched(wanted: Duration, stretch: f64) -> Duration {
    (wanted * stretch.clamp(1.0, 1_000.0)).min(Duration::DAY)
}

/// The cost of a round by the last ones, newer ones counting more.
pub fn cost(before: f32, requests: u32) -> f32 {
    before * 0.8 + requests as f32 * 0.2
}

/// A wait that was told, as an interval of ours.
pub fn wait(told: std::time::Duration) -> Duration {
    Duration::try_from(told).unwrap_or(Duration::HOUR).max(SOON)
}

/// What a person reads where intervals are stretched. None: they are not.
pub fn sentence(wanted: Duration, kept: Duration, accounts: i64) -> Option<String> {
    let minutes = |time: Duration| ((time.as_seconds_f64() / 60.0).round() as i64).max(1);
    if minutes(kept) <= minutes(wanted) {
        return None;
    }
    let shared = match accounts {
        0 | 1 => "is used up by this account".to_owned(),
        many => format!("is used by {many} accounts"),
    };
    Some(format!(
        "Read every {} min instead of {}: the request budget of this client id {shared}.",
        minutes(kept),
        minutes(wanted)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    #[test]
    fn the_busier_the_more_often() {
        let after = |minutes| wanted(NOW, Some(NOW - Duration::minutes(minutes))).whole_minutes();
        assert_eq!([0, 29, 31, 121, 721, 100_000].map(after), [1, 1, 2, 3, 5, 5]);
        assert_eq!(wanted(NOW, None), Duration::minutes(5));
    }

    #[test]
    fn the_longer_nobody_spoke_under_a_post_the_less_often_it_is_looked_at() {
        let long_ago = NOW - Duration::days(300);
        let after = |hours| look_wanted(NOW, long_ago, Some(NOW - Duration::hours(hours))).whole_minutes();
        assert_eq!([0, 1, 3, 30, 24 * 8, 24 * 31].map(after), [1, 1, 2, 3, 5, 10]);
        assert_eq!(look_wanted(NOW, long_ago, None), Duration::minutes(10));
        assert_eq!(look_wanted(NOW, NOW, None), Duration::MINUTE);
    }

    #[test]
    fn few_accounts_are_read_as_often_as_they_want_and_many_with_thrift() {
        let stretch = |accounts: f64| stretch(accounts * 18.0 / 3_600.0, accounts * 8.0 / 3_600.0, 1_000.0);
        assert_eq!((stretch(1.0), stretch(10.0)), (1.0, 1.0));
        assert!(stretch(30.0) > 2.0 && stretch(30.0) < 3.0, "{}", stretch(30.0));
        assert_eq!((stretch(200.0), stretch(900.0)), (THRIFT, THRIFT));
        assert!(stretch(2_000.0) > 12.0);
        assert!(
            super::stretch(200.0 * 26.0 / 3_600.0, 0.0, 1_000.0) < 1.3,
            "rounds that bring everything are not put off"
        );
    }

    #[test]
    fn a_sentence_stands_only_where_intervals_are_stretched() {
        let said = sentence(Duration::minutes(2), Duration::minutes(7), 200);
        let expected = "Read every 7 min instead of 2: the request budget of this client id is used by 200 accounts.";
        assert_eq!(said.as_deref(), Some(expected));
        assert_eq!(sentence(Duration::minutes(2), Duration::seconds(130), 200), None);
    }

    proptest! {
        /// However many accounts: stretched, their rounds fit into what may be planned with.
        #[test]
        fn stretched_rounds_fit_the_budget(accounts in 1_u32..5_000, cost in 1.0_f64..5.0, limit in 100.0_f64..10_000.0) {
            let wanted = Duration::minutes(3);
            let rounds = f64::from(accounts) * cost / wanted.as_seconds_f64();
            let kept = stretched(wanted, stretch(rounds, 0.01, limit)).as_seconds_f64();
            prop_assume!(kept < 80_000.0);
            let per_window = f64::from(accounts) * cost / kept * WINDOW_SECS;
            prop_assert!(per_window <= limit * 0.701, "{per_window} of {limit}");
        }
    }
}
