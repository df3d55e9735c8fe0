//! What the parts of the remediator tell each other. Durations are in seconds.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Alerts, Inferred, Intent, Reason, Record, Statistics, Time};

/// What tells runs: Kuberhealthy's two kinds of check result, or alerts that are sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CheckKind {
    /// Kuberhealthy v2: `comcast.github.io/v1` KuberhealthyState.
    KuberhealthyState,
    /// Kuberhealthy v3: `kuberhealthy.github.io/v2` HealthCheck.
    HealthCheck,
    /// Alerts that a policy is triggered by. Namespace and name are the policy's, and its object is the check's: what was
    /// received stands in its status.
    Alert,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CheckKey {
    /// Its kind.
    pub kind: CheckKind,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// Where runs come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A check of Kuberhealthy.
    Check(CheckKey),
}

/// Namespace and name of a policy, a check or a Remediation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

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
    /// Checks that the errors of the open incident lead to, at most [`MOST`](super::cascade::MOST).
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

/// A target as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// UID.
    pub uid: String,
    /// resourceVersion.
    pub resource_version: String,
    /// generation.
    pub generation: i64,
    /// status.observedGeneration.
    pub observed_generation: i64,
    /// Replicas wanted; for a DaemonSet, nodes it should run on.
    pub replicas: i32,
    /// Replicas of the newest revision.
    pub updated: i32,
    /// Ready replicas.
    pub ready: i32,
    /// Whether its rollouts are paused.
    pub paused: bool,
    /// Whether its rollout has stalled: `ProgressDeadlineExceeded`.
    pub stalled: bool,
    /// Whether another controller owns it.
    pub controlled: bool,
    /// Whether it is labelled `kuberhealer.io/exclude=true`.
    pub excluded: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The autoscaler that sets its replicas.
    pub autoscaler: Option<Autoscaler>,
    /// Its pods.
    pub pods: Vec<PodFact>,
    /// The previous revision.
    pub revision: Option<Revision>,
    /// `kubectl.kubernetes.io/restartedAt` of the pod template, if it is a time.
    pub restarted_at: Option<Time>,
    /// UID of the revision that has the target's pod template. Not its number: going back to a revision gives it a new one.
    pub current_revision: Option<String>,
}

/// An autoscaler.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Autoscaler {
    /// Its name.
    pub name: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// minReplicas.
    pub min: i32,
    /// maxReplicas.
    pub max: i32,
    /// The record that raised its minimum last: annotation `kuberhealer.io/raised-by`.
    pub raised_by: Option<String>,
}

/// A pod of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodFact {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was created.
    pub created: Time,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it belongs to the target, by the UIDs of its owners.
    pub owned: bool,
}

/// A revision of a target: a ReplicaSet or a ControllerRevision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its number.
    pub number: i64,
}

/// What of a target a decision looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactsNeed {
    /// The target alone.
    Target,
    /// And its autoscaler.
    Autoscaler,
    /// And its pods.
    Pods,
    /// And its previous revision.
    Revision,
    /// All of these.
    All,
}

/// What is to be done for a policy now.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing.
    Idle {
        /// Why.
        reason: Reason,
    },
    /// Something, but not now.
    Hold {
        /// Why.
        reason: Reason,
        /// The details.
        message: String,
        /// When the reason ends by itself, if it does.
        until: Option<Time>,
    },
    /// Ask again with the target's facts.
    NeedFacts(FactsNeed),
    /// Record this intent; it is carried out from the record.
    Act(Box<Intent>),
    /// Every step has been tried; somebody must look.
    Exhausted {
        /// The details.
        message: String,
    },
}
