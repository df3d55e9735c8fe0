//! Checks for Kuberhealthy: probes and one small binary for each.
//!
//! ```text
//! variables, arguments --cli--> options --Check--> job --khclient::run--> one verdict
//! ```
//!
//! A binary in `src/bin/` names its check and nothing else; `khctl check` runs the same code through [`find`].

use std::ffi::OsString;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use khclient::{Context, Report, RunEnv};

pub mod cli;
pub mod cluster;
pub mod dependency;
pub mod describe;
pub mod dns;
pub mod exec;
pub mod http;
pub mod logs;
pub mod pods;
pub mod restarts;
pub mod tcp;
pub mod tls;
pub mod values;

use cli::{ConfigError, Names, OptionDoc, Stop};

/// What checks call themselves towards servers.
pub(crate) const USER_AGENT: &str = concat!("kuberhealer-check/", env!("CARGO_PKG_VERSION"));

/// Writes a line of progress to the pod's log. Findings are fixed texts; numbers that change belong here.
macro_rules! log {
    ($($arg:tt)*) => {
        crate::write_line(&mut std::io::stderr().lock(), &khclient::redact_urls(&format!($($arg)*)))
    };
}
pub(crate) use log;

/// Writes a line, and does without if nobody reads: `println!` and `eprintln!` panic on a closed pipe, which would make a
/// verdict out of a reader that went away.
pub(crate) fn write_line(out: &mut dyn Write, text: &str) {
    let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
}

/// A check with its options in place, ready to run.
pub(crate) type Job = Box<dyn FnOnce(Context) -> Pin<Box<dyn Future<Output = Report>>> + Send>;

/// Looks up an environment variable.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Checks the options against each other.
type Prepare = fn(&ArgMatches, Lookup<'_>) -> Result<Job, Vec<ConfigError>>;

/// One check: what it is called, what its options are, and how to run it.
pub struct Check {
    /// Such as `http-check`: the name of the binary and of the image.
    pub name: &'static str,
    /// One line on what it does.
    pub about: &'static str,
    /// Official images, without a tag, that it replaces.
    pub replaces: &'static [&'static str],
    /// Command lines for `--help`, each on a line of its own after a line with `#` that says what it is for.
    pub examples: &'static str,
    pub(crate) names: Names,
    pub(crate) augment: fn(Command) -> Command,
    pub(crate) prepare: Prepare,
}

/// Every check there is.
pub static CHECKS: &[&Check] = &[
    &http::CHECK,
    &tcp::CHECK,
    &exec::CHECK,
    &dependency::CHECK,
    &restarts::CHECK,
    &logs::CHECK,
];

/// The check called `name`, with or without `-check` at its end.
pub fn find(name: &str) -> Option<&'static Check> {
    CHECKS
        .iter()
        .copied()
        .find(|check| check.name == name || check.name.strip_suffix("-check") == Some(name))
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check({})", self.name)
    }
}

impl Check {
    /// The command line, with the variable of each option in its help.
    pub fn command(&self) -> Command {
        cli::with_help(self.bare_command())
    }

    /// What `--help` prints, with `called` as what starts the check: its name, or a command and its arguments.
    pub fn help(&self, called: &str) -> String {
        cli::help(self.bare_command(), self.examples, called)
    }

    fn bare_command(&self) -> Command {
        // The text on the struct of options would take the place of what the check says of itself.
        (self.augment)(Command::new(self.name))
            .about(self.about)
            .version(env!("CARGO_PKG_VERSION"))
    }

    /// Every option, in the order of `--help`.
    pub fn options(&self) -> Vec<OptionDoc> {
        cli::options(&self.bare_command(), self.names)
    }

