//! A Postgres like the one of a measurement, for a program that is measured beside the server.

use crate::home;
use anyhow::Result;
use std::future::Future;

/// Prints its address and keeps it until it is to stop.
pub async fn run(stopped: impl Future<Output = Result<()>>) -> Result<()> {
    let folder = home::folder()?;
    let cluster = home::start_cluster(folder.path()).await?;
    println!("{}", home::database_url(folder.path()));
    let stopped = stopped.await;
    cluster.stop().await?;
    stopped
}
