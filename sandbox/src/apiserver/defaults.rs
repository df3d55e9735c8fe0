//! Defaults and checks of built-in kinds, as far as somebody looks at them: pods and what makes pods.

use serde_json::{Value, json};

use super::autoscaler;
use crate::status::Cause;

/// Fills in the defaults of an object; `new` if it is being created.
pub(crate) fn fill(group: &str, plural: &str, new: bool, object: &mut Value) {
    match (group, plural) {
        ("", "pods") => {
            if let Some(spec) = object.get_mut("spec") {
                pod_spec(spec);
                if new {
                    pod_admission(spec);
                }
            }
            if new {
                let class = quality(&object["spec"]);
                object["status"] = json!({"phase": "Pending", "qosClass": class});
            }
        }
        ("apps", "deployments") => deployment(object),
        ("apps", "replicasets") => {
            missing(object, "spec", json!({}));
            missing(&mut object["spec"], "replicas", json!(1));
            template(object);
        }
        ("apps", "statefulsets") => stateful_set(object),
        ("apps", "daemonsets") => daemon_set(object),
        ("autoscaling", "horizontalpodautoscalers") => autoscaler::fill(object),
        ("batch", "jobs") => template(object),
        ("", "services") => service(object),
        _ => {}
    }
}

/// Sets a field that is missing or null; of anything but an object nothing is set.
pub(crate) fn missing(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = object {
        let place = fields.entry(key).or_insert(Value::Null);
        if place.is_null() {
            *place = value;
        }
    }
}

/// The elements of a list below `object`, if there is one.
fn elements<'a>(object: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    object
        .get_mut(key)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

fn template(object: &mut Value) {
    if let Some(spec) = object.pointer_mut("/spec/template/spec") {
        pod_spec(spec);
    }
}

fn deployment(object: &mut Value) {
    missing(object, "spec", json!({}));
    let spec = &mut object["spec"];
    for (key, value) in [
        ("replicas", json!(1)),
        ("revisionHistoryLimit", json!(10)),
        ("progressDeadlineSeconds", json!(600)),
        ("strategy", json!({})),
    ] {
        missing(spec, key, value);
    }
    if let Some(strategy) = spec.get_mut("strategy") {
        missing(strategy, "type", json!("RollingUpdate"));
        if strategy["type"] == "RollingUpdate" {
            missing(strategy, "rollingUpdate", json!({}));
            if let Some(rolling) = strategy.get_mut("rollingUpdate") {
                missing(rolling, "maxUnavailable", json!("25%"));
                missing(rolling, "maxSurge", json!("25%"));
            }
        }
    }
    template(object);
}

fn stateful_set(object: &mut Value) {
    missing(object, "spec", json!({}));
    let spec = &mut object["spec"];
    for (key, value) in [
        ("replicas", json!(1)),
        ("revisionHistoryLimit", json!(10)),
        ("podManagementPolicy", json!("OrderedReady")),
        (
            "persistentVolumeClaimRetentionPolicy",
            json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
        ),
        ("updateStrategy", json!({})),
    ] {
        missing(spec, key, value);
    }
    if let Some(strategy) = spec.get_mut("updateStrategy") {
        missing(strategy, "type", json!("RollingUpdate"));
        if strategy["type"] == "RollingUpdate" {
            missing(strategy, "rollingUpdate", json!({}));
            if let Some(rolling) = strategy.get_mut("rollingUpdate") {
                missing(rolling, "partition", json!(0));
            }
        }
    }
    template(object);
}

fn daemon_set(object: &mut Value) {
    missing(object, "spec", json!({}));
    let spec = &mut object["spec"];
    missing(spec, "revisionHistoryLimit", json!(10));
    missing(spec, "updateStrategy", json!({}));
    if let Some(strategy) = spec.get_mut("updateStrategy") {
        missing(strategy, "type", json!("RollingUpdate"));
        if strategy["type"] == "RollingUpdate" {
            missing(strategy, "rollingUpdate", json!({}));
            if let Some(rolling) = strategy.get_mut("rollingUpdate") {
                missing(rolling, "maxUnavailable", json!(1));
                missing(rolling, "maxSurge", json!(0));
            }
        }
    }
    template(object);
}

fn service(object: &mut Value) {
    missing(object, "spec", json!({}));
    let spec = &mut object["spec"];
    missing(spec, "type", json!("ClusterIP"));
    missing(spec, "sessionAffinity", json!("None"));
    for port in elements(spec, "ports") {
        let number = port["port"].clone();
        missing(port, "protocol", json!("TCP"));
        missing(port, "targetPort", number);
    }
}

fn pod_spec(spec: &mut Value) {
    for (key, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("securityContext", json!({})),
        ("schedulerName", json!("default-scheduler")),
    ] {
        missing(spec, key, value);
    }
    for list in ["initContainers", "containers"] {
        elements(spec, list).for_each(container);
    }
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let tag = image.rsplit('/').next().unwrap_or_default();
    let latest = !image.contains('@') && (!tag.contains(':') || tag.ends_with(":latest"));
    let policy = if latest { "Always" } else { "IfNotPresent" };
    for (key, value) in [
        ("imagePullPolicy", json!(policy)),
        ("resources", json!({})),
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("File")),
    ] {
        missing(container, key, value);
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = container.get_mut(name) {
            probe(found);
        }
    }
    for port in elements(container, "ports") {
        missing(port, "protocol", json!("TCP"));
    }
    for variable in elements(container, "env") {
        if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
            missing(field, "apiVersion", json!("v1"));
        }
    }
}

