//! An example for every JSON body and answer, put together from the examples of its fields: an example can name no field that
//! is not there, and a field that is added appears in it.

use serde_json::{Map, Value, json};

const DEEPEST: usize = 12;

/// What is missing: the path of a text field that has no example of its own and no format that gives one.
pub type Missing = Vec<String>;

/// An example of `schema`; `document` resolves its references. Text fields that say nothing of themselves are added to `missing`.
pub fn of(document: &Value, schema: &Value, at: &str, missing: &mut Missing) -> Value {
    build(document, schema, at, missing, 0)
}

fn build(document: &Value, schema: &Value, at: &str, missing: &mut Missing, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        let target = document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        return build(document, target, name, missing, depth + 1);
    }
    if let Some(given) = given(schema) {
        return given.clone();
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            if let Value::Object(fields) = build(document, part, at, missing, depth + 1) {
                whole.extend(fields);
            }
        }
        return Value::Object(whole);
    }
    let one_of = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    if let Some(first) = one_of.and_then(|all| all.iter().find(|one| one["type"] != "null")) {
        return build(document, first, at, missing, depth + 1);
    }
    let (kind, nullable) = kind_of(schema);
    match kind {
        "object" => object(document, schema, at, missing, depth),
        "array" => json!([build(document, &schema["items"], &format!("{at}[]"), missing, depth + 1)]),
        "boolean" => json!(false),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "string" => text(schema, nullable, at, missing),
        _ => Value::Null,
    }
}

fn given(schema: &Value) -> Option<&Value> {
    schema
        .get("example")
        .or_else(|| schema["examples"].get(0))
        .or_else(|| schema.get("const"))
        .or_else(|| schema.get("default"))
        .or_else(|| schema["enum"].get(0))
}

/// The type and whether null is allowed as well.
fn kind_of(schema: &Value) -> (&str, bool) {
    match &schema["type"] {
        Value::String(kind) => (kind, false),
        Value::Array(kinds) => {
            let kind = kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
            (kind.unwrap_or("null"), kinds.iter().any(|kind| kind == "null"))
        }
        _ if schema["properties"].is_object() => ("object", false),
        _ => ("any", false),
    }
}

fn object(document: &Value, schema: &Value, at: &str, missing: &mut Missing, depth: usize) -> Value {
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields
        .map(|(name, field)| (name.clone(), build(document, field, &format!("{at}.{name}"), missing, depth + 1)))
        .collect::<Map<_, _>>()
        .into()
}

fn text(schema: &Value, nullable: bool, at: &str, missing: &mut Missing) -> Value {
    match schema["format"].as_str() {
        Some("uuid") => json!("019cae2c-5f80-7c3e-9a51-3d2b8c4f6a10"),
        Some("date-time") => json!("2026-03-02T09:00:00Z"),
        Some("date") => json!("2026-03-02"),
        Some("uri") => json!("https://replies.example.com/"),
        Some("email") => json!("ada@example.com"),
        _ if nullable => Value::Null,
        _ => {
            missing.push(at.to_owned());
            json!("text")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_put_together_from_those_of_its_fields() {
        let document = json!({ "components": { "schemas": {
            "Role": { "type": "string", "enum": ["viewer", "admin"] },
            "Base": { "type": "object", "properties": { "id": { "type": "string", "format": "uuid" } } },
            "Whole": { "allOf": [
                { "$ref": "#/components/schemas/Base" },
                { "type": "object", "properties": {
                    "role": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Role" }] },
                    "name": { "type": "string", "examples": ["Ada"] },
                    "nick": { "type": ["string", "null"] },
                    "cap": { "type": "integer", "minimum": 0 },
                    "bare": { "type": "string" },
                } },
            ] },
        } } });
        let mut missing = Missing::new();
        let example = of(&document, &json!({ "$ref": "#/components/schemas/Whole" }), "", &mut missing);
        let expected = json!({
            "id": "019cae2c-5f80-7c3e-9a51-3d2b8c4f6a10", "role": "viewer", "name": "Ada", "nick": null, "cap": 0, "bare": "text",
        });
        assert_eq!(example, expected);
        assert_eq!(missing, ["Whole.bare"]);
    }
}
