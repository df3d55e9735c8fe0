//! What an answer means. Pure.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use jiff::fmt::rfc2822::DateTimeParser;

use crate::core::Time;

/// A receiver may ask for no longer a pause than this.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// Pauses begin with the first, double, and grow no longer than the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Taken.
    Taken,
    /// Not now. It may have been said when.
    Later(Option<Duration>),
    /// Never.
    Refused,
}

/// What a status code means, and the header `Retry-After`.
pub(super) fn verdict(code: u16, retry_after: Option<&str>, now: Time) -> Verdict {
    match code {
        200..=299 => Verdict::Taken,
        408 | 429 | 500..=599 => {
            let asked = retry_after.and_then(|text| pause(text, now));
            Verdict::Later(asked.map(|asked| asked.min(LONGEST_ASKED)))
        }
        // A redirect is not followed: it could lead the message, and the token with it, anywhere.
        _ => Verdict::Refused,
    }
}

/// `Retry-After`: seconds or a date.
fn pause(text: &str, now: Time) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    let seconds = date.as_second().saturating_sub(now.unix()).max(0);
    Some(Duration::from_secs(seconds.unsigned_abs()))
}

/// Growing pauses, of random length so that not all receivers of a place are asked at once.
pub(super) struct Pauses(ExponentialBackoff);

impl Pauses {
    pub(super) fn new() -> Pauses {
        let builder = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LAST_PAUSE)
            .with_jitter()
            .without_max_times();
        Pauses(builder.build())
    }

    /// The next one, but no shorter than `asked`.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let own = self.0.next().unwrap_or(LAST_PAUSE);
        own.max(asked.unwrap_or_default())
    }
}
