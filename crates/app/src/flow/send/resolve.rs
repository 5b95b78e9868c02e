//! A person settles a reply whose outcome nobody could find out: they looked on the platform.
//!
//! Only when the write can no longer be under way or land, so that "not there" stays true.

use super::attempts::{self, Settled};
use super::{CALL_OVER, identity, reserve};
use crate::clock::Moment;
use crate::flow::approve::Decision;
use crate::flow::ingest::inbox;
use crate::flow::suggestion::{self, Change, ChangeError, Refusal, Suggestion};
use crate::model::{ItemState, Outcome, Stage};
use sqlx::PgConnection;
use std::time::Duration;
use url::Url;

/// What the person saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It stands there, at this address.
    Found { permalink: String },
    /// It does not stand there: the suggestion goes back to pending and may be approved again.
    Absent,
}

impl Seen {
    /// From an address that a person copied.
    pub fn found(address: &str) -> Result<Self, &'static str> {
        let url = Url::parse(address.trim()).map_err(|_| "is no web address; copy the address of the reply")?;
        if !matches!(url.scheme(), "https" | "http") || url.as_str().len() > 1_000 {
            return Err("is no web address; copy the address of the reply");
        }
        Ok(Self::Found { permalink: url.to_string() })
    }
}

/// `settle_window` is the platform's.
pub async fn resolve(
    conn: &mut PgConnection,
    moment: &Moment,
    decision: Decision,
    settle_window: Duration,
    seen: Seen,
) -> Result<Suggestion, ChangeError> {
    let Decision { team_id, suggestion_id, by } = decision;
    let suggestion = suggestion::lock(conn, team_id, suggestion_id).await?.ok_or(ChangeError::NotFound)?;
    let open = attempts::open(conn, suggestion_id).await?;
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
    let (settled, change) = match &seen {
        Seen::Found { permalink } => (
            Settled {
                platform_reply_id: Some(permalink.clone()),
                ..Settled::of(Outcome::Posted, "a person found it on the platform")
            },
            Change::Posted { reply_id: permalink.clone(), url: Some(permalink.clone()) },
        ),
        Seen::Absent => (
            Settled::of(Outcome::NotSent, "a person looked and it is not there"),
            Change::Return { reasons: vec!["a person looked on the platform: the reply is not there".to_owned()] },
        ),
    };
    let freed = attempts::settle_all(conn, moment, &[(attempt.id, &settled)]).await?;
    if seen == Seen::Absent {
        attempts::release_slot(conn, suggestion_id).await?;
        let places = freed.iter().map(|attempt| (team_id, attempt.usage_day, attempt.instance_day));
        reserve::give_back(conn, &reserve::places(places)).await?;
    }
    let resolved = suggestion::change(conn, moment, team_id, suggestion_id, Some(by), change).await?;
    if seen != Seen::Absent {
        inbox::set_state(conn, moment, team_id, suggestion.item_id, Some(by), ItemState::Done).await?;
    }
    Ok(resolved)
}

fn refuse<T>(code: &'static str, detail: String) -> Result<T, ChangeError> {
    Err(ChangeError::Refused(Refusal { code, detail }))
}
