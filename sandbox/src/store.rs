//! Objects, their one resourceVersion counter, and the log of what changed.
//!
//! Everything is behind one mutex. A watcher keeps no queue: it has a position in the log, is woken when the log
//! grows by a change of its collection, and reads on under that mutex. So nothing is missed between a list and its watch,
//! a slow watcher costs nothing, and one that falls behind the bounded log is told that its version is too old.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
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

impl Key {
    /// No key of the collection, or of its part in a namespace, is before this one.
    fn first(collection: &Collection, namespace: Option<&str>) -> Key {
        Key {
            collection: collection.clone(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: String::new(),
        }
    }

    fn is_in(&self, collection: &Collection, namespace: Option<&str>) -> bool {
        self.collection == *collection
            && namespace.is_none_or(|namespace| self.namespace == namespace)
    }
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

/// Which objects of a collection are asked for.
pub(crate) struct Part<'a> {
    /// Only those behind this namespace and name; the namespace does not count if only one is asked for.
    pub(crate) after: Option<(&'a str, &'a str)>,
    pub(crate) wanted: &'a dyn Fn(&Value) -> bool,
    pub(crate) limit: usize,
    /// Whether it matters how many are left beyond the limit.
    pub(crate) count_rest: bool,
}

/// A part of a collection.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) objects: Vec<(Key, Arc<Value>)>,
    /// How many more there are; if that does not matter, at least as many as are counted.
    pub(crate) left: usize,
    pub(crate) version: u64,
}

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
    /// Of each collection, the version of the last change that is forgotten.
    forgotten: BTreeMap<Collection, u64>,
    /// Of each collection that somebody has watched, the version of its last change.
    heads: BTreeMap<Collection, watch::Sender<u64>>,
    /// Collections that the present transaction has changed.
    touched: BTreeSet<Collection>,
    limits: Limits,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Store {
    inner: Mutex<Inner>,
}

impl Store {
    pub(crate) fn new(limits: Limits) -> Store {
        let inner = Inner {
            objects: BTreeMap::new(),
            version: 1,
            log: VecDeque::new(),
            compacted: 0,
            forgotten: BTreeMap::new(),
            heads: BTreeMap::new(),
            touched: BTreeSet::new(),
            limits,
        };
        Store {
            inner: Mutex::new(inner),
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

    /// Objects of a collection, ordered by namespace and name, and the version they are shown at.
    pub(crate) fn list(&self, collection: &Collection, namespace: Option<&str>) -> Listed {
        let inner = self.lock();
        (inner.range(collection, namespace), inner.version)
    }

    /// A part of a collection, ordered by namespace and name, as of `at` (now if `None`).
    pub(crate) fn page(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        at: Option<u64>,
        part: &Part<'_>,
    ) -> Result<Page, TooOld> {
        let inner = self.lock();
        let at = at.unwrap_or(inner.version).min(inner.version);
        if at < inner.compacted {
            return Err(TooOld {
                oldest: inner.compacted,
            });
        }
        // What those that changed since were then.
        let mut before: BTreeMap<&Key, Option<&Arc<Value>>> = BTreeMap::new();
        let later = inner.log.iter().rev();
        for change in later.take_while(|change| change.version > at) {
            if change.key.is_in(collection, namespace) {
                before.insert(&change.key, change.old.as_ref());
            }
        }
        let start = match part.after {
            Some((after, name)) => Bound::Excluded(Key {
                collection: collection.clone(),
                namespace: namespace.unwrap_or(after).to_owned(),
                name: name.to_owned(),
            }),
            None => Bound::Included(Key::first(collection, namespace)),
        };
        let mut now = inner
            .objects
            .range((start.as_ref(), Bound::Unbounded))
            .take_while(|(key, _)| key.is_in(collection, namespace))
            .filter(|(key, _)| !before.contains_key(key))
            .peekable();
        let mut then = before
            .range::<Key, _>((start.as_ref(), Bound::Unbounded))
            .filter_map(|(key, object)| Some((*key, (*object)?)))
            .peekable();
        let merged = std::iter::from_fn(|| match (now.peek(), then.peek()) {
            (Some((one, _)), Some((other, _))) if one > other => then.next(),
            (None, _) => then.next(),
            _ => now.next(),
        });
        let mut matching = merged.filter(|(_, object)| (part.wanted)(object));
        let objects = matching
            .by_ref()
            .take(part.limit)
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        let left = match part.count_rest {
            true => matching.count(),
            false => usize::from(matching.next().is_some()),
        };
        Ok(Page {
            objects,
            left,
            version: at,
        })
    }

    /// Whether a watch or a list can go on from this version.
    pub(crate) fn reaches_back(&self, since: u64) -> Result<(), TooOld> {
        let oldest = self.lock().compacted;
        match since < oldest {
            true => Err(TooOld { oldest }),
            false => Ok(()),
        }
    }

    /// At most `limit` changes of a collection after `since`, and how far the log was read. One that reads on from
    /// where it was misses nothing as long as no change of its own collection was forgotten.
    pub(crate) fn changes(
        &self,
        collection: &Collection,
        namespace: Option<&str>,
        since: u64,
        limit: usize,
    ) -> Result<(Vec<Change>, u64), TooOld> {
        let inner = self.lock();
        if let Some(&oldest) = inner.forgotten.get(collection)
            && since < oldest
        {
            return Err(TooOld { oldest });
        }
        let start = inner.log.partition_point(|change| change.version <= since);
        let mut found = Vec::new();
        for change in inner.log.range(start..) {
            if change.key.is_in(collection, namespace) {
                found.push(change.clone());
                if found.len() == limit {
                    return Ok((found, change.version));
                }
            }
        }
        Ok((found, inner.version.max(since)))
    }

    /// Wakes when a collection changes.
    pub(crate) fn subscribe(&self, collection: &Collection) -> watch::Receiver<u64> {
        let mut inner = self.lock();
        let version = inner.version;
        let head = inner.heads.entry(collection.clone());
        head.or_insert_with(|| watch::Sender::new(version))
            .subscribe()
    }

    /// Forgets all changes so far: a watch or a list from before now is told that it is too old.
    pub(crate) fn compact(&self) {
        let mut inner = self.lock();
        inner.forget(0);
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
        let mut transaction = Transaction {
            inner: &mut inner,
            dry_run,
        };
        let result = work(&mut transaction);
        let version = inner.version;
        for collection in std::mem::take(&mut inner.touched) {
            if let Some(head) = inner.heads.get(&collection) {
                head.send_replace(version);
            }
        }
        result
    }
}

impl Inner {
    fn range(&self, collection: &Collection, namespace: Option<&str>) -> Vec<(Key, Arc<Value>)> {
        self.objects
            .range(Key::first(collection, namespace)..)
            .take_while(|(key, _)| key.is_in(collection, namespace))
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect()
    }

    fn log(&mut self, key: Key, old: Option<Arc<Value>>, new: Option<Arc<Value>>) {
        self.touched.insert(key.collection.clone());
        self.log.push_back(Change {
            version: self.version,
            key,
            old,
            new,
        });
        self.forget(self.limits.changes);
    }

    /// Forgets the oldest changes, but for so many.
    fn forget(&mut self, kept: usize) {
        while self.log.len() > kept {
            if let Some(change) = self.log.pop_front() {
                self.compacted = change.version;
                self.forgotten.insert(change.key.collection, change.version);
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
