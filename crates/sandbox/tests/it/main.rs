//! The sandbox seen through its wire and through its control handle.

#![allow(clippy::unwrap_used, reason = "a test that finds nothing to unwrap is red anyway")]

mod communities;
mod door;
mod faults;
mod gemini;
mod oauth;
mod pages;
mod reading;
mod recorded;
mod restart;
mod writing;

use std::time::Duration;

use rejoinder_sandbox::{Clock, Control, Options, Sandbox, WorldKind, start};
use reqwest::{Client, Response};
use serde_json::Value;
use time::OffsetDateTime;

/// A sandbox with one brand account that holds a token, and a client without redirects.
struct Stage {
    sandbox: Sandbox,
    control: Control,
    client: Client,
    token: String,
}

const BRAND: &str = "brassfinch";

async fn stage(world: WorldKind) -> Stage {
    stage_with(Options { world, ..Options::default() }).await
}

async fn stage_with(options: Options) -> Stage {
    let clock = Clock::fixed(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
    let sandbox = start(Options { clock, ..options }).await.unwrap();
    let control = sandbox.control();
    let token = control.issue_token(BRAND, "*").access_token;
    Stage { sandbox, control, client: client(), token }
}

#[allow(clippy::disallowed_methods, reason = "the client of these tests")]
fn client() -> Client {
    // A second call finds the provider of the first one; both are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let no_redirects = reqwest::redirect::Policy::none();
    Client::builder().redirect(no_redirects).timeout(Duration::from_secs(20)).build().unwrap()
}

impl Stage {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.base_url().as_str().trim_end_matches('/'))
    }

    async fn get(&self, path: &str) -> Response {
        let url = self.url(&format!("/reddit{path}"));
        self.client.get(url).bearer_auth(&self.token).send().await.unwrap()
    }

    async fn get_json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.client.post(self.url(&format!("/reddit{path}"))).bearer_auth(&self.token).form(form)
    }

    fn reply(&self, parent: &str, text: &str) -> reqwest::RequestBuilder {
        self.post("/api/comment", &[("thing_id", parent), ("text", text), ("api_type", "json"), ("raw_json", "1")])
    }

    async fn reply_json(&self, parent: &str, text: &str) -> Value {
        let response = self.reply(parent, text).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }
}

fn names(listing: &Value) -> Vec<String> {
    let children = listing["data"]["children"].as_array().unwrap();
    children.iter().map(|child| child["data"]["name"].as_str().unwrap().to_owned()).collect()
}
