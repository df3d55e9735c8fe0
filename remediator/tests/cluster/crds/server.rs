//! The definitions on an API server: it takes them, fills in defaults, drops what it does not know, refuses what is
//! out of bounds, keeps status and spec apart.

use kube::api::{Api as KubeApi, Patch, PatchParams, PostParams};
use kube::{Client, Config};
use remediator::crd::{
    Remediation, RemediationPolicy, RemediationPolicyStatus, definitions, policy_view,
};
use sandbox::api::Api;
use sandbox::apiserver::{ApiServer, ApiServerOptions};
use serde_json::{Value, json};

use super::support::full_policy;

pub(crate) const POLICIES: &str =
    "/apis/kuberhealer.io/v1alpha1/namespaces/shop/remediationpolicies";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// An API server with the definitions and the namespace `shop`.
pub(crate) async fn installed() -> (ApiServer, Api) {
    let server = ApiServer::start(ApiServerOptions::default()).await.unwrap();
    let api = Api::new(&server.url(), None, "test").unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    api.create("/api/v1/namespaces", &namespace).await.unwrap();
    for definition in definitions().unwrap() {
        // As kubectl would apply it: from the text.
        let value: Value = serde_saphyr::from_str(&definition.yaml().unwrap()).unwrap();
        assert_eq!(value, definition.value, "the text says what the value says");
        let created = api.create(CRDS, &value).await.unwrap();
        let conditions = created["status"]["conditions"].to_string();
        assert!(!conditions.contains("NonStructural"), "{conditions}");
    }
    (server, api)
}

fn client(server: &ApiServer) -> Client {
    // kube asks for a provider even over plain HTTP.
    khclient::install_crypto_provider();
    Client::try_from(Config::new(server.url().parse().unwrap())).unwrap()
}

#[tokio::test]
async fn a_policy_gets_its_defaults_and_loses_what_nobody_knows() {
    let (server, api) = installed().await;
    let sent = json!({
        "apiVersion": "kuberhealer.io/v1alpha1", "kind": "RemediationPolicy",
        "metadata": {"name": "web"},
        "spec": {
            "trigger": {"check": {"namespace": "kuberhealthy", "name": "web-http"}},
            "target": {"kind": "Deployment", "name": "web", "colour": "red"},
            "steps": [{"restartPods": {}}],
            "sudo": true,
        },
    });
    let stored = api.create(POLICIES, &sent).await.unwrap();
    assert_eq!(
        stored["spec"],
        json!({
            "mode": "DryRun",
            "trigger": {
                "check": {"namespace": "kuberhealthy", "name": "web-http"},
                "failureSeconds": 0, "successThreshold": 1,
                "matchErrors": [], "countTimeouts": false,
            },
            "target": {"kind": "Deployment", "name": "web"},
            "steps": [{"restartPods": {"pods": "Reported", "maxPods": 1}}],
            "retry": {"maxRetry": 0, "cooldownSeconds": 300, "minHealthySeconds": 3600},
            "safety": {"minReplicas": 2, "allowStateful": false, "autoscaler": "Skip", "whileRollingOut": "Block"},
            "dependsOn": [], "dependencyGraceSeconds": 300, "windows": [], "pauseRequests": [],
            "historyLimit": 20,
            "inferDependencies": true,
            "strategy": "Ordered",
        })
    );
    // The types give the same defaults, for objects that were never defaulted.
    let mut sent = sent;
    sent["metadata"] = stored["metadata"].clone();
    let from_sent: RemediationPolicy = serde_json::from_value(sent).unwrap();
    let from_stored: RemediationPolicy = serde_json::from_value(stored).unwrap();
    assert_eq!(from_sent, from_stored);
    assert_eq!(
        policy_view(&from_sent).unwrap(),
        policy_view(&from_stored).unwrap()
    );
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_names_the_field() {
    let (server, api) = installed().await;
    for (pointer, value, expected) in [
        (
            "/spec/trigger/failureThreshold",
            json!(0),
            "spec.trigger.failureThreshold",
        ),
        ("/spec/target/kind", json!("Pod"), "spec.target.kind"),
        (
            "/spec/steps/2/scale/replicas",
            json!(0),
            "spec.steps[2].scale.replicas",
        ),
        (
            "/spec/windows/0/start",
            json!("noon"),
            "spec.windows[0].start",
        ),
    ] {
        let mut object = full_policy();
        *object.pointer_mut(pointer).unwrap() = value;
        let error = api.create(POLICIES, &object).await.unwrap_err();
        assert_eq!(error.code(), Some(422), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn kube_reads_and_writes_both_kinds_and_their_status() {
    let (server, _) = installed().await;
    let client = client(&server);
    let policies: KubeApi<RemediationPolicy> = KubeApi::namespaced(client.clone(), "shop");
    let full: RemediationPolicy = serde_json::from_value(full_policy()).unwrap();
    let created = policies
        .create(&PostParams::default(), &full)
        .await
        .unwrap();
    assert_eq!(created.spec, full.spec);
    assert_eq!(created.metadata.generation, Some(1));

    let mut with_status = created.clone();
    with_status.spec.history_limit = 99;
    with_status.status = Some(RemediationPolicyStatus {
        failures: 2,
        ..RemediationPolicyStatus::default()
    });
    let written = policies
        .replace_status("web", &PostParams::default(), &with_status)
        .await
        .unwrap();
    assert_eq!(written.status, with_status.status);
    assert_eq!(
        written.spec, full.spec,
        "a write of the status leaves the spec"
    );
    assert_eq!(written.metadata.generation, Some(1));
    let stale = policies
        .replace_status("web", &PostParams::default(), &with_status)
        .await
        .unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.code == 409));
    let paused = json!({"spec": {"pauseRequests": ["Ann"]}, "status": {"failures": 9}});
    let paused = policies
        .patch("web", &PatchParams::default(), &Patch::Merge(&paused))
        .await
        .unwrap();
    assert_eq!(
        paused.status, with_status.status,
        "a write of the spec leaves the status"
    );
    assert_eq!(paused.metadata.generation, Some(2));

    let remediations: KubeApi<Remediation> = KubeApi::namespaced(client, "shop");
    assert!(
        remediations
            .list(&Default::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    server.stop().await;
}

#[tokio::test]
async fn kubectl_shows_the_columns() {
    let (server, _) = installed().await;
    let client = client(&server);
    let request = http::Request::get(POLICIES)
        .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .unwrap();
    let table: Value = client.request(request).await.unwrap();
    let columns: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        columns,
        [
            "Name",
            "Check",
            "Target",
            "Mode",
            "Healthy",
            "Failures",
            "Allowed",
            "LastAction",
            "Success%",
            "Age"
        ]
    );
    server.stop().await;
}
