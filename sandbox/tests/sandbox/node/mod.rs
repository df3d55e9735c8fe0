//! The node with real processes.

mod logs;
mod pods;
mod services;

use sandbox::api::{Api, ApiError};
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use sandbox::node::{Node, NodeOptions};
use serde_json::Value;

use crate::setup;

/// An API server and a node.
struct Cluster {
    server: ApiServer,
    api: Api,
    node: Node,
}

impl Cluster {
    async fn start(options: NodeOptions) -> Cluster {
        let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
        let api = Api::new(&server.url(), None, "test").unwrap();
        let node = Node::start(Api::new(&server.url(), None, "node").unwrap(), options)
            .await
            .unwrap();
        server.serve_logs(node.name(), node.log_reader());
        Cluster { server, api, node }
    }

    async fn stop(self) {
        self.node.stop().await;
        self.server.stop().await;
    }

    /// Creates a pod and waits until its status is as wanted.
    async fn pod(&self, pod: &Value, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        setup::create(&self.api, pod).await;
        self.until(pod, what, holds).await
    }

    async fn until(&self, pod: &Value, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        setup::until(&self.api, &setup::path(pod), what, holds).await
    }

    async fn delete(&self, pod: &Value) -> Result<Value, ApiError> {
        self.api.delete(&setup::path(pod)).await
    }

    /// The output of container `main` of a pod.
    fn output(&self, pod: &Value) -> Vec<String> {
        let name = pod["metadata"]["name"].as_str().unwrap();
        self.node.logs("default", name, "main").unwrap_or_default()
    }
}

/// A pod spec with one container that runs a shell script.
fn shell(script: &str) -> Value {
    serde_json::json!({
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "none", "command": ["/bin/sh", "-c", script]}],
    })
}

fn is_phase(phase: &'static str) -> impl Fn(&Value) -> bool {
    move |pod| pod["status"]["phase"] == phase
}

/// Whether a process of this id is there and not only waiting to be reaped.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}
