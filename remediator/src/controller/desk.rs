//! Where those outside of the cluster's API ask: who sends alerts, and who wants to know of a workload's health. Every
//! replica has one, whether or not it leads.

use std::sync::Arc;

use kube::Client;

use super::shared::Shared;

/// Takes alerts in and tells the health of workloads. Clones are the same.
#[derive(Clone)]
pub struct Desk {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
}

impl Desk {
    pub(super) fn new(client: Client, shared: Arc<Shared>) -> Desk {
        Desk { client, shared }
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}
