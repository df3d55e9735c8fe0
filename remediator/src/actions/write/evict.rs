//! Evicts a pod.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::super::answer::Write;
use super::Place;
use crate::core::execution::Answer;

/// Evicts the pod of this name if it has this UID. Its grace period is its own.
pub(super) async fn evict(place: Place<'_>, pod: &str, uid: &str) -> Answer {
    let pods: Api<Pod> = Api::namespaced(place.client.clone(), place.namespace);
    // `Api::evict` of kube 5.0 writes `delete_options`, which the server ignores, and the precondition with it.
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": place.namespace},
        "deleteOptions": {"preconditions": {"uid": uid}},
    });
    let parameters = PostParams::default();
    let request = pods.create_subresource::<_, Value>("eviction", pod, &parameters, &eviction);
    place.send(Write::Eviction, request).await
}
