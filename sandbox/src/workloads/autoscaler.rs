//! HorizontalPodAutoscalers, as far as they go without metrics: a target is kept between its minimum and maximum.
//!
//! Follows `reconcileAutoscaler` in `pkg/controller/podautoscaler/horizontal.go` on a cluster without a metrics server.

use std::sync::Arc;

use serde_json::{Value, json};

use super::values::{count, now, text};
use super::world::{Kind, World, is_terminating};
use crate::api::ApiError;

pub(super) async fn sync(world: &mut World, scaler: &Arc<Value>) -> Result<(), ApiError> {
    if is_terminating(scaler) {
        return Ok(());
    }
    let status = match target(world, scaler) {
        None => {
            let reference = &scaler["spec"]["scaleTargetRef"];
            let why = format!(
                "the HPA controller was unable to get the target's current scale: {} \"{}\" not found",
                text(reference, "kind"),
                text(reference, "name")
            );
            let mut status = scaler["status"].clone();
            let unable = condition(scaler, "AbleToScale", "False", "FailedGetScale", &why);
            status["conditions"] = json!([unable]);
            status["currentReplicas"] = Value::from(count(&status["currentReplicas"]));
            status["desiredReplicas"] = Value::from(count(&status["desiredReplicas"]));
            status
        }
        Some((kind, target)) => {
            let asked = count(&target["spec"]["replicas"]);
            let bound = bound(&scaler["spec"], asked);
            if let Some(replicas) = bound {
                world.scale(kind, &target, replicas).await?;
            }
            status(scaler, count(&target["status"]["replicas"]), asked, bound)
        }
    };
    world
        .set_status(Kind::HorizontalPodAutoscaler, scaler, status)
        .await
}

/// Replicas that the bounds demand; `None` if they are met. A target scaled to nothing is left alone.
fn bound(spec: &Value, asked: i64) -> Option<i64> {
    let least = spec["minReplicas"].as_i64().unwrap_or(1);
    let most = count(&spec["maxReplicas"]);
    match asked {
        0 => None,
        asked if asked > most => Some(most),
        asked if asked < least => Some(least),
        _ => None,
    }
}

fn target(world: &World, scaler: &Value) -> Option<(Kind, Arc<Value>)> {
    let reference = &scaler["spec"]["scaleTargetRef"];
    let kinds = [Kind::Deployment, Kind::StatefulSet, Kind::ReplicaSet];
    let kind = kinds.into_iter().find(|kind| {
        let (api_version, name, _) = kind.names();
        reference["kind"] == name && reference["apiVersion"] == api_version
    })?;
    let found = world.beside(kind, scaler, |object| {
        object["metadata"]["name"] == reference["name"]
    });
    Some((kind, found.into_iter().next()?))
}

fn status(scaler: &Value, current: i64, asked: i64, bound: Option<i64>) -> Value {
    let mut status = json!({
        "currentReplicas": current, "desiredReplicas": bound.unwrap_or(asked), "currentMetrics": null,
    });
    let before = &scaler["status"]["lastScaleTime"];
    let (able, active) = match (bound, asked) {
        (Some(replicas), _) => {
            let why =
                format!("the HPA controller was able to update the target scale to {replicas}");
            (("SucceededRescale", why), None)
        }
        (None, asked) => {
            let able = "the HPA controller was able to get the target's current scale".to_owned();
            let active = match asked {
                0 => (
                    "ScalingDisabled",
                    "scaling is disabled since the replica count of the target is zero",
                ),
                _ => (
                    "FailedGetResourceMetric",
                    "the HPA was unable to compute the replica count: there is no metrics API here",
                ),
            };
            (("SucceededGetScale", able), Some(active))
        }
    };
    let mut conditions = vec![condition(scaler, "AbleToScale", "True", able.0, &able.1)];
    if let Some((reason, why)) = active {
        conditions.push(condition(scaler, "ScalingActive", "False", reason, why));
    }
    status["conditions"] = Value::from(conditions);
    if bound.is_some() {
        status["lastScaleTime"] = Value::from(now());
    } else if !before.is_null() {
        status["lastScaleTime"] = before.clone();
    }
    status
}

fn condition(scaler: &Value, kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let mut before = scaler["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let since = before
        .find(|condition| condition["type"] == kind && condition["status"] == status)
        .map_or_else(
            || Value::from(now()),
            |same| same["lastTransitionTime"].clone(),
        );
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_kept_within_its_bounds() {
        let spec = json!({"minReplicas": 2, "maxReplicas": 4});
        for (asked, expected) in [(0, None), (1, Some(2)), (2, None), (4, None), (5, Some(4))] {
            assert_eq!(bound(&spec, asked), expected, "{asked}");
        }
        assert_eq!(bound(&json!({"maxReplicas": 4}), 1), None);
    }
}
