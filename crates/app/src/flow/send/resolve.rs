//! A person settles a reply whose outcome nobody could find out: they looked on the platform.
//!
//! Only when the write can no longer be under way or land, so that "not there" stays true. "It stands there" is not taken on
//! trust: the address is read on the platform, before the transaction, and must lead to a reply of the account to the target.

use super::attempts::{self, Attempt, Settled};
use super::{CALL_OVER, identity, replies, reserve};
use crate::accounts::integrations::{self, Integration};
use crate::accounts::tokens::{self, TokenError};
use crate::app::App;
use crate::clock::Moment;
use crate::coord::budget::Urgency;
use crate::error::Problem;
use crate::flow::approve::Decision;
use crate::flow::ingest::inbox;
use crate::flow::notices;
use crate::flow::suggestion::{self, Change, ChangeError, Refusal, Suggestion};
use crate::flow::usage;
use crate::model::{ItemState, NoticeKind, Outcome, Stage};
use rejoinder_platforms::{FetchError, FoundReply, Reader, ReplyAt};
use sqlx::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Where the platform is not set up here any more: no platform needs longer.
const LONGEST_SETTLE_WINDOW: Duration = Duration::from_secs(300);
const LONGEST_ADDRESS: usize = 1_000;

/// What the person says that they saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It stands there, at this address.
    Found(Url),
    /// It does not stand there: the suggestion goes back to pending and may be approved again.
    Absent,
}

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The address is not that of our reply; the reason follows "The address".
    #[error("The address {0}.")]
    Address(String),
    /// The platform could not be asked; nothing was changed and it may be tried again.
    #[error("{0}")]
    Unreadable(String),
}

impl From<sqlx::Error> for ResolveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Change(error.into())
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Change(error) => error.into(),
            ResolveError::Address(reason) => Self::field("found", reason),
            ResolveError::Unreadable(reason) => Self::unavailable(reason),
        }
    }
}

impl Seen {
    /// From an address that a person copied.
    pub fn found(address: &str) -> Result<Self, ResolveError> {
        let url = Url::parse(address.trim()).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        match url.filter(|url| url.as_str().len() <= LONGEST_ADDRESS) {
            Some(url) => Ok(Self::Found(url)),
            None => Err(ResolveError::Address("is no web address: copy that of the reply".to_owned())),
        }
    }
}

/// The suggestion as it stands afterwards. Changes nothing where it is refused, and holds no transaction while it reads the platform.
pub async fn resolve(app: &App, decision: Decision, seen: Seen) -> Result<Suggestion, ResolveError> {
    let mut conn = app.db.acquire().await?;
    let suggestion = suggestion::load(&mut conn, decision.team_id, decision.suggestion_id).await?;
    let suggestion = suggestion.ok_or(ChangeError::NotFound)?;
    let integration = integrations::load(&mut conn, decision.team_id, suggestion.integration_id).await?;
    let reader = integration.as_ref().and_then(|integration| app.readers.get(&integration.platform).ok());
    let window = reader.map_or(LONGEST_SETTLE_WINDOW, |reader| reader.capabilities().settle_window);
    in_doubt(&mut conn, &app.moment(), &suggestion, window).await?;
    drop(conn);
    let reply = match &seen {
        Seen::Found(address) => Some(reply_at(app, &suggestion, integration, reader, address).await?),
        Seen::Absent => None,
    };
    let moment = app.moment();
    let mut tx = app.db.begin().await?;
    let suggestion = suggestion::lock(&mut tx, decision.team_id, decision.suggestion_id).await?;
    let suggestion = suggestion.ok_or(ChangeError::NotFound)?;
    let attempt = in_doubt(&mut tx, &moment, &suggestion, window).await?;
    notices::resolve(&mut tx, &moment, decision.team_id, NoticeKind::SendUnknown, suggestion.id).await?;
    let resolved = match reply {
        Some(reply) => stands_there(&mut tx, &moment, decision, suggestion, &attempt, reply).await?,
        None => is_absent(&mut tx, &moment, decision, suggestion, &attempt).await?,
    };
    tx.commit().await?;
    Ok(resolved)
}

