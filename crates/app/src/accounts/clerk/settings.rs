//! What the operator told about Clerk.

use super::keys::Source;
use super::publishable::PublishableKey;
use super::token::Expected;
use crate::clients::signatures::SigningSecret;
use url::Url;

#[derive(Debug, Clone)]
pub struct Settings {
    /// For tokens of the `Authorization` header.
    pub expected: Expected,
    /// For the cookie of the dashboard.
    pub own_pages: Expected,
    pub keys: Source,
    /// Of the endpoints that may send webhooks; empty: none may.
    pub webhook_secrets: Vec<SigningSecret>,
    /// None: the dashboard has its own sign-in.
    pub dashboard: Option<Dashboard>,
}

/// Signing in to the dashboard through Clerk.
#[derive(Debug, Clone)]
pub struct Dashboard {
    pub key: PublishableKey,
    /// Clerk's page to sign in on.
    pub sign_in_url: Url,
    /// Accounts of this server may sign in as well.
    pub builtin_too: bool,
}
