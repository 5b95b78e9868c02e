//! A suggestion's life: every change of its state goes through `change`, which locks the row, asks `machine::step` whether the
//! change is possible, writes the row, its activity entry and the live event in the caller's transaction. Whoever loses a race
//! is told who did what, when.

pub mod change;
mod db;
pub mod machine;

pub use change::Change;
pub use db::{
    Card, Filter, Listed, NewSuggestion, Suggestion, Target, drafting_since, insert, latest_of_item, list, load, lock,
    open_for_target, replied_to,
};
pub use machine::{Draft, Refusal, State};

use crate::clock::Moment;
use crate::error::{Problem, violated_constraint};
use crate::flow::activity::{self, Actor, Subject};
use sqlx::PgConnection;
use uuid::Uuid;

/// Why a change did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no such suggestion")]
    NotFound,
    /// The state does not allow it; nothing was changed.
    #[error("{}", .0.detail)]
    Refused(Refusal),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Problem::not_found("suggestion"),
            ChangeError::Refused(refusal) => Problem::conflict(refusal.code, refusal.detail),
            ChangeError::Database(error) => error.into(),
        }
    }
}

/// Applies one change on the caller's transaction and returns the suggestion as it stands afterwards.
pub async fn change(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    suggestion_id: Uuid,
    actor: Actor,
    change: Change,
) -> Result<Suggestion, ChangeError> {
    let current = lock(conn, team_id, suggestion_id).await?.ok_or(ChangeError::NotFound)?;
    let next = machine::step(&current.state, &change, actor, moment.now).map_err(|mut refusal| {
        refusal.detail = format!("{} {}", refusal.detail, current.last_change());
        ChangeError::Refused(refusal)
    })?;
    let Some(next) = next else {
        return Ok(current);
    };
    db::store(conn, moment, &current, &next, actor, change.verb()).await.map_err(|error| {
        // Retried or regenerated while a newer suggestion for the same text is open.
        match violated_constraint(&error) {
            Some("suggestions_open_target_key") => ChangeError::Refused(Refusal {
                code: "other-open",
                detail: "Another suggestion for the same text is open. Decide on that one.".to_owned(),
            }),
            _ => ChangeError::Database(error),
        }
    })?;
    let payload = change.payload(&current.state, &next);
    activity::record(conn, moment, team_id, actor, change.activity(), Subject::Suggestion(suggestion_id), payload)
        .await?;
    Ok(Suggestion { state: next, ..current })
}
