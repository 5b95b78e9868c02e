//! Chaos: suggestions are approved through the API while processes are killed, stopped and restarted, Postgres goes down without warning and
//! the platform answers a share of the writes badly. Then everything calms down, and what stands on the platform is held against the rows.
//!
//! What must hold: at most one reply per suggestion and per target; a row that says posted has its reply; a reply has a row that says
//! posted, or one that a person was asked about; nothing that was approved is lost, and every other end has its reason.
//!
//! What the world keeps to, because the protocol is built on it: a write that was answered by nobody shows within write timeout and
//! settle window of its arming, unless its worker lives. The one exception is deliberate: a worker that is stopped in the middle of its
//! call. Its write takes effect when it goes on, however late, as if it had been stopped right before the first byte.

mod approvals;
mod cast;
mod conductor;
mod faults;
mod table;
mod verdict;

use crate::home::Home;
use crate::process::Program;
use crate::rows;
use crate::world::{Size, World};
use anyhow::{Context, Result, bail};
use approvals::Approvals;
use cast::Cast;
use clap::Args as ClapArgs;
use conductor::Conductor;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a reply that nobody answered for may still appear; the least that keeps the runs short.
const SETTLE_SECS: u64 = 5;

#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    #[arg(long, default_value_t = 2000)]
    suggestions: usize,
    #[arg(long, default_value_t = 64)]
    integrations: usize,
    #[arg(long, default_value_t = 20)]
    teams: usize,
    /// Worker processes, beside one for the API.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Share of the writes that go wrong; reads get a smaller one.
    #[arg(long, default_value_t = 0.3)]
    faults: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// kill -9, every 1 to 3 s, mostly of a worker; at least so many.
    #[arg(long, default_value_t = 60)]
    kills: usize,
    /// Workers stopped in the middle of a call and continued much later.
    #[arg(long, default_value_t = 5)]
    stops: usize,
    /// How long each: past the lease, the recovery threshold of the queue, and write timeout with settle window.
    #[arg(long, default_value_t = 66)]
    stop_secs: u64,
    /// Postgres crashes.
    #[arg(long, default_value_t = 2)]
    restarts: usize,
    /// Suggestions whose target gets a second one as soon as the first is posted, before readers see it.
    #[arg(long, default_value_t = 60)]
    pairs: usize,
    /// Everything must have settled so long after the trouble ended.
    #[arg(long, default_value_t = 180)]
    drain_secs: u64,
    /// Keep the logs of all processes, also of a run without a breach.
    #[arg(long)]
    keep_logs: bool,
    /// A run of less than a minute: these sizes instead of the others.
    #[arg(long)]
    small: bool,
}

impl Args {
    fn sized(self) -> Self {
        if !self.small {
            return self;
        }
        Self {
            suggestions: 150,
            integrations: 16,
            teams: 5,
            kills: 4,
            stops: 1,
            stop_secs: 34,
            restarts: 1,
            pairs: 10,
            ..self
        }
    }
}

pub async fn run(args: Args, program: Program) -> Result<()> {
    let args = args.sized();
    let settings = [
        ("RUST_LOG", "info,sqlx=warn,graphile_worker=error".to_owned()),
        ("REDDIT_SETTLE_SECS", SETTLE_SECS.to_string()),
    ];
    let mut home = Home::open(program, args.seed, &settings).await?;
    let result = drive(&mut home, &args).await;
    home.explain(result)?;
    if args.keep_logs {
        println!("logs              {}", home.keep_logs()?.display());
    }
    home.close().await
}

async fn drive(home: &mut Home, args: &Args) -> Result<()> {
    let size = Size { suggestions: args.suggestions, integrations: args.integrations, teams: args.teams, polled: true };
    let world = Arc::new(World::seed(home, args.seed, size).await.context("the world could not be made")?);
    let seeded = Instant::now();
    let cast = Cast::start(home, args.workers).await?;
    tokio::time::sleep(faults::STALE_MOST.saturating_sub(seeded.elapsed())).await;
    faults::begin(&home.control, args, &world);
    let approvals = Approvals::start(home, &world, args)?;
    let began = Instant::now();
    let mut conductor = Conductor::new(home, cast, approvals, args);
    conductor.play().await?;
    let (cast, mut approvals, trouble) = conductor.end();
    home.control.clear_faults();
    eprintln!("{:>4} s: the trouble is over; it must settle within {} s", began.elapsed().as_secs(), args.drain_secs);
    let calm = Instant::now();
    let limit = Duration::from_secs(args.drain_secs);
    approvals.people_are_done().await?;
    rows::until_settled(&home.pool, limit).await;
    eprintln!("{:>4} s: all settled but what pairs still get", began.elapsed().as_secs());
    let given = approvals.given().await?;
    let unsettled = rows::until_settled(&home.pool, limit.saturating_sub(calm.elapsed())).await;
    let drained = calm.elapsed();
    cast.stop().await?;
    let verdict = verdict::reach(home, &world, &given, unsettled).await?;
    table::print(args, &trouble, &given, &verdict, drained);
    if verdict.breaches.is_empty() {
        return Ok(());
    }
    bail!("{} promises were broken", verdict.breaches.len())
}
