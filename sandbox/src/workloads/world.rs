//! What the controllers know: a copy of the cluster that includes their own writes at once.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::values::text;
use crate::api::{Api, ApiError, Patch};
use crate::informer::{Change, key};

/// The kinds that are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Pod,
    Service,
    Deployment,
    ReplicaSet,
    EndpointSlice,
    PodDisruptionBudget,
    StatefulSet,
    DaemonSet,
    ControllerRevision,
    HorizontalPodAutoscaler,
    /// Not namespaced, and only read.
    Node,
}

impl Kind {
    pub(super) const ALL: [Kind; 11] = [
        Kind::Pod,
        Kind::Service,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::EndpointSlice,
        Kind::PodDisruptionBudget,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::ControllerRevision,
        Kind::HorizontalPodAutoscaler,
        Kind::Node,
    ];

    /// `apiVersion`, `kind`, plural.
    pub(super) fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Kind::Pod => ("v1", "Pod", "pods"),
            Kind::Service => ("v1", "Service", "services"),
            Kind::Deployment => ("apps/v1", "Deployment", "deployments"),
            Kind::ReplicaSet => ("apps/v1", "ReplicaSet", "replicasets"),
            Kind::EndpointSlice => ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
            Kind::PodDisruptionBudget => {
                ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
            }
            Kind::StatefulSet => ("apps/v1", "StatefulSet", "statefulsets"),
            Kind::DaemonSet => ("apps/v1", "DaemonSet", "daemonsets"),
            Kind::ControllerRevision => ("apps/v1", "ControllerRevision", "controllerrevisions"),
            Kind::HorizontalPodAutoscaler => (
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                "horizontalpodautoscalers",
            ),
            Kind::Node => ("v1", "Node", "nodes"),
        }
    }

    fn root(self) -> String {
        match self.names().0 {
            "v1" => "/api/v1".to_owned(),
            version => format!("/apis/{version}"),
        }
    }

    /// The collection over all namespaces.
    pub(super) fn everywhere(self) -> String {
        format!("{}/{}", self.root(), self.names().2)
    }

    fn collection(self, namespace: &str) -> String {
        format!("{}/namespaces/{namespace}/{}", self.root(), self.names().2)
    }

    /// Path of an object of this kind.
    pub(super) fn path(self, object: &Value) -> String {
        let metadata = &object["metadata"];
        format!(
            "{}/{}",
            self.collection(text(metadata, "namespace")),
            text(metadata, "name")
        )
    }
}

/// See the module's documentation.
pub(super) struct World {
    api: Api,
    objects: BTreeMap<(Kind, String), Arc<Value>>,
    /// Places of the objects of a kind by the uid of their controller.
    controlled: BTreeMap<(Kind, String), BTreeSet<String>>,
    /// Uids of objects known to be gone of which a watch may still tell older news.
    gone: HashSet<String>,
}

impl World {
    pub(super) fn new(api: Api) -> World {
        World {
            api,
            objects: BTreeMap::new(),
            controlled: BTreeMap::new(),
            gone: HashSet::new(),
        }
    }

    /// Takes in what a watch tells.
    pub(super) fn note(&mut self, kind: Kind, change: Change) {
        match change {
            Change::Applied { new, .. } => {
                self.take(kind, new);
            }
            Change::Deleted(old) => {
                self.forget(kind, &old);
                self.gone.remove(uid(&old));
            }
            Change::Listed => {}
        }
    }

    fn take(&mut self, kind: Kind, object: Value) -> Arc<Value> {
        let object = Arc::new(object);
        if self.gone.contains(uid(&object)) {
            return object;
        }
        let place = (kind, key(&object));
        let known = self.objects.get(&place).map(|known| version(known));
        if known.is_none_or(|known| known < version(&object)) {
            self.remove(&place);
            if let Some(owner) = controller(&object) {
                let owner = (kind, text(owner, "uid").to_owned());
                let controlled = self.controlled.entry(owner).or_default();
                controlled.insert(place.1.clone());
            }
            self.objects.insert(place, Arc::clone(&object));
        }
        object
    }

    fn remove(&mut self, place: &(Kind, String)) {
        let Some(object) = self.objects.remove(place) else {
            return;
        };
        let Some(owner) = controller(&object) else {
            return;
        };
        let owner = (place.0, text(owner, "uid").to_owned());
        if let Some(controlled) = self.controlled.get_mut(&owner) {
            controlled.remove(&place.1);
            if controlled.is_empty() {
                self.controlled.remove(&owner);
            }
        }
    }

    fn forget(&mut self, kind: Kind, object: &Value) {
        let place = (kind, key(object));
        if self
            .objects
            .get(&place)
            .is_some_and(|known| uid(known) == uid(object))
        {
            self.remove(&place);
        }
    }

