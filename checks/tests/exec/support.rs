//! Runs of the binary, and a look at the processes they leave.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use super::common::{Line, PATIENCE, Server, Verdict};

/// A run to be.
pub(crate) struct Exec {
    line: Line,
    deadline: Duration,
    command: Command,
    kuberhealthy: Server,
}

/// exec-check with these variables, PATH, and what Kuberhealthy sets.
pub(crate) fn exec(vars: &[(&str, &str)]) -> Exec {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exec-check"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("KH_RUN_UUID", "3b0fa8f6-2a2f-4ec9-a8cd-1a0b8a8f3f41")
        .env("KH_POD_NAMESPACE", "shop")
        .envs(vars.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Exec {
        line: Line::V3,
        deadline: Duration::from_secs(60),
        command,
        kuberhealthy: Server::saying(200, &[], ""),
    }
}

/// exec-check of a shell line.
pub(crate) fn shell(line: &str) -> Exec {
    exec(&[("EXEC_COMMAND", line)])
}

/// exec-check of a program with its arguments.
pub(crate) fn program(argv: &[&str]) -> Exec {
    exec(&[]).arg("--").args(argv)
}

impl Exec {
    pub(crate) fn var(mut self, name: &str, value: &str) -> Exec {
        self.command.env(name, value);
        self
    }

    pub(crate) fn vars(mut self, vars: &[(&str, &str)]) -> Exec {
        self.command.envs(vars.iter().copied());
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Exec {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Exec {
        self.command.args(args);
        self
    }

    pub(crate) fn line(mut self, line: Line) -> Exec {
        self.line = line;
        self
    }

    pub(crate) fn deadline(mut self, deadline: Duration) -> Exec {
        self.deadline = deadline;
        self
    }

    /// Runs it; asserts that exactly one report arrived and that the exit code says so.
    #[track_caller]
    pub(crate) fn run(self) -> Verdict {
        self.start().verdict()
    }

    /// Runs it on a terminal, as it were: without Kuberhealthy.
    pub(crate) fn on_terminal(mut self) -> Output {
        self.command.output().unwrap()
    }

    pub(crate) fn start(mut self) -> Running {
        let path = if self.line == Line::V2 {
            "/externalCheckStatus"
        } else {
            "/check"
        };
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + self.deadline;
        self.command
            .env("KH_REPORTING_URL", self.kuberhealthy.url(path))
            .env("KH_CHECK_RUN_DEADLINE", deadline.as_secs().to_string());
        Running {
            started: Instant::now(),
            child: self.command.spawn().unwrap(),
            kuberhealthy: self.kuberhealthy,
        }
    }
}

/// A run under way.
pub(crate) struct Running {
    started: Instant,
    child: Child,
    kuberhealthy: Server,
}

impl Running {
    pub(crate) fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    /// Its end, and the reports it made.
    pub(crate) fn end(self) -> (Output, Vec<String>, Duration) {
        let output = self.child.wait_with_output().unwrap();
        let reports = self
            .kuberhealthy
            .seen()
            .into_iter()
            .map(|report| report.body)
            .collect();
        (output, reports, self.started.elapsed())
    }

    #[track_caller]
    pub(crate) fn verdict(self) -> Verdict {
        let (output, reports, took) = self.end();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert_eq!(reports.len(), 1, "{log}");
        let body: Value = serde_json::from_str(&reports[0]).unwrap();
        let errors = body["Errors"].as_array().unwrap().iter();
        Verdict {
            ok: body["OK"].as_bool().unwrap(),
            errors: errors
                .map(|error| error.as_str().unwrap().to_owned())
                .collect(),
            log,
            took,
        }
    }
}

/// A folder for scripts and for what they write.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The path as text, to be put into commands.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// An executable file.
    pub(crate) fn script(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        self.text(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Waits until the file holds a process id, and returns it.
    #[track_caller]
    pub(crate) fn pid(&self, name: &str) -> u32 {
        let mut pid = None;
        eventually(name, || {
            pid = self
                .read(name)
                .strip_suffix('\n')
                .and_then(|text| text.parse().ok());
            pid.is_some()
        });
        pid.unwrap()
    }
}

/// Waits for `condition`, but not forever.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited too long for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the process is there and no zombie.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with('Z'))
}
