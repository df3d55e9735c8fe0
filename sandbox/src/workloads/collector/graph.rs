//! Who owns whom, from the metadata of all objects. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::kinds::Served;
use crate::finalizers::ORPHAN;
use crate::workloads::values::text;

/// An object, as far as its owners matter.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Arc<Served>,
    pub(super) namespace: String,
    pub(super) name: String,
    /// `ownerReferences` as they stand in the object.
    pub(super) owners: Vec<Value>,
}

/// See the module's documentation. Objects are told apart by uid.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
    dependents: BTreeMap<String, BTreeSet<String>>,
    /// Those that may have lost an owner.
    suspects: BTreeSet<String>,
    /// Those with an owner of a kind that is not served.
    unresolved: BTreeSet<String>,
    /// Those on their way out that wait until their dependents have let go of them.
    orphaning: BTreeSet<String>,
}

impl Graph {
    /// Takes in an object as it is now.
    pub(super) fn observe(&mut self, kind: &Arc<Served>, object: &Value) {
        let metadata = &object["metadata"];
        let uid = text(metadata, "uid").to_owned();
        self.unlink(&uid);
        let owners = metadata["ownerReferences"].as_array();
        let node = Node {
            kind: Arc::clone(kind),
            namespace: text(metadata, "namespace").to_owned(),
            name: text(metadata, "name").to_owned(),
            owners: owners.cloned().unwrap_or_default(),
        };
        for owner in &node.owners {
            let owner = text(owner, "uid").to_owned();
            if !self.nodes.contains_key(&owner) {
                self.suspects.insert(uid.clone());
            }
            self.dependents
                .entry(owner)
                .or_default()
                .insert(uid.clone());
        }
        // What is on its way out already needs no second push.
        let terminating = metadata["deletionTimestamp"].is_string();
        if terminating {
            self.suspects.remove(&uid);
        }
        let finalizers = metadata["finalizers"].as_array();
        match terminating && finalizers.is_some_and(|all| all.iter().any(|one| one == ORPHAN)) {
            true => self.orphaning.insert(uid.clone()),
            false => self.orphaning.remove(&uid),
        };
        self.nodes.insert(uid, node);
    }

    /// An object is gone: whoever it owned is suspect.
    pub(super) fn forget(&mut self, uid: &str) {
        self.unlink(uid);
        self.nodes.remove(uid);
        self.suspects.remove(uid);
        self.unresolved.remove(uid);
        self.orphaning.remove(uid);
        if let Some(dependents) = self.dependents.get(uid) {
            self.suspects.extend(dependents.iter().cloned());
        }
    }

    /// A kind is no longer served, and its objects are gone with it.
    pub(super) fn forget_kind(&mut self, kind: &Served) {
        let of_kind = self.nodes.iter().filter(|(_, node)| *node.kind == *kind);
        let uids: Vec<String> = of_kind.map(|(uid, _)| uid.clone()).collect();
        for uid in uids {
            self.forget(&uid);
        }
    }

    /// The kinds served have changed: an owner that could not be looked up may now be.
    pub(super) fn resolve_again(&mut self) {
        self.suspects.append(&mut self.unresolved);
    }

    /// Those to be looked into, with their uids. They are suspect no more unless that is said again.
    pub(super) fn take_suspects(&mut self) -> Vec<(String, Node)> {
        let suspects = std::mem::take(&mut self.suspects);
        self.with_nodes(suspects)
    }

    /// Those whose dependents are to let go of them, with their uids. They are taken as suspects are.
    pub(super) fn take_orphaning(&mut self) -> Vec<(String, Node)> {
        let orphaning = std::mem::take(&mut self.orphaning);
        self.with_nodes(orphaning)
    }

    /// Those that name an owner, with their uids.
    pub(super) fn dependents(&self, owner: &str) -> Vec<(String, Node)> {
        self.with_nodes(self.dependents.get(owner).cloned().unwrap_or_default())
    }

    fn with_nodes(&self, uids: BTreeSet<String>) -> Vec<(String, Node)> {
        uids.into_iter()
            .filter_map(|uid| {
                let node = self.nodes.get(&uid)?.clone();
                Some((uid, node))
            })
            .collect()
    }

