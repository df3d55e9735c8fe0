//! What the server does for some kinds beyond storing them.

use serde_json::{Value, json};

use super::Shared;
use super::call::{Call, now};
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

/// Completes and checks an object before it is stored; `old` is what it replaces.
pub(crate) fn complete(
    call: &Call<'_>,
    old: Option<&Value>,
    object: &mut Value,
) -> Result<(), Status> {
    match (call.resource.group(), call.resource.plural()) {
        ("", "namespaces") if old.is_none() => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
        _ => {}
    }
    Ok(())
}

/// Follows up an object that was stored.
pub(crate) fn stored(_shared: &Shared, _key: &Key, _object: &Value) -> Result<(), Status> {
    Ok(())
}

/// Follows up an object that was removed.
pub(crate) fn removed(_shared: &Shared, _tx: &mut Transaction<'_>, _key: &Key, _last: &Value) {}

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
