//! Every change of an account's state, with its line in the log and the notice to its team, in the caller's transaction. Each
//! takes the row for itself first, so that two changes see each other.
//!
//! A pause by a person outlives everything but a resume and a disconnect: where the access ends meanwhile and the account is
//! connected again, it comes back paused. A pause that its failures or the app's trouble caused ends with a new consent too.

use super::{Integration, connected_of, hold_to_change, load};
use crate::clock::Moment;
use crate::flow::activity::{self, Actor, Kind, Subject};
use crate::flow::notices::{self, Notice};
use crate::model::{IntegrationState, NoticeKind, PauseCause};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

/// What came of a person's wish to pause or to resume.
#[derive(Debug, Clone)]
pub enum Switched {
    /// It stands as wanted, by this call or by an earlier one.
    Done(Integration),
    /// Neither connected nor paused: there is nothing to pause or to resume.
    NotLive(Integration),
}

/// How an account is to stand from now on.
struct Next<'a> {
    state: IntegrationState,
    reason: Option<&'a str>,
    cause: Option<PauseCause>,
    paused_by: Option<Uuid>,
}

/// `integration` as it is held.
async fn set_state(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    actor: Actor,
    kind: Kind,
    next: Next<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update integrations
         set state = $3, state_reason = $4, pause_cause = $5, paused_by = $6, updated_at = $7,
             state_since = case when state = $3 then state_since else $7 end
         where id = $1 and team_id = $2",
        integration.id,
        integration.team_id,
        next.state.as_str(),
        next.reason,
        next.cause.map(PauseCause::as_str),
        next.paused_by,
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    let payload = json!({
        "before": { "state": integration.state }, "after": { "state": next.state }, "reason": next.reason,
        "cause": next.cause, "account": integration.display_name,
    });
    let subject = Subject::Integration(integration.id);
    activity::record(conn, moment, integration.team_id, actor, kind, subject, payload).await
}

/// Nothing of a connected account goes out any more until somebody resumes it. False when it was not connected.
pub async fn pause(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    actor: Actor,
    cause: PauseCause,
    reason: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let current = hold_to_change(conn, integration.team_id, integration.id).await?;
    let Some(current) = current.filter(Integration::is_connected) else { return Ok(false) };
    set_paused(conn, moment, &current, actor, cause, reason).await?;
    Ok(true)
}

/// Trouble of a whole app: all accounts connected through it are paused, whatever their teams. `app_id` None: the app of the
/// installation.
pub async fn pause_app(
    conn: &mut PgConnection,
    moment: &Moment,
    (platform, app_id): (&str, Option<Uuid>),
    reason: &str,
) -> Result<(), sqlx::Error> {
    for integration in connected_of(conn, platform, app_id).await? {
        set_paused(conn, moment, &integration, None, PauseCause::App, Some(reason)).await?;
    }
    Ok(())
}

/// A person stops an account: a member of the team, or (None) the operator of the installation. One that the machine stopped is
/// the person's from then on. None: there is no such account in the team.
pub async fn pause_by_person(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    by: Actor,
    reason: Option<&str>,
) -> Result<Option<Switched>, sqlx::Error> {
    let Some(current) = hold_to_change(conn, team_id, id).await? else { return Ok(None) };
    match (current.state(), current.pause_cause()) {
        (IntegrationState::Connected, _) => {}
        (IntegrationState::Paused, Some(PauseCause::Failures | PauseCause::App) | None) => {}
        (IntegrationState::Paused, Some(PauseCause::Person)) => return Ok(Some(Switched::Done(current))),
        (IntegrationState::NeedsReconnect | IntegrationState::Disconnected, _) => {
            return Ok(Some(Switched::NotLive(current)));
        }
    }
    let reason = reason.or(current.state_reason.as_deref());
    set_paused(conn, moment, &current, by, PauseCause::Person, reason).await?;
    Ok(load(conn, team_id, id).await?.map(Switched::Done))
}

async fn set_paused(
    conn: &mut PgConnection,
    moment: &Moment,
    current: &Integration,
    actor: Actor,
    cause: PauseCause,
    reason: Option<&str>,
) -> Result<(), sqlx::Error> {
    let next = Next { state: IntegrationState::Paused, reason, cause: Some(cause), paused_by: actor };
    set_state(conn, moment, current, actor, Kind::IntegrationPaused, next).await?;
    raise_paused(conn, moment, current, reason).await
}

pub(super) async fn raise_paused(
    conn: &mut PgConnection,
    moment: &Moment,
    current: &Integration,
    reason: Option<&str>,
) -> Result<(), sqlx::Error> {
    let why = reason.map(|reason| format!(" ({})", reason.trim_end_matches('.'))).unwrap_or_default();
    let text = format!(
        "{} is paused{why}. Nothing goes out from it until an admin resumes it on the page Accounts; comments still come in.",
        current.label()
    );
    tell(conn, moment, current, NoticeKind::IntegrationPaused, text).await
}

