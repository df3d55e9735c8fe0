//! Why there is no number to judge. None of it says anything of those whom the logs are about.

use std::fmt;
use std::time::Duration;

use crate::values::Span;

/// What is wrong with the backend, the way to it, or what it was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Trouble {
    /// No connection, or one that broke.
    Connection(String),
    /// No answer in the time for one request.
    TimedOut {
        after: Duration,
        /// What was waited for.
        phase: &'static str,
    },
    /// No time left in the run.
    Deadline,
    /// It leads elsewhere. Not followed: what answers there may be anything, such as a page to log in on.
    Redirected { status: u16, host: String },
    /// It answered that it will not, or cannot.
    Status {
        status: u16,
        /// What it says of the cause, if that is a fixed text.
        cause: Option<String>,
        /// What to do about it.
        hint: Option<&'static str>,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// An answer that is no number.
    Answer(String),
    /// A number that is not the whole truth.
    Partial(&'static str),
    /// What is to be counted is not there.
    Missing(String),
}

impl Trouble {
    /// Whether asking again may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Trouble::Connection(_) | Trouble::TimedOut { .. } | Trouble::Partial(_) => true,
            Trouble::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Trouble::Deadline
            | Trouble::Redirected { .. }
            | Trouble::Answer(_)
            | Trouble::Missing(_) => false,
        }
    }

    /// How long to wait before asking again, if the backend says so.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Trouble::Status { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Connection(reason) | Trouble::Answer(reason) | Trouble::Missing(reason) => {
                f.write_str(reason)
            }
            Trouble::TimedOut { after, phase } => {
                write!(f, "timed out after {} {phase}", Span(*after))
            }
            Trouble::Deadline => f.write_str("not finished before the deadline of the run"),
            Trouble::Redirected { status, host } => write!(
                f,
                "expected an answer, got status {status} and a redirect to {host}: set LOG_URL to \
                 where the API is"
            ),
            Trouble::Status {
                status,
                cause,
                hint,
                ..
            } => {
                write!(f, "expected an answer, got status {status}")?;
                if let Some(cause) = cause {
                    write!(f, " ({cause})")?;
                }
                hint.map_or(Ok(()), |hint| write!(f, ": {hint}"))
            }
            Trouble::Partial(what) => write!(f, "expected a whole result, got {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let status = |status| Trouble::Status {
            status,
            cause: None,
            hint: None,
            retry_after: None,
        };
        for (trouble, may_pass) in [
            (Trouble::Connection("connection refused".into()), true),
            (Trouble::Partial("one with warnings"), true),
            (status(408), true),
            (status(429), true),
            (status(500), true),
            (status(503), true),
            (status(400), false),
            (status(401), false),
            (status(403), false),
            (status(404), false),
            (Trouble::Answer("expected JSON".into()), false),
            (Trouble::Missing("no index".into()), false),
            (Trouble::Deadline, false),
        ] {
            assert_eq!(trouble.may_pass(), may_pass, "{trouble}");
        }
    }
}
