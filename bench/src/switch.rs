//! The kill switch under load: at random moments the sending of a team, of an account or of the whole server is paused while many calls
//! are under way. After the answer not one call may start, the answer must have named how many were under way, and each must be over.

use crate::api::Api;
use crate::crowd;
use crate::home::Home;
use crate::process::Program;
use crate::rng::Rng;
use crate::rows;
use crate::truth;
use crate::world::{Size, World};
use anyhow::{Context, Result, bail, ensure};
use clap::Args as ClapArgs;
use rejoinder_app::clock::Clock;
use rejoinder_sandbox::{Arrival, WriteFault};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use uuid::Uuid;

const CONNECTIONS: usize = 32;
/// A pause is watched for so long.
const WATCHED: Duration = Duration::from_secs(2);
/// Turning the switch waits for arming transactions, not for calls: a call that lasts this much longer than the request was under way.
const TURNED_WITHIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Debug, ClapArgs)]
pub struct Args {
    #[arg(long, default_value_t = 1500)]
    suggestions: usize,
    #[arg(long, default_value_t = 48)]
    integrations: usize,
    #[arg(long, default_value_t = 4)]
    teams: usize,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Pauses: of a team, of an account and of the server in turn.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Whose sending is paused.
#[derive(Debug, Clone, Copy)]
enum Scope {
    Team(usize),
    Account(usize),
    Server,
}

/// One pause.
struct Round {
    scope: Scope,
    asked_at: OffsetDateTime,
    answered_at: OffsetDateTime,
    in_flight: usize,
    still_running: usize,
}

struct Run<'a> {
    home: &'a Home,
    world: &'a World,
    api: Api,
}

pub async fn run(args: Args, program: Program) -> Result<()> {
    let settings = [("RUST_LOG", "info,sqlx=warn,graphile_worker=error".to_owned())];
    let home = Home::open(program, args.seed, &settings).await?;
    let result = drive(&home, &args).await;
    home.explain(result)?;
    home.close().await
}

async fn drive(home: &Home, args: &Args) -> Result<()> {
    let size =
        Size { suggestions: args.suggestions, integrations: args.integrations, teams: args.teams, polled: false };
    let world = Arc::new(World::seed(home, args.seed, size).await.context("the world could not be made")?);
    let slow = [400, 900, 1_600, 2_500].map(|millis| (0.25, WriteFault::Slow { millis }));
    home.control.mix_writes(args.seed, slow.to_vec());
    let mut processes = vec![home.serve("api", "api").await?];
    for number in 1..=args.workers {
        processes.push(home.serve(&format!("worker-{number}"), "worker,scheduler").await?);
    }
    let approving = tokio::spawn(crowd::approve_all(home.base(), world.clone(), CONNECTIONS));
    let run = Run { home, world: &world, api: Api::new(home.base())? };
    let mut rng = Rng::new(args.seed).fork("switch");
    let mut certain = 0;
    println!("pause of            under way  waited   seen before  calls after the answer");
    for number in 0..args.rounds {
        tokio::time::sleep(rng.between(Duration::from_millis(1_500), Duration::from_secs(3))).await;
        let scope = match number % 3 {
            0 => Scope::Team(rng.below(args.teams)),
            1 => Scope::Account(rng.below(args.integrations)),
            _ => Scope::Server,
        };
        certain += run.round(scope).await?;
    }
    ensure!(certain > 0, "no call was under way at any pause, so nothing was shown; take more --suggestions");
    approving.await??;
    home.control.clear_faults();
    run.until_all_posted().await?;
    let written = truth::exactly_one_each(&home.control, &world)?;
    for process in processes {
        process.stop().await?;
    }
    println!("after the last resume all {written} were posted, one under each target");
    Ok(())
}

