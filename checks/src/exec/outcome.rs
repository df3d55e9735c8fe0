//! How a command ended, and what is wrong with that. No I/O.

use std::fmt;
use std::time::Duration;

use super::codes::ExitCodes;
use super::output::{Output, Patterns, Seen, StreamSeen};
use crate::describe::shorten;
use crate::values::Span;

/// How one attempt to run a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With an exit code.
    Exited(i32),
    /// By a signal, by name, that was not ours.
    Killed(String),
    /// Not by itself within its time.
    TimedOut(Limit),
    /// It never started; the reason follows "cannot start NAME: ".
    CannotStart(String),
    /// It may have run, but how it ended is not known; the reason follows "NAME: ".
    Unknown(String),
    /// It was not even tried; the reason, as a sentence of its own.
    NotTried(String),
}

impl Outcome {
    /// This end, with what the command had written until then.
    pub(crate) fn with(self, output: Output<'_>) -> (Outcome, Seen) {
        let seen = match self {
            Outcome::TimedOut(_) => output.cut_off(),
            _ => output.finish(),
        };
        (self, seen)
    }
}

impl fmt::Display for Outcome {
    /// For the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Exited(code) => write!(f, "exit code {}", code_words(*code)),
            Outcome::Killed(signal) => write!(f, "killed by {signal}"),
            Outcome::TimedOut(_) => f.write_str("not finished in time"),
            Outcome::CannotStart(reason) | Outcome::Unknown(reason) | Outcome::NotTried(reason) => {
                f.write_str(reason)
            }
        }
    }
}

/// Which time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The command's own.
    Timeout(Duration),
    /// The whole run's.
    Deadline,
}

/// What a command has to do.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) codes: ExitCodes,
    pub(crate) stdout: Patterns,
    pub(crate) stderr: Patterns,
    /// Whether findings quote the command's last words.
    pub(crate) quote: bool,
}

/// Signals as a shell numbers them, those that end programs.
const SIGNALS: &[(i32, &str)] = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
];

impl Expected {
    /// What is wrong with a command called `name` that ended with `outcome`; nothing, if it did as expected.
    pub(crate) fn failures(&self, name: &str, outcome: &Outcome, seen: &Seen) -> Vec<String> {
        let mut failures = Vec::new();
        let expected = format!("{name}: expected exit code {}", self.codes);
        match outcome {
            Outcome::CannotStart(reason) => return vec![format!("cannot start {name}: {reason}")],
            Outcome::Unknown(reason) => return vec![format!("{name}: {reason}")],
            Outcome::NotTried(reason) => return vec![reason.clone()],
            Outcome::TimedOut(Limit::Timeout(limit)) => {
                let words = format!(
                    "{name}: expected it to end within {}, it was still running",
                    Span(*limit)
                );
                return vec![words + &self.quote(seen)];
            }
            Outcome::TimedOut(Limit::Deadline) => {
                let words = format!(
                    "{name}: expected it to end before the deadline of the run, it was still running"
                );
                return vec![words + &self.quote(seen)];
            }
            Outcome::Killed(signal) => {
                failures.push(format!(
                    "{expected}, it was killed by {signal}{}",
                    self.quote(seen)
                ));
            }
            Outcome::Exited(code) if !self.codes.contains(*code) => {
                failures.push(format!(
                    "{expected}, got {}{}",
                    code_words(*code),
                    self.quote(seen)
                ));
            }
            Outcome::Exited(_) => {}
        }
        pattern_failures(name, "stdout", &seen.stdout, &mut failures);
        pattern_failures(name, "stderr", &seen.stderr, &mut failures);
        failures
    }

    /// The last words of a command that failed, which most programs write to standard error.
    fn quote(&self, seen: &Seen) -> String {
        let last = |stream: &StreamSeen, name: &str| {
            stream
                .last
                .as_ref()
                .map(|last| format!("; {name} ends with \"{last}\""))
        };
        let words = last(&seen.stderr, "stderr").or_else(|| last(&seen.stdout, "stdout"));
        words.filter(|_| self.quote).unwrap_or_default()
    }
}

