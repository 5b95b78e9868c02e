//! From the text of a model to a draft. Pure.
//!
//! Reading is lenient about the wrapping (code fences, thinking aloud, words around) and about how small models write
//! numbers and lists; it is strict about the result: one to five usable texts within the limit, or `BadAnswer`. Reasons
//! never quote the model, which may quote a stranger.

use super::prompt::{NO_INTENT, Prompt, labels, most_variations};
use super::words::{clean, one_line};
use super::{AiError, Draft, DraftRequest, GeneratedBy, Tokens};
use rejoinder_platforms::LengthRule;
use serde_json::{Map, Value};
use uuid::Uuid;

const REASON_LIMIT: usize = 300;
/// Openings of objects that are tried before the text counts as garbage; bounds the work on hostile answers.
const OPENINGS_TRIED: usize = 32;
/// Of a text that is too long, so many are looked at; more fit no reply.
const MOST_SENTENCES: usize = 200;

/// What a provider said, before it is understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spoken {
    pub(super) text: String,
    /// The model that the answer names.
    pub(super) model: Option<String>,
    pub(super) tokens: Option<Tokens>,
}

pub(super) fn bad(reason: &str) -> AiError {
    AiError::BadAnswer { reason: reason.into() }
}

/// # Errors
/// `BadAnswer` when the text holds no usable draft, `Refused` when the model finds nothing to answer and wrote nothing.
pub(super) fn draft(
    spoken: Spoken,
    provider: &'static str,
    model: &str,
    request: &DraftRequest,
    prompt: &Prompt,
) -> Result<Draft, AiError> {
    let fields = object(&spoken.text).ok_or_else(|| bad("no JSON object with a reply in it"))?;
    let should_reply = fields.get("should_reply").and_then(truth).unwrap_or(true);
    let variations = variations(&fields, request);
    if variations.is_empty() {
        return Err(if should_reply {
            bad("no reply text that is usable and short enough")
        } else {
            AiError::Refused { reason: "the model finds that nothing should be answered here and wrote no text".into() }
        });
    }
    Ok(Draft {
        intent: request.wanted_intent.or_else(|| intent(fields.get("intent"), request)),
        confidence: fields.get("confidence").and_then(share).unwrap_or(0.0),
        should_reply,
        reason: fields
            .get("reason")
            .and_then(Value::as_str)
            .map(|text| one_line(text, REASON_LIMIT))
            .unwrap_or_default(),
        sensitive_topic: fields.get("sensitive_topic").and_then(topic),
        language: fields
            .get("language")
            .and_then(Value::as_str)
            .map(|text| one_line(text, 20))
            .filter(|text| !text.is_empty()),
        variations,
        provider,
        model: spoken.model.map_or_else(|| model.to_owned(), |name| one_line(&name, 100)),
        tokens: spoken.tokens,
        generated_by: GeneratedBy::Ai,
        prompt_hash: prompt.hash(),
    })
}

/// The first complete object that holds a reply.
fn object(text: &str) -> Option<Map<String, Value>> {
    let spoken = text.rsplit_once("</think>").map_or(text, |(_, after)| after);
    let openings = spoken.match_indices('{').take(OPENINGS_TRIED);
    openings.filter_map(|(at, _)| first_value(&spoken[at..])).find_map(|value| match value {
        Value::Object(fields) if fields.contains_key("variations") => Some(fields),
        _ => None,
    })
}

fn first_value(text: &str) -> Option<Value> {
    serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok()
}

fn variations(fields: &Map<String, Value>, request: &DraftRequest) -> Vec<String> {
    let written: Vec<&str> = match fields.get("variations") {
        Some(Value::Array(items)) => {
            items.iter().filter_map(|item| item.as_str().or_else(|| item.get("text")?.as_str())).collect()
        }
        Some(Value::String(one)) => vec![one],
        _ => Vec::new(),
    };
    let cleaned: Vec<String> =
        written.into_iter().map(|text| unquoted(&clean(text))).filter(|text| is_reply(text)).collect();
    let fits = |text: &String| request.length.fits(text);
    let mut kept: Vec<String> = Vec::new();
    for text in cleaned.iter().filter(|text| fits(text)) {
        if !kept.contains(text) {
            kept.push(text.clone());
        }
    }
    if kept.is_empty() {
        kept.extend(cleaned.iter().find_map(|text| whole_sentences(text, request.length)));
    }
    kept.truncate(most_variations(request.mode).max(1));
    kept
}

