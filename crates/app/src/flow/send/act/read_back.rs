//! A change whose outcome nobody knows: the reply is read as it stands. Seen done, it is done at once. Not seen, it counts as not
//! done once the call can no longer land: three reads, the last after write timeout and settle window.

use super::super::{ABSENT_READS, CALL_OVER, identity};
use super::db::{self, ActionRow};
use super::job::{Acting, again};
use crate::accounts::integrations;
use crate::accounts::tokens;
use crate::coord::budget::Urgency;
use crate::model::ActionKind;
use crate::queue::JobError;
use rejoinder_platforms::{FetchError, Standing, ThingState};
use std::time::Duration;

const WORKER_LIVES: time::Duration = time::Duration::seconds(5);
const UNREAD: time::Duration = time::Duration::seconds(30);
/// Longer than this nobody waits for a platform that cannot be read.
const GIVES_UP: time::Duration = time::Duration::hours(24);

pub(super) async fn run(acting: &Acting<'_>, action: &ActionRow) -> Result<(), JobError> {
    let app = &acting.state.app;
    let moment = app.moment();
    if writer_lives(acting, action).await? {
        return again(moment.now + WORKER_LIVES, "its worker still holds the change");
    }
    let armed_at = action.armed_at.unwrap_or(action.created_at);
    if moment.now >= armed_at + GIVES_UP {
        return acting
            .over(action, "nobody knows whether it was made: the platform could not be read for a day", None)
            .await;
    }
    let integration = integrations::load(&mut *app.db.acquire().await?, action.team_id, action.integration_id).await?;
    let Some(integration) = integration.filter(|integration| integration.access_token.is_some()) else {
        let reason = "nobody knows whether it was made: the account is not connected any more. Look on the platform";
        return acting.over(action, reason, None).await;
    };
    let reader = match app.readers.get(&integration.platform) {
        Ok(reader) => reader,
        Err(error) => return acting.over(action, &error.to_string(), None).await,
    };
    let ids = [action.platform_reply_id.clone()];
    let mut dead = None;
    let read = loop {
        let session = match tokens::session_for(app, &moment, &integration, dead.as_ref(), Urgency::SEND).await {
            Ok(session) => session,
            Err(error) => return again(moment.now + UNREAD, &format!("no token to read back with: {error}")),
        };
        match reader.states(&session, &ids).await {
            Err(FetchError::AuthExpired) if dead.is_none() => dead = Some(session.access_token),
            read => break read,
        }
    };
    match read {
        Ok(states) => {
            let settles_at = armed_at + CALL_OVER + reader.capabilities().settle_window;
            judge(acting, action, states.things.first(), settles_at, reader.capabilities().settle_window).await
        }
        Err(error) => again(moment.now + UNREAD, &format!("the platform could not be read back: {error}")),
    }
}

async fn judge(
    acting: &Acting<'_>,
    action: &ActionRow,
    seen: Option<&ThingState>,
    settles_at: time::OffsetDateTime,
    settle_window: Duration,
) -> Result<(), JobError> {
    let gone = seen.is_none_or(|thing| thing.standing == Standing::Deleted);
    let made = match action.kind() {
        ActionKind::Delete => gone,
        ActionKind::Edit if gone => {
            return acting.over(action, "the reply does not stand on the platform any more", None).await;
        }
        ActionKind::Edit => seen.and_then(|thing| thing.text.as_deref()).is_some_and(|text| {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            action.text.as_deref().is_some_and(|wanted| words(wanted) == words(text))
        }),
    };
    if made {
        return acting.done(action, None).await;
    }
    let moment = acting.state.app.moment();
    let reads = db::count_read(&mut *acting.state.app.db.acquire().await?, &moment, action.id).await?;
    if reads >= ABSENT_READS && moment.now >= settles_at {
        let reason =
            format!("read back {reads} times, and the reply stands there as it was; ask again if it should change");
        return acting.over(action, &reason, None).await;
    }
    let pause = time::Duration::try_from(settle_window).unwrap_or(UNREAD) / ABSENT_READS;
    again(moment.now + pause.max(time::Duration::SECOND), "not seen yet; read back again")
}

async fn writer_lives(acting: &Acting<'_>, action: &ActionRow) -> Result<bool, JobError> {
    if action.call_ended_at.is_some() {
        return Ok(false);
    }
    if acting.sender.in_flight.contains(action.id) {
        return Ok(true);
    }
    let Some(worker_id) = action.worker_id else { return Ok(false) };
    if acting.sender.identity.confirm().await? == worker_id {
        return Ok(false);
    }
    let mut conn = acting.state.app.db.acquire().await?;
    Ok(!identity::is_gone(&mut conn, worker_id).await?)
}
