//! An attempt whose outcome nobody knows is settled by reading the platform back, never by sending again blindly.
//!
//! Nobody looks while its worker lives. What is found settles it at once. Absence counts only when the write can no longer land:
//! three reads, the last after write timeout and settle window have passed. Where the platform cannot be read back that far, or took
//! the reply without showing it, it stays uncertain and a person decides.

use super::attempts::{self, Attempt, Settled};
use super::job::Send;
use super::{ABSENT_READS, CALL_OVER, identity, trouble};
use crate::accounts::integrations::{self, Integration};
use crate::accounts::tokens;
use crate::coord::budget::Urgency;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::notices::{self, Notice};
use crate::flow::suggestion::{self, Change, Suggestion};
use crate::model::{NoticeKind, Outcome, Reach};
use crate::queue::JobError;
use rejoinder_platforms::{FetchError, Probe, ReplyProbe};
use serde_json::json;
use std::time::Duration;
use time::OffsetDateTime;

/// How far the platform's clock may stand from ours.
const CLOCK_SKEW: Duration = Duration::from_secs(90);
const WORKER_LIVES: time::Duration = time::Duration::seconds(5);
/// Could not be read back for so long after everything settled: the team is told, and from then on it is tried once an hour.
const UNREADABLE: time::Duration = time::Duration::minutes(10);

pub(super) async fn run(send: &Send<'_>, suggestion: &Suggestion, attempt: Attempt) -> Result<(), JobError> {
    let moment = send.moment();
    let app = &send.state.app;
    if writer_lives(send, &attempt).await? {
        return again(moment.now + WORKER_LIVES, "its worker still holds the attempt");
    }
    let mut conn = app.db.acquire().await?;
    let integration = integrations::load(&mut conn, suggestion.team_id, suggestion.integration_id).await?;
    // Words that stood there before this attempt are looked for from the earlier one on.
    let since = match attempt.words_there {
        true => attempts::first_without_answer(&mut conn, suggestion.id, attempt.id).await?,
        false => None,
    };
    drop(conn);
    let Some(integration) = integration.filter(|integration| integration.access_token.is_some()) else {
        return give_to_person(
            send,
            suggestion,
            &attempt,
            "the account is not connected any more, so the platform cannot be read back",
        )
        .await;
    };
    let reader = match app.readers.get(&integration.platform) {
        Ok(reader) => reader,
        Err(error) => return give_to_person(send, suggestion, &attempt, &error.to_string()).await,
    };
    let settles_at = attempt.armed_at + CALL_OVER + reader.capabilities().settle_window;
    let session = match tokens::session_for(app, &moment, &integration, None, Urgency::SEND).await {
        Ok(session) => session,
        Err(error) => {
            let reason = format!("no token to read back with: {error}");
            return later_or_person(send, suggestion, &attempt, settles_at, &reason).await;
        }
    };
    let probe = ReplyProbe {
        target_id: suggestion.target.platform_id.clone(),
        post_id: suggestion.target.post_platform_id.clone(),
        text: suggestion.state.text.clone().unwrap_or_default(),
        armed_at: since.unwrap_or(attempt.armed_at),
        skew: CLOCK_SKEW,
        taken: suggestion::replies_of_others(&mut *app.db.acquire().await?, suggestion).await?,
    };
    let mut read = reader.find_own_reply(&session, &probe).await;
    if read == Err(FetchError::AuthExpired) {
        let dead = Some(&session.access_token);
        read = match tokens::session_for(app, &moment, &integration, dead, Urgency::SEND).await {
            Ok(session) => reader.find_own_reply(&session, &probe).await,
            Err(error) => {
                let reason = format!("no token to read back with: {error}");
                return later_or_person(send, suggestion, &attempt, settles_at, &reason).await;
            }
        };
    }
    match read {
        Ok(Probe::Found(reply)) => {
            let reason = "no answer came, but the reply stands on the platform";
            let settled = Settled { platform_reply_id: Some(reply.id), ..Settled::of(Outcome::Posted, reason) };
            send.posted(suggestion, attempt.id, settled, reply.permalink.as_ref().map(ToString::to_string)).await
        }
        Ok(Probe::OtherOwnReply(_)) if moment.now >= settles_at => {
            let reason = "another reply of this account stands there: answered elsewhere";
            let settled = Settled::of(Outcome::NotSent, reason);
            send.finish(suggestion, attempt.id, settled, Change::Return { reasons: vec![reason.to_owned()] }).await?;
            Ok(())
        }
        Ok(Probe::AbsentOnce) if attempt.taken && moment.now >= settles_at => {
            let reason = "the platform took it and shows it nowhere, so it is not sent again";
            give_to_person(send, suggestion, &attempt, reason).await
        }
        Ok(Probe::OtherOwnReply(_) | Probe::AbsentOnce) => absent(send, suggestion, &attempt, settles_at).await,
        Ok(Probe::CannotTell(reason)) => give_to_person(send, suggestion, &attempt, &reason).await,
        Err(error) => {
            let reason = format!("the platform does not answer as it should: {error}");
            later_or_person(send, suggestion, &attempt, settles_at, &reason).await
        }
    }
}