    /// Runs the check with the arguments and the environment of this process.
    pub fn main(&'static self) -> ExitCode {
        self.run(self.name, std::env::args_os().skip(1).collect(), &|name| {
            // What is not UTF-8 is passed on too, for its option to refuse it.
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// Runs the check with `args` (without a program name) and the variables that `lookup` knows, and reports its
    /// verdict. A wrong configuration is a verdict too. `--help` prints and returns 0; `called` is as in [`Check::help`].
    pub fn run(
        &'static self,
        called: &str,
        args: Vec<OsString>,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> ExitCode {
        let env = RunEnv::read(lookup);
        // No other thread runs yet, and what a panic leaves half done here is not used again.
        let prepared = catch_unwind(AssertUnwindSafe(|| self.prepared(&args, lookup)));
        match prepared {
            Ok(Ok(job)) => khclient::run_in(env, job),
            Ok(Err(Stop::Print(text))) => {
                write_line(&mut std::io::stdout().lock(), &text);
                ExitCode::SUCCESS
            }
            Ok(Err(Stop::Help)) => {
                write_line(&mut std::io::stdout().lock(), &self.help(called));
                ExitCode::SUCCESS
            }
            Ok(Err(Stop::Wrong(errors))) => {
                khclient::run_in(env, |_| async { Report::misconfigured(errors) })
            }
            // It goes on where it is reported.
            Err(panic) => khclient::run_in(env, |_| async { resume::<Report>(panic) }),
        }
    }

    fn prepared(&self, args: &[OsString], lookup: Lookup<'_>) -> Result<Job, Stop> {
        let matches = cli::parse(self.bare_command(), self.names, args, lookup)?;
        (self.prepare)(&matches, lookup).map_err(Stop::Wrong)
    }
}

fn resume<T>(panic: Box<dyn std::any::Any + Send>) -> T {
    resume_unwind(panic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_found_by_both_names() {
        assert_eq!(find("http").map(|check| check.name), Some("http-check"));
        assert_eq!(
            find("http-check").map(|check| check.name),
            Some("http-check")
        );
        assert!(find("https").is_none());
    }

    /// The variables and the arguments of an example, split as a shell does where only single quotes are used.
    fn split(line: &str, name: &str) -> (Vec<(String, String)>, Vec<OsString>) {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match (c, words.last_mut()) {
                ('\'', _) => quoted = !quoted,
                (' ', _) if !quoted => words.push(String::new()),
                (c, Some(word)) => word.push(c),
                (_, None) => unreachable!(),
            }
        }
        let at = words.iter().position(|word| word == name).unwrap();
        let set = words[..at]
            .iter()
            .map(|word| word.split_once('=').unwrap())
            .map(|(env, value)| (env.to_owned(), value.to_owned()));
        (
            set.collect(),
            words[at + 1..].iter().map(Into::into).collect(),
        )
    }

    #[test]
    fn examples_can_be_pasted() {
        for check in CHECKS {
            let lines = check.examples.lines().filter(|line| !line.starts_with('#'));
            assert!((3..=5).contains(&lines.clone().count()), "{}", check.name);
            for line in lines {
                let (set, args) = split(line, check.name);
                let options = check.options();
                for (env, _) in &set {
                    assert!(
                        options.iter().any(|option| option.env == *env),
                        "{env}: {line}"
                    );
                }
                let lookup = |env: &str| {
                    let found = set.iter().find(|(name, _)| name == env);
                    found.map(|(_, value)| value.clone())
                };
                let matches = cli::parse(check.bare_command(), check.names, &args, &lookup);
                let job = (check.prepare)(&matches.unwrap(), &lookup);
                assert_eq!(job.map(drop), Ok(()), "{line}");
            }
            for part in check.examples.lines().chain(["KH_REPORTING_URL"]) {
                assert!(check.help(check.name).contains(part), "{part}");
            }
        }
    }

    #[test]
    fn commands_are_well_formed() {
        for check in CHECKS {
            check.command().debug_assert();
        }
    }

    #[test]
    fn a_panic_over_the_options_is_a_verdict_too() {
        static BROKEN: Check = Check {
            name: "broken-check",
            about: "Cannot even begin",
            replaces: &[],
            examples: "",
            names: Names {
                official: &[],
                secret: &[],
            },
            augment: |command| command,
            prepare: |_, _| panic!("no such option"),
        };
        let kuberhealthy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/check", kuberhealthy.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = kuberhealthy.accept().unwrap();
            let mut request = String::new();
            while !request.ends_with("]}") {
                let mut byte = [0];
                std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
                request.push(byte[0].into());
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
            request
        });
        BROKEN.run("broken", Vec::new(), &|name| {
            (name == "KH_REPORTING_URL").then(|| url.clone())
        });
        let request = server.join().unwrap();
        let body = r#"{"OK":false,"Errors":["the check panicked: no such option"]}"#;
        assert!(request.ends_with(body), "{request}");
    }

    /// Kubernetes sets such names for every service of a namespace.
    #[test]
    fn no_option_can_be_mistaken_for_a_service_link() {
        for option in CHECKS.iter().flat_map(|check| check.options()) {
            let taken = option.env.ends_with("_PORT") || option.env.ends_with("_SERVICE_HOST");
            assert!(!taken || option.official, "{}", option.env);
            let set = [
                "NAMESPACE",
                "SELECTOR",
                "HOSTNAME",
                "PATH",
                "HOME",
                "POD_NAMESPACE",
            ];
            let set = set.contains(&option.env.as_str());
            assert!(!set || option.official, "{}", option.env);
        }
    }

    #[test]
    fn names_that_are_listed_exist() {
        for check in CHECKS {
            let options = check.options();
            for name in check.names.official.iter().chain(check.names.secret) {
                assert!(options.iter().any(|option| option.env == *name), "{name}");
            }
            for option in options {
                assert_eq!(
                    option.flag,
                    format!("--{}", option.env.to_ascii_lowercase().replace('_', "-"))
                );
                assert!(
                    !option.help.is_empty() && option.group != "Options",
                    "{}",
                    option.env
                );
            }
        }
    }
}
