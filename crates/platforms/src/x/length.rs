//! How long X counts a text to be: weighted, by code point, after NFC. A link counts 23 however long it is, a whole emoji sequence 2.
//! Source: twitter-text, configuration v3 ("Counting characters" of X's pages). No network, no panic, whatever the text.

mod urls;

use unicode_normalization::UnicodeNormalization;

pub(super) use urls::urls;

/// What a post may weigh.
pub(super) const LIMIT: usize = 280;
const URL_WEIGHT: usize = 23;
const EMOJI_WEIGHT: usize = 2;
/// The longest sequence that counts as one emoji has ten code points.
const LONGEST_EMOJI: usize = 10;

/// The weight of a text; up to 280 may be posted.
pub fn weighted(text: &str) -> usize {
    let text: String = text.nfc().collect();
    let mut links = urls(&text).into_iter().peekable();
    let (mut weight, mut at) = (0, 0);
    while at < text.len() {
        if let Some(link) = links.next_if(|link| link.start == at) {
            weight += URL_WEIGHT;
            at = link.end;
        } else if let Some(length) = emoji_sequence(&text[at..]) {
            weight += EMOJI_WEIGHT;
            at += length;
        } else {
            let Some(letter) = text[at..].chars().next() else { break };
            weight += weight_of(letter);
            at += letter.len_utf8();
        }
    }
    weight
}

fn weight_of(letter: char) -> usize {
    match letter {
        '\u{0}'..='\u{10FF}' | '\u{2000}'..='\u{200D}' | '\u{2010}'..='\u{201F}' | '\u{2032}'..='\u{2037}' => 1,
        _ => 2,
    }
}

/// Bytes of the emoji of several code points that the text begins with. One code point alone weighs the same without it.
fn emoji_sequence(text: &str) -> Option<usize> {
    let mut letters = text.chars();
    let (first, second) = (letters.next()?, letters.next()?);
    let may_begin = match first {
        '0'..='9' | '#' | '*' => matches!(second, '\u{FE0F}' | '\u{20E3}'),
        '\u{A9}' | '\u{AE}' | '\u{203C}'..='\u{3299}' | '\u{1F000}'..='\u{1FFFF}' => true,
        _ => false,
    };
    if !may_begin {
        return None;
    }
    let ends = text.char_indices().map(|(at, letter)| at + letter.len_utf8());
    let ends: Vec<usize> = ends.take(LONGEST_EMOJI).skip(1).collect();
    ends.into_iter().rev().find(|end| emojis::get(&text[..*end]).is_some())
}

/// What follows the @name at the beginning of a text: an answer names whom it answers.
pub(super) fn leading_name(text: &str) -> Option<&str> {
    let named = text.trim_start().strip_prefix(['@', '\u{FF20}'])?;
    let length = named.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let rest = &named[length.min(20)..];
    let cut_off =
        rest.starts_with("://") || rest.starts_with(|next| matches!(next, '@' | '\u{FF20}') || urls::is_accented(next));
    (length > 0 && !cut_off).then_some(rest)
}

/// Whether X takes it: not empty, nothing that is no character, at most 280.
#[cfg(test)]
fn valid(text: &str) -> bool {
    let nothing = |letter| matches!(letter, '\u{FFFE}' | '\u{FEFF}' | '\u{FFFF}');
    !text.trim().is_empty() && !text.contains(nothing) && weighted(text) <= LIMIT
}

#[cfg(test)]
#[path = "length/tests.rs"]
mod tests;
