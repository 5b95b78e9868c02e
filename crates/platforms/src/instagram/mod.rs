//! Instagram through Meta's Graph API. Professional accounts only. Comments come as webhooks and are also found by reading the
//! account's own media again, because webhooks get lost. Writing is one call, whose failure can still mean that the comment exists.
//!
//! Answers are decided on Meta's `code` and `error_subcode`, hardly ever on the HTTP status, which is 400 for nearly everything. Whatever
//! a thing looks like, it costs at most itself: it becomes a line in `problems` and the rest goes on.

mod access;
mod act;
mod calls;
mod errors;
mod facebook;
#[cfg(test)]
mod fixtures;
mod mentions;
mod named;
mod oauth;
mod permalink;
mod poll;
mod readback;
mod states;
mod usage;
mod webhook;
mod wire;
#[cfg(test)]
mod wire_tests;
mod write;

pub use write::InstagramWriter;

use crate::error::{AuthError, FetchError, Scope};
use crate::http;
use crate::list::check_bases;
use crate::permits::{AccessToken, Through};
use crate::types::*;
use crate::{ConnectError, Now, Reader};
use access::Marked;
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use url::Url;

pub const CAPABILITIES: Capabilities = Capabilities {
    slug: "instagram",
    name: "Instagram",
    // No limit stands on Meta's pages of today; the API before this one took 300.
    length: LengthRule::characters(300),
    settle_window: Duration::from_secs(180),
    scopes: &[
        ScopeAsked {
            name: "instagram_business_basic",
            why: "to know which account this is and to read its posts",
            without: "no post can be read",
        },
        ScopeAsked {
            name: "instagram_business_manage_comments",
            why: "to read the comments under them and to post the replies that your team approved",
            without: "no comment can be read and no reply can be posted",
        },
    ],
    logins: &[facebook::LOGIN],
    tariff: None,
    watching: Watching::Nothing,
};

/// The app as registered with Meta, and where Meta is.
#[derive(Debug, Clone)]
pub struct InstagramConfig {
    /// The Instagram app's, which has a pair of its own beside the Meta app's.
    pub app_id: String,
    pub app_secret: SecretString,
    /// Consent page: `https://www.instagram.com`.
    pub dialog_base: Url,
    /// Where a code is exchanged: `https://api.instagram.com`.
    pub token_base: Url,
    /// `https://graph.instagram.com`.
    pub graph_base: Url,
    /// `v25.0`.
    pub version: String,
    /// None: accounts are connected by Instagram Login alone.
    pub facebook: Option<FacebookConfig>,
    /// Bounds one write as a whole.
    pub write_timeout: Duration,
    /// How long a write without an answer may still appear.
    pub settle_window: Duration,
}

/// What Facebook Login for Business goes by: the Meta app's own pair.
#[derive(Debug, Clone)]
pub struct FacebookConfig {
    pub app_id: String,
    pub app_secret: SecretString,
    /// Consent page: `https://www.facebook.com`.
    pub dialog_base: Url,
    /// `https://graph.facebook.com`.
    pub graph_base: Url,
}

/// What every call needs.
#[derive(Clone)]
struct Api {
    config: Arc<InstagramConfig>,
    read: reqwest::Client,
}

pub struct InstagramReader {
    api: Api,
    now: Now,
}

/// The two halves. `now` is the clock by which posts grow old.
pub fn connect(config: InstagramConfig, now: Now) -> Result<(InstagramReader, InstagramWriter), ConnectError> {
    let wrong =
        |setting, reason: &str| ConnectError::Setting { platform: "instagram", setting, reason: reason.to_owned() };
    if config.app_id.trim().is_empty() {
        return Err(wrong("app id", "is empty"));
    }
    let digits = config.version.strip_prefix('v').and_then(|version| version.split_once('.'));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits.is_some_and(|(major, minor)| is_number(major) && is_number(minor)) {
        return Err(wrong("version", "must look like v25.0"));
    }
    check_bases(
        "instagram",
        &[("dialog base", &config.dialog_base), ("token base", &config.token_base), ("graph base", &config.graph_base)],
    )?;
    if let Some(facebook) = &config.facebook {
        let bases = [("Facebook dialog base", &facebook.dialog_base), ("Facebook graph base", &facebook.graph_base)];
        check_bases("instagram", &bases)?;
    }
    let write = http::write_client(config.write_timeout)?;
    let api = Api { config: Arc::new(config), read: http::read_client()? };
    let writer = InstagramWriter::new(api.config.clone(), write);
    Ok((InstagramReader { api, now }, writer))
}

