//! What Instagram knows: professional accounts, their media, the comments below, tokens. Comments have two levels: an answer to an
//! answer stands under the top-level comment, as on the real platform. What was created stays for ever; deleting is a mark.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(crate) use super::shared::{Page, SharedPages};
use crate::world::oauth::scatter;

/// Tokens of the code flow, and those that they are exchanged for.
pub(crate) const SHORT_LIFE: Duration = Duration::from_secs(3600);
pub(crate) const LONG_LIFE: Duration = Duration::from_secs(5_183_944);
const CODE_LIFE: Duration = Duration::from_secs(3600);
/// Calls of an account in a day; percents in headers are of this.
const CALLS_A_DAY: u32 = 48_000;
const DAY_SECS: i64 = 86_400;
pub(crate) const MAX_COMMENT_CHARS: usize = 2200;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    /// What media and webhooks name it by.
    pub(crate) id: String,
    /// What this app alone knows it by.
    pub(crate) scoped_id: String,
    pub(crate) username: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Media {
    pub(crate) id: String,
    pub(crate) shortcode: String,
    pub(crate) owner: String,
    pub(crate) caption: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    pub(crate) comments_enabled: bool,
    pub(crate) live: bool,
    pub(crate) deleted: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: String,
    /// As addresses of the site name it.
    pub(crate) legacy_id: String,
    pub(crate) media: String,
    /// The top-level comment above.
    pub(crate) parent: Option<String>,
    pub(crate) author: String,
    pub(crate) text: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    /// By the owner of the medium.
    pub(crate) hidden: bool,
    pub(crate) deleted: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) hidden_until: Option<OffsetDateTime>,
}

/// A write that was taken and shows only later.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Landing {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    pub(crate) author: String,
    pub(crate) target: String,
    pub(crate) text: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) account: String,
    pub(crate) scopes: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) issued_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) expires_at: OffsetDateTime,
    pub(crate) long_lived: bool,
    /// Why it is dead before its time (a subcode of 190).
    pub(crate) dead: Option<u32>,
    /// Set on tokens of Facebook Login, which the host of Instagram Login does not take, nor the other way round.
    #[serde(default)]
    pub(crate) facebook: Option<SharedPages>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) account: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect_uri: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) expires_at: OffsetDateTime,
    #[serde(default)]
    pub(crate) facebook: Option<SharedPages>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Store {
    pub(crate) seed: u64,
    pub(crate) brand: Option<String>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) media: Vec<Media>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) landings: Vec<Landing>,
    pub(crate) pages: Vec<Page>,
    codes: BTreeMap<String, Code>,
    tokens: BTreeMap<String, Token>,
    /// Fields that each account has its events sent for.
    pub(crate) subscribed: BTreeMap<String, BTreeSet<String>>,
    issued: u64,
}

/// How often accounts called. A restart forgets it.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// The day, and how often on it.
    by_account: BTreeMap<String, (i64, u32)>,
    /// Percent that is used whatever was called; for tests.
    pub(crate) usage: Option<u32>,
    /// Tokens are neither exchanged nor renewed.
    pub(crate) token_trouble: bool,
}

/// Why a comment was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoText,
    TooLong,
    /// Comments are off, or the medium is a broadcast.
    Closed,
    /// Nothing can stand under a hidden comment.
    Hidden,
    Gone,
}

