//! What a team may set about its replies, and its own switch: one row per team, made with it. The only writer of
//! `team_settings`; the gate reads it at each reply.
//!
//! A limit that is not set (None) is the server's. Days and quiet hours are the team's, in its time zone. The rules of a field
//! stand here, so that the API and the page refuse the same things with the same words.

use crate::clock::Moment;
use crate::flow::activity::{self, Actor, Kind, Subject};
use crate::flow::ingest::normalise;
use crate::flow::usage;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use time::macros::format_description;
use time::{OffsetDateTime, Time};
use url::Host;
use uuid::Uuid;

const MAX_DAILY_CAP: i64 = 1_000_000;
const MAX_GAP_SECS: i64 = 86_400;
const MAX_BUDGET_CENTS: i64 = 100_000_000;
const MAX_LINK_DOMAINS: usize = 100;
const MAX_PHRASES: usize = 50;
const MAX_PHRASE_CHARS: usize = 60;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamSettings {
    pub team_id: Uuid,
    /// A name of the time zone database: "Europe/Berlin".
    pub timezone: String,
    /// Replies a day.
    pub daily_cap: Option<i32>,
    /// Least time between two replies of one account.
    pub gap_secs: Option<i32>,
    /// Nothing goes out from here on, by the team's clock.
    pub quiet_from: Option<Time>,
    /// Until here; before `quiet_from` it means the next day.
    pub quiet_to: Option<Time>,
    /// Where links may lead.
    pub link_domains: Vec<String>,
    /// The team's own words by which somebody asks not to be answered.
    pub opt_out_words: Vec<String>,
    /// What platforms may charge in a month, in cents of a US dollar; it stops reading, never replies. None: no limit.
    pub platform_budget_cents: Option<i32>,
    pub paused_at: Option<OffsetDateTime>,
    pub pause_reason: Option<String>,
    /// None while it is paused: the operator of the installation did it.
    pub paused_by: Option<Uuid>,
    pub paused_by_name: Option<String>,
    pub updated_at: OffsetDateTime,
}

/// What a person sets; None leaves a field as it is, Some(None) gives it back to the server.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub timezone: Option<String>,
    pub daily_cap: Option<Option<i64>>,
    pub gap_secs: Option<Option<i64>>,
    /// "22:00"
    pub quiet_from: Option<Option<String>>,
    pub quiet_to: Option<Option<String>>,
    pub link_domains: Option<Vec<String>>,
    pub opt_out_words: Option<Vec<String>>,
    pub platform_budget_cents: Option<Option<i64>>,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{field}: {message}")]
    Field { field: &'static str, message: String },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

fn wrong<T>(field: &'static str, message: impl Into<String>) -> Result<T, SettingsError> {
    Err(SettingsError::Field { field, message: message.into() })
}

macro_rules! select_settings {
    ($rest:literal, $($args:expr),* $(,)?) => {
        sqlx::query_as!(
            TeamSettings,
            "select team_id, timezone, daily_cap, gap_secs, quiet_from, quiet_to, link_domains, opt_out_words, platform_budget_cents, paused_at, pause_reason, paused_by,
                    (select name from users where users.id = paused_by) as paused_by_name, updated_at
             from team_settings where team_id = $1 " + $rest,
            $($args),*
        )
    };
}

/// Makes the row of a new team.
pub async fn create(conn: &mut PgConnection, team_id: Uuid, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query!("insert into team_settings (team_id, updated_at) values ($1, $2)", team_id, now).execute(conn).await?;
    Ok(())
}

pub async fn load(conn: &mut PgConnection, team_id: Uuid) -> Result<TeamSettings, sqlx::Error> {
    select_settings!("", team_id).fetch_one(conn).await
}

/// Keeps others from changing the row until the transaction ends.
pub async fn take(conn: &mut PgConnection, team_id: Uuid) -> Result<TeamSettings, sqlx::Error> {
    select_settings!("for no key update", team_id).fetch_one(conn).await
}

/// The names that `timezone` takes, without those that only repeat others.
pub async fn timezones(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select name as "name!" from pg_timezone_names
           where name ~ '^(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/' or name = 'UTC' order by name"#
    )
    .fetch_all(conn)
    .await
}

/// Changes what is given and says so in the log; all of it or, with the field that is wrong, nothing.
pub async fn change(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Uuid,
    changes: Changes,
) -> Result<TeamSettings, SettingsError> {
    let before = take(conn, team_id).await?;
    let after = changes.applied(conn, before.clone()).await?;
    if after == before {
        return Ok(before);
    }
    sqlx::query!(
        "update team_settings
         set timezone = $2, daily_cap = $3, gap_secs = $4, quiet_from = $5, quiet_to = $6, link_domains = $7, updated_at = $8, opt_out_words = $9,
             platform_budget_cents = $10
         where team_id = $1",
        team_id,
        after.timezone,
        after.daily_cap,
        after.gap_secs,
        after.quiet_from,
        after.quiet_to,
        &after.link_domains,
        moment.now,
        &after.opt_out_words,
        after.platform_budget_cents,
    )
    .execute(&mut *conn)
    .await?;
    if after.platform_budget_cents != before.platform_budget_cents {
        usage::budget_changed(conn, moment, team_id).await?;
    }
    let payload = differences(&before, &after);
    activity::record(conn, moment, team_id, Some(by), Kind::TeamSettingsChanged, Subject::Team(team_id), payload)
        .await?;
    Ok(load(conn, team_id).await?)
}

