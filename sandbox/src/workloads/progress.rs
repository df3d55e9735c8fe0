//! The status of a Deployment: its numbers, and whether its rollout gets on.

use serde_json::{Value, json};

use super::rollout::Bounds;
use super::values::{count, now, seconds_since, text};
use super::world::{Kind, World};

/// The reason of a rollout that has come to its end.
pub(super) const DONE: &str = "NewReplicaSetAvailable";

/// The status, its condition `Progressing` first.
pub(super) fn of(
    world: &World,
    deployment: &Value,
    bounds: Bounds,
    new: Option<&Value>,
    created: bool,
) -> Value {
    let sets = world.owned(Kind::ReplicaSet, deployment);
    let new = new.and_then(|new| {
        let mut sets = sets.iter();
        sets.find(|set| set["metadata"]["uid"] == new["metadata"]["uid"])
    });
    let sum = |field: &str| {
        sets.iter()
            .map(|set| count(&set["status"][field]))
            .sum::<i64>()
    };
    let updated = new.map_or(0, |new| count(&new["status"]["replicas"]));
    let (all, available) = (sum("replicas"), sum("availableReplicas"));
    let asked = sets
        .iter()
        .map(|set| count(&set["spec"]["replicas"]))
        .sum::<i64>();
    let mut status = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "terminatingReplicas": sum("terminatingReplicas"),
    });
    for (field, number) in [
        ("replicas", all),
        ("updatedReplicas", updated),
        ("readyReplicas", sum("readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", (asked - available).max(0)),
    ] {
        if number > 0 {
            status[field] = Value::from(number);
        }
    }
    let was = &deployment["status"];
    let name = new.map_or("", |new| text(&new["metadata"], "name"));
    let complete = [updated, all, available]
        .iter()
        .all(|number| *number == bounds.replicas)
        && new.is_some_and(|new| {
            new["status"]["observedGeneration"] == new["metadata"]["generation"]
        });
    let moved = ["updatedReplicas", "readyReplicas", "availableReplicas"]
        .iter()
        .any(|field| count(&status[*field]) > count(&was[*field]))
        || all - updated < count(&was["replicas"]) - count(&was["updatedReplicas"]);
    let before = condition(deployment, "Progressing");
    let deadline = deployment["spec"]["progressDeadlineSeconds"]
        .as_i64()
        .unwrap_or(600);
    let progress = if deployment["spec"]["paused"] == true {
        Some((
            "Unknown",
            "DeploymentPaused",
            "Deployment is paused".to_owned(),
        ))
    } else if before["reason"] == "DeploymentPaused" {
        Some((
            "Unknown",
            "DeploymentResumed",
            "Deployment is resumed".to_owned(),
        ))
    } else if created {
        Some((
            "True",
            "NewReplicaSetCreated",
            format!("Created new replica set \"{name}\""),
        ))
    } else if complete {
        Some((
            "True",
            DONE,
            format!("ReplicaSet \"{name}\" has successfully progressed."),
        ))
    } else if before["reason"] == DONE && !text(&before, "message").contains(&format!("\"{name}\""))
    {
        Some((
            "True",
            "FoundNewReplicaSet",
            format!("Found new replica set \"{name}\""),
        ))
    } else if moved && before["reason"] != DONE {
        Some((
            "True",
            "ReplicaSetUpdated",
            format!("ReplicaSet \"{name}\" is progressing."),
        ))
    } else if before["reason"] != DONE && seconds_since(&before["lastUpdateTime"]) > deadline {
        let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
        Some(("False", "ProgressDeadlineExceeded", message))
    } else {
        None
    };
    let progress = match progress {
        Some((status, reason, message)) => {
            let moved = moved && reason == "ReplicaSetUpdated";
            updated_condition(&before, "Progressing", status, reason, &message, moved)
        }
        None => before,
    };
    let enough = available >= bounds.replicas - bounds.unavailable;
    let (holds, reason, message) = match enough {
        true => (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        ),
        false => (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        ),
    };
    let before = condition(deployment, "Available");
    let available = updated_condition(&before, "Available", holds, reason, message, false);
    let mut conditions = vec![progress, available];
    conditions.retain(Value::is_object);
    status["conditions"] = Value::from(conditions);
    status
}

fn condition(deployment: &Value, kind: &str) -> Value {
    let mut conditions = deployment["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions
        .find(|condition| condition["type"] == kind)
        .cloned()
        .unwrap_or_default()
}

/// A condition as it is now; its times move only with it, or with progress.
fn updated_condition(
    before: &Value,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    moved: bool,
) -> Value {
    if before["status"] == status
        && before["reason"] == reason
        && before["message"] == message
        && !moved
    {
        return before.clone();
    }
    let transition = match before["status"] == status {
        true => before["lastTransitionTime"].clone(),
        false => Value::from(now()),
    };
    json!({
        "type": kind, "status": status, "lastUpdateTime": now(), "lastTransitionTime": transition,
        "reason": reason, "message": message,
    })
}
