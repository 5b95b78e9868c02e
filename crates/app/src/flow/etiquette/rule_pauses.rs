//! Where rules post no more, because what we posted there was removed. People's own sends go on; an admin who looked lifts it.

use crate::accounts::integrations::Integration;
use crate::clock::Moment;
use crate::flow::activity::{self, Kind, Subject};
use crate::flow::notices::{self, Notice};
use crate::model::NoticeKind;
use serde_json::json;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Removals from which on a pattern is seen, and how far back they count.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    pub in_community: u32,
    pub of_account: u32,
    pub window: Duration,
}

#[derive(Debug, Clone)]
pub struct RulePause {
    pub id: Uuid,
    pub team_id: Uuid,
    pub integration_id: Uuid,
    pub platform: String,
    pub account: String,
    /// None: the account as a whole.
    pub community: Option<String>,
    pub reason: String,
    pub paused_at: OffsetDateTime,
    pub lifted_at: Option<OffsetDateTime>,
    pub lifted_by_name: Option<String>,
}

macro_rules! select_pauses {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            RulePause,
            "select r.id, r.team_id, r.integration_id, i.platform, i.display_name as account, r.community, r.reason, r.paused_at, r.lifted_at,
                    (select name from users where users.id = r.lifted_by) as lifted_by_name
             from rule_pauses r join integrations i on i.id = r.integration_id " + $rest,
            $($args),*
        )
    };
}

/// Newest first, those that were lifted too, keyset-paged.
pub async fn list(
    conn: &mut PgConnection,
    team_id: Uuid,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<RulePause>, sqlx::Error> {
    let (before_at, before_id) = before.unzip();
    select_pauses!(
        "where r.team_id = $1 and ($2::timestamptz is null or (r.paused_at, r.id) < ($2, $3))
         order by r.paused_at desc, r.id desc limit $4",
        team_id,
        before_at,
        before_id,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// A reply was removed in `community`: pauses what shows a pattern now.
pub async fn after_removal(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    community: Option<&str>,
    pattern: &Pattern,
) -> Result<(), sqlx::Error> {
    let days = pattern.window.whole_days();
    if let Some(community) = community {
        let removed = removals(conn, moment, integration, Some(community), pattern.window).await?;
        if removed >= i64::from(pattern.in_community) {
            let reason = format!("{removed} replies were removed in {community} within {days} days");
            pause(conn, moment, integration, Some(community), &reason).await?;
        }
    }
    let removed = removals(conn, moment, integration, None, pattern.window).await?;
    if removed >= i64::from(pattern.of_account) {
        let reason = format!("{removed} replies of the account were removed within {days} days");
        pause(conn, moment, integration, None, &reason).await?;
    }
    Ok(())
}

/// Since the window began, or since a pause of the same scope was lifted: what an admin has seen does not count again.
async fn removals(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    community: Option<&str>,
    window: Duration,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "n!" from replies r
           where r.integration_id = $1 and r.standing = 'removed' and ($2::text is null or r.community = $2)
             and r.gone_at > greatest($3, (select max(lifted_at) from rule_pauses
                                           where integration_id = $1 and community is not distinct from $2))"#,
        integration.id,
        community,
        moment.now - window,
    )
    .fetch_one(conn)
    .await
}

async fn pause(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &Integration,
    community: Option<&str>,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let id = sqlx::query_scalar!(
        "insert into rule_pauses (id, team_id, integration_id, community, reason, paused_at) values ($1, $2, $3, $4, $5, $6)
         on conflict (integration_id, coalesce(community, '')) where lifted_at is null do nothing
         returning id",
        moment.id(),
        integration.team_id,
        integration.id,
        community,
        reason,
        moment.now,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(id) = id else { return Ok(()) };
    let payload = json!({ "community": community, "reason": reason, "account": integration.display_name });
    let subject = Subject::RulePause(id);
    activity::record(conn, moment, integration.team_id, None, Kind::RulesPaused, subject, payload).await?;
    let place = community.map(|community| format!(" in {community}")).unwrap_or_default();
    let text = format!(
        "Rules post nothing more{place} with {}: {reason}. People's own replies go on. Look at what was removed; an admin lets rules \
         go on on the page Etiquette.",
        integration.label()
    );
    notices::raise(conn, moment, integration.team_id, Notice { kind: NoticeKind::RulesPaused, subject, text }).await
}

/// Rules may post there again. Lifting twice changes nothing. False: there is no such pause.
pub async fn lift(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    id: Uuid,
    by: Uuid,
) -> Result<bool, sqlx::Error> {
    let lifted = sqlx::query!(
        "update rule_pauses set lifted_at = $3, lifted_by = $4 where id = $1 and team_id = $2 and lifted_at is null",
        id,
        team_id,
        moment.now,
        by,
    )
    .execute(&mut *conn)
    .await?;
    if lifted.rows_affected() == 0 {
        let known = sqlx::query_scalar!("select id from rule_pauses where id = $1 and team_id = $2", id, team_id);
        return Ok(known.fetch_optional(conn).await?.is_some());
    }
    let subject = Subject::RulePause(id);
    activity::record(conn, moment, team_id, Some(by), Kind::RulesResumed, subject, json!({})).await?;
    notices::resolve(conn, moment, team_id, NoticeKind::RulesPaused, id).await?;
    Ok(true)
}
