//! Numbers that look random and follow from the seed alone (splitmix64). A part of a run takes a fork under its own name, so that what
//! one part draws does not shift what another one gets.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own for the part of this name.
    pub fn fork(&self, name: &str) -> Self {
        let mixed = name.bytes().fold(self.0, |mixed, byte| scatter(mixed ^ u64::from(byte)));
        Self(scatter(mixed))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scatter(self.0)
    }

    /// Under `limit`, which is at least 1.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len())]
    }

    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = usize::try_from(most.saturating_sub(least).as_millis()).unwrap_or(usize::MAX);
        let drawn = self.below(span.saturating_add(1));
        least + Duration::from_millis(u64::try_from(drawn).unwrap_or(0))
    }
}

fn scatter(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn the_same_seed_gives_the_same_run_and_parts_do_not_disturb_each_other() {
        let draw = |rng: &mut Rng| (0..5).map(|_| rng.below(1000)).collect::<Vec<_>>();
        let root = Rng::new(7);
        assert_eq!(draw(&mut root.fork("kills")), draw(&mut Rng::new(7).fork("kills")));
        assert_ne!(draw(&mut root.fork("kills")), draw(&mut root.fork("texts")));
        assert_ne!(draw(&mut root.fork("kills")), draw(&mut Rng::new(8).fork("kills")));
    }
}
