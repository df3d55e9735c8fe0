//! StatefulSets: pods with names that stay. Claims of volumes are not made.

mod plan;

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::history::{self, History, POD_LABEL};
use super::pods::{from_template, is_available, is_over, is_ready};
use super::values::{count, text};
use super::world::{Kind, World, is_terminating};
use crate::api::ApiError;
use plan::{Act, Member, Rules, plan};

/// The label with a revision's hash.
const HASH: &str = "controller.kubernetes.io/hash";

pub(super) async fn sync(world: &mut World, set: &Arc<Value>) -> Result<(), ApiError> {
    if is_terminating(set) {
        return Ok(());
    }
    let history = History::settle(world, Kind::StatefulSet, set, HASH).await?;
    let update = Arc::clone(&history.update);
    let current = history.named(text(&set["status"], "currentRevision"));
    let current = Arc::clone(current.unwrap_or(&update));
    let rules = rules(&set["spec"]);
    let pods = world.owned(Kind::Pod, set);
    let members: Vec<Member> = pods
        .iter()
        .filter_map(|pod| member(set, pod, name(&update)))
        .collect();
    for act in plan(rules, &members) {
        match act {
            Act::Create(ordinal) => {
                let kept = rules.partition.unwrap_or(0);
                let revision = match ordinal < rules.start.saturating_add(kept) {
                    true => &current,
                    false => &update,
                };
                world
                    .create(Kind::Pod, made(set, revision, ordinal))
                    .await?;
            }
            Act::Delete(wanted) => {
                for pod in pods.iter().filter(|pod| ordinal(set, pod) == Some(wanted)) {
                    world.delete(Kind::Pod, pod).await?;
                }
            }
        }
    }
    let pods = world.owned(Kind::Pod, set);
    let status = status(set, &pods, name(&current), name(&update));
    let mut live: HashSet<String> = pods.iter().map(|pod| revision_of(pod).to_owned()).collect();
    live.extend([name(&current).to_owned(), name(&update).to_owned()]);
    world.set_status(Kind::StatefulSet, set, status).await?;
    history.truncate(world, set, &live).await
}

fn name(object: &Value) -> &str {
    text(&object["metadata"], "name")
}

fn revision_of(pod: &Value) -> &str {
    text(&pod["metadata"]["labels"], POD_LABEL)
}

fn rules(spec: &Value) -> Rules {
    let strategy = &spec["updateStrategy"];
    Rules {
        replicas: count(&spec["replicas"]).max(0),
        start: count(&spec["ordinals"]["start"]),
        ordered: spec["podManagementPolicy"] != "Parallel",
        partition: (strategy["type"] != "OnDelete")
            .then(|| count(&strategy["rollingUpdate"]["partition"])),
    }
}

/// The number in a pod's name; `None` if the name is not one that the set gives.
fn ordinal(set: &Value, pod: &Value) -> Option<i64> {
    let number = name(pod).strip_prefix(name(set))?.strip_prefix('-')?;
    number.parse().ok().filter(|number| *number >= 0)
}

fn is_running_and_ready(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running" && is_ready(pod)
}

fn serves(set: &Value, pod: &Value) -> bool {
    is_running_and_ready(pod) && is_available(pod, count(&set["spec"]["minReadySeconds"]))
}

fn member(set: &Value, pod: &Value, update: &str) -> Option<Member> {
    Some(Member {
        ordinal: ordinal(set, pod)?,
        updated: revision_of(pod) == update,
        over: is_over(pod),
        terminating: is_terminating(pod),
        available: serves(set, pod),
    })
}

/// The pod of this ordinal, of a revision's template.
fn made(set: &Value, revision: &Value, ordinal: i64) -> Value {
    let mut pod = from_template(Kind::StatefulSet, &history::at(set, revision));
    let own = format!("{}-{ordinal}", name(set));
    let labels = &mut pod["metadata"]["labels"];
    labels["statefulset.kubernetes.io/pod-name"] = Value::from(own.as_str());
    labels["apps.kubernetes.io/pod-index"] = Value::from(ordinal.to_string());
    labels[POD_LABEL] = Value::from(name(revision));
    pod["spec"]["hostname"] = Value::from(own.as_str());
    if let Some(service) = set["spec"]["serviceName"].as_str() {
        pod["spec"]["subdomain"] = Value::from(service);
    }
    pod["metadata"]["name"] = Value::from(own);
    pod
}

fn status(set: &Value, pods: &[Arc<Value>], current: &str, update: &str) -> Value {
    let number = |holds: &dyn Fn(&Value) -> bool| pods.iter().filter(|pod| holds(pod)).count();
    let of = |revision: &str| number(&|pod| !is_terminating(pod) && revision_of(pod) == revision);
    let ready = number(&is_running_and_ready);
    let (mut current, mut of_current, updated) = (current, of(current), of(update));
    let wanted = usize::try_from(count(&set["spec"]["replicas"])).unwrap_or(0);
    let rolls = set["spec"]["updateStrategy"]["type"] != "OnDelete";
    if rolls && [updated, ready, pods.len()] == [wanted; 3] {
        (current, of_current) = (update, updated);
    }
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"], "replicas": pods.len(),
        "availableReplicas": number(&|pod| serves(set, pod)),
        "currentRevision": current, "updateRevision": update, "collisionCount": 0,
    });
    // As in Go, these are left out if there are none.
    for (field, number) in [
        ("readyReplicas", ready),
        ("currentReplicas", of_current),
        ("updatedReplicas", updated),
    ] {
        if number > 0 {
            status[field] = Value::from(number);
        }
    }
    status
}
