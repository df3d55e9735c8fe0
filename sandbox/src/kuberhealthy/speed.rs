//! How fast Kuberhealthy's own clocks run.

use std::time::Duration;

/// Divides the waiting times that are Kuberhealthy's own (v2's polls of 5 s, the reapers, retries, grace periods).
///
/// The order of its writes stays the same, and so do run intervals and time-outs: those belong to the checks and are
/// honoured as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed(u32);

impl Speed {
    /// The pace of the real controllers.
    pub const REAL: Speed = Speed(1);

    /// `factor` times as fast as the real controllers; 0 counts as 1.
    #[must_use]
    pub fn times(factor: u32) -> Speed {
        Speed(factor.max(1))
    }

    /// What a waiting time of the real controllers shrinks to; at least a millisecond.
    #[must_use]
    pub fn scale(self, real: Duration) -> Duration {
        (real / self.0).max(Duration::from_millis(1))
    }
}

impl Default for Speed {
    fn default() -> Speed {
        Speed::REAL
    }
}
