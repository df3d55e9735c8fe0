//! Status of a `RemediationPolicy`: conditions and figures for people, and what the controller needs to go on after a
//! restart. The latter mirrors the core's types field by field; `persist` converts.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::ReceivedAlert;
use super::common::{Condition, LABEL, NAME, check_kind, time};
use crate::core::{CheckKind, Time};

/// What the controller found and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemediationPolicyStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// `Accepted`: the policy makes sense and what it names exists. `CheckHealthy`: the check passes.
    /// `RemediationAllowed`: nothing holds an action back; its reason says what does. `Remediating`: an action is under
    /// way. `EscalationExhausted`: all steps were tried and none helped, a person is needed. `Permitted`: the
    /// controller has the permissions it needs.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// Failing runs in a row that count.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub failures: i64,
    /// Passing runs in a row.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub successes: i64,
    /// When the first of these failing runs ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub first_failure_time: Option<Time>,
    /// Since when the check has been healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub healthy_since: Option<Time>,
    /// When the last Remediation began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub last_remediation_time: Option<Time>,
    /// Before this nothing is done, because of a cooldown, a window or a grace period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub next_allowed_time: Option<Time>,
    /// Share of the finished remediations after which the check passed, in percent. Inconclusive ones and dry runs are
    /// not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub success_percent: Option<i32>,
    /// The failure being dealt with, or the last one while it can still relapse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    /// What became of the remediations, by action.
    #[serde(default)]
    pub statistics: Statistics,
    /// What of the check has been seen. Kept so that a restart of the controller takes no run for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckState>,
    /// The run counted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_counted: Option<CountedRun>,
    /// Verdicts of the last ten counted runs, one bit each, the newest lowest. Kept to tell flapping.
    #[serde(default)]
    #[schemars(range(min = 0, max = 65_535))]
    pub verdicts: i32,
    /// The counters before the last run, for when its verdict is amended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_last: Option<Counters>,
    /// Checks that the errors of the open incident lead to; they count like those in dependsOn until it is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub upstreams: Vec<InferredUpstream>,
    /// What became of the steps, by failure: the last 16 failures, those with the newest outcomes last. With strategy
    /// Adaptive the next step is chosen by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub learned: Vec<KnownFailure>,
    /// The alerts received for a policy that they trigger: of each the newest episode, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["fingerprint".to_owned()]))]
    pub alerts: Vec<ReceivedAlert>,
}

/// A check that the errors of the open incident lead to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InferredUpstream {
    /// KuberhealthyState or HealthCheck.
    #[schemars(schema_with = "check_kind")]
    pub kind: CheckKind,
    /// Namespace of the check.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub namespace: String,
    /// Name of the check.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub name: String,
    /// What the errors name, as `service NAMESPACE/NAME`: the workload behind it is the target of a policy with this
    /// check.
    #[schemars(length(max = 512))]
    pub via: String,
    /// It is not waited for: that would close a circle of dependencies.
    #[serde(default)]
    pub ignored: bool,
}

/// What became of the steps that were tried on one failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnownFailure {
    /// Identifies it: 10 hexadecimal digits.
    #[schemars(length(max = 10))]
    pub id: String,
    /// Its errors without what varies: `#` stands for numbers, addresses and ids, `""` for what is quoted.
    #[serde(default)]
    #[schemars(length(max = 120))]
    pub text: String,
    /// When the last Remediation of it ended.
    #[schemars(schema_with = "time")]
    pub last_time: Time,
    /// What became of each step, those with the newest outcomes last.
    #[serde(default)]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub steps: Vec<KnownStep>,
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnownStep {
    /// What it does, as `restartPods(Reported, 1)`.
    #[schemars(length(max = 64))]
    pub step: String,
    /// The last 10 outcomes, newest last: S the check passed afterwards, F it kept failing. Others are not counted.
    #[serde(default)]
    #[schemars(length(max = 10), regex(pattern = "^[SF]*$"))]
    pub outcomes: String,
}

