//! Runs, and how far what is known of them can be relied on.

use serde::{Deserialize, Serialize};

use crate::core::Time;

/// One run of one check; the same for every write that tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Class {
    /// The check said so.
    Reported,
    /// The check never reported.
    Timeout,
    /// Kuberhealthy could not run the check; never a reason to touch a workload.
    Infrastructure,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// The check passed.
    Passed,
    /// It failed.
    Failed(Class),
    /// What was written does not tell: an aborted run.
    Inconclusive,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Which run.
    pub id: RunId,
    /// When it started, as far as known: v3's own time, in v2 when its uuid was first seen.
    pub started: Option<Time>,
    /// When its result was written.
    pub finished: Time,
    /// How it ended.
    pub verdict: Verdict,
    /// The errors of a failure, cut.
    pub errors: Vec<String>,
}

/// What a snapshot tells that was not known before.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// A run ended.
    New(Run),
    /// The verdict of an earlier one has changed.
    Amended(Run),
}

/// How far a check's result can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckStatus {
    /// It has no result.
    NeverRun,
    /// A run is under way or its result may still change.
    Running,
    /// The last result stands.
    Settled,
    /// It has not been written for too long.
    Stale,
    /// It does not exist, or is being deleted.
    Gone,
}
