//! The workloads behind what an error names: those that own a Service's pods, or a pod.
//!
//! Owners decide here too. Only if a Service finds no pod at all, as its workload has been scaled to none or has never
//! come up, those workloads that somebody has a policy for are asked whether their pods would be found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Client;
use kube::api::{Api, ListParams};
use kube::core::Selector;

use super::kinds::workloads;
use super::pages::NotRead;
use super::{answer, limited};
use crate::core::TargetKind;
use crate::core::cascade::{Behind, Named, Subject, Target};
use crate::core::execution::Refusal;

/// Pods of a Service whose owners are looked at.
const PODS: u32 = 50;

/// ReplicaSets among their owners that are read.
const SETS: usize = 8;

/// Workloads that are asked whether a Service would find their pods.
const CANDIDATES: usize = 16;

/// Reads what is behind a subject; `candidates` are workloads of its namespace, the likeliest first.
pub(super) async fn read(
    client: &Client,
    subject: &Subject,
    candidates: &[Target],
) -> Result<Behind, kube::Error> {
    match find(client, subject, candidates).await {
        Ok(found) => Ok(Behind::Workloads(found.into_iter().collect())),
        Err(NotRead::Refused(refusal)) => Ok(Behind::Refused(refusal)),
        // Asking again would bring the same.
        Err(NotRead::Failed(kube::Error::SerdeError(error))) => {
            let why = format!("{subject} cannot be read: {error}");
            Ok(Behind::Refused(answer::invalid(why)))
        }
        Err(NotRead::Failed(error)) => Err(error),
    }
}

async fn find(
    client: &Client,
    subject: &Subject,
    candidates: &[Target],
) -> Result<BTreeSet<Target>, NotRead> {
    let Subject {
        kind,
        namespace,
        name,
    } = subject;
    match kind {
        Named::Workload(kind) => Ok(BTreeSet::from([(*kind, name.clone())])),
        Named::Pod => {
            let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
            // Pods are listed anyway: to get one would be a permission more.
            let named = format!("metadata.name={name}");
            let parameters = ListParams::default().limit(1).fields(&named);
            let found = limited(pods.list_metadata(&parameters)).await?;
            let found = found.items.iter().map(|pod| &pod.metadata);
            owners(client, namespace, found).await
        }
        Named::Service => {
            let services: Api<Service> = Api::namespaced(client.clone(), namespace);
            let found = limited(services.get_opt(name)).await?;
            let spec = found.and_then(|service| service.spec).unwrap_or_default();
            let selector = spec.selector.unwrap_or_default();
            // Without one it finds no pods; an empty one would find all.
            if selector.is_empty() || spec.type_.as_deref() == Some("ExternalName") {
                return Ok(BTreeSet::new());
            }
            let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
            let labels: Selector = selector.clone().into_iter().collect();
            let parameters = ListParams::default().limit(PODS).labels_from(&labels);
            let found = limited(pods.list_metadata(&parameters)).await?;
            if found.items.is_empty() {
                return would_be_found(client, namespace, &selector, candidates).await;
            }
            let found = found.items.iter().map(|pod| &pod.metadata);
            owners(client, namespace, found).await
        }
    }
}

/// The workloads that own these pods.
async fn owners(
    client: &Client,
    namespace: &str,
    pods: impl Iterator<Item = &ObjectMeta>,
) -> Result<BTreeSet<Target>, NotRead> {
    let mut found = BTreeSet::new();
    let mut sets: BTreeMap<&str, &str> = BTreeMap::new();
    for owner in pods.filter_map(owner) {
        let name: Arc<str> = owner.name.as_str().into();
        match owner.kind.as_str() {
            "StatefulSet" => drop(found.insert((TargetKind::StatefulSet, name))),
            "DaemonSet" => drop(found.insert((TargetKind::DaemonSet, name))),
            "ReplicaSet" => drop(sets.insert(&owner.name, &owner.uid)),
            _ => {}
        }
    }
    let api: Api<ReplicaSet> = Api::namespaced(client.clone(), namespace);
    for (name, uid) in sets.into_iter().take(SETS) {
        let Some(set) = limited(api.get_metadata_opt(name)).await? else {
            continue;
        };
        if let Some(owner) = owner(&set.metadata)
            && owner.kind == "Deployment"
            && set.metadata.uid.as_deref() == Some(uid)
        {
            found.insert((TargetKind::Deployment, owner.name.as_str().into()));
        }
    }
    Ok(found)
}

/// The controller of an object, if it is of the group `apps`.
fn owner(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    let mut owners = metadata.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true) && owner.api_version.starts_with("apps/"))
}

/// The workloads whose pods the selector would find if there were any.
async fn would_be_found(
    client: &Client,
    namespace: &str,
    selector: &BTreeMap<String, String>,
    candidates: &[Target],
) -> Result<BTreeSet<Target>, NotRead> {
    let mut found = BTreeSet::new();
    let all = candidates.len();
    for (kind, name) in candidates.iter().take(CANDIDATES) {
        let workload = limited(workloads(client, namespace, *kind).get_opt(name)).await?;
        let Some(workload) = workload else { continue };
        let labels = workload.spec.template.pointer("/metadata/labels");
        let has = |(key, value): (&String, &String)| {
            let label = labels.and_then(|labels| labels.get(key));
            label.is_some_and(|label| label == value.as_str())
        };
        if selector.iter().all(has) {
            found.insert((*kind, name.clone()));
        }
    }
    if found.is_empty() && all > CANDIDATES {
        return Err(NotRead::Refused(Refusal {
            code: 413,
            reason: "RequestEntityTooLarge".to_owned(),
            message: format!(
                "the Service finds no pods; expected at most {CANDIDATES} targets of policies in namespace {namespace} that may be behind it, found {all}, and none of the {CANDIDATES} most like it is: name its check in dependsOn"
            ),
        }));
    }
    Ok(found)
}
