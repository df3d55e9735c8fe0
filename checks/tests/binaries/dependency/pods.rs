//! Pods by selector.

use sandbox::faults::Rule;
use serde_json::json;

use super::*;

fn pod(cluster: &Cluster, name: &str, phase: &str, ready: &str) {
    cluster.add(
        "/api/v1/namespaces/shop/pods",
        json!({"kind": "Pod", "apiVersion": "v1",
               "metadata": {"name": name, "labels": {"app": "web", "app.kubernetes.io/name": "web", "tier": "front"}},
               "spec": {"containers": [{"name": "c", "image": "i"}]},
               "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}}),
    );
}

#[test]
fn pods_that_are_not_ready_are_named_if_too_few_are() {
    let cluster = Cluster::new();
    pod(&cluster, "web-c", "Running", "False");
    pod(&cluster, "web-b", "Running", "True");
    pod(&cluster, "web-a", "Running", "False");
    pod(&cluster, "web-d", "Succeeded", "False");
    for list in [
        "pod:shop/app=web",
        "pod:shop/app.kubernetes.io/name=web",
        "pod:shop/(app=web,tier in (front,back))",
        "pod:shop/app=web>=33%",
    ] {
        cluster.dependencies(list).run().passed();
    }
    cluster.dependencies("pod:shop/app=web>=2").run().failed(&[
        "pod shop/web-a: expected it to be ready, seen not ready",
        "pod shop/web-c: expected it to be ready, seen not ready",
    ]);
    cluster.dependencies("pod:shop/app=web>=4").run().failed(&[
        "pod:shop/app=web: expected at least 4 ready pods, seen fewer pods",
        "pod shop/web-a: expected it to be ready, seen not ready",
        "pod shop/web-c: expected it to be ready, seen not ready",
    ]);
    cluster
        .dependencies("pod:shop/app=web,pod:shop/app=other,pod:app=web")
        .run()
        .failed(&[
            "pod:shop/app=other: expected at least 1 ready pod, seen no such pod",
            "pod:checks/app=web: expected at least 1 ready pod, seen no such pod",
        ]);
}

#[test]
fn lists_of_pods_are_read_page_by_page() {
    let cluster = Cluster::new();
    for at in 0..120 {
        pod(&cluster, &format!("web-{at}"), "Running", "True");
    }
    cluster.dependencies("pod:shop/app=web>=120").run().passed();
    assert_eq!(cluster.asked_for("pods"), 3);
    cluster
        .dependencies("pod:shop/app=web>=121")
        .run()
        .failed(&["pod:shop/app=web: expected at least 121 ready pods, seen fewer pods"]);
}

#[test]
fn forbidden_names_verb_and_resource() {
    let cluster = Cluster::new();
    cluster.faults().add(Rule::refuse(403).resource("pods"));
    cluster.dependencies("pod:shop/app=web").run().failed(&[
        "pod:shop/app=web: Kubernetes API: not allowed to list pods in namespace shop: the service account needs a role \
         with verb list on pods",
    ]);
}
