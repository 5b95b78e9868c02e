use super::*;
use proptest::prelude::*;
use serde::Deserialize;

fn found(text: &str) -> Vec<&str> {
    urls(text).into_iter().map(|range| &text[range]).collect()
}

#[test]
fn letters_links_and_emoji_have_their_weights() {
    for (text, weight) in [
        ("", 0),
        ("Hello", 5),
        ("e\u{301}", 1),
        ("こんにちは", 10),
        ("https://example.com/a/very/long/path?with=a&long=query", 23),
        ("see example.com, please", 4 + 23 + 8),
        ("a.b", 3),
        ("👨\u{200D}👩\u{200D}👧\u{200D}👦", 2),
        ("👍🏽🇩🇪1\u{FE0F}\u{20E3}", 6),
        ("\u{A9}\u{AE}", 2),
        ("\u{A9}\u{FE0F}", 2),
        ("#1", 2),
        ("\u{200E}", 2),
    ] {
        assert_eq!(weighted(text), weight, "{text:?}");
    }
    assert!(valid(&"a".repeat(280)) && !valid(&"a".repeat(281)) && !valid(&"あ".repeat(141)));
}

#[test]
fn a_link_is_what_x_finds() {
    for (text, expected) in [
        ("http://a.b.cd", vec!["http://a.b.cd"]),
        ("text http://twitter.c_o_m", vec![]),
        ("me@example.com $x.com #x.com", vec![]),
        ("-example.com and _example.com", vec![]),
        ("example.com中国語example.org/path한국", vec!["example.com", "example.org/path"]),
        ("https://t.co/abc123: see", vec!["https://t.co/abc123"]),
        ("https://x.com/a_(b_(c)). And", vec!["https://x.com/a_(b_(c))"]),
        ("example.co.jp?x=1", vec!["example.co.jp"]),
        ("https://münchen.de/ü?x=ü", vec!["https://münchen.de/ü?x="]),
    ] {
        assert_eq!(found(text), expected, "{text:?}");
    }
    assert_eq!(found(&format!("http://{}.com", "a".repeat(64))), [""; 0]);
}

#[test]
fn the_name_at_the_beginning_of_an_answer_is_skipped() {
    assert_eq!(leading_name("@acme hello"), Some(" hello"));
    assert_eq!(leading_name(" \u{FF20}acme"), Some(""));
    for text in ["hello @acme", "@", "@acme@x", "@acmeé", "@acme://x"] {
        assert_eq!(leading_name(text), None, "{text}");
    }
}

#[derive(Deserialize)]
struct Cases<T> {
    cases: Vec<T>,
}

#[derive(Deserialize)]
struct Weighed {
    config: String,
    description: String,
    text: String,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    weighted_length: usize,
    valid: bool,
    permillage: usize,
}

#[derive(Deserialize)]
struct Extracted {
    section: String,
    description: String,
    text: String,
    expected: serde_yaml_ng::Value,
}

fn cases<T: serde::de::DeserializeOwned>(file: &str) -> Vec<T> {
    let Some(folder) = std::env::var_os("REJOINDER_FIXTURES") else {
        println!("REJOINDER_FIXTURES is not set: the conformance cases are skipped");
        return Vec::new();
    };
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join("x").join(file)).expect("the cases");
    let cases: Cases<T> = serde_yaml_ng::from_str(&text).expect("the known form");
    assert!(cases.cases.len() > 10, "{file}");
    cases.cases
}

/// The second version of the rules is the third without emoji sequences.
fn by_the_second_version(text: &str) -> usize {
    let text: String = text.nfc().collect();
    let links = urls(&text);
    let inside = |at: usize| links.iter().any(|link| link.contains(&at));
    let letters: usize = text.char_indices().filter(|(at, _)| !inside(*at)).map(|(_, letter)| weight_of(letter)).sum();
    letters + links.len() * URL_WEIGHT
}

#[test]
fn every_conformance_case_weighs_what_x_says() {
    let mut wrong = Vec::new();
    for case in cases::<Weighed>("weighted_length.yml") {
        let (weight, right) = match case.config.as_str() {
            "v3" => (weighted(&case.text), valid(&case.text)),
            _ => (by_the_second_version(&case.text), case.expected.valid),
        };
        let told = (weight, right, weight * 1000 / LIMIT);
        if told != (case.expected.weighted_length, case.expected.valid, case.expected.permillage) {
            wrong.push(format!("{} {}: {told:?} for {:?}", case.config, case.description, case.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_conformance_case_shows_the_links_that_x_finds() {
    let mut wrong = Vec::new();
    for case in cases::<Extracted>("url_extraction.yml") {
        let told = match case.section.as_str() {
            "replies" => {
                let name = leading_name(&case.text).map(|rest| {
                    let named = &case.text[..case.text.len() - rest.len()];
                    named.trim_start_matches(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').to_owned()
                });
                serde_yaml_ng::to_value(name)
            }
            _ => serde_yaml_ng::to_value(found(&case.text)),
        };
        // Some sections say the places beside each link.
        let expected = match case.expected {
            serde_yaml_ng::Value::Sequence(all) => {
                let link = |one: serde_yaml_ng::Value| one.get("url").cloned().unwrap_or(one);
                serde_yaml_ng::Value::Sequence(all.into_iter().map(link).collect())
            }
            other => other,
        };
        if told.as_ref().ok() != Some(&expected) {
            wrong.push(format!("{}, {}: {told:?} for {:?}", case.section, case.description, case.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

proptest! {
    #[test]
    fn any_text_has_a_weight_and_links_in_order(text in prop_oneof![".{0,120}", "[a-z.:/@()?#_あ한👍\u{200D}\u{FE0F}-]{0,80}"]) {
        let weight = weighted(&text);
        prop_assert!(weight <= text.chars().count().max(1) * 23);
        let links = urls(&text);
        prop_assert!(links.windows(2).all(|pair| pair[0].end <= pair[1].start));
        prop_assert!(links.iter().all(|link| !text[link.clone()].is_empty()));
    }
}

/// Read once for each of its letters, each of these would take minutes.
#[test]
fn a_long_text_is_read_about_once() {
    for part in ["a.", "a_b.", "a_b.com_", "\u{e9}", "\u{e9}.", "xn--a", "a.xn--", "a.com/(", "("] {
        let text = part.repeat(25_000);
        assert!(weighted(&text) > 280, "{part}");
    }
}
