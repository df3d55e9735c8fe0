//! What the server does for some kinds beyond storing them.

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::call::{Call, now};
use super::{Shared, autoscaler, crd, defaults, event, schema, validate};
use crate::registry::Resource;
use crate::status::Status;
use crate::store::{Collection, Key, Transaction};

/// The namespaces of a fresh cluster.
pub(crate) fn bootstrap(shared: &Shared) {
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": name, "uid": uuid::Uuid::new_v4().to_string(), "creationTimestamp": now(),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        // A store too small for four objects is no use anyway, and says so on the first request.
        let _ = shared
            .store
            .write(false, |tx| tx.put(&namespace_key(name), namespace));
    }
}

/// Brings an object into the form to be stored: prunes, fills in defaults. `old` is what it replaces.
pub(crate) fn complete(
    call: &Call<'_>,
    old: Option<&Value>,
    object: &mut Value,
) -> Result<(), Status> {
    if call.resource.custom {
        let unknown = schema::prune(&call.version.schema, object);
        if call.query.get("fieldValidation") == Some("Strict") && !unknown.is_empty() {
            return Err(unknown_fields(call, &unknown));
        }
        schema::default(&call.version.schema, object);
        return Ok(());
    }
    match (call.resource.group(), call.resource.plural()) {
        ("", "namespaces") if old.is_none() => {
            let name = object["metadata"]["name"].clone();
            json_patch::merge(
                object,
                &json!({
                    "metadata": {"labels": {"kubernetes.io/metadata.name": name}},
                    "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
                }),
            );
        }
        crd::CRDS => crd::complete(object, &now()),
        (_, "events") => {
            if call.resource.view_of.is_some() {
                event::to_stored(object);
            }
            event::fill(object);
        }
        (group, plural) => defaults::fill(group, plural, old.is_none(), object),
    }
    Ok(())
}

/// The refusal of an object with fields that its schema does not know, for a client that wants to hear of them.
fn unknown_fields(call: &Call<'_>, paths: &[String]) -> Status {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect();
    let kind = &call.resource.kind;
    Status::bad_request(format!(
        "{kind} in version \"{}\" cannot be handled as a {kind}: strict decoding error: {}",
        call.version.name,
        paths.join(", ")
    ))
}

/// Checks an object about to be stored. `old` is what it replaces.
pub(crate) fn check(call: &Call<'_>, old: Option<&Value>, object: &Value) -> Result<(), Status> {
    let resource = &call.resource;
    let causes = match (resource.group(), resource.plural()) {
        _ if resource.custom => validate::validate(&call.version.schema, object),
        crd::CRDS => crd::resource(object).err().unwrap_or_default(),
        ("", "pods") => defaults::check_pod(object),
        (_, "events") => event::check(call, old, object),
        ("autoscaling", "horizontalpodautoscalers") => autoscaler::check(object),
        _ => Vec::new(),
    };
    if causes.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(Status::invalid(
        resource.group(),
        &resource.kind,
        name,
        &causes,
    ))
}

/// Follows up an object that was stored.
pub(crate) fn stored(shared: &Shared, key: &Key, object: &Value) {
    if is_crd(key)
        && let Ok(resource) = crd::resource(object)
    {
        let mut registry = shared
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        registry.install(resource);
    }
}

/// Follows up an object that was removed.
pub(crate) fn removed(shared: &Shared, tx: &mut Transaction<'_>, key: &Key, last: &Value) {
    if !is_crd(key) || tx.dry_run() {
        return;
    }
    let Ok(resource) = crd::resource(last) else {
        return;
    };
    for (key, _) in tx.list(&resource.collection, None) {
        tx.remove(&key);
    }
    let mut registry = shared
        .registry
        .write()
        .unwrap_or_else(PoisonError::into_inner);
    registry.remove(&resource.collection);
}

fn is_crd(key: &Key) -> bool {
    (
        key.collection.group.as_str(),
        key.collection.resource.as_str(),
    ) == crd::CRDS
}

/// Where a namespace is stored.
pub(crate) fn namespace_key(name: &str) -> Key {
    Key {
        collection: Collection {
            group: String::new(),
            resource: "namespaces".to_owned(),
        },
        namespace: String::new(),
        name: name.to_owned(),
    }
}

/// Whether a namespace is there and takes new objects.
pub(crate) fn namespace_takes(
    tx: &Transaction<'_>,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<(), Status> {
    let Some(found) = tx.get(&namespace_key(namespace)) else {
        return Err(Status::not_found("", "namespaces", namespace));
    };
    if found["metadata"]["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let mut status = Status::forbidden(resource.group(), resource.plural(), name, &why);
    status.details["causes"] = json!([{
        "reason": "NamespaceTerminating",
        "message": format!("namespace {namespace} is being terminated"),
        "field": "metadata.namespace",
    }]);
    Err(status)
}
