//! What is remembered in a policy's status.

use serde::{Deserialize, Serialize};

use super::{Run, RunId, Verdict};
use crate::core::{Inferred, Statistics, Time};

/// What is remembered of a check between two snapshots; kept in the policy's status, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckState {
    /// UID of the object all the rest is about.
    pub uid: String,
    /// The fields that tell a new result.
    pub seen: Option<Seen>,
    /// The last runs told, newest last, at most 8.
    pub recent: Vec<RunId>,
    /// A result that may still change.
    pub pending: Option<Pending>,
    /// The run under way: its uuid and when it was first seen.
    pub started: Option<(String, Time)>,
    /// The last run told.
    pub last: Option<(RunId, Verdict, Time)>,
    /// When the check was last written by Kuberhealthy, by its own times.
    pub last_activity: Option<Time>,
}

/// The fields of a snapshot that tell a new result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Seen {
    /// v2's `LastRun`; v3's `lastRunUnix`.
    pub last_run: Option<Time>,
    /// The uuid.
    pub uuid: String,
    /// The verdict as written.
    pub ok: bool,
    /// Hash of the errors.
    pub errors_hash: u64,
    /// v3's `successCount`.
    pub successes: u64,
    /// v3's `failureCount`.
    pub failures: u64,
}

/// A result that may still change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// As it was written last.
    pub run: Run,
    /// When it is taken as it is.
    pub until: Time,
}

/// All that is needed to go on after a restart; kept in the policy's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyState {
    /// The check.
    pub check: CheckState,
    /// Counted failures in a row.
    pub failures: u32,
    /// Passes in a row.
    pub successes: u32,
    /// When the first of the failures in a row ended.
    pub first_failure: Option<Time>,
    /// The last counted run and when it ended.
    pub last_counted: Option<(RunId, Time)>,
    /// The counters before the last run, to undo it if its verdict changes.
    pub before_last: Option<Box<Counters>>,
    /// The last 10 counted verdicts: bit 0 is the newest, 1 a failure. What came before the first is taken for passes.
    pub verdicts: u16,
    /// The incident, also for a while after its end: a relapse continues it.
    pub incident: Option<Incident>,
    /// Since when the check passes.
    pub healthy_since: Option<Time>,
    /// Outcomes.
    pub statistics: Statistics,
    /// Checks that the errors of the open incident lead to, at most [`MOST`](crate::core::cascade::MOST).
    pub upstreams: Vec<Inferred>,
}

/// What of a [`PolicyState`] a run changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counters {
    /// [`PolicyState::failures`].
    pub failures: u32,
    /// [`PolicyState::successes`].
    pub successes: u32,
    /// [`PolicyState::first_failure`].
    pub first_failure: Option<Time>,
    /// [`PolicyState::last_counted`].
    pub last_counted: Option<(RunId, Time)>,
    /// [`PolicyState::verdicts`].
    pub verdicts: u16,
    /// [`PolicyState::incident`].
    pub incident: Option<Incident>,
    /// [`PolicyState::healthy_since`].
    pub healthy_since: Option<Time>,
}

/// From the first counted failure until the check has passed often enough.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// 10 hexadecimal digits, derived from policy, check and first run.
    pub id: String,
    /// When the first failure ended.
    pub opened: Time,
    /// The first failing run.
    pub first_run: RunId,
    /// The last failing run.
    pub failing_run: RunId,
    /// When the last failing run started, as far as known.
    pub failing_started: Option<Time>,
    /// Its errors.
    pub errors: Vec<String>,
    /// When the check had passed often enough.
    pub recovered: Option<Time>,
    /// Whether every step has been tried.
    pub exhausted: bool,
    /// Relapses that joined it.
    pub joined: u32,
    /// When an upstream check last recovered during it.
    pub upstream_recovered: Option<Time>,
    /// Whether the check has failed as often and as long as the policy asks for, since it last began to fail.
    pub reached: bool,
}
