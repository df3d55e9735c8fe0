//! Faults of the endpoint that takes reports, for testing those who report.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// What happens to one report instead of, or besides, being dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportFault {
    /// Answered with this status and body, and not looked at.
    Refuse {
        /// HTTP status code; an invalid one becomes 500.
        status: u16,
        /// Body of the answer.
        body: String,
    },
    /// Dealt with after this time.
    Delay(Duration),
    /// Dealt with at once, answered after this time.
    DelayAnswer(Duration),
    /// The connection is closed without an answer, and the report not looked at.
    Drop,
    /// Dealt with, then the connection is closed without an answer.
    DropAnswer,
    /// Never answered and not looked at; the connection stays open.
    Hang,
}

/// A knob on a running Kuberhealthy. Clones turn the same one.
#[derive(Debug, Clone)]
pub struct ReportFaults {
    queue: Arc<Mutex<VecDeque<ReportFault>>>,
    wanted: watch::Sender<bool>,
    listening: watch::Receiver<bool>,
}

impl ReportFaults {
    /// The knob, and what the server needs to obey it: whether to listen, and where to say whether it does.
    pub(crate) fn new() -> (ReportFaults, watch::Receiver<bool>, watch::Sender<bool>) {
        let (wanted, wants) = watch::channel(true);
        let (listens, listening) = watch::channel(true);
        let faults = ReportFaults {
            queue: Arc::default(),
            wanted,
            listening,
        };
        (faults, wants, listens)
    }

    /// The next `times` reports meet `fault`, after those that were told before.
    pub fn push(&self, fault: ReportFault, times: usize) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.extend(std::iter::repeat_n(fault, times));
    }

    /// Forgets all faults that have not happened yet.
    pub fn clear(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Closes the listener and cuts its connections: from now on, connections are refused. The controller itself goes
    /// on. Returns once it is so.
    pub async fn down(&self) {
        self.set(false).await;
    }

    /// Listens again on the same address. Returns once it does.
    pub async fn up(&self) {
        self.set(true).await;
    }

    async fn set(&self, on: bool) {
        self.wanted.send_replace(on);
        // An error means that the server has been stopped, and with it its listener.
        let _ = self
            .listening
            .clone()
            .wait_for(|listening| *listening == on)
            .await;
    }

    pub(crate) fn next(&self) -> Option<ReportFault> {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}
