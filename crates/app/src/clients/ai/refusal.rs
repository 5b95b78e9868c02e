//! How vendors say no, in so many shapes: reads what is there, decides nothing. Pure.
//!
//! The words of a vendor go into our errors only through `plain`: one line, short, without the key.

use super::words::one_line;
use serde_json::Value;

/// What an error body tells, empty where it tells nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct VendorError {
    pub(super) message: String,
    /// `status`, `type` and `code` in one text, for looking up words of the vendor.
    pub(super) kind: String,
    pub(super) param: String,
    /// The HTTP status that the body itself names: gateways answer 200 around an error.
    pub(super) status: Option<u16>,
    pub(super) details: Value,
}

/// None: the body is JSON without an error, or no JSON at all.
pub(super) fn vendor_error(body: &Value) -> Option<VendorError> {
    let body = match body {
        Value::Array(list) => list.first()?,
        other => other,
    };
    match body.get("error")? {
        Value::Null => None,
        Value::String(message) => Some(VendorError { message: message.clone(), ..VendorError::default() }),
        error => Some(described(error)),
    }
}

fn described(error: &Value) -> VendorError {
    let word = |key: &str| match error.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let message = word("message");
    // A gateway may put the real error, as JSON text, into the message or beside it.
    let raw = error.pointer("/metadata/raw").and_then(Value::as_str);
    let inner = [Some(message.as_str()), raw].into_iter().flatten().find_map(|text| {
        let inner: Value = serde_json::from_str(text).ok()?;
        inner.get("error").filter(|inner| inner.is_object()).map(described)
    });
    let outer = VendorError {
        kind: format!("{} {} {}", word("status"), word("type"), word("code")),
        param: word("param"),
        status: error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()),
        details: error.get("details").cloned().unwrap_or_default(),
        message,
    };
    match inner {
        Some(inner) => VendorError {
            kind: format!("{} {}", outer.kind, inner.kind),
            status: inner.status.or(outer.status),
            ..inner
        },
        None => outer,
    }
}

/// A vendor's sentence for our own error text.
pub(super) fn plain(message: &str, secret: Option<&str>) -> String {
    let hidden = match secret {
        Some(secret) if !secret.is_empty() => message.replace(secret, "[key]"),
        _ => message.to_owned(),
    };
    let kept: Vec<&str> = hidden.split_whitespace().filter(|word| !word.contains("://")).collect();
    let text = one_line(&kept.join(" "), 240);
    if text.is_empty() { "no reason given".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_are_found_in_every_wrapping() {
        let message = |body: Value| vendor_error(&body).map(|error| error.message);
        assert_eq!(message(json!({"error": "model missing"})).as_deref(), Some("model missing"));
        assert_eq!(message(json!([{"error": {"message": "busy", "code": 503}}])).as_deref(), Some("busy"));
        let nested = json!({"error": {"message": "{\"error\": {\"code\": 503, \"message\": \"inner\"}}", "code": 500}});
        let nested = vendor_error(&nested).unwrap();
        assert_eq!((nested.message.as_str(), nested.status), ("inner", Some(503)));
        assert_eq!(message(json!({"error": null, "choices": []})), None);
        assert_eq!(message(json!("text")), None);
    }

    #[test]
    fn keys_and_addresses_do_not_reach_our_texts() {
        let text = plain("Bad key\n sk-12345 given, see https://vendor.example/keys?x=1 now", Some("sk-12345"));
        assert_eq!(text, "Bad key [key] given, see now");
    }
}
