//! Communities as our accounts see them: whether they let us in, and by which rules. Kept for a day (`places`, written here alone); the
//! job `place.read` reads one when something new came from there. A read that fails leaves what was known and is not repeated by itself.
//!
//! Rules are words of strangers: shown escaped, given to the model as data.

use crate::accounts::integrations;
use crate::accounts::tokens;
use crate::clock::Moment;
use crate::flow::ingest::{Source, normalise};
use crate::jobs::{self, State};
use crate::queue::{Class, Job, JobContext, JobError};
use async_trait::async_trait;
use rejoinder_platforms::{Access, AppliesTo, FetchError, Place};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

const KEPT: time::Duration = time::Duration::DAY;
const MAX_RULES: usize = 30;
const TITLE_CHARS: usize = 200;
const DESCRIPTION_CHARS: usize = 2_000;

/// One rule as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub title: String,
    pub description: String,
    pub applies_to: AppliesTo,
}

/// A community as it was read last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// As people write it ("r/espresso").
    pub name: String,
    pub access: Access,
    /// Those that apply to comments.
    pub rules: Vec<Rule>,
    pub read_at: OffsetDateTime,
}

impl Known {
    /// Why nobody can reply there; None where it is open to us.
    pub fn closed(&self) -> Option<String> {
        let name = &self.name;
        match self.access {
            Access::Open | Access::Quarantined => None,
            Access::Private => Some(format!("{name} is private and does not let this account in.")),
            Access::Banned => Some(format!("{name} was closed by the platform; nobody can reply there any more.")),
            Access::Missing => Some(format!("{name} does not exist any more.")),
        }
    }

    /// What a person should know before replying there.
    pub fn caution(&self) -> Option<String> {
        (self.access == Access::Quarantined).then(|| {
            format!("{} is quarantined: a reply is taken and shown to nobody, unless this account opted in on the platform.", self.name)
        })
    }
}

/// As rows name it.
fn key(community: &str) -> String {
    community.trim_start_matches('/').trim_start_matches("r/").to_lowercase()
}

/// What is known, however old; None: never read.
pub async fn known(
    conn: &mut PgConnection,
    team_id: Uuid,
    integration_id: Uuid,
    community: &str,
) -> Result<Option<Known>, sqlx::Error> {
    let row = sqlx::query!(
        "select access, rules, read_at from places where integration_id = $1 and name = $2 and team_id = $3",
        integration_id,
        key(community),
        team_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let rules: Vec<Rule> = serde_json::from_value(row.rules).unwrap_or_default();
        Known {
            name: community.to_owned(),
            access: serde_json::from_value(row.access.into()).unwrap_or(Access::Open),
            rules: rules.into_iter().filter(|rule| rule.applies_to != AppliesTo::Posts).collect(),
            read_at: row.read_at,
        }
    }))
}

/// Reads it anew where what is known is older than a day: for the next who asks.
pub async fn refresh_old(
    conn: &mut PgConnection,
    moment: &Moment,
    integration_id: Uuid,
    known: &Known,
) -> Result<(), sqlx::Error> {
    if known.read_at + KEPT <= moment.now {
        jobs::enqueue_if_absent(conn, &PlaceRead { integration_id, name: key(&known.name) }, moment.now).await?;
    }
    Ok(())
}

/// The places of these posts are read where what is known of them is older than a day.
pub async fn wanted(
    conn: &mut PgConnection,
    moment: &Moment,
    source: &Source,
    post_ids: &[String],
) -> Result<(), sqlx::Error> {
    let communities = sqlx::query_scalar!(
        r#"select distinct p.community as "community!" from posts p
           where p.integration_id = $1 and p.platform_post_id = any($2) and p.community like 'r/%'
             and not exists (select 1 from places known where known.integration_id = $1 and known.read_at > $3
                                                          and known.name = lower(substr(p.community, 3)))"#,
        source.integration_id,
        post_ids,
        moment.now - KEPT,
    )
    .fetch_all(&mut *conn)
    .await?;
    for community in communities {
        let job = PlaceRead { integration_id: source.integration_id, name: key(&community) };
        jobs::enqueue_if_absent(conn, &job, moment.now).await?;
    }
    Ok(())
}

/// Upkeep: what nobody asked for in a month.
pub async fn forget_old(conn: &mut PgConnection, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query!("delete from places where read_at < $1", before).execute(conn).await?.rows_affected())
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlaceRead {
    pub integration_id: Uuid,
    pub name: String,
}

#[async_trait]
impl Job<State> for PlaceRead {
    const NAME: &'static str = "place.read";
    const CLASS: Class = Class::Poll;
    const MAX_ATTEMPTS: i16 = 1;
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// After everything that people wait for.
    const PRIORITY: i16 = 20;

    fn key(&self) -> Option<String> {
        Some(format!("place:{}:{}", self.integration_id, self.name))
    }

    async fn run(self, state: &State, ctx: &JobContext) -> Result<(), JobError> {
        let app = &state.app;
        let moment = Moment::at(ctx.now, &app.entropy);
        let integration = integrations::load_any_team(&mut *app.db.acquire().await?, self.integration_id).await?;
        let Some(integration) = integration.filter(integrations::Integration::is_read) else { return Ok(()) };
        let Ok(reader) = app.readers.get(&integration.platform) else { return Ok(()) };
        let mut dead = None;
        let place = loop {
            let Ok(session) = tokens::session(app, &moment, &integration, dead.as_ref()).await else { return Ok(()) };
            match reader.place(&session, &self.name).await {
                Ok(place) => break place,
                Err(FetchError::AuthExpired) if dead.is_none() => dead = Some(session.access_token),
                Err(error) => {
                    tracing::info!(%error, community = self.name, "the rules of a community could not be read");
                    return Ok(());
                }
            }
        };
        store(&mut *app.db.acquire().await?, &moment, &integration, &self.name, place).await?;
        Ok(())
    }
}

async fn store(
    conn: &mut PgConnection,
    moment: &Moment,
    integration: &integrations::Integration,
    name: &str,
    place: Place,
) -> Result<(), sqlx::Error> {
    let rules: Vec<Rule> = place
        .rules
        .into_iter()
        .take(MAX_RULES)
        .map(|rule| Rule {
            title: normalise::line(&rule.title, TITLE_CHARS),
            description: normalise::text(&rule.description).chars().take(DESCRIPTION_CHARS).collect(),
            applies_to: rule.applies_to,
        })
        .collect();
    let access = serde_json::to_value(place.access).unwrap_or_default();
    sqlx::query!(
        "insert into places (integration_id, name, team_id, access, rules, read_at) values ($1, $2, $3, $4, $5, $6)
         on conflict on constraint places_pkey do update set access = excluded.access, rules = excluded.rules, read_at = excluded.read_at",
        integration.id,
        name,
        integration.team_id,
        access.as_str().unwrap_or("open"),
        serde_json::to_value(&rules).unwrap_or_default(),
        moment.now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
