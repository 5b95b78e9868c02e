//! Faults by their shares: each request draws one, and the draw follows from the seed and from what the request is about, never from
//! the order in which requests come. So a run with the same seed does the same to the same things, however its parts race.

use std::collections::HashMap;

use super::oauth::scatter;

#[derive(Debug)]
pub(crate) struct Mix<F> {
    seed: u64,
    /// Each with its share of all requests; what is left of 1 goes well.
    shares: Vec<(f64, F)>,
    /// Requests so far, by what they are about.
    drawn: HashMap<String, u64>,
}

impl<F: Clone> Mix<F> {
    pub(crate) fn new(seed: u64, shares: Vec<(f64, F)>) -> Self {
        Self { seed, shares, drawn: HashMap::new() }
    }

    /// The fault of the next request about this thing. None: it goes well.
    pub(crate) fn draw(&mut self, about: &str) -> Option<F> {
        let number = self.drawn.entry(about.to_owned()).or_default();
        *number += 1;
        let mixed = about.bytes().fold(scatter(self.seed ^ *number), |mixed, byte| scatter(mixed ^ u64::from(byte)));
        // 53 bits are what a double holds exactly.
        let mut left = (mixed >> 11) as f64 / (1u64 << 53) as f64;
        self.shares.iter().find_map(|(share, fault)| {
            left -= share;
            (left < 0.0).then(|| fault.clone())
        })
    }

    /// How many kinds of faults it holds.
    pub(crate) fn kinds(&self) -> usize {
        self.shares.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Mix;

    fn mix(seed: u64) -> Mix<char> {
        Mix::new(seed, vec![(0.2, 'a'), (0.1, 'b')])
    }

    #[test]
    fn shares_are_kept_and_the_rest_goes_well() {
        let mut mix = mix(3);
        let drawn: Vec<Option<char>> = (0..10_000).map(|number| mix.draw(&format!("t1_{number}"))).collect();
        let count = |wanted| drawn.iter().filter(|fault| **fault == wanted).count();
        assert!((1_850..2_150).contains(&count(Some('a'))), "{}", count(Some('a')));
        assert!((900..1_100).contains(&count(Some('b'))), "{}", count(Some('b')));
        assert!((6_800..7_200).contains(&count(None)), "{}", count(None));
    }

    #[test]
    fn what_a_thing_meets_does_not_depend_on_the_others() {
        let (mut one, mut other) = (mix(3), mix(3));
        let alone: Vec<_> = (0..50).map(|_| one.draw("t1_x")).collect();
        let among: Vec<_> = (0..50).map(|number| (other.draw(&format!("t1_{number}")), other.draw("t1_x")).1).collect();
        assert_eq!(alone, among);
        let mut third = mix(4);
        assert_ne!(alone, (0..50).map(|_| third.draw("t1_x")).collect::<Vec<_>>());
    }
}
