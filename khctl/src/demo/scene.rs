//! The objects of the demo: a web application of two pods behind a Service, and a check of it for each line.

use std::net::Ipv4Addr;

use sandbox::api::{Api, ApiError};
use serde_json::{Value, json};

/// Where Kuberhealthy and its checks live.
pub(crate) const CHECK_NAMESPACE: &str = "kuberhealthy";
/// Where the web application lives.
pub(crate) const NAMESPACE: &str = "shop";
/// Name of both checks, the Service and the application.
pub(crate) const WEB: &str = "web";
/// The application's pods; the last one is the one that breaks.
pub(crate) const PODS: [&str; 2] = ["web-1", "web-2"];
/// The pod that breaks.
pub(crate) const CULPRIT: &str = PODS[1];
/// Port the pods and the Service listen on. A port that needs no privileges.
pub(crate) const WEB_PORT: u16 = 8080;
/// Image of the pods; the node of the demo knows it.
pub(crate) const WEB_IMAGE: &str = "kuberhealer/demo-web";
/// Image of the checks.
pub(crate) const CHECK_IMAGE: &str = "kuberhealer/http-check";
/// Both checks' run interval: short enough for a story, long enough to read along.
const RUN_INTERVAL: &str = "3s";

/// Creates the namespaces and the web application.
pub(crate) async fn create_web(api: &Api, address: Ipv4Addr) -> Result<(), ApiError> {
    for name in [CHECK_NAMESPACE, NAMESPACE] {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        match api.create("/api/v1/namespaces", &namespace).await {
            Err(error) if error.is_already_exists() => {}
            other => drop(other?),
        }
    }
    for name in PODS {
        api.create(&pods_path(), &pod(name)).await?;
    }
    let path = format!("/api/v1/namespaces/{NAMESPACE}/services");
    api.create(&path, &service(address)).await.map(drop)
}

/// Creates both checks. `address` is the Service's, as a URL.
pub(crate) async fn create_checks(api: &Api, address: &str) -> Result<(), ApiError> {
    let path =
        |group: &str, plural: &str| format!("/apis/{group}/namespaces/{CHECK_NAMESPACE}/{plural}");
    api.create(
        &path("comcast.github.io/v1", "khchecks"),
        &v2_check(address),
    )
    .await?;
    api.create(
        &path("kuberhealthy.github.io/v2", "healthchecks"),
        &v3_check(),
    )
    .await?;
    Ok(())
}

/// Where the application's pods stand in the API.
pub(crate) fn pods_path() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/pods")
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": WEB}},
        "spec": {
            "containers": [{
                "name": WEB,
                "image": WEB_IMAGE,
                "args": ["--ip", "$(POD_IP)"],
                "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                "ports": [{"containerPort": WEB_PORT}],
            }],
            "terminationGracePeriodSeconds": 2,
        },
    })
}

fn service(address: Ipv4Addr) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": WEB, "namespace": NAMESPACE},
        "spec": {
            "clusterIP": address,
            "selector": {"app": WEB},
            "ports": [{"port": WEB_PORT, "targetPort": WEB_PORT}],
        },
    })
}

/// Asks the Service several times: one broken pod of two answers only some of the requests.
fn v2_check(address: &str) -> Value {
    json!({
        "apiVersion": "comcast.github.io/v1",
        "kind": "KuberhealthyCheck",
        "metadata": {"name": WEB, "namespace": CHECK_NAMESPACE},
        "spec": {
            "runInterval": RUN_INTERVAL,
            "timeout": "30s",
            "podSpec": container(&[("CHECK_URL", address), ("COUNT", "6")]),
        },
    })
}

/// Asks each pod, so that the finding names the broken one.
fn v3_check() -> Value {
    let port = WEB_PORT.to_string();
    json!({
        "apiVersion": "kuberhealthy.github.io/v2",
        "kind": "HealthCheck",
        "metadata": {"name": WEB, "namespace": CHECK_NAMESPACE},
        "spec": {
            "runInterval": RUN_INTERVAL,
            "timeout": "30s",
            "podSpec": {"spec": container(&[
                ("POD_SELECTOR_NAMESPACE", NAMESPACE),
                ("POD_SELECTOR", &format!("app={WEB}")),
                ("POD_TARGETPORT", &port),
            ])},
        },
    })
}

fn container(env: &[(&str, &str)]) -> Value {
    let env: Vec<Value> = env
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    json!({
        "containers": [{"name": "main", "image": CHECK_IMAGE, "env": env}],
        "restartPolicy": "Never",
    })
}
