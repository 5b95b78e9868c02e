//! Cleaning of texts, on the way in and on the way out. Pure.

use unicode_normalization::UnicodeNormalization;

/// NFC, plain line ends, at most one empty line in a row, and nothing that a reader cannot see but a model can: control,
/// direction and tag characters. Joiners stay, since emoji and several scripts need them.
pub(super) fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let mut out = String::with_capacity(text.len());
    let mut line_ends = 0;
    for c in text.chars().filter(|c| is_visible(*c)).nfc() {
        line_ends = if c == '\n' { line_ends + 1 } else { 0 };
        if line_ends <= 2 {
            out.push(if c == '\t' { ' ' } else { c });
        }
    }
    out.trim().to_owned()
}

/// `clean`, on one line, at most `limit` characters.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let joined = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&joined, limit)
}

/// At most `limit` characters, with an ellipsis where something was cut.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    short.push('…');
    short
}

fn is_visible(c: char) -> bool {
    let hidden = matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !hidden && (c == '\n' || c == '\t' || !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_cannot_see_is_removed() {
        assert_eq!(clean("a\u{200b}b\u{202e}c\u{e0041}\u{7}d\r\n\r\n\r\n\r\ne\t"), "abcd\n\ne");
        assert_eq!(clean("👩\u{200d}🔧 e\u{301} e\u{200b}\u{301}"), "👩\u{200d}🔧 é é");
    }

    #[test]
    fn cutting_counts_characters() {
        assert_eq!(cut("größer", 6), "größer");
        assert_eq!(cut("größer", 4), "grö…");
        assert_eq!(one_line(" a\n\n b ", 9), "a b");
    }
}
