//! Objects, their one resourceVersion counter, and the log of what changed.
//!
//! Everything is behind one mutex. A watcher keeps no queue: it has a position in the log, is woken when the log
//! grows, and reads on under that mutex. So nothing is missed between a list and its watch, a slow watcher costs
//! nothing, and one that falls behind the bounded log is told that its version is too old.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::status::Status;

/// Which collection: API group (empty for core) and plural name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Collection {
    pub(crate) group: String,
    pub(crate) resource: String,
}

/// Where an object is stored. Cluster-scoped objects have an empty namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) collection: Collection,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// One change. `old` and `new` are what was stored before and after it.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) old: Option<Arc<Value>>,
    pub(crate) new: Option<Arc<Value>>,
}

/// Asked for a version that the log no longer reaches back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOld {
    /// The oldest version that can still be asked for.
    pub(crate) oldest: u64,
}

/// Objects and the version they are shown at.
pub(crate) type Listed = (Vec<(Key, Arc<Value>)>, u64);

/// How much the store holds before it refuses or forgets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Objects in all.
    pub(crate) objects: usize,
    /// Changes remembered for watches and paged lists.
    pub(crate) changes: usize,
}

#[derive(Debug)]
struct Inner {
    objects: BTreeMap<Key, Arc<Value>>,
    version: u64,
    log: VecDeque<Change>,
    /// Changes up to and including this version are forgotten.
    compacted: u64,
    limits: Limits,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Store {
    inner: Mutex<Inner>,
    head: watch::Sender<u64>,
}

impl Store {
    pub(crate) fn new(limits: Limits) -> Store {
        let inner = Inner {
            objects: BTreeMap::new(),
            version: 1,
            log: VecDeque::new(),
            compacted: 0,
            limits,
        };
        Store {
            inner: Mutex::new(inner),
            head: watch::Sender::new(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.lock().objects.get(key).cloned()
    }

    /// Objects of a collection, ordered by namespace and name, as of `at` (now if `None`), and that version.
    pub(crate) fn list(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        at: Option<u64>,
    ) -> Result<Listed, TooOld> {
        let inner = self.lock();
        let wanted = |key: &Key| {
            key.collection == *collection
                && namespace.is_none_or(|namespace| key.namespace == namespace)
        };
        let Some(at) = at.filter(|at| *at < inner.version) else {
            return Ok((inner.range(collection, namespace), inner.version));
        };
        if at < inner.compacted {
            return Err(TooOld {
                oldest: inner.compacted,
            });
        }
        let mut objects: BTreeMap<Key, Arc<Value>> =
            inner.range(collection, namespace).into_iter().collect();
        for change in inner
            .log
            .iter()
            .rev()
            .take_while(|change| change.version > at)
        {
            if wanted(&change.key) {
                match &change.old {
                    Some(old) => objects.insert(change.key.clone(), Arc::clone(old)),
                    None => objects.remove(&change.key),
                };
            }
        }
        Ok((objects.into_iter().collect(), at))
    }

    /// At most `limit` changes of a collection after `since`, and how far the log was read.
    pub(crate) fn changes(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        since: u64,
        limit: usize,
    ) -> Result<(Vec<Change>, u64), TooOld> {
        let inner = self.lock();
        if since < inner.compacted {
            return Err(TooOld {
                oldest: inner.compacted,
            });
        }
        let start = inner.log.partition_point(|change| change.version <= since);
        let mut found = Vec::new();
        for change in inner.log.range(start..) {
            if change.key.collection == *collection
                && namespace.is_none_or(|namespace| change.key.namespace == namespace)
            {
                found.push(change.clone());
                if found.len() == limit {
                    return Ok((found, change.version));
                }
            }
        }
        Ok((found, inner.version.max(since)))
    }

    /// Wakes when the log grows.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Forgets all changes so far: a watch or a list from before now is told that it is too old.
    pub(crate) fn compact(&self) {
        let mut inner = self.lock();
        inner.log.clear();
        inner.compacted = inner.version;
    }

    /// Runs `work` alone on the store. What it wrote before returning an error stays written, so it decides first
    /// and writes then. With `dry_run` nothing is written, though `work` sees the results.
    pub(crate) fn write<T>(
        &self,
        dry_run: bool,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let mut inner = self.lock();
        let before = inner.version;
        let mut transaction = Transaction {
            inner: &mut inner,
            dry_run,
        };
        let result = work(&mut transaction);
        if inner.version != before {
            self.head.send_replace(inner.version);
        }
        result
    }
}

impl Inner {
    fn range(&self, collection: &Collection, namespace: Option<&str>) -> Vec<(Key, Arc<Value>)> {
        let start = Key {
            collection: collection.clone(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: String::new(),
        };
        self.objects
            .range(start..)
            .take_while(|(key, _)| {
                key.collection == *collection
                    && namespace.is_none_or(|namespace| key.namespace == namespace)
            })
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect()
    }

    fn log(&mut self, key: Key, old: Option<Arc<Value>>, new: Option<Arc<Value>>) {
        self.log.push_back(Change {
            version: self.version,
            key,
            old,
            new,
        });
        while self.log.len() > self.limits.changes {
            if let Some(forgotten) = self.log.pop_front() {
                self.compacted = forgotten.version;
            }
        }
    }
}

/// The store, held exclusively.
pub(crate) struct Transaction<'a> {
    inner: &'a mut Inner,
    dry_run: bool,
}

impl Transaction<'_> {
    /// Whether nothing is being written.
    pub(crate) fn dry_run(&self) -> bool {
        self.dry_run
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.inner.objects.get(key).cloned()
    }

    pub(crate) fn list(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
    ) -> Vec<(Key, Arc<Value>)> {
        self.inner.range(collection, namespace)
    }

    /// Every object for which `wanted` holds.
    pub(crate) fn find(&self, wanted: impl Fn(&Key, &Value) -> bool) -> Vec<(Key, Arc<Value>)> {
        self.inner
            .objects
            .iter()
            .filter(|(key, object)| wanted(key, object))
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect()
    }

    /// Stores an object under a new resourceVersion, unless it is what is stored already.
    pub(crate) fn put(&mut self, key: &Key, mut object: Value) -> Result<Arc<Value>, Status> {
        let old = self.get(key);
        if let Some(old) = &old {
            object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
            if **old == object {
                return Ok(Arc::clone(old));
            }
        } else if self.inner.objects.len() >= self.inner.limits.objects {
            return Err(Status::new(
                500,
                "InternalError",
                "etcdserver: mvcc: database space exceeded",
            ));
        }
        if self.dry_run {
            return Ok(Arc::new(object));
        }
        let object = Arc::new(self.stamped(object));
        self.inner.objects.insert(key.clone(), Arc::clone(&object));
        self.inner.log(key.clone(), old, Some(Arc::clone(&object)));
        Ok(object)
    }

    /// Removes an object; the answer is its last state.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        if self.dry_run {
            return self.get(key);
        }
        let old = self.inner.objects.remove(key)?;
        self.inner.version += 1;
        self.inner.log(key.clone(), Some(Arc::clone(&old)), None);
        Some(old)
    }

    fn stamped(&mut self, mut object: Value) -> Value {
        self.inner.version += 1;
        object["metadata"]["resourceVersion"] = Value::from(self.inner.version.to_string());
        object
    }
}

#[cfg(test)]
mod tests;
