//! A watch that never ends: it lists again when it has to, and waits longer and longer while it fails.

use std::collections::BTreeSet;
use std::pin::pin;

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt as _};
use serde_json::Value;

use super::kinds::Kind;
use crate::core::ObjectKey;

/// What a watch tells.
pub(super) enum Change {
    /// The object is like this now.
    Applied(ObjectKey, Value),
    /// The object does not exist any more.
    Deleted(ObjectKey),
    /// These are all there are.
    Complete(BTreeSet<ObjectKey>),
}

/// How many objects are read at once.
const PAGE: u32 = 500;

/// Watches all objects of a kind, for ever.
pub(super) async fn follow(client: Client, kind: Kind, mut tell: impl FnMut(Change)) {
    let api: Api<DynamicObject> = Api::all_with(client, &kind.resource());
    let settings = watcher::Config::default().page_size(PAGE);
    let mut events = pin!(watcher::watcher(api, settings).default_backoff());
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                let key = key(&object);
                listed.insert(key.clone());
                apply(kind, key, &object, &mut tell);
            }
            Ok(Event::InitDone) => tell(Change::Complete(std::mem::take(&mut listed))),
            Ok(Event::Apply(object)) => apply(kind, key(&object), &object, &mut tell),
            Ok(Event::Delete(object)) => tell(Change::Deleted(key(&object))),
            // A kind of check that is not installed has no objects. Of our own kinds that is never believed: an API
            // server that has just started knows none for a while.
            Err(error) if kind.may_be_missing() && is_missing(&error) => {
                tell(Change::Complete(BTreeSet::new()));
            }
            Err(error) => tracing::warn!(kind = kind.plural(), %error, "watch failed"),
        }
    }
}

fn apply(kind: Kind, key: ObjectKey, object: &DynamicObject, tell: &mut impl FnMut(Change)) {
    match serde_json::to_value(object) {
        Ok(value) => tell(Change::Applied(key, value)),
        Err(error) => tracing::warn!(kind = kind.plural(), ?key, %error, "object left out"),
    }
}

fn key(object: &DynamicObject) -> ObjectKey {
    ObjectKey {
        namespace: object.namespace().unwrap_or_default().into(),
        name: object.name_any().into(),
    }
}

fn is_missing(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}
