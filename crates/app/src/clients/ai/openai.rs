//! Any server that speaks OpenAI's chat protocol: OpenAI, Ollama, vLLM, llama.cpp, gateways.
//!
//! Servers differ in the options they take. A refusal that names an option makes the client drop it, ask again at once,
//! and remember for its lifetime; the time limit spans all of that. Nothing else is repeated here.

use super::answer::draft;
use super::openai_wire::{Dialect, TokenLimitField, body, read};
use super::{AiError, Draft, DraftRequest, Provider, render};
use crate::clients::http::{self, Answer, CallError};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use url::Url;

const NAME: &str = "openai";
/// More than a server can find fault with: three weaker formats, the limit's name, the system role.
const MOST_CALLS: usize = 6;

#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// Up to and with the version, such as `http://127.0.0.1:11434/v1`.
    pub api_base: Url,
    pub api_key: Option<SecretString>,
    pub model: String,
    /// For one draft.
    pub timeout: Duration,
    /// None: found out from the server's answers.
    pub max_tokens_field: Option<TokenLimitField>,
}

#[derive(Debug)]
pub struct OpenAi {
    config: OpenAiConfig,
    client: reqwest::Client,
    address: Url,
    dialect: Mutex<Dialect>,
}

impl OpenAi {
    /// # Errors
    /// `Misconfigured`: the TLS set-up, the address or the model name is unusable.
    pub fn new(config: OpenAiConfig) -> Result<Self, AiError> {
        let misconfigured = |reason: &str| AiError::Misconfigured { reason: reason.into() };
        if config.model.trim().is_empty() {
            return Err(misconfigured("OPENAI_MODEL is empty; name a model that the server lists"));
        }
        let address = address(&config.api_base).ok_or_else(|| misconfigured("OPENAI_API_BASE is no web address"))?;
        let client = http::client().map_err(|error| misconfigured(&error.without_url().to_string()))?;
        let dialect = Mutex::new(Dialect::new(config.max_tokens_field));
        Ok(Self { config, client, address, dialect })
    }

    fn key(&self) -> Option<&str> {
        self.config.api_key.as_ref().map(|key| key.expose_secret()).filter(|key| !key.is_empty())
    }

    fn dialect(&self) -> Dialect {
        *self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drafts may run side by side: only the one that spoke the current dialect changes it.
    fn learn(&self, spoken: Dialect, next: Dialect) {
        let mut dialect = self.dialect.lock().unwrap_or_else(PoisonError::into_inner);
        if *dialect == spoken {
            *dialect = next;
        }
    }

    async fn ask(&self, request: &DraftRequest) -> Result<Draft, AiError> {
        let prompt = render(request);
        let mut dialect = self.dialect();
        for _ in 1..MOST_CALLS {
            let answer = self.call(&body(&self.config.model, request, &prompt, dialect)).await?;
            match dialect.after(&answer, self.config.max_tokens_field.is_some()) {
                Some(next) => {
                    self.learn(dialect, next);
                    dialect = next;
                }
                None => return draft(read(&answer, self.key())?, NAME, &self.config.model, request, &prompt),
            }
        }
        let answer = self.call(&body(&self.config.model, request, &prompt, dialect)).await?;
        draft(read(&answer, self.key())?, NAME, &self.config.model, request, &prompt)
    }

    async fn call(&self, body: &super::openai_wire::ChatRequest<'_>) -> Result<Answer, CallError> {
        let mut call = self.client.post(self.address.clone()).timeout(self.config.timeout).json(body);
        if let Some(key) = self.key() {
            call = call.bearer_auth(key);
        }
        http::call(call).await
    }
}

#[async_trait]
impl Provider for OpenAi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn model(&self) -> &str {
        &self.config.model
    }

    async fn has_model(&self) -> Result<bool, AiError> {
        let mut address = self.address.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop().pop().push("models");
        }
        let mut call = self.client.get(address);
        if let Some(key) = self.key() {
            call = call.bearer_auth(key);
        }
        let answer = http::call(call).await?;
        match answer.status {
            200 => Ok(lists(&answer.body, &self.config.model)),
            // A server without a list says nothing about the model.
            404 | 405 => Ok(false),
            _ => read(&answer, self.key()).map(|_| false),
        }
    }

    async fn draft(&self, request: &DraftRequest) -> Result<Draft, AiError> {
        request.wanted()?;
        tokio::time::timeout(self.config.timeout, self.ask(request))
            .await
            .unwrap_or_else(|_| Err(CallError::Timeout.into()))
            .map_err(|error| error.without_echo(request))
    }
}

fn lists(body: &str, model: &str) -> bool {
    let list: Option<Value> = serde_json::from_str(body).ok();
    let models = list.as_ref().and_then(|list| list["data"].as_array());
    models.is_some_and(|models| models.iter().any(|one| one["id"] == model))
}

fn address(base: &Url) -> Option<Url> {
    let mut address = base.clone();
    if base.path().trim_end_matches('/').ends_with("/chat/completions") {
        return Some(address);
    }
    let without_version = matches!(base.path(), "" | "/");
    {
        let mut path = address.path_segments_mut().ok()?;
        path.pop_if_empty();
        if without_version {
            path.push("v1");
        }
        path.push("chat").push("completions");
    }
    Some(address)
}

#[cfg(test)]
#[path = "openai_tests.rs"]
mod tests;
