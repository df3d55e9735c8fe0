//! The only place where a clock is read. Everything else is given the time.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads them"
)]

use std::time::Instant;

use jiff::Timestamp;

use crate::core::Time;

/// The time of day, in whole seconds.
pub fn now() -> Time {
    Time::from_unix(Timestamp::now().as_second())
}

/// The time of day, as a lease writes it.
pub(crate) fn timestamp() -> Timestamp {
    Timestamp::now()
}

/// The monotonic clock, which nobody sets: leadership is measured by it.
pub fn instant() -> Instant {
    Instant::now()
}
