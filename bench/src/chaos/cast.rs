//! The processes of a run, and what is done to them. A killed one is started again at once; a stopped one is left alone until it goes on.

use crate::home::Home;
use crate::process::Process;
use anyhow::{Result, bail};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// A start may meet Postgres on its way down or up.
const START_PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Cast {
    api: Option<Process>,
    workers: Vec<Worker>,
}

struct Worker {
    name: String,
    process: Option<Process>,
    stopped: bool,
    /// Left alone until then, so that it can do what it went on for.
    spared_until: Instant,
}

impl Cast {
    pub(super) async fn start(home: &Home, workers: usize) -> Result<Self> {
        let mut cast = Self { api: Some(home.serve("api", "api").await?), workers: Vec::new() };
        for number in 1..=workers {
            let name = format!("worker-{number}");
            let process = Some(home.serve(&name, "worker,scheduler").await?);
            cast.workers.push(Worker { name, process, stopped: false, spared_until: Instant::now() });
        }
        Ok(cast)
    }

    /// Workers that may be killed or stopped now.
    pub(super) fn free(&self) -> Vec<usize> {
        let now = Instant::now();
        let free = |worker: &Worker| worker.process.is_some() && !worker.stopped && worker.spared_until <= now;
        (0..self.workers.len()).filter(|number| free(&self.workers[*number])).collect()
    }

    pub(super) fn name(&self, worker: usize) -> &str {
        &self.workers[worker].name
    }

    pub(super) async fn kill_worker(&mut self, home: &Home, worker: usize) -> Result<()> {
        let worker = &mut self.workers[worker];
        if let Some(process) = worker.process.take() {
            process.kill();
        }
        worker.process = Some(start_again(home, &worker.name, "worker,scheduler").await?);
        Ok(())
    }

    pub(super) async fn kill_api(&mut self, home: &Home) -> Result<()> {
        if let Some(process) = self.api.take() {
            process.kill();
        }
        self.api = Some(start_again(home, "api", "api").await?);
        Ok(())
    }

    pub(super) fn stop_worker(&mut self, worker: usize) -> Result<()> {
        let worker = &mut self.workers[worker];
        if let Some(process) = &worker.process {
            process.signal(Signal::SIGSTOP)?;
        }
        worker.stopped = true;
        Ok(())
    }

    pub(super) fn let_go_on(&mut self, worker: usize, spared: Duration) -> Result<()> {
        let worker = &mut self.workers[worker];
        if let Some(process) = &worker.process {
            process.signal(Signal::SIGCONT)?;
        }
        worker.stopped = false;
        worker.spared_until = Instant::now() + spared;
        Ok(())
    }

    /// Nothing but us ends a process: one that ended by itself is a fault of its own.
    pub(super) fn check_alive(&mut self) -> Result<()> {
        let workers = self.workers.iter_mut().filter_map(|worker| worker.process.as_mut());
        for process in workers.chain(self.api.as_mut()) {
            if let Some(status) = process.ended() {
                bail!("{} ended by itself ({status})", process.name);
            }
        }
        Ok(())
    }

    /// In order, with time to finish.
    pub(super) async fn stop(self) -> Result<()> {
        for process in self.workers.into_iter().filter_map(|worker| worker.process).chain(self.api) {
            process.stop().await?;
        }
        Ok(())
    }
}

async fn start_again(home: &Home, name: &str, roles: &str) -> Result<Process> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        match home.serve(name, roles).await {
            Ok(process) => return Ok(process),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
