//! The output of a command in the log of the check.

use std::io::Write;
use std::str::FromStr;

use crate::values::BadValue;

/// When output is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// If something is wrong with the command.
    Failure,
    /// Whatever comes of it.
    Always,
    /// Not at all, for output that holds secrets.
    Never,
}

impl FromStr for When {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<When, BadValue> {
        match text.trim().to_ascii_lowercase().as_str() {
            "failure" => Ok(When::Failure),
            "always" => Ok(When::Always),
            "never" => Ok(When::Never),
            _ => Err(BadValue::expected("failure, always or never")),
        }
    }
}

impl When {
    /// Writes `output` line by line, each with a mark before it so that none can pass for a line of the check itself.
    pub(super) fn write(self, title: &str, output: &str, failed: bool) {
        let wanted = match self {
            When::Failure => failed,
            When::Always => true,
            When::Never => false,
        };
        if !wanted || output.trim().is_empty() {
            return;
        }
        let lines: String = output.lines().map(|line| format!("  | {line}\n")).collect();
        // Nobody is left to tell if the log is closed.
        let _ = write!(std::io::stderr().lock(), "{title}\n{lines}");
    }
}
