//! Checker pods seen through the API.

use serde_json::{Value, json};

use super::clock;
use crate::api::{Api, ApiError};

/// Path of the pods of a namespace.
pub(crate) fn path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

/// Path of the pods of a namespace that have a label, with this value if one is given.
pub(crate) fn labelled(namespace: &str, label: &str, value: Option<&str>) -> String {
    let path = path(namespace);
    match value {
        Some(value) => format!("{path}?labelSelector={label}%3D{value}"),
        None => format!("{path}?labelSelector={label}"),
    }
}

/// A phase, empty before the node has written one.
pub(crate) fn phase(pod: &Value) -> &str {
    pod["status"]["phase"].as_str().unwrap_or_default()
}

/// Whether the pod's containers have ended for good.
pub(crate) fn is_finished(pod: &Value) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Text at `metadata.key`.
pub(crate) fn metadata<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"][key].as_str().unwrap_or_default()
}

/// Creation in unix seconds; 0 if the object has none.
pub(crate) fn created(object: &Value) -> i64 {
    clock::parse_unix(metadata(object, "creationTimestamp")).unwrap_or(0)
}

/// Sets a variable in the environment of a container, in place of one of the same name.
pub(crate) fn set_env(container: &mut Value, variable: Value) {
    if !container["env"].is_array() {
        container["env"] = json!([]);
    }
    let Some(env) = container["env"].as_array_mut() else {
        return;
    };
    match env
        .iter_mut()
        .find(|known| known["name"] == variable["name"])
    {
        Some(known) => *known = variable,
        None => env.push(variable),
    }
}

/// A variable with a fixed value.
pub(crate) fn variable(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// The variable that tells a checker its namespace, the same in both lines.
pub(crate) fn namespace_variable() -> Value {
    json!({"name": "KH_POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}})
}

/// Adds the texts of `from`, a JSON object, to those of `to`; the last one told wins.
pub(crate) fn add_texts(to: &mut Value, from: &Value) {
    for (key, value) in from.as_object().into_iter().flatten() {
        to[key] = value.clone();
    }
}

/// Deletes a pod with the grace period its spec says; one that is gone already counts as deleted.
pub(crate) async fn delete(api: &Api, pod: &Value) -> Result<(), ApiError> {
    let path = format!(
        "{}/{}",
        path(metadata(pod, "namespace")),
        metadata(pod, "name")
    );
    match api.delete(&path).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
