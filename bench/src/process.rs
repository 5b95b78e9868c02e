//! One server process of ours: started, watched, killed, stopped and continued. Ended when its value goes.

use crate::home::Settings;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_PATIENCE: Duration = Duration::from_secs(90);
/// Longer than the server gives its running work.
const STOP_PATIENCE: Duration = Duration::from_secs(40);
const READY: &str = "Rejoinder is ready";

/// The binary `rejoinder`.
#[derive(Debug, Clone)]
pub struct Program(PathBuf);

impl Program {
    /// The given one, else the one beside this program.
    pub fn find(given: Option<PathBuf>) -> Result<Self> {
        let path = match given {
            Some(path) => path,
            None => std::env::current_exe()?.with_file_name("rejoinder"),
        };
        if !path.is_file() {
            bail!(
                "there is no server at {}; build it (cargo build --workspace) or name it with --rejoinder",
                path.display()
            );
        }
        Ok(Self(std::path::absolute(path)?))
    }

    /// A command that ends by itself: what it printed. An error when it did not end well.
    pub async fn run(&self, home: &Path, arguments: &[&str], settings: &Settings) -> Result<String> {
        let mut command = tokio::process::Command::from(self.command(home, arguments, settings));
        let ended = command.kill_on_drop(true).output().await?;
        if !ended.status.success() {
            bail!("rejoinder {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&ended.stderr).trim_end());
        }
        Ok(String::from_utf8(ended.stdout)?)
    }

    /// Nothing of the caller's environment reaches it but where programs and libraries are.
    fn command(&self, home: &Path, arguments: &[&str], settings: &Settings) -> Command {
        let mut command = Command::new(&self.0);
        command.args(arguments).env_clear().current_dir(home).stdin(Stdio::null());
        for kept in ["PATH", "POSTGRES_BIN_DIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command.envs(settings);
        command
    }

    pub async fn serve(&self, home: &Path, name: &str, roles: &str, settings: &Settings) -> Result<Process> {
        let log = home.join(format!("{name}.log"));
        let before = length(&log);
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = self.command(home, &["serve", "--roles", roles], settings);
        command.stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.0.display()))?;
        let mut process = Process { name: name.to_owned(), child, log };
        process.until_ready(before).await?;
        Ok(process)
    }
}

fn length(file: &Path) -> usize {
    std::fs::metadata(file).map_or(0, |file| usize::try_from(file.len()).unwrap_or(usize::MAX))
}

#[derive(Debug)]
pub struct Process {
    pub name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    async fn until_ready(&mut self, before: usize) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let ended = self.child.try_wait()?;
            let said = std::fs::read(&self.log).unwrap_or_default().split_off(before.min(length(&self.log)));
            let said = String::from_utf8_lossy(&said);
            if said.contains(READY) {
                return Ok(());
            }
            if ended.is_some() || Instant::now() > deadline {
                let what = if ended.is_some() { "ended instead of starting" } else { "is not ready in time" };
                bail!("{} {what}: {}", self.name, said.trim_end());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid(), signal).with_context(|| format!("{} could not be sent {}", self.name, signal.as_str()))
    }

    /// The process ended by itself.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// kill -9, and gone when this returns.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM. What runs may finish.
    pub async fn stop(mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("{} does not end when asked to", self.name);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Resident memory in KiB; None where the system does not tell.
    pub fn resident_kib(&self) -> Option<u64> {
        self.status_kib("VmRSS:")
    }

    /// The most that it ever was.
    pub fn most_resident_kib(&self) -> Option<u64> {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, field: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.end();
        }
    }
}
