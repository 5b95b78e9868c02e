//! How fast approved replies reach the platform, from the first approval to the last row that says posted, and how much memory the
//! server takes for it. The platform answers at once, so what is measured is the server, its database and nothing else.

use crate::cpu;
use crate::crowd;
use crate::home::Home;
use crate::process::{Process, Program};
use crate::rows;
use crate::world::{Size, World};
use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Client connections that approve.
const CONNECTIONS: usize = 32;
/// Between the start and the first measure of memory.
const IDLE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Nothing new posted for this long: the run is over, and failed.
const STALLED: Duration = Duration::from_secs(60);

#[derive(Debug, ClapArgs)]
pub struct Args {
    #[arg(long, default_value_t = 5000)]
    suggestions: usize,
    #[arg(long, default_value_t = 256)]
    integrations: usize,
    #[arg(long, default_value_t = 32)]
    teams: usize,
    /// API and workers in processes of their own; else one process has all roles.
    #[arg(long)]
    split: bool,
    /// Worker processes.
    #[arg(long, default_value_t = 1, requires = "split")]
    workers: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the server logs (RUST_LOG).
    #[arg(long, default_value = "warn")]
    log: String,
    /// Print one line of JSON instead of the table.
    #[arg(long)]
    json: bool,
}

struct Measured {
    seconds: f64,
    approved_seconds: f64,
    idle_kib: u64,
    peak_kib: u64,
    cpu: CpuSeconds,
}

/// Processor time of the run.
#[derive(Debug, Clone, Copy)]
struct CpuSeconds {
    server: f64,
    postgres: f64,
    /// This process: the platform and the approving clients.
    around: f64,
}

impl CpuSeconds {
    fn now(home: &Home, processes: &[Process]) -> Result<Self> {
        Ok(Self {
            server: processes.iter().map(|process| cpu::of(process.pid())).sum(),
            postgres: cpu::with_children(home.postgres()?),
            around: cpu::of(nix::unistd::getpid()),
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            server: self.server - before.server,
            postgres: self.postgres - before.postgres,
            around: self.around - before.around,
        }
    }
}

pub async fn run(args: Args, program: Program) -> Result<()> {
    let home = Home::open(program, args.seed, &[("RUST_LOG", args.log.clone())]).await?;
    let result = drive(&home, &args).await;
    home.explain(result)?;
    home.close().await
}

async fn drive(home: &Home, args: &Args) -> Result<()> {
    let teams = args.teams.min(args.integrations);
    let size = Size { suggestions: args.suggestions, integrations: args.integrations, teams, polled: false };
    let world = Arc::new(World::seed(home, args.seed, size).await.context("the world could not be made")?);
    let processes = start(home, args).await?;
    let measured = measure(home, &world, &processes).await?;
    let written = crate::truth::exactly_one_each(&home.control, &world)?;
    for process in processes {
        process.stop().await?;
    }
    print(args, &measured, written);
    Ok(())
}

async fn start(home: &Home, args: &Args) -> Result<Vec<Process>> {
    if !args.split {
        return Ok(vec![home.serve("server", "api,worker,scheduler").await?]);
    }
    let mut processes = vec![home.serve("api", "api").await?];
    for number in 1..=args.workers {
        processes.push(home.serve(&format!("worker-{number}"), "worker,scheduler").await?);
    }
    Ok(processes)
}

async fn measure(home: &Home, world: &Arc<World>, processes: &[Process]) -> Result<Measured> {
    tokio::time::sleep(IDLE).await;
    let idle_kib = sum(processes, Process::resident_kib);
    let cpu_before = CpuSeconds::now(home, processes)?;
    let before = home.control.comment_count();
    let began = Instant::now();
    let approving = tokio::spawn(crowd::approve_all(home.base(), world.clone(), CONNECTIONS));
    let (mut posted, mut last_news) = (0, Instant::now());
    while posted < world.suggestions.len() {
        tokio::time::sleep(LOOK_EVERY).await;
        // Counting rows takes a part of what is measured: first the platform is to have them all.
        let written = home.control.comment_count() - before;
        let now_posted = if written < world.suggestions.len() { written } else { rows::posted(&home.pool).await? };
        if now_posted > posted {
            (posted, last_news) = (now_posted, Instant::now());
        } else if last_news.elapsed() > STALLED {
            bail!("{posted} of {} were posted, then nothing for {} s", world.suggestions.len(), STALLED.as_secs());
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let approved_seconds = approving.await??;
    let cpu = CpuSeconds::now(home, processes)?.since(cpu_before);
    let peak_kib = sum(processes, Process::most_resident_kib);
    Ok(Measured { seconds, approved_seconds, idle_kib, peak_kib, cpu })
}

fn sum(processes: &[Process], of: impl Fn(&Process) -> Option<u64>) -> u64 {
    processes.iter().filter_map(of).sum()
}

fn print(args: &Args, measured: &Measured, written: usize) {
    let rate = args.suggestions as f64 / measured.seconds;
    let mib = |kib: u64| kib as f64 / 1024.0;
    if args.json {
        let line = json!({
            "suggestions": args.suggestions, "integrations": args.integrations, "seconds": measured.seconds, "per_second": rate,
            "approved_seconds": measured.approved_seconds, "replies": written,
            "idle_mib": mib(measured.idle_kib), "peak_mib": mib(measured.peak_kib),
            "cpu_seconds": { "server": measured.cpu.server, "postgres": measured.cpu.postgres, "around": measured.cpu.around },
        });
        println!("{line}");
        return;
    }
    println!("approved -> posted   {:>8} in {:.2} s = {rate:.0}/s", args.suggestions, measured.seconds);
    println!("  approvals answered {:>8} after {:.2} s", args.suggestions, measured.approved_seconds);
    println!("  on the platform    {written:>8} replies, one under each of {} targets", args.suggestions);
    println!(
        "memory of the server {:>8.0} MiB idle, {:.0} MiB at most",
        mib(measured.idle_kib),
        mib(measured.peak_kib)
    );
    let CpuSeconds { server, postgres, around } = measured.cpu;
    println!(
        "processor time       {server:>8.2} s server, {postgres:.2} s Postgres, {around:.2} s platform and clients"
    );
}
