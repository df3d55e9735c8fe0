//! The remediator's process in the demo: whether it is ready, and what it wrote last.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use tokio::time::Instant;

use super::scene::{REMEDIATOR, REMEDIATOR_NAMESPACE};
use super::web::Remote;
use crate::cluster::Cluster;

/// How long it may take to start.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// As many of its lines, and as much of each, as the error of a demo that failed repeats.
const LAST_LINES: usize = 10;
const LINE: usize = 500;

/// Waits until the remediator at `listen` watches all it needs. The error says that it ended, or takes too long.
pub(super) async fn ready(
    cluster: &Cluster,
    remote: &Remote,
    listen: SocketAddr,
) -> anyhow::Result<()> {
    let url = format!("http://{listen}/readyz");
    let until = Instant::now() + LIMIT;
    while !remote.is_well(&url).await {
        if pods(cluster).await.iter().any(has_ended) {
            bail!("the demo failed: the remediator ended as soon as it was started");
        }
        if Instant::now() > until {
            let limit = LIMIT.as_secs();
            bail!(
                "the demo failed: expected status 200 from the remediator at {url} within {limit} s"
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// What the remediator wrote last, oldest first; nothing if it was never started.
pub(super) async fn last_lines(cluster: &Cluster) -> Vec<String> {
    let mut lines: Vec<String> = pods(cluster)
        .await
        .iter()
        .filter_map(|pod| pod["metadata"]["name"].as_str())
        .flat_map(|pod| cluster.logs(REMEDIATOR_NAMESPACE, pod, REMEDIATOR))
        .collect();
    lines.drain(..lines.len().saturating_sub(LAST_LINES));
    let cut = |line: String| line.chars().take(LINE).collect();
    lines.into_iter().map(cut).collect()
}

/// None if the cluster does not tell: whoever asks has something else to report.
async fn pods(cluster: &Cluster) -> Vec<Value> {
    let path = format!("/api/v1/namespaces/{REMEDIATOR_NAMESPACE}/pods");
    let listed = cluster.api().list(&path).await;
    listed.map(|list| list.items).unwrap_or_default()
}

/// Whether the container of a pod has ended, be it started again or not.
fn has_ended(pod: &Value) -> bool {
    let container = &pod["status"]["containerStatuses"][0];
    container["restartCount"].as_u64() > Some(0) || container["state"]["terminated"].is_object()
}
