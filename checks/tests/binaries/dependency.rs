//! dependency-check against the sandbox's API server and real listeners.

mod conditions;
mod input;
mod network;
mod objects;
mod pods;
mod roles;
mod services;
mod trouble;
mod waiting;

use serde_json::{Value, json};

use crate::support::*;

/// The check with this list, in the namespace `checks`, without a cluster.
fn check(dependencies: &str) -> Check {
    Check::of(env!("CARGO_BIN_EXE_dependency-check")).with(&[
        ("DEPENDENCIES", dependencies),
        ("KH_POD_NAMESPACE", "checks"),
    ])
}

impl Cluster {
    /// A service of the namespace `shop` with the ports `http` (80) and `metrics` (9090).
    fn service(&self, name: &str, spec: Value) {
        let mut object = json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": name}, "spec": {
            "ports": [
                {"name": "http", "port": 80, "targetPort": 8080},
                {"name": "metrics", "port": 9090},
            ],
        }});
        for (field, value) in spec.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        self.add("/api/v1/namespaces/shop/services", object);
    }

    /// A slice of a service with the port `http`; endpoints as (pod, conditions).
    fn slice(&self, name: &str, service: &str, endpoints: &[(&str, Value)]) {
        let endpoints: Vec<Value> = endpoints
            .iter()
            .enumerate()
            .map(|(at, (pod, conditions))| {
                json!({
                    "addresses": [format!("10.0.0.{}", at + 1)],
                    "conditions": conditions,
                    "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod, "uid": pod},
                })
            })
            .collect();
        let labels = json!({"kubernetes.io/service-name": service});
        self.add(
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
            json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
                   "metadata": {"name": name, "labels": labels},
                   "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints}),
        );
    }

    /// How many requests of the check there were for a resource.
    fn asked_for(&self, resource: &str) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|seen| seen.resource == resource)
            .count()
    }

    /// The check with this list.
    fn dependencies(&self, list: &str) -> Check {
        self.known_to(check(list))
    }
}

/// Conditions of an endpoint that can be used.
fn ready() -> Value {
    json!({"ready": true, "serving": true, "terminating": false})
}

fn not_ready() -> Value {
    json!({"ready": false, "serving": false, "terminating": false})
}

fn terminating() -> Value {
    json!({"ready": false, "serving": true, "terminating": true})
}
