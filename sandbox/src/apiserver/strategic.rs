//! Strategic merge patch, for built-in kinds.
//!
//! Which lists are merged, and by what key, is part of each Go type in Kubernetes. Here it is known by the field's
//! name and, where one name has two meanings, by the keys its elements carry.

use serde_json::{Map, Value};

use crate::status::Status;

/// Keys by which the elements of a list are told apart, for fields whose lists are merged. The first key that the
/// elements carry counts.
fn merge_keys(field: &str) -> &'static [&'static str] {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets" => &["name"],
        // Of a container by containerPort, of a service by port.
        "ports" => &["containerPort", "port"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "conditions" | "addresses" => &["type"],
        "ownerReferences" => &["uid"],
        "hostAliases" | "podIPs" | "hostIPs" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey"],
        "resourceClaims" => &["name"],
        "taints" => &["key"],
        _ => &[],
    }
}

/// Lists of plain values that are merged as sets.
fn is_set(field: &str) -> bool {
    matches!(field, "finalizers")
}

/// Applies `patch` to `object`.
pub(crate) fn merge(object: &mut Value, patch: &Value) -> Result<(), Status> {
    let Value::Object(patch) = patch else {
        *object = patch.clone();
        return Ok(());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            *object = Value::Object(without_directives(patch));
            return Ok(());
        }
        Some("delete") => {
            *object = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => {
            return Err(Status::bad_request(format!(
                "unknown patch type '{other}' in $patch"
            )));
        }
    }
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Value::Object(fields) = object else {
        return Ok(());
    };
    if let Some(Value::Array(kept)) = patch.get("$retainKeys") {
        fields.retain(|field, _| kept.iter().any(|name| name == field));
    }
    for (field, change) in patch {
        if let Some(list) = field.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(have)), Value::Array(gone)) = (fields.get_mut(list), change) {
                have.retain(|value| !gone.contains(value));
            }
        } else if field.starts_with('$') {
            continue;
        } else if change.is_null() {
            fields.remove(field);
        } else {
            let target = fields.entry(field.as_str()).or_insert(Value::Null);
            match change {
                Value::Array(change) => merge_list(field, target, change)?,
                change => merge(target, change)?,
            }
        }
    }
    for (field, order) in patch {
        if let (Some(list), Value::Array(order)) = (field.strip_prefix("$setElementOrder/"), order)
            && let Some(Value::Array(elements)) = fields.get_mut(list)
        {
            reorder(list, elements, order);
        }
    }
    Ok(())
}

fn merge_list(field: &str, target: &mut Value, change: &[Value]) -> Result<(), Status> {
    let key = merge_keys(field)
        .iter()
        .find(|key| change.iter().any(|element| element.get(**key).is_some()));
    let replaced = change.iter().any(|element| {
        element["$patch"] == "replace" && element.as_object().is_some_and(|e| e.len() == 1)
    });
    let Value::Array(elements) = target else {
        *target = Value::Array(Vec::new());
        return merge_list(field, target, change);
    };
    if let Some(key) = key.filter(|_| !replaced) {
        for element in change {
            let id = &element[*key];
            let place = elements.iter().position(|have| have[*key] == *id);
            match (element["$patch"] == "delete", place) {
                (true, Some(place)) => {
                    elements.remove(place);
                }
                (true, None) => {}
                (false, Some(place)) => merge(&mut elements[place], element)?,
                (false, None) => {
                    let mut new = Value::Null;
                    merge(&mut new, element)?;
                    elements.push(new);
                }
            }
        }
    } else if is_set(field) {
        for value in change {
            if !elements.contains(value) {
                elements.push(value.clone());
            }
        }
    } else {
        elements.clear();
        for element in change
            .iter()
            .filter(|element| element.get("$patch").is_none())
        {
            elements.push(element.clone());
        }
    }
    Ok(())
}

/// Elements named in `order` come in that order; others stay behind them.
fn reorder(field: &str, elements: &mut [Value], order: &[Value]) {
    let key = merge_keys(field)
        .iter()
        .find(|key| order.iter().any(|element| element.get(**key).is_some()));
    elements.sort_by_key(|element| {
        order
            .iter()
            .position(|wanted| match key {
                Some(key) => wanted[*key] == element[*key],
                None => wanted == element,
            })
            .unwrap_or(usize::MAX)
    });
}

fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    patch
        .iter()
        .filter(|(field, _)| !field.starts_with('$'))
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_merged_by_their_keys() {
        for (what, before, patch, after) in [
            (
                "a container is changed, its env added to",
                json!({"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]}),
                json!({"containers": [{"name": "a", "image": "2", "env": [{"name": "Y", "value": "2"}]}]}),
                json!({"containers": [{"name": "a", "image": "2", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}, {"name": "b"}]}),
            ),
            (
                "an element is deleted",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"name": "a", "$patch": "delete"}]}),
                json!({"containers": [{"name": "b"}]}),
            ),
            (
                "a list is replaced",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"name": "c"}, {"$patch": "replace"}]}),
                json!({"containers": [{"name": "c"}]}),
            ),
            (
                "ports of containers and of services have different keys",
                json!({"ports": [{"port": 80, "name": "http"}]}),
                json!({"ports": [{"port": 443}]}),
                json!({"ports": [{"port": 80, "name": "http"}, {"port": 443}]}),
            ),
            (
                "conditions by type",
                json!({"conditions": [{"type": "Ready", "status": "False"}, {"type": "Other"}]}),
                json!({"conditions": [{"type": "Ready", "status": "True"}]}),
                json!({"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other"}]}),
            ),
            (
                "a list without a key is replaced",
                json!({"command": ["a", "b"]}),
                json!({"command": ["c"]}),
                json!({"command": ["c"]}),
            ),
            (
                "finalizers are a set",
                json!({"finalizers": ["a", "b"]}),
                json!({"finalizers": ["c", "a"], "$deleteFromPrimitiveList/finalizers": ["b"]}),
                json!({"finalizers": ["a", "c"]}),
            ),
            (
                "order is set",
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"name": "c"}], "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}),
                json!({"containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]}),
            ),
            (
                "only the retained keys stay",
                json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
                json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
                json!({"strategy": {"type": "Recreate"}}),
            ),
            (
                "null removes, maps merge",
                json!({"labels": {"a": "1", "b": "2"}}),
                json!({"labels": {"a": null, "c": "3"}}),
                json!({"labels": {"b": "2", "c": "3"}}),
            ),
        ] {
            let mut object = before;
            merge(&mut object, &patch).unwrap();
            assert_eq!(object, after, "{what}");
        }
    }
}
