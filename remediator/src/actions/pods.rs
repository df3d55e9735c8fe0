//! A workload's pods, and whether they are its own.
//!
//! Labels find them, owners decide: a pod is the workload's if its controller, by UID, is the workload itself or, for a
//! Deployment, a ReplicaSet whose controller is the Deployment.

use std::collections::HashSet;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::Api;
use kube::core::{ApiResource, NotUsed, Object, PartialObjectMeta, Selector};
use serde::Deserialize;

use super::kinds::{Condition, controller};
use super::pages::{self, NotRead};
use crate::core::{PodFact, TargetKind, Time};

/// A pod, as far as it is looked at.
type Seen = Object<NotUsed, Status>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
    conditions: Vec<Condition>,
}

/// The pods that the workload's selector finds, but for those that have ended: the workload's controller does not count
/// them either, and nothing is gained by evicting them.
pub(super) async fn of(
    client: &Client,
    namespace: &str,
    kind: TargetKind,
    uid: &str,
    selector: &Selector,
) -> Result<Vec<PodFact>, NotRead> {
    let resource = ApiResource::erase::<Pod>(&());
    let api: Api<Seen> = Api::namespaced_with(client.clone(), namespace, &resource);
    let fetch = |parameters| {
        let api = api.clone();
        async move { api.list(&parameters).await }
    };
    let pods = pages::all("pods that its selector finds", Some(selector), fetch, seen).await?;
    // After the pods, so that the owner of each is known.
    let owners = match kind {
        TargetKind::Deployment => replica_sets(client, namespace, uid, selector).await?,
        TargetKind::StatefulSet | TargetKind::DaemonSet => HashSet::from([uid.to_owned()]),
    };
    let owned = |owner: Option<String>| owner.is_some_and(|owner| owners.contains(&owner));
    Ok(pods
        .into_iter()
        .map(|(owner, pod)| PodFact {
            owned: owned(owner),
            ..pod
        })
        .collect())
}

/// UIDs of the Deployment's ReplicaSets.
async fn replica_sets(
    client: &Client,
    namespace: &str,
    uid: &str,
    selector: &Selector,
) -> Result<HashSet<String>, NotRead> {
    let api: Api<ReplicaSet> = Api::namespaced(client.clone(), namespace);
    let fetch = |parameters| {
        let api = api.clone();
        async move { api.list_metadata(&parameters).await }
    };
    let take = |set: PartialObjectMeta<ReplicaSet>| {
        let own = controller(&set.metadata) == Some(uid);
        set.metadata.uid.filter(|_| own)
    };
    let what = "ReplicaSets that its selector finds";
    let found = pages::all(what, Some(selector), fetch, take).await?;
    Ok(found.into_iter().collect())
}

/// The UID of a pod's controller, and the pod; whether it is owned is not known here.
fn seen(pod: Seen) -> Option<(Option<String>, PodFact)> {
    let status = pod.status.unwrap_or_default();
    if matches!(status.phase.as_str(), "Succeeded" | "Failed") {
        return None;
    }
    let owner = controller(&pod.metadata).map(str::to_owned);
    let metadata = pod.metadata;
    let ready = status
        .conditions
        .iter()
        .any(|condition| condition.kind == "Ready" && condition.status == "True");
    let fact = PodFact {
        name: metadata.name?,
        uid: metadata.uid?,
        created: Time::from_unix(metadata.creation_timestamp?.0.as_second()),
        ready,
        deleting: metadata.deletion_timestamp.is_some(),
        owned: false,
    };
    Some((owner, fact))
}
