use super::super::samples::{intent, request};
use super::*;
use proptest::prelude::*;
use rejoinder_platforms::LengthRule;

fn reason(request: &DraftRequest) -> String {
    match draft(request) {
        Err(AiError::Misconfigured { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_intent_with_the_most_shared_words_is_taken() {
    let mut request = request();
    let money = draft(&request).unwrap();
    assert_eq!(money.intent, Some(request.intents[0].id));
    assert_eq!(money.variations, ["We are sorry, maria! Send us the order number and we return the money."]);
    assert!(money.confidence > 0.3 && money.confidence < 1.0, "{}", money.confidence);
    request.target.text = "THANKS so much, what a kind team".into();
    assert_eq!(draft(&request).unwrap().intent, Some(request.intents[1].id));
}

#[test]
fn other_languages_are_matched_too() {
    let mut request = request();
    request.intents = vec![
        intent(1, "Rückerstattung", &[("Das tut uns leid, wir erstatten das Geld.", 1)]),
        intent(2, "配送", &[("配送についてご連絡ありがとうございます。", 1)]),
        intent(3, "remboursement", &[("Désolés, nous remboursons la commande.", 1)]),
    ];
    for (text, at) in [("Wann kommt die ruckerstattung?", 0), ("配送はまだですか", 1), ("Je veux être remboursée", 2)]
    {
        request.target.text = text.into();
        assert_eq!(draft(&request).unwrap().intent, Some(request.intents[at].id), "{text}");
    }
}

#[test]
fn without_a_shared_word_the_draft_is_not_sure_of_itself() {
    let mut request = request();
    request.target.text = "🤷".into();
    let draft = draft(&request).unwrap();
    assert_eq!((draft.confidence, draft.intent), (0.0, Some(request.intents[0].id)));
}

#[test]
fn the_choice_of_a_person_wins() {
    let mut request = request();
    request.wanted_intent = Some(request.intents[1].id);
    assert_eq!(draft(&request).unwrap().intent, request.wanted_intent);
    request.wanted_intent = Some(uuid::Uuid::from_u128(99));
    assert!(reason(&request).contains("does not exist"));
}

#[test]
fn weights_decide_how_often_a_text_comes_first() {
    let mut request = request();
    request.intents = vec![intent(1, "hello", &[("often", 30), ("seldom", 10), ("never", 0)])];
    let mut often = 0;
    for seed in 0..4000 {
        request.seed = seed;
        let texts = draft(&request).unwrap().variations;
        assert_eq!(texts.len(), 2);
        often += usize::from(texts[0] == "often");
    }
    assert!((2850..3150).contains(&often), "{often} of 4000");
}

#[test]
fn a_text_with_an_open_placeholder_is_never_used() {
    let mut request = request();
    request.intents =
        vec![intent(1, "hi", &[("Hi {name}", 10), ("Hi {", 10), ("Hi {author}", 1), ("Hi from {community}", 1)])];
    let mut texts = draft(&request).unwrap().variations;
    texts.sort();
    assert_eq!(texts, ["Hi from r/coffee", "Hi maria"]);
    request.target.author = Some("{community}".into());
    assert!(draft(&request).unwrap().variations.contains(&"Hi {community}".to_owned()));
    request.target.author = None;
    assert_eq!(draft(&request).unwrap().variations, ["Hi from r/coffee"]);
}

#[test]
fn a_missing_template_names_the_intent_and_the_next_step() {
    let mut request = request();
    request.intents = vec![intent(1, "refund", &[])];
    assert!(reason(&request).contains("\"refund\"") && reason(&request).contains("add one"));
    request.intents = vec![intent(1, "refund", &[(&"long ".repeat(100), 10)])];
    assert!(reason(&request).contains("length"));
    request.intents.clear();
    assert!(reason(&request).contains("no intent"));
}

proptest! {
    #[test]
    fn any_text_gives_texts_within_the_limit_or_a_reason(text in any::<String>(), author in any::<String>(), seed in any::<u64>(), max in 1_usize..80) {
        let mut request = request();
        request.intents.push(intent(3, &text, &[(&text, 5), (&author, i32::MAX)]));
        request.target.text = text;
        request.target.author = Some(author);
        request.seed = seed;
        request.length = LengthRule::characters(max);
        if let Ok(draft) = draft(&request) {
            prop_assert!((0.0..1.0).contains(&draft.confidence));
            prop_assert!((1..=5).contains(&draft.variations.len()));
            prop_assert!(draft.variations.iter().all(|text| !text.is_empty() && text.chars().count() <= max));
        }
    }
}
