//! Webhooks as Svix sends them for Clerk.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// A message ready to be posted.
#[derive(Clone, Debug)]
pub struct SignedMessage {
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl SignedMessage {
    /// Signs a body with the text of a secret (`whsec_...`).
    pub(crate) fn new(secret: &str, id: &str, at: OffsetDateTime, body: String) -> Self {
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("the secret is base64");
        let timestamp = at.unix_timestamp();
        let signed = format!("{id}.{timestamp}.{body}");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(tag));
        let headers = vec![
            ("svix-id", id.to_owned()),
            ("svix-timestamp", timestamp.to_string()),
            ("svix-signature", signature),
            ("content-type", "application/json".to_owned()),
            ("user-agent", "Svix-Webhooks/1.24.0".to_owned()),
        ];
        Self { headers, body }
    }
}

/// The body of an event.
pub(crate) fn event(kind: &str, data: &Value, at: OffsetDateTime) -> String {
    json!({
        "data": data, "object": "event", "type": kind, "timestamp": millis(at), "instance_id": "ins_sandbox",
        "event_attributes": { "http_request": { "client_ip": "203.0.113.7", "user_agent": "Sandbox" } },
    })
    .to_string()
}

/// A user as Clerk describes one. `email` is verified if `verified`.
pub(crate) fn user(id: &str, name: [&str; 2], email: Option<(&str, bool)>, updated_at: OffsetDateTime) -> Value {
    let addresses: Vec<Value> = email
        .iter()
        .map(|(address, verified)| {
            let status = if *verified { "verified" } else { "unverified" };
            json!({
                "id": "idn_1", "object": "email_address", "email_address": address, "linked_to": [], "reserved": false,
                "verification": { "status": status, "strategy": "email_code", "attempts": null, "expire_at": null },
            })
        })
        .collect();
    json!({
        "id": id, "object": "user", "first_name": name[0], "last_name": name[1], "username": null,
        "primary_email_address_id": email.map(|_| "idn_1"), "email_addresses": addresses, "phone_numbers": [],
        "external_accounts": [], "external_id": null, "image_url": "https://img.clerk.com/x", "has_image": false,
        "public_metadata": {}, "private_metadata": {}, "unsafe_metadata": {}, "banned": false, "locked": false,
        "password_enabled": true, "two_factor_enabled": false, "last_sign_in_at": null,
        "created_at": millis(updated_at), "updated_at": millis(updated_at),
    })
}

pub(crate) fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}
