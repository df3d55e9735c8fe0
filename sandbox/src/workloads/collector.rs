//! The garbage collector: deletes objects of whatever kind that have lost all their owners, as background deletion
//! leaves them, and takes lost owners out of the references of objects that have others.
//!
//! Follows `pkg/controller/garbagecollector`. It knows the kinds by discovery, follows only their metadata, and asks
//! the server before it believes that an owner is gone. An owner with finalizers is there until they are gone.
//! With the finalizer `orphan`, which a deletion with `propagationPolicy: Orphan` leaves, its dependents let go of it
//! instead. `Foreground` is as `Background`.

mod graph;
mod kinds;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::values::text;
use crate::api::{Api, ApiError, Patch};
use crate::finalizers::ORPHAN;
use crate::informer::{AbortOnDrop, Change, Informer};
use graph::{Graph, Node};
use kinds::Served;

/// How often the kinds are asked for without a change of a definition.
const DISCOVERY: Duration = Duration::from_secs(30);
/// Pause before what did not work is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Changes that may wait while suspects are looked into.
const BACKLOG: usize = 1024;

/// Follows everything, for ever.
pub(super) async fn run(api: Api) {
    let (sender, mut changes) = mpsc::channel(BACKLOG);
    let mut collector = Collector {
        metadata: api.clone().metadata_only(),
        api,
        sender,
        followed: BTreeMap::new(),
        graph: Graph::default(),
    };
    let mut discovery = Instant::now();
    loop {
        if discovery <= Instant::now() {
            discovery = Instant::now()
                + match collector.discover().await {
                    Ok(()) => DISCOVERY,
                    Err(_) => RETRY,
                };
        }
        let wake = match collector.graph.has_work() {
            true => discovery.min(Instant::now() + RETRY),
            false => discovery,
        };
        let mut next = tokio::time::timeout_at(wake, changes.recv()).await.ok();
        while let Some(Some((kind, change))) = next {
            if is_definition(&kind) {
                discovery = Instant::now();
            }
            collector.note(&kind, &change);
            next = changes.try_recv().ok().map(Some);
        }
        // Before that, owners might look as if they were missing, and each would be asked for; and dependents of an owner
        // that is to leave them might not be known yet. So one kind that cannot be listed stops it all.
        if collector.followed.values().all(|kind| kind.listed) {
            collector.collect().await;
        }
    }
}

fn is_definition(kind: &Served) -> bool {
    (kind.group.as_str(), kind.plural.as_str())
        == ("apiextensions.k8s.io", "customresourcedefinitions")
}

struct Collector {
    api: Api,
    /// The same, for metadata alone.
    metadata: Api,
    sender: mpsc::Sender<(Arc<Served>, Change)>,
    followed: BTreeMap<Arc<Served>, Followed>,
    graph: Graph,
}

struct Followed {
    _task: AbortOnDrop,
    /// Whether its first list is in.
    listed: bool,
}

/// What is known of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    There,
    Gone,
    /// Of a kind that is not served.
    Unknown,
}

impl Collector {
    /// Begins to follow kinds that are new, and ends with those that are no longer served.
    async fn discover(&mut self) -> Result<(), ApiError> {
        let served = kinds::served(&self.api).await?;
        let gone: Vec<Arc<Served>> = self
            .followed
            .keys()
            .filter(|kind| !served.contains(kind))
            .cloned()
            .collect();
        for kind in &gone {
            self.followed.remove(kind);
            self.graph.forget_kind(kind);
        }
        for kind in served {
            let kind = Arc::new(kind);
            if !self.followed.contains_key(&kind) {
                let follower = follow(
                    self.metadata.clone(),
                    Arc::clone(&kind),
                    self.sender.clone(),
                );
                let followed = Followed {
                    _task: AbortOnDrop(tokio::spawn(follower)),
                    listed: false,
                };
                self.followed.insert(kind, followed);
            }
        }
        self.graph.resolve_again();
        Ok(())
    }

    fn note(&mut self, kind: &Arc<Served>, change: &Change) {
        // There may be a last word about a kind that is no longer followed.
        let Some(followed) = self.followed.get_mut(kind) else {
            return;
        };
        match change {
            Change::Listed => followed.listed = true,
            Change::Applied { new, .. } => self.graph.observe(kind, new),
            Change::Deleted(old) => self.graph.forget(text(&old["metadata"], "uid")),
        }
    }

    async fn collect(&mut self) {
        for (uid, node) in self.graph.take_orphaning() {
            if self.orphan(&uid, &node).await.is_err() {
                self.graph.orphan(uid);
            }
        }
        for (uid, node) in self.graph.take_suspects() {
            if self.judge(&uid, &node).await.is_err() {
                self.graph.suspect(uid);
            }
        }
    }

