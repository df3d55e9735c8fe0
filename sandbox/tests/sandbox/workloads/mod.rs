//! Workloads: their controllers with real pods.

mod autoscalers;
mod budgets;
mod collector;
mod kubectl;
mod rollouts;
mod sets;

use std::collections::BTreeSet;

use sandbox::Sandbox;
use sandbox::api::Api;
use serde_json::{Value, json};

use crate::setup::{self, until};

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const PODS: &str = "/api/v1/namespaces/default/pods";

async fn cluster() -> Sandbox {
    setup::start(setup::options(1)).await
}

/// A Deployment `web` of servers that are ready once they answer.
fn web(replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "web", "image": "checker", "args": ["serve:$(IP):8080"],
                        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
                    }],
                },
            },
        },
    })
}

/// As [`web`], of another kind.
fn set(kind: &str, replicas: i64) -> Value {
    let mut set = web(replicas);
    set["kind"] = kind.into();
    match kind {
        "StatefulSet" => set["spec"]["serviceName"] = "web".into(),
        _ => {
            set["spec"].as_object_mut().unwrap().remove("replicas");
        }
    }
    set
}

/// The Service of the recordings.
fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    })
}

fn restart(time: &str) -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": time}}}}})
}

/// The Deployment's controller has seen all of it, and all its pods are new and serve.
fn is_rolled_out(deployment: &Value) -> bool {
    let status = &deployment["status"];
    let replicas = &deployment["spec"]["replicas"];
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && ["replicas", "updatedReplicas", "availableReplicas"]
            .iter()
            .all(|field| status[*field] == *replicas)
        && status["terminatingReplicas"] == 0
        && status["conditions"][0]["reason"] == "NewReplicaSetAvailable"
}

async fn rolled_out(api: &Api) -> Value {
    until(api, DEPLOYMENT, "rolled out", is_rolled_out).await
}

async fn items(api: &Api, path: &str) -> Vec<Value> {
    api.list(path).await.unwrap().items
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}
