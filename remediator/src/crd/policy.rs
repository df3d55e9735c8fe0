//! `RemediationPolicy`: which workload is acted on, when one check of it fails, and how.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alerts::AlertTrigger;
use super::common::{
    CheckReference, LABEL, NAME, RestartPods, Rollback, RolloutRestart, Scale, level, mode,
    strategy, target_kind,
};
use super::policy_status::RemediationPolicyStatus;
use crate::core::{Level, Mode, Strategy, TargetKind};

/// What a RemediationPolicy asks for.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "kuberhealer.io",
    version = "v1alpha1",
    kind = "RemediationPolicy",
    plural = "remediationpolicies",
    shortname = "rp",
    category = "kuberhealer",
    namespaced,
    status = "RemediationPolicyStatus",
    derive = "PartialEq",
    doc = "Acts on one workload while one check of Kuberhealthy fails: with the gentlest step first, with the next one if that did not help, never more than its limits allow. It lives in the namespace of its target and can act nowhere else. Each time it acts, or would have in mode DryRun, there is a Remediation in the same namespace.",
    printcolumn = r#"{"name": "Check", "type": "string", "jsonPath": ".spec.trigger.check.name", "description": "The check whose failures count"}"#,
    printcolumn = r#"{"name": "Target", "type": "string", "jsonPath": ".spec.target.name", "description": "The workload that is acted on"}"#,
    printcolumn = r#"{"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "description": "DryRun, Enforce or Manual"}"#,
    printcolumn = r#"{"name": "Healthy", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"CheckHealthy\")].status", "description": "Whether the check passes"}"#,
    printcolumn = r#"{"name": "Failures", "type": "integer", "jsonPath": ".status.failures", "description": "Failing runs in a row that count"}"#,
    printcolumn = r#"{"name": "Allowed", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"RemediationAllowed\")].reason", "description": "What holds the next action back, if anything"}"#,
    printcolumn = r#"{"name": "LastAction", "type": "date", "jsonPath": ".status.lastRemediationTime", "description": "When the last Remediation began"}"#,
    printcolumn = r#"{"name": "Success%", "type": "integer", "jsonPath": ".status.successPercent", "description": "Share of the finished remediations that helped", "priority": 1}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.target.kind != 'DaemonSet' || !has(self.steps) || !self.steps.exists(s, has(s.scale))")
        .message("a DaemonSet cannot be scaled: take the scale step out, or name another target"),
    validation = Rule::new("self.target.kind != 'StatefulSet' || !has(self.steps) || size(self.steps) == 0 || (has(self.safety) && has(self.safety.allowStateful) && self.safety.allowStateful)")
        .message("a StatefulSet is acted on only with safety.allowStateful: true"),
    validation = Rule::new("!has(self.safety) || !has(self.safety.minReplicas) || !has(self.steps) || self.steps.all(s, !has(s.scale) || (has(s.scale.replicas) ? s.scale.replicas >= self.safety.minReplicas : !has(s.scale.maxReplicas) || s.scale.maxReplicas >= self.safety.minReplicas))")
        .message("scale.replicas and scale.maxReplicas must not be below safety.minReplicas (2 if unset): raise them, or lower minReplicas"),
    validation = Rule::new("!has(self.dependsOn) || !has(self.trigger.check) || !self.dependsOn.exists(d, d.__namespace__ == self.trigger.check.__namespace__ && d.name == self.trigger.check.name)")
        .message("dependsOn names the check of the trigger itself: list only checks of what the target needs"),
)]
pub struct RemediationPolicySpec {
    /// What the policy may do. `DryRun` (default): decides and records what it would do, touches nothing. `Enforce`:
    /// acts. `Manual`: records the intent and waits until somebody sets spec.approved of that Remediation.
    #[serde(default)]
    #[schemars(schema_with = "mode")]
    pub mode: Mode,
    /// When to act: which check or which alerts, and how often it has to fail.
    pub trigger: Trigger,
    /// What to act on: a workload of the policy's own namespace.
    pub target: Target,
    /// What to do, gentlest first, at most 5. The next step is taken when the one before did not make the check pass.
    /// Empty (default): nothing is done, conditions and metrics still tell of the failure.
    #[serde(default)]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub steps: Vec<Step>,
    /// How often and how soon a step is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// What must hold of the target before it is touched.
    #[serde(default)]
    pub safety: Safety,
    /// Checks of what the target needs, as its database, at most 16. Nothing is done until each of them, and each that
    /// they depend on by other policies, has passed in a run newer than the first failure of the own check: the root
    /// cause is dealt with first. Policies whose checks depend on each other in a circle do nothing (DependencyCycle).
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub depends_on: Vec<CheckReference>,
    /// How many seconds the target has to recover by itself once all checks in dependsOn pass again, 0 to 86400.
    #[serde(default = "dependency_grace")]
    #[schemars(range(min = 0, max = 86_400))]
    pub dependency_grace_seconds: i32,
    /// Whether checks that the errors lead to count like those in dependsOn (default). If a failing run names a Service,
    /// a workload or a pod, as "service NAMESPACE/NAME: ...", and the workload behind it is the target of another
    /// policy, the check of that policy counts until this incident is over. It never closes a circle: of policies that
    /// blame each other none waits.
    #[serde(default = "infer_dependencies")]
    pub infer_dependencies: bool,
    /// When actions may begin, at most 16 windows; one of them has to be open. Empty (default): always. What has begun
    /// is finished outside of them too.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub windows: Vec<Window>,
    /// Any entry pauses the policy: nothing new begins, what has begun is finished. Write who pauses and why, at most
    /// 16 entries of 128 characters; the first is shown as the reason.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub pause_requests: Vec<String>,
    /// How many finished Remediations are kept, 1 to 100; the oldest are deleted. The statistics count the deleted ones too.
    #[serde(default = "history_limit")]
    #[schemars(range(min = 1, max = 100))]
    pub history_limit: i32,
    /// Which step is taken next. `Ordered` (default): the gentlest that has tries left, as they are written. `Adaptive`:
    /// the one that has helped most with this failure, by its price, among those that have tries left; a step comes
    /// before a gentler one only with at least 3 outcomes of its own. status.learned has the outcomes, spec.choice of each
    /// Remediation the numbers. All limits hold as for Ordered.
    #[serde(default)]
    #[schemars(schema_with = "strategy")]
    pub strategy: Strategy,
    /// Who is told when an incident opens, what is done about it and how it ends. Unset: the receivers that the
    /// remediator's file of receivers (--notify-config) marks as default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
}