fn probe(probe: &mut Value) {
    for (key, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        missing(probe, key, json!(value));
    }
    if let Some(request) = probe.get_mut("httpGet") {
        missing(request, "scheme", json!("HTTP"));
        missing(request, "path", json!("/"));
    }
}

/// What admission adds to a pod on a default cluster.
fn pod_admission(spec: &mut Value) {
    let tolerate = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    for (key, value) in [
        ("enableServiceLinks", json!(true)),
        ("preemptionPolicy", json!("PreemptLowerPriority")),
        ("priority", json!(0)),
        ("tolerations", json!([])),
    ] {
        missing(spec, key, value);
    }
    if let Some(tolerations) = spec.get_mut("tolerations").and_then(Value::as_array_mut) {
        for key in [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
        ] {
            if !tolerations.iter().any(|have| have["key"] == key) {
                tolerations.push(tolerate(key));
            }
        }
    }
}

/// Quality of service: guaranteed if every container's limits are set and equal its requests.
fn quality(spec: &Value) -> &'static str {
    let containers = spec["containers"].as_array().map_or(&[][..], Vec::as_slice);
    let of = |container: &Value, part: &str, what: &str| container["resources"][part][what].clone();
    let any = containers.iter().any(|container| {
        ["limits", "requests"].iter().any(|part| {
            container["resources"][*part]
                .as_object()
                .is_some_and(|set| !set.is_empty())
        })
    });
    let guaranteed = containers.iter().all(|container| {
        ["cpu", "memory"].iter().all(|what| {
            let (limit, request) = (
                of(container, "limits", what),
                of(container, "requests", what),
            );
            !limit.is_null() && (request.is_null() || request == limit)
        })
    });
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// What is wrong with a pod.
pub(crate) fn check_pod(pod: &Value) -> Vec<Cause> {
    let spec = &pod["spec"];
    let mut causes = Vec::new();
    let containers = spec["containers"].as_array().map_or(&[][..], Vec::as_slice);
    if containers.is_empty() {
        causes.push(Cause::required("spec.containers", ""));
    }
    for (at, container) in containers.iter().enumerate() {
        for key in ["name", "image"] {
            if container[key].as_str().unwrap_or_default().is_empty() {
                causes.push(Cause::required(format!("spec.containers[{at}].{key}"), ""));
            }
        }
        if containers[..at]
            .iter()
            .any(|other| other["name"] == container["name"])
        {
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                field: format!("spec.containers[{at}].name"),
                message: format!("Duplicate value: {}", container["name"]),
            });
        }
    }
    let policies = ["Always", "OnFailure", "Never"].map(Value::from);
    if !policies.contains(&spec["restartPolicy"]) {
        causes.push(Cause::unsupported(
            "spec.restartPolicy",
            &spec["restartPolicy"],
            &policies,
        ));
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_gets_what_the_recorded_ones_have() {
        let mut pod = json!({"spec": {
            "containers": [{
                "name": "main", "image": "none", "command": ["/check"],
                "env": [{"name": "A", "value": "1"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}],
            }],
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
        }});
        fill("", "pods", true, &mut pod);
        // Of tests/fixtures/kuberhealthy/v3/checker-pod.json, without what the node and its placement add.
        let expected = json!({
            "containers": [{
                "name": "main", "image": "none", "command": ["/check"], "imagePullPolicy": "Always", "resources": {},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "N", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}},
                ],
            }],
            "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0, "restartPolicy": "Never", "schedulerName": "default-scheduler", "securityContext": {},
            "terminationGracePeriodSeconds": 1,
            "tolerations": [
                {"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
                {"effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300},
            ],
        });
        assert_eq!(pod["spec"], expected);
        assert_eq!(
            pod["status"],
            json!({"phase": "Pending", "qosClass": "BestEffort"})
        );
        assert_eq!(check_pod(&pod), []);
    }

    #[test]
    fn a_pull_policy_follows_the_tag() {
        for (image, policy) in [
            ("a", "Always"),
            ("a:latest", "Always"),
            ("host:5000/a", "Always"),
            ("host:5000/a:1", "IfNotPresent"),
            ("a@sha256:0", "IfNotPresent"),
        ] {
            let mut found = json!({"image": image});
            container(&mut found);
            assert_eq!(found["imagePullPolicy"], policy, "{image}");
        }
    }

    #[test]
    fn a_pod_without_containers_is_refused() {
        let fields = |pod: Value| {
            check_pod(&pod)
                .into_iter()
                .map(|cause| cause.field)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            fields(json!({"spec": {"restartPolicy": "Never"}})),
            ["spec.containers"]
        );
        let twice = json!({"spec": {"restartPolicy": "X", "containers": [{"name": "a", "image": "i"}, {"name": "a"}]}});
        assert_eq!(
            fields(twice),
            [
                "spec.containers[1].image",
                "spec.containers[1].name",
                "spec.restartPolicy"
            ]
        );
    }
}
