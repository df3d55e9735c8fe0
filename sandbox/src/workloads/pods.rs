//! What controllers look for in pods, and how they make them.

use serde_json::{Value, json};

use super::values::{count, seconds_since};
use super::world::{Kind, is_terminating, owner_reference};

/// Neither ended nor being deleted: counts as a replica.
pub(super) fn is_active(pod: &Value) -> bool {
    !is_over(pod) && !is_terminating(pod)
}

/// Has ended for good.
pub(super) fn is_over(pod: &Value) -> bool {
    matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    )
}

/// Its condition `Ready`.
pub(super) fn ready(pod: &Value) -> Option<&Value> {
    let mut conditions = pod["status"]["conditions"].as_array()?.iter();
    conditions.find(|condition| condition["type"] == "Ready")
}

pub(super) fn is_ready(pod: &Value) -> bool {
    ready(pod).is_some_and(|condition| condition["status"] == "True")
}

/// Has been ready for `minReadySeconds`.
pub(super) fn is_available(pod: &Value, min_ready: i64) -> bool {
    let since = ready(pod).map_or(0, |ready| seconds_since(&ready["lastTransitionTime"]));
    is_ready(pod) && (min_ready == 0 || since >= min_ready)
}

/// A pod of the owner's template, without a name.
pub(super) fn from_template(kind: Kind, owner: &Value) -> Value {
    let template = &owner["spec"]["template"];
    let mut metadata = json!({
        "namespace": owner["metadata"]["namespace"], "ownerReferences": [owner_reference(kind, owner)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    json!({"metadata": metadata, "spec": template["spec"]})
}

/// By this pods that are to go are ordered: first who serves least, of those who serve the youngest.
pub(super) fn departure(pod: &Value) -> impl Ord + use<> {
    let placed = pod["spec"]["nodeName"].is_string();
    let phase = match pod["status"]["phase"].as_str() {
        Some("Running") => 2,
        Some("Unknown") => 1,
        _ => 0,
    };
    let restarts = pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten();
    let restarts = restarts.map(|status| count(&status["restartCount"])).max();
    let since = |time: &Value| time.as_str().unwrap_or_default().to_owned();
    let ready_since = ready(pod).map(|ready| since(&ready["lastTransitionTime"]));
    (
        placed,
        phase,
        is_ready(pod),
        std::cmp::Reverse(ready_since.unwrap_or_default()),
        std::cmp::Reverse(restarts.unwrap_or(0)),
        std::cmp::Reverse(since(&pod["metadata"]["creationTimestamp"])),
    )
}
