//! Plain values that cross the border between a platform's wire format and the rest of the product.
//! Ids are the platform's own, as text. Times are UTC.

use crate::permits::AccessToken;
use crate::tariff::Tariff;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use url::Url;

mod polled;
mod standing;

pub use polled::*;
pub use standing::*;

/// Who we act as on one call: the account and a token that is valid now.
#[derive(Debug, Clone)]
pub struct Session {
    pub account: Account,
    pub access_token: AccessToken,
}

/// The account that a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Stable id; never changes, unlike the name.
    pub id: String,
    /// Handle without decoration ("acme", not "u/acme").
    pub name: String,
}

/// What the consent page must be asked for.
#[derive(Debug, Clone)]
pub struct AuthorizeRequest {
    pub state: String,
    pub redirect_uri: Url,
    /// S256 challenge; platforms without PKCE ignore it.
    pub code_challenge: String,
}

/// What a code or a refresh token is exchanged for.
#[derive(Debug, Clone)]
pub struct Grant {
    pub access_token: SecretString,
    /// Absent on some refresh answers: keep the old one then.
    pub refresh_token: Option<SecretString>,
    pub scopes: Vec<String>,
    /// Lifetime as told by the platform, counted from the answer.
    pub expires_in: Option<Duration>,
}

/// An account that a consent reaches.
#[derive(Debug, Clone)]
pub struct Reached {
    pub account: Account,
    /// What it is reached through ("Page Acme Coffee"), where people choose by that.
    pub place: Option<String>,
    /// For this account alone.
    pub grant: Grant,
}

/// How long a reply may be, and how the platform counts that.
#[derive(Debug, Clone, Copy)]
pub struct LengthRule {
    pub max: usize,
    count: Count,
}

#[derive(Debug, Clone, Copy)]
enum Count {
    Characters,
    Weighted(fn(&str) -> usize),
}

impl LengthRule {
    /// As most platforms count: code points.
    pub const fn characters(max: usize) -> Self {
        Self { max, count: Count::Characters }
    }

    /// For a platform that counts some characters otherwise than others.
    pub const fn weighted(max: usize, weight: fn(&str) -> usize) -> Self {
        Self { max, count: Count::Weighted(weight) }
    }

    pub fn of(&self, text: &str) -> usize {
        match self.count {
            Count::Characters => text.chars().count(),
            Count::Weighted(weight) => weight(text),
        }
    }

    pub fn fits(&self, text: &str) -> bool {
        self.of(text) <= self.max
    }

    /// Whether the length is something else than the number of characters.
    pub fn is_weighted(&self) -> bool {
        matches!(self.count, Count::Weighted(_))
    }
}

impl Default for LengthRule {
    /// No limit.
    fn default() -> Self {
        Self::characters(usize::MAX)
    }
}

/// What a platform can do and which limits the rest of the product must respect.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    pub slug: &'static str,
    pub name: &'static str,
    /// Of a reply.
    pub length: LengthRule,
    /// How long a write that got no answer may still appear: nobody repeats it before this has passed.
    pub settle_window: std::time::Duration,
    pub scopes: &'static [ScopeAsked],
    /// Further ways to give consent, beside the usual one, which `scopes` is about.
    pub logins: &'static [Login],
    /// What its API costs; None: nothing.
    pub tariff: Option<&'static Tariff>,
    /// What can be followed there beside the account's own posts.
    pub watching: Watching,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watching {
    /// Nothing can be searched.
    Nothing,
    /// Words, wherever they are said.
    Words,
    /// Communities, and words in them or everywhere.
    Communities,
}

impl Watching {
    /// Why it cannot be followed; None where it can.
    pub fn problem(self, platform: &str, watch: &Watch) -> Option<String> {
        match (self, watch) {
            (Self::Communities, _) | (Self::Words, Watch::Keyword { community: None, .. }) => None,
            (Self::Words, _) => {
                Some(format!("{platform} has no communities that can be followed; follow words instead"))
            }
            (Self::Nothing, _) => {
                Some(format!("{platform} cannot be searched; what names the account comes by itself"))
            }
        }
    }
}

/// A way to give consent that has a page and permissions of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Login {
    pub slug: &'static str,
    /// "Facebook", as in "Connect Instagram by Facebook".
    pub name: &'static str,
    /// Who takes it: "for accounts that are linked to a Facebook Page".
    pub suits: &'static str,
    pub scopes: &'static [ScopeAsked],
}

/// A permission that we ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeAsked {
    /// The platform's word.
    pub name: &'static str,
    /// "to post the replies that your team approved"
    pub why: &'static str,
    /// What does not work where the consent lacks it: "no reply can be posted".
    pub without: &'static str,
}

impl Capabilities {
    /// What a consent lacks of all that we ask for. A grant that names no scopes has what was asked for.
    pub fn missing(&self, granted: &[String]) -> Vec<&'static ScopeAsked> {
        let has = |asked: &&ScopeAsked| granted.iter().any(|scope| scope == asked.name || scope == "*");
        let scopes = self.login_of(granted).map_or(self.scopes, |login| login.scopes);
        scopes.iter().filter(|asked| !granted.is_empty() && !has(asked)).collect()
    }

    /// The way by which these were granted; None: the usual one.
    pub fn login_of(&self, granted: &[String]) -> Option<&'static Login> {
        let grants = |asked: &ScopeAsked| granted.iter().any(|scope| scope == asked.name);
        self.logins.iter().find(|login| login.scopes.iter().any(grants))
    }
}

