//! The objects of the demo: a web application that needs a database, a check of each, a policy, and the remediator.

use std::path::Path;

use remediator::crd::definitions;
use sandbox::api::{Api, ApiError};
use serde_json::{Value, json};

/// Where Kuberhealthy and its checks live.
pub(crate) const CHECK_NAMESPACE: &str = "kuberhealthy";
/// Where the applications and the policy live.
pub(crate) const NAMESPACE: &str = "shop";
/// Where the remediator lives.
pub(crate) const REMEDIATOR_NAMESPACE: &str = "kuberhealer";
/// Name of the remediator and its container.
pub(crate) const REMEDIATOR: &str = "remediator";
/// Name of the web application, its Service, its two checks and its policy.
pub(crate) const WEB: &str = "web";
/// Name of the database, its Service and its check.
pub(crate) const DATABASE: &str = "db";
/// Pods of the web application.
pub(crate) const WEB_PODS: usize = 3;
/// Port the pods and the Services listen on. A port that needs no privileges.
pub(crate) const PORT: u16 = 8080;
/// How often a run of v2's check asks the web application's Service.
pub(crate) const PROBES: u32 = 6;
/// Image of the applications' pods; the node of the demo knows it.
pub(crate) const APP_IMAGE: &str = "kuberhealer/demo-web";
/// Image of the checks.
pub(crate) const CHECK_IMAGE: &str = "kuberhealer/http-check";
/// Image of the remediator.
pub(crate) const REMEDIATOR_IMAGE: &str = "kuberhealer/remediator";
/// The checks' run interval: short enough for a story, long enough to read along.
const RUN_INTERVAL: &str = "2s";

/// Where the Services answer.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// The web application's, as a URL.
    pub(crate) web: String,
    /// The database's, as a URL.
    pub(crate) database: String,
}

/// Creates the namespaces and both applications. Pods whose revision is named in the file `spoilt` answer 503.
pub(crate) async fn create_applications(
    api: &Api,
    [web, database]: [std::net::Ipv4Addr; 2],
    spoilt: &Path,
) -> Result<Addresses, ApiError> {
    for name in [CHECK_NAMESPACE, NAMESPACE, REMEDIATOR_NAMESPACE] {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        match api.create("/api/v1/namespaces", &namespace).await {
            Err(error) if error.is_already_exists() => {}
            other => drop(other?),
        }
    }
    let url = |address| format!("http://{address}:{PORT}/");
    let addresses = Addresses {
        web: url(web),
        database: url(database),
    };
    let services = format!("/api/v1/namespaces/{NAMESPACE}/services");
    for (name, address) in [(WEB, web), (DATABASE, database)] {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "clusterIP": address, "selector": {"app": name},
                "ports": [{"port": PORT, "targetPort": PORT}],
            },
        });
        api.create(&services, &service).await?;
    }
    let deployments = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments");
    let spoilt = spoilt.to_string_lossy();
    let web_args = ["--backend", &addresses.database, "--spoilt", &spoilt];
    for (name, pods, args) in [(DATABASE, 1, &[][..]), (WEB, WEB_PODS, &web_args)] {
        let deployment = application(name, pods, args);
        api.create(&deployments, &deployment).await?;
    }
    Ok(addresses)
}

/// A Deployment of demo-web.
fn application(name: &str, pods: usize, more: &[&str]) -> Value {
    let mut args = vec!["--ip", "$(POD_IP)", "--revision", "$(REVISION)"];
    args.extend(more);
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": pods,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 2,
                    "containers": [{
                        "name": name, "image": APP_IMAGE, "args": args, "ports": [{"containerPort": PORT}],
                        "env": [
                            {"name": "POD_IP", "valueFrom": field("status.podIP")},
                            {"name": "REVISION", "valueFrom": field("metadata.labels['pod-template-hash']")},
                        ],
                        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                    }],
                },
            },
        },
    })
}

