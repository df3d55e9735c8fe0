//! Conditions of any kind, found by discovery.

use sandbox::faults::Rule;
use serde_json::{Value, json};

use super::*;

/// The kind Certificate of cert-manager, as far as its shape matters here.
fn certificates(cluster: &Cluster, scope: &str, group: &str, kind: &str) {
    let plural = format!("{}s", kind.to_lowercase());
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    cluster.add(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        json!({"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1",
               "metadata": {"name": format!("{plural}.{group}")},
               "spec": {"group": group, "scope": scope,
                        "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
                        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                                      "schema": {"openAPIV3Schema": schema}}]}}),
    );
}

fn with_conditions(api_version: &str, kind: &str, name: &str, conditions: Value) -> Value {
    json!({"kind": kind, "apiVersion": api_version, "metadata": {"name": name}, "spec": {}, "status": {"conditions": conditions}})
}

#[test]
fn custom_kinds_with_and_without_a_namespace() {
    let cluster = Cluster::new();
    certificates(&cluster, "Namespaced", "cert-manager.io", "Certificate");
    certificates(&cluster, "Cluster", "cert-manager.io", "ClusterIssuer");
    let ready = |status: &str| json!([{"type": "Ready", "status": status, "reason": "Issuing"}]);
    for (name, conditions) in [
        ("good", ready("True")),
        ("bad", ready("False")),
        ("new", json!([])),
    ] {
        let object = with_conditions(
            "cert-manager.io/v1",
            "Certificate",
            name,
            conditions.clone(),
        );
        cluster.add(
            "/apis/cert-manager.io/v1/namespaces/shop/certificates",
            object,
        );
        let object = with_conditions("cert-manager.io/v1", "ClusterIssuer", name, conditions);
        cluster.add("/apis/cert-manager.io/v1/clusterissuers", object);
    }
    let certificate = |rest: &str| format!("cert-manager.io/v1/Certificate:{rest}");
    let issuer = |rest: &str| format!("cert-manager.io/v1/ClusterIssuer:{rest}");
    let list = [
        certificate("shop/good:Ready"),
        certificate("shop/bad:Ready=False"),
        issuer("good:Ready"),
    ];
    cluster.dependencies(&list.join(",")).run().passed();
    let list = [
        certificate("shop/bad:Ready"),
        certificate("shop/new:Ready"),
        certificate("gone:Ready"),
        issuer("bad:Ready"),
        issuer("gone:Ready"),
        issuer("shop/good:Ready"),
    ];
    cluster.dependencies(&list.join("\n")).run().failed(&[
        "certificate shop/bad: expected condition Ready to be True, seen False (Issuing)",
        "certificate shop/new: expected condition Ready to be True, seen no such condition",
        "certificate checks/gone: expected a certificate of this name, seen none",
        "clusterissuer bad: expected condition Ready to be True, seen False (Issuing)",
        "clusterissuer gone: expected a clusterissuer of this name, seen none",
        "clusterissuer good: expected no namespace, as kind ClusterIssuer has none, seen namespace \"shop\"",
    ]);
}

#[test]
fn built_in_kinds() {
    let cluster = Cluster::new();
    let conditions =
        json!([{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]);
    cluster.add(
        "/api/v1/nodes",
        with_conditions("v1", "Node", "worker-1", conditions),
    );
    cluster
        .dependencies("v1/Node:worker-1:Ready,v1/Node:worker-1:DiskPressure=False")
        .run()
        .passed();
    cluster
        .dependencies("v1/Node:worker-1:DiskPressure,v1/Node:worker-2:Ready")
        .run()
        .failed(&[
            "node worker-1: expected condition DiskPressure to be True, seen False",
            "node worker-2: expected a node of this name, seen none",
        ]);
}

#[test]
fn kinds_that_are_not_served() {
    let cluster = Cluster::new();
    cluster.dependencies("v1/Nod:worker-1:Ready,nothing.example/v1/Thing:shop/a:Ready").run().failed(&[
        "nod checks/worker-1: expected the API server to serve kind Nod of v1, seen no such kind",
        "thing shop/a: expected the API server to serve kind Thing of nothing.example/v1, seen no such kind",
    ]);
}

#[test]
fn forbidden_names_verb_and_resource() {
    let cluster = Cluster::new();
    cluster.faults().add(Rule::refuse(403).resource("nodes"));
    cluster
        .faults()
        .add(Rule::refuse(403).resource("deployments"));
    cluster.dependencies("v1/Node:worker-1:Ready,apps/v1/Deployment:shop/web:Available").run().failed(&[
        "node worker-1: Kubernetes API: not allowed to get nodes worker-1: the service account needs a role with verb \
         get on nodes",
        "deployment shop/web: Kubernetes API: not allowed to get deployments shop/web: the service account needs a role \
         with verb get on deployments.apps",
    ]);
}