impl Changes {
    /// The settings as they would stand, or what is wrong with one.
    async fn applied(self, conn: &mut PgConnection, mut to: TeamSettings) -> Result<TeamSettings, SettingsError> {
        if let Some(name) = self.timezone {
            to.timezone = known_timezone(conn, &name).await?;
        }
        if let Some(cap) = self.daily_cap {
            to.daily_cap = in_range("daily_cap", cap, MAX_DAILY_CAP, "replies a day")?;
        }
        if let Some(gap) = self.gap_secs {
            to.gap_secs = in_range("gap_secs", gap, MAX_GAP_SECS, "seconds")?;
        }
        if let Some(from) = self.quiet_from {
            to.quiet_from = time_of_day("quiet_from", from)?;
        }
        if let Some(until) = self.quiet_to {
            to.quiet_to = time_of_day("quiet_to", until)?;
        }
        check_quiet(to.quiet_from, to.quiet_to)?;
        if let Some(domains) = self.link_domains {
            to.link_domains = hosts(domains)?;
        }
        if let Some(words) = self.opt_out_words {
            to.opt_out_words = phrases(words)?;
        }
        if let Some(cents) = self.platform_budget_cents {
            to.platform_budget_cents = budget(cents)?;
        }
        Ok(to)
    }
}

async fn known_timezone(conn: &mut PgConnection, name: &str) -> Result<String, SettingsError> {
    let name = normalise::line(name, 100);
    let known = sqlx::query_scalar!(
        r#"select name as "name!" from pg_timezone_names where lower(name) = lower($1) limit 1"#,
        name
    )
    .fetch_optional(conn)
    .await?;
    match known {
        Some(known) => Ok(known),
        None => wrong("timezone", format!("`{name}` is no time zone that we know; take one like `Europe/Berlin`")),
    }
}

fn in_range(field: &'static str, value: Option<i64>, most: i64, unit: &str) -> Result<Option<i32>, SettingsError> {
    match value {
        Some(value) if !(0..=most).contains(&value) => {
            wrong(field, format!("{value} is not between 0 and {most} {unit}; leave it empty for the server's own"))
        }
        value => Ok(value.and_then(|value| i32::try_from(value).ok())),
    }
}

fn budget(cents: Option<i64>) -> Result<Option<i32>, SettingsError> {
    match cents {
        Some(cents) if !(0..=MAX_BUDGET_CENTS).contains(&cents) => {
            let message =
                format!("{cents} cents are not between 0 and {MAX_BUDGET_CENTS}; leave it empty for no limit");
            wrong("platform_budget_cents", message)
        }
        cents => Ok(cents.and_then(|cents| i32::try_from(cents).ok())),
    }
}

fn time_of_day(field: &'static str, text: Option<String>) -> Result<Option<Time>, SettingsError> {
    let Some(text) = text else { return Ok(None) };
    let text = normalise::line(&text, 100);
    match Time::parse(&text, format_description!("[hour]:[minute]")) {
        Ok(time) => Ok(Some(time)),
        Err(_) => wrong(field, format!("`{text}` is no time of day; write it like `22:00`")),
    }
}

fn check_quiet(from: Option<Time>, until: Option<Time>) -> Result<(), SettingsError> {
    match (from, until) {
        (Some(_), None) => wrong("quiet_to", "quiet hours have an end too, like `07:00`; or empty both"),
        (None, Some(_)) => wrong("quiet_from", "quiet hours have a start too, like `22:00`; or empty both"),
        (Some(from), Some(until)) if from == until => {
            wrong("quiet_to", "is the start too, which leaves no hour or all of them; empty both for none")
        }
        _ => Ok(()),
    }
}

/// Lower case, each once, in order.
fn hosts(domains: Vec<String>) -> Result<Vec<String>, SettingsError> {
    let mut hosts = Vec::with_capacity(domains.len());
    for domain in domains {
        let domain = normalise::line(&domain, 300);
        match Host::parse(&domain) {
            Ok(Host::Domain(host)) if is_host_name(&host) => hosts.push(host),
            _ => {
                let message =
                    format!("`{domain}` is no host name; write it without https:// and path, like `example.com`");
                return wrong("link_domains", message);
            }
        }
    }
    hosts.sort();
    hosts.dedup();
    if hosts.len() > MAX_LINK_DOMAINS {
        return wrong("link_domains", format!("{} are more than {MAX_LINK_DOMAINS}", hosts.len()));
    }
    Ok(hosts)
}

