//! The command line. Exit code 0 only when what was asked for is done; every error is one line that says what to do.

mod config;
mod database;
mod demo;
mod doctor;
mod migrate;
mod openapi;
mod pause;
mod run;
mod sandbox;
mod serve;
mod users;

use clap::{Parser, Subcommand};
use rejoinder_app::error::chain;
use std::process::ExitCode;

/// Many small things live for one round only; the C library's allocator took a quarter of the time of a loaded server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Drafts, approves and posts replies on social platforms, each exactly once.
#[derive(Debug, Parser)]
#[command(name = "rejoinder", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything: the whole product with a simulated Reddit and a seeded team.
    #[command(after_help = "Example:\n  rejoinder demo\n  PORT=8080 rejoinder demo")]
    Demo,
    /// Run the server: API, dashboard, workers and scheduler.
    #[command(
        after_help = "Example:\n  rejoinder serve\n  DATABASE_URL=postgres://db/rejoinder rejoinder serve --roles worker,scheduler"
    )]
    Serve(serve::Args),
    /// Bring the database up to date and end.
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://db/rejoinder rejoinder migrate")]
    Migrate,
    /// Look at everything that a server needs and say what is wrong and what to do; ends with 1 when something does not work.
    #[command(
        after_help = "Changes nothing, and works beside a running server, without one, and without a database.\n\nExample:\n  rejoinder doctor\n  rejoinder doctor --json"
    )]
    Doctor(doctor::Args),
    /// Stop all sending: of this server, of a team or of an account. Ends when no call can start any more.
    #[command(
        after_help = "Approved replies wait; comments come in and drafts are written as before. Works beside a running server.\n\nExample:\n  rejoinder pause --reason \"wrong prices in the drafts\"\n  rejoinder pause --team 0195f3a0-0000-7000-8000-000000000001 --json"
    )]
    Pause(pause::PauseArgs),
    /// Let the sending go on that `pause` stopped.
    #[command(
        after_help = "What waited goes out under the usual limits.\n\nExample:\n  rejoinder resume\n  rejoinder resume --integration 0195f3a0-0000-7000-8000-000000000002"
    )]
    Resume(pause::ResumeArgs),
    /// See and help the people who have an account here: locked out, without a password, without an admin.
    #[command(
        subcommand,
        after_help = "Works beside a running server.\n\nExample:\n  rejoinder users list\n  rejoinder users reset-password ana@example.com"
    )]
    Users(users::Command),
    /// Show or check the settings.
    #[command(subcommand, after_help = "Example:\n  rejoinder config check\n  rejoinder config print")]
    Config(config::Command),
    /// Print the OpenAPI document of the HTTP API.
    #[command(after_help = "Example:\n  rejoinder openapi > openapi.json")]
    Openapi,
    /// Run the simulated platforms alone, for tests of your own.
    #[command(after_help = "Example:\n  rejoinder sandbox --port 4010 --world demo")]
    Sandbox(sandbox::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo => run::blocking(demo::run()),
        Command::Serve(args) => run::blocking(serve::run(args)),
        Command::Migrate => run::blocking(migrate::run()),
        Command::Doctor(args) => run::blocking(doctor::run(args)),
        Command::Pause(args) => run::blocking(pause::pause(args)),
        Command::Resume(args) => run::blocking(pause::resume(args)),
        Command::Users(command) => run::blocking(users::run(command)),
        Command::Config(command) => config::run(&command),
        Command::Openapi => openapi::run(),
        Command::Sandbox(args) => run::blocking(sandbox::run(args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Many of our errors quote their cause already; it is not said twice.
            eprintln!("rejoinder: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
