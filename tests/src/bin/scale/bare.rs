//! The least a program can do: watch checks, those that are meant for it, and patch the workload of one that fails.

use anyhow::Context as _;
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Config, ResourceExt as _};
use serde_json::json;

/// How it names itself; the label of checks that are meant for it.
pub(crate) const AGENT: &str = "bare";

/// Runs until it is killed.
pub(crate) async fn run(url: &str) -> anyhow::Result<()> {
    khclient::install_crypto_provider();
    let mut config = Config::new(url.parse()?);
    config
        .headers
        .push((http::header::USER_AGENT, AGENT.parse()?));
    let client = Client::try_from(config)?;
    let kind = GroupVersionKind::gvk("kuberhealthy.github.io", "v2", "HealthCheck");
    let checks: Api<DynamicObject> = Api::all_with(
        client.clone(),
        &ApiResource::from_gvk_with_plural(&kind, "healthchecks"),
    );
    let workloads: Api<Deployment> = Api::default_namespaced(client);
    let own = watcher::Config::default().labels(AGENT);
    let events = watcher(checks, own).applied_objects();
    let mut events = std::pin::pin!(events);
    while let Some(check) = events.next().await {
        let check = check?;
        if check.data["status"]["ok"] != false {
            continue;
        }
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"});
        let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        let parameters = PatchParams::default();
        workloads
            .patch(&check.name_any(), &parameters, &Patch::Merge(patch))
            .await?;
    }
    None.context("the watch ended")
}
