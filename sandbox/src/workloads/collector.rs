//! The garbage collector: deletes objects of whatever kind that have lost all their owners, as background deletion
//! leaves them, and takes lost owners out of the references of objects that have others.
//!
//! Follows `pkg/controller/garbagecollector`. It knows the kinds by discovery, follows only their metadata, and asks
//! the server before it believes that an owner is gone. An owner with finalizers is there until they are gone.
//! `propagationPolicy` is not looked at.

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
        unlisted: 0,
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
        let wake = match collector.graph.has_suspects() {
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
        // Before that, owners might look as if they were missing, and each would be asked for.
        if collector.unlisted == 0 {
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
    followed: BTreeMap<Arc<Served>, AbortOnDrop>,
    /// Kinds whose first list is not in yet.
    unlisted: usize,
    graph: Graph,
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
        let before = self.followed.len();
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
                self.followed
                    .insert(kind, AbortOnDrop(tokio::spawn(follower)));
            }
        }
        if before == 0 {
            self.unlisted = self.followed.len();
        }
        self.graph.resolve_again();
        Ok(())
    }

    fn note(&mut self, kind: &Arc<Served>, change: &Change) {
        match change {
            Change::Listed => self.unlisted = self.unlisted.saturating_sub(1),
            // A last word about a kind that is no longer followed.
            _ if !self.followed.contains_key(kind) => {}
            Change::Applied { new, .. } => self.graph.observe(kind, new),
            Change::Deleted(old) => self.graph.forget(text(&old["metadata"], "uid")),
        }
    }

    async fn collect(&mut self) {
        for (uid, node) in self.graph.take_suspects() {
            if self.judge(&uid, &node).await.is_err() {
                self.graph.suspect(uid);
            }
        }
    }

    /// Does with a suspect what its owners demand.
    async fn judge(&mut self, uid: &str, node: &Node) -> Result<(), ApiError> {
        let mut kept = Vec::new();
        for owner in &node.owners {
            match self.look_up(node, owner).await? {
                Owner::There => kept.push(owner.clone()),
                Owner::Gone => {}
                Owner::Unknown => {
                    self.graph.leave_unresolved(uid.to_owned());
                    return Ok(());
                }
            }
        }
        if kept.len() == node.owners.len() {
            return Ok(());
        }
        let path = node.kind.path(&node.namespace, &node.name);
        let done = match kept.is_empty() {
            true => self.api.delete_uid(&path, uid).await,
            false => {
                let kept = json!({"metadata": {"uid": uid, "ownerReferences": kept}});
                self.api.patch(&path, Patch::Merge, &kept).await
            }
        };
        match done {
            // Gone by itself, or another one of that name: the watch tells.
            Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
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
