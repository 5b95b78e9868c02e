//! X, API v2. Reading is paid by the post, so little is read twice; writing is one call, `POST /2/tweets`, that X takes as a reply only
//! where the author of the post asked for us. What nobody asked for is left to a person on the website (`by_hand`).
//!
//! Facts: the pages of X's developer documentation named in each file; a report is named as such.

mod calls;
#[cfg(test)]
mod fixtures;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod length;
mod limits;
mod named;
mod oauth;
mod poll;
mod problem;
mod range;
mod readback;
mod tariff;
mod webhook;
mod wire;
#[cfg(test)]
mod wire_tests;
mod write;

pub use write::XWriter;

use crate::error::{AuthError, FetchError, Scope};
use crate::http;
use crate::list::check_bases;
use crate::permits::{AccessToken, Through};
use crate::tariff::Charge;
use crate::types::*;
use crate::{ConnectError, Now, Reader};
use async_trait::async_trait;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tariff::Reads;
use time::OffsetDateTime;
use url::Url;

pub const CAPABILITIES: Capabilities = Capabilities {
    slug: "x",
    name: "X",
    length: LengthRule::weighted(length::LIMIT, length::weighted),
    settle_window: Duration::from_secs(300),
    scopes: &[
        ScopeAsked {
            name: "tweet.read",
            why: "to read the account's posts, its mentions and the answers to it",
            without: "nothing comes in, and nothing is sent, since each post is looked at before",
        },
        ScopeAsked {
            name: "users.read",
            why: "to know which account this is and who wrote to it",
            without: "the account cannot be connected",
        },
        ScopeAsked {
            name: "tweet.write",
            why: "to post and take back the replies that your team approved",
            without: "no reply can be posted",
        },
        ScopeAsked {
            name: "offline.access",
            why: "to stay connected for longer than two hours",
            without: "the account must be connected again every two hours",
        },
    ],
    logins: &[],
    tariff: Some(&tariff::TARIFF),
    watching: Watching::Words,
};

/// The app as registered with X, and where X is.
#[derive(Debug, Clone)]
pub struct XConfig {
    pub client_id: String,
    pub client_secret: SecretString,
    /// Consent page and the links that people follow: `https://x.com`.
    pub auth_base: Url,
    /// `https://api.x.com`.
    pub api_base: Url,
    /// The webhook that the app registered for events; None: nothing is sent to us, everything is polled.
    pub webhook_id: Option<String>,
    /// Bounds one write as a whole.
    pub write_timeout: Duration,
    /// How long a write without an answer may still appear.
    pub settle_window: Duration,
}

/// What every call needs.
#[derive(Clone)]
struct Api {
    config: Arc<XConfig>,
    read: reqwest::Client,
    now: Now,
}

pub struct XReader {
    api: Api,
}

/// The two halves. `now` is the clock by which limits end.
pub fn connect(config: XConfig, now: Now) -> Result<(XReader, XWriter), ConnectError> {
    let wrong = |setting, reason: &str| ConnectError::Setting { platform: "x", setting, reason: reason.to_owned() };
    if config.client_id.trim().is_empty() {
        return Err(wrong("client id", "is empty"));
    }
    check_bases("x", &[("auth base", &config.auth_base), ("API base", &config.api_base)])?;
    let write = http::write_client(config.write_timeout)?;
    let api = Api { config: Arc::new(config), read: http::read_client()?, now };
    Ok((XReader { api: api.clone() }, XWriter::new(api, write)))
}

#[async_trait]
impl Reader for XReader {
    fn capabilities(&self) -> Capabilities {
        Capabilities { settle_window: self.api.config.settle_window, ..CAPABILITIES }
    }

    fn own_client(&self) -> Option<&str> {
        Some(&self.api.config.client_id)
    }

    fn authorize_url(&self, through: &Through, request: &AuthorizeRequest) -> Url {
        oauth::authorize_url(&self.api, through, request)
    }

    async fn exchange_code(
        &self,
        through: &Through,
        code: &str,
        redirect_uri: &Url,
        code_verifier: &str,
    ) -> Result<Grant, AuthError> {
        oauth::exchange_code(&self.api, through, code, redirect_uri, code_verifier).await
    }

    async fn refresh(&self, through: &Through, refresh_token: &SecretString) -> Result<Grant, AuthError> {
        oauth::refresh(&self.api, through, refresh_token).await
    }

    async fn revoke(&self, through: &Through, grant: &Grant) -> Result<(), AuthError> {
        oauth::revoke(&self.api, through, grant).await
    }

    async fn me(&self, access_token: &AccessToken) -> Result<Account, FetchError> {
        let me = ["2", "users", "me"];
        let read = self.api.get(access_token, &me, &[], (Reads::Me, Scope::Account)).await?;
        calls::account(&read.body)
    }

    async fn poll(&self, session: &Session, cursor: &Cursor) -> Result<Polled, FetchError> {
        poll::poll(&self.api, session, cursor, (self.api.now)()).await
    }

    async fn target_state(
        &self,
        session: &Session,
        _post_id: &str,
        target_id: &str,
    ) -> Result<TargetState, FetchError> {
        readback::target_state(&self.api, session, target_id).await
    }

    async fn find_own_reply(&self, session: &Session, probe: &ReplyProbe) -> Result<Probe, FetchError> {
        readback::find_own_reply(&self.api, session, probe).await
    }

    async fn reply_at(&self, session: &Session, address: &Url, target_id: &str) -> Result<ReplyAt, FetchError> {
        readback::reply_at(&self.api, session, address, target_id).await
    }

    async fn states(&self, session: &Session, ids: &[String]) -> Result<States, FetchError> {
        readback::states(&self.api, session, ids).await
    }

    /// X has no communities with rules of their own.
    async fn place(&self, _session: &Session, community: &str) -> Result<Place, FetchError> {
        Ok(Place { name: community.to_owned(), access: Access::Open, rules: Vec::new() })
    }

    fn takes_webhooks(&self) -> bool {
        self.api.config.webhook_id.is_some()
    }

    async fn subscribe(&self, session: &Session) -> Result<Subscribed, FetchError> {
        webhook::subscribe(&self.api, session).await
    }

    fn split(&self, body: &[u8]) -> Result<Vec<Pushed>, String> {
        webhook::split(body)
    }

    fn told_charges(&self, payload: &serde_json::Value) -> Vec<Charge> {
        webhook::charges(payload)
    }

    fn heard(&self, account: &Account, payload: &serde_json::Value, at: OffsetDateTime) -> Heard {
        webhook::heard(&self.api.config.auth_base, account, payload, at)
    }

    fn without_words(&self, payload: &mut serde_json::Value) {
        webhook::without_words(payload);
    }

    async fn read_named(
        &self,
        session: &Session,
        named: &Named,
        _known: &KnownPosts,
    ) -> Result<Vec<InboundItem>, FetchError> {
        let mut items = named::read(&self.api, session, named).await?;
        items.iter_mut().for_each(|item| item.not_later_than((self.api.now)()));
        Ok(items)
    }

    async fn watch(&self, session: &Session, watch: &Watch, cursor: &Cursor) -> Result<Polled, FetchError> {
        match watch {
            Watch::Keyword { text, community: None } => {
                poll::watch(&self.api, session, text, cursor, (self.api.now)()).await
            }
            Watch::Keyword { .. } | Watch::Community { .. } => {
                Err(calls::refusal("unsupported", "X has no communities that can be followed".to_owned(), Scope::Item))
            }
        }
    }
}
