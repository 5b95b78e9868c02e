//! The control handle: what a test may ask of the sandbox and do to it. Cheap to clone, all methods at once, none of
//! them goes through HTTP. Methods that take a fullname panic on one that does not exist, so a typo fails the test where it stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::clock::Clock;
use crate::world::faults::{AiFault, Hold, HoldPoint, ReadFault, Verdict, WriteFault};
use crate::world::oauth::{Grant, IssuedToken};
use crate::world::rates::{RateHost, RateWindow};
use crate::world::{
    Arrival, Comment, CommentView, CommunityAccess, JournalEntry, Message, Mix, NewPost, Post, PostView, Rule, base36,
};
use crate::{Shared, vendors};

#[derive(Clone, Debug)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Makes an account unless it exists. Returns its id without prefix.
    pub fn add_account(&self, name: &str) -> String {
        self.shared.world().ensure_account(name)
    }

    /// Posts into a community (made if needed) by an account (made if needed). Returns the fullname, `t3_...`.
    pub fn add_post(&self, author: &str, community: &str, title: &str, body: &str) -> String {
        let mut world = self.shared.world();
        let at = world.now();
        world.add_post(NewPost { author, community, title, body, at })
    }

    /// Comments on a post or comment, even where the platform would refuse it. Returns the fullname, `t1_...`.
    pub fn add_comment(&self, author: &str, parent: &str, text: &str) -> String {
        let mut world = self.shared.world();
        let at = world.now();
        world.add_comment(author, parent, text, at).expect("the parent exists in this sandbox")
    }

    /// Sends a private message. Returns the fullname, `t4_...`.
    pub fn add_message(&self, from: &str, to: &str, subject: &str, body: &str) -> String {
        let mut world = self.shared.world();
        world.ensure_account(from);
        let id = base36(5_500_000_000 + world.messages.len() as u64);
        let created_at = world.now();
        let [from, to, subject, body] = [from, to, subject, body].map(str::to_owned);
        world.messages.push(Message { id: id.clone(), from, to, subject, body, created_at });
        format!("t4_{id}")
    }

    pub fn edit_comment(&self, fullname: &str, text: &str) {
        self.change_comment(fullname, |comment, now| {
            comment.body = text.to_owned();
            comment.edited_at = Some(now);
        });
    }

    /// As its author does it.
    pub fn delete_comment(&self, fullname: &str) {
        self.change_comment(fullname, |comment, _| comment.deleted = true);
    }

    /// As a moderator or a spam filter does it: its author still sees it.
    pub fn remove_comment(&self, fullname: &str) {
        self.change_comment(fullname, |comment, _| comment.removed = true);
    }

    pub fn lock_post(&self, fullname: &str) {
        self.change_post(fullname, |post| post.locked = true);
    }

    pub fn archive(&self, fullname: &str) {
        self.change_post(fullname, |post| post.archived = true);
    }

    pub fn delete_post(&self, fullname: &str) {
        self.change_post(fullname, |post| post.deleted = true);
    }

    /// As a moderator or a spam filter does it: its author still sees it.
    pub fn remove_post(&self, fullname: &str) {
        self.change_post(fullname, |post| post.removed = true);
    }

    /// What the votes of others make of it.
    pub fn set_score(&self, fullname: &str, score: i64) {
        self.change_comment(fullname, |comment, _| comment.score = score);
    }

    /// Whom a community (made if needed) lets in from now on.
    pub fn set_access(&self, community: &str, access: CommunityAccess) {
        let mut world = self.shared.world();
        let place = world.ensure_community(community);
        world.communities[place].access = access;
    }

    /// The rules of a community (made if needed): name, description, and `all`, `link` or `comment`.
    pub fn set_rules(&self, community: &str, rules: &[(&str, &str, &str)]) {
        let mut world = self.shared.world();
        let place = world.ensure_community(community);
        let rule = |(short_name, description, kind): &(&str, &str, &str)| Rule {
            short_name: (*short_name).to_owned(),
            description: (*description).to_owned(),
            kind: (*kind).to_owned(),
        };
        world.communities[place].rules = rules.iter().map(rule).collect();
    }

    /// From now on the account is marked as suspended and may not write.
    pub fn suspend_account(&self, name: &str) {
        let mut world = self.shared.world();
        world.account_mut(name).expect("the account exists in this sandbox").suspended = true;
    }

    fn change_comment(&self, fullname: &str, change: impl FnOnce(&mut Comment, OffsetDateTime)) {
        let mut world = self.shared.world();
        let now = world.now();
        change(world.comment_mut(fullname).expect("the comment exists in this sandbox"), now);
    }

    fn change_post(&self, fullname: &str, change: impl FnOnce(&mut Post)) {
        let mut world = self.shared.world();
        change(world.post_mut(fullname).expect("the post exists in this sandbox"));
    }

    /// The direct answers to a post or comment, oldest first: the truth, also deleted, removed and hidden ones.
    pub fn replies_under(&self, parent: &str) -> Vec<CommentView> {
        let world = self.shared.world();
        world.children_of(parent).iter().map(|&at| world.comment_view(&world.comments[at])).collect()
    }

    /// Every comment that this account ever made, oldest first.
    pub fn comments_by(&self, author: &str) -> Vec<CommentView> {
        let world = self.shared.world();
        let by_author = world.comments.iter().filter(|comment| comment.author == author);
        by_author.map(|comment| world.comment_view(comment)).collect()
    }

    pub fn posts(&self) -> Vec<PostView> {
        let world = self.shared.world();
        world.posts.iter().map(|post| world.post_view(post)).collect()
    }

    /// The next public writes go like this, in this order. Added behind what is planned already.
    pub fn plan_write(&self, faults: Vec<WriteFault>) {
        self.shared.world().faults.writes.extend(faults);
    }

    /// The next API reads (GET) go like this, in this order.
    pub fn plan_reads(&self, faults: Vec<ReadFault>) {
        self.shared.world().faults.reads.extend(faults);
    }

    /// The next calls of the language model go like this, in this order.
    pub fn plan_ai(&self, faults: Vec<AiFault>) {
        self.shared.world().faults.ai.extend(faults);
    }

    /// The next writes that answer (edit, delete) this thing go like this, whatever is planned for all or was planned for it before.
    pub fn plan_write_under(&self, thing: &str, faults: Vec<WriteFault>) {
        self.shared.world().faults.writes_under.insert(thing.to_owned(), faults.into());
    }

    /// From now on each write that nothing is planned for draws how it goes: each fault with its share, the rest well. The draw follows
    /// from the seed, the thing that the write is about and how many came for that thing.
    pub fn mix_writes(&self, seed: u64, shares: Vec<(f64, WriteFault)>) {
        self.shared.world().faults.write_mix = Some(Mix::new(seed, shares));
    }

    /// The same for API reads (GET); the draw follows from the seed and the number of the read.
    pub fn mix_reads(&self, seed: u64, shares: Vec<(f64, ReadFault)>) {
        self.shared.world().faults.read_mix = Some(Mix::new(seed, shares));
    }

    /// Forgets all planned faults and shares.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    /// Every public write that came in since the start, oldest first, whatever became of it.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.world().arrivals.clone()
    }

    /// From now on writes are received and wait before they take effect, until the guard lets them go.
    pub fn hold_writes(&self) -> HoldGuard {
        self.hold_writes_at(HoldPoint::BeforeEffect)
    }

    /// From now on writes take effect and wait before they are answered, until the guard lets them go.
    pub fn hold_writes_after_effect(&self) -> HoldGuard {
        self.hold_writes_at(HoldPoint::AfterEffect)
    }

    pub fn hold_writes_at(&self, point: HoldPoint) -> HoldGuard {
        self.hold(point, None)
    }

    /// The same for the writes of one process only, known by its `User-Agent`.
    pub fn hold_writes_of(&self, agent: &str, point: HoldPoint) -> HoldGuard {
        self.hold(point, Some(agent.to_owned()))
    }

    fn hold(&self, point: HoldPoint, agent: Option<String>) -> HoldGuard {
        let hold = self.shared.world().faults.start_hold(point, agent);
        HoldGuard { shared: self.shared.clone(), hold }
    }

    /// Every access token is dead; refresh tokens still work.
    pub fn expire_tokens(&self) {
        self.shared.world().oauth.expire_all();
    }

    /// Every token is dead, as after a user withdrew the consent.
    pub fn revoke_tokens(&self) {
        self.shared.world().oauth.revoke_all();
    }

    /// From now on each refresh hands out a new refresh token and kills the old one.
    pub fn rotate_refresh_tokens(&self, rotate: bool) {
        self.shared.world().oauth.rotate_refresh = rotate;
    }

    /// Accepts one more app.
    pub fn add_client(&self, id: &str, secret: &str) {
        self.shared.world().oauth.add_client(id, secret);
    }

    /// Knows an app no more: its credentials are refused, tokens that it has work until they end.
    pub fn remove_client(&self, id: &str) {
        self.shared.world().oauth.remove_client(id);
    }

    /// Accepts redirects to this host too; loopback hosts are always accepted.
    pub fn allow_redirect_host(&self, host: &str) {
        self.shared.world().oauth.redirect_hosts.push(host.to_owned());
    }

    /// Tokens for an account (made if needed) without the consent page, with a refresh token, for the default app.
    pub fn issue_token(&self, account: &str, scope: &str) -> IssuedToken {
        let mut world = self.shared.world();
        world.ensure_account(account);
        let now = world.now();
        world.oauth.issue(self.grant(account, "", scope), now)
    }

    /// A code as the consent page would hand it out, for the default app.
    pub fn grant_code(&self, account: &str, redirect_uri: &str, scope: &str) -> String {
        let mut world = self.shared.world();
        world.ensure_account(account);
        let now = world.now();
        world.oauth.grant_code(self.grant(account, redirect_uri, scope), now)
    }

    /// The same for another app.
    pub fn grant_code_to(&self, client_id: &str, account: &str, redirect_uri: &str, scope: &str) -> String {
        let mut world = self.shared.world();
        world.ensure_account(account);
        let now = world.now();
        let grant = Grant { client_id: client_id.to_owned(), ..self.grant(account, redirect_uri, scope) };
        world.oauth.grant_code(grant, now)
    }

    fn grant(&self, account: &str, redirect_uri: &str, scope: &str) -> Grant {
        let [account, redirect_uri, scope] = [account, redirect_uri, scope].map(str::to_owned);
        Grant { account, client_id: vendors::DEFAULT_CLIENT.to_owned(), redirect_uri, scope, permanent: true }
    }

    /// Every request that changed something, oldest first.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.shared.world().journal.clone()
    }

    /// How many requests came, by `METHOD /route/with/{parameters}`.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.shared.world().requests.clone()
    }

    /// The last request bodies that the language model got, oldest first.
    pub fn ai_requests(&self) -> Vec<serde_json::Value> {
        self.shared.world().ai_requests.iter().cloned().collect()
    }

    /// Requests that each app may make of the API in 10 minutes of the sandbox clock. Also forgets what was used so far.
    pub fn set_rate_budget(&self, limit: u32) {
        self.shared.world().rates.reset(RateHost::Api, limit);
    }

    /// The same for the token endpoint.
    pub fn set_token_rate_budget(&self, limit: u32) {
        self.shared.world().rates.reset(RateHost::Token, limit);
    }

    /// What each app asked of each host, window by window.
    pub fn rate_windows(&self) -> Vec<RateWindow> {
        self.shared.world().rates.windows()
    }

    pub fn now(&self) -> OffsetDateTime {
        self.shared.world().now()
    }

    /// Moves a fixed clock; false (and nothing happens) with the system clock.
    pub fn set_now(&self, at: OffsetDateTime) -> bool {
        self.with_fixed_clock(|clock| clock.set(at))
    }

    /// Moves a fixed clock; false (and nothing happens) with the system clock.
    pub fn advance(&self, by: Duration) -> bool {
        self.with_fixed_clock(|clock| clock.advance(by))
    }

    fn with_fixed_clock(&self, change: impl FnOnce(&crate::FixedClock)) -> bool {
        match &self.shared.world().clock {
            Clock::Fixed(clock) => {
                change(clock);
                true
            }
            Clock::System => false,
        }
    }

    /// The next prepared stranger speaks now. None when all have spoken.
    pub fn trickle_once(&self) -> Option<String> {
        self.shared.world().trickle()
    }
}

/// While it lives, writes wait. Dropping it lets them go.
#[derive(Debug)]
pub struct HoldGuard {
    shared: Arc<Shared>,
    hold: Arc<Hold>,
}

impl HoldGuard {
    /// Waits until a write is being held.
    pub async fn write_arrived(&self) {
        self.hold.arrived(1).await;
    }

    /// Waits until this many writes have come since the hold began.
    pub async fn writes_arrived(&self, at_least: u64) {
        self.hold.arrived(at_least).await;
    }

    /// Lets the held writes go on, also those whose client is gone.
    pub fn release(self) {}

    /// Held writes end here: their connections close without an answer. Those held before their effect never happen.
    pub fn discard(self) {
        self.shared.world().faults.end_hold(Some(&self.hold), Verdict::Discard);
    }
}

impl Drop for HoldGuard {
    fn drop(&mut self) {
        self.shared.world().faults.end_hold(Some(&self.hold), Verdict::Go);
    }
}
