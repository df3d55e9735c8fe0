//! What the controller is made of.

use kube::Client;

use super::options::Options;
use crate::actions::Cluster;
use crate::controller::{self, Settings};
use crate::fence::{Fence, LostLease};
use crate::metrics::Metrics;
use crate::notify::Notify;

/// Runs the controller, for ever.
pub(super) async fn controller(
    client: Client,
    fence: Fence,
    options: Options,
    identity: String,
    metrics: Metrics,
    notify: Notify,
) -> Result<(), LostLease> {
    let workloads = Cluster::new(client.clone());
    let settings = Settings {
        limits: options.limits(),
        namespaces: options.namespaces,
        check_namespaces: options.check_namespaces,
        instance: identity,
        metrics,
        notify,
    };
    controller::run(client, workloads, fence, settings).await
}
