//! Reddit. Reading needs a token of the account; comments are found by reading the account's own posts again, because
//! Reddit calls nobody. Writing is one call, `POST /api/comment`, whose 200 can still mean "no" or "perhaps".
//!
//! Whatever a thing on the site looks like, it costs at most itself: it becomes a line in `problems` and the rest goes on.

mod act;
mod calls;
mod codes;
#[cfg(test)]
mod fixtures;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod inbox;
mod oauth;
mod permalink;
mod place;
mod poll;
mod readback;
mod states;
mod tree;
mod verdict;
mod watch;
mod wire;
#[cfg(test)]
mod wire_tests;
mod write;

pub use write::RedditWriter;

use crate::error::{AuthError, FetchError, Scope};
use crate::http;
use crate::list::check_bases;
use crate::permits::{AccessToken, AppCredentials, Through};
use crate::types::*;
use crate::{ConnectError, Now, Reader};
use async_trait::async_trait;
use reqwest::header::HeaderValue;
use secrecy::SecretString;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub const CAPABILITIES: Capabilities = Capabilities {
    slug: "reddit",
    name: "Reddit",
    length: LengthRule::characters(10_000),
    settle_window: Duration::from_secs(120),
    scopes: &[
        ScopeAsked {
            name: "identity",
            why: "to know which account this is",
            without: "the account cannot be connected",
        },
        ScopeAsked {
            name: "history",
            why: "to find the account's own posts and comments",
            without: "what people write under the account's own posts does not come in",
        },
        ScopeAsked {
            name: "read",
            why: "to read the comments under those posts",
            without: "no comments come in, and nothing is sent, since each thread is looked at before",
        },
        ScopeAsked {
            name: "privatemessages",
            why: "to see answers and mentions in the inbox",
            without: "answers and mentions in threads of others do not come in",
        },
        ScopeAsked {
            name: "submit",
            why: "to post the replies that your team approved",
            without: "no reply can be posted",
        },
        ScopeAsked {
            name: "edit",
            why: "to correct or take back a reply that your team posted",
            without: "a reply that was posted cannot be corrected or taken back",
        },
    ],
    logins: &[],
    tariff: None,
    watching: Watching::Communities,
};

/// The app as registered with Reddit, and where Reddit is.
#[derive(Debug, Clone)]
pub struct RedditConfig {
    /// None: every team brings its own.
    pub app: Option<AppCredentials>,
    /// Unique and descriptive, `<platform>:<app id>:<version> (by /u/<name>)`: anything else is throttled hard.
    pub user_agent: String,
    /// Consent page, tokens and the links that people follow: `https://www.reddit.com`.
    pub auth_base: Url,
    /// `https://oauth.reddit.com`.
    pub api_base: Url,
    /// Bounds one write as a whole.
    pub write_timeout: Duration,
    /// How long a write without an answer may still appear.
    pub settle_window: Duration,
    /// What was taken from the account's inbox is marked as read there. Not where nothing may be written.
    pub marks_read: bool,
}

/// What every call needs.
#[derive(Clone)]
struct Api {
    config: Arc<RedditConfig>,
    read: reqwest::Client,
}

pub struct RedditReader {
    api: Api,
    now: Now,
}

/// The two halves. `now` is the clock by which posts grow old.
pub fn connect(config: RedditConfig, now: Now) -> Result<(RedditReader, RedditWriter), ConnectError> {
    let wrong =
        |setting, reason: &str| ConnectError::Setting { platform: "reddit", setting, reason: reason.to_owned() };
    if config.app.as_ref().is_some_and(|app| app.client_id.trim().is_empty()) {
        return Err(wrong("client id", "is empty"));
    }
    if config.user_agent.trim().is_empty() || HeaderValue::from_str(&config.user_agent).is_err() {
        return Err(wrong("user agent", "must be one line like `web:org.example.app:1.0 (by /u/name)`"));
    }
    check_bases("reddit", &[("auth base", &config.auth_base), ("API base", &config.api_base)])?;
    let write = http::write_client(config.write_timeout)?;
    let api = Api { config: Arc::new(config), read: http::read_client()? };
    let writer = RedditWriter::new(api.config.clone(), write, now.clone());
    Ok((RedditReader { api, now }, writer))
}

#[async_trait]
impl Reader for RedditReader {
    fn capabilities(&self) -> Capabilities {
        Capabilities { settle_window: self.api.config.settle_window, ..CAPABILITIES }
    }

    fn own_client(&self) -> Option<&str> {
        Some(&self.api.config.app.as_ref()?.client_id)
    }

    fn authorize_url(&self, through: &Through, request: &AuthorizeRequest) -> Url {
        oauth::authorize_url(&self.api, through, request)
    }

    async fn exchange_code(
        &self,
        through: &Through,
        code: &str,
        redirect_uri: &Url,
        _code_verifier: &str,
    ) -> Result<Grant, AuthError> {
        oauth::exchange_code(&self.api, through, code, redirect_uri).await
    }

    async fn refresh(&self, through: &Through, refresh_token: &SecretString) -> Result<Grant, AuthError> {
        oauth::refresh(&self.api, through, refresh_token).await
    }

    async fn revoke(&self, through: &Through, grant: &Grant) -> Result<(), AuthError> {
        oauth::revoke(&self.api, through, grant).await
    }

    async fn me(&self, access_token: &AccessToken) -> Result<Account, FetchError> {
        let answer = self.api.get(access_token, &["api", "v1", "me"], &[], Scope::Account).await?;
        calls::account(&answer.body)
    }

    async fn poll(&self, session: &Session, cursor: &Cursor) -> Result<Polled, FetchError> {
        poll::poll(&self.api, session, cursor, &Parts::all(), (self.now)()).await
    }

    fn reads_parts(&self) -> bool {
        true
    }

    async fn poll_parts(&self, session: &Session, cursor: &Cursor, parts: &Parts) -> Result<Polled, FetchError> {
        poll::poll(&self.api, session, cursor, parts, (self.now)()).await
    }

    async fn counts(&self, session: &Session, post_ids: &[String]) -> Result<HashMap<String, u64>, FetchError> {
        states::counts(&self.api, session, post_ids).await
    }

    async fn target_state(&self, session: &Session, post_id: &str, target_id: &str) -> Result<TargetState, FetchError> {
        readback::target_state(&self.api, session, post_id, target_id).await
    }

    async fn find_own_reply(&self, session: &Session, probe: &ReplyProbe) -> Result<Probe, FetchError> {
        readback::find_own_reply(&self.api, session, probe).await
    }

    async fn reply_at(&self, session: &Session, address: &Url, target_id: &str) -> Result<ReplyAt, FetchError> {
        permalink::reply_at(&self.api, session, address, target_id).await
    }

    async fn states(&self, session: &Session, ids: &[String]) -> Result<States, FetchError> {
        states::states(&self.api, session, ids).await
    }

    async fn place(&self, session: &Session, community: &str) -> Result<Place, FetchError> {
        place::place(&self.api, session, community).await
    }

    async fn watch(&self, session: &Session, watch: &Watch, cursor: &Cursor) -> Result<Polled, FetchError> {
        watch::watch(&self.api, session, watch, cursor, (self.now)()).await
    }
}
