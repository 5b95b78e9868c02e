//! One running process of ours.

use crate::home::Home;
use crate::wait::until_blocking;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_rejoinder");
/// The machine may be busy with other tests.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Longer than the server gives its running work.
const STOP_PATIENCE: Duration = Duration::from_secs(40);

/// A command of ours in this home; nothing of the caller's environment reaches it.
pub fn rejoinder(home: &Home) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().current_dir(home.path()).stdin(Stdio::null()).env("DATA_DIR", home.data_dir());
    for name in ["PATH", "POSTGRES_BIN_DIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// A process that is ended, and waited for, when this value goes.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts the command, with all output appended to the log of the home, and waits until that log says `ready`.
    /// Returns also what this process wrote until then.
    pub fn start(home: &Home, command: &mut Command, ready: &str) -> (Self, String) {
        let before = home.log().len();
        let log = OpenOptions::new().create(true).append(true).open(home.log_file()).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut server = Self { child };
        let said = until_blocking(START_PATIENCE, || {
            let said = home.log().split_off(before);
            let ended = server.child.try_wait().unwrap();
            (said.contains(ready) || ended.is_some()).then_some(said)
        });
        let said = said.unwrap_or_else(|| panic!("never ready: {}", home.log()));
        assert!(said.contains(ready), "ended instead of starting: {said}");
        (server, said)
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and its exit.
    pub fn stop(mut self) -> ExitStatus {
        self.ask_to_stop().expect("it ends when asked to")
    }

    fn ask_to_stop(&mut self) -> Option<ExitStatus> {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        until_blocking(STOP_PATIENCE, || self.child.try_wait().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if self.ask_to_stop().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What a command that ends by itself did.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the command to its end. Panics, and kills it, when it has not ended after `patience`.
pub fn run(command: &mut Command, patience: Duration) -> Ended {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let readers = [read(out), read(err)];
    let status = until_blocking(patience, || child.try_wait().unwrap());
    if status.is_none() {
        let _ = kill(pid, Signal::SIGKILL);
        let _ = child.wait();
    }
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap());
    let status = status.unwrap_or_else(|| panic!("did not end within {} s: {stdout}{stderr}", patience.as_secs()));
    Ended { code: status.code(), stdout, stderr }
}

fn read(mut from: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
