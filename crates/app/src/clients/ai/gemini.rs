//! Gemini's own API (generateContent), one answer at a time.
//!
//! The facts are Google's: ai.google.dev, "Generate content API errors", "Structured output", "Safety settings". A blocked
//! prompt or answer comes as HTTP 200 and is a refusal; a wrong key comes as 400. Finish reasons grow in number: only
//! STOP with text is success. Parts marked as thought are never the answer.

use super::answer::{Spoken, bad, draft};
use super::refusal::{VendorError, plain, vendor_error};
use super::{AiError, Draft, DraftRequest, Mode, Prompt, Provider, Tokens, render, schema};
use crate::clients::http::{self, Answer};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

const NAME: &str = "gemini";
const DRAFT: &str = ":generateContent";
/// Where a day's quota is spent, asking again sooner is useless.
const DAY_QUOTA_WAIT: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone)]
pub struct GeminiConfig {
    /// With or without the version in its path.
    pub api_base: Url,
    pub api_key: SecretString,
    pub model: String,
    /// For one draft.
    pub timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct Gemini {
    config: GeminiConfig,
    client: reqwest::Client,
}

impl Gemini {
    /// # Errors
    /// `Misconfigured`: the TLS set-up, the address or the model name is unusable.
    pub fn new(config: GeminiConfig) -> Result<Self, AiError> {
        let client = http::client().map_err(|error| misconfigured(error.without_url().to_string()))?;
        address(&config, DRAFT)?;
        Ok(Self { config, client })
    }
}

#[async_trait]
impl Provider for Gemini {
    fn name(&self) -> &'static str {
        NAME
    }

    fn model(&self) -> &str {
        &self.config.model
    }

    async fn has_model(&self) -> Result<bool, AiError> {
        let key = self.config.api_key.expose_secret();
        let call = self.client.get(address(&self.config, "")?).header("x-goog-api-key", key);
        let answer = http::call(call).await?;
        let said: Option<Value> = serde_json::from_str(&answer.body).ok();
        match (answer.status, said) {
            (200, Some(model)) => Ok(model.get("name").is_some()),
            (200, None) => Err(bad("the answer is no JSON")),
            (status, said) => {
                let error = said.as_ref().and_then(vendor_error).unwrap_or_default();
                Err(failure(status, answer.retry_after, &error, key))
            }
        }
    }

    async fn draft(&self, request: &DraftRequest) -> Result<Draft, AiError> {
        request.wanted()?;
        self.ask(request).await.map_err(|error| error.without_echo(request))
    }
}

impl Gemini {
    async fn ask(&self, request: &DraftRequest) -> Result<Draft, AiError> {
        let prompt = render(request);
        let key = self.config.api_key.expose_secret();
        let call = (self.client.post(address(&self.config, DRAFT)?))
            .timeout(self.config.timeout)
            .header("x-goog-api-key", key)
            .json(&body(request, &prompt));
        let spoken = read(&http::call(call).await?, key)?;
        draft(spoken, NAME, &self.config.model, request, &prompt)
    }
}

fn misconfigured(reason: String) -> AiError {
    AiError::Misconfigured { reason }
}

/// `call` is what is wanted of the model; nothing: the model itself.
fn address(config: &GeminiConfig, call: &str) -> Result<Url, AiError> {
    let model = config.model.trim().trim_start_matches("models/");
    if model.is_empty() {
        return Err(misconfigured("GEMINI_MODEL is empty; name a model, for example gemini-flash-latest".into()));
    }
    let mut address = config.api_base.clone();
    // A base may lead through a path of its own (a proxy, the sandbox); only a version at its end is ours to leave alone.
    let last = address.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let without_version = !(last.starts_with('v') && last[1..].starts_with(|c: char| c.is_ascii_digit()));
    let mut path =
        address.path_segments_mut().map_err(|()| misconfigured("GEMINI_API_BASE is no web address".into()))?;
    path.pop_if_empty();
    if without_version {
        path.push("v1beta");
    }
    path.push("models").push(&format!("{model}{call}"));
    drop(path);
    Ok(address)
}

fn body(request: &DraftRequest, prompt: &Prompt) -> Value {
    json!({
        "systemInstruction": {"parts": [{"text": prompt.system}]},
        "contents": [{"role": "user", "parts": [{"text": prompt.user}]}],
        "generationConfig": {
            // Generous, since thinking counts against it.
            "maxOutputTokens": match request.mode { Mode::Fast => 4096, Mode::Draft => 8192 },
            "responseMimeType": "application/json",
            "responseSchema": schema::open_api(request)
        }
    })
}

fn read(answer: &Answer, key: &str) -> Result<Spoken, AiError> {
    let parsed: Option<Value> = serde_json::from_str(&answer.body).ok();
    let error = parsed.as_ref().and_then(vendor_error);
    if answer.status != 200 {
        return Err(failure(answer.status, answer.retry_after, &error.unwrap_or_default(), key));
    }
    let Some(body) = parsed else { return Err(bad("the answer is no JSON")) };
    if let Some(error) = error {
        return Err(failure(error.status.unwrap_or(500), answer.retry_after, &error, key));
    }
    spoken(&body)
}

