//! Workloads, jobs and claims.

use sandbox::faults::Rule;
use serde_json::{Value, json};

use super::*;

fn workload(cluster: &Cluster, kind: &str, name: &str, replicas: u32, status: Value) {
    let plural = format!("{}s", kind.to_lowercase());
    let pod = json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let mut spec = json!({"selector": {"matchLabels": {"app": name}}, "template": pod});
    if kind != "DaemonSet" {
        spec["replicas"] = json!(replicas);
    }
    if kind == "StatefulSet" {
        spec["serviceName"] = json!(name);
    }
    cluster.add(
        &format!("/apis/apps/v1/namespaces/shop/{plural}"),
        json!({"kind": kind, "apiVersion": "apps/v1", "metadata": {"name": name}, "spec": spec, "status": status}),
    );
}

#[test]
fn workloads() {
    let cluster = Cluster::new();
    workload(
        &cluster,
        "Deployment",
        "web",
        4,
        json!({"replicas": 4, "availableReplicas": 2}),
    );
    workload(&cluster, "Deployment", "off", 0, json!({"replicas": 0}));
    workload(
        &cluster,
        "StatefulSet",
        "db",
        2,
        json!({"replicas": 2, "readyReplicas": 2}),
    );
    workload(
        &cluster,
        "DaemonSet",
        "cni",
        0,
        json!({"desiredNumberScheduled": 3, "numberAvailable": 2,
        "currentNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": 2}),
    );
    cluster
        .dependencies("deployment:shop/web,deployment:shop/web>=2,deployment:shop/web>=50%,daemonset:shop/cni>=60%")
        .run()
        .passed();
    cluster
        .dependencies("deployment:shop/web>=3,deployment:shop/off,deployment:shop/gone,statefulset:shop/db,statefulset:db,daemonset:shop/cni>=70%,daemonset:gone")
        .run()
        .failed(&[
            "deployment shop/web: expected at least 3 available replicas, seen fewer",
            "deployment shop/off: expected at least 1 available replica, seen a deployment scaled to 0",
            "deployment shop/gone: expected a deployment of this name, seen none",
            "statefulset shop/db: expected at least 1 available replica, seen none",
            "statefulset checks/db: expected a statefulset of this name, seen none",
            "daemonset shop/cni: expected at least 70% of its replicas available, seen fewer",
            "daemonset checks/gone: expected a daemonset of this name, seen none",
        ]);
}

fn job(cluster: &Cluster, name: &str, status: Value) {
    let pod =
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    cluster.add(
        "/apis/batch/v1/namespaces/shop/jobs",
        json!({"kind": "Job", "apiVersion": "batch/v1", "metadata": {"name": name}, "spec": {"template": pod}, "status": status}),
    );
}

#[test]
fn jobs() {
    let cluster = Cluster::new();
    let condition = |kind: &str, reason: &str| json!({"conditions": [{"type": kind, "status": "True", "reason": reason}]});
    job(
        &cluster,
        "done",
        condition("Complete", "CompletionsReached"),
    );
    job(
        &cluster,
        "broken",
        condition("Failed", "BackoffLimitExceeded"),
    );
    job(&cluster, "running", json!({"active": 1}));
    cluster.dependencies("job:shop/done").run().passed();
    cluster
        .dependencies("job:shop/broken,job:shop/running,job:shop/gone")
        .run()
        .failed(&[
            "job shop/broken: expected a completed job, seen a failed job (BackoffLimitExceeded)",
            "job shop/running: expected a completed job, seen one that has not finished",
            "job shop/gone: expected a job of this name, seen none",
        ]);
}

#[test]
fn claims() {
    let cluster = Cluster::new();
    for (name, phase) in [("data", "Bound"), ("more", "Pending")] {
        cluster.add(
            "/api/v1/namespaces/shop/persistentvolumeclaims",
            json!({"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": {"name": name},
                   "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                   "status": {"phase": phase}}),
        );
    }
    cluster.dependencies("pvc:shop/data").run().passed();
    cluster.dependencies("pvc:shop/more,pvc:shop/gone").run().failed(&[
        "persistentvolumeclaim shop/more: expected phase Bound, seen Pending",
        "persistentvolumeclaim shop/gone: expected a persistentvolumeclaim of this name, seen none",
    ]);
}

#[test]
fn forbidden_names_verb_and_resource() {
    let cluster = Cluster::new();
    cluster.faults().add(Rule::refuse(403));
    let list = "deployment:shop/a,statefulset:shop/a,daemonset:shop/a,job:shop/a,pvc:shop/a";
    let expected: Vec<String> = [
        ("deployment", "deployments", ".apps"),
        ("statefulset", "statefulsets", ".apps"),
        ("daemonset", "daemonsets", ".apps"),
        ("job", "jobs", ".batch"),
        ("persistentvolumeclaim", "persistentvolumeclaims", ""),
    ]
    .iter()
    .map(|(kind, plural, group)| {
        format!(
            "{kind} shop/a: Kubernetes API: not allowed to get {plural} shop/a: the service account needs a role with \
             verb get on {plural}{group}"
        )
    })
    .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    cluster.dependencies(list).run().failed(&expected);
}