/// The attempt in doubt, once nothing of it can land any more.
async fn in_doubt(
    conn: &mut PgConnection,
    moment: &Moment,
    suggestion: &Suggestion,
    settle_window: Duration,
) -> Result<Attempt, ChangeError> {
    let open = attempts::open(conn, suggestion.id).await?;
    let Some(attempt) = open.filter(|_| suggestion.state.stage == Stage::Uncertain) else {
        return refuse("not-uncertain", format!("Its outcome is not in doubt. {}", suggestion.last_change()));
    };
    let settles_at = attempt.armed_at + CALL_OVER + settle_window;
    let call_ended = attempt.reason.is_some() || identity::is_gone(conn, attempt.worker_id).await?;
    if !call_ended || moment.now < settles_at {
        return refuse(
            "still-settling",
            "The platform may still show it. Decide when a few minutes have passed.".to_owned(),
        );
    }
    Ok(attempt)
}

/// Reads what stands at the address.
async fn reply_at(
    app: &App,
    suggestion: &Suggestion,
    integration: Option<Integration>,
    reader: Option<&Arc<dyn Reader>>,
    address: &Url,
) -> Result<FoundReply, ResolveError> {
    let (Some(integration), Some(reader)) =
        (integration.filter(|integration| integration.access_token.is_some()), reader)
    else {
        return Err(not_connected("it is not connected any more"));
    };
    let name = reader.capabilities().name;
    let unread =
        |why: &str| ResolveError::Unreadable(format!("{name} cannot be read right now: {why}. Nothing was changed."));
    let no_token = |error: TokenError| match error {
        TokenError::Reconnect(reason) => not_connected(&reason),
        TokenError::Wait { reason, .. } | TokenError::App(reason) => unread(&reason),
    };
    let moment = app.moment();
    let target = &suggestion.target.platform_id;
    let session = tokens::session_for(app, &moment, &integration, None, Urgency::SEND).await.map_err(no_token)?;
    let mut read = reader.reply_at(&session, address, target).await;
    if read == Err(FetchError::AuthExpired) {
        let dead = Some(&session.access_token);
        let session = tokens::session_for(app, &moment, &integration, dead, Urgency::SEND).await.map_err(no_token)?;
        read = reader.reply_at(&session, address, target).await;
    }
    match read {
        Ok(ReplyAt::Ours(reply)) => Ok(reply),
        Ok(ReplyAt::NotOurs(reason) | ReplyAt::NoReply(reason)) => Err(ResolveError::Address(reason)),
        Err(error) => Err(unread(&error.to_string())),
    }
}

async fn stands_there(
    conn: &mut PgConnection,
    moment: &Moment,
    decision: Decision,
    suggestion: Suggestion,
    attempt: &Attempt,
    reply: FoundReply,
) -> Result<Suggestion, ResolveError> {
    let settled = Settled {
        platform_reply_id: Some(reply.id.clone()),
        ..Settled::of(Outcome::Posted, "a person found it on the platform")
    };
    attempts::settle_all(conn, moment, &[(attempt.id, &settled)]).await?;
    let change = Change::Posted { reply_id: reply.id, url: reply.permalink.map(|link| link.to_string()) };
    let (team_id, item_id) = (suggestion.team_id, suggestion.item_id);
    let charged = usage::Posted::of(&suggestion, &change);
    let resolved = suggestion::change_held(conn, moment, suggestion, Some(decision.by), change).await?;
    replies::stand(conn, moment, &[resolved.id]).await?;
    usage::posted(conn, moment, charged.into_iter().collect()).await?;
    inbox::set_state(conn, moment, team_id, item_id, Some(decision.by), ItemState::Done).await?;
    Ok(resolved)
}

async fn is_absent(
    conn: &mut PgConnection,
    moment: &Moment,
    decision: Decision,
    suggestion: Suggestion,
    attempt: &Attempt,
) -> Result<Suggestion, ChangeError> {
    let settled = Settled::of(Outcome::NotSent, "a person looked and it is not there");
    let freed = attempts::settle_all(conn, moment, &[(attempt.id, &settled)]).await?;
    attempts::release_slot(conn, suggestion.id).await?;
    let places = freed.iter().map(|attempt| (suggestion.team_id, attempt.usage_day, attempt.instance_day));
    reserve::give_back(conn, &reserve::places(places)).await?;
    let change = Change::Return { reasons: vec!["a person looked on the platform: the reply is not there".to_owned()] };
    suggestion::change_held(conn, moment, suggestion, Some(decision.by), change).await
}

fn not_connected(why: &str) -> ResolveError {
    let detail = format!(
        "Nobody can read that address with this account: {why}. Connect the account again, or say that the reply is not there."
    );
    ChangeError::Refused(Refusal { code: "not-connected", detail }).into()
}

fn refuse<T>(code: &'static str, detail: String) -> Result<T, ChangeError> {
    Err(ChangeError::Refused(Refusal { code, detail }))
}
