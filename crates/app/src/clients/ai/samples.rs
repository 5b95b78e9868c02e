//! A small team and thread for the tests of this folder, and a server that speaks from a script.

use super::*;
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use rejoinder_platforms::LengthRule;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use url::Url;

pub(super) fn text(text: &str) -> ThreadText {
    ThreadText { text: text.into(), ..ThreadText::default() }
}

pub(super) fn intent(number: u128, name: &str, variations: &[(&str, i32)]) -> IntentSpec {
    IntentSpec {
        id: Uuid::from_u128(number),
        name: name.into(),
        tone: Tone::Friendly,
        brand_voice: String::new(),
        confidence_threshold: 0.8,
        variations: variations
            .iter()
            .map(|(text, weight)| VariationSpec { text: (*text).into(), weight: *weight })
            .collect(),
    }
}

pub(super) fn request() -> DraftRequest {
    DraftRequest {
        brand_voice: "Warm and short. Never mention prices.".into(),
        tone: Tone::Witty,
        intents: vec![
            intent(1, "refund", &[("We are sorry, {author}! Send us the order number and we return the money.", 10)]),
            intent(2, "thanks", &[("Thank you for the kind words, {author}!", 10), ("Thanks, that made our day.", 10)]),
        ],
        wanted_intent: None,
        community_rules: Vec::new(),
        community: Some("r/coffee".into()),
        platform: "reddit".into(),
        length: LengthRule::characters(280),
        mode: Mode::Draft,
        post: text("Which beans do you drink?"),
        parents: vec![text("Ferry Coffee, of course.")],
        target: ThreadText {
            author: Some("maria".into()),
            title: None,
            text: "My order arrived broken and I want my money back.".into(),
        },
        our_name: "Ferry Coffee".into(),
        seed: 7,
    }
}

/// An answer that fits the schema.
pub(super) const GOOD: &str = r#"{"intent":"refund","should_reply":true,"reason":"asks for money back","sensitive_topic":null,
    "language":"en","variations":["Sorry, Maria! Please send us the order number."],"confidence":0.82}"#;

/// What the server saw: path with query, headers in order, body.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) body: serde_json::Value,
}

#[derive(Clone, Default)]
pub(super) struct Script {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// A loopback server that gives these answers in order, and 418 after the last one.
    pub(super) async fn serve(answers: &[(u16, &str)]) -> (Self, Url) {
        let script = Self::default();
        script.answers.lock().unwrap().extend(answers.iter().map(|(status, body)| (*status, (*body).to_owned())));
        let state = script.clone();
        let router = Router::new().fallback(move |request: axum::extract::Request| state.clone().answer(request));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (script, base)
    }

    async fn answer(self, request: axum::extract::Request) -> axum::response::Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        self.seen.lock().unwrap().push(Seen { path: parts.uri.to_string(), headers: parts.headers, body });
        let (status, body) = self.answers.lock().unwrap().pop_front().unwrap_or((418, "nothing left to say".into()));
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// One recorded exchange: file name, case, status, body.
pub(super) struct Recorded {
    pub(super) name: String,
    pub(super) case: String,
    pub(super) status: u16,
    pub(super) body: String,
}

/// The recorded answers of a folder under `REJOINDER_FIXTURES`; none when it is unset.
pub(super) fn recorded(folder: &str) -> Vec<Recorded> {
    let Ok(root) = std::env::var("REJOINDER_FIXTURES") else {
        println!("skipped: REJOINDER_FIXTURES is not set");
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(std::path::Path::new(&root).join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let response = &file["response"];
        let Some(status) = response["status"].as_u64() else { continue };
        let body = response["body_raw"].as_str().map_or_else(|| response["body"].to_string(), str::to_owned);
        let word = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
        found.push(Recorded { name: word("name"), case: word("case"), status: status as u16, body });
    }
    found
}
