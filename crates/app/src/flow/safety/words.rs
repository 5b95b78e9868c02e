//! A text as a row of words in one form: NFKC, lower-case, without punctuation and invisible signs. Each word is a hash, because
//! texts are compared by the thousand and the words themselves are never shown.

use std::ops::ControlFlow;
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

pub(in crate::flow) fn all(text: &str) -> Vec<u64> {
    let mut words = Vec::new();
    let ControlFlow::Continue(()) = each(text, &mut |word| {
        words.push(word);
        ControlFlow::<std::convert::Infallible>::Continue(())
    });
    words
}

/// In order, until `take` breaks off.
pub(super) fn each<B>(text: &str, take: &mut impl FnMut(u64) -> ControlFlow<B>) -> ControlFlow<B> {
    for part in text.split_whitespace() {
        if part.is_ascii() {
            split(part.bytes().map(|byte| char::from(byte.to_ascii_lowercase())), take)?;
        } else if is_nfkc_quick(part.chars()) == IsNormalized::Yes {
            split(folded(part.chars()), take)?;
        } else {
            split(folded(part.nfkc()), take)?;
        }
    }
    ControlFlow::Continue(())
}

fn folded(characters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    characters.filter(|character| !is_invisible(*character)).flat_map(char::to_lowercase)
}

fn split<B>(characters: impl Iterator<Item = char>, take: &mut impl FnMut(u64) -> ControlFlow<B>) -> ControlFlow<B> {
    let mut word = None;
    for character in characters {
        if stands_alone(character) {
            if let Some(word) = word.take() {
                take(word)?;
            }
            take(longer(None, character))?;
        } else if character.is_alphanumeric() || (word.is_some() && is_combining_mark(character)) {
            word = Some(longer(word, character));
        } else if let Some(word) = word.take() {
            take(word)?;
        }
    }
    word.map_or(ControlFlow::Continue(()), take)
}

/// FNV-1a over characters.
fn longer(word: Option<u64>, character: char) -> u64 {
    (word.unwrap_or(0xcbf2_9ce4_8422_2325) ^ u64::from(character)).wrapping_mul(0x0100_0000_01b3)
}

/// Changes how a text reads to a machine and not how it looks.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Scripts that put no space between words: a sign counts as a word there.
pub(super) fn stands_alone(character: char) -> bool {
    matches!(character,
        '\u{3041}'..='\u{3096}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{323AF}')
}
