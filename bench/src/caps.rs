//! A daily cap under attack: ten worker processes, one team, five times as many approvals as it may post. Exactly the cap goes out, the
//! rest is parked until the next day, and each row says so.

use crate::crowd;
use crate::home::Home;
use crate::process::Program;
use crate::rows::{self, Row};
use crate::truth;
use crate::world::{Size, World};
use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use rejoinder_app::clock::Clock;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(120);
/// Watched for so long after the last reply: nothing may follow.
const WATCHED: Duration = Duration::from_secs(10);

#[derive(Debug, ClapArgs)]
pub struct Args {
    #[arg(long, default_value_t = 500)]
    suggestions: usize,
    /// Replies that the team may post in a day.
    #[arg(long, default_value_t = 100)]
    cap: usize,
    #[arg(long, default_value_t = 10)]
    workers: usize,
    #[arg(long, default_value_t = 50)]
    integrations: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub async fn run(args: Args, program: Program) -> Result<()> {
    let settings =
        [("RUST_LOG", "info,sqlx=warn,graphile_worker=error".to_owned()), ("RATE_LIMIT_DEFAULT", args.cap.to_string())];
    let home = Home::open(program, args.seed, &settings).await?;
    let result = drive(&home, &args).await;
    home.explain(result)?;
    home.close().await
}

async fn drive(home: &Home, args: &Args) -> Result<()> {
    let size = Size { suggestions: args.suggestions, integrations: args.integrations, teams: 1, polled: false };
    let world = Arc::new(World::seed(home, args.seed, size).await.context("the world could not be made")?);
    let noon = noon_somewhere();
    sqlx::query("update team_settings set timezone = $1").bind(&noon).execute(&home.pool).await?;
    let mut processes = vec![home.serve("api", "api").await?];
    for number in 1..=args.workers {
        processes.push(home.serve(&format!("worker-{number}"), "worker,scheduler").await?);
    }
    let took = crowd::approve_all(home.base(), world.clone(), CONNECTIONS).await?;
    let parked = until_parked(home, args).await?;
    tokio::time::sleep(WATCHED).await;
    check(home, &world, args, &parked).await?;
    for process in processes {
        process.stop().await?;
    }
    let until = parked.iter().filter_map(|row| row.send_after).min().map_or_else(String::new, |at| at.to_string());
    println!("{} approvals in {took:.1} s by {} workers under a cap of {}", args.suggestions, args.workers, args.cap);
    println!("on the platform   exactly {} replies, one per target, and no other write came", args.cap);
    println!("parked            {} until {until} (the team lives in {noon})", parked.len());
    println!("told              {}", parked[0].stage_reason.as_deref().unwrap_or_default());
    Ok(())
}

/// A time zone whose day does not end while this runs.
fn noon_somewhere() -> String {
    let hour = i32::from(Clock::System.now().hour());
    // The sign of these names is the other way round.
    let west = hour - 12;
    if west == 0 { "UTC".to_owned() } else { format!("Etc/GMT{west:+}") }
}

/// Waits until the cap is posted and everything else is parked; returns what is parked.
async fn until_parked(home: &Home, args: &Args) -> Result<Vec<Row>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = rows::suggestions(&home.pool).await?;
        let posted = rows.iter().filter(|row| row.status == "posted").count();
        let parked: Vec<Row> = rows.into_iter().filter(|row| row.stage == "parked").collect();
        if posted >= args.cap && posted + parked.len() == args.suggestions {
            return Ok(parked);
        }
        if Instant::now() > deadline {
            bail!("after {} s {posted} are posted and {} are parked", PATIENCE.as_secs(), parked.len());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn check(home: &Home, world: &World, args: &Args, parked: &[Row]) -> Result<()> {
    let replies: Vec<usize> = truth::replies(&home.control, world).values().map(Vec::len).collect();
    let (written, arrived) = (replies.iter().sum::<usize>(), home.control.arrivals().len());
    if written != args.cap || arrived != args.cap || replies.iter().any(|count| *count != 1) {
        bail!("{written} replies stand on the platform after {arrived} writes; the cap is {}", args.cap);
    }
    let used: i64 =
        sqlx::query_scalar("select coalesce(sum(used), 0)::bigint from usage_counters where metric = 'replies'")
            .fetch_one(&home.pool)
            .await?;
    if used != i64::try_from(args.cap)? {
        bail!("the counter of the day says {used}; the cap is {}", args.cap);
    }
    let now = Clock::System.now();
    let told = format!("limit of {}", args.cap);
    let silent = parked.iter().find(|row| {
        row.send_after.is_none_or(|at| at <= now) || !row.stage_reason.as_deref().unwrap_or_default().contains(&told)
    });
    match silent {
        Some(row) => bail!("{} is parked until {:?} with the reason {:?}", row.id, row.send_after, row.stage_reason),
        None => Ok(()),
    }
}