/// Who is told of what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notify {
    /// Names of receivers in the remediator's file of receivers, at most 16. A name that is not in it is not told, and
    /// the log says so. Empty (default): those that are marked as default.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63), regex(pattern = LABEL)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub receivers: Vec<String>,
    /// What matters less than this is not told: `info` (each action and hold), `warning` (incidents, their end, failures),
    /// `critical` (nothing is left to try). Unset: as each receiver has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "level")]
    pub severity: Option<Level>,
}

fn dependency_grace() -> i32 {
    300
}

fn infer_dependencies() -> bool {
    true
}

fn history_limit() -> i32 {
    20
}

/// When a policy acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.check) != has(self.alert)")
        .message("a trigger is exactly one of check and alert: make a policy of each"),
    validation = Rule::new("!has(self.alert) || !has(self.successThreshold) || self.successThreshold == 1")
        .message("that an alert is resolved is told once: leave successThreshold out"),
)]
pub struct Trigger {
    /// The check whose failures count. It may be in another namespace; it is only read. Either this or alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckReference>,
    /// How many runs in a row have to fail, 1 to 100; unset: 3 for a check, 1 for alerts, whose rules wait by
    /// themselves. Runs closer together than half the check's interval count once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: Option<i32>,
    /// For how many seconds the check has to have been failing as well, 0 to 86400.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86_400))]
    pub failure_seconds: i32,
    /// How many runs in a row have to pass to end an incident, and to verify an action, 1 to 100.
    #[serde(default = "success_threshold")]
    #[schemars(range(min = 1, max = 100))]
    pub success_threshold: i32,
    /// Regular expressions (RE2-like syntax, unanchored), at most 16 of 256 characters: only a failing run with an
    /// error that one of them matches counts. Empty (default): every failing run counts.
    #[serde(default)]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub match_errors: Vec<String>,
    /// Whether a run that never reported counts as failed. It says little of the target: the checker pod itself may
    /// not have been able to start. Failures of Kuberhealthy's own never count.
    #[serde(default)]
    pub count_timeouts: bool,
    /// The alerts that count, as Alertmanager or Grafana sends them to the remediator's webhook. Each delivery that tells
    /// of one that fires is a failing run; once all are resolved that is a passing one. Either this or check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertTrigger>,
}

fn success_threshold() -> i32 {
    1
}

/// The workload acted on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Deployment, StatefulSet (needs safety.allowStateful) or DaemonSet (cannot be scaled).
    #[schemars(schema_with = "target_kind")]
    pub kind: TargetKind,
    /// Its name, in the policy's namespace. If two policies name the same target, only the older one acts
    /// (TargetConflict).
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub name: String,
}

