//! The table of built-in kinds.

use std::sync::Arc;

use serde_json::Value;

use super::{Resource, Version};
use crate::store::Collection;

/// Scope and subresources, one letter each: N namespaced, S `/status`, R `/scale` (replicas), G keeps a generation,
/// A in category `all`, V a review (not stored), E shows the core group's events.
struct Row(
    /* group */ &'static str,
    /* version */ &'static str,
    /* plural */ &'static str,
    /* kind */ &'static str,
    /* short names */ &'static str,
    /* traits */ &'static str,
);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row("", "v1", "configmaps", "ConfigMap", "cm", "N"),
    Row("", "v1", "endpoints", "Endpoints", "ep", "N"),
    Row("", "v1", "events", "Event", "ev", "N"),
    Row("", "v1", "limitranges", "LimitRange", "limits", "N"),
    Row("", "v1", "namespaces", "Namespace", "ns", "S"),
    Row("", "v1", "nodes", "Node", "no", "S"),
    Row("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", "NS"),
    Row("", "v1", "persistentvolumes", "PersistentVolume", "pv", "S"),
    Row("", "v1", "pods", "Pod", "po", "NSGA"),
    Row("", "v1", "replicationcontrollers", "ReplicationController", "rc", "NSRGA"),
    Row("", "v1", "resourcequotas", "ResourceQuota", "quota", "NS"),
    Row("", "v1", "secrets", "Secret", "", "N"),
    Row("", "v1", "serviceaccounts", "ServiceAccount", "sa", "N"),
    Row("", "v1", "services", "Service", "svc", "NSA"),
    // Stored, so that manifests can be applied; nothing is admitted or refused by them.
    Row("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", "", "SG"),
    Row("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", "", ""),
    Row("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", "crd,crds", "SG"),
    Row("apps", "v1", "controllerrevisions", "ControllerRevision", "", "N"),
    Row("apps", "v1", "daemonsets", "DaemonSet", "ds", "NSGA"),
    Row("apps", "v1", "deployments", "Deployment", "deploy", "NSRGA"),
    Row("apps", "v1", "replicasets", "ReplicaSet", "rs", "NSRGA"),
    Row("apps", "v1", "statefulsets", "StatefulSet", "sts", "NSRGA"),
    Row("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", "", "V"),
    Row("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", "NSA"),
    Row("batch", "v1", "cronjobs", "CronJob", "cj", "NSGA"),
    Row("batch", "v1", "jobs", "Job", "", "NSGA"),
    Row("coordination.k8s.io", "v1", "leases", "Lease", "", "N"),
    Row("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "", "NG"),
    Row("events.k8s.io", "v1", "events", "Event", "ev", "NE"),
    Row("networking.k8s.io", "v1", "ingresses", "Ingress", "ing", "NSG"),
    Row("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", "netpol", "NG"),
    Row("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", "NSG"),
    Row("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", "", ""),
    Row("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", "", ""),
    Row("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", "", "N"),
    Row("rbac.authorization.k8s.io", "v1", "roles", "Role", "", "N"),
    Row("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", "pc", "G"),
    Row("storage.k8s.io", "v1", "storageclasses", "StorageClass", "sc", ""),
];

pub(super) fn resources() -> impl Iterator<Item = Resource> {
    TABLE.iter().map(
        |Row(group, version, plural, kind, short, traits)| Resource {
            collection: Collection {
                group: (*group).to_owned(),
                resource: (*plural).to_owned(),
            },
            singular: kind.to_lowercase(),
            kind: (*kind).to_owned(),
            list_kind: format!("{kind}List"),
            short_names: short
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            categories: if traits.contains('A') {
                vec!["all".to_owned()]
            } else {
                Vec::new()
            },
            namespaced: traits.contains('N'),
            generation: traits.contains('G'),
            custom: false,
            review: traits.contains('V'),
            view_of: traits.contains('E').then(|| Collection {
                group: String::new(),
                resource: "events".to_owned(),
            }),
            versions: vec![Arc::new(Version {
                name: (*version).to_owned(),
                status: traits.contains('S'),
                scale: traits.contains('R'),
                schema: Value::Null,
                columns: Vec::new(),
            })],
            storage: (*version).to_owned(),
        },
    )
}
