//! What the gate looks at besides the suggestion: switches, settings, counters and pace of an account, for many accounts in one
//! statement. Reads only; `reserve` writes what arming takes.

use super::pause;
use crate::accounts::integrations::Integration;
use crate::flow::safety::{self, Elsewhere};
use crate::flow::suggestion;
use rejoinder_platforms::{LengthRule, Readers};
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct Situation {
    /// The time for which it was read.
    pub now: OffsetDateTime,
    pub integration: Integration,
    pub length: LengthRule,
    pub instance_paused_at: Option<OffsetDateTime>,
    pub instance_reason: Option<String>,
    pub team: TeamRules,
    /// The team's local day, and when the next begins.
    pub day: Date,
    pub next_day: OffsetDateTime,
    pub team_used: i64,
    pub instance_day: Date,
    pub next_instance_day: OffsetDateTime,
    pub instance_used: i64,
    /// It is quiet now, until then.
    pub quiet_until: Option<OffsetDateTime>,
    pub next_at: Option<OffsetDateTime>,
    pub pace_reason: Option<String>,
    /// Texts that the account posted lately, newest first.
    pub recent: Vec<String>,
    /// What the installation posted lately on the account's platform, newest first.
    pub elsewhere: Arc<Vec<Elsewhere>>,
}

/// What the team has set.
#[derive(Debug, Clone)]
pub struct TeamRules {
    pub daily_cap: Option<i32>,
    pub gap_secs: Option<i32>,
    pub link_domains: Vec<String>,
    pub paused_at: Option<OffsetDateTime>,
    pub pause_reason: Option<String>,
}

/// Whether the switches may turn while the caller's transaction runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switches {
    MayTurn,
    /// Whoever turns one waits until the transaction ends.
    Held,
}

/// The situation of each account that exists.
pub async fn load(
    conn: &mut PgConnection,
    readers: &Readers,
    integration_ids: &[Uuid],
    now: OffsetDateTime,
    switches: Switches,
) -> Result<HashMap<Uuid, Situation>, sqlx::Error> {
    if switches == Switches::Held {
        pause::hold_switches(conn).await?;
    }
    let found = rows(conn, integration_ids, now).await?;
    Ok(found.into_iter().map(|row| (row.id, row.situation(readers, now))).collect())
}

/// Adds what each account, and the installation, posted lately: what the safety checks compare with. Arming does without, the claim has just compared.
pub async fn add_recent(
    conn: &mut PgConnection,
    situations: &mut HashMap<Uuid, Situation>,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = situations.keys().copied().collect();
    for (id, text) in suggestion::posted_texts(conn, &ids, now - safety::LATELY).await? {
        if let Some(situation) = situations.get_mut(&id) {
            situation.recent.push(text);
        }
    }
    let platforms: BTreeSet<String> =
        situations.values().map(|situation| situation.integration.platform.clone()).collect();
    let platforms: Vec<String> = platforms.into_iter().collect();
    let mut texts: HashMap<String, Vec<Elsewhere>> = HashMap::new();
    for (platform, text) in suggestion::posted_everywhere(conn, &platforms, now - safety::LATELY).await? {
        texts.entry(platform).or_default().push(text);
    }
    let texts: HashMap<String, Arc<Vec<Elsewhere>>> =
        texts.into_iter().map(|(platform, texts)| (platform, Arc::new(texts))).collect();
    for situation in situations.values_mut() {
        situation.elsewhere = texts.get(&situation.integration.platform).cloned().unwrap_or_default();
    }
    Ok(())
}

struct Row {
    id: Uuid,
    team_id: Uuid,
    platform: String,
    platform_account_id: String,
    display_name: String,
    access_token: Option<Vec<u8>>,
    refresh_token: Option<Vec<u8>>,
    scopes: Vec<String>,
    expires_at: Option<OffsetDateTime>,
    state: String,
    state_reason: Option<String>,
    state_since: OffsetDateTime,
    token_lease_until: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    next_poll_at: OffsetDateTime,
    app_id: Option<Uuid>,
    app_client_id: Option<String>,
    pause_cause: Option<String>,
    paused_by: Option<Uuid>,
    instance_paused_at: Option<OffsetDateTime>,
    instance_reason: Option<String>,
    daily_cap: Option<i32>,
    gap_secs: Option<i32>,
    link_domains: Vec<String>,
    team_paused_at: Option<OffsetDateTime>,
    team_reason: Option<String>,
    day: Date,
    next_day: OffsetDateTime,
    team_used: i64,
    instance_day: Date,
    next_instance_day: OffsetDateTime,
    instance_used: i64,
    quiet_until: Option<OffsetDateTime>,
    next_at: Option<OffsetDateTime>,
    pace_reason: Option<String>,
}

