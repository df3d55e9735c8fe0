//! The kinds of workload as they are read: only the fields that are looked at.

use k8s_openapi::api::apps::v1::{
    ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Client;
use kube::api::Api;
use kube::core::{ApiResource, Object};
use serde::Deserialize;
use serde_json::Value;

use crate::core::TargetKind;

/// A Deployment, StatefulSet or DaemonSet.
pub(super) type Workload = Object<Spec, Status>;

/// Its `spec`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) replicas: Option<i32>,
    pub(super) selector: LabelSelector,
    /// The pod template as the server has it, with fields that this program does not know.
    pub(super) template: Value,
    pub(super) paused: bool,
    /// Of a StatefulSet or DaemonSet.
    pub(super) update_strategy: Strategy,
}

/// `spec.updateStrategy`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Strategy {
    #[serde(rename = "type")]
    pub(super) kind: String,
    rolling_update: Option<Rolling>,
}

/// `spec.updateStrategy.rollingUpdate`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rolling {
    partition: Option<i32>,
}

impl Strategy {
    /// Of a StatefulSet: pods with a smaller ordinal are not updated.
    pub(super) fn partition(&self) -> i32 {
        let rolling = self.rolling_update.as_ref();
        rolling
            .and_then(|rolling| rolling.partition)
            .unwrap_or(0)
            .max(0)
    }
}

/// Its `status`. The last three numbers are a DaemonSet's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub(super) observed_generation: i64,
    pub(super) replicas: i32,
    pub(super) updated_replicas: i32,
    pub(super) ready_replicas: i32,
    pub(super) current_revision: String,
    pub(super) update_revision: String,
    pub(super) conditions: Vec<Condition>,
    pub(super) desired_number_scheduled: i32,
    pub(super) updated_number_scheduled: i32,
    pub(super) number_ready: i32,
}

/// A condition of a workload or a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: String,
}

/// Workloads of a kind.
pub(super) fn workloads(client: &Client, namespace: &str, kind: TargetKind) -> Api<Workload> {
    let resource = match kind {
        TargetKind::Deployment => ApiResource::erase::<Deployment>(&()),
        TargetKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        TargetKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
    };
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// What keeps the former pod templates of a kind.
pub(super) fn revision_resource(kind: TargetKind) -> ApiResource {
    match kind {
        TargetKind::Deployment => ApiResource::erase::<ReplicaSet>(&()),
        TargetKind::StatefulSet | TargetKind::DaemonSet => {
            ApiResource::erase::<ControllerRevision>(&())
        }
    }
}

/// The kind's name.
pub(super) fn name(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Deployment => "Deployment",
        TargetKind::StatefulSet => "StatefulSet",
        TargetKind::DaemonSet => "DaemonSet",
    }
}

/// UID of the controller that owns an object.
pub(super) fn controller(metadata: &ObjectMeta) -> Option<&str> {
    let owners: &[OwnerReference] = metadata.owner_references.as_deref().unwrap_or_default();
    let controller = owners.iter().find(|owner| owner.controller == Some(true));
    controller.map(|owner| owner.uid.as_str())
}

/// Why a new pod template would not reach the workload's pods, if it would not.
pub(super) fn frozen(kind: TargetKind, spec: &Spec) -> Option<String> {
    let strategy = &spec.update_strategy;
    let partition = strategy.partition();
    match kind {
        TargetKind::Deployment => None,
        _ if strategy.kind == "OnDelete" => Some(
            "its update strategy is OnDelete, so no pod would be replaced; use restartPods, or RollingUpdate"
                .to_owned(),
        ),
        TargetKind::StatefulSet if partition > 0 && partition >= spec.replicas.unwrap_or(1) => Some(format!(
            "partition {partition} of its update strategy spares every pod, so none would be replaced"
        )),
        TargetKind::StatefulSet | TargetKind::DaemonSet => None,
    }
}