impl Store {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    pub(crate) fn account(&self, username: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.username == username)
    }

    /// Makes the account unless it is there.
    pub(crate) fn ensure_account(&mut self, username: &str) -> Account {
        if let Some(known) = self.account(username) {
            return known.clone();
        }
        let number = self.accounts.len() as u64;
        let account = Account {
            id: (17_841_400_000_000_000 + 37 * number).to_string(),
            scoped_id: (26_000_000_000_000_000 + 41 * number).to_string(),
            username: username.to_owned(),
        };
        self.accounts.push(account.clone());
        account
    }

    pub(crate) fn add_media(&mut self, owner: &str, caption: &str, at: OffsetDateTime) -> String {
        self.ensure_account(owner);
        let number = self.media.len() as u64;
        let id = (17_900_000_000_000_000 + 101 * number).to_string();
        let shortcode = format!("C{:010x}", scatter(self.seed ^ number) & 0xff_ffff_ffff);
        self.media.push(Media {
            id: id.clone(),
            shortcode,
            owner: owner.to_owned(),
            caption: caption.to_owned(),
            created_at: at,
            comments_enabled: true,
            live: false,
            deleted: false,
        });
        id
    }

    pub(crate) fn media(&self, id: &str) -> Option<&Media> {
        self.media.iter().find(|media| media.id == id && !media.deleted)
    }

    pub(crate) fn comment(&self, id: &str) -> Option<&Comment> {
        self.comments.iter().find(|comment| comment.id == id)
    }

    pub(crate) fn comment_mut(&mut self, id: &str) -> Option<&mut Comment> {
        self.comments.iter_mut().find(|comment| comment.id == id)
    }

    /// The medium and the top-level comment that a text about this target lands under.
    fn place(&self, target: &str) -> Option<(String, Option<String>)> {
        match self.comment(target) {
            Some(above) => Some((above.media.clone(), Some(above.parent.clone().unwrap_or_else(|| above.id.clone())))),
            None => self.media(target).map(|media| (media.id.clone(), None)),
        }
    }

    /// Adds a comment without asking whether one is taken. None: the target does not exist.
    pub(crate) fn add_comment(&mut self, author: &str, target: &str, text: &str, at: OffsetDateTime) -> Option<String> {
        let (media, parent) = self.place(target)?;
        self.ensure_account(author);
        let number = self.comments.len() as u64;
        // Steps of different size: neighbours are not neighbours by their ids.
        let id = (17_800_000_000_000_000 + 97 * number + scatter(self.seed ^ number) % 97).to_string();
        self.comments.push(Comment {
            legacy_id: (18_000_000_000_000_000 + 89 * number).to_string(),
            id: id.clone(),
            media,
            parent,
            author: author.to_owned(),
            text: text.to_owned(),
            created_at: at,
            hidden: false,
            deleted: false,
            hidden_until: None,
        });
        Some(id)
    }

    /// Adds a comment the way the platform does it for a user: with all its refusals.
    pub(crate) fn try_comment(
        &mut self,
        author: &str,
        target: &str,
        text: &str,
        at: OffsetDateTime,
    ) -> Result<String, Refusal> {
        if text.trim().is_empty() {
            return Err(Refusal::NoText);
        }
        if text.chars().count() > MAX_COMMENT_CHARS {
            return Err(Refusal::TooLong);
        }
        let above = self.comment(target);
        if above.is_some_and(|comment| comment.deleted) {
            return Err(Refusal::Gone);
        }
        if above.is_some_and(|comment| comment.hidden) {
            return Err(Refusal::Hidden);
        }
        let (media, _) = self.place(target).ok_or(Refusal::Gone)?;
        let media = self.media(&media).ok_or(Refusal::Gone)?;
        if media.live || !media.comments_enabled {
            return Err(Refusal::Closed);
        }
        self.add_comment(author, target, text, at).ok_or(Refusal::Gone)
    }

    /// Makes late writes whose time has come happen. Returns their authors and ids.
    pub(crate) fn settle(&mut self, now: OffsetDateTime) -> Vec<(String, String)> {
        let (due, waiting) = std::mem::take(&mut self.landings).into_iter().partition(|landing| landing.at <= now);
        self.landings = waiting;
        let due: Vec<Landing> = due;
        due.into_iter()
            .filter_map(|landing| {
                let id = self.try_comment(&landing.author, &landing.target, &landing.text, landing.at).ok()?;
                Some((landing.author, id))
            })
            .collect()
    }

    pub(crate) fn anything_due(&self, now: OffsetDateTime) -> bool {
        self.landings.iter().any(|landing| landing.at <= now)
    }

    fn secret(&mut self, mark: &str) -> String {
        self.issued += 1;
        let high = scatter(self.seed ^ self.issued.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x16);
        format!("{mark}{high:016x}{:016x}", scatter(high ^ self.issued))
    }

    pub(crate) fn grant_code(
        &mut self,
        account: &str,
        redirect_uri: &str,
        scopes: &[String],
        now: OffsetDateTime,
    ) -> String {
        let code = self.secret("AQ");
        let expires_at = now + CODE_LIFE;
        let [account, redirect_uri] = [account, redirect_uri].map(str::to_owned);
        let granted = Code { account, scopes: scopes.to_vec(), redirect_uri, expires_at, facebook: None };
        self.codes.insert(code.clone(), granted);
        code
    }

    pub(crate) fn add_page(&mut self, name: &str, account: Option<&str>) -> String {
        let id = (104_000_000_000_000 + 31 * self.pages.len() as u64).to_string();
        if let Some(account) = account {
            self.ensure_account(account);
        }
        self.pages.push(Page { id: id.clone(), name: name.to_owned(), account: account.map(str::to_owned) });
        id
    }

    pub(crate) fn page(&self, id: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.id == id)
    }

    /// A code of Facebook's consent page.
    pub(crate) fn facebook_code(
        &mut self,
        shared: SharedPages,
        redirect_uri: &str,
        scopes: &[String],
        now: OffsetDateTime,
    ) -> String {
        let code = self.grant_code("", redirect_uri, scopes, now);
        if let Some(kept) = self.codes.get_mut(&code) {
            kept.facebook = Some(shared);
        }
        code
    }

    /// A token of Facebook Login: the person's (`account` empty) or a Page's, which has no end.
    pub(crate) fn issue_facebook(
        &mut self,
        account: &str,
        shared: SharedPages,
        scopes: &[String],
        life: Option<Duration>,
        now: OffsetDateTime,
    ) -> String {
        let token = self.secret("EAAG");
        let expires_at = life.map_or(now + time::Duration::days(36_500), |life| now + life);
        let long_lived = life != Some(SHORT_LIFE);
        let (account, scopes) = (account.to_owned(), scopes.to_vec());
        let granted =
            Token { account, scopes, issued_at: now, expires_at, long_lived, dead: None, facebook: Some(shared) };
        self.tokens.insert(token.clone(), granted);
        token
    }

    /// Takes the code away, so a second use finds nothing.
    pub(crate) fn redeem(&mut self, code: &str, now: OffsetDateTime) -> Option<Code> {
        self.codes.remove(code).filter(|code| code.expires_at > now)
    }

    pub(crate) fn issue(&mut self, account: &str, scopes: &[String], life: Duration, now: OffsetDateTime) -> String {
        let token = self.secret("IGAA");
        let long_lived = life > SHORT_LIFE;
        let (account, scopes) = (account.to_owned(), scopes.to_vec());
        let expires_at = now + life;
        let granted = Token { account, scopes, issued_at: now, expires_at, long_lived, dead: None, facebook: None };
        self.tokens.insert(token.clone(), granted);
        token
    }

    /// A token that works, or the subcode that says why it does not.
    pub(crate) fn token(&self, token: &str, now: OffsetDateTime) -> Result<&Token, Option<u32>> {
        let known = self.tokens.get(token).ok_or(None)?;
        match known.dead {
            Some(subcode) => Err(Some(subcode)),
            None if known.expires_at <= now => Err(Some(463)),
            None => Ok(known),
        }
    }

    /// The token works no more.
    pub(crate) fn kill(&mut self, token: &str, subcode: u32) {
        if let Some(known) = self.tokens.get_mut(token) {
            known.dead = Some(subcode);
        }
    }

    pub(crate) fn kill_all(&mut self, subcode: u32) {
        self.tokens.values_mut().for_each(|token| token.dead = Some(subcode));
    }
}

impl Calls {
    /// Counts a call of the account. Returns the percent that is used, and the minutes until access comes back where it is all.
    pub(crate) fn spend(&mut self, account: &str, now: OffsetDateTime) -> (u32, i64) {
        let seconds = now.unix_timestamp();
        let day = seconds.div_euclid(DAY_SECS);
        let (since, used) = self.by_account.entry(account.to_owned()).or_insert((day, 0));
        if *since != day {
            (*since, *used) = (day, 0);
        }
        *used += 1;
        let percent = self.usage.unwrap_or(*used * 100 / CALLS_A_DAY);
        let minutes = if percent > 100 { (DAY_SECS - seconds.rem_euclid(DAY_SECS)) / 60 + 1 } else { 0 };
        (percent, minutes)
    }
}
