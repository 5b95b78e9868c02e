//! The Gemini API, unary calls only: `generateContent` and the model list. Answers follow the schema of the request;
//! their wording is made from the prompt and is always the same for the same prompt.
//!
//! Always: a key is needed (`bad-key` is refused); unknown request fields are refused with 400, as the real one does.

mod answer;
mod fill;
mod words;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::Shared;
use crate::connection::CutSwitch;
use crate::world::faults::AiFault;
use answer::Reply;

const MODELS: [&str; 4] = ["gemini-4-argon", "gemini-3.8-flash", "gemini-3.5-flash-lite", "gemini-flash-latest"];

type Params = Query<std::collections::HashMap<String, String>>;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new().route("/v1beta/models", get(models)).route("/v1beta/models/{call}", post(call).get(model))
}

/// An error in the vendor's shape.
fn error(code: u16, status: &str, message: &str, details: Vec<Value>) -> Response {
    let mut body = json!({"error": {"code": code, "message": message, "status": status}});
    if !details.is_empty() {
        body["error"]["details"] = Value::Array(details);
    }
    let http = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (http, Json(body)).into_response()
}

fn invalid(message: &str) -> Response {
    error(400, "INVALID_ARGUMENT", message, Vec::new())
}

fn bad_key() -> Response {
    let message = "API key not valid. Please pass a valid API key.";
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
        "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"},
    });
    let localized = json!({
        "@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message,
    });
    error(400, "INVALID_ARGUMENT", message, vec![info, localized])
}

fn quota(model: &str, secs: u64) -> Response {
    let message = format!("The quota of the sandbox is used up. Please retry in {secs}.25s.");
    let failure = json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_paid_tier_requests",
            "quotaId": "GenerateRequestsPerMinutePerProjectPerModel",
            "quotaDimensions": {"model": model, "location": "global"}, "quotaValue": "60",
        }],
    });
    let retry = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{secs}s")});
    error(429, "RESOURCE_EXHAUSTED", &message, vec![failure, retry])
}

fn status_error(code: u16) -> Response {
    let (status, message) = match code {
        400 => ("INVALID_ARGUMENT", "The request is not valid."),
        403 => ("PERMISSION_DENIED", "The key may not do this."),
        404 => ("NOT_FOUND", "The model is not found or not supported for generateContent."),
        429 => ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        503 => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        504 => ("DEADLINE_EXCEEDED", "The deadline passed before the work was done."),
        _ => ("INTERNAL", "An internal error has occurred."),
    };
    error(code, status, message, Vec::new())
}

/// Refuses calls without a usable key. The key may stand in the header or in the query.
fn check_key(headers: &HeaderMap, query: &Params) -> Result<(), Box<Response>> {
    let header = headers.get("x-goog-api-key").and_then(|value| value.to_str().ok());
    match header.or_else(|| query.get("key").map(String::as_str)).filter(|key| !key.is_empty()) {
        None => Err(Box::new(error(403, "PERMISSION_DENIED", "The call has no API key.", Vec::new()))),
        Some("bad-key") => Err(Box::new(bad_key())),
        Some(_) => Ok(()),
    }
}

fn model_entry(name: &str) -> Value {
    json!({
        "name": format!("models/{name}"), "version": "001", "displayName": name,
        "inputTokenLimit": 1_000_000, "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    })
}

async fn models(headers: HeaderMap, query: Params) -> Response {
    if let Err(refused) = check_key(&headers, &query) {
        return *refused;
    }
    Json(json!({"models": MODELS.map(model_entry)})).into_response()
}

async fn model(headers: HeaderMap, query: Params, Path(name): Path<String>) -> Response {
    if let Err(refused) = check_key(&headers, &query) {
        return *refused;
    }
    if name.starts_with("gemini-") { Json(model_entry(&name)).into_response() } else { status_error(404) }
}

async fn call(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<CutSwitch>,
    headers: HeaderMap,
    query: Params,
    Path(call): Path<String>,
    body: String,
) -> Response {
    if let Err(refused) = check_key(&headers, &query) {
        return *refused;
    }
    let Some((model, "generateContent")) = call.split_once(':') else {
        return status_error(404);
    };
    if !model.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter)) {
        return invalid("* GenerateContentRequest.model: unexpected model name format\n");
    }
    if !model.starts_with("gemini-") {
        return status_error(404);
    }
    let Ok(request) = serde_json::from_str::<Value>(&body) else {
        return invalid("The body is not JSON.");
    };
    let fault = {
        let mut world = shared.world();
        world.remember_ai_request(request.clone());
        world.faults.next_ai()
    };
    if let Err(message) = answer::check(&request) {
        return invalid(&message);
    }
    let reply = Reply::to(model, &request);
    match fault {
        AiFault::Ok => Json(reply.success()).into_response(),
        AiFault::Status { code } => status_error(code),
        AiFault::RateLimited { secs } => quota(model, secs),
        AiFault::Blocked => Json(reply.blocked_prompt()).into_response(),
        AiFault::BlockedAnswer => Json(reply.blocked_answer()).into_response(),
        AiFault::MaxTokens => Json(reply.cut_off()).into_response(),
        AiFault::Garbage => Json(reply.garbage()).into_response(),
        AiFault::Slow { millis } => {
            shared.pause(Duration::from_millis(millis)).await;
            Json(reply.success()).into_response()
        }
        AiFault::BadKey => bad_key(),
        AiFault::Dropped => {
            cut.cut();
            status_error(503)
        }
    }
}
