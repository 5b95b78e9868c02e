//! The shape of an answer, in the two dialects that providers read. Pure.

use super::prompt::{NO_INTENT, labels, most_variations};
use super::{DraftRequest, Mode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// The order in which a model writes: the verdict on itself comes last, when the text stands.
const KEYS: [&str; 7] = ["intent", "should_reply", "reason", "sensitive_topic", "language", "variations", "confidence"];

/// Gemini's subset of OpenAPI, with types in upper case.
pub(super) fn open_api(request: &DraftRequest) -> Value {
    json!({
        "type": "OBJECT",
        "properties": {
            "intent": {"type": "STRING", "enum": intent_names(request)},
            "should_reply": {"type": "BOOLEAN"},
            "reason": {"type": "STRING"},
            "sensitive_topic": {"type": "STRING", "nullable": true},
            "language": {"type": "STRING"},
            "variations": {
                "type": "ARRAY", "items": {"type": "STRING"}, "minItems": 1, "maxItems": most_variations(request.mode)
            },
            "confidence": {"type": "NUMBER"}
        },
        "required": KEYS,
        "propertyOrdering": KEYS
    })
}

/// JSON Schema within what strict modes accept. `bounded` adds text lengths: servers that build a grammar keep small
/// models within them, others refuse the keyword. Written out at once, since grammars follow the order of the keys.
pub(super) fn json_schema(request: &DraftRequest, bounded: bool) -> Box<RawValue> {
    let longest = match request.mode {
        Mode::Fast => request.length.max.min(280),
        Mode::Draft => request.length.max.min(800),
    };
    let text = |kind: Value, limit: usize| {
        if bounded { json!({"type": kind, "maxLength": limit}) } else { json!({"type": kind}) }
    };
    let reply = if bounded {
        json!({"type": "string", "minLength": longest.min(8), "maxLength": longest})
    } else {
        json!({"type": "string"})
    };
    let schema = ObjectSchema {
        kind: "object",
        properties: Properties {
            intent: json!({"type": "string", "enum": intent_names(request)}),
            should_reply: json!({"type": "boolean"}),
            reason: text(json!("string"), 160),
            sensitive_topic: text(json!(["string", "null"]), 30),
            language: text(json!("string"), 12),
            variations: json!({
                "type": "array",
                "items": reply,
                "minItems": 1,
                "maxItems": most_variations(request.mode)
            }),
            confidence: json!({"type": "number"}),
        },
        required: KEYS,
        additional_properties: false,
    };
    to_raw_value(&schema).expect("values always encode")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectSchema {
    #[serde(rename = "type")]
    kind: &'static str,
    properties: Properties,
    required: [&'static str; 7],
    additional_properties: bool,
}

#[derive(Serialize)]
struct Properties {
    intent: Value,
    should_reply: Value,
    reason: Value,
    sensitive_topic: Value,
    language: Value,
    variations: Value,
    confidence: Value,
}

fn intent_names(request: &DraftRequest) -> Vec<String> {
    let labels = labels(&request.intents);
    if let Some(wanted) = request.wanted_intent
        && let Some(at) = request.intents.iter().position(|intent| intent.id == wanted)
        && let Some(label) = labels.get(at)
    {
        return vec![label.clone()];
    }
    labels.into_iter().chain([NO_INTENT.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::request;
    use super::*;

    fn read(schema: &RawValue) -> Value {
        serde_json::from_str(schema.get()).unwrap()
    }

    #[test]
    fn the_verdict_on_the_text_is_written_after_the_text() {
        let schema = json_schema(&request(), true);
        let at = |key: &str| schema.get().find(&format!("\"{key}\":")).unwrap();
        assert!(KEYS.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{}", schema.get());
    }

    #[test]
    fn a_model_can_only_name_intents_that_exist() {
        let mut request = request();
        let names = |request: &DraftRequest| read(&json_schema(request, true))["properties"]["intent"]["enum"].clone();
        assert_eq!(names(&request), json!(["refund", "thanks", "none"]));
        request.wanted_intent = Some(request.intents[1].id);
        assert_eq!(names(&request), json!(["thanks"]));
        assert_eq!(open_api(&request)["properties"]["intent"]["enum"], json!(["thanks"]));
    }

    #[test]
    fn strict_modes_find_every_key_required() {
        let schema = read(&json_schema(&request(), false));
        let mut keys: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        keys.sort_unstable();
        required.sort_unstable();
        assert_eq!(keys, required);
        assert_eq!(schema["additionalProperties"], false);
        assert!(!schema.to_string().contains("maxLength"));
        assert!(json_schema(&request(), true).get().contains("maxLength"));
    }
}
