//! Removal of what runs leave behind: finished pods, and states whose check is gone.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use super::super::{clock, pods};
use super::checker::CHECK_LABEL;
use super::shared::Shared;
use crate::informer::key;

/// Pause between two sweeps of the pods.
const POD_SWEEP: Duration = Duration::from_secs(30);
/// Pause between two sweeps of the states.
const STATE_SWEEP: Duration = Duration::from_secs(60);
/// Finished pods go after this time (seconds), as the published manifest sets it.
const MAX_POD_AGE: i64 = 72 * 3600;
/// Finished pods of one check and outcome that are kept beside the newest, as the published manifest sets it.
const MAX_PODS: usize = 4;
/// Pods finished for less (seconds) do not count.
const MIN_POD_AGE: i64 = 30;

/// Sweeps the finished checker pods for ever.
pub(super) async fn sweep_pods(shared: &Shared) {
    let speed = shared.states.speed;
    let api = &shared.states.api;
    loop {
        tokio::time::sleep(speed.scale(POD_SWEEP)).await;
        let all = format!("/api/v1/pods?labelSelector={CHECK_LABEL}");
        let Ok(list) = api.list(&all).await else {
            continue;
        };
        let min_age = i64::try_from(
            speed
                .scale(Duration::from_secs(MIN_POD_AGE.unsigned_abs()))
                .as_secs(),
        );
        for pod in surplus(
            &list.items,
            clock::now_unix(),
            min_age.unwrap_or(MIN_POD_AGE),
        ) {
            // What cannot be deleted now meets the next sweep.
            let _ = pods::delete(api, pod).await;
        }
    }
}

/// Sweeps the states for ever.
pub(super) async fn sweep_states(shared: &Shared) {
    loop {
        tokio::time::sleep(shared.states.speed.scale(STATE_SWEEP)).await;
        // What cannot be listed or deleted now meets the next sweep.
        let _ = sweep_states_once(shared).await;
    }
}

async fn sweep_states_once(shared: &Shared) -> Result<(), crate::api::ApiError> {
    let api = &shared.states.api;
    let group = "/apis/comcast.github.io/v1";
    let states = api.list(&format!("{group}/khstates")).await?.items;
    let mut owners: HashSet<String> = HashSet::new();
    for kind in ["khchecks", "khjobs"] {
        owners.extend(
            api.list(&format!("{group}/{kind}"))
                .await?
                .items
                .iter()
                .map(key),
        );
    }
    for state in states.iter().filter(|state| !owners.contains(&key(state))) {
        let (namespace, name) = (
            pods::metadata(state, "namespace"),
            pods::metadata(state, "name"),
        );
        let _ = api
            .delete(&format!("{group}/namespaces/{namespace}/khstates/{name}"))
            .await;
    }
    Ok(())
}

/// The finished pods that are too old or too many.
fn surplus(all: &[Value], now: i64, min_age: i64) -> Vec<&Value> {
    let finished: Vec<(&Value, i64)> = all
        .iter()
        .filter(|pod| pods::is_finished(pod))
        .filter_map(|pod| Some((pod, finished_at(pod)?)))
        .collect();
    let check = |pod: &Value| pod["metadata"]["labels"][CHECK_LABEL].clone();
    let is_surplus = |pod: &Value, ended: i64| {
        let newer = finished.iter().filter(|(other, other_ended)| {
            now - other_ended > min_age
                && check(other) == check(pod)
                && pods::metadata(other, "namespace") == pods::metadata(pod, "namespace")
                && pods::phase(other) == pods::phase(pod)
                && pods::created(other) > pods::created(pod)
        });
        now - ended > MAX_POD_AGE || newer.count() >= MAX_PODS
    };
    finished
        .iter()
        .filter(|(pod, ended)| is_surplus(pod, *ended))
        .map(|(pod, _)| *pod)
        .collect()
}

/// When the last container ended, in unix seconds; `None` if one has not.
fn finished_at(pod: &Value) -> Option<i64> {
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    let ends = statuses.iter().map(|status| {
        let end = status["state"].get("terminated")?;
        Some(clock::parse_unix(end["finishedAt"].as_str().unwrap_or_default()).unwrap_or(0))
    });
    ends.collect::<Option<Vec<i64>>>()?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, phase: &str, ended: i64) -> Value {
        json!({
            "metadata": {
                "name": name, "namespace": "a", "labels": {CHECK_LABEL: "web"},
                "creationTimestamp": clock::rfc3339(ended - 5),
            },
            "status": {
                "phase": phase,
                "containerStatuses": [{"state": {"terminated": {"finishedAt": clock::rfc3339(ended)}}}],
            },
        })
    }

    #[test]
    fn old_pods_go_and_so_do_all_but_the_newest() {
        let now = 1_000_000;
        let mut all: Vec<Value> = (0..6)
            .map(|n| pod(&format!("ok-{n}"), "Succeeded", now - 100 * (n + 1)))
            .collect();
        all.push(pod("ancient", "Failed", now - MAX_POD_AGE - 1));
        all.push(pod("failed", "Failed", now - 100));
        all.push(pod("running", "Running", now - MAX_POD_AGE - 1));
        let names: Vec<&str> = surplus(&all, now, 30)
            .into_iter()
            .map(|pod| pods::metadata(pod, "name"))
            .collect();
        assert_eq!(names, ["ok-4", "ok-5", "ancient"]);
    }
}
