//! Checks for Kuberhealthy: probes and one small binary for each.
//!
//! ```text
//! variables, arguments --cli--> options --Check--> job --khclient::run--> one verdict
//! ```
//!
//! A binary in `src/bin/` names its check and nothing else; `khctl check` runs the same code through [`find`].

use std::ffi::OsString;
use std::pin::Pin;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use khclient::{Context, Report, RunEnv};

pub mod cli;
pub mod cluster;
pub mod dependency;
pub mod describe;
pub mod dns;
pub mod http;
pub mod pods;
pub mod restarts;
pub mod tls;
pub mod values;

use cli::{ConfigError, Names, OptionDoc, Stop};

/// What checks call themselves towards servers.
pub(crate) const USER_AGENT: &str = concat!("kuberhealer-check/", env!("CARGO_PKG_VERSION"));

/// Writes a line of progress to the pod's log. Findings are fixed texts; numbers that change belong here.
macro_rules! log {
    ($($arg:tt)*) => {
        eprintln!("{}", khclient::redact_urls(&format!($($arg)*)))
    };
}
pub(crate) use log;

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
    pub(crate) names: Names,
    pub(crate) augment: fn(Command) -> Command,
    pub(crate) prepare: Prepare,
}

/// Every check there is.
pub static CHECKS: &[&Check] = &[&http::CHECK, &dependency::CHECK, &restarts::CHECK];

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
        self.run(std::env::args_os().skip(1).collect(), &|name| {
            // What is not UTF-8 is passed on too, for its option to refuse it.
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// Runs the check with `args` (without a program name) and the variables that `lookup` knows, and reports its
    /// verdict. A wrong configuration is a verdict too. `--help` prints and returns 0.
    pub fn run(
        &'static self,
        args: Vec<OsString>,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> ExitCode {
        let job = match cli::parse(self.bare_command(), self.names, &args, lookup) {
            Ok(matches) => (self.prepare)(&matches, lookup),
            Err(Stop::Print(text)) => {
                print!("{text}");
                return ExitCode::SUCCESS;
            }
            Err(Stop::Help) => {
                print!("{}", self.command().render_help());
                return ExitCode::SUCCESS;
            }
            Err(Stop::Wrong(error)) => Err(vec![error]),
        };
        let env = RunEnv::read(lookup);
        match job {
            Ok(job) => khclient::run_in(env, job),
            Err(errors) => khclient::run_in(env, |_| async { Report::misconfigured(errors) }),
        }
    }
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

    #[test]
    fn commands_are_well_formed() {
        for check in CHECKS {
            check.command().debug_assert();
        }
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