/// A read that failed is tried again soon; one that goes on failing is a person's business.
async fn later_or_person(
    send: &Send<'_>,
    suggestion: &Suggestion,
    attempt: &Attempt,
    settles_at: OffsetDateTime,
    reason: &str,
) -> Result<(), JobError> {
    let now = send.moment().now;
    if now < settles_at + UNREADABLE {
        return again(now + time::Duration::seconds(30), &format!("could not be read back: {reason}"));
    }
    give_to_person(send, suggestion, attempt, reason).await
}

async fn writer_lives(send: &Send<'_>, attempt: &Attempt) -> Result<bool, JobError> {
    // Its worker said itself that the call is over and what came of it is unknown: any worker may read back.
    if attempt.call_ended_at.is_some() {
        return Ok(false);
    }
    if send.sender.in_flight.contains(attempt.id) {
        return Ok(true);
    }
    if send.sender.identity.confirm().await? == attempt.worker_id {
        // Our own, and not in flight any more: the job that wrote it has ended.
        return Ok(false);
    }
    let mut conn = send.state.app.db.acquire().await?;
    Ok(!identity::is_gone(&mut conn, attempt.worker_id).await?)
}

/// Not there now. Early absences only shorten nothing: the decision waits until the write cannot land any more.
async fn absent(
    send: &Send<'_>,
    suggestion: &Suggestion,
    attempt: &Attempt,
    settles_at: OffsetDateTime,
) -> Result<(), JobError> {
    let moment = send.moment();
    let mut tx = send.state.app.db.begin().await?;
    let reads = attempts::count_absent(&mut tx, &moment, attempt.id).await?;
    let payload = json!({ "attempt_id": attempt.id, "found": false, "reads": reads });
    let subject = Subject::Suggestion(suggestion.id);
    activity::record(&mut tx, &moment, suggestion.team_id, None, Kind::ReplyReadBack, subject, payload).await?;
    tx.commit().await?;
    if reads >= ABSENT_READS && moment.now >= settles_at && attempt.words_there {
        let said = attempt.reason.as_deref().unwrap_or_default();
        let reason = format!("{said}. No reply of ours was found there: change the text, then send it again.");
        let settled = Settled { reach: Some(Reach::Item), ..Settled::of(Outcome::Refused, reason.clone()) };
        send.finish(suggestion, attempt.id, settled, Change::Refused { reason }).await?;
        return Ok(());
    }
    if reads >= ABSENT_READS && moment.now >= settles_at {
        let reason = format!("read back {reads} times and not there: it was never posted, so it is sent again");
        return send.not_sent(suggestion, attempt.id, None, moment.now, reason).await;
    }
    again(next_read(moment.now, settles_at, reads), "not seen yet; read back again before anything is sent")
}

/// Spreads the reads that are left over the time that is left.
fn next_read(now: OffsetDateTime, settles_at: OffsetDateTime, reads: i32) -> OffsetDateTime {
    let left = (ABSENT_READS - reads).max(1);
    let pause = ((settles_at - now) / left).max(time::Duration::seconds(1));
    now + pause
}

fn again(at: OffsetDateTime, reason: &str) -> Result<(), JobError> {
    Err(JobError::RetryAt { at, reason: reason.to_owned() })
}

/// Stays uncertain with the reason, unless somebody settled the attempt meanwhile; the team is told, no job follows.
async fn give_to_person(
    send: &Send<'_>,
    suggestion: &Suggestion,
    attempt: &Attempt,
    reason: &str,
) -> Result<(), JobError> {
    let moment = send.moment();
    let mut tx = send.state.app.db.begin().await?;
    let Some(current) = suggestion::lock(&mut tx, suggestion.team_id, suggestion.id).await? else { return Ok(()) };
    if attempts::open(&mut tx, suggestion.id).await?.is_none_or(|open| open.id != attempt.id) {
        return Ok(());
    }
    attempts::reaches_account(&mut tx, attempt.id).await?;
    let change = Change::Uncertain {
        reason: format!(
            "Nobody knows whether it stands there, and it cannot be read back: {reason}. Look on the platform and decide."
        ),
        look_again_at: moment.now + time::Duration::hours(1),
    };
    suggestion::change_held(&mut tx, &moment, current, None, change)
        .await
        .map_err(|error| JobError::Retry(error.to_string()))?;
    let integration = integrations::load(&mut tx, suggestion.team_id, suggestion.integration_id).await?;
    let account = integration.as_ref().map_or_else(|| "an account".to_owned(), Integration::label);
    let text = format!(
        "Nobody knows whether a reply by {account} stands there, and it cannot be read back: {reason}. \
         Look on the platform, then say on the page Uncertain what you saw."
    );
    let notice = Notice { kind: NoticeKind::SendUnknown, subject: Subject::Suggestion(suggestion.id), text };
    notices::raise(&mut tx, &moment, suggestion.team_id, notice).await?;
    tx.commit().await?;
    if let Some(integration) = integration {
        trouble::count_failures(&send.state.app, &integration, reason).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::next_read;
    use time::Duration;
    use time::macros::datetime;

    #[test]
    fn the_reads_are_spread_and_the_last_comes_after_the_window() {
        let armed = datetime!(2026-11-22 10:00 UTC);
        let settles_at = armed + Duration::seconds(140);
        let mut now = armed + Duration::seconds(5);
        for reads in 1..3 {
            now = next_read(now, settles_at, reads);
        }
        assert!(now >= settles_at);
        assert!(next_read(settles_at, settles_at, 1) > settles_at);
    }
}