#[async_trait]
impl Reader for InstagramReader {
    fn capabilities(&self) -> Capabilities {
        let logins = if self.api.config.facebook.is_some() { CAPABILITIES.logins } else { &[] };
        Capabilities { settle_window: self.api.config.settle_window, logins, ..CAPABILITIES }
    }

    fn own_client(&self) -> Option<&str> {
        Some(&self.api.config.app_id)
    }

    fn authorize_url(&self, through: &Through, request: &AuthorizeRequest) -> Url {
        match &self.api.config.facebook {
            Some(facebook) if facebook::is_meant(through) => facebook::authorize_url(&self.api, facebook, request),
            _ => oauth::authorize_url(&self.api, through, request),
        }
    }

    async fn exchange_code(
        &self,
        through: &Through,
        code: &str,
        redirect_uri: &Url,
        _code_verifier: &str,
    ) -> Result<Grant, AuthError> {
        if facebook::is_meant(through) {
            return facebook::exchange_code(&self.api, through, code, redirect_uri).await;
        }
        oauth::exchange_code(&self.api, through, code, redirect_uri).await
    }

    async fn refresh(&self, through: &Through, refresh_token: &SecretString) -> Result<Grant, AuthError> {
        match Marked::of(refresh_token.expose_secret()) {
            Some(marked) => facebook::still_lives(&self.api, through, refresh_token, marked.page_id).await,
            None => oauth::refresh(&self.api, through, refresh_token).await,
        }
    }

    /// Meta has no call that takes back one grant: it ends by itself, or with the app in the account's settings.
    async fn revoke(&self, _through: &Through, _grant: &Grant) -> Result<(), AuthError> {
        Ok(())
    }

    async fn me(&self, access_token: &AccessToken) -> Result<Account, FetchError> {
        calls::me(&self.api, access_token).await
    }

    async fn accounts(&self, through: &Through, grant: &Grant) -> Result<Vec<Reached>, FetchError> {
        if Marked::of(grant.access_token.expose_secret()).is_some() {
            return facebook::accounts(&self.api, through, &grant.access_token).await;
        }
        let account = self.me(&AccessToken::new(grant.access_token.clone(), through.permits.clone())).await?;
        Ok(vec![Reached { account, place: None, grant: grant.clone() }])
    }

    async fn poll(&self, session: &Session, cursor: &Cursor) -> Result<Polled, FetchError> {
        let now = (self.now)();
        let mut polled = poll::poll(&self.api, session, cursor, now).await?;
        polled.items.iter_mut().for_each(|item| item.not_later_than(now));
        Ok(polled)
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

    /// Each is a call.
    fn states_at_once(&self) -> usize {
        10
    }

    /// Of 60 days: two weeks of failing renewals pass before the team is told that the end comes near.
    fn refresh_ahead(&self) -> Duration {
        Duration::from_secs(21 * 24 * 60 * 60)
    }

    fn takes_webhooks(&self) -> bool {
        true
    }

    async fn subscribe(&self, session: &Session) -> Result<Subscribed, FetchError> {
        calls::subscribe(&self.api, session).await
    }

    fn split(&self, body: &[u8]) -> Result<Vec<Pushed>, String> {
        webhook::split(body)
    }

    fn heard(&self, account: &Account, payload: &serde_json::Value, at: OffsetDateTime) -> Heard {
        webhook::heard(account, payload, at)
    }

    fn without_words(&self, payload: &mut serde_json::Value) {
        webhook::without_words(payload);
    }

    async fn read_named(
        &self,
        session: &Session,
        named: &Named,
        known: &KnownPosts,
    ) -> Result<Vec<InboundItem>, FetchError> {
        let mut items = named::read(&self.api, session, named, known).await?;
        items.iter_mut().for_each(|item| item.not_later_than((self.now)()));
        Ok(items)
    }

    async fn place(&self, _session: &Session, _community: &str) -> Result<Place, FetchError> {
        Err(unsupported("Instagram has no communities"))
    }

    async fn watch(&self, _session: &Session, _watch: &Watch, _cursor: &Cursor) -> Result<Polled, FetchError> {
        Err(unsupported("Instagram cannot be searched; mentions come by themselves"))
    }
}

fn unsupported(reason: &str) -> FetchError {
    FetchError::Refused { code: "UNSUPPORTED".to_owned(), reason: reason.to_owned(), scope: Scope::Item }
}
