//! pod-restarts-check against the sandbox's API server, and against scripted ones for what that does not answer.

mod configuration;
mod drop_in;
mod pages;
mod recorded;
mod report;
mod scope;
mod trouble;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::*;

/// The check with these variables, without a cluster.
fn check(vars: &[(&str, &str)]) -> Check {
    Check::of(env!("CARGO_BIN_EXE_pod-restarts-check")).with(vars)
}

impl Cluster {
    /// The check with these variables.
    fn restarts(&self, vars: &[(&str, &str)]) -> Check {
        self.known_to(check(vars))
    }

    /// Creates pods.
    fn pods(&self, namespace: &str, pods: impl IntoIterator<Item = Value>) {
        for pod in pods {
            self.add(&format!("/api/v1/namespaces/{namespace}/pods"), pod);
        }
    }
}

/// This long ago, as the API writes it.
fn ago(seconds: i64) -> String {
    (Timestamp::now() - SignedDuration::from_secs(seconds))
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Status of a container that restarted so often, last ended so many seconds ago, and runs.
fn restarted(name: &str, count: u32, seconds: i64) -> Value {
    json!({
        "name": name, "image": "i", "imageID": "", "ready": true, "restartCount": count,
        "state": {"running": {"startedAt": ago(seconds)}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": ago(seconds)}},
    })
}

/// What is said of such a container, with the defaults.
fn finding(pod: &str) -> String {
    format!(
        "pod {pod}: container main: expected at most 10 restarts, seen more, the last in the past 1h (Error, exit code 1)"
    )
}

/// A pod with the container `main`.
fn pod(name: &str, status: &Value) -> Value {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"app": name.split('-').next().unwrap_or_default()}},
        "spec": {"containers": [{"name": "main", "image": "i"}]},
        "status": status,
    })
}

/// One whose container restarted 11 times, the last time a minute ago.
fn failing(name: &str) -> Value {
    pod(
        name,
        &json!({"phase": "Running", "containerStatuses": [restarted("main", 11, 60)]}),
    )
}

fn healthy(name: &str) -> Value {
    pod(
        name,
        &json!({"phase": "Running", "containerStatuses": [restarted("main", 10, 60)]}),
    )
}
