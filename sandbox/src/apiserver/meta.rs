//! Rules of an object's metadata when it is created, changed and deleted. Pure: time and identities are given.

use serde_json::{Map, Value, json};

use crate::registry::{Resource, Version, group_version};
use crate::status::{Cause, Status};

/// What of an object a write is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it; of a kind with `/status`, all but the status.
    Object,
    /// Only the status.
    Status,
}

/// Things an object gets from the server.
#[derive(Debug, Clone)]
pub(crate) struct Birth {
    /// RFC 3339, seconds.
    pub(crate) now: String,
    pub(crate) uid: String,
    /// Five characters that complete a `generateName`.
    pub(crate) suffix: String,
}

/// Whether `object` is of the kind and namespace it is sent to; fills in what may be left out.
pub(crate) fn belongs(
    resource: &Resource,
    version: &str,
    namespace: Option<&str>,
    object: &mut Value,
) -> Result<(), Status> {
    let Value::Object(fields) = object else {
        return Err(Status::bad_request(
            "the body of the request must be an object",
        ));
    };
    let expected = group_version(resource.group(), version);
    let given = fields.get("apiVersion").and_then(Value::as_str);
    if given.is_some_and(|given| given != expected) {
        return Err(Status::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({expected})",
            given.unwrap_or_default()
        )));
    }
    let given = fields.get("kind").and_then(Value::as_str);
    if given.is_some_and(|given| given != resource.kind) {
        return Err(Status::bad_request(format!(
            "the kind in the data ({}) does not match the expected kind ({})",
            given.unwrap_or_default(),
            resource.kind
        )));
    }
    fields.insert("apiVersion".to_owned(), Value::from(expected));
    fields.insert("kind".to_owned(), Value::from(resource.kind.as_str()));
    // What the rules of built-in kinds look into. Of custom kinds the schema decides.
    for part in ["spec", "status"] {
        let found = fields.get(part).unwrap_or(&Value::Null);
        if !resource.custom && !found.is_null() && !found.is_object() {
            return Err(Status::bad_request(format!(
                "json: cannot unmarshal {} into Go struct field {}.{part}",
                type_name(found),
                resource.kind
            )));
        }
    }
    let metadata = fields
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(metadata) = metadata else {
        return Err(Status::bad_request("metadata must be an object"));
    };
    for key in ["labels", "annotations"] {
        text_map(metadata, key)?;
    }
    // What the server does not keep.
    metadata.remove("managedFields");
    metadata.remove("selfLink");
    match namespace {
        None => {
            metadata.remove("namespace");
        }
        Some(namespace) => {
            let given = metadata
                .get("namespace")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if !given.is_empty() && given != namespace {
                return Err(Status::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            metadata.insert("namespace".to_owned(), Value::from(namespace));
        }
    }
    Ok(())
}

/// Labels and annotations are maps of texts; an empty one is left out.
fn text_map(metadata: &mut Map<String, Value>, key: &str) -> Result<(), Status> {
    match metadata.get(key) {
        None => return Ok(()),
        Some(Value::Null) => {}
        Some(Value::Object(map)) => {
            if let Some((name, value)) = map.iter().find(|(_, value)| !value.is_string()) {
                return Err(Status::bad_request(format!(
                    "json: cannot unmarshal {} into Go struct field ObjectMeta.metadata.{key} of type string ({name})",
                    type_name(value)
                )));
            }
            if !map.is_empty() {
                return Ok(());
            }
        }
        Some(other) => {
            return Err(Status::bad_request(format!(
                "json: cannot unmarshal {} into Go struct field ObjectMeta.metadata.{key} of type map[string]string",
                type_name(other)
            )));
        }
    }
    metadata.remove(key);
    Ok(())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Makes `object`, for which [`belongs`] holds, the object to be stored; the answer is its name.
pub(crate) fn create(
    resource: &Resource,
    version: &Version,
    object: &mut Value,
    birth: &Birth,
) -> Result<String, Status> {
    let metadata = &mut object["metadata"];
    if !text(metadata, "resourceVersion").is_empty() {
        return Err(Status::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let mut name = text(metadata, "name").to_owned();
    let prefix = text(metadata, "generateName");
    if name.is_empty() && !prefix.is_empty() {
        // Room for the suffix, as in k8s.io/apiserver/pkg/storage/names.
        let kept: String = prefix.chars().take(58).collect();
        name = format!("{kept}{}", birth.suffix);
    }
    valid_name(resource, &name)?;
    metadata["name"] = Value::from(name.as_str());
    metadata["uid"] = Value::from(birth.uid.as_str());
    metadata["creationTimestamp"] = Value::from(birth.now.as_str());
    if let Value::Object(metadata) = metadata {
        metadata.remove("deletionTimestamp");
        metadata.remove("deletionGracePeriodSeconds");
        metadata.remove("resourceVersion");
        metadata.remove("generation");
        if resource.generation {
            metadata.insert("generation".to_owned(), Value::from(1));
        }
    }
    if version.status {
        remove(object, "status");
    }
    Ok(name)
}

/// Makes `new`, for which [`belongs`] holds, what is stored in place of `old`.
pub(crate) fn update(
    resource: &Resource,
    version: &Version,
    part: Part,
    old: &Value,
    new: &mut Value,
) -> Result<(), Status> {
    let (was, is) = (&old["metadata"], &new["metadata"]);
    let (group, plural) = (resource.group(), resource.plural());
    let name = text(was, "name");
    let given = text(is, "name");
    if given != name && !given.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    let (uid, given) = (text(was, "uid"), text(is, "uid"));
    if !given.is_empty() && given != uid {
        let why =
            format!("Precondition failed: UID in precondition: {given}, UID in object meta: {uid}");
        return Err(Status::conflict_because(group, plural, name, &why));
    }
    match text(is, "resourceVersion") {
        "" if resource.custom => {
            let why = "must be specified for an update";
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), why);
            return Err(Status::invalid(group, &resource.kind, name, &[cause]));
        }
        "" => {}
        given if given == text(was, "resourceVersion") => {}
        _ => return Err(Status::conflict(group, plural, name)),
    }
    if part == Part::Status {
        // Labels, annotations and finalizers of a status update are ignored for custom kinds and most others.
        let status = new["status"].take();
        *new = old.clone();
        set(new, "status", status);
        return Ok(());
    }
    keep(&mut new["metadata"], was);
    if version.status {
        set(new, "status", old["status"].clone());
    }
    if resource.generation && counts(resource, version, old) != counts(resource, version, new) {
        let generation = was["generation"].as_i64().unwrap_or(0) + 1;
        new["metadata"]["generation"] = Value::from(generation);
    }
    Ok(())
}

/// What of an object a new generation is counted for.
fn counts(resource: &Resource, version: &Version, object: &Value) -> Value {
    if !resource.custom {
        return object["spec"].clone();
    }
    let mut object = object.clone();
    remove(&mut object, "metadata");
    remove(&mut object, "apiVersion");
    if version.status {
        remove(&mut object, "status");
    }
    object
}

/// Carries over what a client cannot change.
fn keep(metadata: &mut Value, was: &Value) {
    for key in [
        "name",
        "namespace",
        "generateName",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
    ] {
        set(metadata, key, was[key].clone());
    }
}

/// Whether nothing holds back an object whose deletion was asked for.
pub(crate) fn released(object: &Value) -> bool {
    let metadata = &object["metadata"];
    metadata["deletionTimestamp"].is_string()
        && finalizers(object).is_empty()
        && metadata["deletionGracePeriodSeconds"].as_u64().unwrap_or(0) == 0
}

/// The finalizers of an object.
pub(crate) fn finalizers(object: &Value) -> &[Value] {
    object["metadata"]["finalizers"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn valid_name(resource: &Resource, name: &str) -> Result<(), Status> {
    let invalid = |cause| Status::invalid(resource.group(), &resource.kind, name, &[cause]);
    if name.is_empty() {
        let cause = Cause::required("metadata.name", "name or generateName is required");
        return Err(invalid(cause));
    }
    // Names of access rules are only path segments ("system:node"); all others are DNS subdomains.
    if resource.group() == "rbac.authorization.k8s.io" {
        return match name.contains('/') || name.contains('%') || name == "." || name == ".." {
            true => Err(invalid(Cause::invalid(
                "metadata.name",
                &json!(name),
                "may not contain '/' or '%'",
            ))),
            false => Ok(()),
        };
    }
    if is_subdomain(name) {
        return Ok(());
    }
    let why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
               and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
               validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    Err(invalid(Cause::invalid("metadata.name", &json!(name), why)))
}

/// Whether this is a DNS subdomain of RFC 1123.
pub(crate) fn is_subdomain(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= 253
        && name.split('.').all(|label| {
            edge(label.chars().next())
                && edge(label.chars().next_back())
                && label
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        })
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

/// Sets a field, or removes it if `value` is null.
pub(crate) fn set(object: &mut Value, key: &str, value: Value) {
    match value {
        Value::Null => remove(object, key),
        value => object[key] = value,
    }
}

pub(crate) fn remove(object: &mut Value, key: &str) {
    if let Value::Object(fields) = object {
        fields.remove(key);
    }
}
