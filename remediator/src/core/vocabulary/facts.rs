//! A target as it was read.

use crate::core::Time;

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
