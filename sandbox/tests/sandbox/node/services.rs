//! The service proxy.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::{Cluster, shell};
use crate::setup::{self, checker_spec, pod};

const ADDRESS: &str = "127.99.31.7";

fn web(name: &str) -> Value {
    let mut spec = checker_spec(&["serve:$(IP):8088"]);
    spec["containers"][0]["env"] =
        json!([{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
    // Listening is what makes it ready.
    spec["containers"][0]["readinessProbe"] =
        json!({"tcpSocket": {"port": 8088}, "periodSeconds": 1});
    let mut pod = pod(name, spec);
    pod["metadata"]["labels"] = json!({"app": "web"});
    pod
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

#[tokio::test]
async fn a_service_shares_connections_among_its_ready_pods_and_refuses_without_any() {
    let cluster = Cluster::start(setup::options(1).node).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"clusterIP": ADDRESS, "selector": {"app": "web"}, "ports": [{"port": 8077, "targetPort": 8088}]},
    });
    setup::create(&cluster.api, &service).await;
    let url = format!("http://{ADDRESS}:8077/");
    let client = setup::reqwest_client();
    assert!(client.get(&url).send().await.unwrap_err().is_connect());

    let pods = [web("web-1"), web("web-2")];
    let mut expected = BTreeSet::new();
    for pod in &pods {
        let ready = cluster.pod(pod, "ready", is_ready).await;
        expected.insert(format!(
            "{}:8088",
            ready["status"]["podIP"].as_str().unwrap()
        ));
    }
    let answers = async {
        let mut seen = BTreeSet::new();
        while seen != expected {
            if let Ok(answer) = client.get(&url).send().await {
                seen.insert(answer.text().await.unwrap());
            }
        }
    };
    tokio::time::timeout(setup::DEADLINE, answers)
        .await
        .unwrap();

    for pod in &pods {
        cluster.delete(pod).await.unwrap();
        cluster.until(pod, "gone", Value::is_null).await;
    }
    let refused = async {
        while !client
            .get(&url)
            .send()
            .await
            .is_err_and(|why| why.is_connect())
        {}
    };
    tokio::time::timeout(setup::DEADLINE, refused)
        .await
        .unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn connections_end_with_the_node() {
    const ADDRESS: &str = "127.99.31.8:8078";
    let cluster = Cluster::start(setup::options(1).node).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "held", "namespace": "default"},
        "spec": {"clusterIP": "127.99.31.8", "selector": {"app": "held"}, "ports": [{"port": 8078}]},
    });
    setup::create(&cluster.api, &service).await;
    let mut held = pod("held", shell("sleep 300"));
    held["metadata"]["labels"] = json!({"app": "held"});
    let ready = cluster.pod(&held, "ready", is_ready).await;
    // The test itself answers for the pod, and so outlives it.
    let ip = ready["status"]["podIP"].as_str().unwrap();
    let backend = TcpListener::bind(format!("{ip}:8078")).await.unwrap();
    let connect = async {
        loop {
            match TcpStream::connect(ADDRESS).await {
                Ok(client) => return client,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let mut client = tokio::time::timeout(setup::DEADLINE, connect)
        .await
        .unwrap();
    let _server = tokio::time::timeout(setup::DEADLINE, backend.accept())
        .await
        .unwrap()
        .unwrap();
    cluster.stop().await;
    let end = tokio::time::timeout(setup::DEADLINE, client.read(&mut [0])).await;
    assert!(matches!(end.unwrap(), Ok(0) | Err(_)));
}
