//! Slurs, insults, threats and the coarsest words, by whole words and phrases of a list of ours. A filter that also looks inside
//! words and through disguises holds back Niger, Fagott and "get cancer screening"; nobody disguises words in replies of their own.

use super::{Reason, words};
use std::collections::HashMap;
use std::sync::LazyLock;

/// First word -> (the whole phrase, as written in the list).
type Phrases = HashMap<u64, Vec<(Vec<u64>, &'static str)>>;

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    let mut phrases = Phrases::new();
    for line in include_str!("insults.txt").lines() {
        let phrase = line.trim();
        let words = words::all(phrase);
        let Some(first) = words.first().filter(|_| !phrase.starts_with('#')) else { continue };
        phrases.entry(*first).or_default().push((words, phrase));
    }
    phrases
});

/// `words`: those of the text, in order.
pub(super) fn check(words: &[u64]) -> Option<Reason> {
    let found = words.iter().enumerate().find_map(|(place, first)| {
        let phrases = PHRASES.get(first)?;
        phrases.iter().find(|(phrase, _)| words[place..].starts_with(phrase))
    });
    found.map(|(_, phrase)| {
        Reason::new("insult", format!("contains \u{201C}{phrase}\u{201D}, which reads as an insult"))
    })
}
