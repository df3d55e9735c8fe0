//! The status of disruption budgets. `pods/eviction` takes from it; here it is counted anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::pods::{is_over, is_ready};
use super::values::{count, now, seconds_since, share, text};
use super::world::{Kind, World, controller, is_terminating};
use crate::api::ApiError;
use crate::labels;

/// Seconds for which an eviction that has not come to pass is still counted on.
const PENDING: i64 = 120;

pub(super) async fn sync(world: &mut World, budget: &Arc<Value>) -> Result<(), ApiError> {
    let selector = &budget["spec"]["selector"];
    let mut pods = world.beside(Kind::Pod, budget, |pod| {
        labels::selects(selector, &pod["metadata"]["labels"])
    });
    pods.retain(|pod| !is_over(pod));
    let pending = pending(budget, &pods);
    let healthy = pods
        .iter()
        .filter(|pod| is_ready(pod) && !is_terminating(pod))
        .filter(|pod| !pending.contains_key(text(&pod["metadata"], "name")))
        .count();
    let healthy = i64::try_from(healthy).unwrap_or(i64::MAX);
    let (expected, desired) = needs(world, &budget["spec"], &pods);
    let allowed = match expected > 0 {
        true => (healthy - desired).max(0),
        false => 0,
    };
    let mut status = json!({
        "observedGeneration": budget["metadata"]["generation"], "disruptionsAllowed": allowed,
        "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected,
        "conditions": [condition(budget, allowed > 0)],
    });
    if !pending.is_empty() {
        status["disruptedPods"] = Value::Object(pending);
    }
    world
        .set_status(Kind::PodDisruptionBudget, budget, status)
        .await
}

/// Pods whose eviction was granted and whose deletion is not seen yet.
fn pending(budget: &Value, pods: &[Arc<Value>]) -> Map<String, Value> {
    let granted = budget["status"]["disruptedPods"]
        .as_object()
        .into_iter()
        .flatten();
    granted
        .filter(|(name, since)| {
            let waits =
                |pod: &&Arc<Value>| pod["metadata"]["name"] == **name && !is_terminating(pod);
            pods.iter().any(|pod| waits(&pod)) && seconds_since(since) < PENDING
        })
        .map(|(name, since)| (name.clone(), since.clone()))
        .collect()
}

/// How many pods there should be, and how many of them have to serve.
fn needs(world: &World, spec: &Value, pods: &[Arc<Value>]) -> (i64, i64) {
    let found = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    if !spec["maxUnavailable"].is_null() {
        let expected = scale(world, pods);
        let desired = expected - share(&spec["maxUnavailable"], expected, true);
        return (expected, desired.max(0));
    }
    match &spec["minAvailable"] {
        Value::String(_) => {
            let expected = scale(world, pods);
            (expected, share(&spec["minAvailable"], expected, true))
        }
        number => (found, count(number)),
    }
}

/// Replicas asked for by the controllers of these pods, each counted once.
fn scale(world: &World, pods: &[Arc<Value>]) -> i64 {
    let mut seen = BTreeSet::new();
    let mut replicas = 0;
    for pod in pods {
        let found = [Kind::ReplicaSet, Kind::StatefulSet]
            .into_iter()
            .find_map(|kind| owner(world, kind, pod));
        let Some(mut owner) = found else {
            continue;
        };
        if let Some(deployment) = self::owner(world, Kind::Deployment, &owner) {
            owner = deployment;
        }
        if seen.insert(text(&owner["metadata"], "uid").to_owned()) {
            replicas += count(&owner["spec"]["replicas"]);
        }
    }
    replicas
}

fn owner(world: &World, kind: Kind, object: &Value) -> Option<Arc<Value>> {
    let reference = controller(object)?;
    let found = world.beside(kind, object, |owner| {
        owner["metadata"]["uid"] == reference["uid"]
    });
    found.into_iter().next()
}

fn condition(budget: &Value, allowed: bool) -> Value {
    let (status, reason) = match allowed {
        true => ("True", "SufficientPods"),
        false => ("False", "InsufficientPods"),
    };
    let before = &budget["status"]["conditions"][0];
    let since = match before["status"] == status {
        true => before["lastTransitionTime"].clone(),
        false => Value::from(now()),
    };
    json!({
        "type": "DisruptionAllowed", "status": status, "reason": reason, "message": "",
        "observedGeneration": budget["metadata"]["generation"], "lastTransitionTime": since,
    })
}
