//! What a failed write says of its account: one that fails again and again is paused before the platform bans it, trouble of the whole
//! app pauses all accounts that were connected through it, a platform that asks for a pause gets it. Each in a transaction of its own, after the
//! outcome stands.

use super::reserve;
use crate::accounts::integrations::{self, Integration, PauseCause};
use crate::app::App;
use rejoinder_platforms::Scope;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

/// Failures older than this say nothing any more.
const WINDOW: Duration = Duration::hours(1);

/// A refusal that reaches beyond its reply pauses the account or all accounts of the platform.
pub(super) async fn refused(
    app: &App,
    integration: &Integration,
    scope: Scope,
    reason: &str,
) -> Result<(), sqlx::Error> {
    match scope {
        Scope::Item => Ok(()),
        Scope::Account => count_failures(app, integration, reason).await,
        Scope::App => {
            let moment = app.moment();
            let mut tx = app.db.begin().await?;
            let why = format!("the platform refuses the whole app: {reason}");
            let app_of = (integration.platform.as_str(), integration.app_id);
            integrations::pause_app(&mut tx, &moment, app_of, &why).await?;
            tx.commit().await
        }
    }
}

/// The platform itself put the account out of action: nothing more goes out until a person looked after it there.
pub(super) async fn stop(app: &App, integration: &Integration, reason: &str) -> Result<(), sqlx::Error> {
    let moment = app.moment();
    let mut tx = app.db.begin().await?;
    integrations::pause(&mut tx, &moment, integration, None, PauseCause::Failures, Some(reason)).await?;
    tx.commit().await
}

/// The consent does not reach this far.
pub(super) async fn reconnect(app: &App, integration: &Integration, reason: &str) -> Result<(), sqlx::Error> {
    let moment = app.moment();
    let mut tx = app.db.begin().await?;
    integrations::needs_reconnect(&mut tx, &moment, integration, reason).await?;
    tx.commit().await
}

/// Pauses the account when its failures of the last hour are too many.
pub(super) async fn count_failures(app: &App, integration: &Integration, reason: &str) -> Result<(), sqlx::Error> {
    let moment = app.moment();
    let mut tx = app.db.begin().await?;
    // Held first, so that two workers count one after the other.
    let Some(current) = integrations::hold_to_change(&mut tx, integration.team_id, integration.id).await? else {
        return Ok(());
    };
    let since = (moment.now - WINDOW).max(current.state_since);
    let failures = failures_since(&mut tx, &current, since).await?;
    if current.is_connected() && failures >= i64::from(app.config.pause_after_failures) {
        let why = format!("{failures} failures within an hour, the last one: {reason}");
        integrations::pause(&mut tx, &moment, &current, None, PauseCause::Failures, Some(&why)).await?;
    }
    tx.commit().await
}

/// Refusals that reach the account, and attempts that only a person can settle.
async fn failures_since(
    conn: &mut PgConnection,
    integration: &Integration,
    since: OffsetDateTime,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "n!" from send_attempts where integration_id = $1 and team_id = $2 and scope = 'account' and armed_at >= $3"#,
        integration.id,
        integration.team_id,
        since,
    )
    .fetch_one(conn)
    .await
}

/// Nothing of the account, or of all accounts of the platform, goes out before.
pub(super) async fn slow_down(
    app: &App,
    integration: &Integration,
    scope: Scope,
    until: OffsetDateTime,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let account = match scope {
        Scope::Item => return Ok(()),
        Scope::Account => Some(integration.id),
        Scope::App => None,
    };
    let mut conn = app.db.acquire().await?;
    reserve::slow_down(&mut conn, &integration.platform, account, until, reason).await
}