impl Run<'_> {
    /// Pauses, watches, resumes. Returns how many calls were certainly under way.
    async fn round(&self, scope: Scope) -> Result<usize> {
        let asked_at = Clock::System.now();
        let answer = self.turn(scope, "pause").await?;
        let answered_at = Clock::System.now();
        let count = |name: &str| {
            let number =
                answer[name].as_u64().with_context(|| format!("the answer to a pause has no {name}: {answer}"));
            number.and_then(|number| Ok(usize::try_from(number)?))
        };
        let round = Round {
            scope,
            asked_at,
            answered_at,
            in_flight: count("in_flight")?,
            still_running: count("still_running")?,
        };
        tokio::time::sleep(WATCHED).await;
        let certain = self.check(&round).await?;
        self.turn(scope, "resume").await?;
        Ok(certain)
    }

    async fn turn(&self, scope: Scope, act: &str) -> Result<Value> {
        let (session, path) = match scope {
            Scope::Server => return Ok(serde_json::from_str(&self.home.command(&[act, "--json"]).await?)?),
            Scope::Team(team) => {
                (&self.world.teams[team].sessions[0], format!("/api/teams/{}/{act}", self.world.teams[team].id))
            }
            Scope::Account(account) => {
                let account = &self.world.accounts[account];
                (
                    &self.world.teams[account.team].sessions[0],
                    format!("/api/integrations/{}/{act}", account.integration_id),
                )
            }
        };
        let answer = self.api.post(session, &path, &json!({})).await?;
        ensure!(answer.status == 200, "{act} was answered {}: {}", answer.status, answer.detail());
        Ok(answer.body)
    }

    async fn check(&self, round: &Round) -> Result<usize> {
        let calls = self.calls_of(round.scope);
        let after = calls.iter().filter(|call| call.at > round.answered_at).count();
        let open = calls.iter().filter(|call| call.ended_at.is_none_or(|at| at > round.answered_at)).count() - after;
        let surely = round.asked_at + TURNED_WITHIN;
        let certain =
            calls.iter().filter(|call| call.at < round.asked_at && call.ended_at.is_none_or(|at| at > surely)).count();
        let possible = self.armed(round).await?;
        let (what, waited) = (round.scope.told(self.world), round.answered_at - round.asked_at);
        println!("{what:<20} {:>8} {:>6.2} s {certain:>13} {after:>23}", round.in_flight, waited.as_seconds_f64());
        ensure!(after == 0, "{after} calls started after the pause was answered");
        ensure!(open <= round.still_running, "{open} calls were not over, the answer says {}", round.still_running);
        if !(certain..=possible).contains(&round.in_flight) {
            bail!(
                "the answer names {} calls under way; at least {certain} were, and at most {possible}",
                round.in_flight
            );
        }
        Ok(certain)
    }

    fn calls_of(&self, scope: Scope) -> Vec<Arrival> {
        let accounts: HashSet<&str> = self.accounts_of(scope).map(|account| account.name.as_str()).collect();
        let mut calls = self.home.control.arrivals();
        calls.retain(|call| accounts.contains(call.account.as_str()));
        calls
    }

    fn accounts_of(&self, scope: Scope) -> impl Iterator<Item = &crate::world::ConnectedAccount> {
        let accounts = self.world.accounts.iter().enumerate();
        let meant = accounts.filter(move |(number, account)| match scope {
            Scope::Server => true,
            Scope::Team(team) => account.team == team,
            Scope::Account(only) => *number == only,
        });
        meant.map(|(_, account)| account)
    }

    /// Calls that were armed by the time of the answer and not over when the pause was asked for.
    async fn armed(&self, round: &Round) -> Result<usize> {
        let meant: HashSet<Uuid> = self.accounts_of(round.scope).map(|account| account.integration_id).collect();
        let attempts = rows::attempts(&self.home.pool).await?;
        let armed = attempts.iter().filter(|attempt| {
            meant.contains(&attempt.integration_id)
                && attempt.armed_at <= round.answered_at
                && attempt.call_ended_at.is_none_or(|at| at >= round.asked_at)
        });
        Ok(armed.count())
    }

    async fn until_all_posted(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let posted = rows::posted(&self.home.pool).await?;
            if posted == self.world.suggestions.len() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "only {posted} of {} were posted {} s after the last resume",
                    self.world.suggestions.len(),
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Scope {
    fn told(self, world: &World) -> String {
        match self {
            Self::Team(team) => format!("team {team}"),
            Self::Account(account) => format!("account {}", world.accounts[account].name),
            Self::Server => "the whole server".to_owned(),
        }
    }
}
