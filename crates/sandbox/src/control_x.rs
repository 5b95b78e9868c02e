//! The control handle of X. Ids are text here as they are on the wire.

use crate::Control;
use crate::vendors::clerk::SignedMessage;
use crate::vendors::x::XWorld;
use crate::vendors::x::things::{Tweet, XBill};
use crate::world::oauth::IssuedToken;
use serde::Serialize;
use time::OffsetDateTime;

/// A post as it really is, seen by nobody in particular.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct XPost {
    pub id: String,
    pub author: String,
    pub text: String,
    pub replied_to: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub deleted: bool,
    pub hidden: bool,
}

fn view(world: &XWorld, tweet: &Tweet) -> XPost {
    XPost {
        id: tweet.id.to_string(),
        author: world.user(tweet.author).map(|user| user.name.clone()).unwrap_or_default(),
        text: tweet.text.clone(),
        replied_to: tweet.replied_to.map(|id| id.to_string()),
        at: tweet.at,
        deleted: tweet.deleted,
        hidden: tweet.hidden,
    }
}

/// The signature of X over these bytes, as in its header.
pub fn x_signature(bytes: &[u8]) -> String {
    crate::vendors::x::activity::signature(bytes)
}

fn number(id: &str) -> u64 {
    id.parse().expect("an id of this sandbox")
}

impl Control {
    /// Makes an account on X unless it exists. Returns its id.
    pub fn x_user(&self, name: &str) -> String {
        self.shared().world().x.ensure_user(name).to_string()
    }

    /// Posts on X, whatever the vendor would say to an app. Returns the id.
    pub fn x_post(&self, author: &str, text: &str) -> String {
        self.x_add(author, text, None, None)
    }

    /// Answers a post on X as on the web page. Returns the id.
    pub fn x_reply(&self, author: &str, to: &str, text: &str) -> String {
        self.x_add(author, text, Some(number(to)), None)
    }

    /// Quotes a post on X. Returns the id.
    pub fn x_quote(&self, author: &str, quoted: &str, text: &str) -> String {
        self.x_add(author, text, None, Some(number(quoted)))
    }

    fn x_add(&self, author: &str, text: &str, replied_to: Option<u64>, quoted: Option<u64>) -> String {
        let mut world = self.shared().world();
        let now = world.now();
        let author = world.x.ensure_user(author);
        world.x.add(author, text, replied_to, quoted, now).to_string()
    }

    /// Its author edits it. Returns the id of the new version.
    pub fn x_edit(&self, id: &str, text: &str) -> String {
        let mut world = self.shared().world();
        let now = world.now();
        world.x.edit(number(id), text, now).expect("the post exists in this sandbox").to_string()
    }

    /// As its author does it.
    pub fn x_delete(&self, id: &str) {
        self.shared().world().x.tweets.get_mut(&number(id)).expect("the post exists in this sandbox").deleted = true;
    }

    /// All posts of X, oldest first, also deleted ones.
    pub fn x_posts(&self) -> Vec<XPost> {
        let world = self.shared().world();
        world.x.tweets.values().map(|tweet| view(&world.x, tweet)).collect()
    }

    /// The direct answers to a post, whichever of its versions they name, oldest first, also deleted ones.
    pub fn x_replies_under(&self, id: &str) -> Vec<XPost> {
        let mut versions = vec![id.to_owned()];
        if let Some(tweet) = self.shared().world().x.tweets.get(&number(id)) {
            versions.extend(tweet.versions.iter().map(u64::to_string));
        }
        let under = |post: &XPost| post.replied_to.as_ref().is_some_and(|parent| versions.contains(parent));
        self.x_posts().into_iter().filter(under).collect()
    }

    /// Tokens for an account on X (made if needed) without the consent page.
    pub fn x_issue_token(&self, account: &str, scope: &str) -> IssuedToken {
        let mut world = self.shared().world();
        let now = world.now();
        let user = world.x.ensure_user(account);
        world.x.grants.issue(crate::vendors::x::grant(user, scope), now)
    }

    /// A code as X's consent page would hand it out, bound to the challenge.
    pub fn x_grant_code(&self, account: &str, redirect_uri: &str, scope: &str, challenge: &str) -> String {
        let mut world = self.shared().world();
        let now = world.now();
        let user = world.x.ensure_user(account);
        world.x.grants.grant_code(crate::vendors::x::grant(user, scope), redirect_uri, Some(challenge), now)
    }

    /// Every access token of X is dead; refresh tokens still work once.
    pub fn x_expire_tokens(&self) {
        self.shared().world().x.grants.expire_all();
    }

    /// Every token of X is dead.
    pub fn x_revoke_tokens(&self) {
        self.shared().world().x.grants.revoke_all();
    }

    /// Events go to this address from now on; to none that begins with `http://`: the test delivers them itself.
    pub fn x_webhook(&self, url: &str) {
        self.shared().world().x.activity.register(url);
    }

    /// Events that nobody has taken yet, each with its number: signed, as the vendor sends them.
    pub fn x_events(&self) -> Vec<(u64, SignedMessage)> {
        self.shared().world().x.events()
    }

    /// How a delivery was answered; what was not with 200 comes again.
    pub fn x_event_answered(&self, number: u64, status: u16) {
        self.shared().world().x.activity.answered(number, status);
    }

    /// What the vendor has charged for so far.
    pub fn x_bill(&self) -> XBill {
        self.shared().world().x.bill.clone()
    }

    /// So many more posts may be made until that time; None: as many as one likes.
    pub fn x_day_limit(&self, limit: Option<(u32, OffsetDateTime)>) {
        self.shared().world().x_windows.day_limit = limit.map(|(left, until)| (left, until.unix_timestamp()));
    }

    /// Calls in 15 minutes of every route, instead of the documented numbers.
    pub fn x_rate_limit(&self, limit: Option<u32>) {
        self.shared().world().x_windows.every_limit = limit;
    }
}
