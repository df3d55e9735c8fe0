//! `Remediation`: one attempt to cure one failure. Its spec is the intent, its status what became of it.

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::common::{Action, Condition, NAME, mode, one_of, standing, target_kind, time};
use crate::core::{Mode, Phase, Reason, Standing, TargetKind, Time, Touched};

/// What is to be done. The controller writes it before it touches anything; only `approved` can be changed.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "kuberhealer.io",
    version = "v1alpha1",
    kind = "Remediation",
    plural = "remediations",
    shortname = "rem",
    category = "kuberhealer",
    namespaced,
    status = "RemediationStatus",
    derive = "PartialEq",
    doc = "One action on one workload, decided by a RemediationPolicy. The controller creates it before it touches anything and derives its name from policy, incident and attempt, so that no action is ever taken twice. The finished ones are the history; the policy's historyLimit says how many are kept.",
    printcolumn = r#"{"name": "Policy", "type": "string", "jsonPath": ".spec.policy", "description": "The policy that decided it"}"#,
    printcolumn = r#"{"name": "Attempt", "type": "integer", "jsonPath": ".spec.attempt", "description": "Which attempt of the incident"}"#,
    printcolumn = r#"{"name": "Action", "type": "string", "jsonPath": ".spec.actionName", "description": "What is done"}"#,
    printcolumn = r#"{"name": "Target", "type": "string", "jsonPath": ".spec.target.name", "description": "The workload that is acted on"}"#,
    printcolumn = r#"{"name": "Phase", "type": "string", "jsonPath": ".status.phase", "description": "How far it has come"}"#,
    printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.reason", "description": "Why"}"#,
    printcolumn = r#"{"name": "Took", "type": "string", "jsonPath": ".status.took", "description": "From decision to end"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(unchanged())
        .message("the intent of a Remediation cannot be changed: only spec.approved can"),
    validation = Rule::new("!(has(oldSelf.approved) && oldSelf.approved) || (has(self.approved) && self.approved)")
        .message("an approval cannot be withdrawn: pause the policy instead"),
)]
pub struct RemediationSpec {
    /// The RemediationPolicy that decided it, in the same namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub policy: String,
    /// UID of the policy.
    #[serde(rename = "policyUID")]
    #[schemars(length(min = 1, max = 128))]
    pub policy_uid: String,
    /// The failure it is to cure.
    pub incident: IncidentReference,
    /// Which attempt of the incident, counted from 1.
    #[schemars(range(min = 1))]
    pub attempt: i64,
    /// Which of the policy's steps, counted from 0.
    #[schemars(range(min = 0, max = 4))]
    pub step: i32,
    /// Mode of the policy when it was decided. `Manual`: nothing is done until approved is true. `DryRun`: nothing is
    /// done at all.
    #[schemars(schema_with = "mode")]
    pub mode: Mode,
    /// Set this to true to have a Remediation of mode Manual carried out. It cannot be taken back.
    #[serde(default)]
    pub approved: bool,
    /// The failing run that it answers.
    #[schemars(length(min = 1, max = 256))]
    pub run: String,
    /// What that run reported, the first 10 errors.
    #[serde(default)]
    #[schemars(length(max = 10), inner(length(max = 300)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub errors: Vec<String>,
    /// When it was decided.
    #[schemars(schema_with = "time")]
    pub time: Time,
    /// Name of the action: restartPods, rolloutRestart, scale or rollback.
    #[schemars(length(max = 32))]
    pub action_name: String,
    /// What is done, with the parameters of the policy's step.
    pub action: Action,
    /// The workload, in the same namespace.
    pub target: TargetReference,
    /// What the workload was when it was decided. A workload that has changed since is left alone.
    pub claim: Claim,
    /// With restartPods: the pods to evict, in this order.
    #[serde(default)]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub pods: Vec<PodReference>,
    /// With scale: the number of replicas before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<ReplicaChange>,
    /// With scale: the HorizontalPodAutoscaler whose minimum is raised instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub autoscaler: Option<String>,
    /// With rollback: the revision to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionReference>,
    /// What makes it a success.
    pub verify: Verify,
    /// With scale: go back to the former number of replicas so many seconds later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub revert_after_seconds: Option<i64>,
    /// With strategy Adaptive: why this step was taken, and the numbers behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// By whom it was begun as it was created. The write to the workload follows at once, before there is a status. Without
    /// it, it is begun once there is a claim in its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
}

