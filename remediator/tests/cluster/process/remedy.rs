//! The whole process once: a check fails, and its Deployment is restarted. The test plays Kuberhealthy and the
//! controller of Deployments.

use std::time::Duration;

use nix::sys::signal::Signal;
use remediator::clock;
use sandbox::api::{Api, Patch};
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use sandbox::kuberhealthy::v3::health_check;
use serde_json::{Value, json};

use super::replica::{AGENT, POLICIES, Replica, install};

pub(super) const CHECK: &str =
    "/apis/kuberhealthy.github.io/v2/namespaces/default/healthchecks/web";
pub(super) const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";

async fn create(api: &Api, path: &str, object: Value) {
    let (collection, _) = path.rsplit_once('/').unwrap();
    api.create(collection, &object).await.unwrap();
}

pub(super) async fn set_status(api: &Api, path: &str, status: Value) {
    let (path, status) = (format!("{path}/status"), json!({"status": status}));
    api.patch(&path, Patch::Merge, &status).await.unwrap();
}

/// A Deployment that has rolled out, its check, which passes, and a policy that joins them.
pub(super) async fn set_up(api: &Api) {
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    api.create(definitions, &health_check()).await.unwrap();
    let check = json!({
        "apiVersion": "kuberhealthy.github.io/v2", "kind": "HealthCheck", "metadata": {"name": "web"},
        "spec": {"runInterval": "60s", "timeout": "10s"},
    });
    create(api, CHECK, check).await;
    let now = clock::now().unix();
    let passed = json!({
        "ok": true, "errors": [], "currentUUID": "", "lastRunUnix": now - 60, "lastOKUnix": now - 58,
        "successCount": 1, "failureCount": 0,
    });
    set_status(api, CHECK, passed).await;
    let labels = json!({"app": "web"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "none"}]},
            },
        },
    });
    create(api, DEPLOYMENT, deployment).await;
    let rolled_out = json!({
        "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
    });
    set_status(api, DEPLOYMENT, rolled_out).await;
    let policy = json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy", "metadata": {"name": "web"},
        "spec": {
            "mode": "Enforce",
            "trigger": {"check": {"namespace": "default", "name": "web"}, "failureThreshold": 1},
            "target": {"kind": "Deployment", "name": "web"},
            "steps": [{"rolloutRestart": {}}],
        },
    });
    api.create(POLICIES, &policy).await.unwrap();
}

pub(super) async fn fail(api: &Api) {
    let now = clock::now().unix();
    let failed = json!({
        "ok": false, "errors": ["broken"], "lastRunUnix": now - 5, "lastFailureUnix": now, "failureCount": 1,
    });
    set_status(api, CHECK, failed).await;
}

pub(super) async fn becomes(api: &Api, path: &str, holds: impl Fn(&Value) -> bool) {
    let mut last = Value::Null;
    for _ in 0..600 {
        last = api.get(path).await.unwrap();
        if holds(&last) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} never became so: {last:#}");
}

fn condition(policy: &Value, name: &str) -> (String, String) {
    let conditions = policy["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|one| one["type"] == name));
    let text = |field: &str| {
        found
            .and_then(|one| one[field].as_str())
            .unwrap_or_default()
    };
    (text("status").to_owned(), text("reason").to_owned())
}

fn restarts(server: &ApiServer) -> usize {
    let requests = server.requests();
    let own = requests.iter().filter(|request| request.agent == AGENT);
    own.filter(|request| request.resource == "deployments" && request.verb == "patch")
        .count()
}

#[tokio::test]
async fn a_failing_check_restarts_its_deployment_and_metrics_tell() {
    let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
    let api = Api::new(&server.url(), None, "test").unwrap();
    install(&api).await;
    set_up(&api).await;
    let mut replica = Replica::start(&server, &[]);
    let policy = format!("{POLICIES}/web");
    becomes(&api, &policy, |found| {
        condition(found, "CheckHealthy").0 == "True"
    })
    .await;
    let healthy = "\nkuberhealer_policy_check_healthy{namespace=\"default\",policy=\"web\"} 1\n";
    replica.answers("/metrics", 200, healthy).await;
    assert_eq!(restarts(&server), 0);

    fail(&api).await;
    becomes(&api, DEPLOYMENT, |found| {
        let annotations = &found["spec"]["template"]["metadata"]["annotations"];
        annotations["kubectl.kubernetes.io/restartedAt"].is_string()
    })
    .await;
    let failing = "\nkuberhealer_policy_check_healthy{namespace=\"default\",policy=\"web\"} 0\n";
    replica.answers("/metrics", 200, failing).await;
    replica
        .answers("/metrics", 200, "\nkuberhealer_remediations_in_flight 1\n")
        .await;
    replica.signal(Signal::SIGTERM);
    assert_eq!(replica.ended().await.code(), Some(0));
    assert_eq!(restarts(&server), 1);
}

#[tokio::test]
async fn a_paused_remediator_says_so_and_touches_nothing() {
    let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
    let api = Api::new(&server.url(), None, "test").unwrap();
    install(&api).await;
    set_up(&api).await;
    let replica = Replica::start(&server, &["--pause"]);
    let policy = format!("{POLICIES}/web");
    becomes(&api, &policy, |found| {
        condition(found, "CheckHealthy").0 == "True"
    })
    .await;
    fail(&api).await;
    let held = ("False".to_owned(), "GloballyPaused".to_owned());
    becomes(&api, &policy, |found| {
        condition(found, "RemediationAllowed") == held
    })
    .await;
    let series = "\nkuberhealer_policy_held{namespace=\"default\",policy=\"web\",reason=\"GloballyPaused\"} 1\n";
    replica.answers("/metrics", 200, series).await;
    assert_eq!(restarts(&server), 0);
}
