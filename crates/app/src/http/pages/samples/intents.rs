//! Samples of the intents page.

use super::super::intents::{IntentCard, IntentForm, IntentsPage, Variation, VariationForm};
use super::{ARABIC, HOSTILE, frame, id, troubled_frame};

fn variation(number: u128, text: &str, weight: &str, share: u64) -> Variation {
    let form = VariationForm { text: text.to_owned(), weight: weight.to_owned(), enabled: share > 0, error: None };
    Variation { id: id(number), form, share }
}

fn card(number: u128, name: &str, tone: &str, threshold: &str, variations: Vec<Variation>) -> IntentCard {
    IntentCard {
        id: id(number),
        form: IntentForm {
            name: name.to_owned(),
            tone: tone.to_owned(),
            confidence_threshold: threshold.to_owned(),
            brand_voice: "We are two people with a workshop. Short sentences, no exclamation marks in a row, never blame the customer.".to_owned(),
            error: None,
        },
        variations,
        new_variation: VariationForm::default(),
    }
}

fn how_to() -> IntentCard {
    let variations = vec![
        variation(
            701,
            "That is quickly mended: set the zero point again after each cleaning. Page 14 of the manual has a drawing.",
            "20",
            67,
        ),
        variation(702, "Good question. Which model is it? The number stands on the plate under the hopper.", "10", 33),
        variation(703, "Have you tried to turn it off and on again?", "10", 0),
    ];
    card(301, "How-to question", "friendly", "0.80", variations)
}

pub fn pages() -> Vec<(&'static str, IntentsPage)> {
    let full = IntentsPage {
        frame: frame(),
        intents: vec![
            how_to(),
            card(
                302,
                "Where to buy",
                "friendly",
                "0.85",
                vec![variation(704, "We ship from Ghent to all of Europe.", "10", 100)],
            ),
            card(303, "Complaint", "formal", "0.95", vec![]),
            card(304, "سؤال عن المطحنة", "neutral", "0.80", vec![variation(705, ARABIC, "10", 100)]),
        ],
        open: Some(id(301)),
        new: IntentForm::default(),
        new_open: false,
        may_change: true,
    };
    let closed = IntentsPage { open: None, ..full.clone() };
    let empty = IntentsPage { intents: vec![], open: None, ..full.clone() };
    let refused = IntentsPage {
        new_open: true,
        new: IntentForm {
            name: "How-to question".to_owned(),
            error: Some("There is an intent with this name already. Choose another name.".to_owned()),
            ..IntentForm::default()
        },
        ..closed.clone()
    };
    let mut hostile_card = card(305, HOSTILE, "witty", "0.80", vec![variation(706, HOSTILE, "10", 100)]);
    hostile_card.new_variation = VariationForm {
        text: "🙂".repeat(281),
        error: Some("A variation has at most 280 characters; this one has 281.".to_owned()),
        ..VariationForm::default()
    };
    let hostile =
        IntentsPage { frame: troubled_frame(), intents: vec![hostile_card], open: Some(id(305)), ..full.clone() };
    let viewer = IntentsPage { may_change: false, ..full.clone() };
    vec![
        ("full", full),
        ("closed", closed),
        ("empty", empty),
        ("refused", refused),
        ("hostile", hostile),
        ("viewer", viewer),
    ]
}
