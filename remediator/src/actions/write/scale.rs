//! Sets the number of replicas.

use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;

use super::super::answer::{Write, invalid};
use super::super::kinds::workloads;
use super::{Place, at_least_one};
use crate::core::execution::Answer;
use crate::core::{Claim, TargetKind, TargetRef};

/// Sets the number of replicas by the scale subresource, whose resourceVersion and UID are the workload's.
pub(super) async fn scale(
    place: Place<'_>,
    target: &TargetRef,
    claim: &Claim,
    replicas: i32,
) -> Answer {
    if let Err(refused) = at_least_one(replicas) {
        return refused;
    }
    if target.kind == TargetKind::DaemonSet {
        let message = "a DaemonSet has as many pods as nodes and cannot be scaled".to_owned();
        return Answer::Refused(invalid(message));
    }
    let api = workloads(place.client, place.namespace, target.kind);
    let scale = Scale {
        metadata: ObjectMeta {
            name: Some(target.name.clone()),
            namespace: Some(place.namespace.to_owned()),
            uid: Some(target.uid.clone()),
            resource_version: Some(claim.resource_version.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(ScaleSpec {
            replicas: Some(replicas),
        }),
        status: None,
    };
    let parameters = PostParams::default();
    let request = api.replace_scale(&target.name, &parameters, &scale);
    place.send(Write::Change, request).await
}
