//! Alerts out: tells people and other systems what happens to an incident, when it happens.
//!
//! ```text
//!   controller::told --Notice--> route: which receivers --> slot, one for each
//!                                                            | Slack, webhook: outbox (every transition, in order;
//!                                                            |   gather: many that one check holds are one)
//!                                                            | Alertmanager: alerts (what is the case; repeated)
//!                                                            v
//!                                                           worker --render, send--> receiver
//! ```
//!
//! Nobody waits for it and nothing is decided by it. What waits is bounded, and kept in memory alone: Alertmanagers are
//! told what is open by the next leader, from the policies' statuses; a message that waited for a webhook is lost with
//! the process, as a message that is told twice would be worse.

mod alerts;
mod config;
mod endpoint;
mod file;
mod gather;
pub mod notice;
mod outbox;
mod render;
mod retry;
mod route;
mod sample;
mod send;
mod slot;
mod worker;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;

use crate::core;
use crate::fence::Fence;
use crate::metrics::Metrics;
use notice::Notice;
use slot::Slot;
use worker::Worker;

pub use config::{Address, Config, ConfigError, Headers, Kind, Receiver};
pub use endpoint::Endpoint;
pub use sample::sample;
pub use send::{Answer, NoAnswer};
pub use slot::Outcome;

/// Ids of notices that are remembered.
const REMEMBERED: usize = 4096;

/// Asks what is open at this moment.
pub type Ask = Arc<dyn Fn() -> Vec<Notice> + Send + Sync>;

/// Takes notices. Clones are the same; the default is one that tells nobody.
#[derive(Clone, Default)]
pub struct Notify(Option<Arc<Inner>>);

struct Inner {
    config: Config,
    slots: Vec<Slot>,
    metrics: Metrics,
    /// What was told last, so that nothing is told twice.
    told: Mutex<VecDeque<String>>,
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let receivers = self.0.as_ref().map(|inner| &inner.config.receivers);
        f.debug_tuple("Notify").field(&receivers).finish()
    }
}

impl Notify {
    /// Tells these receivers, once [`Notify::serve`] runs.
    pub fn new(config: Config, metrics: Metrics) -> Notify {
        let receivers = config.receivers.iter().enumerate();
        let slots = receivers
            .map(|(index, receiver)| Slot::new(&config, index, receiver, &metrics))
            .collect();
        Notify(Some(Arc::new(Inner {
            slots,
            config,
            metrics,
            told: Mutex::default(),
        })))
    }

    /// Whether there is anybody to tell.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Queues a notice for who is meant by it. Of the same id only the first is told.
    pub fn tell(&self, notice: Notice) {
        let Some(inner) = &self.0 else {
            return;
        };
        {
            let mut told = inner.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.contains(&notice.id) {
                return;
            }
            if told.len() >= REMEMBERED {
                told.pop_front();
            }
            told.push_back(notice.id.clone());
        }
        let route = route::of_notice(&inner.config.receivers, &notice);
        for (index, level) in route.receivers {
            if let Some(slot) = inner.slots.get(index) {
                slot.take(notice.clone(), level);
            }
        }
    }

    /// Says in log and metrics which receivers that a policy names there are not.
    pub fn check(&self, policy: &core::ObjectKey, wanted: Option<&core::Notify>) {
        let Some(inner) = &self.0 else {
            return;
        };
        for receiver in route::route(&inner.config.receivers, wanted).unknown {
            let (namespace, name) = (&policy.namespace, &policy.name);
            tracing::warn!(
                %namespace, policy = %name, receiver,
                "spec.notify.receivers names a receiver that --notify-config has not: it is not told"
            );
            let outcome = Outcome::UnknownReceiver.as_str();
            inner.metrics.notified("", outcome, 1);
        }
    }

    /// The policy was deleted: others that the same check holds do not wait for its end.
    pub fn forget(&self, policy: &core::ObjectKey) {
        for slot in self.0.iter().flat_map(|inner| &inner.slots) {
            slot.forget(policy);
        }
    }

    /// Tells receivers while `fence` is open. `ask` says what is open, for those that are told what is the case.
    pub async fn serve(self, fence: Fence, ask: Ask) {
        let Some(inner) = &self.0 else {
            return;
        };
        let receivers = inner.config.receivers.iter().zip(&inner.slots);
        let workers = receivers.map(|(receiver, slot)| {
            let worker = Worker {
                config: &inner.config,
                receiver,
                slot,
                fence: fence.clone(),
                ask: ask.clone(),
            };
            worker.run()
        });
        join_all(workers).await;
    }

    /// Goes on after a time without the lease. What waits to be told as a message is told: no other leader has told it. What
    /// an Alertmanager knew is forgotten, as the last leader has told it more. `open` is what is open now.
    pub fn resume(&self, open: &[Notice]) {
        let open = open.iter().map(|notice| notice.subject.clone()).collect();
        for slot in self.0.iter().flat_map(|inner| &inner.slots) {
            slot.resume(&open);
        }
    }
}

#[cfg(test)]
mod tests;
