//! The same text again and again is what platforms ban accounts for. Two texts are the same when at least 95% of their different
//! words are common to both: a thank-you with another name or number is another text, a page with another name is not.

use super::{Reason, words};
use std::ops::ControlFlow;

const LOOKED_AT: usize = 50;
/// Times that a text may have gone out before it is held.
const MAY_REPEAT: usize = 3;

/// `words`: those of `text`.
pub(super) fn check(text: &str, mut words: Vec<u64>, recent: &[String]) -> Option<Reason> {
    words.sort_unstable();
    words.dedup();
    let mut common = Vec::with_capacity(words.len());
    let same = recent.iter().take(LOOKED_AT).filter(|posted| is_like(text, &words, posted, &mut common)).count();
    let text = format!(
        "the same text went out {MAY_REPEAT} times or more in the last 24 hours; platforms ban accounts for that"
    );
    (same >= MAY_REPEAT).then(|| Reason::new("repeated", text))
}

/// `words` are sorted, each once. Ends at the first words that show that the texts differ: most do. `common` is only room.
fn is_like(text: &str, words: &[u64], other: &str, common: &mut Vec<bool>) -> bool {
    if words.is_empty() || text == other {
        return text.trim() == other.trim();
    }
    common.clear();
    common.resize(words.len(), false);
    let may_differ = words.len() / 19;
    let mut foreign = Vec::new();
    let differs = words::each(other, &mut |word| {
        match words.binary_search(&word) {
            Ok(place) => common[place] = true,
            Err(_) if foreign.contains(&word) => {}
            Err(_) if foreign.len() == may_differ => return ControlFlow::Break(()),
            Err(_) => foreign.push(word),
        }
        ControlFlow::Continue(())
    });
    let found = common.iter().filter(|found| **found).count();
    differs.is_continue() && found * 20 >= (words.len() + foreign.len()) * 19
}
