//! DaemonSets: a pod on every node that the template's node selector allows. A surge is not looked at.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::history::{History, POD_LABEL};
use super::pods::{from_template, is_available, is_over, is_ready};
use super::values::{count, share, text};
use super::world::{Kind, World, is_terminating};
use crate::api::ApiError;
use crate::labels;

pub(super) async fn sync(world: &mut World, set: &Arc<Value>) -> Result<(), ApiError> {
    if is_terminating(set) {
        return Ok(());
    }
    let history = History::settle(world, Kind::DaemonSet, set, POD_LABEL).await?;
    let hash = text(&history.update["metadata"]["labels"], POD_LABEL).to_owned();
    let wanted = nodes(world, set);
    for pod in doomed(set, &wanted, &by_node(world, set), &hash) {
        world.delete(Kind::Pod, &pod).await?;
    }
    let placed = by_node(world, set);
    for node in wanted.iter().filter(|node| !placed.contains_key(*node)) {
        world.create(Kind::Pod, made(set, node, &hash)).await?;
    }
    let placed = by_node(world, set);
    let mut live: HashSet<String> = placed
        .values()
        .flatten()
        .map(|pod| {
            let hash = text(&pod["metadata"]["labels"], POD_LABEL);
            format!("{}-{hash}", text(&set["metadata"], "name"))
        })
        .collect();
    live.insert(text(&history.update["metadata"], "name").to_owned());
    let status = status(set, &wanted, &placed, &hash);
    world.set_status(Kind::DaemonSet, set, status).await?;
    history.truncate(world, set, &live).await
}

/// Names of the nodes that are to have a pod.
fn nodes(world: &World, set: &Value) -> Vec<String> {
    let selector = &set["spec"]["template"]["spec"]["nodeSelector"];
    let selector = json!({"matchLabels": selector});
    let nodes = world.all(Kind::Node).into_iter();
    nodes
        .filter(|node| !is_terminating(node))
        .filter(|node| labels::selects(&selector, &node["metadata"]["labels"]))
        .map(|node| text(&node["metadata"], "name").to_owned())
        .collect()
}

/// The set's pods by the node they are on or meant for, oldest first.
fn by_node(world: &World, set: &Value) -> BTreeMap<String, Vec<Arc<Value>>> {
    let mut nodes: BTreeMap<String, Vec<Arc<Value>>> = BTreeMap::new();
    let mut pods = world.owned(Kind::Pod, set);
    pods.sort_by_cached_key(|pod| text(&pod["metadata"], "creationTimestamp").to_owned());
    for pod in pods {
        let placed = text(&pod["spec"], "nodeName");
        let node = match placed {
            "" => pod
                .pointer(&format!(
                    "{AFFINITY}/nodeSelectorTerms/0/matchFields/0/values/0"
                ))
                .and_then(Value::as_str)
                .unwrap_or_default(),
            placed => placed,
        };
        nodes.entry(node.to_owned()).or_default().push(pod);
    }
    nodes
}

const AFFINITY: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";

/// Pods that have to go: ended ones, those on nodes that are to have none, all but the first on a node, and of an older
/// template as many as may be unavailable.
fn doomed(
    set: &Value,
    wanted: &[String],
    placed: &BTreeMap<String, Vec<Arc<Value>>>,
    hash: &str,
) -> Vec<Arc<Value>> {
    let available = |pod: &Value| is_usable(set, pod) && !is_terminating(pod) && !is_over(pod);
    let strategy = &set["spec"]["updateStrategy"];
    let whole = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
    let may_miss = share(&strategy["rollingUpdate"]["maxUnavailable"], whole, true);
    let missing = wanted.iter().filter(|node| {
        let pods = placed.get(*node).map_or(&[][..], Vec::as_slice);
        !pods.iter().any(|pod| available(pod))
    });
    let mut missing = i64::try_from(missing.count()).unwrap_or(i64::MAX);
    let mut doomed = Vec::new();
    for (node, pods) in placed {
        let mut kept = false;
        for pod in pods.iter().filter(|pod| !is_terminating(pod)) {
            if is_over(pod) || kept || !wanted.contains(node) {
                doomed.push(Arc::clone(pod));
                continue;
            }
            kept = true;
            let old = pod["metadata"]["labels"][POD_LABEL] != hash;
            if !old || strategy["type"] == "OnDelete" {
                continue;
            }
            if !available(pod) {
                doomed.push(Arc::clone(pod));
            } else if missing < may_miss {
                missing += 1;
                doomed.push(Arc::clone(pod));
            }
        }
    }
    doomed
}

