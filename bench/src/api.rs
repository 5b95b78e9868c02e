//! The HTTP API as a client uses it: connections are kept, and each call carries the session of the team that it is for.

use anyhow::Result;
use reqwest::header::COOKIE;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
}

/// An answer that came, whatever it says.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }
}

impl Api {
    pub fn new(base: String) -> Result<Self> {
        let timeouts =
            rejoinder_platforms::http::Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(60) };
        Ok(Self { client: rejoinder_platforms::http::client(timeouts)?, base })
    }

    /// An error where no whole answer came: the request may have been carried out or not.
    pub async fn ask(
        &self,
        method: Method,
        session: &str,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.header(COOKIE, format!("rejoinder_session={session}"));
        let response = match body {
            Some(body) => request.json(body).send().await?,
            None => request.send().await?,
        };
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }

    pub async fn post(&self, session: &str, path: &str, body: &Value) -> reqwest::Result<Answer> {
        self.ask(Method::POST, session, path, Some(body)).await
    }

    pub async fn approve(&self, session: &str, suggestion_id: Uuid) -> reqwest::Result<Answer> {
        self.post(session, &format!("/api/suggestions/{suggestion_id}/approve"), &json!({ "auto_post": true })).await
    }
}
