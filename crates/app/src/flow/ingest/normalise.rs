//! Strangers' text before it is stored: one Unicode form, no control characters, no invisible direction overrides, a bounded
//! length. What a person sees is what the model sees. Pages escape it; nothing here makes it safe as HTML.

use unicode_normalization::UnicodeNormalization;

/// Longest text that we keep, in characters; platforms allow 40,000 in a post.
pub const MAX_CHARS: usize = 40_000;
const TITLE_CHARS: usize = 1_000;

/// NFC, line ends as `\n`, no control characters but newline and tab, no direction overrides or zero-width spaces.
pub fn text(raw: &str) -> String {
    let unified = raw.replace("\r\n", "\n").replace('\r', "\n");
    // Dropped first: a letter and its accent may only then stand beside each other.
    let clean: String = unified.chars().filter(|character| !is_unwanted(*character)).nfc().take(MAX_CHARS).collect();
    clean.trim_end().to_owned()
}

/// A title as it is stored.
pub fn title(raw: &str) -> String {
    line(raw, TITLE_CHARS)
}

/// A handle or title: the same, on one line, shorter.
pub fn line(raw: &str, max_chars: usize) -> String {
    text(raw).split_whitespace().collect::<Vec<_>>().join(" ").chars().take(max_chars).collect()
}

fn is_unwanted(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        // Overrides and embeddings can make a text read differently than it is stored.
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        // Zero-width space, word joiner, byte order mark. Joiners stay: emoji and several scripts need them.
        '\u{200B}' | '\u{2060}' | '\u{FEFF}' => true,
        // Tag characters hide text inside a text.
        '\u{E0000}'..='\u{E007F}' => true,
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_CHARS, line, text};
    use proptest::prelude::*;

    #[test]
    fn control_characters_and_overrides_are_dropped_words_stay() {
        assert_eq!(text("a\u{0}b\u{7}\u{202E}c\u{200B}d\r\ne\tf"), "abcd\ne\tf");
    }

    #[test]
    fn composed_and_decomposed_forms_become_one() {
        assert_eq!(text("e\u{301}"), "é");
    }

    #[test]
    fn emoji_sequences_keep_their_joiners() {
        let family = "👩\u{200D}👩\u{200D}👧";
        assert_eq!(text(family), family);
    }

    #[test]
    fn html_is_kept_as_it_was_written() {
        assert_eq!(text("<script>alert(1)</script>"), "<script>alert(1)</script>");
    }

    #[test]
    fn a_huge_text_is_cut_at_a_character() {
        assert_eq!(text(&"🎈".repeat(MAX_CHARS + 5)).chars().count(), MAX_CHARS);
    }

    #[test]
    fn a_line_has_no_line_breaks() {
        assert_eq!(line("  a\n b\t c ", 4), "a b ");
    }

    #[test]
    fn an_invisible_sign_does_not_keep_a_letter_from_its_accent() {
        assert_eq!(text("e\u{200B}\u{301}"), "é");
    }

    /// Any text, dense with what is dropped, composed or reordered.
    fn tricky() -> impl Strategy<Value = String> {
        let signs = vec![
            'e',
            'o',
            'é',
            '\u{301}',
            '\u{323}',
            '\u{302}',
            '\u{200B}',
            '\u{202E}',
            '\u{2066}',
            '\u{FEFF}',
            '\u{E0041}',
            '\u{1100}',
            '\u{1161}',
            '\u{11A8}',
            '\u{200D}',
            '\u{0}',
            '\r',
            '\n',
            '\t',
            ' ',
            '\u{A0}',
        ];
        let sign = prop_oneof![4 => prop::sample::select(signs), 1 => any::<char>()];
        prop::collection::vec(sign, 0..60).prop_map(|signs| signs.into_iter().collect())
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(raw in prop_oneof![tricky(), ".{0,300}"]) {
            let once = text(&raw);
            prop_assert_eq!(text(&once), once);
        }
    }
}
