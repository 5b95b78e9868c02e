//! The chat protocol of OpenAI and of the many servers that speak it: what to send, how to read the answer, and what to
//! change when a server does not know an option. Pure.
//!
//! The facts are from OpenAI's API reference and from the servers' own answers. Decisions go by the HTTP status first,
//! since error bodies differ from server to server.

use super::answer::{Spoken, bad};
use super::refusal::{VendorError, plain, vendor_error};
use super::{AiError, DraftRequest, Mode, Prompt, Tokens, schema};
use crate::clients::http::Answer;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::time::Duration;

/// Reasoning models refuse the older name, many local servers know no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenLimitField {
    MaxTokens,
    MaxCompletionTokens,
}

/// How the shape of the answer is asked for, from the surest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    BoundedSchema,
    Schema,
    JsonObject,
    PromptOnly,
}

/// What a server turned out to understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) format: Format,
    pub(super) limit: TokenLimitField,
    pub(super) system_role: bool,
}

impl Dialect {
    pub(super) fn new(limit: Option<TokenLimitField>) -> Self {
        Self { format: Format::BoundedSchema, limit: limit.unwrap_or(TokenLimitField::MaxTokens), system_role: true }
    }

    /// The dialect to try after this answer; None when the answer does not blame an option of ours.
    pub(super) fn after(self, answer: &Answer, fixed_limit: bool) -> Option<Self> {
        let error = blamed(answer)?;
        let said = format!("{} {} {}", error.message, error.kind, error.param).to_lowercase();
        let named = |words: &[&str]| words.iter().any(|word| said.contains(word));
        let unknown =
            named(&["unsupported", "not support", "unrecognized", "unknown", "not permitted", "extra", "deprecated"]);
        if named(&["role"]) && named(&["system"]) && (unknown || named(&["alternate", "raise_exception"])) {
            return self.system_role.then_some(Self { system_role: false, ..self });
        }
        if !fixed_limit && unknown && named(&["max_tokens", "max_completion_tokens"]) {
            return self.other_limit(&error, &said);
        }
        if named(&[
            "response_format",
            "json_schema",
            "json_object",
            "json mode",
            "schema",
            "grammar",
            "maxlength",
            "minlength",
            "guided",
            "structured",
        ]) {
            return Some(Self { format: self.format.weaker()?, ..self });
        }
        None
    }

    fn other_limit(self, error: &VendorError, said: &str) -> Option<Self> {
        let refused =
            |field: &str| error.param == field || said.contains(&format!("'{field}'")) || said.contains(field);
        match self.limit {
            TokenLimitField::MaxTokens if refused("max_tokens") => {
                Some(Self { limit: TokenLimitField::MaxCompletionTokens, ..self })
            }
            TokenLimitField::MaxCompletionTokens if refused("max_completion_tokens") => {
                Some(Self { limit: TokenLimitField::MaxTokens, ..self })
            }
            _ => None,
        }
    }
}

impl Format {
    fn weaker(self) -> Option<Self> {
        match self {
            Self::BoundedSchema => Some(Self::Schema),
            Self::Schema => Some(Self::JsonObject),
            Self::JsonObject => Some(Self::PromptOnly),
            Self::PromptOnly => None,
        }
    }
}

/// Only answers that find fault with the request; local servers use 500 when their chat template does.
fn blamed(answer: &Answer) -> Option<VendorError> {
    let error = serde_json::from_str(&answer.body).ok().as_ref().and_then(vendor_error)?;
    let status = if answer.status == 200 { error.status? } else { answer.status };
    matches!(status, 400 | 422 | 500).then_some(error)
}

#[derive(Serialize)]
pub(super) struct ChatRequest<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct SchemaFormat {
    #[serde(rename = "type")]
    kind: &'static str,
    json_schema: NamedSchema,
}

#[derive(Serialize)]
struct NamedSchema {
    name: &'static str,
    strict: bool,
    schema: Box<RawValue>,
}

pub(super) fn body<'a>(
    model: &'a str,
    request: &DraftRequest,
    prompt: &'a Prompt,
    dialect: Dialect,
) -> ChatRequest<'a> {
    // Thinking counts against the limit, so it is not tight; OpenAI reserves it from the minute budget, so it is not huge.
    let limit = match request.mode {
        Mode::Fast => 1024,
        Mode::Draft => 4096,
    };
    let messages = if dialect.system_role {
        vec![
            Message { role: "system", content: prompt.system.as_str().into() },
            Message { role: "user", content: prompt.user.as_str().into() },
        ]
    } else {
        vec![Message { role: "user", content: format!("{}\n{}", prompt.system, prompt.user).into() }]
    };
    ChatRequest {
        model,
        messages,
        stream: false,
        max_tokens: (dialect.limit == TokenLimitField::MaxTokens).then_some(limit),
        max_completion_tokens: (dialect.limit == TokenLimitField::MaxCompletionTokens).then_some(limit),
        response_format: response_format(request, dialect.format),
    }
}

