//! The kinds that the server knows: built-in ones from a table, others from CustomResourceDefinitions.

mod builtin;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::store::Collection;

/// A column that `kubectl get` shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `string`, `integer`, `date`, ...
    pub(crate) kind: String,
    pub(crate) path: String,
    /// Above 0 only with `-o wide`.
    pub(crate) priority: i64,
}

/// One version of a kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Version {
    pub(crate) name: String,
    /// Has `/status`: writes to the object leave the status alone, and the other way round.
    pub(crate) status: bool,
    /// Has `/scale`.
    pub(crate) scale: bool,
    /// Structural schema; null for built-in kinds, whose objects are taken as they are.
    pub(crate) schema: Value,
    /// Printer columns of a custom kind.
    pub(crate) columns: Vec<Column>,
}

/// A kind and how it is served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resource {
    pub(crate) collection: Collection,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Keeps `metadata.generation`.
    pub(crate) generation: bool,
    /// Defined by a CustomResourceDefinition.
    pub(crate) custom: bool,
    /// Only posted and answered, never stored.
    pub(crate) review: bool,
    /// Shows the objects of this collection, in another form.
    pub(crate) view_of: Option<Collection>,
    /// Served versions, preferred one first. Not empty.
    pub(crate) versions: Vec<Arc<Version>>,
    /// Version that objects are stored as.
    pub(crate) storage: String,
}

impl Resource {
    pub(crate) fn group(&self) -> &str {
        &self.collection.group
    }

    pub(crate) fn plural(&self) -> &str {
        &self.collection.resource
    }

    /// Where its objects are stored.
    pub(crate) fn place(&self) -> &Collection {
        self.view_of.as_ref().unwrap_or(&self.collection)
    }

    pub(crate) fn version(&self, name: &str) -> Option<&Arc<Version>> {
        self.versions.iter().find(|version| version.name == name)
    }
}

/// `v1`, or `apps/v1`.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// All kinds being served.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    resources: BTreeMap<Collection, Arc<Resource>>,
}

impl Registry {
    /// The built-in kinds.
    pub(crate) fn builtin() -> Registry {
        let resources = builtin::resources()
            .map(|resource| (resource.collection.clone(), Arc::new(resource)))
            .collect();
        Registry { resources }
    }

    pub(crate) fn find(&self, group: &str, resource: &str) -> Option<Arc<Resource>> {
        let collection = Collection {
            group: group.to_owned(),
            resource: resource.to_owned(),
        };
        self.resources.get(&collection).cloned()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.values()
    }

    pub(crate) fn install(&mut self, resource: Resource) {
        self.resources
            .insert(resource.collection.clone(), Arc::new(resource));
    }

    pub(crate) fn remove(&mut self, collection: &Collection) {
        self.resources.remove(collection);
    }
}