/// One step: exactly one action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.restartPods), has(self.rolloutRestart), has(self.scale), has(self.rollback)].exists_one(x, x)")
        .message("a step has exactly one of restartPods, rolloutRestart, scale, rollback: make a step of each"),
)]
pub struct Step {
    /// Evicts pods of the target, one after the other, and lets its controller replace them. Eviction respects
    /// disruption budgets: a refused one is tried again, not forced. {} takes the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_pods: Option<RestartPods>,
    /// Restarts all pods as `kubectl rollout restart` does, at the pace of the target's update strategy. Written {}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_restart: Option<RolloutRestart>,
    /// Raises the number of replicas: either to `replicas`, or by `step` up to `maxReplicas`. Never downwards. Not for
    /// a DaemonSet, nor for a target of an autoscaler unless safety.autoscaler is RaiseMinimum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// Goes back to the previous revision, as `kubectl rollout undo` does. Written {}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// How many seconds after its rollout the action has to have made the check pass, 1 to 86400; unset: time enough for
    /// successThreshold runs, by the check's own interval and time-out, and a minute more, or 900 for alerts. Then the
    /// next step is taken. Only runs that began after the rollout count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub verify_seconds: Option<i32>,
}

/// How often and how soon a step is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// How many times a step that did not help is tried again before the next one is taken, 0 to 10.
    #[serde(default)]
    #[schemars(range(min = 0, max = 10))]
    pub max_retry: i32,
    /// How many seconds lie between the end of one action and the next, 0 to 86400.
    #[serde(default = "cooldown")]
    #[schemars(range(min = 0, max = 86_400))]
    pub cooldown_seconds: i32,
    /// A failure within so many seconds after a recovery continues the old incident at the step it had reached,
    /// instead of a new one at the first, 0 to 604800 (a week).
    #[serde(default = "min_healthy")]
    #[schemars(range(min = 0, max = 604_800))]
    pub min_healthy_seconds: i32,
}

fn cooldown() -> i32 {
    300
}

fn min_healthy() -> i32 {
    3600
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            max_retry: 0,
            cooldown_seconds: cooldown(),
            min_healthy_seconds: min_healthy(),
        }
    }
}

/// What must hold of the target before it is touched. These come on top of the rules that hold for every policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Safety {
    /// A target with fewer replicas than this is not restarted (TooFewReplicas), 0 to 1000.
    #[serde(default = "min_replicas")]
    #[schemars(range(min = 0, max = 1000))]
    pub min_replicas: i32,
    /// Whether a StatefulSet may be acted on.
    #[serde(default)]
    pub allow_stateful: bool,
    /// What a scale step does if a HorizontalPodAutoscaler owns the number of replicas. `Skip` (default): nothing
    /// (AutoscalerConflict). `RaiseMinimum`: raises minReplicas of the autoscaler instead, never above its maxReplicas.
    #[serde(default)]
    pub autoscaler: AutoscalerMode,
    /// Whether to act while a rollout of the target is in progress. `Block` (default): not until it has finished or
    /// stalled (ProgressDeadlineExceeded). `Allow`: do.
    #[serde(default)]
    pub while_rolling_out: RolloutMode,
}

fn min_replicas() -> i32 {
    2
}

impl Default for Safety {
    fn default() -> Safety {
        Safety {
            min_replicas: min_replicas(),
            allow_stateful: false,
            autoscaler: AutoscalerMode::default(),
            while_rolling_out: RolloutMode::default(),
        }
    }
}

/// What a scale step does with an autoscaled target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AutoscalerMode {
    /// Nothing.
    #[default]
    Skip,
    /// Raises the autoscaler's minimum.
    RaiseMinimum,
}

/// Whether a rollout in progress holds actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RolloutMode {
    /// It does.
    #[default]
    Block,
    /// It does not.
    Allow,
}

/// Hours in which actions may begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.start != self.end")
        .message("a window must not end when it starts: for whole days give start 00:00 and end 23:59, or no window at all"),
)]
pub struct Window {
    /// The days on which the window opens. Empty (default): every day.
    #[serde(default)]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub days: Vec<Day>,
    /// When it opens, as HH:MM, 00:00 to 23:59.
    #[schemars(regex(pattern = CLOCK))]
    pub start: String,
    /// When it closes, as HH:MM. Earlier than start: on the next day.
    #[schemars(regex(pattern = CLOCK))]
    pub end: String,
    /// Time zone of start and end, as `Europe/Berlin`. With an unknown one the policy does nothing (InvalidPolicy).
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
}

const CLOCK: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";

fn utc() -> String {
    "UTC".to_owned()
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Day {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}
