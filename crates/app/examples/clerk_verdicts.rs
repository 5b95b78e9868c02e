//! Judges tokens and webhooks as the server does, for `bench/clerk-judges`: a JSON object a line in, a verdict a line out. The first
//! line names issuer, parties and the address of the keys.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use rejoinder_app::accounts::clerk::keys::Source;
use rejoinder_app::accounts::clerk::token::Expected;
use rejoinder_app::accounts::clerk::{Clerk, Settings, SignInError};
use rejoinder_app::clients::http;
use rejoinder_app::clients::signatures::{SigningSecret, verify};
use rejoinder_app::clock::Clock;
use serde_json::{Value, json};
use std::io::BufRead;
use time::OffsetDateTime;

fn text<'a>(line: &'a Value, name: &str) -> &'a str {
    line[name].as_str().expect("a text stands there")
}

fn at(line: &Value) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(line["at"].as_i64().expect("seconds since 1970")).expect("a time")
}

fn verified(line: &Value) -> Value {
    let secret = SigningSecret::parse(text(line, "secret")).expect("a secret");
    let mut headers = HeaderMap::new();
    for (name, value) in line["headers"].as_object().expect("headers") {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("the name of a header");
        headers.insert(name, HeaderValue::from_str(value.as_str().expect("a text")).expect("the value of a header"));
    }
    match verify(&[secret], &headers, text(line, "body").as_bytes(), at(line)) {
        Ok(_) => json!("good"),
        Err(error) => json!(error.to_string()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut lines = std::io::stdin().lock().lines().map(|line| line.expect("input"));
    let first: Value = serde_json::from_str(&lines.next().expect("a first line")).expect("JSON");
    let parties = serde_json::from_value(first["parties"].clone()).expect("a list of origins");
    let expected = Expected { issuer: text(&first, "issuer").to_owned(), parties, party_required: true };
    let keys = Source::Published { url: text(&first, "jwks").parse().expect("an address"), bearer: None };
    let settings =
        Settings { own_pages: expected.clone(), expected, keys, webhook_secrets: Vec::new(), dashboard: None };
    let clerk = Clerk::new(settings, http::client().expect("a client"), Clock::System);
    for line in lines {
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let verdict = match text(&line, "kind") {
            "token" => match clerk.verify(text(&line, "token")).await {
                Ok(claims) => json!({ "good": claims.subject }),
                Err(SignInError::Token(error)) => json!({ "refused": error.code() }),
                Err(error) => json!({ "refused": error.to_string() }),
            },
            "sign" => {
                let secret = SigningSecret::parse(text(&line, "secret")).expect("a secret");
                json!(secret.sign(text(&line, "id"), at(&line), text(&line, "body").as_bytes()))
            }
            _ => verified(&line),
        };
        println!("{verdict}");
    }
}
