//! What the controller is made of.

use kube::Client;

use super::options::Options;
use crate::actions::Cluster;
use crate::controller::{self, Settings};
use crate::fence::{Fence, LostLease};
use crate::metrics::Metrics;

/// Runs the controller, for ever.
pub(super) async fn controller(
    client: Client,
    fence: Fence,
    options: Options,
    identity: String,
    metrics: Metrics,
) -> Result<(), LostLease> {
    let workloads = Cluster::new(client.clone());
    let settings = Settings {
        limits: options.limits(),
        namespaces: options.namespaces,
        check_namespaces: options.check_namespaces,
        instance: identity,
        metrics,
    };
    controller::run(client, workloads, fence, settings).await
}
