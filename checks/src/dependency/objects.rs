//! The few fields of Kubernetes objects that decide whether something is available.
//!
//! Everything else is skipped while decoding, so that a page costs little memory. Lists may be `null` in answers.

use serde::Deserialize;
use serde_json::Value;

/// `v1` Service.
#[derive(Debug, Deserialize)]
pub(super) struct Service {
    #[serde(default)]
    pub(super) spec: ServiceSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    pub(super) r#type: Option<String>,
    pub(super) external_name: Option<String>,
    #[serde(rename = "clusterIP")]
    pub(super) cluster_ip: Option<String>,
    pub(super) ports: Option<Vec<ServicePort>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServicePort {
    pub(super) name: Option<String>,
    pub(super) port: u16,
}

/// `discovery.k8s.io/v1` EndpointSlice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointSlice {
    #[serde(default)]
    pub(super) address_type: String,
    pub(super) endpoints: Option<Vec<Endpoint>>,
    pub(super) ports: Option<Vec<SlicePort>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SlicePort {
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoint {
    pub(super) addresses: Option<Vec<String>>,
    #[serde(default)]
    pub(super) conditions: EndpointConditions,
    pub(super) target_ref: Option<TargetRef>,
}

/// Absent conditions mean: ready, serving, not terminating (API reference of EndpointConditions).
#[derive(Debug, Default, Deserialize)]
pub(super) struct EndpointConditions {
    pub(super) ready: Option<bool>,
    pub(super) serving: Option<bool>,
    pub(super) terminating: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TargetRef {
    pub(super) kind: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) uid: Option<String>,
}

/// `apps/v1` Deployment, StatefulSet or DaemonSet.
#[derive(Debug, Deserialize)]
pub(super) struct Replicated {
    #[serde(default)]
    pub(super) spec: ReplicatedSpec,
    #[serde(default)]
    pub(super) status: ReplicatedStatus,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ReplicatedSpec {
    /// 1 if absent; DaemonSets have none.
    pub(super) replicas: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplicatedStatus {
    pub(super) available_replicas: Option<u32>,
    pub(super) number_available: Option<u32>,
    pub(super) desired_number_scheduled: Option<u32>,
}

/// `batch/v1` Job.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    #[serde(default)]
    pub(super) spec: JobSpec,
    #[serde(default)]
    pub(super) status: Conditions,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct JobSpec {
    pub(super) suspend: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Conditions {
    pub(super) conditions: Option<Vec<Condition>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Condition {
    pub(super) r#type: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
}

/// `v1` PersistentVolumeClaim.
#[derive(Debug, Deserialize)]
pub(super) struct Claim {
    #[serde(default)]
    pub(super) status: Phase,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Phase {
    pub(super) phase: Option<String>,
}

/// `v1` Pod.
#[derive(Debug, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: PodMeta,
    #[serde(default)]
    pub(super) status: PodStatus,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodMeta {
    pub(super) name: String,
    pub(super) deletion_timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodStatus {
    pub(super) phase: Option<String>,
    pub(super) conditions: Option<Vec<Condition>>,
    pub(super) container_statuses: Option<Vec<ContainerStatus>>,
    pub(super) init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ContainerStatus {
    #[serde(default)]
    pub(super) state: ContainerState,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ContainerState {
    pub(super) waiting: Option<Waiting>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Waiting {
    pub(super) reason: Option<String>,
}

/// Any object. Its status is free in form, so it is looked into by hand.
#[derive(Debug, Deserialize)]
pub(super) struct Any {
    pub(super) metadata: Generation,
    #[serde(default)]
    pub(super) status: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct Generation {
    pub(super) generation: Option<i64>,
}

/// What the API server serves of one group and version.
#[derive(Debug, Deserialize)]
pub(super) struct ResourceList {
    pub(super) resources: Option<Vec<ApiResource>>,
}

/// One kind it serves.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ApiResource {
    /// Plural, such as `nodes`, or a subresource, such as `nodes/status`.
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) namespaced: bool,
}
