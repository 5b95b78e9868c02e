//! Social platforms: HTTP in, plain values out. Stateless; knows neither the database nor the web server.
//!
//! `Reader` may be handed to anyone. A `Writer` puts public text on a platform: there is one per platform, it cannot be
//! cloned, and `connect` gives them away once; the send stage moves them in and nobody else ever holds one.

pub mod error;
pub mod http;
mod instagram;
mod list;
pub mod permits;
mod reddit;
#[cfg(feature = "fuzz")]
pub use reddit::fuzz;
#[cfg(feature = "fuzz")]
pub use x::fuzz as x_fuzz;
pub mod tariff;
pub mod types;
mod x;

pub use error::{AuthError, FetchError, Remedy, Scope, SendError};
pub use instagram::{FacebookConfig, InstagramConfig};
pub use list::{ConnectError, NoPlatform, Now, PLATFORMS, Readers, Settings, Writers, connect, tariff};
pub use permits::{AccessToken, Admission, AppCredentials, Ended, Host, Pass, Permits, Through};
pub use reddit::RedditConfig;
pub use tariff::{Charge, Hold, Price, Tariff, Unpaid};
pub use types::*;
pub use x::XConfig;

use async_trait::async_trait;
use secrecy::SecretString;
use std::collections::HashMap;
use time::OffsetDateTime;
use url::Url;

#[async_trait]
pub trait Reader: Send + Sync {
    fn capabilities(&self) -> Capabilities;

    /// The client id of the installation's own app, where there is one.
    fn own_client(&self) -> Option<&str>;

    /// The consent page that a browser is sent to.
    fn authorize_url(&self, through: &Through, request: &AuthorizeRequest) -> Url;

    /// Trades the code of a callback for tokens.
    async fn exchange_code(
        &self,
        through: &Through,
        code: &str,
        redirect_uri: &Url,
        code_verifier: &str,
    ) -> Result<Grant, AuthError>;

    async fn refresh(&self, through: &Through, refresh_token: &SecretString) -> Result<Grant, AuthError>;

    /// Gives a grant back: its tokens work no more. One that is dead already is no error. Other grants of the same account go on.
    async fn revoke(&self, through: &Through, grant: &Grant) -> Result<(), AuthError>;

    /// The account behind a fresh token.
    async fn me(&self, access_token: &AccessToken) -> Result<Account, FetchError>;

    /// The accounts that a fresh grant reaches. Where there are several, a person chooses one; none is an answer, too.
    async fn accounts(&self, through: &Through, grant: &Grant) -> Result<Vec<Reached>, FetchError> {
        let token = AccessToken::new(grant.access_token.clone(), through.permits.clone());
        let account = self.me(&token).await?;
        Ok(vec![Reached { account, place: None, grant: grant.clone() }])
    }

    /// What happened on the account's own posts since `cursor`.
    async fn poll(&self, session: &Session, cursor: &Cursor) -> Result<Polled, FetchError>;

    /// Whether `poll_parts` and `counts` are more than the defaults here.
    fn reads_parts(&self) -> bool {
        false
    }

    /// A round that reads some parts alone; the others wait for theirs.
    async fn poll_parts(&self, session: &Session, cursor: &Cursor, parts: &Parts) -> Result<Polled, FetchError> {
        let _ = parts;
        self.poll(session, cursor).await
    }

    /// How many comments stand under public posts, whoever wrote them: few calls for many posts. Those that this account does
    /// not see are missing.
    async fn counts(&self, session: &Session, post_ids: &[String]) -> Result<HashMap<String, u64>, FetchError> {
        let _ = (session, post_ids);
        Ok(HashMap::new())
    }

    /// The target of a reply as it stands now.
    async fn target_state(&self, session: &Session, post_id: &str, target_id: &str) -> Result<TargetState, FetchError>;

    /// Looks once for the reply of an attempt whose outcome is unknown.
    async fn find_own_reply(&self, session: &Session, probe: &ReplyProbe) -> Result<Probe, FetchError>;

    /// What stands at an address that a person copied: a reply of this account to the target, or not.
    async fn reply_at(&self, session: &Session, address: &Url, target_id: &str) -> Result<ReplyAt, FetchError>;

    /// How posts and comments stand now, ours and others'. Calls one after another, as many as the number of ids needs;
    /// where one fails, nothing is said about any.
    async fn states(&self, session: &Session, ids: &[String]) -> Result<States, FetchError>;

    /// How many ids `states` is asked for at a time.
    fn states_at_once(&self) -> usize {
        100
    }

    /// A community and its rules. A closed door is an answer here, no error.
    async fn place(&self, session: &Session, community: &str) -> Result<Place, FetchError>;

    /// New posts of a watch since `cursor`; the first round gives the newest ones that stand there.
    async fn watch(&self, session: &Session, watch: &Watch, cursor: &Cursor) -> Result<Polled, FetchError>;

    /// How long before their end tokens are renewed: where they last for weeks, early enough that a failing renewal is noticed.
    fn refresh_ahead(&self) -> std::time::Duration {
        std::time::Duration::from_secs(2 * 60 * 60)
    }

    /// Whether accounts have events sent.
    fn takes_webhooks(&self) -> bool {
        false
    }

    /// Has the account's events sent to the webhook that the app is registered with. Asking twice does no harm.
    async fn subscribe(&self, _session: &Session) -> Result<Subscribed, FetchError> {
        Ok(Subscribed::default())
    }

    /// Cuts what came to the webhook into single changes; what is meant for others is left out. Err: why it is no delivery. Asks nobody.
    fn split(&self, _body: &[u8]) -> Result<Vec<Pushed>, String> {
        Err("this platform sends no webhooks".to_owned())
    }

    /// What the platform charges for having told of a change.
    fn told_charges(&self, _payload: &serde_json::Value) -> Vec<Charge> {
        Vec::new()
    }

    /// What a change says that a webhook brought at `at`. Asks nobody.
    fn heard(&self, _account: &Account, _payload: &serde_json::Value, _at: OffsetDateTime) -> Heard {
        Heard::Nothing("this platform sends no webhooks")
    }

    /// The change without anybody's words and names, to be kept once it was carried out.
    fn without_words(&self, payload: &mut serde_json::Value) {
        *payload = serde_json::Value::Null;
    }

    /// The post, unless it is known, and the comment, that a change named.
    async fn read_named(
        &self,
        _session: &Session,
        _named: &Named,
        _known: &KnownPosts,
    ) -> Result<Vec<InboundItem>, FetchError> {
        Ok(Vec::new())
    }
}

#[async_trait]
pub trait Writer: Send + Sync {
    fn slug(&self) -> &'static str;

    /// Puts one reply on the platform. Never repeats by itself, follows no redirect.
    async fn reply(&self, session: &Session, reply: &OutboundReply) -> Result<PostedReply, SendError>;

    /// Changes or takes back one of our own texts and looks whether it is so. Asking twice does no harm.
    async fn act(&self, session: &Session, action: &Action) -> Result<Acted, SendError>;
}
