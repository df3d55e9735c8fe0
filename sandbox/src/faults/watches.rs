//! The watches that are open, so that they can be ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

/// How a watch is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its connection is closed.
    Cut,
    /// It is told that its version is too old.
    Expire,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    watches: BTreeMap<u64, (String, oneshot::Sender<End>)>,
}

/// See the module's documentation. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Watches {
    open: Arc<watch::Sender<Open>>,
}

impl Watches {
    pub(crate) fn new() -> Watches {
        Watches {
            open: Arc::new(watch::Sender::new(Open::default())),
        }
    }

    /// Notes a watch of this agent as open until the answer is dropped.
    pub(crate) fn open(&self, agent: &str) -> OpenWatch {
        let (sender, ended) = oneshot::channel();
        let mut id = 0;
        self.open.send_modify(|open| {
            open.next += 1;
            id = open.next;
            open.watches.insert(id, (agent.to_owned(), sender));
        });
        OpenWatch {
            watches: self.clone(),
            id,
            ended,
        }
    }

    /// Ends the watches of agents that begin with `prefix`.
    pub(super) fn end(&self, prefix: &str, end: End) {
        self.open.send_modify(|open| {
            let all = std::mem::take(&mut open.watches);
            for (id, (agent, sender)) in all {
                if agent.starts_with(prefix) {
                    // One that ends by itself meanwhile does not hear it.
                    let _ = sender.send(end);
                } else {
                    open.watches.insert(id, (agent, sender));
                }
            }
        });
    }

    /// Waits until so many watches of agents that begin with `prefix` are open.
    pub(super) async fn opened(&self, prefix: &str, wanted: usize) {
        let enough = |open: &Open| {
            let mut agents = open.watches.values().map(|(agent, _)| agent);
            agents
                .by_ref()
                .filter(|agent| agent.starts_with(prefix))
                .count()
                >= wanted
        };
        // The sender is this one's own, so waiting does not fail.
        let _ = self.open.subscribe().wait_for(enough).await;
    }
}

/// A watch that is open.
#[derive(Debug)]
pub(crate) struct OpenWatch {
    watches: Watches,
    id: u64,
    /// How it is to end.
    pub(crate) ended: oneshot::Receiver<End>,
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.watches.open.send_modify(|open| {
            open.watches.remove(&self.id);
        });
    }
}
