//! A check's binary, run as Kuberhealthy would, and what it reports.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Seen, Server};

const RUN_UUID: &str = "3b0fa8f6-2a2f-4ec9-a8cd-1a0b8a8f3f41";

/// Which Kuberhealthy is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Line {
    V2,
    V3,
}

impl Line {
    fn path(self) -> &'static str {
        match self {
            Line::V2 => "/externalCheckStatus",
            Line::V3 => "/check",
        }
    }
}

/// A run to be: with nothing in its environment but what Kuberhealthy sets and what tests add.
pub(crate) struct Check {
    line: Line,
    deadline: Option<Duration>,
    command: Command,
}

impl Check {
    /// A run of this binary in the namespace `kuberhealthy`, which has a minute.
    pub(crate) fn of(binary: &str) -> Check {
        let mut command = Command::new(binary);
        command
            .env_clear()
            .env("KH_POD_NAMESPACE", "kuberhealthy")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Check {
            line: Line::V3,
            deadline: Some(Duration::from_secs(60)),
            command,
        }
    }

    pub(crate) fn var(mut self, name: &str, value: &str) -> Check {
        self.command.env(name, value);
        self
    }

    pub(crate) fn with(mut self, vars: &[(&str, &str)]) -> Check {
        self.command.envs(vars.iter().copied());
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Check {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Check {
        self.command.args(args);
        self
    }

    pub(crate) fn line(mut self, line: Line) -> Check {
        self.line = line;
        self
    }

    /// Another deadline, or none.
    pub(crate) fn deadline(mut self, deadline: impl Into<Option<Duration>>) -> Check {
        self.deadline = deadline.into();
        self
    }

    /// Runs it; asserts that exactly one report arrived and that the exit code says so.
    #[track_caller]
    pub(crate) fn run(self) -> Verdict {
        self.start().end()
    }

    /// Starts it under a Kuberhealthy that waits for its report.
    pub(crate) fn start(mut self) -> Running {
        let kuberhealthy = Server::saying(200, &[], "");
        self.command
            .env("KH_REPORTING_URL", kuberhealthy.url(self.line.path()))
            .env("KH_RUN_UUID", RUN_UUID);
        if let Some(deadline) = self.deadline {
            let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + deadline;
            self.command
                .env("KH_CHECK_RUN_DEADLINE", deadline.as_secs().to_string());
        }
        Running {
            line: self.line,
            started: Instant::now(),
            child: self.command.spawn().unwrap(),
            kuberhealthy,
        }
    }

    /// Runs it as on a terminal, without Kuberhealthy.
    pub(crate) fn alone(mut self) -> Output {
        self.command.output().unwrap()
    }
}

/// A run under way.
pub(crate) struct Running {
    line: Line,
    started: Instant,
    child: Child,
    kuberhealthy: Server,
}

impl Running {
    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    /// Waits for its end, whatever that is, and gives the reports it made.
    pub(crate) fn wait(self) -> (Output, Vec<Seen>, Duration) {
        let output = self.child.wait_with_output().unwrap();
        (output, self.kuberhealthy.seen(), self.started.elapsed())
    }

    /// Waits for its end; asserts that exactly one report arrived and that the exit code says so.
    #[track_caller]
    pub(crate) fn end(self) -> Verdict {
        let path = self.line.path();
        let (output, reports, took) = self.wait();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert_eq!(reports.len(), 1, "{log}");
        let report = &reports[0];
        assert_eq!(
            (report.method.as_str(), report.path.as_str()),
            ("POST", path)
        );
        assert_eq!(report.header("kh-run-uuid"), RUN_UUID);
        let body: Value = serde_json::from_str(&report.body).unwrap();
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

/// What a run reported.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) ok: bool,
    pub(crate) errors: Vec<String>,
    pub(crate) log: String,
    pub(crate) took: Duration,
}

impl Verdict {
    #[track_caller]
    pub(crate) fn passed(&self) -> &Verdict {
        assert!(self.ok && self.errors.is_empty(), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn failed(&self, errors: &[&str]) -> &Verdict {
        assert!(!self.ok, "{self:#?}");
        assert_eq!(self.errors, errors, "{self:#?}");
        self
    }

    /// One error, which is `start` and then `end`.
    #[track_caller]
    pub(crate) fn failed_at(&self, start: &str, end: &str) -> &Verdict {
        self.failed(&[&format!("{start}: {end}")])
    }

    /// One error with all of `parts` in it.
    #[track_caller]
    pub(crate) fn failed_with(&self, parts: &[&str]) -> &Verdict {
        assert!(!self.ok && self.errors.len() == 1, "{self:#?}");
        for part in parts {
            assert!(self.errors[0].contains(part), "{part} is not in {self:#?}");
        }
        self
    }
}
