//! ReplicaSets: as many pods as asked for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pods::{departure, from_template, is_active, is_available, is_over, is_ready};
use super::values::{count, text};
use super::world::{Kind, World, is_terminating};
use crate::api::ApiError;

pub(super) async fn sync(world: &mut World, set: &Arc<Value>) -> Result<(), ApiError> {
    if is_terminating(set) {
        return Ok(());
    }
    let mut pods = world.owned(Kind::Pod, set);
    pods.retain(|pod| is_active(pod));
    let wanted = usize::try_from(count(&set["spec"]["replicas"])).unwrap_or(0);
    if let Some(surplus) = pods.len().checked_sub(wanted) {
        pods.sort_by_cached_key(|pod| departure(pod));
        for pod in pods.iter().take(surplus) {
            world.delete(Kind::Pod, pod).await?;
        }
    }
    for _ in pods.len()..wanted {
        let mut pod = from_template(Kind::ReplicaSet, set);
        let name = text(&set["metadata"], "name");
        pod["metadata"]["generateName"] = Value::from(format!("{name}-"));
        world.create(Kind::Pod, pod).await?;
    }
    let status = status(set, &world.owned(Kind::Pod, set));
    world.set_status(Kind::ReplicaSet, set, status).await
}

fn status(set: &Value, pods: &[Arc<Value>]) -> Value {
    let number = |holds: &dyn Fn(&Value) -> bool| pods.iter().filter(|pod| holds(pod)).count();
    let labels = set["spec"]["template"]["metadata"]["labels"].as_object();
    let labelled = |pod: &Value| {
        let mut labels = labels.into_iter().flatten();
        labels.all(|(label, value)| pod["metadata"]["labels"][label] == *value)
    };
    let min_ready = count(&set["spec"]["minReadySeconds"]);
    let mut status = json!({
        "replicas": number(&is_active),
        "terminatingReplicas": number(&|pod| is_terminating(pod) && !is_over(pod)),
        "observedGeneration": set["metadata"]["generation"],
    });
    // As in Go, these are left out if there are none.
    for (field, number) in [
        (
            "fullyLabeledReplicas",
            number(&|pod| is_active(pod) && labelled(pod)),
        ),
        (
            "readyReplicas",
            number(&|pod| is_active(pod) && is_ready(pod)),
        ),
        (
            "availableReplicas",
            number(&|pod| is_active(pod) && is_available(pod, min_ready)),
        ),
    ] {
        if number > 0 {
            status[field] = Value::from(number);
        }
    }
    status
}
