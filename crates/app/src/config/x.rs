//! Settings of X.

use super::kinds;
use super::reader::Reader;
use secrecy::SecretString;
use std::time::Duration;
use url::Url;

/// How long a reply that got no answer may still appear.
const SETTLE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
pub struct XSettings {
    pub client_id: String,
    pub client_secret: SecretString,
    pub auth_base: Url,
    pub api_base: Url,
    pub settle_window: Duration,
    /// Signs what X sends to the webhook. None: nothing is taken.
    pub api_secret: Option<SecretString>,
    /// Where accounts have their events sent. None: they are polled.
    pub webhook_id: Option<String>,
}

pub(super) fn read_x(read: &mut Reader<'_>) -> Option<XSettings> {
    let client_id = read.optional("X_CLIENT_ID", kinds::text);
    let client_secret = read.optional("X_CLIENT_SECRET", kinds::secret);
    let (auth_base, api_base) = (read.value("X_AUTH_BASE", kinds::url), read.value("X_API_BASE", kinds::url));
    let api_secret = read.optional("X_API_SECRET", kinds::secret);
    let webhook_id = read.optional("X_WEBHOOK_ID", kinds::text);
    for (there, missing) in [
        ("X_CLIENT_ID", "X_CLIENT_SECRET"),
        ("X_CLIENT_SECRET", "X_CLIENT_ID"),
        ("X_API_SECRET", "X_CLIENT_ID"),
        ("X_WEBHOOK_ID", "X_API_SECRET"),
    ] {
        if read.is_set(there) && !read.is_set(missing) {
            read.fault(missing, &format!("is required with {there}"));
        }
    }
    let (client_id, client_secret) = (client_id?, client_secret?);
    Some(XSettings { client_id, client_secret, auth_base, api_base, settle_window: SETTLE, api_secret, webhook_id })
}
