//! How a command of the operator reaches the database of an installation: beside a running server, beside a broken one and without any.

use crate::run;
use anyhow::Result;
use clap::Args;
use rejoinder_app::config::{Config, process_env};
use rejoinder_app::lifecycle::{self, Database};

#[derive(Debug, Args)]
pub struct Reach {
    /// Of the demo, which keeps a database of its own.
    #[arg(long)]
    demo: bool,
}

/// Opens the database for `work`, and lets go what was started for it, whatever came of it.
pub async fn with<T>(reach: &Reach, work: impl AsyncFnOnce(&Database, &Config) -> Result<T>) -> Result<T> {
    let config = if reach.demo { Config::load_demo(&process_env)? } else { Config::load(&process_env)? };
    run::start_logging(&config)?;
    let database = lifecycle::reach_database(&config).await?;
    let done = work(&database, &config).await;
    database.pool.close().await;
    if let Some(cluster) = database.cluster {
        cluster.stop().await?;
    }
    done.map_err(explained)
}

fn explained(error: anyhow::Error) -> anyhow::Error {
    if error.downcast_ref::<sqlx::Error>().is_some_and(is_older) { migrate_first() } else { error }
}

/// What the operator does when `is_older` says so.
pub fn migrate_first() -> anyhow::Error {
    anyhow::anyhow!("the database was made by an older Rejoinder; bring it up to date first: rejoinder migrate")
}

/// The table or the column is not there yet.
pub fn is_older(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("42P01" | "42703"))
}
