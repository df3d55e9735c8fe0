//! The time one attempt has, and what went wrong in it.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::values::Span;

/// What was expected of a target and what was seen instead, each in words that the next run would use again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    expected: String,
    seen: String,
}

impl Failure {
    pub(super) fn new(expected: impl fmt::Display, seen: impl Into<String>) -> Failure {
        Failure {
            expected: expected.to_string(),
            seen: seen.into(),
        }
    }

    /// What was seen.
    #[cfg(test)]
    pub(super) fn seen(&self) -> &str {
        &self.seen
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, seen {}", self.expected, self.seen)
    }
}

/// Until when an attempt may last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    until: Instant,
    /// The time-out; unknown if the run had less time left than that.
    whole: Option<Duration>,
}

impl Limit {
    /// `timeout` from now, or the run's `deadline` if that is earlier.
    pub(super) fn new(timeout: Duration, deadline: Option<std::time::Instant>) -> Limit {
        let until = Instant::now() + timeout;
        match deadline.map(Instant::from_std) {
            Some(deadline) if deadline < until => Limit {
                until: deadline,
                whole: None,
            },
            _ => Limit {
                until,
                whole: Some(timeout),
            },
        }
    }

    /// `timeout` from now, but not longer than this.
    pub(super) fn at_most(self, timeout: Duration) -> Limit {
        Limit {
            until: self.until.min(Instant::now() + timeout),
            whole: self.whole,
        }
    }

    /// The time left.
    pub(super) fn left(self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Whether the run had less time left than the time-out.
    pub(super) fn is_cut(self) -> bool {
        self.whole.is_none()
    }

    /// What `future` gives; `None` if the time is over first.
    pub(super) async fn run<F: Future>(self, future: F) -> Option<F::Output> {
        tokio::time::timeout_at(self.until, future).await.ok()
    }
}

impl fmt::Display for Limit {
    /// As in "no answer within 20s".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whole {
            Some(whole) => write!(f, "within {}", Span(whole)),
            None => f.write_str("before the run's deadline"),
        }
    }
}
