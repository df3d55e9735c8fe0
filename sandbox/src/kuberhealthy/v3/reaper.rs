//! Removal of the pods that runs leave behind.

use std::cmp::Reverse;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::super::{clock, pods};
use super::check::{self, CHECK_LABEL, Name, RUN_LABEL};
use super::control::{CHECKS, Controller};
use crate::api::ApiError;

/// Pause between two sweeps.
const SWEEP: Duration = Duration::from_secs(60);
/// Succeeded pods that are kept of each check.
const MAX_COMPLETED: usize = 1;
/// Failed pods that are kept of each check.
const MAX_FAILED: usize = 2;
/// Failed pods go after this time (seconds).
const FAILED_AGE: i64 = 36 * 3600;
/// Unfinished pods go after twice their check's time-out, but not before this time (seconds).
const MIN_TIMEOUT_AGE: i64 = 300;

/// Sweeps for ever.
pub(super) async fn sweep(controller: &Controller) {
    loop {
        tokio::time::sleep(controller.speed.scale(SWEEP)).await;
        let began = Instant::now();
        // What cannot be listed or deleted now meets the next sweep.
        let _ = sweep_once(controller).await;
        controller.lock_metrics().swept(began.elapsed());
    }
}

async fn sweep_once(controller: &Controller) -> Result<(), ApiError> {
    for check in controller.api.list(CHECKS).await?.items {
        let Name { namespace, name } = Name::of(&check);
        let all = pods::labelled(&namespace, CHECK_LABEL, Some(&name));
        let pods = controller.api.list(&all).await?.items;
        let timeout = i64::try_from(check::timeout(&check).as_secs()).unwrap_or(i64::MAX);
        for (pod, reason) in surplus(&pods, timeout, clock::now_unix()) {
            if pods::delete(&controller.api, pod).await.is_ok() {
                controller.lock_metrics().reaped(reason);
            }
        }
    }
    Ok(())
}

/// The pods of one check that are to go, each with its reason in the metrics.
fn surplus(all: &[Value], timeout: i64, now: i64) -> Vec<(&Value, &'static str)> {
    let mut pods: Vec<&Value> = all
        .iter()
        .filter(|pod| pod["metadata"]["labels"][RUN_LABEL].is_string())
        .collect();
    pods.sort_by_key(|pod| Reverse((pods::created(pod), pods::metadata(pod, "name"))));
    let (mut completed, mut failed) = (0, 0);
    let mut surplus = Vec::new();
    for pod in pods {
        let age = now - pods::created(pod);
        match pods::phase(pod) {
            "Running" | "Pending" | "Unknown" => {
                if age > timeout.saturating_mul(2).max(MIN_TIMEOUT_AGE) {
                    surplus.push((pod, "timeout"));
                }
            }
            "Succeeded" => {
                completed += 1;
                if completed > MAX_COMPLETED {
                    surplus.push((pod, "completed"));
                }
            }
            _ => {
                failed += 1;
                if failed > MAX_FAILED || age > FAILED_AGE {
                    surplus.push((pod, "failed"));
                }
            }
        }
    }
    surplus
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_stay() {
        let now = 1_000_000;
        let pod = |name: &str, phase: &str, age: i64| {
            json!({
                "metadata": {"name": name, "labels": {RUN_LABEL: "u"}, "creationTimestamp": clock::rfc3339(now - age)},
                "status": {"phase": phase},
            })
        };
        let all = [
            pod("done-old", "Succeeded", 50),
            pod("done-new", "Succeeded", 10),
            pod("bad-1", "Failed", 10),
            pod("bad-2", "Failed", 20),
            pod("bad-3", "Failed", 30),
            pod("slow", "Running", 299),
            pod("stuck", "Running", 301),
        ];
        let names: Vec<_> = surplus(&all, 15, now)
            .into_iter()
            .map(|(pod, why)| (pods::metadata(pod, "name"), why))
            .collect();
        assert_eq!(
            names,
            [
                ("bad-3", "failed"),
                ("done-old", "completed"),
                ("stuck", "timeout")
            ]
        );
    }
}