/// Shells, and container runtimes too, tell a signal by a code above 128.
fn code_words(code: i32) -> String {
    match SIGNALS.iter().find(|(number, _)| code == 128 + number) {
        Some((_, signal)) => format!("{code} (128 + {signal})"),
        None => code.to_string(),
    }
}

fn pattern_failures(name: &str, stream: &str, seen: &StreamSeen, failures: &mut Vec<String>) {
    let shown = |pattern: &str| shorten(pattern, 80);
    for pattern in &seen.missing {
        failures.push(format!(
            "{name}: expected a line of {stream} to match /{}/, none did",
            shown(pattern)
        ));
    }
    for pattern in &seen.present {
        failures.push(format!(
            "{name}: expected no line of {stream} to match /{}/, one did",
            shown(pattern)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(codes: &str, quote: bool) -> Expected {
        Expected {
            codes: codes.parse().unwrap(),
            stdout: Patterns::default(),
            stderr: Patterns::default(),
            quote,
        }
    }

    fn said(stdout: Option<&str>, stderr: Option<&str>) -> Seen {
        let stream = |last: Option<&str>| StreamSeen {
            last: last.map(str::to_owned),
            ..StreamSeen::default()
        };
        Seen {
            stdout: stream(stdout),
            stderr: stream(stderr),
            log: String::new(),
        }
    }

    #[test]
    fn each_end_has_its_words() {
        let seen = said(Some("out"), Some("err"));
        let second = Duration::from_secs(1);
        for (outcome, words) in [
            (
                Outcome::Exited(3),
                r#"a.sh: expected exit code 0, got 3; stderr ends with "err""#,
            ),
            (
                Outcome::Exited(137),
                r#"a.sh: expected exit code 0, got 137 (128 + SIGKILL); stderr ends with "err""#,
            ),
            (
                Outcome::Killed("SIGSEGV".into()),
                r#"a.sh: expected exit code 0, it was killed by SIGSEGV; stderr ends with "err""#,
            ),
            (
                Outcome::TimedOut(Limit::Timeout(second)),
                r#"a.sh: expected it to end within 1s, it was still running; stderr ends with "err""#,
            ),
            (
                Outcome::TimedOut(Limit::Deadline),
                r#"a.sh: expected it to end before the deadline of the run, it was still running; stderr ends with "err""#,
            ),
            (
                Outcome::CannotStart("not found in PATH".into()),
                "cannot start a.sh: not found in PATH",
            ),
            (
                Outcome::Unknown("connection lost".into()),
                "a.sh: connection lost",
            ),
            (Outcome::NotTried("no container".into()), "no container"),
        ] {
            assert_eq!(
                expected("0", true).failures("a.sh", &outcome, &seen),
                [words]
            );
        }
        assert_eq!(
            expected("0,3", true).failures("a.sh", &Outcome::Exited(3), &seen),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_last_words_are_those_of_stderr_if_it_has_any() {
        let failure = |quote, seen| {
            expected("0", quote)
                .failures("a", &Outcome::Exited(1), &seen)
                .remove(0)
        };
        assert_eq!(
            failure(true, said(Some("x"), None)),
            r#"a: expected exit code 0, got 1; stdout ends with "x""#
        );
        assert_eq!(
            failure(true, said(None, None)),
            "a: expected exit code 0, got 1"
        );
        assert_eq!(
            failure(false, said(Some("x"), Some("y"))),
            "a: expected exit code 0, got 1"
        );
    }

    #[test]
    fn patterns_are_judged_beside_the_code() {
        let mut seen = said(None, None);
        seen.stdout.missing = vec!["^ready$".into()];
        seen.stderr.present = vec!["WARN".into()];
        let failures = expected("0", true).failures("a", &Outcome::Exited(1), &seen);
        assert_eq!(
            failures,
            [
                "a: expected exit code 0, got 1",
                "a: expected a line of stdout to match /^ready$/, none did",
                "a: expected no line of stderr to match /WARN/, one did",
            ]
        );
        assert_eq!(
            expected("0", true)
                .failures("a", &Outcome::Exited(0), &seen)
                .len(),
            2
        );
    }
}
