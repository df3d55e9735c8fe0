//! What policy and record share: the check, the target, the actions, conditions.

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::core::{CheckKind, Level, Mode, Selection, Standing, Strategy, TargetKind, Time};

/// A name of Kubernetes: letters, digits, `-` and `.`.
pub(super) const NAME: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
/// A label of Kubernetes, as a namespace is.
pub(super) const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// The schema of a moment.
pub(super) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// The schema of one of `values`, which are written as plain words.
pub(super) fn one_of<T: Serialize>(values: &[T]) -> Schema {
    json_schema!({"type": "string", "enum": values})
}

/// The schema of a kind of check.
pub(super) fn check_kind(_: &mut SchemaGenerator) -> Schema {
    one_of(&[CheckKind::KuberhealthyState, CheckKind::HealthCheck])
}

/// The schema of a mode.
pub(super) fn mode(_: &mut SchemaGenerator) -> Schema {
    one_of(&[Mode::DryRun, Mode::Enforce, Mode::Manual])
}

/// The schema of a strategy.
pub(super) fn strategy(_: &mut SchemaGenerator) -> Schema {
    one_of(&[Strategy::Ordered, Strategy::Adaptive])
}

/// The schema of what was made of a step.
pub(super) fn standing(_: &mut SchemaGenerator) -> Schema {
    one_of(&[
        Standing::Chosen,
        Standing::Waiting,
        Standing::Used,
        Standing::NoPodNamed,
        Standing::Held,
    ])
}

/// The schema of how much something matters.
pub(super) fn level(_: &mut SchemaGenerator) -> Schema {
    one_of(&[Level::Info, Level::Warning, Level::Critical])
}

/// The schema of a kind of workload.
pub(super) fn target_kind(_: &mut SchemaGenerator) -> Schema {
    one_of(&[
        TargetKind::Deployment,
        TargetKind::StatefulSet,
        TargetKind::DaemonSet,
    ])
}

/// The schema of a selection of pods.
fn selection(_: &mut SchemaGenerator) -> Schema {
    one_of(&[Selection::Reported, Selection::NotReady, Selection::All])
}

/// A check, in any namespace. It is only read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckReference {
    /// KuberhealthyState (Kuberhealthy v2) or HealthCheck (v3). Unset: whichever of the two exists; if both do, nothing
    /// is done until this is set (AmbiguousCheck).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "check_kind")]
    pub kind: Option<CheckKind>,
    /// Namespace of the check.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL))]
    pub namespace: String,
    /// Name of the check. For v2 that of the KuberhealthyState, which is that of its KuberhealthyCheck.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub name: String,
}

/// Evicts pods of the target, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartPods {
    /// Which pods. `Reported` (default): those the check's errors name, as "pod NAMESPACE/NAME: ..."; if the errors
    /// name none, the step is skipped, and if they name only pods of other owners, nothing is done. `NotReady`: those
    /// that are not ready. `All`: any. Only pods that belong to the target, by owner UID, are ever chosen, failing
    /// ones first, then the oldest; a ready pod only while all replicas are ready.
    #[serde(default)]
    #[schemars(schema_with = "selection")]
    pub pods: Selection,
    /// How many pods are evicted at most, 1 to 20. The next one waits until the replacement of the last is ready.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub max_pods: i32,
}

fn one() -> i32 {
    1
}

/// Restarts all pods as `kubectl rollout restart` does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutRestart {}

/// Goes back to the previous revision, as `kubectl rollout undo` does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rollback {}

/// Raises the number of replicas. Either `replicas`, or `step` with `maxReplicas`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.replicas) != has(self.step)")
        .message("set either replicas, or step with maxReplicas"),
    validation = Rule::new("has(self.step) == has(self.maxReplicas)")
        .message("step and maxReplicas belong together: set both, or neither with replicas"),
)]
pub struct Scale {
    /// The number of replicas to scale to, 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<i32>,
    /// How many replicas to add, 1 to 100. Needs maxReplicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub step: Option<i32>,
    /// With step: never more replicas than this, 1 to 1000. A target that has as many is left alone (ScaleBounds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: Option<i32>,
    /// Go back to the former number after so many seconds, 60 to 604800 (a week), unless somebody has changed it in
    /// the meantime (RevertAbandoned). Unset: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 604_800))]
    pub revert_after_seconds: Option<i32>,
}

/// One action. Exactly one of the fields is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.restartPods), has(self.rolloutRestart), has(self.scale), has(self.rollback)].exists_one(x, x)")
        .message("set exactly one of restartPods, rolloutRestart, scale, rollback"),
)]
pub struct Action {
    /// Pods were to be evicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_pods: Option<RestartPods>,
    /// All pods were to be replaced by a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_restart: Option<RolloutRestart>,
    /// The number of replicas was to be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// The previous revision was to be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
}

/// `True`, `False` or `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told.
    Unknown,
}

/// One aspect of the current state, in the form that `kubectl wait --for=condition=TYPE` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What the condition is about.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63))]
    pub type_: String,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// Generation of the spec that this was found for. An older one than metadata.generation: not looked at yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Since when the status has been what it is. It moves only with the status.
    #[schemars(schema_with = "time")]
    pub last_transition_time: Time,
    /// Why, in one word: the same as in events and in metrics.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z]+$"))]
    pub reason: String,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
}