/// Who begins a remediation with its creation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    /// The leader's term.
    #[schemars(range(min = 0))]
    pub term: i64,
    /// Which of those that it begins like this, counted from 1.
    #[schemars(range(min = 1))]
    pub number: i64,
}

/// Fields of the intent that are always there.
const FIXED: [&str; 15] = [
    "policy",
    "policyUID",
    "incident",
    "attempt",
    "step",
    "mode",
    "run",
    "errors",
    "time",
    "actionName",
    "action",
    "target",
    "claim",
    "pods",
    "verify",
];

/// Fields of the intent that may be missing.
const OPTIONAL: [&str; 6] = [
    "replicas",
    "autoscaler",
    "revision",
    "revertAfterSeconds",
    "choice",
    "begun",
];

/// The rule that nothing of the intent changes.
fn unchanged() -> String {
    let fixed = FIXED
        .iter()
        .map(|field| format!("self.{field} == oldSelf.{field}"));
    let optional = OPTIONAL.iter().map(|field| {
        format!("has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})")
    });
    fixed.chain(optional).collect::<Vec<_>>().join(" && ")
}

/// Why a step was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// Identifies the failure: 10 hexadecimal digits.
    #[schemars(length(max = 10))]
    pub failure: String,
    /// Its errors without what varies: `#` stands for numbers, addresses and ids, `""` for what is quoted.
    #[serde(default)]
    #[schemars(length(max = 120))]
    pub failure_text: String,
    /// In a sentence, why a step was taken before gentler ones; empty: it was not.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub message: String,
    /// The policy's steps, in its order.
    #[serde(default)]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub steps: Vec<Candidate>,
}

/// A step that could have been taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// What it does, as `restartPods(Reported, 1)`.
    #[schemars(length(max = 64))]
    pub step: String,
    /// How often it was tried on this failure, of the last 10 times that taught anything.
    #[schemars(range(min = 0))]
    pub tries: i32,
    /// After how many of these the check passed.
    #[schemars(range(min = 0))]
    pub successes: i32,
    /// (successes + 1) / (tries + 2) by its price, in thousandths. The price is 1 for the policy's first step and a half
    /// more for each one after it.
    #[schemars(range(min = 0))]
    pub score: i32,
    /// `Chosen`: it is taken. `Waiting`: it comes later. `Used`: it has no try left in this incident. `NoPodNamed`: it is
    /// for the pods that the check names, and the check names none. `Held`: the target does not allow it now.
    #[schemars(schema_with = "standing")]
    pub standing: Standing,
}

/// The incident of a Remediation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentReference {
    /// Identifies it: the same for all attempts.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// When the check began to fail.
    #[schemars(schema_with = "time")]
    pub opened_time: Time,
    /// The first failing run.
    #[schemars(length(min = 1, max = 256))]
    pub first_run: String,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetReference {
    /// Deployment, StatefulSet or DaemonSet.
    #[schemars(schema_with = "target_kind")]
    pub kind: TargetKind,
    /// Name of the workload.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub name: String,
    /// UID of the workload: one that was deleted and created again is another one, and is left alone.
    #[schemars(length(min = 1, max = 128))]
    pub uid: String,
}

/// What a workload was when a write to it was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The resourceVersion it had. The write carries it, so that it takes effect at most once.
    #[schemars(length(min = 1, max = 128))]
    pub resource_version: String,
    /// The generation it had.
    #[schemars(range(min = 0))]
    pub generation: i64,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PodReference {
    /// Name of the pod.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub name: String,
    /// UID of the pod, a precondition of the eviction.
    #[schemars(length(min = 1, max = 128))]
    pub uid: String,
}

/// A change of the number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaChange {
    /// The number before.
    #[schemars(range(min = 0))]
    pub from: i32,
    /// The number after, never 0.
    #[schemars(range(min = 1))]
    pub to: i32,
}