    /// Every object of a kind, ordered by namespace and name.
    pub(super) fn all(&self, kind: Kind) -> Vec<Arc<Value>> {
        let all = self.objects.range((kind, String::new())..);
        all.take_while(|((found, _), _)| *found == kind)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Objects of a kind in the namespace of `other` for which `wanted` holds.
    pub(super) fn beside(
        &self,
        kind: Kind,
        other: &Value,
        wanted: impl Fn(&Value) -> bool,
    ) -> Vec<Arc<Value>> {
        let mut all = self.all(kind);
        all.retain(|object| {
            object["metadata"]["namespace"] == other["metadata"]["namespace"] && wanted(object)
        });
        all
    }

    /// Objects of a kind that `owner` controls, ordered by name.
    pub(super) fn owned(&self, kind: Kind, owner: &Value) -> Vec<Arc<Value>> {
        let controlled = self.controlled.get(&(kind, uid(owner).to_owned()));
        let places = controlled.into_iter().flatten();
        places
            .filter_map(|place| self.objects.get(&(kind, place.clone())))
            .filter(|object| object["metadata"]["namespace"] == owner["metadata"]["namespace"])
            .map(Arc::clone)
            .collect()
    }

    pub(super) async fn create(
        &mut self,
        kind: Kind,
        mut object: Value,
    ) -> Result<Arc<Value>, ApiError> {
        let (api_version, name, _) = kind.names();
        object["apiVersion"] = Value::from(api_version);
        object["kind"] = Value::from(name);
        let path = kind.collection(text(&object["metadata"], "namespace"));
        let stored = self.api.create(&path, &object).await?;
        Ok(self.take(kind, stored))
    }

    /// Replaces an object if it is still the one known, unless nothing differs.
    pub(super) async fn replace(
        &mut self,
        kind: Kind,
        old: &Arc<Value>,
        new: Value,
    ) -> Result<Arc<Value>, ApiError> {
        if **old == new {
            return Ok(Arc::clone(old));
        }
        let stored = self.api.replace(&kind.path(old), &new).await?;
        Ok(self.take(kind, stored))
    }

    /// Replaces the status of an object if it is still the one known, unless nothing differs.
    pub(super) async fn set_status(
        &mut self,
        kind: Kind,
        old: &Arc<Value>,
        status: Value,
    ) -> Result<(), ApiError> {
        if old["status"] == status {
            return Ok(());
        }
        let mut new = (**old).clone();
        new["status"] = status;
        let path = format!("{}/status", kind.path(old));
        let stored = self.api.replace(&path, &new).await?;
        self.take(kind, stored);
        Ok(())
    }

    /// Sets the replicas of an object if it is still the one known. What comes of it the watch tells.
    pub(super) async fn scale(
        &self,
        kind: Kind,
        object: &Value,
        replicas: i64,
    ) -> Result<(), ApiError> {
        let metadata = &object["metadata"];
        let known = json!({"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]});
        let scale = json!({"metadata": known, "spec": {"replicas": replicas}});
        let path = format!("{}/scale", kind.path(object));
        self.api.patch(&path, Patch::Merge, &scale).await.map(drop)
    }

    /// Deletes an object, or starts its deletion.
    pub(super) async fn delete(&mut self, kind: Kind, object: &Value) -> Result<(), ApiError> {
        let path = kind.path(object);
        match self.api.delete(&path).await {
            Ok(answer) if ends_later(&answer) => {
                self.take(kind, answer);
            }
            Ok(_) => {
                self.gone.insert(uid(object).to_owned());
                self.forget(kind, object);
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Whether the answer to a DELETE is an object that is still there.
fn ends_later(answer: &Value) -> bool {
    answer["kind"] != "Status" && answer["metadata"]["deletionTimestamp"].is_string()
}

/// The reference to the controller of an object.
pub(super) fn controller(object: &Value) -> Option<&Value> {
    let mut owners = object["metadata"]["ownerReferences"].as_array()?.iter();
    owners.find(|owner| owner["controller"] == true)
}

/// A reference that makes `owner` the controller of an object.
pub(super) fn owner_reference(kind: Kind, owner: &Value) -> Value {
    let (api_version, name, _) = kind.names();
    json!({
        "apiVersion": api_version, "kind": name, "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    })
}

/// Whether the deletion of an object was asked for.
pub(super) fn is_terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

fn uid(object: &Value) -> &str {
    text(&object["metadata"], "uid")
}

/// Versions of one server can be compared; the API does not promise it, kube-apiserver does since 1.35.
fn version(object: &Value) -> u64 {
    text(&object["metadata"], "resourceVersion")
        .parse()
        .unwrap_or(0)
}
