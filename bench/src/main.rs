//! Measures the server and tries to break its promises: real processes, a real Postgres, a simulated platform. Exit code 0 only when
//! everything that the sub-command promises was seen.

mod api;
mod caps;
mod chaos;
mod clerk;
mod cpu;
mod crowd;
mod day;
mod home;
mod people;
mod postgres;
mod process;
mod rng;
mod rows;
mod storm;
mod switch;
mod throughput;
mod truth;
mod words;
mod world;

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};
use process::Program;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// As the server has it: platform and clients in this process share the processors with what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "rejoinder-bench", version, max_term_width = 100)]
struct Cli {
    /// The server to drive; the one beside this program unless named.
    #[arg(long, global = true)]
    rejoinder: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Approve many suggestions and time them until all are posted.
    Throughput(throughput::Args),
    /// Kill, stop and crash everything while suggestions go out, then count the replies.
    Chaos(chaos::Args),
    /// Many people approve, edit and undo the same suggestions at once.
    Storm(storm::Args),
    /// More approvals than the team's daily cap, over many workers.
    Caps(caps::Args),
    /// Pause sending under load, and count what starts afterwards.
    Switch(switch::Args),
    /// Time the check of Clerk's session tokens.
    Clerk(clerk::Args),
    /// A simulated day of reading under one request budget.
    Day(day::Args),
    /// Run an empty Postgres with the settings of a measurement; prints its address.
    Postgres,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let own_end = matches!(cli.command, Command::Postgres);
    let ended = tokio::select! {
        ended = run(cli) => ended,
        _ = stopped(), if !own_end => Err(anyhow!("stopped")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rejoinder-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    let program = || Program::find(cli.rejoinder);
    match cli.command {
        Command::Throughput(args) => throughput::run(args, program()?).await,
        Command::Chaos(args) => chaos::run(args, program()?).await,
        Command::Storm(args) => storm::run(args, program()?).await,
        Command::Caps(args) => caps::run(args, program()?).await,
        Command::Switch(args) => switch::run(args, program()?).await,
        Command::Clerk(args) => clerk::run(args).await,
        Command::Day(args) => day::run(args).await,
        Command::Postgres => postgres::run(stopped()).await,
    }
}

/// Ctrl-C or SIGTERM. Dropping a run ends its processes and its Postgres.
async fn stopped() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
