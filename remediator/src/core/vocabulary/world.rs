//! Everything around a policy: limits, storms, the checks it depends on.

use super::{CheckKey, CheckStatus, ObjectKey, Run, Timing};
use crate::core::{Record, Time};

/// Everything around a policy that a decision looks at.
#[derive(Clone, Debug)]
pub struct World<'a> {
    /// This policy's records.
    pub records: &'a [Record],
    /// Unfinished remediations of all policies.
    pub in_flight: u32,
    /// Remediations of all policies begun in the last hour.
    pub last_hour: u32,
    /// Checks that policies are triggered by; of alerts only those that fire.
    pub mapped: u32,
    /// Of those: Kuberhealthy's.
    pub checks: u32,
    /// Of those: failing, or with a remediation in flight.
    pub failing: u32,
    /// Of Kuberhealthy's: stale.
    pub stale: u32,
    /// Whether too many checks fail at once.
    pub storm: StormState,
    /// The checks this one depends on, directly or not, each once.
    pub upstreams: &'a [Upstream],
    /// The cycle of dependencies this policy is on.
    pub cycle: Option<Vec<CheckKey>>,
    /// An older policy with the same target.
    pub rival: Option<ObjectKey>,
    /// The remediator's own limits.
    pub limits: Limits,
    /// The state of this policy's check.
    pub check_status: CheckStatus,
    /// How often and how long this policy's check runs.
    pub timing: Timing,
}

/// Limits of the whole remediator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Remediations in flight; 1.
    pub in_flight: u32,
    /// Remediations begun in an hour; 10.
    pub per_hour: u32,
    /// Everything stops when a larger share of the mapped checks fails; 49.
    pub storm_percent: u32,
    /// A storm needs at least this many failing checks; 4.
    pub storm_minimum: u32,
    /// From the end of a storm until remediations are begun again; 300.
    pub storm_cooldown: u32,
    /// Whether nothing is begun at all.
    pub paused: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            in_flight: 1,
            per_hour: 10,
            storm_percent: 49,
            storm_minimum: 4,
            storm_cooldown: 300,
            paused: false,
        }
    }
}

/// Whether too many checks fail at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StormState {
    /// No.
    #[default]
    Calm,
    /// Yes.
    Active {
        /// Since when.
        since: Time,
    },
    /// Not any more, for too short a time.
    Cooling {
        /// Until when.
        until: Time,
    },
}

/// A check that another depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Which check.
    pub key: CheckKey,
    /// Its state.
    pub status: CheckStatus,
    /// Its last run.
    pub last: Option<Run>,
    /// When it last went from failing to passing.
    pub recovered: Option<Time>,
}
