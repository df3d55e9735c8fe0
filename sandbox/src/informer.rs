//! Follows a collection of objects: list, then watch, and again whenever that breaks off.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::api::{Api, ApiError, WatchEvent};

/// Pause before a failed list or watch is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// Changes that may wait for a slow reader before the watch is held up.
const BACKLOG: usize = 256;

/// A change of one object in the collection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// The object as it is now, and as it was known before.
    Applied { old: Option<Value>, new: Value },
    /// The object is gone; its last known state.
    Deleted(Value),
    /// Everything that was there at the start has been told.
    Listed,
}

/// Changes of a collection in the order they happened. Dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct Informer {
    changes: mpsc::Receiver<Change>,
    _task: AbortOnDrop,
}

impl Informer {
    /// Starts to follow the collection at `path`, which may hold a selector.
    pub(crate) fn start(api: &Api, path: impl Into<String>) -> Informer {
        let (sender, changes) = mpsc::channel(BACKLOG);
        let follower = Follower {
            api: api.clone(),
            path: path.into(),
            sender,
            known: BTreeMap::new(),
        };
        Informer {
            changes,
            _task: AbortOnDrop(tokio::spawn(follower.run())),
        }
    }

    /// The next change. Waits for as long as there is none, also while the API server cannot be reached.
    pub(crate) async fn next(&mut self) -> Change {
        match self.changes.recv().await {
            Some(change) => change,
            // The follower ends only when this receiver does.
            None => std::future::pending().await,
        }
    }
}

/// A copy of a collection that follows it.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    objects: Arc<Mutex<BTreeMap<String, Value>>>,
    _task: Arc<AbortOnDrop>,
}

impl Cache {
    /// Starts to copy the collection at `path`.
    pub(crate) fn start(api: &Api, path: &str) -> Cache {
        let objects = Arc::new(Mutex::new(BTreeMap::new()));
        let mut informer = Informer::start(api, path);
        let copy = Arc::clone(&objects);
        let task = tokio::spawn(async move {
            loop {
                let change = informer.next().await;
                let mut objects = copy.lock().unwrap_or_else(PoisonError::into_inner);
                match change {
                    Change::Applied { new, .. } => {
                        objects.insert(key(&new), new);
                    }
                    Change::Deleted(old) => {
                        objects.remove(&key(&old));
                    }
                    Change::Listed => {}
                }
            }
        });
        Cache {
            objects,
            _task: Arc::new(AbortOnDrop(task)),
        }
    }

    /// The objects known now by `namespace/name`, in that order.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, Value> {
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Ends a task with the value that holds it.
#[derive(Debug)]
pub(crate) struct AbortOnDrop(pub(crate) JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `namespace/name` of an object, `name` of a cluster-scoped one.
pub(crate) fn key(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

/// The reader is gone.
struct Closed;

struct Follower {
    api: Api,
    path: String,
    sender: mpsc::Sender<Change>,
    known: BTreeMap<String, Value>,
}

impl Follower {
    async fn run(mut self) {
        loop {
            match self.list_and_watch().await {
                Err(Closed) => return,
                Ok(()) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// One list and the watches that continue it, until one of them fails.
    async fn list_and_watch(&mut self) -> Result<(), Closed> {
        let Ok(list) = self.api.list(&self.path).await else {
            return Ok(());
        };
        let mut gone = std::mem::take(&mut self.known);
        for object in list.items {
            let old = gone.remove(&key(&object));
            self.applied(old, object).await?;
        }
        for (_, object) in gone {
            self.send(Change::Deleted(object)).await?;
        }
        self.send(Change::Listed).await?;
        let mut version = list.resource_version;
        while let Ok(()) = self.watch(&mut version).await? {
            // The server ends every watch after a while; the next one goes on where it stopped.
        }
        Ok(())
    }

    async fn watch(&mut self, version: &mut String) -> Result<Result<(), ApiError>, Closed> {
        let mut events = match self.api.watch(&self.path, version).await {
            Ok(events) => events,
            Err(error) => return Ok(Err(error)),
        };
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => return Ok(Err(error)),
            };
            event.resource_version().clone_into(version);
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    let old = self.known.remove(&key(&object));
                    self.applied(old, object).await?;
                }
                WatchEvent::Deleted(object) => {
                    self.known.remove(&key(&object));
                    self.send(Change::Deleted(object)).await?;
                }
                WatchEvent::Bookmark(_) => {}
            }
        }
        Ok(Ok(()))
    }

    /// Tells of an object unless it is the one already known; another one of the same name replaces the old one.
    async fn applied(&mut self, old: Option<Value>, new: Value) -> Result<(), Closed> {
        self.known.insert(key(&new), new.clone());
        match old {
            Some(old)
                if old["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"] =>
            {
                Ok(())
            }
            Some(old) if old["metadata"]["uid"] != new["metadata"]["uid"] => {
                self.send(Change::Deleted(old)).await?;
                self.send(Change::Applied { old: None, new }).await
            }
            old => self.send(Change::Applied { old, new }).await,
        }
    }

    async fn send(&self, change: Change) -> Result<(), Closed> {
        self.sender.send(change).await.map_err(|_| Closed)
    }
}