/// What was paused writes again, whatever had paused it. None: there is no such account in the team.
pub async fn resume(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    by: Actor,
) -> Result<Option<Switched>, sqlx::Error> {
    let Some(current) = hold_to_change(conn, team_id, id).await? else { return Ok(None) };
    match current.state() {
        IntegrationState::Connected => return Ok(Some(Switched::Done(current))),
        IntegrationState::Paused => {}
        IntegrationState::NeedsReconnect | IntegrationState::Disconnected => {
            return Ok(Some(Switched::NotLive(current)));
        }
    }
    let next = Next { state: IntegrationState::Connected, reason: None, cause: None, paused_by: None };
    set_state(conn, moment, &current, by, Kind::IntegrationResumed, next).await?;
    settled(conn, moment, team_id, id).await?;
    Ok(load(conn, team_id, id).await?.map(Switched::Done))
}

/// The platform does not let us in any more.
pub async fn needs_reconnect(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let Some(current) = hold_to_change(conn, integration.team_id, integration.id).await? else { return Ok(()) };
    if !current.is_read() {
        return Ok(());
    }
    let by_person = current.pause_cause() == Some(PauseCause::Person);
    let next = Next {
        state: IntegrationState::NeedsReconnect,
        reason: Some(reason),
        cause: by_person.then_some(PauseCause::Person),
        paused_by: current.paused_by.filter(|_| by_person),
    };
    set_state(conn, moment, &current, None, Kind::IntegrationReconnectNeeded, next).await?;
    settled(conn, moment, current.team_id, current.id).await?;
    raise_reconnect(conn, moment, &current, &format!("does not let us in any more ({reason})")).await
}

/// From this long before its end the team is told of an access that cannot be renewed.
const TOLD_BEFORE: time::Duration = time::Duration::days(7);

/// An access that lasts for weeks could not be renewed. The team is told when a week or less is left.
pub async fn access_ends(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let Some(current) = hold_to_change(conn, integration.team_id, integration.id).await? else { return Ok(()) };
    let Some(ends_at) = current.expires_at.filter(|at| current.is_read() && *at - moment.now <= TOLD_BEFORE) else {
        return Ok(());
    };
    let text = format!(
        "The access to {} ends on {} and could not be renewed ({reason}). It is tried again every hour; connect the account again on the \
         page Accounts to be safe.",
        current.label(),
        ends_at.date(),
    );
    tell(conn, moment, &current, NoticeKind::AccessEnding, text).await
}

/// The access was renewed.
pub async fn access_renewed(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
) -> Result<(), sqlx::Error> {
    notices::resolve(conn, moment, integration.team_id, NoticeKind::AccessEnding, integration.id).await.map(drop)
}

pub(super) async fn raise_reconnect(
    conn: &mut PgConnection,
    moment: &Moment,
    current: &Integration,
    what: &str,
) -> Result<(), sqlx::Error> {
    let text = format!(
        "{} {what}. Until an admin connects it again on the page Accounts, nothing comes in and its replies wait.",
        current.label()
    );
    tell(conn, moment, current, NoticeKind::ReconnectNeeded, text).await
}

pub(super) async fn tell(
    conn: &mut PgConnection,
    moment: &Moment,
    current: &Integration,
    kind: NoticeKind,
    text: String,
) -> Result<(), sqlx::Error> {
    let notice = Notice { kind, subject: Subject::Integration(current.id), text };
    notices::raise(conn, moment, current.team_id, notice).await
}

/// Wipes the tokens and keeps the row with its history. Revoking at the platform comes before, outside the transaction.
pub async fn disconnect(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    actor: Actor,
) -> Result<(), sqlx::Error> {
    disconnect_because(conn, moment, integration, actor, None).await.map(drop)
}

/// The same for an account that was connected to another team: this one is told.
pub(super) async fn release(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
) -> Result<(), sqlx::Error> {
    let reason = "This account was connected to another team later.";
    disconnect_because(conn, moment, integration, None, Some(reason)).await?;
    raise_reconnect(conn, moment, integration, "was connected to another team").await
}

/// False: it was disconnected already.
pub(super) async fn disconnect_because(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    actor: Actor,
    reason: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let Some(current) = hold_to_change(conn, integration.team_id, integration.id).await? else { return Ok(false) };
    if current.state() == IntegrationState::Disconnected {
        return Ok(false);
    }
    let next = Next { state: IntegrationState::Disconnected, reason, cause: None, paused_by: None };
    set_state(conn, moment, &current, actor, Kind::IntegrationDisconnected, next).await?;
    sqlx::query!(
        "update integrations set access_token = null, refresh_token = null, expires_at = null where id = $1 and team_id = $2",
        current.id,
        current.team_id,
    )
    .execute(&mut *conn)
    .await?;
    settled(conn, moment, current.team_id, current.id).await?;
    Ok(true)
}

/// What was said about the account's state does not hold any more.
pub(super) async fn settled(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
) -> Result<(), sqlx::Error> {
    for kind in [NoticeKind::IntegrationPaused, NoticeKind::ReconnectNeeded, NoticeKind::AccessEnding] {
        notices::resolve(conn, moment, team_id, kind, id).await?;
    }
    Ok(())
}
