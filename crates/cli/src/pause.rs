//! `rejoinder pause` and `rejoinder resume`: the operator's switch. They need the database and nothing else, so they work beside a
//! running server, beside a broken one and without any.

use crate::database::{self, Reach};
use anyhow::{Result, bail};
use clap::Args;
use rejoinder_app::accounts::integrations;
use rejoinder_app::clock::{Clock, Entropy};
use rejoinder_app::flow::send::{self, Paused, SwitchError, SwitchScope, Switches};
use rejoinder_app::lifecycle::Database;
use rejoinder_app::model::IntegrationState;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Why, for the people who see it on the dashboard; at most 300 characters.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    of: Of,
}

/// Whose sending; all of this server when nothing is named.
#[derive(Debug, Args)]
struct Of {
    /// Only this team's.
    #[arg(long, value_name = "ID", conflicts_with = "integration")]
    team: Option<Uuid>,
    /// Only this account's.
    #[arg(long, value_name = "ID")]
    integration: Option<Uuid>,
    #[command(flatten)]
    reach: Reach,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

pub async fn pause(args: PauseArgs) -> Result<()> {
    let paused = database::with(&args.of.reach, async |database, _| {
        let scope = args.of.scope(database).await?;
        // The command line is no member of a team.
        Ok(switches(database).pause(scope, None, args.reason.as_deref()).await?)
    })
    .await
    .map_err(explained)?;
    print!("{}", args.of.pause_told(&paused)?);
    Ok(())
}

pub async fn resume(args: ResumeArgs) -> Result<()> {
    let wider = database::with(&args.of.reach, async |database, _| {
        let scope = args.of.scope(database).await?;
        switches(database).resume(scope, None).await?;
        wider(database, scope).await
    })
    .await
    .map_err(explained)?;
    print!("{}", args.of.resume_told(&wider));
    Ok(())
}

fn switches(database: &Database) -> Switches<'_> {
    Switches { db: &database.pool, clock: &Clock::System, entropy: &Entropy::System }
}

/// What the operator does next.
fn explained(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<SwitchError>() {
        Some(SwitchError::NotFound(what)) => {
            anyhow::anyhow!("there is no {what} with this id; see the address of its page")
        }
        Some(SwitchError::NotLive(IntegrationState::NeedsReconnect)) => {
            anyhow::anyhow!(
                "the account needs a new consent; nothing goes out from it until an admin connects it again"
            )
        }
        Some(SwitchError::NotLive(_)) => anyhow::anyhow!("the account is disconnected; nothing goes out from it"),
        Some(SwitchError::Database(error)) if database::is_older(error) => database::migrate_first(),
        _ => error,
    }
}

/// The switches around `scope` that are on.
async fn wider(database: &Database, scope: SwitchScope) -> Result<Vec<&'static str>> {
    let mut conn = database.pool.acquire().await?;
    let mut wider = Vec::new();
    if let SwitchScope::Integration { team_id, .. } = scope
        && send::standing(&mut conn, SwitchScope::Team(team_id)).await?.is_some()
    {
        wider.push("team");
    }
    if scope != SwitchScope::Instance && send::standing(&mut conn, SwitchScope::Instance).await?.is_some() {
        wider.push("instance");
    }
    Ok(wider)
}

impl Of {
    async fn scope(&self, database: &Database) -> Result<SwitchScope> {
        if let Some(team_id) = self.team {
            return Ok(SwitchScope::Team(team_id));
        }
        let Some(id) = self.integration else { return Ok(SwitchScope::Instance) };
        match integrations::load_any_team(&mut *database.pool.acquire().await?, id).await? {
            Some(account) => Ok(SwitchScope::Integration { team_id: account.team_id, id }),
            None => bail!(SwitchError::NotFound("account")),
        }
    }

    fn what(&self) -> &'static str {
        match (self.team, self.integration) {
            (Some(_), _) => "The sending of the team",
            (None, Some(_)) => "The sending of the account",
            (None, None) => "All sending of this server",
        }
    }

    fn pause_told(&self, paused: &Paused) -> Result<String> {
        let since = paused.standing.since.format(&Rfc3339)?;
        if self.json {
            let answer = json!({
                "paused": true, "in_flight": paused.in_flight, "still_running": paused.still_running, "since": since,
                "reason": paused.standing.reason,
            });
            return Ok(format!("{answer}\n"));
        }
        let reason = paused.standing.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        Ok(format!("{} is paused since {since}{reason}. {}\n", self.what(), calls(paused)))
    }

    fn resume_told(&self, wider: &[&str]) -> String {
        if self.json {
            return format!("{}\n", json!({ "paused": false, "still_paused_by": wider }));
        }
        let hint = match wider {
            [] => String::new(),
            wider => {
                format!(" Nothing goes out all the same: paused by the switch of the {}.", wider.join(" and the "))
            }
        };
        format!("{} goes on.{hint}\n", self.what())
    }
}

fn calls(paused: &Paused) -> String {
    match (paused.in_flight, paused.still_running) {
        (0, _) => "No call was under way.".to_owned(),
        (1, 0) => "1 call was under way and has ended.".to_owned(),
        (n, 0) => format!("{n} calls were under way and have ended."),
        (n, k) => {
            format!("{n} were under way; {k} told no end in time, what became of them is read back from the platform.")
        }
    }
}
