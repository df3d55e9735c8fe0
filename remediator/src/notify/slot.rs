//! What waits for one receiver, shared by who tells and who sends.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify as Bell;

use super::alerts::Alerts;
use super::config::{Config, Kind, Receiver};
use super::notice::{Notice, Subject};
use super::outbox::{Lost, Outbox};
use crate::clock;
use crate::core::{Level, ObjectKey};
use crate::metrics::Metrics;

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Sent,
    /// It was not taken, and is sent again.
    Retried,
    /// It was refused.
    Failed,
    /// There were too many, or it could not be sent for too long.
    Dropped,
    /// It was put together with others.
    Grouped,
    /// A policy names a receiver that there is not.
    UnknownReceiver,
}

impl Outcome {
    /// Every outcome that a receiver can have.
    pub const OF_RECEIVER: [Outcome; 5] = [
        Outcome::Sent,
        Outcome::Retried,
        Outcome::Failed,
        Outcome::Dropped,
        Outcome::Grouped,
    ];

    /// As the metric's label has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Sent => "sent",
            Outcome::Retried => "retried",
            Outcome::Failed => "failed",
            Outcome::Dropped => "dropped",
            Outcome::Grouped => "grouped",
            Outcome::UnknownReceiver => "unknown_receiver",
        }
    }
}

/// What waits.
pub(super) enum Queue {
    /// Each transition is told.
    Ordered(Outbox),
    /// What is the case is told.
    State(Alerts),
}

impl Queue {
    fn new(config: &Config, receiver: &Receiver) -> Queue {
        match receiver.kind {
            Kind::Alertmanager { .. } => Queue::State(Alerts::default()),
            Kind::Slack { .. } | Kind::Webhook { .. } => {
                Queue::Ordered(Outbox::new(config.cascade_threshold))
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Queue::Ordered(outbox) => outbox.len(),
            Queue::State(alerts) => alerts.len(),
        }
    }
}

/// What waits for one receiver.
pub(super) struct Slot {
    index: usize,
    name: String,
    queue: Mutex<Queue>,
    bell: Bell,
    metrics: Metrics,
}

impl Slot {
    pub(super) fn new(
        config: &Config,
        index: usize,
        receiver: &Receiver,
        metrics: &Metrics,
    ) -> Slot {
        metrics.receiver(&receiver.name);
        Slot {
            index,
            name: receiver.name.clone(),
            queue: Mutex::new(Queue::new(config, receiver)),
            bell: Bell::new(),
            metrics: metrics.clone(),
        }
    }

    /// Which receiver of the file it is.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Who tells leads anew, and of these it knows that they are open.
    pub(super) fn resume(&self, open: &BTreeSet<Subject>) {
        let lost = self.look(|queue| match queue {
            Queue::Ordered(outbox) => outbox.resume(open, clock::now()),
            Queue::State(alerts) => {
                *alerts = Alerts::default();
                Lost::default()
            }
        });
        self.lost(lost);
    }

    /// Takes a notice. Nobody waits for it to be sent.
    pub(super) fn take(&self, notice: Notice, level: Level) {
        let lost = self.look(|queue| match queue {
            Queue::Ordered(_) if notice.level < level => Lost::default(),
            Queue::Ordered(outbox) => outbox.take(notice, clock::instant()),
            Queue::State(alerts) => Lost {
                grouped: 0,
                dropped: usize::from(alerts.take(notice, level)),
            },
        });
        self.lost(lost);
        self.bell.notify_one();
    }

    /// The policy was deleted.
    pub(super) fn forget(&self, policy: &ObjectKey) {
        let lost = self.look(|queue| match queue {
            Queue::Ordered(outbox) => outbox.forget(policy, clock::now()),
            // It is brought in line with what is open.
            Queue::State(_) => Lost::default(),
        });
        self.lost(lost);
        self.bell.notify_one();
    }

    /// Looks at what waits, or changes it.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let found = look(&mut queue);
        self.metrics.notifications_queued(&self.name, queue.len());
        found
    }

    /// Counts what is not told one by one.
    pub(super) fn lost(&self, lost: Lost) {
        self.count(Outcome::Grouped, lost.grouped);
        self.count(Outcome::Dropped, lost.dropped);
    }

    pub(super) fn count(&self, outcome: Outcome, count: usize) {
        if count > 0 {
            self.metrics.notified(&self.name, outcome.as_str(), count);
        }
    }

    /// Waits for something new, or until then.
    pub(super) async fn wait(&self, until: Option<Instant>) {
        match until {
            Some(until) => {
                // Either way there is something to look at.
                let _ = tokio::time::timeout_at(until.into(), self.bell.notified()).await;
            }
            None => self.bell.notified().await,
        }
    }

    /// Waits until then, whatever is new.
    pub(super) async fn sleep(&self, until: Instant) {
        tokio::time::sleep_until(until.into()).await;
    }
}
