//! Watching collections of the API, as any client of a cluster would.

use std::time::Duration;

use futures::StreamExt;
use sandbox::api::{Api, ApiError, WatchEvent};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// v2's checks' states, in all namespaces.
pub(crate) const STATES: &str = "/apis/comcast.github.io/v1/khstates";
/// v3's checks, in all namespaces.
pub(crate) const HEALTH_CHECKS: &str = "/apis/kuberhealthy.github.io/v2/healthchecks";
/// The remediator's policies, in all namespaces.
pub(crate) const POLICIES: &str = "/apis/kuberhealer.io/v1alpha1/remediationpolicies";
/// What the remediator did, in all namespaces.
pub(crate) const REMEDIATIONS: &str = "/apis/kuberhealer.io/v1alpha1/remediations";
/// Pods, in all namespaces.
pub(crate) const PODS: &str = "/api/v1/pods";

/// Events that wait for whoever reads them; a reader this far behind stops the watches, not the machine.
const BACKLOG: usize = 256;
/// Pause before a watch that was cut is taken up again.
const RETRY: Duration = Duration::from_millis(200);
/// Failures in a row after which a watch gives up.
const ATTEMPTS: u32 = 10;

/// An object was written. Deletions are not told: nothing here waits for one.
#[derive(Debug)]
pub(crate) struct Written {
    /// The collection, as it was given to [`Watches::start`].
    pub(crate) collection: &'static str,
    /// The object after the write.
    pub(crate) object: Value,
}

/// Several watches at once. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Watches {
    events: mpsc::Receiver<Result<Written, ApiError>>,
    sender: mpsc::Sender<Result<Written, ApiError>>,
    tasks: JoinSet<()>,
}

impl Watches {
    /// Starts to watch the collections. What is there already is told first.
    pub(crate) fn start(api: &Api, collections: &[&'static str]) -> Watches {
        let (sender, events) = mpsc::channel(BACKLOG);
        let mut watches = Watches {
            events,
            sender,
            tasks: JoinSet::new(),
        };
        watches.add(api, collections);
        watches
    }

    /// Watches these collections too.
    pub(crate) fn add(&mut self, api: &Api, collections: &[&'static str]) {
        for collection in collections {
            let sender = self.sender.clone();
            self.tasks.spawn(follow(api.clone(), collection, sender));
        }
    }

    /// The next write. The error is one that did not go away.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Written> {
        match self.events.recv().await {
            Some(event) => event.map_err(anyhow::Error::new),
            None => anyhow::bail!("the watches of the API server ended"),
        }
    }
}

async fn follow(
    api: Api,
    collection: &'static str,
    sender: mpsc::Sender<Result<Written, ApiError>>,
) {
    let mut version = String::new();
    let mut failures = 0;
    loop {
        let error = match api.watch(collection, &version).await {
            Ok(mut events) => loop {
                match events.next().await {
                    Some(Ok(event)) => {
                        failures = 0;
                        event.resource_version().clone_into(&mut version);
                        let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event
                        else {
                            continue;
                        };
                        let written = Written { collection, object };
                        if sender.send(Ok(written)).await.is_err() {
                            return;
                        }
                    }
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            },
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            if error.is_expired() {
                version.clear();
            }
            failures += 1;
            if failures >= ATTEMPTS {
                // Nobody left to tell is nothing to worry about.
                let _ = sender.send(Err(error)).await;
                return;
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}
