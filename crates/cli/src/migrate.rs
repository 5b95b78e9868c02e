//! `rejoinder migrate`.

use crate::run;
use anyhow::Result;
use rejoinder_app::config::{Config, process_env};
use rejoinder_app::{database, lifecycle};

pub async fn run() -> Result<()> {
    let config = Config::load(&process_env)?;
    run::start_logging(&config)?;
    let database = lifecycle::open_database(&config).await?;
    let migrated = database::migrate(&database.pool).await;
    database.pool.close().await;
    if let Some(cluster) = database.cluster {
        cluster.stop().await?;
    }
    migrated?;
    println!("The database is up to date.");
    Ok(())
}