fn spoken(body: &Value) -> Result<Spoken, AiError> {
    let candidate = body.pointer("/candidates/0").filter(|candidate| candidate.is_object());
    let feedback = body.get("promptFeedback").filter(|feedback| feedback.is_object());
    if let Some(feedback) = feedback
        && (candidate.is_none()
            || feedback.get("blockReason").is_some()
            || feedback.get("blockReasonMessage").is_some())
    {
        let word = feedback.get("blockReason").and_then(Value::as_str).unwrap_or("no reason given");
        return Err(AiError::Refused { reason: format!("the thread was blocked ({})", plain(word, None)) });
    }
    let candidate = candidate.ok_or_else(|| bad("the answer holds no candidate"))?;
    finished(candidate.get("finishReason").and_then(Value::as_str))?;
    let parts = candidate.pointer("/content/parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text: String = (parts.iter())
        .filter(|part| part.get("thought").and_then(Value::as_bool) != Some(true))
        .filter_map(|part| part.get("text")?.as_str())
        .collect();
    if text.trim().is_empty() {
        return Err(bad("the answer holds no text"));
    }
    let model = body.get("modelVersion").and_then(Value::as_str).map(str::to_owned);
    Ok(Spoken { text, model, tokens: tokens(body) })
}

fn finished(reason: Option<&str>) -> Result<(), AiError> {
    match reason {
        Some("STOP") => Ok(()),
        Some("MAX_TOKENS") => Err(bad("the answer was cut at the output limit")),
        Some(
            "SAFETY" | "RECITATION" | "PROHIBITED_CONTENT" | "BLOCKLIST" | "SPII" | "LANGUAGE" | "MODEL_ARMOR"
            | "ESCALATION",
        ) => Err(AiError::Refused { reason: format!("the reply was blocked ({})", reason.unwrap_or_default()) }),
        Some(other) => Err(bad(&format!("the answer ended with {}", plain(other, None)))),
        None => Err(bad("the answer does not say that it is complete")),
    }
}

fn tokens(body: &Value) -> Option<Tokens> {
    let usage = body.get("usageMetadata")?.as_object()?;
    let count = |key: &str| usage.get(key).and_then(Value::as_i64).unwrap_or(0).max(0);
    let prompt = count("promptTokenCount").saturating_add(count("toolUsePromptTokenCount"));
    let output = count("candidatesTokenCount").saturating_add(count("thoughtsTokenCount"));
    Some(Tokens { prompt, output, total: count("totalTokenCount").max(prompt.saturating_add(output)) })
}

fn failure(status: u16, header_wait: Option<Duration>, error: &VendorError, key: &str) -> AiError {
    let said = plain(&error.message, Some(key));
    let key_is_wrong = reasons(error).any(|reason| reason.starts_with("API_KEY"));
    match status {
        400 | 401 if key_is_wrong || status == 401 => misconfigured("Google does not accept GEMINI_API_KEY".into()),
        400 if error.kind.contains("FAILED_PRECONDITION") => {
            misconfigured(format!("Google does not serve this account or place: {said}"))
        }
        402 => misconfigured(format!("the Gemini credit is used up: {said}")),
        403 => misconfigured(format!("GEMINI_API_KEY may not use this model or API: {said}")),
        404 => misconfigured(format!("GEMINI_MODEL or GEMINI_API_BASE is unknown there: {said}")),
        300..=399 => misconfigured("GEMINI_API_BASE answers with a redirect; set the final address".into()),
        408 | 409 | 429 | 499 | 500..=599 => AiError::RetryAfter {
            after: wait(error).or(header_wait),
            reason: format!("Gemini answered {status}: {said}"),
        },
        _ => misconfigured(format!("Gemini refused the request ({status}): {said}")),
    }
}

fn details(error: &VendorError) -> impl Iterator<Item = &Value> {
    error.details.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

fn reasons(error: &VendorError) -> impl Iterator<Item = &str> {
    details(error).filter_map(|detail| detail.get("reason")?.as_str())
}

/// The delay stands in `RetryInfo`, or only in the sentence ("retry in 48.9s").
fn wait(error: &VendorError) -> Option<Duration> {
    let listed = details(error).find_map(|detail| duration(detail.get("retryDelay")?.as_str()?));
    let (_, sentence) = error.message.split_once("retry in ").unwrap_or_default();
    let named = listed.or_else(|| duration(sentence.split_whitespace().next()?.trim_end_matches('.')));
    let quotas = details(error).filter_map(|detail| detail.get("violations")?.as_array()).flatten();
    let of_the_day = quotas.filter_map(|quota| quota.get("quotaId")?.as_str()).any(|id| id.contains("PerDay"));
    if of_the_day { Some(named.unwrap_or_default().max(DAY_QUOTA_WAIT)) } else { named }
}

/// "48s", "0.5s", "48.93s".
fn duration(text: &str) -> Option<Duration> {
    http::seconds(text.strip_suffix('s')?.parse().ok()?)
}

#[cfg(test)]
#[path = "gemini_tests.rs"]
mod tests;
