//! The example check `scripted` as a process.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use super::{PLENTY, UUID};

pub(crate) struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    started: Instant,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: std::time::Duration,
}

/// Cargo builds examples next to the folder that holds the test's own executable.
fn scripted() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/scripted");
    assert!(
        path.exists(),
        "{path:?}: not built; `cargo build -p khclient --examples` does"
    );
    path
}

/// A command for `scripted ARGS` that reports to `url`, in an otherwise empty environment.
pub(crate) fn command(url: Option<&str>, args: &[&str]) -> Command {
    let mut command = Command::new(scripted());
    command.args(args).env_clear();
    if let Some(url) = url {
        command
            .env("KH_REPORTING_URL", url)
            .env("KH_RUN_UUID", UUID);
    }
    command
}

/// Runs [`command`] to its end.
pub(crate) fn run(url: Option<&str>, args: &[&str]) -> Ended {
    Process::start(command(url, args)).wait()
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Process {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Process {
            child,
            stdout,
            started,
        }
    }

    /// Waits for the next line on standard output to be `expected`.
    pub(crate) fn expect_line(&mut self, expected: &str) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end, which must come soon.
    pub(crate) fn wait(mut self) -> Ended {
        let end = Instant::now() + PLENTY;
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() > end {
                self.child.kill().unwrap();
                let _ = self.child.wait();
                panic!("the check is still running after {PLENTY:?}");
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let took = self.started.elapsed();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        let code = self.child.wait().unwrap().code();
        Ended {
            code,
            stdout,
            stderr,
            took,
        }
    }
}