    /// Nothing could be done about a suspect; it is to be looked into again.
    pub(super) fn suspect(&mut self, uid: String) {
        self.suspects.insert(uid);
    }

    /// The dependents could not all be made to let go; that is to be tried again.
    pub(super) fn orphan(&mut self, uid: String) {
        self.orphaning.insert(uid);
    }

    /// A suspect has an owner of a kind that is not served.
    pub(super) fn leave_unresolved(&mut self, uid: String) {
        self.unresolved.insert(uid);
    }

    pub(super) fn has_work(&self) -> bool {
        !self.suspects.is_empty() || !self.orphaning.is_empty()
    }

    pub(super) fn knows(&self, uid: &str) -> bool {
        self.nodes.contains_key(uid)
    }

    fn unlink(&mut self, uid: &str) {
        let Some(node) = self.nodes.get(uid) else {
            return;
        };
        for owner in &node.owners {
            let owner = text(owner, "uid");
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind(plural: &str) -> Arc<Served> {
        Arc::new(Served {
            root: "/api/v1".to_owned(),
            group: String::new(),
            plural: plural.to_owned(),
            kind: "Kind".to_owned(),
            namespaced: true,
        })
    }

    fn object(uid: &str, owners: &[&str]) -> Value {
        let owners: Vec<Value> = owners.iter().map(|uid| json!({"uid": uid})).collect();
        json!({"metadata": {"uid": uid, "name": uid, "namespace": "n", "ownerReferences": owners}})
    }

    fn suspects(graph: &mut Graph) -> Vec<String> {
        let suspects = graph.take_suspects();
        suspects.into_iter().map(|(uid, _)| uid).collect()
    }

    #[test]
    fn who_loses_an_owner_is_suspect() {
        let (a, b) = (kind("a"), kind("b"));
        let mut graph = Graph::default();
        graph.observe(&a, &object("owner", &[]));
        graph.observe(&b, &object("one", &["owner"]));
        graph.observe(&b, &object("two", &["owner", "never"]));
        assert_eq!(suspects(&mut graph), ["two"]);
        assert_eq!(suspects(&mut graph), Vec::<String>::new());
        // One that is let go of is not affected.
        graph.observe(&b, &object("three", &["owner"]));
        graph.observe(&b, &object("three", &[]));
        graph.forget("owner");
        assert_eq!(suspects(&mut graph), ["one", "two"]);
        graph.leave_unresolved("one".to_owned());
        assert!(!graph.has_work());
        graph.resolve_again();
        assert_eq!(suspects(&mut graph), ["one"]);
    }

    #[test]
    fn an_owner_waits_for_its_dependents_only_once_it_is_deleted() {
        let (a, b) = (kind("a"), kind("b"));
        let mut graph = Graph::default();
        let mut owner = object("owner", &[]);
        owner["metadata"]["finalizers"] = json!(["other", "orphan"]);
        graph.observe(&a, &owner);
        graph.observe(&b, &object("one", &["owner"]));
        assert!(!graph.has_work());
        owner["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        graph.observe(&a, &owner);
        let uids = |nodes: Vec<(String, Node)>| -> Vec<String> {
            nodes.into_iter().map(|(uid, _)| uid).collect()
        };
        assert_eq!(uids(graph.take_orphaning()), ["owner"]);
        assert_eq!(uids(graph.dependents("owner")), ["one"]);
        assert_eq!(uids(graph.take_orphaning()), [""; 0]);
        graph.orphan("owner".to_owned());
        assert!(graph.has_work());
        owner["metadata"]["finalizers"] = json!(["other"]);
        graph.observe(&a, &owner);
        assert!(!graph.has_work());
    }

    #[test]
    fn a_kind_goes_with_its_objects() {
        let (a, b) = (kind("a"), kind("b"));
        let mut graph = Graph::default();
        graph.observe(&a, &object("owner", &[]));
        graph.observe(&b, &object("one", &["owner"]));
        graph.forget_kind(&a);
        assert!(!graph.knows("owner"));
        assert_eq!(suspects(&mut graph), ["one"]);
    }
}
