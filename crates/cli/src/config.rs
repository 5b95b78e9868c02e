//! `rejoinder config`.

use anyhow::Result;
use clap::Subcommand;
use rejoinder_app::config::{Config, process_env};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check every setting; says what is wrong and ends with 1 if anything is.
    Check,
    /// Print every setting with its source; secrets are masked.
    Print,
}

pub fn run(command: &Command) -> Result<()> {
    let config = Config::load(&process_env)?;
    match command {
        Command::Check => println!("All settings are fine."),
        Command::Print => print!("{}", config.print()),
    }
    Ok(())
}
