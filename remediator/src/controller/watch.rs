//! A watch that never ends: it lists again when it has to, and waits longer and longer while it fails.
//!
//! Watches that end are begun again at [`Pace`]'s rate also when they end without an error: an API server, or a proxy
//! before it, that closes each watch at once must not be asked hundreds of times a second.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use kube::Client;
use kube::api::{DynamicObject, ListParams, Resource as _, WatchEvent, WatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;

use super::kinds::Kind;
use super::pace::Pace;
use crate::clock;
use crate::core::ObjectKey;

/// What a watch tells.
pub(super) enum Change {
    /// The object is like this now.
    Applied(ObjectKey, Box<Lean>),
    /// The object does not exist any more.
    Deleted(ObjectKey),
    /// These are all there were at this resourceVersion.
    Complete(BTreeSet<ObjectKey>, String),
    /// They may not be read, so that nothing is known of them.
    Forbidden,
    /// A list or watch failed.
    Failed,
}

/// Objects of one kind: everywhere, or in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub(super) kind: Kind,
    pub(super) namespace: Option<Arc<str>>,
}

/// How many objects are read at once.
pub(super) const PAGE: u32 = 250;

/// The longest that one page may take.
const LIST: Duration = Duration::from_secs(30);

/// How long a watch lasts before the API server ends it, in seconds, and how long we wait for that.
const WATCH: u32 = 290;
const WATCH_LATE: Duration = Duration::from_secs(300);

/// An object without what nobody asks for, above all `managedFields`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Lean {
    metadata: Metadata,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    generation: Value,
    #[serde(default)]
    creation_timestamp: Value,
    #[serde(default)]
    deletion_timestamp: Value,
    #[serde(default)]
    owner_references: Value,
    #[serde(default)]
    finalizers: Value,
}

impl Lean {
    /// Its UID and resourceVersion.
    pub(super) fn version(&self) -> (&str, &str) {
        let Metadata {
            uid,
            resource_version,
            ..
        } = &self.metadata;
        (uid, resource_version)
    }

    /// The whole object. In a list it carries neither kind nor apiVersion.
    pub(super) fn value(self, kind: Kind) -> Value {
        let resource = kind.resource();
        let metadata = self.metadata;
        let metadata = object([
            ("name", metadata.name.into()),
            ("namespace", metadata.namespace.into()),
            ("uid", metadata.uid.into()),
            ("resourceVersion", metadata.resource_version.into()),
            ("generation", metadata.generation),
            ("creationTimestamp", metadata.creation_timestamp),
            ("deletionTimestamp", metadata.deletion_timestamp),
            ("ownerReferences", metadata.owner_references),
            ("finalizers", metadata.finalizers),
        ]);
        object([
            ("apiVersion", resource.api_version.into()),
            ("kind", resource.kind.into()),
            ("metadata", metadata),
            ("spec", self.spec),
            ("status", self.status),
        ])
    }
}

/// An object of these fields, without those that are not set.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let set = fields.into_iter().filter(|(_, value)| !value.is_null());
    set.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A page of a list. Its objects carry neither kind nor apiVersion where the list does.
#[derive(Debug, Deserialize, Clone)]
struct Page {
    metadata: PageMetadata,
    items: Vec<Lean>,
}

