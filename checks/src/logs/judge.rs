//! Whether a number passes, and the words for one that does not. Pure.
//!
//! The words never hold the number itself, which is another in every run.

use std::fmt;

use super::values::{Bound, Window};
use crate::cli::ConfigError;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Log lines of the last so many seconds.
    Lines(Window),
    /// Whatever a metric query gives.
    Result,
}

/// What a number may be: at least one side is bounded, and some number fails.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bounds {
    AtLeast(Bound),
    AtMost(Bound),
    Between(Bound, Bound),
}

impl Bounds {
    /// From the options.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for bounds that every number passes, or none.
    pub(super) fn new(min: Option<Bound>, max: Option<Bound>) -> Result<Bounds, ConfigError> {
        match (min, max) {
            (None, None) => Err(ConfigError::of(
                "EXPECTED_MIN",
                "expected a number, here or in EXPECTED_MAX",
            )),
            (Some(min), None) if min.0 == 0.0 => Err(ConfigError::value(
                "EXPECTED_MIN",
                &min.to_string(),
                "expected a number above 0, or EXPECTED_MAX too: every number would pass",
            )),
            (Some(min), Some(max)) if min > max => Err(ConfigError::value(
                "EXPECTED_MIN",
                &min.to_string(),
                format!("expected at most EXPECTED_MAX=\"{max}\""),
            )),
            (Some(min), None) => Ok(Bounds::AtLeast(min)),
            (None, Some(max)) => Ok(Bounds::AtMost(max)),
            (Some(min), Some(max)) => Ok(Bounds::Between(min, max)),
        }
    }

    /// Judges `number`, which is not NaN.
    ///
    /// # Errors
    ///
    /// What was expected and what was found, for a finding.
    pub(super) fn judge(self, number: f64, counted: Counted) -> Result<(), String> {
        let (min, max) = match self {
            Bounds::AtLeast(min) => (Some(min), None),
            Bounds::AtMost(max) => (None, Some(max)),
            Bounds::Between(min, max) => (Some(min), Some(max)),
        };
        let found = match counted {
            Counted::Lines(_) if min.is_some_and(|min| number < min.0) && number == 0.0 => "none",
            Counted::Lines(_) if min.is_some_and(|min| number < min.0) => "fewer",
            Counted::Result if min.is_some_and(|min| number < min.0) => "less",
            _ if max.is_some_and(|max| number > max.0) => "more",
            _ => return Ok(()),
        };
        let last = max.or(min).map_or(0.0, |bound| bound.0);
        let lines = if last == 1.0 { "line" } else { "lines" };
        Err(match counted {
            Counted::Lines(window) => {
                format!("expected {self} matching log {lines} in the last {window}, found {found}")
            }
            Counted::Result => format!("expected {self} as the result of the query, found {found}"),
        })
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bounds::AtLeast(min) => write!(f, "at least {min}"),
            Bounds::AtMost(max) => write!(f, "at most {max}"),
            Bounds::Between(min, max) if min == max => write!(f, "exactly {min}"),
            Bounds::Between(min, max) => write!(f, "{min} to {max}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(min: &str, max: &str) -> Result<Bounds, ConfigError> {
        let bound = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        Bounds::new(bound(min), bound(max))
    }

    #[test]
    fn numbers_are_compared_and_not_told() {
        let lines = Counted::Lines("10m".parse().unwrap());
        let passes = "";
        for (min, max, number, counted, failure) in [
            ("1", "", 1.0, lines, passes),
            ("1", "", 1e9, lines, passes),
            (
                "1",
                "",
                0.0,
                lines,
                "expected at least 1 matching log line in the last 10m, found none",
            ),
            (
                "100",
                "",
                0.0,
                lines,
                "expected at least 100 matching log lines in the last 10m, found none",
            ),
            (
                "100",
                "",
                99.0,
                lines,
                "expected at least 100 matching log lines in the last 10m, found fewer",
            ),
            ("", "5", 5.0, lines, passes),
            ("", "5", 0.0, lines, passes),
            (
                "",
                "5",
                6.0,
                lines,
                "expected at most 5 matching log lines in the last 10m, found more",
            ),
            ("", "0", 0.0, lines, passes),
            (
                "",
                "0",
                1.0,
                lines,
                "expected at most 0 matching log lines in the last 10m, found more",
            ),
            ("2", "3", 2.0, lines, passes),
            ("2", "3", 3.0, lines, passes),
            (
                "2",
                "3",
                1.0,
                lines,
                "expected 2 to 3 matching log lines in the last 10m, found fewer",
            ),
            (
                "1",
                "1",
                2.0,
                lines,
                "expected exactly 1 matching log line in the last 10m, found more",
            ),
            ("0.5", "", 0.5, Counted::Result, passes),
            (
                "0.5",
                "",
                0.0,
                Counted::Result,
                "expected at least 0.5 as the result of the query, found less",
            ),
            (
                "",
                "0.5",
                f64::INFINITY,
                Counted::Result,
                "expected at most 0.5 as the result of the query, found more",
            ),
        ] {
            let verdict = bounds(min, max).unwrap().judge(number, counted);
            assert_eq!(verdict.err().unwrap_or_default(), failure, "{number}");
        }
    }

    #[test]
    fn bounds_that_cannot_fail_or_pass_are_refused() {
        for (min, max, part) in [
            ("", "", "EXPECTED_MIN: expected a number"),
            ("0", "", "every number would pass"),
            ("2", "1", "expected at most EXPECTED_MAX=\"1\""),
        ] {
            let error = bounds(min, max).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(bounds("0", "0").is_ok());
    }
}