/// Creates the checks: v2's asks the web application's Service, v3's ask each pod, so that a finding names the pod.
pub(crate) async fn create_checks(api: &Api, addresses: &Addresses) -> Result<(), ApiError> {
    let path =
        |group: &str, plural: &str| format!("/apis/{group}/namespaces/{CHECK_NAMESPACE}/{plural}");
    // Several times, as one bad pod of three answers only some of the requests.
    let pod = container(&[
        ("CHECK_URL", &addresses.web),
        ("COUNT", &PROBES.to_string()),
    ]);
    let v2 = json!({
        "apiVersion": "comcast.github.io/v1", "kind": "KuberhealthyCheck",
        "metadata": {"name": WEB, "namespace": CHECK_NAMESPACE},
        "spec": {"runInterval": RUN_INTERVAL, "timeout": "30s", "podSpec": pod},
    });
    let khchecks = path("comcast.github.io/v1", "khchecks");
    api.create(&khchecks, &v2).await?;
    for name in [WEB, DATABASE] {
        let pod = container(&[
            ("POD_SELECTOR_NAMESPACE", NAMESPACE),
            ("POD_SELECTOR", &format!("app={name}")),
            ("POD_TARGETPORT", &PORT.to_string()),
        ]);
        let v3 = json!({
            "apiVersion": "kuberhealthy.github.io/v2", "kind": "HealthCheck",
            "metadata": {"name": name, "namespace": CHECK_NAMESPACE},
            "spec": {"runInterval": RUN_INTERVAL, "timeout": "30s", "podSpec": {"spec": pod}},
        });
        let health_checks = path("kuberhealthy.github.io/v2", "healthchecks");
        api.create(&health_checks, &v3).await?;
    }
    Ok(())
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

/// Installs the remediator's definitions, the policy of the web application, and the remediator itself, which serves its
/// metrics at `listen`.
pub(crate) async fn create_remediator(
    api: &Api,
    kubeconfig: &Path,
    listen: std::net::SocketAddr,
) -> anyhow::Result<()> {
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    for definition in definitions()? {
        api.create(path, &definition.value).await?;
    }
    let path = format!("/apis/kuberhealer.io/v1alpha1/namespaces/{NAMESPACE}/remediationpolicies");
    api.create(&path, &policy()).await?;
    let labels = json!({"app": REMEDIATOR});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": REMEDIATOR, "namespace": REMEDIATOR_NAMESPACE},
        "spec": {
            "replicas": 1,
            // Two would want the same port.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{
                    "name": REMEDIATOR, "image": REMEDIATOR_IMAGE,
                    "env": [
                        {"name": "KUBECONFIG", "value": kubeconfig},
                        // Who plays with the demo should not have to wait for an hour.
                        {"name": "KUBERHEALER_MAX_PER_HOUR", "value": "1000"},
                        {"name": "KUBERHEALER_LEASE_NAMESPACE", "value": REMEDIATOR_NAMESPACE},
                        {"name": "KUBERHEALER_LISTEN", "value": listen},
                    ],
                }]},
            },
        },
    });
    let path = format!("/apis/apps/v1/namespaces/{REMEDIATOR_NAMESPACE}/deployments");
    api.create(&path, &deployment).await?;
    Ok(())
}

/// Everything in it that is a time is short, for a story; the defaults are minutes.
fn policy() -> Value {
    let check =
        |name: &str| json!({"kind": "HealthCheck", "namespace": CHECK_NAMESPACE, "name": name});
    json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
        "metadata": {"name": WEB, "namespace": NAMESPACE},
        "spec": {
            "mode": "Enforce",
            "trigger": {"check": check(WEB), "failureThreshold": 2},
            "target": {"kind": "Deployment", "name": WEB},
            "steps": [
                {"restartPods": {"pods": "Reported", "maxPods": 1}, "verifySeconds": 30},
                {"rolloutRestart": {}, "verifySeconds": 30},
            ],
            "retry": {"cooldownSeconds": 1, "minHealthySeconds": 1},
            "dependsOn": [check(DATABASE)],
            "dependencyGraceSeconds": 10,
        },
    })
}