fn response_format(request: &DraftRequest, format: Format) -> Option<Box<RawValue>> {
    let by_schema = |bounded| {
        let schema = schema::json_schema(request, bounded);
        let named = NamedSchema { name: "draft", strict: true, schema };
        to_raw_value(&SchemaFormat { kind: "json_schema", json_schema: named })
    };
    let format = match format {
        Format::BoundedSchema => by_schema(true),
        Format::Schema => by_schema(false),
        Format::JsonObject => to_raw_value(&serde_json::json!({"type": "json_object"})),
        Format::PromptOnly => return None,
    };
    Some(format.expect("values always encode"))
}

pub(super) fn read(answer: &Answer, key: Option<&str>) -> Result<Spoken, AiError> {
    let parsed: Option<Value> = serde_json::from_str(&answer.body).ok();
    let error = parsed.as_ref().and_then(vendor_error);
    if answer.status != 200 {
        return Err(failure(answer.status, answer.retry_after, &error.unwrap_or_default(), key));
    }
    let Some(body) = parsed else { return Err(bad("the answer is no JSON")) };
    if let Some(error) = error {
        // A gateway passes on the failure of a server behind it: the next call may meet another one.
        return Err(match error.status {
            Some(status @ (401..=404 | 408..=599)) => failure(status, answer.retry_after, &error, key),
            _ => bad("the server answered with an error instead of a text"),
        });
    }
    spoken(&body)
}

fn spoken(body: &Value) -> Result<Spoken, AiError> {
    let choice = body.pointer("/choices/0").ok_or_else(|| bad("the answer holds no choice"))?;
    let message = &choice["message"];
    if message["refusal"].as_str().is_some_and(|refusal| !refusal.trim().is_empty()) {
        return Err(AiError::Refused { reason: "the model declined to answer this thread".into() });
    }
    match choice["finish_reason"].as_str() {
        // Some local servers leave it out; cut JSON does not parse later.
        None | Some("stop" | "eos" | "eos_token" | "end_turn") => {}
        Some("length") => return Err(bad("the answer was cut at the output limit")),
        Some("content_filter") => {
            return Err(AiError::Refused { reason: "the reply was blocked by the content filter".into() });
        }
        Some(other) => return Err(bad(&format!("the answer ended with {}", plain(other, None)))),
    }
    let text = match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    };
    if text.trim().is_empty() {
        return Err(bad("the answer holds no text"));
    }
    Ok(Spoken { text, model: body["model"].as_str().map(str::to_owned), tokens: tokens(body) })
}

/// None unless both sides were counted: an unknown number is not zero.
fn tokens(body: &Value) -> Option<Tokens> {
    let count = |key: &str| body["usage"][key].as_i64().filter(|count| *count >= 0);
    let (prompt, output) = (count("prompt_tokens")?, count("completion_tokens")?);
    Some(Tokens { prompt, output, total: count("total_tokens").unwrap_or_else(|| prompt.saturating_add(output)) })
}

fn failure(status: u16, after: Option<Duration>, error: &VendorError, key: Option<&str>) -> AiError {
    let said = plain(&error.message, key);
    let kind = error.kind.to_lowercase();
    let words = format!("{kind} {}", error.message.to_lowercase());
    let named = |list: &[&str]| list.iter().any(|word| words.contains(word));
    let misconfigured = |reason: String| AiError::Misconfigured { reason };
    if named(&["content_filter", "content_policy"]) {
        return AiError::Refused { reason: "the thread was blocked by the content filter".into() };
    }
    if named(&["context_length", "exceed_context", "context size", "context window", "maximum context"]) {
        return misconfigured(
            "the prompt does not fit the context of OPENAI_MODEL; use mode fast or a larger context".into(),
        );
    }
    match status {
        429 if named(&["insufficient_quota", "credit_balance", "billing", "spend limit", "spend_limit"]) => {
            misconfigured(format!("the credit at the AI server is used up: {said}"))
        }
        429 if named(&["request too large"]) => {
            misconfigured(format!("one prompt is larger than the minute budget of OPENAI_MODEL: {said}"))
        }
        401 => misconfigured("the AI server does not accept OPENAI_API_KEY".into()),
        402 => misconfigured(format!("the credit at the AI server is used up: {said}")),
        403 => misconfigured(format!("OPENAI_API_KEY may not use this model or place: {said}")),
        404 => misconfigured(format!("OPENAI_MODEL or OPENAI_API_BASE is unknown there: {said}")),
        300..=399 => misconfigured("OPENAI_API_BASE answers with a redirect; set the final address".into()),
        408 | 409 | 425 | 429 | 500..=599 => {
            AiError::RetryAfter { after, reason: format!("the AI server answered {status}: {said}") }
        }
        _ => misconfigured(format!("the AI server refused the request ({status}): {said}")),
    }
}

#[cfg(test)]
#[path = "openai_wire_tests.rs"]
mod tests;
