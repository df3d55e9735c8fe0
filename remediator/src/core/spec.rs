//! What a policy asks for, already validated. Durations are in seconds.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AlertMatch, CheckKind, Matcher, ObjectKey};

/// What a policy may do with a decision.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Mode {
    /// Decide and record, touch nothing.
    #[default]
    DryRun,
    /// Act.
    Enforce,
    /// Record, and act once the record is approved.
    Manual,
}

/// Which of its steps a policy takes next.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub enum Strategy {
    /// The gentlest that has tries left.
    #[default]
    Ordered,
    /// The one that has helped most with this failure, by its price.
    Adaptive,
}

/// Kinds of workload that can be remediated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TargetKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
}

impl TargetKind {
    /// The kind as Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            TargetKind::Deployment => "Deployment",
            TargetKind::StatefulSet => "StatefulSet",
            TargetKind::DaemonSet => "DaemonSet",
        }
    }
}

/// A RemediationPolicy's spec.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySpec {
    /// The policy's namespace (also its target's) and name.
    pub key: ObjectKey,
    /// The policy's UID.
    pub uid: String,
    /// The policy's generation.
    pub generation: i64,
    /// What may be done.
    pub mode: Mode,
    /// The check's kind; found by itself if unset.
    pub source: Option<CheckKind>,
    /// The check.
    pub check: ObjectKey,
    /// Failing runs in a row before anything is done.
    pub failure_threshold: u32,
    /// And failing for at least this long.
    pub failure_seconds: u32,
    /// Passing runs in a row that end an incident.
    pub success_threshold: u32,
    /// Only failures with an error that matches count.
    pub match_errors: Matcher,
    /// Whether a run that never reported counts as a failure.
    pub count_timeouts: bool,
    /// The workload: kind and name.
    pub target: (TargetKind, Arc<str>),
    /// What is done, gentlest first; none: nothing, the policy only tells.
    pub steps: Vec<Step>,
    /// How often, and how soon again.
    pub retry: Retry,
    /// What the target must be like.
    pub safety: Safety,
    /// Upstream checks.
    pub depends_on: Vec<(Option<CheckKind>, ObjectKey)>,
    /// How long after an upstream check's recovery this check gets to recover by itself.
    pub dependency_grace: u32,
    /// When acting is allowed; none: always.
    pub windows: Vec<Window>,
    /// Why the policy is paused, if it is.
    pub pause: Option<String>,
    /// Finished records kept.
    pub history_limit: u32,
    /// Whether what the check's errors name leads to further upstream checks; yes.
    pub infer_dependencies: bool,
    /// Which step is taken next.
    pub strategy: Strategy,
    /// Who is told of it; absent: the receivers that are for all policies.
    pub notify: Option<Notify>,
    /// The alerts that trigger it instead of a check; `source` and `check` are then Alert and the policy's own name.
    pub alert: Option<AlertMatch>,
}

impl PolicySpec {
    /// The check as the policy names it: the kinds that it may have, its namespace and its name.
    pub fn named_check(&self) -> String {
        let ObjectKey { namespace, name } = &self.check;
        let kind = match self.source {
            Some(kind) => kind.as_str(),
            None => "KuberhealthyState or HealthCheck",
        };
        format!("{kind} {namespace}/{name}")
    }
}

/// How much something matters to who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Info,
    /// Somebody may have to look.
    Warning,
    /// Somebody has to look.
    Critical,
}

impl Level {
    /// As policies and files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Critical => "critical",
        }
    }
}

/// Who is told of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Notify {
    /// Names of receivers; none: those that are for all policies.
    pub receivers: Vec<String>,
    /// What matters less than this is not told; absent: as each receiver has it.
    pub level: Option<Level>,
}

/// One step of the escalation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// How long the check has to pass afterwards; absent: derived from the check's interval and timeout.
    pub verify_seconds: Option<u32>,
}

/// What can be done to a workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Evict pods, one after the other.
    RestartPods {
        /// Which.
        pods: Selection,
        /// At most this many.
        max: u32,
    },
    /// Annotate the pod template.
    RolloutRestart,
    /// Change the number of replicas.
    Scale(Scaling),
    /// Go back to the previous revision.
    Rollback,
}

/// Which pods are restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Selection {
    /// Those the check's errors name.
    #[default]
    Reported,
    /// Those that are not ready.
    NotReady,
    /// Any, oldest first.
    All,
}

/// How the number of replicas is changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scaling {
    /// To a number.
    Absolute {
        /// That number, at least 1.
        replicas: i32,
        /// Set back after this long, if nobody changed it meanwhile.
        revert: Option<u32>,
    },
    /// By a number, upwards.
    By {
        /// That number, at least 1.
        step: i32,
        /// Never above.
        max: i32,
        /// Set back after this long, if nobody changed it meanwhile.
        revert: Option<u32>,
    },
}

impl Scaling {
    /// After how long the number of replicas is set back.
    pub fn revert(&self) -> Option<u32> {
        match self {
            Scaling::Absolute { revert, .. } | Scaling::By { revert, .. } => *revert,
        }
    }
}

/// How often, and how soon again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Retry {
    /// Extra tries of a step before the next; 0.
    pub max_retry: u32,
    /// From the end of one remediation to the next; 300.
    pub cooldown: u32,
    /// A check that fails again within this long after its recovery continues the old incident; 3600.
    pub min_healthy: u32,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            max_retry: 0,
            cooldown: 300,
            min_healthy: 3600,
        }
    }
}

/// What the target must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Safety {
    /// A target with fewer replicas is not restarted; 2.
    pub min_replicas: i32,
    /// Whether a StatefulSet may be touched; no.
    pub allow_stateful: bool,
    /// Whether an autoscaler's minimum is raised where `scale` would change replicas it sets; no: the step is held.
    pub raise_minimum: bool,
    /// Whether a rollout in progress holds; yes.
    pub block_rollout: bool,
}

impl Default for Safety {
    fn default() -> Safety {
        Safety {
            min_replicas: 2,
            allow_stateful: false,
            raise_minimum: false,
            block_rollout: true,
        }
    }
}

/// When acting is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Days on which it opens: bit 0 is Monday; 0 means all.
    pub days: u8,
    /// Opens, in minutes since midnight.
    pub start: u16,
    /// Closes, in minutes since midnight; before `start`: on the next day.
    pub end: u16,
    /// IANA name of the time zone.
    pub zone: String,
}
