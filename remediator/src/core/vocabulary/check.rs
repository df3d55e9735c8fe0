//! A check as it was read.

use super::CheckKey;
use crate::core::{Alerts, Time};

/// One check as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Which check.
    pub key: CheckKey,
    /// The object's UID.
    pub uid: String,
    /// Its resourceVersion; empty if it is not known.
    pub resource_version: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// How often and how long it runs.
    pub timing: Timing,
    /// What it says.
    pub body: Body,
}

impl Snapshot {
    /// Its UID and resourceVersion.
    pub fn version(&self) -> (Option<&str>, Option<&str>) {
        (Some(&self.uid), Some(&self.resource_version))
    }
}

/// How often and how long a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// From one start to the next. v2: of the khcheck of the same name; 600 where nothing says otherwise.
    pub interval: u32,
    /// The longest a run may take; where nothing says otherwise 300 in v2 and 30 in v3.
    pub timeout: u32,
}

impl Timing {
    /// Of a check of v2 without a khcheck, and of one of which nothing is known.
    pub const UNKNOWN: Timing = Timing {
        interval: 600,
        timeout: 300,
    };
}

/// What a check says, by Kuberhealthy's line.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `spec` of a KuberhealthyState.
    V2(V2),
    /// `status` of a HealthCheck.
    V3(V3),
    /// `status.alerts` of a policy.
    Alerts(Alerts),
}

/// `spec` of a KuberhealthyState.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct V2 {
    /// `OK`.
    pub ok: bool,
    /// `Errors`, cut.
    pub errors: Vec<String>,
    /// `LastRun`: when the last result was written; absent before the first.
    pub last_run: Option<Time>,
    /// `uuid` of the run under way or, between runs, of the last one.
    pub uuid: String,
    /// `Node`, set once the checker pod has exited.
    pub node: String,
    /// Whether `RunDuration` is set; Kuberhealthy's own errors are written without.
    pub has_duration: bool,
}

/// `status` of a HealthCheck.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct V3 {
    /// `ok`.
    pub ok: bool,
    /// `errors`, cut.
    pub errors: Vec<String>,
    /// `currentUUID`, empty between runs.
    pub uuid: String,
    /// `lastRunUnix`: when the last run started.
    pub last_run: Option<Time>,
    /// `lastOKUnix`.
    pub last_ok: Option<Time>,
    /// `lastFailureUnix`.
    pub last_failure: Option<Time>,
    /// `successCount`.
    pub successes: u64,
    /// `failureCount`.
    pub failures: u64,
}
