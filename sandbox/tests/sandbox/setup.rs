//! What the tests of the node and of Kuberhealthy start from.

use std::path::PathBuf;
use std::time::Duration;

use sandbox::api::Api;
use sandbox::kuberhealthy::Speed;
use sandbox::node::{BackOff, Image, Images, PodNetwork};
use sandbox::{Options, Sandbox};
use serde_json::{Value, json};

/// Upper bound of every wait.
pub(crate) const DEADLINE: Duration = Duration::from_secs(50);

/// The checker: cargo builds examples next to the folder that holds the test's own executable.
pub(crate) fn checker() -> String {
    let own = std::env::current_exe().unwrap();
    let path: PathBuf = own
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/checker");
    assert!(
        path.exists(),
        "{path:?}: not built; `cargo build -p sandbox --examples` does"
    );
    path.into_os_string().into_string().unwrap()
}

/// Options whose node runs image `checker` as the checker and pauses only shortly, and whose Kuberhealthys are `speed`
/// times as fast.
pub(crate) fn options(speed: u32) -> Options {
    let mut options = Options::default();
    options.node.images = Images::new().with("checker", Image::program([checker()]));
    options.node.network = PodNetwork::apart();
    options.node.back_off = BackOff {
        initial: Duration::from_millis(300),
        max: Duration::from_secs(2),
    };
    options.v2.speed = Speed::times(speed);
    options.v3.speed = Speed::times(speed);
    options
}

/// A cluster from these options.
pub(crate) async fn start(options: Options) -> Sandbox {
    Sandbox::start(options).await.unwrap()
}

/// A pod spec with one container that runs the checker.
pub(crate) fn checker_spec(args: &[&str]) -> Value {
    json!({
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "checker", "args": args}],
    })
}

/// A pod in namespace `default`.
pub(crate) fn pod(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

/// A khcheck in namespace `kuberhealthy`.
pub(crate) fn khcheck(name: &str, interval: &str, timeout: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "comcast.github.io/v1", "kind": "KuberhealthyCheck",
        "metadata": {"name": name, "namespace": "kuberhealthy"},
        "spec": {"runInterval": interval, "timeout": timeout, "podSpec": spec},
    })
}

/// A HealthCheck in namespace `kuberhealthy`.
pub(crate) fn health_check(name: &str, interval: &str, timeout: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "kuberhealthy.github.io/v2", "kind": "HealthCheck",
        "metadata": {"name": name, "namespace": "kuberhealthy"},
        "spec": {"runInterval": interval, "timeout": timeout, "podSpec": {"spec": spec}},
    })
}

/// Collection an object of one of the kinds above belongs to.
pub(crate) fn collection(object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str().unwrap();
    let (group, plural) = match object["kind"].as_str().unwrap() {
        "KuberhealthyCheck" => ("apis/comcast.github.io/v1", "khchecks"),
        "KuberhealthyState" => ("apis/comcast.github.io/v1", "khstates"),
        "KuberhealthyJob" => ("apis/comcast.github.io/v1", "khjobs"),
        "HealthCheck" => ("apis/kuberhealthy.github.io/v2", "healthchecks"),
        "Pod" => ("api/v1", "pods"),
        "Service" => ("api/v1", "services"),
        "Secret" => ("api/v1", "secrets"),
        "Deployment" => ("apis/apps/v1", "deployments"),
        "StatefulSet" => ("apis/apps/v1", "statefulsets"),
        "DaemonSet" => ("apis/apps/v1", "daemonsets"),
        "HorizontalPodAutoscaler" => ("apis/autoscaling/v2", "horizontalpodautoscalers"),
        "PodDisruptionBudget" => ("apis/policy/v1", "poddisruptionbudgets"),
        "ConfigMap" => ("api/v1", "configmaps"),
        other => panic!("no collection for {other}"),
    };
    format!("/{group}/namespaces/{namespace}/{plural}")
}

/// Creates an object of one of the kinds above.
pub(crate) async fn create(api: &Api, object: &Value) -> Value {
    api.create(&collection(object), object).await.unwrap()
}

/// Path of an object of one of the kinds above.
pub(crate) fn path(object: &Value) -> String {
    format!(
        "{}/{}",
        collection(object),
        object["metadata"]["name"].as_str().unwrap()
    )
}

/// Reads the object at `path` until `holds`; absent, it is null.
pub(crate) async fn until(
    api: &Api,
    path: &str,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    let mut last = Value::Null;
    let waiting = async {
        loop {
            last = match api.get(path).await {
                Ok(object) => object,
                Err(error) if error.is_not_found() => Value::Null,
                Err(error) => panic!("{error}"),
            };
            if holds(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = tokio::time::timeout(DEADLINE, waiting).await;
    assert!(done.is_ok(), "{path} never: {what}; last seen: {last:#}");
    last
}

/// Reads a page until `holds`.
pub(crate) async fn page(url: &str, holds: impl Fn(&str) -> bool) -> String {
    let mut last = String::new();
    let waiting = async {
        loop {
            last = reqwest_client()
                .get(url)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap();
            if holds(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = tokio::time::timeout(DEADLINE, waiting).await;
    assert!(
        done.is_ok(),
        "{url} never came to be as expected; last seen: {last}"
    );
    last
}

/// A client for plain http.
pub(crate) fn reqwest_client() -> reqwest::Client {
    let tls = rustls::ClientConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(rustls::RootCertStore::empty())
    .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .unwrap()
}