/// The state of a reply's target, read just before sending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetState {
    pub exists: bool,
    pub locked: bool,
    pub edited_at: Option<OffsetDateTime>,
    /// A reply of our own account that already stands under the target.
    pub own_reply: Option<FoundReply>,
    /// Why the API takes no reply to it while a person on the website can write one; None where it does.
    pub by_hand: Option<String>,
}

/// A public text of ours, ready to go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundReply {
    /// Post or comment that it answers.
    pub target_id: String,
    /// The post that the target stands under (equal to `target_id` for a top-level reply).
    pub post_id: String,
    pub text: String,
}

/// What to look for when we do not know whether a write happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyProbe {
    pub target_id: String,
    pub post_id: String,
    pub text: String,
    /// When the write was armed; a match is not older than this, less `skew`.
    pub armed_at: OffsetDateTime,
    pub skew: std::time::Duration,
    /// Replies of ours under this post that other attempts are known to have made.
    pub taken: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundReply {
    pub id: String,
    pub permalink: Option<Url>,
    pub created_at: Option<OffsetDateTime>,
}

/// What one reading back of the platform said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Our reply stands there with our text.
    Found(FoundReply),
    /// Another reply of our account stands there: answered elsewhere, not by this attempt.
    OtherOwnReply(FoundReply),
    /// Read back past `armed_at`, not there now. One absence proves nothing: ask again within the settle window.
    AbsentOnce,
    /// The platform cannot be read back that far; a person decides.
    CannotTell(String),
}

/// What stands at an address. The texts follow "The address".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyAt {
    /// A reply of the account under the target.
    Ours(FoundReply),
    /// Something else: of another author, or elsewhere.
    NotOurs(String),
    /// Not the address of a reply, or nothing stands there.
    NoReply(String),
}

/// A reply that the platform gave an id to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedReply {
    pub id: String,
    pub permalink: Option<Url>,
    /// False where the platform took it but does not show it in the thread.
    pub visible: bool,
    pub exchange: Exchange,
}

/// Request and answer of a write for the log: no token, no header that carries one, bounded in length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    pub request: serde_json::Value,
    pub status: Option<u16>,
    pub answer: serde_json::Value,
}

/// A community: may we answer there, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Without decoration ("espresso"), as it was asked for.
    pub name: String,
    pub access: Access,
    /// In the community's order; empty where it does not let us in.
    pub rules: Vec<PlaceRule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    Open,
    /// Open to accounts that opted in by hand; a reply of others is taken and not shown.
    Quarantined,
    Private,
    /// Closed by the platform.
    Banned,
    Missing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRule {
    pub title: String,
    pub description: String,
    pub applies_to: AppliesTo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppliesTo {
    All,
    Posts,
    Comments,
}

/// What is followed beside the account's own posts. Names of communities with or without `r/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    Community {
        name: String,
    },
    /// Posts whose title or text holds these words, everywhere or in one community.
    Keyword {
        text: String,
        community: Option<String>,
    },
}

/// A change of one of our own texts that stands on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Edit { reply_id: String, text: String },
    Delete { reply_id: String },
}

/// The change was seen on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    pub exchange: Exchange,
}

/// Events that an account has us sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscribed {
    /// The platform's words for them.
    pub fields: Vec<String>,
    /// What callbacks call the account, where that is another id than its own.
    pub app_user_id: Option<String>,
}

/// One change that a platform's webhook told of, as it is kept until it is worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The account that it is about; None where the delivery does not say.
    pub account_id: Option<String>,
    /// The platform's word for it ("comments").
    pub kind: &'static str,
    /// The same for every repetition; None where it cannot be told.
    pub key: Option<String>,
    pub sent_at: Option<OffsetDateTime>,
    /// JSON.
    pub payload: String,
    /// Why it cannot be worked.
    pub problem: Option<String>,
}

/// What a change says.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "lives for one call; most are comments")]
pub enum Heard {
    /// All that is needed of a comment.
    Comment(InboundComment),
    /// All that is needed of a post.
    Post(InboundPost),
    /// Things that must be read to know more.
    Named(Named),
    /// Nothing to do, for this reason.
    Nothing(&'static str),
}

impl Heard {
    /// A date in the future would stand above everything until then: it counts as now.
    pub(crate) fn not_later_than(&mut self, now: OffsetDateTime) {
        let (created_at, edited_at) = match self {
            Self::Comment(comment) => (&mut comment.created_at, &mut comment.edited_at),
            Self::Post(post) => (&mut post.created_at, &mut post.edited_at),
            Self::Named(_) | Self::Nothing(_) => return,
        };
        *created_at = (*created_at).min(now);
        *edited_at = edited_at.map(|at| at.min(now));
    }
}

/// Posts that need not be read any more, with their addresses.
pub type KnownPosts = std::collections::HashMap<String, Option<Url>>;

/// Things by their ids, as a change named them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub post_id: Option<String>,
    pub comment_id: Option<String>,
    /// On somebody else's post; such things are read in a way of their own.
    pub mention: bool,
}