    /// Does with a suspect what its owners demand.
    async fn judge(&mut self, uid: &str, node: &Node) -> Result<(), ApiError> {
        let Some(metadata) = self.latest(uid, node).await? else {
            return Ok(());
        };
        // What a watch told before may have been taken back, as when its owner was to leave it.
        let owners = metadata["ownerReferences"].as_array();
        let owners = owners.map_or(&[][..], Vec::as_slice);
        let mut kept = Vec::new();
        for owner in owners {
            match self.look_up(node, owner).await? {
                Owner::There => kept.push(owner),
                Owner::Gone => {}
                Owner::Unknown => {
                    self.graph.leave_unresolved(uid.to_owned());
                    return Ok(());
                }
            }
        }
        if kept.len() == owners.len() {
            return Ok(());
        }
        if !kept.is_empty() {
            return self.set(uid, node, "ownerReferences", &kept, None).await;
        }
        let path = node.kind.path(&node.namespace, &node.name);
        match self.api.delete_uid(&path, uid).await {
            // Gone by itself, or another one of that name: the watch tells.
            Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes the dependents of an owner let go of it, then lets the owner go.
    async fn orphan(&mut self, uid: &str, owner: &Node) -> Result<(), ApiError> {
        for (dependent, node) in self.graph.dependents(uid) {
            let Some(metadata) = self.latest(&dependent, &node).await? else {
                continue;
            };
            let owners = metadata["ownerReferences"].as_array();
            let owners = owners.into_iter().flatten();
            let kept: Vec<&Value> = owners.filter(|owner| text(owner, "uid") != uid).collect();
            self.set(&dependent, &node, "ownerReferences", &kept, None)
                .await?;
        }
        let Some(metadata) = self.latest(uid, owner).await? else {
            return Ok(());
        };
        let finalizers = metadata["finalizers"].as_array().into_iter().flatten();
        let kept: Vec<&Value> = finalizers.filter(|one| **one != ORPHAN).collect();
        // Another finalizer that was added meanwhile must not get lost.
        let version = Some(&metadata["resourceVersion"]);
        self.set(uid, owner, "finalizers", &kept, version).await
    }

    /// The metadata of an object as it is now; `None` if it is gone.
    async fn latest(&self, uid: &str, node: &Node) -> Result<Option<Value>, ApiError> {
        let path = node.kind.path(&node.namespace, &node.name);
        match self.metadata.get(&path).await {
            Ok(mut found) => {
                let metadata = found["metadata"].take();
                Ok((metadata["uid"] == uid).then_some(metadata))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets a list in the metadata of an object, if it is the one of this uid and, if given, version.
    async fn set(
        &self,
        uid: &str,
        node: &Node,
        field: &str,
        list: &[&Value],
        version: Option<&Value>,
    ) -> Result<(), ApiError> {
        let mut metadata = json!({"uid": uid});
        metadata[field] = match list {
            [] => Value::Null,
            list => json!(list),
        };
        if let Some(version) = version {
            metadata["resourceVersion"] = version.clone();
        }
        let path = node.kind.path(&node.namespace, &node.name);
        let patch = json!({"metadata": metadata});
        match self.api.patch(&path, Patch::Merge, &patch).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    async fn look_up(&self, node: &Node, owner: &Value) -> Result<Owner, ApiError> {
        let uid = text(owner, "uid");
        if self.graph.knows(uid) {
            return Ok(Owner::There);
        }
        let served = self.followed.keys().map(|kind| &**kind);
        let Some(kind) = kinds::of_owner(served, owner) else {
            return Ok(Owner::Unknown);
        };
        // What is in no namespace cannot be owned by something in one.
        if kind.namespaced && node.namespace.is_empty() {
            return Ok(Owner::Unknown);
        }
        let path = kind.path(&node.namespace, text(owner, "name"));
        match self.metadata.get(&path).await {
            Ok(found) if found["metadata"]["uid"] == uid => Ok(Owner::There),
            Ok(_) => Ok(Owner::Gone),
            Err(error) if error.is_not_found() => Ok(Owner::Gone),
            Err(error) => Err(error),
        }
    }
}

/// Tells the changes of one kind.
async fn follow(api: Api, kind: Arc<Served>, sender: mpsc::Sender<(Arc<Served>, Change)>) {
    let mut informer = Informer::start(&api, kind.everywhere());
    loop {
        let change = informer.next().await;
        if sender.send((Arc::clone(&kind), change)).await.is_err() {
            return;
        }
    }
}
