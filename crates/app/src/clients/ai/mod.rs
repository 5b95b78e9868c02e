//! Drafting: a thread and the team's intents in, up to five reply texts out.
//!
//! A provider is Gemini, any server that speaks the OpenAI chat protocol, or the team's own templates. All render the
//! same prompt and give the same `Draft`, so the caller never knows which one worked. Strangers' texts reach a model
//! only inside the data block of `prompt`. A blocked, cut or malformed answer is an error and never a draft.

mod answer;
mod echo;
mod gemini;
mod openai;
mod openai_wire;
mod prompt;
mod refusal;
#[cfg(test)]
mod samples;
mod schema;
mod template;
mod words;

pub use gemini::{Gemini, GeminiConfig};
pub use openai::{OpenAi, OpenAiConfig};
pub use openai_wire::TokenLimitField;
pub use prompt::{Prompt, render};
pub use template::Template;

use async_trait::async_trait;
use rejoinder_platforms::LengthRule;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use uuid::Uuid;

#[async_trait]
pub trait Provider: Send + Sync {
    /// A short fixed word for logs and rows: `gemini`, `openai` or `template`.
    fn name(&self) -> &'static str;

    fn model(&self) -> &str;

    /// Whether the service lists the model. An error as of a draft that could not be written; asks for no draft.
    async fn has_model(&self) -> Result<bool, AiError>;

    /// Drafts once. Repeating after an error is the caller's decision.
    async fn draft(&self, request: &DraftRequest) -> Result<Draft, AiError>;
}

/// Everything that a draft depends on; the same request gives the same prompt.
#[derive(Debug, Clone)]
pub struct DraftRequest {
    pub brand_voice: String,
    pub tone: Tone,
    pub intents: Vec<IntentSpec>,
    /// A person chose this intent; it overrides what the text suggests.
    pub wanted_intent: Option<Uuid>,
    pub community: Option<String>,
    /// House rules of the community, as its moderators wrote them: title and description.
    pub community_rules: Vec<(String, String)>,
    /// Slug of the platform.
    pub platform: String,
    /// Of a reply on the platform.
    pub length: LengthRule,
    pub mode: Mode,
    pub post: ThreadText,
    /// Oldest first.
    pub parents: Vec<ThreadText>,
    /// What the reply answers.
    pub target: ThreadText,
    /// The account that replies.
    pub our_name: String,
    pub seed: u64,
}

impl DraftRequest {
    /// The intent that a person asked for, if any.
    ///
    /// # Errors
    /// The intent is not in the list any more.
    fn wanted(&self) -> Result<Option<&IntentSpec>, AiError> {
        let Some(id) = self.wanted_intent else { return Ok(None) };
        let found = self.intents.iter().find(|intent| intent.id == id);
        found.map(Some).ok_or_else(|| AiError::Misconfigured {
            reason: "the chosen intent does not exist any more; choose another one".into(),
        })
    }
}

#[derive(Debug, Clone)]
pub struct IntentSpec {
    pub id: Uuid,
    pub name: String,
    pub tone: Tone,
    pub brand_voice: String,
    pub confidence_threshold: f64,
    /// The enabled ones.
    pub variations: Vec<VariationSpec>,
}

#[derive(Debug, Clone)]
pub struct VariationSpec {
    pub text: String,
    pub weight: i32,
}

/// One text of a thread, as a stranger wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreadText {
    pub author: Option<String>,
    pub title: Option<String>,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    Friendly,
    Formal,
    Witty,
    Neutral,
}

impl Tone {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Friendly => "friendly",
            Self::Formal => "formal",
            Self::Witty => "witty",
            Self::Neutral => "neutral",
        }
    }
}

impl fmt::Display for Tone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tone is friendly, formal, witty or neutral")]
pub struct UnknownTone;

impl FromStr for Tone {
    type Err = UnknownTone;

    fn from_str(text: &str) -> Result<Self, UnknownTone> {
        let all = [Self::Friendly, Self::Formal, Self::Witty, Self::Neutral];
        all.into_iter().find(|tone| tone.as_str() == text).ok_or(UnknownTone)
    }
}

/// How much a draft may cost: `Fast` keeps the prompt within a small model's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Fast,
    Draft,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub intent: Option<Uuid>,
    /// 0 to 1: how sure the provider is that the first variation can be posted unchanged.
    pub confidence: f64,
    pub should_reply: bool,
    pub reason: String,
    pub sensitive_topic: Option<String>,
    pub language: Option<String>,
    /// One to five texts, best first; each is non-empty and within `length`.
    pub variations: Vec<String>,
    pub provider: &'static str,
    /// The model that really answered.
    pub model: String,
    /// None: the server did not count.
    pub tokens: Option<Tokens>,
    pub generated_by: GeneratedBy,
    /// SHA-256 of the rendered prompt, in hex.
    pub prompt_hash: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    pub prompt: i64,
    /// What is billed as output, thinking included.
    pub output: i64,
    pub total: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GeneratedBy {
    Ai,
    Template,
}

/// No draft. The texts are ours or cleaned; none holds a key, an address or a stranger's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AiError {
    /// Passing trouble: try again, not before `after` where given.
    #[error("the AI service is not available now: {reason}")]
    RetryAfter { after: Option<Duration>, reason: String },
    /// The provider does not want to answer this thread: a person should write.
    #[error("the AI service declines: {reason}")]
    Refused { reason: String },
    /// Unusable answer: one or two repeats may help.
    #[error("the AI service gave an unusable answer: {reason}")]
    BadAnswer { reason: String },
    /// Key, model, quota or intents: repeating does not help, the operator must act.
    #[error("AI drafting is not set up correctly: {reason}")]
    Misconfigured { reason: String },
}

impl From<super::http::CallError> for AiError {
    fn from(error: super::http::CallError) -> Self {
        Self::RetryAfter { after: None, reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tones_are_read_back_from_their_text() {
        for tone in [Tone::Friendly, Tone::Formal, Tone::Witty, Tone::Neutral] {
            assert_eq!(tone.to_string().parse(), Ok(tone));
            assert_eq!(serde_json::to_value(tone).unwrap(), tone.as_str());
        }
        assert_eq!("angry".parse::<Tone>(), Err(UnknownTone));
    }
}