#[derive(Debug, Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(rename = "continue", default)]
    next: String,
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Kube(#[from] kube::Error),
    #[error("{0}")]
    Request(#[from] kube::core::request::Error),
    #[error("no answer within {} s", LIST.as_secs())]
    Timeout,
}

impl Broken {
    fn code(&self) -> Option<u16> {
        match self {
            Broken::Kube(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }
}

/// How a watch ended that had begun.
enum End {
    /// As watches do; it is begun again where it ended.
    Over,
    /// It is not known any more what has changed.
    TooOld,
    /// It broke.
    Broken(Broken),
}

/// Watches all objects of a kind, for ever.
pub(super) async fn follow(client: Client, source: Source, tell: impl Fn(Change)) {
    let watch = Watch {
        path: path(&source),
        client,
        source,
        tell,
    };
    let mut pace = Pace::new();
    let mut known: Option<String> = None;
    loop {
        tokio::time::sleep(pace.begin(clock::instant(), chance())).await;
        let from = match known.take() {
            Some(from) => from,
            None => match watch.list().await {
                Ok(from) => from,
                Err(error) => {
                    pace.failed();
                    watch.failed("list", &error);
                    continue;
                }
            },
        };
        let mut at = from;
        let ended = watch.watch(&mut at).await;
        match ended {
            Ok(_) => pace.began(),
            Err(_) => pace.failed(),
        }
        match ended {
            Ok(End::Over) => known = Some(at),
            Ok(End::TooOld) => {
                tracing::debug!(kind = watch.source.kind.plural(), "listed again");
            }
            Ok(End::Broken(error)) | Err(error) => {
                watch.failed("watch", &error);
                // What was refused may be the version, or a kind that is gone: then all is read anew.
                if error.code().is_none_or(|code| code >= 429 && code != 500) {
                    known = Some(at);
                }
            }
        }
    }
}

struct Watch<F> {
    client: Client,
    source: Source,
    path: String,
    tell: F,
}

impl<F: Fn(Change)> Watch<F> {
    /// Reads all objects, in pages; returns from where to watch.
    async fn list(&self) -> Result<String, Broken> {
        let mut listed = BTreeSet::new();
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let request = Request::new(&self.path).list(&parameters)?;
            let page = self.client.request::<Page>(request);
            let page = tokio::time::timeout(LIST, page).await;
            let page = page.map_err(|_| Broken::Timeout)??;
            for object in page.items {
                listed.insert(key(&object));
                self.applied(object);
            }
            if page.metadata.next.is_empty() {
                let at = page.metadata.resource_version;
                (self.tell)(Change::Complete(listed, at.clone()));
                return Ok(at);
            }
            parameters.continue_token = Some(page.metadata.next);
        }
    }

    /// Tells what changes after `at`, which is moved on.
    async fn watch(&self, at: &mut String) -> Result<End, Broken> {
        let parameters = WatchParams::default().timeout(WATCH);
        let request = Request::new(&self.path).watch(&parameters, at)?;
        let events = self.client.request_events::<Lean>(request);
        let events = tokio::time::timeout(LIST, events).await;
        let mut events = pin!(events.map_err(|_| Broken::Timeout)??);
        let until = clock::instant() + WATCH_LATE;
        loop {
            let Ok(event) = tokio::time::timeout_at(until.into(), events.try_next()).await else {
                return Ok(End::Over);
            };
            let object = match event {
                Ok(None) => return Ok(End::Over),
                Ok(Some(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    at.clone_from(&object.metadata.resource_version);
                    self.applied(object);
                    continue;
                }
                Ok(Some(WatchEvent::Deleted(object))) => object,
                Ok(Some(WatchEvent::Bookmark(bookmark))) => {
                    *at = bookmark.metadata.resource_version;
                    continue;
                }
                Ok(Some(WatchEvent::Error(status))) if status.code == 410 => {
                    return Ok(End::TooOld);
                }
                Ok(Some(WatchEvent::Error(status))) => {
                    return Ok(End::Broken(kube::Error::Api(status).into()));
                }
                Err(kube::Error::Api(status)) if status.code == 410 => return Ok(End::TooOld),
                Err(kube::Error::SerdeError(error)) => {
                    let kind = self.source.kind.plural();
                    tracing::warn!(kind, %error, "a change that cannot be read was left out");
                    continue;
                }
                Err(error) => return Ok(End::Broken(error.into())),
            };
            at.clone_from(&object.metadata.resource_version);
            (self.tell)(Change::Deleted(key(&object)));
        }
    }

    fn applied(&self, object: Lean) {
        (self.tell)(Change::Applied(key(&object), Box::new(object)));
    }

    fn failed(&self, verb: &str, error: &Broken) {
        let kind = self.source.kind;
        match error.code() {
            // A kind of check that is not installed has no objects. Of our own kinds that is never believed: an API
            // server that has just started knows none for a while.
            Some(404) if kind.may_be_missing() => {
                tracing::debug!(kind = kind.plural(), "not installed");
                (self.tell)(Change::Complete(BTreeSet::new(), String::new()));
                return;
            }
            // Too old a version to watch from.
            Some(410) => return,
            Some(403) => (self.tell)(Change::Forbidden),
            _ => {}
        }
        (self.tell)(Change::Failed);
        let namespace = self.source.namespace.as_deref().unwrap_or("all namespaces");
        tracing::warn!(verb, resource = kind.plural(), namespace, %error, "tried again later");
    }
}

fn path(source: &Source) -> String {
    DynamicObject::url_path(&source.kind.resource(), source.namespace.as_deref())
}

pub(super) fn key(object: &Lean) -> ObjectKey {
    ObjectKey {
        namespace: object.metadata.namespace.as_str().into(),
        name: object.metadata.name.as_str().into(),
    }
}

/// From 0 to 1, different in each process and each time.
pub(super) fn chance() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(0_u8) >> 32;
    f64::from(u32::try_from(random).unwrap_or_default()) / f64::from(u32::MAX)
}