async fn rows(conn: &mut PgConnection, integration_ids: &[Uuid], now: OffsetDateTime) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"select i.id, i.team_id, i.platform, i.platform_account_id, i.display_name, i.access_token, i.refresh_token, i.scopes,
                  i.expires_at, i.state, i.state_reason, i.state_since, i.token_lease_until, i.created_at, i.next_poll_at, i.app_id,
                  (select client_id from platform_apps where platform_apps.id = i.app_id) as app_client_id,
                  i.pause_cause, i.paused_by,
                  w.paused_at as instance_paused_at, w.reason as instance_reason,
                  t.daily_cap as "daily_cap?", t.gap_secs as "gap_secs?", coalesce(t.link_domains, '{}') as "link_domains!",
                  t.paused_at as "team_paused_at?", t.pause_reason as "team_reason?",
                  l.at::date as "day!", (l.at::date + 1)::timestamp at time zone l.zone as "next_day!",
                  coalesce(tu.used, 0) as "team_used!",
                  u.at::date as "instance_day!", (u.at::date + 1)::timestamp at time zone 'UTC' as "next_instance_day!",
                  coalesce(iu.used, 0) as "instance_used!",
                  case when t.quiet_from < t.quiet_to and l.at::time >= t.quiet_from and l.at::time < t.quiet_to
                            then (l.at::date + t.quiet_to) at time zone l.zone
                       when t.quiet_from > t.quiet_to and l.at::time >= t.quiet_from
                            then (l.at::date + 1 + t.quiet_to) at time zone l.zone
                       when t.quiet_from > t.quiet_to and l.at::time < t.quiet_to
                            then (l.at::date + t.quiet_to) at time zone l.zone
                  end as quiet_until,
                  p.next_at as "next_at?", p.reason as "pace_reason?"
           from integrations i
           left join team_settings t on t.team_id = i.team_id
           join instance_switches w on w.name = 'sending'
           cross join lateral (select coalesce(t.timezone, 'UTC') as zone) z
           cross join lateral (select z.zone, $2::timestamptz at time zone z.zone as at) l
           cross join (select $2::timestamptz at time zone 'UTC' as at) u
           left join usage_counters tu on tu.scope_id = i.team_id and tu.metric = 'replies' and tu.day = l.at::date
           left join usage_counters iu
               on iu.scope_id = '00000000-0000-0000-0000-000000000000' and iu.metric = 'replies' and iu.day = u.at::date
           left join send_pacing p on p.integration_id = i.id
           where i.id = any($1)"#,
        integration_ids,
        now,
    )
    .fetch_all(conn)
    .await
}

impl Row {
    fn situation(self, readers: &Readers, now: OffsetDateTime) -> Situation {
        let length = readers.get(&self.platform).map(|reader| reader.capabilities().length).unwrap_or_default();
        Situation {
            now,
            length,
            integration: Integration {
                id: self.id,
                team_id: self.team_id,
                platform: self.platform,
                platform_account_id: self.platform_account_id,
                display_name: self.display_name,
                access_token: self.access_token,
                refresh_token: self.refresh_token,
                scopes: self.scopes,
                expires_at: self.expires_at,
                state: self.state,
                state_reason: self.state_reason,
                state_since: self.state_since,
                poll_cursor: serde_json::Value::Null,
                last_polled_at: None,
                last_poll_problem: None,
                next_poll_at: self.next_poll_at,
                token_lease_until: self.token_lease_until,
                read_after: None,
                policy_confirmed_at: None,
                created_at: self.created_at,
                app_id: self.app_id,
                app_client_id: self.app_client_id,
                pause_cause: self.pause_cause,
                paused_by: self.paused_by,
                paused_by_name: None,
            },
            instance_paused_at: self.instance_paused_at,
            instance_reason: self.instance_reason,
            team: TeamRules {
                daily_cap: self.daily_cap,
                gap_secs: self.gap_secs,
                link_domains: self.link_domains,
                paused_at: self.team_paused_at,
                pause_reason: self.team_reason,
            },
            day: self.day,
            next_day: self.next_day,
            team_used: self.team_used,
            instance_day: self.instance_day,
            next_instance_day: self.next_instance_day,
            instance_used: self.instance_used,
            quiet_until: self.quiet_until,
            next_at: self.next_at,
            pace_reason: self.pace_reason,
            recent: Vec::new(),
            elsewhere: Arc::default(),
        }
    }
}