/// Something to read, and nothing of our own prompt.
fn is_reply(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric) && !text.contains("[[data") && !text.contains("[[/data")
}

/// Models like to put the whole reply in quotation marks.
fn unquoted(text: &str) -> String {
    let inner =
        [('"', '"'), ('“', '”')].iter().find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close));
    match inner {
        Some(inner) if !inner.contains(['"', '“', '”']) => inner.trim().to_owned(),
        _ => text.to_owned(),
    }
}

/// The sentences that fit, if at least one does.
fn whole_sentences(text: &str, length: LengthRule) -> Option<String> {
    let marks = text.match_indices(['.', '!', '?', '…', '。', '！', '？', '؟', '।']);
    let ends: Vec<usize> = marks.take(MOST_SENTENCES).map(|(at, mark)| at + mark.len()).collect();
    let longest = ends.into_iter().rev().map(|end| text[..end].trim()).find(|head| length.fits(head))?;
    Some(longest.to_owned()).filter(|short| is_reply(short))
}

fn intent(named: Option<&Value>, request: &DraftRequest) -> Option<Uuid> {
    let named = named?.as_str()?.trim().to_lowercase();
    if named == NO_INTENT {
        return None;
    }
    let at = labels(&request.intents).iter().position(|label| label.to_lowercase() == named)?;
    Some(request.intents[at].id)
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// 0 to 1, from a number, a percentage or a word.
fn share(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => {
            let text = text.trim().to_lowercase();
            match text.as_str() {
                "high" => 0.8,
                "medium" => 0.5,
                "low" => 0.2,
                text => match text.strip_suffix('%') {
                    Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
                    None => text.parse().ok()?,
                },
            }
        }
        _ => return None,
    };
    if !number.is_finite() {
        return None;
    }
    Some(if number > 1.0 { number / 100.0 } else { number }.clamp(0.0, 1.0))
}

