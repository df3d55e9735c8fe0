//! What the controller is made of.

use kube::Client;

use super::options::Options;
use crate::actions::Cluster;
use crate::controller;
use crate::fence::{Fence, LostLease};
use crate::metrics::Metrics;

/// Runs the controller, for ever.
pub(super) async fn controller(
    client: Client,
    fence: Fence,
    options: Options,
    metrics: Metrics,
) -> Result<(), LostLease> {
    let workloads = Cluster::new(client.clone());
    controller::run(client, workloads, fence, options.limits(), &metrics).await
}
