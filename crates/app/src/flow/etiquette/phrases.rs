//! Whether a text asks not to be answered. Pure. A phrase of several words counts wherever it stands; a single word only where the text
//! says little else, because "how do I stop the drip?" asks for an answer.

use crate::flow::safety::words;

/// So many words may a text have in which a single word of the list counts.
const FEW: usize = 3;

/// The first phrase of the lists that the text says, as it is listed.
pub fn asked_by<'a>(text: &str, phrases: impl IntoIterator<Item = &'a String>) -> Option<&'a str> {
    let said = words::all(text);
    phrases.into_iter().map(String::as_str).find(|phrase| {
        let wanted = words::all(phrase);
        match wanted.len() {
            0 => false,
            1 => said.len() <= FEW && said.contains(&wanted[0]),
            _ => said.windows(wanted.len()).any(|window| window == wanted),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::asked_by;

    fn asks(text: &str) -> Option<String> {
        let listed = ["stop", "don't reply to me", "no bots", "отстань", " "].map(str::to_owned);
        asked_by(text, &listed).map(str::to_owned)
    }

    #[test]
    fn who_wants_no_answer_is_understood() {
        for (text, phrase) in [
            ("STOP!!!", "stop"),
            ("please, stop.", "stop"),
            ("Look, DON\u{2019}T reply to me again", "don't reply to me"),
            ("no  bots\nhere please, thanks", "no bots"),
            ("Отстань", "отстань"),
            ("\u{ff33}\u{ff34}\u{ff2f}\u{ff30}", "stop"),
        ] {
            assert_eq!(asks(text).as_deref(), Some(phrase), "{text}");
        }
    }

    #[test]
    fn who_asks_for_something_else_is_answered() {
        for text in ["How do I stop the drip?", "", "stopwatch", "no, bottoms up", "Nobots is my cat", "reply to me!"] {
            assert_eq!(asks(text), None, "{text}");
        }
    }
}