fn topic(value: &Value) -> Option<String> {
    match value {
        Value::Bool(true) => Some("sensitive".into()),
        Value::String(text) => {
            let text = one_line(text, 60);
            let nothing = matches!(text.to_lowercase().as_str(), "" | "null" | "none" | "no" | "n/a" | "false");
            (!nothing).then_some(text)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::super::prompt::render;
    use super::super::samples::{GOOD, request};
    use super::*;
    use proptest::prelude::*;

    fn read_for(text: &str, request: &DraftRequest) -> Result<Draft, AiError> {
        let spoken = Spoken { text: text.into(), model: None, tokens: None };
        draft(spoken, "openai", "small", request, &render(request))
    }

    fn read(text: &str) -> Result<Draft, AiError> {
        read_for(text, &request())
    }

    #[test]
    fn an_answer_by_the_schema_becomes_a_draft() {
        let draft = read(GOOD).unwrap();
        assert_eq!(draft.intent, Some(request().intents[0].id));
        assert_eq!((draft.confidence, draft.should_reply), (0.82, true));
        assert_eq!(draft.variations, ["Sorry, Maria! Please send us the order number."]);
        assert_eq!((draft.sensitive_topic, draft.language.as_deref()), (None, Some("en")));
        assert_eq!(draft.prompt_hash, render(&request()).hash());
    }

    #[test]
    fn wrapping_does_not_matter() {
        let wrapped = [
            format!("```json\n{GOOD}\n```"),
            format!("Sure! Here it is: {GOOD} Anything else?"),
            format!("<think>maybe {{\"variations\": [\"wrong one\"]}}</think>\n\n{GOOD}"),
            format!("the shape {{intent}} is {{}}: {GOOD}"),
            format!("[{GOOD}]"),
        ];
        for text in wrapped {
            assert_eq!(read(&text), read(GOOD), "{text}");
        }
    }

    #[test]
    fn small_models_may_write_values_their_own_way() {
        let draft = read(r#"{"variations": "Sorry about that!", "confidence": "85%", "should_reply": "yes"}"#).unwrap();
        assert_eq!(
            (draft.variations.as_slice(), draft.confidence),
            (["Sorry about that!".to_owned()].as_slice(), 0.85)
        );
        for (written, expected) in
            [("85", 0.85), ("\"0.4\"", 0.4), ("\"high\"", 0.8), ("-2", 0.0), ("9e99", 1.0), ("null", 0.0)]
        {
            let draft = read(&format!(r#"{{"variations": [{{"text": "Hello"}}], "confidence": {written}}}"#)).unwrap();
            assert_eq!(draft.confidence, expected, "{written}");
        }
        let topics = [("\"none\"", None), ("true", Some("sensitive")), ("\"health\"", Some("health")), ("null", None)];
        for (written, expected) in topics {
            let draft = read(&format!(r#"{{"variations": ["Hello"], "sensitive_topic": {written}}}"#)).unwrap();
            assert_eq!(draft.sensitive_topic.as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn cut_or_empty_answers_are_no_drafts() {
        let half = &GOOD[..GOOD.len() - 20];
        let useless = [
            half,
            "",
            "I cannot help with that.",
            "{}",
            "[]",
            "null",
            r#"{"variations": []}"#,
            r#"{"variations": ["", " ", "..."]}"#,
            r#"{"variations": 5}"#,
            r#"{"variations": [1, null]}"#,
            r#"{"variations": ["[[data abc]] hello"]}"#,
        ];
        for text in useless {
            assert!(matches!(read(text), Err(AiError::BadAnswer { .. })), "{text}");
        }
        let silent = read(r#"{"variations": [], "should_reply": false}"#);
        assert!(matches!(silent, Err(AiError::Refused { .. })));
    }

    #[test]
    fn too_long_texts_are_left_out_or_end_with_a_sentence() {
        let mut request = request();
        request.length = LengthRule::characters(20);
        let draft = read_for(r#"{"variations": ["This one is far too long.", "Short one."]}"#, &request).unwrap();
        assert_eq!(draft.variations, ["Short one."]);
        let draft = read_for(r#"{"variations": ["We are sorry. This goes on and on"]}"#, &request).unwrap();
        assert_eq!(draft.variations, ["We are sorry."]);
        let endless = read_for(r#"{"variations": ["This one never ends and never stops"]}"#, &request);
        assert!(matches!(endless, Err(AiError::BadAnswer { .. })));
    }

    #[test]
    fn the_choice_of_a_person_beats_the_model() {
        let mut request = request();
        request.wanted_intent = Some(request.intents[1].id);
        assert_eq!(read_for(GOOD, &request).unwrap().intent, Some(request.intents[1].id));
        assert_eq!(read(r#"{"variations": ["Hi"], "intent": "invented"}"#).unwrap().intent, None);
        assert_eq!(
            read(r#"{"variations": ["Hi"], "intent": " REFUND "}"#).unwrap().intent,
            Some(request.intents[0].id)
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_breaks_the_reader(
            pieces in prop::collection::vec(prop_oneof![
                any::<String>(), Just("{".to_owned()), Just("}".to_owned()), Just("\"variations\":".to_owned()),
                Just("[\"a.b\"]".to_owned()), Just("```".to_owned()), Just(GOOD.to_owned()), Just("</think>".to_owned()),
            ], 0..12),
            max_chars in 1_usize..60,
            fast in any::<bool>(),
        ) {
            let mut request = request();
            request.length = LengthRule::characters(max_chars);
            if fast {
                request.mode = Mode::Fast;
            }
            if let Ok(draft) = read_for(&pieces.concat(), &request) {
                prop_assert!((1..=5).contains(&draft.variations.len()));
                prop_assert!((0.0..=1.0).contains(&draft.confidence));
                for text in &draft.variations {
                    prop_assert!(!text.is_empty() && text.trim() == text && text.chars().count() <= max_chars, "{}", text);
                }
            }
        }
    }
}