/// A revision: a ReplicaSet of a Deployment, a ControllerRevision of the other kinds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RevisionReference {
    /// Name of the revision.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub name: String,
    /// UID of the revision.
    #[schemars(length(min = 1, max = 128))]
    pub uid: String,
    /// Number of the revision.
    #[schemars(range(min = 0))]
    pub number: i64,
}

/// What makes a remediation a success.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// How many seconds after the rollout the check has to have passed.
    #[schemars(range(min = 0))]
    pub seconds: i64,
    /// How many runs in a row have to pass. Only runs that began after the rollout count.
    #[schemars(range(min = 0))]
    pub success_threshold: i64,
    /// How many failing runs end it early.
    #[schemars(range(min = 0))]
    pub failure_threshold: i64,
    /// Whether a run that never reported is a failing one.
    #[serde(default)]
    pub count_timeouts: bool,
}

/// What became of a Remediation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemediationStatus {
    /// `Complete`: it is finished, whatever the outcome.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// `Pending`: not begun. `Applied`: done, the rollout is waited for. `Verifying`: rolled out, runs of the check are
    /// waited for. `Blocked`: a disruption budget refuses, it is tried again. The ends: `Succeeded`: the check passed.
    /// `Failed`: it did not. `Inconclusive`: it cannot be told, or nothing was done after all. `DryRun`: recorded only.
    #[serde(default)]
    #[schemars(schema_with = "phase")]
    pub phase: Phase,
    /// Why, in one word: the same as in events and in metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "reason")]
    pub reason: Option<Reason>,
    /// Why, in a sentence.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Whether the workload was changed: No, Maybe (the answer to the write was lost) or Yes. One that was not uses up
    /// no retry and no rate limit.
    #[serde(default)]
    #[schemars(schema_with = "touched")]
    pub touched: Touched,
    /// When the workload was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub applied_time: Option<Time>,
    /// When the workload was rolled out again. Only runs that began later count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub rolled_out_time: Option<Time>,
    /// Until when the check has to have passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub deadline_time: Option<Time>,
    /// When it was finished. It is finished if and only if this is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub completed_time: Option<Time>,
    /// How long it took from decision to end, as 1m30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub took: Option<String>,
    /// Runs of the check after the rollout.
    #[serde(default)]
    pub fresh: FreshRuns,
    /// UIDs of the pods that were evicted and replaced.
    #[serde(default)]
    #[schemars(length(max = 20), inner(length(max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub pods_done: Vec<String>,
    /// How often a disruption budget has refused.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub blocked_tries: i64,
    /// When it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub retry_time: Option<Time>,
    /// What the workload is like that is about to be changed, or was like when it was; only its status or metadata may
    /// differ from spec.claim. Without it nothing has been begun, once there is a status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// The way back of a scale with revertAfterSeconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<Revert>,
    /// Term of the leader that wrote this.
    #[serde(default)]
    pub term: i64,
    /// When it was begun: just before the first write to the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub begun_time: Option<Time>,
}

fn phase(_: &mut SchemaGenerator) -> Schema {
    one_of(&[
        Phase::Pending,
        Phase::Applied,
        Phase::Verifying,
        Phase::Succeeded,
        Phase::Failed,
        Phase::Inconclusive,
        Phase::Blocked,
        Phase::DryRun,
    ])
}

fn touched(_: &mut SchemaGenerator) -> Schema {
    one_of(&[Touched::No, Touched::Maybe, Touched::Yes])
}

fn reason(_: &mut SchemaGenerator) -> Schema {
    one_of(Reason::ALL)
}

/// Runs of the check after the rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreshRuns {
    /// Passing ones in a row.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub passes: i64,
    /// Failing ones.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub failures: i64,
    /// The run counted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last: Option<String>,
}

/// The way back of a scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revert {
    /// When it is due.
    #[schemars(schema_with = "time")]
    pub due_time: Time,
    /// What the workload was when it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// How it ended: Reverted or RevertAbandoned; or why the policy does not answer for it, such as PolicyChanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "reason")]
    pub end: Option<Reason>,
}
