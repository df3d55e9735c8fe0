//! What a running check knows of its run.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::env::RunEnv;
use crate::finding::Finding;

/// More early findings than a report can carry are of no use.
const MAX_EARLY: usize = 100;

/// What a check is given: its environment, the time it has, and a place for findings it already made.
///
/// Clones share everything, so that parts of a check can hold one each.
#[derive(Clone, Debug)]
pub struct Context {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    env: RunEnv,
    deadline: Option<Instant>,
    early: Mutex<Vec<Finding>>,
    cancelled: watch::Sender<bool>,
}

impl Context {
    pub(crate) fn new(env: RunEnv, deadline: Option<Instant>) -> Context {
        Context {
            shared: Arc::new(Shared {
                env,
                deadline,
                early: Mutex::new(Vec::new()),
                cancelled: watch::Sender::new(false),
            }),
        }
    }

    /// The environment of this run.
    pub fn env(&self) -> &RunEnv {
        &self.shared.env
    }

    /// When the check must be done. The time needed to report is already taken off. `None` on a terminal, where nobody
    /// waits for a report.
    pub fn deadline(&self) -> Option<Instant> {
        self.shared.deadline
    }

    /// The time left until [`Context::deadline`]; zero once it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline()
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether Kuberhealthy gave the deadline. If not, [`Context::deadline`] is an assumption: enough to stop a check
    /// that hangs, not enough to call a plan impossible.
    pub fn deadline_given(&self) -> bool {
        self.deadline().is_some() && self.env().deadline.is_some()
    }

    /// Keeps a finding in case the run is cut short (by its deadline, SIGTERM or a panic), when it becomes part of the
    /// report. A check that finishes reports what it returns, and only that.
    pub fn add_finding(&self, finding: impl Into<Finding>) {
        let mut early = self
            .shared
            .early
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if early.len() < MAX_EARLY {
            early.push(finding.into());
        }
    }

    /// Completes when the run is cut short: the verdict is decided, and what the check still holds (child processes,
    /// say) should be let go of within a second. The check's future is dropped soon after.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut cancelled = self.shared.cancelled.subscribe();
        // Hold the sender, so that the wait below cannot end because it is gone.
        let shared = Arc::clone(&self.shared);
        async move {
            let _ = cancelled.wait_for(|cancelled| *cancelled).await;
            drop(shared);
        }
    }

    pub(crate) fn cancel(&self) {
        self.shared.cancelled.send_replace(true);
    }

    pub(crate) fn early_findings(&self) -> Vec<Finding> {
        self.shared
            .early
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
