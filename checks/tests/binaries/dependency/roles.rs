//! What a role must allow: the table in the documentation of the check, and nothing else.

use serde_json::{Value, json};

use super::*;

const LIST: &str = "shop/db,deployment:shop/web,statefulset:shop/db,daemonset:shop/cni,job:shop/init,pvc:shop/data,\
                    pod:shop/app=web,apps/v1/Deployment:shop/web:Available";

/// Adds all of [`LIST`], available.
fn fill(cluster: &Cluster) {
    cluster.service("db", json!({}));
    cluster.slice("db-1", "db", &[("db-0", ready())]);
    let containers = json!([{"name": "c", "image": "i"}]);
    let template = |restart: &str| json!({"metadata": {"labels": {"app": "x"}}, "spec": {"restartPolicy": restart, "containers": containers}});
    let selector = json!({"matchLabels": {"app": "x"}});
    let add = |path: &str,
               api_version: &str,
               kind: &str,
               name: &str,
               spec: Value,
               status: Value| {
        let meta = json!({"name": name, "labels": {"app": "web"}});
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": meta, "spec": spec, "status": status});
        cluster.add(path, object);
    };
    let apps = "/apis/apps/v1/namespaces/shop";
    let spec = json!({"replicas": 1, "selector": selector, "template": template("Always")});
    let available = json!({"replicas": 1, "availableReplicas": 1,
                           "conditions": [{"type": "Available", "status": "True"}]});
    add(
        &format!("{apps}/deployments"),
        "apps/v1",
        "Deployment",
        "web",
        spec,
        available,
    );
    let spec = json!({"replicas": 1, "serviceName": "db", "selector": selector, "template": template("Always")});
    let available = json!({"replicas": 1, "availableReplicas": 1});
    add(
        &format!("{apps}/statefulsets"),
        "apps/v1",
        "StatefulSet",
        "db",
        spec,
        available,
    );
    let spec = json!({"selector": selector, "template": template("Always")});
    let available = json!({"currentNumberScheduled": 1, "desiredNumberScheduled": 1, "numberAvailable": 1,
                           "numberMisscheduled": 0, "numberReady": 1});
    add(
        &format!("{apps}/daemonsets"),
        "apps/v1",
        "DaemonSet",
        "cni",
        spec,
        available,
    );
    let done = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    let spec = json!({"template": template("Never")});
    add(
        "/apis/batch/v1/namespaces/shop/jobs",
        "batch/v1",
        "Job",
        "init",
        spec,
        done,
    );
    let spec =
        json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let claims = "/api/v1/namespaces/shop/persistentvolumeclaims";
    add(
        claims,
        "v1",
        "PersistentVolumeClaim",
        "data",
        spec,
        json!({"phase": "Bound"}),
    );
    let running = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    add(
        "/api/v1/namespaces/shop/pods",
        "v1",
        "Pod",
        "web-0",
        json!({"containers": containers}),
        running,
    );
}

#[test]
fn without_a_role_each_is_forbidden_by_verb_and_resource() {
    let cluster = Cluster::guarded();
    fill(&cluster);
    let verdict = cluster.dependencies(LIST).run();
    let lacking: Vec<&str> = verdict
        .errors
        .iter()
        .map(|error| {
            error
                .rsplit_once("needs a role with verb ")
                .map_or(error.as_str(), |(_, lacking)| lacking)
        })
        .collect();
    assert_eq!(
        lacking,
        [
            "get on services",
            "get on deployments.apps",
            "get on statefulsets.apps",
            "get on daemonsets.apps",
            "get on jobs.batch",
            "get on persistentvolumeclaims",
            "list on pods",
            // The condition of the same deployment reads the same, and is told once.
        ],
        "{verdict:#?}"
    );
}

#[test]
fn the_documented_role_is_enough() {
    let cluster = Cluster::guarded();
    fill(&cluster);
    let rule = |verb: &str, group: &str, resources: &[&str]| json!({"verbs": [verb], "apiGroups": [group], "resources": resources});
    let rules = [
        rule("get", "", &["services", "persistentvolumeclaims"]),
        rule("list", "", &["pods"]),
        rule("list", "discovery.k8s.io", &["endpointslices"]),
        rule(
            "get",
            "apps",
            &["deployments", "statefulsets", "daemonsets"],
        ),
        rule("get", "batch", &["jobs"]),
    ];
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop";
    let named = |kind: &str| json!({"kind": kind, "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "checker"}});
    let mut role = named("Role");
    role["rules"] = json!(rules);
    cluster.add(&format!("{rbac}/roles"), role);
    let mut binding = named("RoleBinding");
    binding["roleRef"] =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "checker"});
    binding["subjects"] =
        json!([{"kind": "ServiceAccount", "namespace": "checks", "name": "checker"}]);
    cluster.add(&format!("{rbac}/rolebindings"), binding);
    cluster.dependencies(LIST).run().passed();
}
