//! What the controller is made of.

use kube::Client;

use tokio::sync::oneshot;

use super::options::Options;
use crate::actions::Cluster;
use crate::controller::{self, Desk, Settings};
use crate::fence::{Fence, LostLease};
use crate::metrics::Metrics;
use crate::notify::Notify;

/// Runs the controller, for ever. Its desk is handed to `desk`.
pub(super) async fn controller(
    client: Client,
    fence: Fence,
    options: Options,
    identity: String,
    metrics: Metrics,
    notify: Notify,
    desk: oneshot::Sender<Desk>,
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
    // Nobody may want it.
    let open = |opened| drop(desk.send(opened));
    controller::run_with(client, workloads, fence, settings, open).await
}
