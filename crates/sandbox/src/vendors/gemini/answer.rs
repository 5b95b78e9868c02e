//! One reply of the model: the request checked, the text made, the numbers counted.

use serde_json::{Value, json};

use super::fill::{Prompt, fill};
use super::words::{self, hash};

const REQUEST_FIELDS: [&str; 9] = [
    "contents",
    "systemInstruction",
    "generationConfig",
    "safetySettings",
    "tools",
    "toolConfig",
    "cachedContent",
    "labels",
    "model",
];
const CONFIG_FIELDS: [&str; 17] = [
    "temperature",
    "topP",
    "topK",
    "seed",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "thinkingConfig",
    "presencePenalty",
    "frequencyPenalty",
    "responseModalities",
    "responseLogprobs",
    "logprobs",
    "mediaResolution",
];

/// Why the real API would answer 400, or nothing.
pub(super) fn check(request: &Value) -> Result<(), String> {
    let fields = request.as_object().ok_or("The body must be an object.")?;
    known_only(fields, &REQUEST_FIELDS, "")?;
    if request["contents"].as_array().is_none_or(Vec::is_empty) {
        return Err("* GenerateContentRequest.contents: contents is not specified\n".to_owned());
    }
    for content in request["contents"].as_array().into_iter().flatten() {
        if !matches!(content["role"].as_str(), None | Some("user" | "model")) {
            return Err("Please use a valid role: user, model.".to_owned());
        }
    }
    let Some(config) = config(request).and_then(Value::as_object) else {
        return Ok(());
    };
    known_only(config, &CONFIG_FIELDS, " at 'generation_config'")?;
    if schema(request).is_some() && mime(request) != Some("application/json") {
        return Err("A response schema needs the response MIME type application/json.".to_owned());
    }
    if get(request, "responseSchema").is_some() && get(request, "responseJsonSchema").is_some() {
        return Err("Only one of responseSchema and responseJsonSchema may be set.".to_owned());
    }
    let thinking = get(request, "thinkingConfig");
    let has = |camel: &str| thinking.is_some_and(|thinking| !either(thinking, camel).is_null());
    if has("thinkingBudget") && has("thinkingLevel") {
        return Err("Only one of thinking budget and thinking level may be set.".to_owned());
    }
    Ok(())
}

/// Both spellings of a field are known: camelCase and snake_case.
fn known_only(fields: &serde_json::Map<String, Value>, known: &[&str], place: &str) -> Result<(), String> {
    for name in fields.keys() {
        if !known.iter().any(|known| known == name || words::snake(known) == *name) {
            return Err(format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."));
        }
    }
    Ok(())
}

fn either<'a>(value: &'a Value, camel: &str) -> &'a Value {
    match &value[camel] {
        Value::Null => &value[words::snake(camel)],
        found => found,
    }
}

fn config(request: &Value) -> Option<&Value> {
    Some(either(request, "generationConfig")).filter(|config| !config.is_null())
}

fn get<'a>(request: &'a Value, camel: &str) -> Option<&'a Value> {
    config(request).map(|config| either(config, camel)).filter(|value| !value.is_null())
}

fn schema(request: &Value) -> Option<&Value> {
    get(request, "responseSchema").or_else(|| get(request, "responseJsonSchema"))
}

fn mime(request: &Value) -> Option<&str> {
    get(request, "responseMimeType").and_then(Value::as_str)
}

fn texts(contents: &Value) -> String {
    let contents = contents.as_array().cloned().unwrap_or_else(|| vec![contents.clone()]);
    let parts = contents.iter().filter_map(|content| content["parts"].as_array()).flatten();
    parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// A rough count: four bytes a token.
fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}

pub(super) struct Reply {
    model: String,
    text: String,
    prompt_tokens: u64,
    thought_tokens: u64,
    limit: Option<u64>,
    id: String,
}

impl Reply {
    pub(super) fn to(model: &str, request: &Value) -> Self {
        let system = texts(either(request, "systemInstruction"));
        let user = texts(&request["contents"]);
        let prompt = Prompt::new(&system, &user);
        let text = match (schema(request), mime(request)) {
            (Some(schema), _) => fill(schema, &prompt).to_string(),
            (None, Some("application/json")) => json!({"text": prompt.reply(0)}).to_string(),
            (None, _) => prompt.reply(0),
        };
        let thinking = get(request, "thinkingConfig").cloned().unwrap_or(Value::Null);
        let no_thoughts = either(&thinking, "thinkingBudget") == &json!(0);
        let little =
            either(&thinking, "thinkingLevel").as_str().is_some_and(|level| level.eq_ignore_ascii_case("minimal"));
        let schema_tokens = schema(request).map_or(0, |schema| tokens(&schema.to_string()));
        Self {
            model: if model == "gemini-flash-latest" { "gemini-3.8-flash".to_owned() } else { model.to_owned() },
            prompt_tokens: tokens(&system) + tokens(&user) + schema_tokens,
            thought_tokens: if no_thoughts || little { 0 } else { 24 + hash(&user) % 40 },
            limit: get(request, "maxOutputTokens").and_then(Value::as_u64),
            id: format!("sb{:016x}", hash(&request.to_string())),
            text,
        }
    }

    fn body(&self, candidate: Option<Value>, answer_tokens: u64) -> Value {
        let mut usage = json!({
            "promptTokenCount": self.prompt_tokens,
            "totalTokenCount": self.prompt_tokens + answer_tokens + self.thought_tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.prompt_tokens}],
            "serviceTier": "standard",
        });
        // A count of zero is left out on the wire.
        for (name, count) in [("candidatesTokenCount", answer_tokens), ("thoughtsTokenCount", self.thought_tokens)] {
            if count > 0 {
                usage[name] = json!(count);
            }
        }
        let mut body = json!({"usageMetadata": usage, "modelVersion": self.model, "responseId": self.id});
        if let Some(candidate) = candidate {
            body["candidates"] = json!([candidate]);
        }
        body
    }

    fn finished(&self, text: &str, reason: &str) -> Value {
        let candidate = json!({
            "content": {"parts": [{"text": text}], "role": "model"}, "finishReason": reason, "index": 0,
        });
        self.body(Some(candidate), tokens(text))
    }

    /// STOP, or MAX_TOKENS when the request's own limit is too small for thoughts and text.
    pub(super) fn success(&self) -> Value {
        match self.limit {
            Some(limit) if self.thought_tokens + tokens(&self.text) > limit => {
                let room = limit.saturating_sub(self.thought_tokens) as usize * 4;
                if room == 0 {
                    let candidate = json!({"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0});
                    return self.body(Some(candidate), 0);
                }
                self.finished(words::head(&self.text, room), "MAX_TOKENS")
            }
            _ => self.finished(&self.text, "STOP"),
        }
    }

    pub(super) fn cut_off(&self) -> Value {
        self.finished(words::head(&self.text, self.text.len() / 2), "MAX_TOKENS")
    }

    pub(super) fn garbage(&self) -> Value {
        self.finished("Sure! Here is what I would say: {\"drafts\": [{\"ref", "STOP")
    }

    pub(super) fn blocked_prompt(&self) -> Value {
        let mut body = self.body(None, 0);
        body["promptFeedback"] = json!({"blockReason": "PROHIBITED_CONTENT"});
        body
    }

    pub(super) fn blocked_answer(&self) -> Value {
        self.body(Some(json!({"content": {}, "finishReason": "SAFETY", "index": 0})), 0)
    }
}
