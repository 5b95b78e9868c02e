//! What the commands that run for long share: the runtime, logging, and stopping on a signal.

use anyhow::{Result, bail};
use rejoinder_app::config::{Config, near_misses};
use rejoinder_app::lifecycle::Server;
use rejoinder_app::telemetry;
use std::future::Future;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Few threads: the server waits far more than it computes, and every thread costs memory.
const THREADS: usize = 2;

pub fn blocking(task: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?.block_on(task)
}

pub fn start_logging(config: &Config) -> Result<()> {
    telemetry::start_logging(config.log_format, &config.log_filter)?;
    for warning in near_misses(std::env::vars().map(|(name, _)| name)) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Ctrl-C and SIGTERM.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    pub fn listen() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Runs until a stop is asked for or a part breaks. A second signal ends at once; what was running is repaired at the next start.
pub async fn until_stopped(server: Server, stop: &mut Stop) -> Result<()> {
    let broken = tokio::select! {
        () = stop.asked() => false,
        () = server.broken() => true,
    };
    tracing::info!("stopping: running work may finish; once more to end at once");
    tokio::select! {
        ended = server.stop() => ended?,
        () = stop.asked() => bail!("stopped at once; what was running goes on at the next start"),
    }
    if broken {
        bail!("a worker could not go on; see the log above, then start again")
    }
    Ok(())
}
