//! What all runs of checks and jobs share.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::state::States;

/// What all runs share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) states: States,
    /// Where checker pods report.
    pub(super) report_url: String,
    /// Namespace of Kuberhealthy's own pod.
    pub(super) own_namespace: String,
    /// Name of the pod that owns the checker pods of that namespace.
    pub(super) owner: String,
    /// Keys of the checks configured now.
    pub(super) loaded: Mutex<HashSet<String>>,
    /// Runs in flight by uuid, and whether they have reported. `LastRun` has a resolution of a second, too coarse to see
    /// a report when runs follow each other within one; the real controller's own waits keep them further apart.
    reported: Mutex<HashMap<String, bool>>,
}

impl Shared {
    pub(super) fn new(
        states: States,
        report_url: String,
        own_namespace: String,
        owner: String,
    ) -> Shared {
        let (loaded, reported) = Default::default();
        Shared {
            states,
            report_url,
            own_namespace,
            owner,
            loaded,
            reported,
        }
    }

    /// The runs in flight.
    pub(super) fn runs(&self) -> MutexGuard<'_, HashMap<String, bool>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run has reported; one that is not in flight any more is of no interest.
    pub(super) fn has_reported(&self, uuid: &str) {
        if let Some(reported) = self.runs().get_mut(uuid) {
            *reported = true;
        }
    }
}
