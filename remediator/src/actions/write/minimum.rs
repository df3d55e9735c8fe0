//! Raises an autoscaler's minimum.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::super::answer::Write;
use super::super::autoscaler::{RAISED_BY, autoscalers};
use super::{Place, at_least_one};
use crate::core::execution::Answer;

/// Sets the minimum, and leaves the record's name.
pub(super) async fn raise(
    place: Place<'_>,
    autoscaler: &str,
    resource_version: &str,
    minimum: i32,
    record: &str,
) -> Answer {
    if let Err(refused) = at_least_one(minimum) {
        return refused;
    }
    let api = autoscalers(place.client, place.namespace);
    let patch = Patch::Merge(json!({
        "metadata": {"resourceVersion": resource_version, "annotations": {RAISED_BY: record}},
        "spec": {"minReplicas": minimum},
    }));
    let parameters = PatchParams::default();
    let request = api.patch(autoscaler, &parameters, &patch);
    place.send(Write::Change, request).await
}
