//! The API server: against recordings of a real one, and with clients that are not ours.

mod custom;
mod events;
mod faults;
mod garbage;
mod kube_client;
pub(crate) mod kubectl;
mod objects;
pub(crate) mod recorded;
mod reviews;
mod subresources;
mod watching;

use std::time::Duration;

use futures::StreamExt as _;
use sandbox::api::{Api, Watch, WatchEvent};
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";
const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn start() -> (ApiServer, Api) {
    start_with(ApiServerOptions::default()).await
}

async fn start_with(options: ApiServerOptions) -> (ApiServer, Api) {
    let server = ApiServer::start(options).await.unwrap();
    let api = Api::new(&server.url(), None, "test/1").unwrap();
    (server, api)
}

fn configmap(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value}})
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]},
    })
}

/// The next event that is no bookmark.
async fn next(watch: &mut Watch) -> WatchEvent {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(10), watch.next()).await;
        match event
            .expect("no event within 10 s")
            .expect("the watch ended")
            .unwrap()
        {
            WatchEvent::Bookmark(_) => {}
            event => return event,
        }
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}