/// Each once, in order.
fn phrases(words: Vec<String>) -> Result<Vec<String>, SettingsError> {
    let mut phrases: Vec<String> = words.iter().map(|phrase| normalise::line(phrase, 200).to_lowercase()).collect();
    phrases.retain(|phrase| !phrase.is_empty());
    phrases.sort();
    phrases.dedup();
    if let Some(long) = phrases.iter().find(|phrase| phrase.chars().count() > MAX_PHRASE_CHARS) {
        let short: String = long.chars().take(30).collect();
        return wrong("opt_out_words", format!("`{short}…` is longer than {MAX_PHRASE_CHARS} characters"));
    }
    if let Some(bare) = phrases.iter().find(|phrase| !phrase.chars().any(char::is_alphanumeric)) {
        return wrong("opt_out_words", format!("`{bare}` holds no word"));
    }
    if phrases.len() > MAX_PHRASES {
        return wrong("opt_out_words", format!("{} are more than {MAX_PHRASES}", phrases.len()));
    }
    Ok(phrases)
}

fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.len() <= 253 && host.contains('.') && host.split('.').all(label)
}

/// "22:00"
pub fn clock_text(time: Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// The fields that are not alike, as the log keeps them.
fn differences(before: &TeamSettings, after: &TeamSettings) -> Value {
    let fields = |settings: &TeamSettings| {
        json!({
            "timezone": settings.timezone, "daily_cap": settings.daily_cap, "gap_secs": settings.gap_secs,
            "quiet_from": settings.quiet_from.map(clock_text), "quiet_to": settings.quiet_to.map(clock_text),
            "link_domains": settings.link_domains, "opt_out_words": settings.opt_out_words,
            "platform_budget_cents": settings.platform_budget_cents,
        })
    };
    let (Value::Object(before), Value::Object(after)) = (fields(before), fields(after)) else { return json!({}) };
    let changed = |of: &Map<String, Value>, other: &Map<String, Value>| -> Map<String, Value> {
        of.iter().filter(|(name, value)| other.get(*name) != Some(value)).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    json!({ "before": changed(&before, &after), "after": changed(&after, &before) })
}

/// Turns the team's switch: on with a reason, or off. False: it stood so already.
pub async fn switch(
    conn: &mut PgConnection,
    moment: &Moment,
    team_id: Uuid,
    by: Actor,
    paused: Option<Option<&str>>,
) -> Result<bool, sqlx::Error> {
    let before = take(conn, team_id).await?;
    if before.paused_at.is_some() == paused.is_some() {
        return Ok(false);
    }
    let reason = paused.flatten();
    sqlx::query!(
        "update team_settings set paused_at = $2, pause_reason = $3, paused_by = $4, updated_at = $5 where team_id = $1",
        team_id,
        paused.map(|_| moment.now),
        reason,
        by.filter(|_| paused.is_some()),
        moment.now,
    )
    .execute(&mut *conn)
    .await?;
    let kind = if paused.is_some() { Kind::TeamPaused } else { Kind::TeamResumed };
    let payload = json!({ "reason": reason });
    activity::record(conn, moment, team_id, by, kind, Subject::Team(team_id), payload).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T, SettingsError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_host_is_a_name_and_nothing_around_it() {
        let taken =
            hosts(["Example.com", "docs.example.com", "example.com", "müller.example"].map(str::to_owned).to_vec());
        assert_eq!(taken.unwrap(), ["docs.example.com", "example.com", "xn--mller-kva.example"]);
        for domain in
            ["", "com", "https://example.com", "example.com/a", "a b.com", "1.2.3.4", "[::1]", "-a.com", "a..com"]
        {
            let told = message(hosts(vec![domain.to_owned()]));
            assert!(told.starts_with("link_domains: ") && told.contains("like `example.com`"), "{domain}: {told}");
        }
        let many = (0..=MAX_LINK_DOMAINS).map(|n| format!("a{n}.example")).collect();
        assert!(message(hosts(many)).contains("more than 100"));
    }

    #[test]
    fn quiet_hours_have_a_start_and_an_end_that_differ() {
        let at = |text: &str| time_of_day("quiet_from", Some(text.to_owned()));
        let (ten, seven) = (at("22:00").unwrap(), at(" 07:30 ").unwrap());
        assert_eq!(seven.map(clock_text), Some("07:30".to_owned()));
        assert!(check_quiet(ten, seven).is_ok() && check_quiet(None, None).is_ok());
        assert!(message(check_quiet(ten, None)).starts_with("quiet_to: "));
        assert!(message(check_quiet(None, ten)).starts_with("quiet_from: "));
        assert!(message(check_quiet(ten, ten)).starts_with("quiet_to: "));
        for text in ["", "24:00", "22", "22:60", "10 pm", "22:00:00", "-1:00"] {
            assert!(message(at(text)).contains("like `22:00`"), "{text}");
        }
    }
}
