//! Where those outside of the cluster's API ask: who sends alerts, and who wants to know of a workload's health. Every
//! replica has one, whether or not it leads.

use std::sync::{self, Arc};

use kube::Client;
use tokio::sync::{Mutex, MutexGuard};

use super::retries::Retries;
use super::shared::Shared;
use crate::core::ObjectKey;
use crate::core::incident::fnv;

/// How many policies' statuses can be written at once at most. Those that share a turn wait for each other.
const TURNS: usize = 16;

/// Takes alerts in and tells the health of workloads. Clones are the same.
#[derive(Clone)]
pub struct Desk {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    turns: Arc<[Mutex<()>; TURNS]>,
    pub(super) retries: Arc<sync::Mutex<Retries>>,
}

impl Desk {
    pub(super) fn new(client: Client, shared: Arc<Shared>) -> Desk {
        Desk {
            client,
            shared,
            turns: Arc::default(),
            retries: Arc::default(),
        }
    }

    /// Waits until no other delivery writes to this policy: they would only be in each other's way.
    pub(super) async fn turn(&self, policy: &ObjectKey) -> Option<MutexGuard<'_, ()>> {
        let bytes = policy
            .namespace
            .bytes()
            .chain([0])
            .chain(policy.name.bytes());
        let turns = u64::try_from(TURNS).unwrap_or(1);
        let index = usize::try_from(fnv(bytes) % turns).unwrap_or(0);
        Some(self.turns.get(index)?.lock().await)
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}
