//! A suggestion's life: every change of its state goes through `change`, which locks the row, asks `machine::step` whether the
//! change is possible, writes the row, its activity entry and the live event in the caller's transaction. Whoever loses a race
//! is told who did what, when.

pub mod change;
mod db;
mod find;
pub mod machine;

pub use change::Change;
pub use db::{NewSuggestion, Suggestion, Target, forget_drafts, insert, load, lock, lock_all};
pub use find::{
    Card, Filter, Listed, drafting_since, latest_of_item, list, open_for_target, open_for_thing, posted_everywhere,
    posted_texts, replied_to, replies_of_others,
};
pub use machine::{Draft, Refusal, State};

use crate::clock::Moment;
use crate::error::{Problem, violated_constraint};
use crate::flow::activity::{self, Actor, Entry, Subject};
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
    change_held(conn, moment, current, actor, change).await
}

/// The same for a suggestion whose row the caller holds already (`lock`).
pub async fn change_held(
    conn: &mut PgConnection,
    moment: &Moment,
    current: Suggestion,
    actor: Actor,
    change: Change,
) -> Result<Suggestion, ChangeError> {
    let Some(next) = next_state(&current, &change, actor, moment).map_err(ChangeError::Refused)? else {
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
    let subject = Subject::Suggestion(current.id);
    activity::record(conn, moment, current.team_id, actor, change.activity(&next), subject, payload).await?;
    Ok(Suggestion { state: next, ..current })
}

fn next_state(current: &Suggestion, change: &Change, actor: Actor, moment: &Moment) -> Result<Option<State>, Refusal> {
    machine::step(&current.state, change, actor, moment.now).map_err(|mut refusal| {
        refusal.detail = format!("{} {}", refusal.detail, current.last_change());
        refusal
    })
}

/// A change of a suggestion whose row the caller holds.
#[derive(Debug)]
pub struct Step {
    pub current: Suggestion,
    pub change: Change,
    pub actor: Actor,
    /// The request that led to it.
    pub request_id: Option<String>,
}

/// Applies changes that leave the draft alone to many suggestions, all held by the caller (`lock_all`), in two statements. Each answer is
/// the suggestion as it stands afterwards or why the change was refused, in the order of the steps.
pub async fn change_all(
    conn: &mut PgConnection,
    moment: &Moment,
    steps: Vec<Step>,
) -> Result<Vec<Result<Suggestion, Refusal>>, sqlx::Error> {
    change_all_and_record(conn, moment, steps, Vec::new()).await
}

/// The same, and writes what else is to be logged of it behind the changes.
pub async fn change_all_and_record(
    conn: &mut PgConnection,
    moment: &Moment,
    steps: Vec<Step>,
    also: Vec<Entry>,
) -> Result<Vec<Result<Suggestion, Refusal>>, sqlx::Error> {
    let nexts: Vec<Result<Option<State>, Refusal>> = steps
        .iter()
        .map(|step| {
            assert!(step.change.keeps_draft(), "a change of the draft goes through `change`");
            next_state(&step.current, &step.change, step.actor, moment)
        })
        .collect();
    let (mut changed, mut entries) = (Vec::new(), Vec::new());
    for (step, next) in steps.iter().zip(&nexts) {
        let Ok(Some(next)) = next else { continue };
        changed.push((&step.current, next, step.actor, step.change.verb()));
        entries.push(Entry {
            team_id: step.current.team_id,
            actor: step.actor,
            kind: step.change.activity(next),
            subject: Subject::Suggestion(step.current.id),
            payload: step.change.payload(&step.current.state, next),
            request_id: step.request_id.clone(),
        });
    }
    if !changed.is_empty() {
        db::store_all(conn, moment, &changed).await?;
    }
    entries.extend(also);
    activity::record_all(conn, moment, entries).await?;
    let pairs = steps.into_iter().zip(nexts);
    Ok(pairs
        .map(|(step, next)| {
            next.map(|next| match next {
                Some(state) => Suggestion { state, ..step.current },
                None => step.current,
            })
        })
        .collect())
}
