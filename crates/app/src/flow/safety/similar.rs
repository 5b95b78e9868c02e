//! The same text again and again is what platforms ban accounts for. Two texts are the same when at least 95% of their different
//! words are common to both: a thank-you with another name or number is another text, a page with another name is not.
//!
//! Across communities platforms are stricter: there one earlier text is enough, and 80% of the words, of texts that say more than a few.

use super::{Elsewhere, Reason, words};
use std::ops::ControlFlow;

const LOOKED_AT: usize = 50;
/// Times that a text may have gone out before it is held.
const MAY_REPEAT: usize = 3;
/// Texts of the installation that are looked at.
const LOOKED_AT_ELSEWHERE: usize = 200;
/// Different words from which on a text says enough to be recognised: a thank-you may stand everywhere.
const SAYS_ENOUGH: usize = 8;

/// Of the words that two texts have together, as many are common to both, at least.
#[derive(Debug, Clone, Copy)]
struct Share {
    of: usize,
    common: usize,
}

const SAME: Share = Share { of: 20, common: 19 };
const NEARLY: Share = Share { of: 10, common: 8 };

/// The same or nearly the same text in another community. `words`: those of `text`, in order.
pub(super) fn across(text: &str, words: &[u64], community: Option<&str>, elsewhere: &[Elsewhere]) -> Option<Reason> {
    let community = community?;
    let others = elsewhere.iter().take(LOOKED_AT_ELSEWHERE).filter(|posted| posted.community != community);
    let mut others = others.peekable();
    others.peek()?;
    let mut words = words.to_vec();
    words.sort_unstable();
    words.dedup();
    if words.len() < SAYS_ENOUGH {
        return None;
    }
    let mut common = Vec::with_capacity(words.len());
    others.find(|posted| is_like(text, &words, &posted.text, NEARLY, &mut common))?;
    let text =
        "nearly the same text went out in another community in the last 24 hours; platforms ban accounts for that";
    Some(Reason::new("across", text))
}

/// `words`: those of `text`.
pub(super) fn check(text: &str, mut words: Vec<u64>, recent: &[String]) -> Option<Reason> {
    words.sort_unstable();
    words.dedup();
    let mut common = Vec::with_capacity(words.len());
    let like = |posted: &&String| is_like(text, &words, posted, SAME, &mut common);
    let same = recent.iter().take(LOOKED_AT).filter(like).count();
    let text = format!(
        "the same text went out {MAY_REPEAT} times or more in the last 24 hours; platforms ban accounts for that"
    );
    (same >= MAY_REPEAT).then(|| Reason::new("repeated", text))
}

/// `words` are sorted, each once. Ends at the first words that show that the texts differ: most do. `common` is only room.
fn is_like(text: &str, words: &[u64], other: &str, share: Share, common: &mut Vec<bool>) -> bool {
    if words.is_empty() || text == other {
        return text.trim() == other.trim();
    }
    common.clear();
    common.resize(words.len(), false);
    // More foreign words than this, and even all of ours are too small a share.
    let may_differ = words.len() * (share.of - share.common) / share.common;
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
    differs.is_continue() && found * share.of >= (words.len() + foreign.len()) * share.common
}
