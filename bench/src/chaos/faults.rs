//! What the platform does to the calls, by shares. All of it keeps to the promise that the world makes: what was not answered shows
//! within write timeout (20 s) and settle window of its arming.

use super::Args;
use crate::world::World;
use rejoinder_sandbox::{Control, ReadFault, WriteFault};
use std::time::Duration;

/// What the shares of faults add up to.
const WRITES: f64 = 0.30;
/// How long the first reply of a pair stays out of sight.
const PAIR_HIDDEN_MILLIS: u64 = 18_000;

/// The oldest answer that a reader gets. Before that much time has passed, readers could miss what was there from the start.
pub(super) const STALE_MOST: Duration = Duration::from_secs(4);

fn writes() -> Vec<(f64, WriteFault)> {
    use WriteFault as W;
    vec![
        (0.007, W::Refuse { code: "THREAD_LOCKED".to_owned() }),
        (0.028, W::RateLimited { secs: 2 }),
        (0.025, W::TooManyRequests { secs: 2 }),
        (0.030, W::ServerErrorBefore),
        (0.020, W::DroppedBefore),
        (0.035, W::DoneThenServerError),
        (0.035, W::DoneThenDropped),
        (0.030, W::Slow { millis: 1_500 }),
        // Past our own timeout.
        (0.010, W::Slow { millis: 21_500 }),
        (0.015, W::LandsAfter { millis: 2_000 }),
        (0.010, W::LandsAfter { millis: 6_000 }),
        (0.005, W::LandsAfter { millis: 10_000 }),
        (0.010, W::DroppedAndHidden { millis: 3_000 }),
        (0.005, W::DroppedAndHidden { millis: 10_000 }),
        (0.010, W::HiddenFor { millis: 5_000 }),
        (0.005, W::EmptyThings),
        (0.020, W::TokenExpired),
    ]
}

/// No fault: a platform takes its time. The effect comes first, so whoever is killed while waiting has posted.
fn ordinary() -> Vec<(f64, WriteFault)> {
    vec![(0.3, WriteFault::Slow { millis: 80 }), (0.25, WriteFault::Slow { millis: 300 })]
}

fn reads() -> Vec<(f64, ReadFault)> {
    use ReadFault as R;
    vec![
        (0.04, R::Stale { millis: u64::try_from(STALE_MOST.as_millis()).unwrap_or(u64::MAX) }),
        (0.03, R::Stale { millis: 1_500 }),
        (0.015, R::Html { code: 503 }),
        (0.01, R::Dropped),
        (0.02, R::Slow { millis: 800 }),
    ]
}

/// From now on calls go wrong, until `Control::clear_faults`.
pub(super) fn begin(platform: &Control, args: &Args, world: &World) {
    let scale = args.faults / WRITES;
    let writes = scaled(writes(), scale).into_iter().chain(ordinary()).collect();
    platform.mix_writes(args.seed, writes);
    platform.mix_reads(args.seed, scaled(reads(), scale));
    for first in world.suggestions.iter().take(args.pairs) {
        platform.plan_write_under(&first.target, vec![WriteFault::HiddenFor { millis: PAIR_HIDDEN_MILLIS }]);
    }
}

fn scaled<F>(shares: Vec<(f64, F)>, by: f64) -> Vec<(f64, F)> {
    shares.into_iter().map(|(share, fault)| (share * by, fault)).collect()
}

#[cfg(test)]
mod tests {
    use super::{WRITES, writes};

    #[test]
    fn the_shares_add_up() {
        let sum: f64 = writes().iter().map(|(share, _)| share).sum();
        assert!((sum - WRITES).abs() < 1e-9, "{sum}");
    }
}
