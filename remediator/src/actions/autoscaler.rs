//! The autoscaler that sets a workload's replicas.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Client;
use kube::api::Api;
use kube::core::{ApiResource, NotUsed, Object};
use serde::Deserialize;

use super::kinds;
use super::pages::{self, NotRead};
use crate::core::{Autoscaler, TargetKind};

/// Annotation of an autoscaler: the record that raised its minimum last.
pub(super) const RAISED_BY: &str = "kuberhealer.io/raised-by";

/// An autoscaler, as far as it is looked at.
pub(super) type Hpa = Object<Spec, NotUsed>;

/// Its `spec`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    scale_target_ref: Reference,
    /// 1 if it is left out, as the API's reference has it.
    min_replicas: Option<i32>,
    max_replicas: i32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    api_version: String,
    kind: String,
    name: String,
}

impl Reference {
    /// Whether this names the workload, in whatever version of its group.
    fn names(&self, kind: TargetKind, name: &str) -> bool {
        let group = self.api_version.split_once('/').map(|(group, _)| group);
        // Autoscalers older than the field name none.
        let apps = group == Some("apps") || self.api_version.is_empty();
        apps && self.kind == kinds::name(kind) && self.name == name
    }
}

/// The autoscalers of a namespace.
pub(super) fn autoscalers(client: &Client, namespace: &str) -> Api<Hpa> {
    let resource = ApiResource::erase::<HorizontalPodAutoscaler>(&());
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// The autoscaler of the workload; of several, which then hinder each other, the first by name.
pub(super) async fn of(
    client: &Client,
    namespace: &str,
    kind: TargetKind,
    name: &str,
) -> Result<Option<Autoscaler>, NotRead> {
    if kind == TargetKind::DaemonSet {
        return Ok(None);
    }
    let api = autoscalers(client, namespace);
    let fetch = |parameters| {
        let api = api.clone();
        async move { api.list(&parameters).await }
    };
    let found = pages::all("autoscalers in the namespace", None, fetch, |hpa: Hpa| {
        let ours = hpa.spec.scale_target_ref.names(kind, name);
        ours.then(|| shown(hpa)).flatten()
    });
    match found.await {
        Ok(found) => Ok(found.into_iter().min_by(|a, b| a.name.cmp(&b.name))),
        // The cluster does not know autoscaling/v2.
        Err(NotRead::Failed(kube::Error::Api(status))) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

fn shown(hpa: Hpa) -> Option<Autoscaler> {
    let raised_by = hpa.metadata.annotations.unwrap_or_default();
    Some(Autoscaler {
        name: hpa.metadata.name?,
        resource_version: hpa.metadata.resource_version?,
        min: hpa.spec.min_replicas.unwrap_or(1),
        max: hpa.spec.max_replicas,
        raised_by: raised_by.get(RAISED_BY).cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::Reference;
    use crate::core::TargetKind;

    #[test]
    fn an_autoscaler_is_the_workloads_by_group_kind_and_name() {
        for (api_version, kind, name, ours) in [
            ("apps/v1", "Deployment", "web", true),
            ("apps/v1beta2", "Deployment", "web", true),
            ("", "Deployment", "web", true),
            ("apps/v1", "Deployment", "api", false),
            ("apps/v1", "StatefulSet", "web", false),
            ("argoproj.io/v1alpha1", "Deployment", "web", false),
            ("v1", "Deployment", "web", false),
        ] {
            let reference = Reference {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                name: name.to_owned(),
            };
            let found = reference.names(TargetKind::Deployment, "web");
            assert_eq!(found, ours, "{reference:?}");
        }
    }
}
