//! What the owner of an account ends on the platform itself, without a visit to us: the platform tells of a consent that was taken back,
//! or of somebody who wants deleted what is stored of them.
//!
//! Always: a consent that was given again afterwards stands, however late or often the older word comes.

use super::{Integration, load, state};
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::model::NoticeKind;
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// The accounts of a person as callbacks name them, whatever their team and state, if their consent is from before an instant.
pub async fn owned_by(
    conn: &mut PgConnection,
    platform: &str,
    app_user_id: &str,
    before: OffsetDateTime,
) -> Result<Vec<Integration>, sqlx::Error> {
    let owned = sqlx::query!(
        "select i.id, i.team_id from integrations i
         left join webhook_subscriptions s on s.integration_id = i.id
         where i.platform = $1 and (s.app_user_id = $2 or i.platform_account_id = $2)
           and coalesce(i.consented_at, i.created_at) < $3
         order by i.id",
        platform,
        app_user_id,
        before,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut accounts = Vec::new();
    for row in owned {
        accounts.extend(load(conn, row.team_id, row.id).await?);
    }
    Ok(accounts)
}

/// The owner took the consent back: the tokens go, and the team is told once.
pub async fn withdraw(conn: &mut PgConnection, moment: &Moment, integration: &Integration) -> Result<(), sqlx::Error> {
    let reason = "Its owner took the consent back on the platform.";
    if state::disconnect_because(conn, moment, integration, None, Some(reason)).await? {
        state::raise_reconnect(conn, moment, integration, "was disconnected by its owner on the platform").await?;
    }
    Ok(())
}

/// Nothing in the row tells any more whose account it was. The caller has disconnected it, and deletes what was read through it.
pub async fn erase(conn: &mut PgConnection, moment: &Moment, integration: &Integration) -> Result<(), sqlx::Error> {
    let erased = sqlx::query_scalar!(
        "update integrations
         set platform_account_id = 'deleted:' || id, display_name = 'deleted account', scopes = '{}', meta = '{}', poll_cursor = 'null',
             last_poll_problem = null, updated_at = $3
         where id = $1 and team_id = $2 and state = 'disconnected'
         returning id",
        integration.id,
        integration.team_id,
        moment.now,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(id) = erased else { return Ok(()) };
    let payload = json!({ "platform": integration.platform });
    let (kind, subject) = (Kind::IntegrationErased, Subject::Integration(id));
    activity::record(conn, moment, integration.team_id, None, kind, subject, payload).await?;
    let nameless = Integration { display_name: "An account".to_owned(), ..integration.clone() };
    let text = format!(
        "{} was disconnected, and what was read through it is deleted: its owner asked the platform for that. \
         To go on with it, its owner must connect it anew on the page Accounts.",
        nameless.label()
    );
    state::tell(conn, moment, &nameless, NoticeKind::ReconnectNeeded, text).await
}