fn is_usable(set: &Value, pod: &Value) -> bool {
    is_available(pod, count(&set["spec"]["minReadySeconds"]))
}

fn made(set: &Value, node: &str, hash: &str) -> Value {
    let mut pod = from_template(Kind::DaemonSet, set);
    let name = text(&set["metadata"], "name");
    pod["metadata"]["generateName"] = Value::from(format!("{name}-"));
    pod["metadata"]["labels"][POD_LABEL] = Value::from(hash);
    // The scheduler places it, but has no choice.
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!({
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}],
    });
    pod
}

fn status(
    set: &Value,
    wanted: &[String],
    placed: &BTreeMap<String, Vec<Arc<Value>>>,
    hash: &str,
) -> Value {
    let first: Vec<&Arc<Value>> = wanted
        .iter()
        .filter_map(|node| placed.get(node)?.first())
        .collect();
    let number = |holds: &dyn Fn(&Value) -> bool| first.iter().filter(|pod| holds(pod)).count();
    let stray = placed.keys().filter(|node| !wanted.contains(node)).count();
    let available = number(&|pod| is_usable(set, pod));
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"], "desiredNumberScheduled": wanted.len(),
        "currentNumberScheduled": first.len(), "numberMisscheduled": stray, "numberReady": number(&is_ready),
    });
    // As in Go, these are left out if there are none.
    for (field, number) in [
        (
            "updatedNumberScheduled",
            number(&|pod| pod["metadata"]["labels"][POD_LABEL] == hash),
        ),
        ("numberAvailable", available),
        ("numberUnavailable", wanted.len() - available),
    ] {
        if number > 0 {
            status[field] = Value::from(number);
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, hash: &str, ready: bool) -> Arc<Value> {
        let status = if ready { "True" } else { "False" };
        Arc::new(json!({
            "metadata": {"name": name, "labels": {POD_LABEL: hash}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]},
        }))
    }

    #[test]
    fn pods_of_an_older_template_go_as_far_as_may_be_unavailable() {
        let wanted = ["a", "b", "c"].map(str::to_owned);
        for (limit, pods, expected) in [
            (
                json!(1),
                [("a", "old", true), ("b", "old", true), ("c", "old", true)],
                "a",
            ),
            (
                json!(2),
                [("a", "old", true), ("b", "old", true), ("c", "old", true)],
                "ab",
            ),
            (
                json!("34%"),
                [("a", "old", true), ("b", "old", true), ("c", "old", true)],
                "ab",
            ),
            (
                json!(1),
                [("a", "new", false), ("b", "old", true), ("c", "old", true)],
                "",
            ),
            (
                json!(1),
                [("a", "new", true), ("b", "old", true), ("c", "old", true)],
                "b",
            ),
            (
                json!(1),
                [("a", "old", false), ("b", "old", true), ("c", "old", false)],
                "ac",
            ),
            (
                json!(1),
                [("a", "new", true), ("b", "new", true), ("x", "new", true)],
                "x",
            ),
        ] {
            let set = json!({"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": limit}}}});
            let placed = pods
                .iter()
                .map(|(node, hash, ready)| ((*node).to_owned(), vec![pod(node, hash, *ready)]))
                .collect();
            let names: String = doomed(&set, &wanted, &placed, "new")
                .iter()
                .map(|pod| text(&pod["metadata"], "name"))
                .collect();
            assert_eq!(names, expected, "{limit} {pods:?}");
        }
    }
}
