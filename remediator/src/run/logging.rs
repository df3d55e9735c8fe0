//! Logs: text for people or JSON lines for machines, to standard error.

use std::fmt;
use std::io::{IsTerminal as _, stderr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// It logs an error for each request without an answer, which whoever asked does too, and better.
const REPEATS: &str = "kube_client::client::builder";

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people, coloured on a terminal unless NO_COLOR is set.
    Text,
    /// One object a line: timestamp, level, target, message, and the fields of the event.
    Json,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLevel {
    text: String,
    targets: Targets,
}

impl FromStr for LogLevel {
    type Err = String;

    /// One level is that of the remediator's own lines, libraries then only warn; anything else is a list of
    /// `TARGET=LEVEL`.
    fn from_str(text: &str) -> Result<LogLevel, String> {
        let level = ["off", "error", "warn", "info", "debug", "trace"]
            .into_iter()
            .any(|level| level.eq_ignore_ascii_case(text));
        let targets = match text.parse::<LevelFilter>() {
            Ok(own) if level => Targets::new()
                .with_default(own.min(LevelFilter::WARN))
                .with_target("remediator", own)
                .with_target(REPEATS, LevelFilter::OFF),
            _ if text.contains('=') => text.parse().map_err(|_| expected())?,
            _ => return Err(expected()),
        };
        Ok(LogLevel {
            text: text.to_owned(),
            targets,
        })
    }
}

fn expected() -> String {
    "expected off, error, warn, info, debug or trace, or a list such as info,kube=debug".to_owned()
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Logs from now on, panics too.
///
/// # Errors
/// If something logs already.
pub(super) fn install(format: LogFormat, level: &LogLevel) -> Result<(), TryInitError> {
    let registry = tracing_subscriber::registry();
    let targets = level.targets.clone();
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    match format {
        LogFormat::Json => registry
            .with(lines.json().flatten_event(true).with_filter(targets))
            .try_init(),
        LogFormat::Text => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            let coloured = stderr().is_terminal() && !refused && !dumb;
            registry
                .with(lines.with_ansi(coloured).with_filter(targets))
                .try_init()
        }
    }
}

/// A line for what keeps going wrong: said at once when it changes, and once a minute while it does not.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    last: Option<(String, Instant)>,
}

impl Repeated {
    /// How long something is not said again.
    const AGAIN: Duration = Duration::from_secs(60);

    /// Whether to say it now.
    pub(super) fn is_due(&mut self, text: &str, now: Instant) -> bool {
        let known = self.last.as_ref();
        if known.is_some_and(|(last, at)| last == text && now < *at + Self::AGAIN) {
            return false;
        }
        self.last = Some((text.to_owned(), now));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing::Level;

    use super::{LogLevel, Repeated};
    use crate::clock;

    #[test]
    fn a_level_is_ours_and_libraries_only_warn() {
        for (text, target, level, expected) in [
            ("info", "remediator::run", Level::INFO, true),
            ("info", "remediator::run", Level::DEBUG, false),
            ("debug", "remediator", Level::DEBUG, true),
            ("debug", "kube_client::client", Level::DEBUG, false),
            ("debug", "kube_client::client", Level::WARN, true),
            ("error", "kube_client::client", Level::WARN, false),
            ("info", "kube_client::client::builder", Level::ERROR, false),
            (
                "kube_client=error",
                "kube_client::client::builder",
                Level::ERROR,
                true,
            ),
            ("off", "remediator", Level::ERROR, false),
            (
                "info,kube_client=debug",
                "kube_client::client",
                Level::DEBUG,
                true,
            ),
            ("remediator=warn", "remediator", Level::INFO, false),
        ] {
            let parsed: LogLevel = text.parse().unwrap();
            let enabled = parsed.targets.would_enable(target, &level);
            assert_eq!(enabled, expected, "{text}: {target} {level}");
            assert_eq!(parsed.to_string(), text);
        }
        for wrong in ["", "loud", "3", "remediator=loud", "remediator"] {
            let error = wrong.parse::<LogLevel>().unwrap_err();
            assert!(error.starts_with("expected off, error"), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_repeats_is_said_once_a_minute() {
        let mut repeated = Repeated::default();
        let now = clock::instant();
        let after = |seconds| now + Duration::from_secs(seconds);
        for (text, at, expected) in [
            ("a", 0, true),
            ("a", 2, false),
            ("b", 4, true),
            ("a", 6, true),
            ("a", 65, false),
            ("a", 66, true),
        ] {
            assert_eq!(repeated.is_due(text, after(at)), expected, "{text} at {at}");
        }
    }
}
