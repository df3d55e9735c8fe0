use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;

pub(super) fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub(super) fn text<T>(result: Result<T, NotReady>) -> String {
    result.map_or_else(|wrong| wrong.to_string(), |_| "ok".to_owned())
}

/// An answer of a real API server.
pub(super) fn recorded(name: &str) -> Value {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/kubernetes/answers"
    );
    serde_json::from_slice(&std::fs::read(format!("{folder}/{name}.json")).unwrap()).unwrap()
}

#[test]
fn workloads_need_available_replicas() {
    use Workload::*;
    let one = Minimum::ONE;
    let cases = [
        (
            Deployment,
            json!({"spec": {"replicas": 2}, "status": {"availableReplicas": 1}}),
            one,
            "ok",
        ),
        (
            Deployment,
            json!({}),
            one,
            "expected at least 1 available replica, seen none",
        ),
        (
            Deployment,
            json!({"spec": {"replicas": 0}, "status": {}}),
            one,
            "expected at least 1 available replica, seen a deployment scaled to 0",
        ),
        (
            Deployment,
            json!({"spec": {"replicas": 3}, "status": {"availableReplicas": 2, "readyReplicas": 3}}),
            Minimum::Percent(100),
            "expected at least 100% of its replicas available, seen fewer",
        ),
        (
            StatefulSet,
            json!({"spec": {"replicas": 3}, "status": {"availableReplicas": 1}}),
            Minimum::Count(2),
            "expected at least 2 available replicas, seen fewer",
        ),
        (
            StatefulSet,
            json!({"spec": {"replicas": 3}, "status": {"availableReplicas": 2}}),
            Minimum::Percent(50),
            "ok",
        ),
        (
            DaemonSet,
            json!({"spec": {}, "status": {"desiredNumberScheduled": 4, "numberAvailable": 3}}),
            Minimum::Percent(80),
            "expected at least 80% of its replicas available, seen fewer",
        ),
        (
            DaemonSet,
            json!({"status": {"desiredNumberScheduled": 4, "numberAvailable": 3}}),
            Minimum::Percent(75),
            "ok",
        ),
        (
            DaemonSet,
            json!({"status": {"desiredNumberScheduled": 0}}),
            one,
            "expected at least 1 available replica, seen no node it is to run on",
        ),
    ];
    for (kind, value, minimum, expected) in cases {
        assert_eq!(
            text(workload(kind, &object(value.clone()), minimum)),
            expected,
            "{value}"
        );
    }
}

#[test]
fn jobs_need_to_have_completed() {
    let with = |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status, "reason": "BackoffLimitExceeded"}]}});
    for (value, expected) in [
        (with("Complete", "True"), "ok"),
        (
            with("Complete", "False"),
            "expected a completed job, seen one that has not finished",
        ),
        (
            with("SuccessCriteriaMet", "True"),
            "expected a completed job, seen one that has not finished",
        ),
        (
            with("Failed", "True"),
            "expected a completed job, seen a failed job (BackoffLimitExceeded)",
        ),
        (
            json!({"spec": {"suspend": true}}),
            "expected a completed job, seen a suspended job",
        ),
        (
            json!({"status": {"conditions": null}}),
            "expected a completed job, seen one that has not finished",
        ),
    ] {
        assert_eq!(text(job(&object(value.clone()))), expected, "{value}");
    }
}

#[test]
fn claims_need_to_be_bound() {
    for (value, expected) in [
        (json!({"status": {"phase": "Bound"}}), "ok"),
        (
            json!({"status": {"phase": "Pending"}}),
            "expected phase Bound, seen Pending",
        ),
        (
            json!({"status": {"phase": "Lost"}}),
            "expected phase Bound, seen Lost",
        ),
        (json!({}), "expected phase Bound, seen none"),
    ] {
        assert_eq!(text(claim(&object(value.clone()))), expected, "{value}");
    }
}

#[test]
fn conditions_need_their_status_for_this_generation() {
    let stale =
        "expected condition Ready to be True, seen it only for an older generation of the object";
    for (value, status, expected) in [
        (
            json!({"conditions": [{"type": "Ready", "status": "True"}]}),
            "True",
            "ok",
        ),
        (
            json!({"conditions": [{"type": "Ready", "status": "False"}]}),
            "False",
            "ok",
        ),
        (
            json!({"conditions": [{"type": "Ready", "status": "False", "reason": "Issuing"}]}),
            "True",
            "expected condition Ready to be True, seen False (Issuing)",
        ),
        (
            json!({"conditions": [{"type": "Ready", "status": "Unknown", "reason": "at 10:15, twice"}]}),
            "True",
            "expected condition Ready to be True, seen Unknown",
        ),
        (
            json!({"conditions": [{"type": "Other", "status": "True"}]}),
            "True",
            "expected condition Ready to be True, seen no such condition",
        ),
        (
            json!({"conditions": [{"type": "Ready"}]}),
            "True",
            "expected condition Ready to be True, seen no status",
        ),
        (
            json!({"conditions": "none"}),
            "True",
            "expected condition Ready to be True, seen no such condition",
        ),
        (
            json!("a word"),
            "True",
            "expected condition Ready to be True, seen no such condition",
        ),
        (
            json!(null),
            "True",
            "expected condition Ready to be True, seen no such condition",
        ),
        (
            json!({"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}]}),
            "True",
            stale,
        ),
        (
            json!({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}),
            "True",
            stale,
        ),
        (
            json!({"observedGeneration": 3, "conditions": [{"type": "Ready", "status": "True"}]}),
            "True",
            "ok",
        ),
        (
            json!({"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 3}]}),
            "True",
            "ok",
        ),
    ] {
        let any = object(json!({"metadata": {"generation": 3}, "status": value}));
        assert_eq!(text(condition(&any, "Ready", status)), expected, "{value}");
    }
}

#[test]
fn kinds_are_found_without_their_subresources() {
    let list: ResourceList = object(json!({"resources": [
        {"name": "nodes/status", "kind": "Node", "namespaced": false, "singularName": ""},
        {"name": "nodes", "kind": "Node", "namespaced": false, "singularName": "node"},
    ]}));
    assert_eq!(resource(&list, "v1", "node").unwrap().name, "nodes");
    assert_eq!(
        text(resource(&list, "v1", "Nod")),
        "expected the API server to serve kind Nod of v1, seen no such kind"
    );
}

#[test]
fn recorded_deployments() {
    for (name, minimum, expected) in [
        ("deployment-during-rollout", Minimum::Percent(100), "ok"),
        ("deployment-after-rollout", Minimum::Count(3), "ok"),
        (
            "deployment-after-rollout",
            Minimum::Count(4),
            "expected at least 4 available replicas, seen fewer",
        ),
    ] {
        let deployment = object(recorded(name));
        let seen = text(workload(Workload::Deployment, &deployment, minimum));
        assert_eq!(seen, expected, "{name}");
    }
}
