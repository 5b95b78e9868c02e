//! Errors say what the caller should do, and for how wide a circle it holds.

use crate::types::Exchange;
use std::time::Duration;

/// How far a failure reaches: this item only, everything of the account, or every account of the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Item,
    Account,
    App,
}

/// What a person can do about a refused write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: here, this account gets no reply through.
    Nothing,
    /// Another text may pass.
    Edit,
    /// The same: these words stand there already. Where an earlier try ended without an answer, they may be its.
    EditUnlessOurs,
    /// The refusal holds for programs only: a person can answer this one on the platform's own page.
    ByHand,
    /// The account must write nothing more until somebody looked after it on the platform.
    StopAccount,
    /// The account must be connected again.
    Reconnect,
}

/// A consent, code or refresh token did not lead to a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The code or refresh token is dead. A person must connect again.
    #[error("the platform does not accept this grant any more: {0}")]
    GrantDead(String),
    /// Our client id, secret or redirect address is wrong. The operator must act.
    #[error("the platform refuses our app: {0}")]
    AppRefused(String),
    /// Passing trouble: try again, not before `after` where given.
    #[error("the platform did not answer usefully: {reason}")]
    Unavailable { reason: String, after: Option<Duration> },
}

/// A read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Wait until the time has passed, then read again.
    #[error("rate limited; again in {} s", retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    /// The call could cost more than what is left of the team's budget for the month: nothing was asked. The next one begins after this.
    #[error("the team's budget for what platforms charge is used up for this month")]
    OverBudget { retry_after: Duration },
    /// The token is dead: refresh it, then read once more.
    #[error("the access token is not accepted")]
    AuthExpired,
    /// The thing is gone or closed to us: do not ask again.
    #[error("refused ({code}): {reason}")]
    Refused { code: String, reason: String, scope: Scope },
    /// Passing trouble: back off and try again.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// The code of a refusal for want of a permission: a new consent ends it.
pub const LACKS_PERMISSION: &str = "insufficient_scope";

impl FetchError {
    /// The reason, where the consent lacks a permission that this read needs.
    pub fn lacks_permission(&self) -> Option<&str> {
        match self {
            Self::Refused { code, reason, .. } if code == LACKS_PERMISSION => Some(reason),
            _ => None,
        }
    }
}

/// A write did not end with a platform id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing was posted; wait, then send again.
    #[error("rate limited; again in {} s", retry_after.as_secs())]
    RateLimited { retry_after: Duration, scope: Scope, exchange: Exchange },
    /// Nothing was posted; refresh the token, then send again.
    #[error("the access token is not accepted")]
    AuthExpired { exchange: Exchange },
    /// The platform said no, in a way that repeating does not change.
    #[error("refused ({code}): {reason}")]
    Refused { code: String, reason: String, scope: Scope, remedy: Remedy, exchange: Exchange },
    /// The platform took it and shows it nowhere that we can read. Never sent again: it is looked for, and a person decides.
    #[error("taken and not shown: {reason}")]
    Unseen { reason: String, exchange: Exchange },
    /// The request never left: nothing is posted.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may stand there or not. Read back before anything else.
    #[error("unknown outcome: {reason}")]
    Uncertain { reason: String, exchange: Exchange },
}