/// A failure of the check that is dealt with as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Identifies it; part of the names of its Remediations.
    #[schemars(length(max = 64))]
    pub id: String,
    /// When it was opened.
    #[schemars(schema_with = "time")]
    pub opened_time: Time,
    /// The run that opened it.
    #[schemars(length(max = 256))]
    pub first_run: String,
    /// Its newest failing run.
    #[schemars(length(max = 256))]
    pub failing_run: String,
    /// When that run began, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub failing_started_time: Option<Time>,
    /// Errors of that run.
    #[serde(default)]
    #[schemars(length(max = 50), inner(length(max = 1024)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub errors: Vec<String>,
    /// When the check had recovered, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub recovered_time: Option<Time>,
    /// All steps were tried and none helped.
    #[serde(default)]
    pub exhausted: bool,
    /// How many relapses joined it.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub joined: i64,
    /// When the last failing check in dependsOn had recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub upstream_recovered_time: Option<Time>,
    /// The check has failed as often and as long as the policy asks for, since it last began to fail: who is notified
    /// of incidents is told.
    #[serde(default)]
    pub reached: bool,
}

/// What became of the remediations of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// By action: restartPods, rolloutRestart, scale, rollback.
    #[serde(default)]
    pub by_action: BTreeMap<String, Tally>,
    /// Finished Remediations that still exist and have been counted.
    #[serde(default)]
    #[schemars(length(max = 1000), inner(length(max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub counted: Vec<String>,
}

/// How often an action ended in which way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// The check passed afterwards.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub succeeded: i64,
    /// The check kept failing.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub failed: i64,
    /// It cannot be told.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub inconclusive: i64,
    /// A disruption budget refused it until the incident had ended.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub blocked: i64,
    /// It was only decided, not done.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub dry_run: i64,
    /// When the last of them ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub last_time: Option<Time>,
}

/// How a run of the check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// The check reported failure.
    Failed,
    /// It did not report in time.
    TimedOut,
    /// Kuberhealthy could not run it.
    Infrastructure,
    /// It cannot be told.
    Inconclusive,
}

/// A run of the check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Identifies it.
    #[schemars(length(max = 256))]
    pub id: String,
    /// When it began, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub started_time: Option<Time>,
    /// When it ended.
    #[schemars(schema_with = "time")]
    pub finished_time: Time,
    /// How it ended.
    pub verdict: Verdict,
    /// What it reported.
    #[serde(default)]
    #[schemars(length(max = 50), inner(length(max = 1024)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub errors: Vec<String>,
}

/// A run that was counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountedRun {
    /// Identifies the run.
    #[schemars(length(max = 256))]
    pub id: String,
    /// When it ended.
    #[schemars(schema_with = "time")]
    pub time: Time,
}

/// Counters of runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Failing runs in a row that count.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub failures: i64,
    /// Passing runs in a row.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub successes: i64,
    /// When the first of the failing runs ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub first_failure_time: Option<Time>,
    /// The run counted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_counted: Option<CountedRun>,
    /// Verdicts of the last ten counted runs, one bit each.
    #[serde(default)]
    #[schemars(range(min = 0, max = 65_535))]
    pub verdicts: i32,
    /// The incident at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    /// Since when the check had been healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub healthy_since: Option<Time>,
}

/// What of the check has been seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckState {
    /// UID of the check's object: another one is another check.
    #[serde(default)]
    #[schemars(length(max = 128))]
    pub uid: String,
    /// The object as it was seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// The last runs, by identity.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub recent: Vec<String>,
    /// A run whose verdict may still change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// A run under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<StartedRun>,
    /// The last run that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<EndedRun>,
    /// When the check last showed that it is being run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub last_activity_time: Option<Time>,
}

/// The check's object as it was seen last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// When the last run was, as the object tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub last_run_time: Option<Time>,
    /// Identity of the run, as the object tells it.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub uuid: String,
    /// The verdict in it.
    pub ok: bool,
    /// Hash of its errors, 16 hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-f]{16}$"))]
    pub errors_hash: String,
    /// Passed runs, as v3 counts them.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub successes: i64,
    /// Failed runs, as v3 counts them.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub failures: i64,
}

/// A run whose verdict may still change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The run as it was reported last.
    pub run: Run,
    /// From then on its verdict is taken as it is.
    #[schemars(schema_with = "time")]
    pub until_time: Time,
}

/// A run under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartedRun {
    /// Its identity, as the object tells it.
    #[schemars(length(max = 256))]
    pub uuid: String,
    /// When it was first seen.
    #[schemars(schema_with = "time")]
    pub first_seen_time: Time,
}

/// A run that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedRun {
    /// Identifies it.
    #[schemars(length(max = 256))]
    pub id: String,
    /// How it ended.
    pub verdict: Verdict,
    /// When it ended.
    #[schemars(schema_with = "time")]
    pub time: Time,
}
