//! Small language sense: which language a comment is in, what kind of comment it is, what it is about, and a friendly
//! answer in that language. Tables stand in `replies.json`, so that words can be mended without touching code.

use std::collections::HashMap;

use serde::Deserialize;

/// What a comment wants, as far as a word list can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Question,
    Complaint,
    Praise,
    Other,
    /// Insults, or an attempt to steer the model.
    Hostile,
}

#[derive(Debug, Deserialize)]
struct Language {
    stop_words: Vec<String>,
    complaint_words: Vec<String>,
    praise_words: Vec<String>,
    /// Stem found in a comment, name of the thing in a reply.
    topics: Vec<(String, String)>,
    any_topic: String,
    question: Vec<String>,
    complaint: Vec<String>,
    praise: Vec<String>,
    other: Vec<String>,
}

/// The tables, read once per request; a broken table is caught by the tests of this file.
pub(super) struct Words {
    languages: HashMap<String, Language>,
}

const STEERING: [&str; 7] = [
    "ignore your instructions",
    "ignore all previous",
    "ignore previous instructions",
    "system prompt",
    "you are now",
    "disregard the above",
    "reveal your",
];
const INSULTS: [&str; 8] = ["idiot", "moron", "clown", "garbage company", "scammers", "shut up", "pathetic", "losers"];
const SENSITIVE: [(&str, &[&str]); 4] = [
    (
        "health",
        &[
            "burn",
            "injur",
            "hospital",
            "allerg",
            "doctor",
            "verbrannt",
            "verbrüh",
            "brûl",
            "quemad",
            "queimad",
            "やけど",
        ],
    ),
    ("legal", &["lawyer", "sue ", "lawsuit", "court", "anwalt", "avocat", "abogado"]),
    ("safety", &["smoke", "sparks", "electric shock", "fire", "exploded", "qualm", "fumée", "humo", "fumaça"]),
    ("money", &["chargeback", "fraud", "stole my money"]),
];

impl Words {
    pub(super) fn load() -> Self {
        let languages = serde_json::from_str(include_str!("replies.json")).expect("the table is checked by a test");
        Self { languages }
    }

    /// The language as a two-letter code, English when nothing speaks for another.
    pub(super) fn language_of(&self, text: &str) -> &'static str {
        for letter in text.chars() {
            match letter {
                '\u{3040}'..='\u{30ff}' => return "ja",
                '\u{ac00}'..='\u{d7af}' => return "ko",
                '\u{0600}'..='\u{06ff}' => return "ar",
                '\u{0400}'..='\u{04ff}' => return "ru",
                _ => {}
            }
        }
        let words = split(text);
        let score = |code: &str| {
            let Some(language) = self.languages.get(code) else {
                return 0;
            };
            words.iter().filter(|word| language.stop_words.contains(word)).count()
        };
        let mut best = ("en", score("en"));
        for code in ["de", "fr", "es", "pt"] {
            if score(code) > best.1 {
                best = (code, score(code));
            }
        }
        best.0
    }

    fn language(&self, code: &str) -> Option<&Language> {
        self.languages.get(code).or_else(|| self.languages.get("en"))
    }

    pub(super) fn mood(&self, text: &str) -> Mood {
        let low = text.to_lowercase();
        if STEERING.iter().chain(&INSULTS).any(|sign| low.contains(sign)) {
            return Mood::Hostile;
        }
        let Some(language) = self.language(self.language_of(text)) else {
            return Mood::Other;
        };
        if sensitive(text).is_some() || language.complaint_words.iter().any(|word| low.contains(word)) {
            Mood::Complaint
        } else if low.contains(['?', '？', '؟']) {
            Mood::Question
        } else if language.praise_words.iter().any(|word| low.contains(word)) {
            Mood::Praise
        } else {
            Mood::Other
        }
    }

    pub(super) fn topic(&self, text: &str) -> String {
        let Some(language) = self.language(self.language_of(text)) else {
            return String::new();
        };
        let low = text.to_lowercase();
        let known = language.topics.iter().find(|(stem, _)| low.contains(stem.as_str()));
        known.map_or_else(|| language.any_topic.clone(), |(_, name)| name.clone())
    }

    /// A friendly answer to the comment; another number gives another wording.
    pub(super) fn reply(&self, comment: &str, number: usize) -> String {
        let Some(language) = self.language(self.language_of(comment)) else {
            return String::new();
        };
        let patterns = match self.mood(comment) {
            Mood::Question => &language.question,
            Mood::Complaint => &language.complaint,
            Mood::Praise => &language.praise,
            Mood::Other | Mood::Hostile => &language.other,
        };
        let start = hash(comment) as usize % patterns.len().max(1);
        let pattern = patterns.get((start + number) % patterns.len().max(1)).map_or("", String::as_str);
        pattern.replace("{topic}", &self.topic(comment))
    }
}

pub(super) fn sensitive(text: &str) -> Option<&'static str> {
    let low = text.to_lowercase();
    SENSITIVE.iter().find(|(_, signs)| signs.iter().any(|sign| low.contains(sign))).map(|(name, _)| *name)
}

/// Lower-case words of letters and digits.
pub(super) fn split(text: &str) -> Vec<String> {
    let low = text.to_lowercase();
    low.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// FNV-1a: the same for ever, unlike the hashers of the standard library.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// At most this many bytes from the start, never half a character.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// camelCase as snake_case.
pub(super) fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_answered_in_its_own_language() {
        let words = Words::load();
        for (text, code) in [
            ("How do I clean the grinder after a week of use?", "en"),
            ("Wie reinige ich die Mühle, wenn sie nicht mehr mahlt?", "de"),
            ("Comment est-ce que je nettoie le moulin après une semaine ?", "fr"),
            ("¿Cómo limpio el molino después de una semana de uso?", "es"),
            ("Como eu limpo o moinho depois de uma semana? Não achei no manual.", "pt"),
            ("グラインダーの掃除はどうすればいいですか？", "ja"),
            ("كيف أنظف المطحنة بعد أسبوع؟", "ar"),
        ] {
            assert_eq!(words.language_of(text), code, "{text}");
            assert_eq!(words.mood(text), Mood::Question, "{text}");
            let replies: Vec<String> = (0..3).map(|number| words.reply(text, number)).collect();
            assert!(replies.iter().all(|reply| !reply.is_empty() && !reply.contains('{')), "{replies:?}");
            assert_ne!(replies[0], replies[1], "{text}");
            assert_eq!(words.language_of(&replies[0]), code, "{}", replies[0]);
        }
    }
}
