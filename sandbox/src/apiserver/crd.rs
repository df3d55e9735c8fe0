//! CustomResourceDefinitions: from the object to a kind being served.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::registry::{Column, Resource, Version};
use crate::status::Cause;
use crate::store::Collection;

/// Group and plural of CustomResourceDefinitions themselves.
pub(crate) const CRDS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// Completes a definition: names that follow from others, and the status that says the kind is served.
pub(crate) fn complete(crd: &mut Value, now: &str) {
    if !crd["spec"]["names"].is_object() {
        // Left to validation.
        return;
    }
    let names = &mut crd["spec"]["names"];
    if let Some(kind) = names["kind"].as_str().map(str::to_owned) {
        if names["singular"].is_null() {
            names["singular"] = Value::from(kind.to_lowercase());
        }
        if names["listKind"].is_null() {
            names["listKind"] = Value::from(format!("{kind}List"));
        }
    }
    if crd["spec"]["conversion"].is_null() {
        crd["spec"]["conversion"] = json!({"strategy": "None"});
    }
    let stored: Vec<&Value> = list(&crd["spec"]["versions"])
        .iter()
        .filter(|version| version["storage"] == true)
        .map(|version| &version["name"])
        .collect();
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now});
    crd["status"] = json!({
        "acceptedNames": crd["spec"]["names"],
        "storedVersions": stored,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    });
}

/// The kind that a definition describes.
///
/// # Errors
/// Everything that is wrong with the definition.
pub(crate) fn resource(crd: &Value) -> Result<Resource, Vec<Cause>> {
    let mut causes = Vec::new();
    let mut text = |value: &Value, field: &str| match value.as_str() {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => {
            causes.push(Cause::required(field, ""));
            String::new()
        }
    };
    let spec = &crd["spec"];
    let names = &spec["names"];
    let group = text(&spec["group"], "spec.group");
    let plural = text(&names["plural"], "spec.names.plural");
    let kind = text(&names["kind"], "spec.names.kind");
    let scope = text(&spec["scope"], "spec.scope");
    if !scope.is_empty() && scope != "Namespaced" && scope != "Cluster" {
        let allowed = [json!("Cluster"), json!("Namespaced")];
        causes.push(Cause::unsupported("spec.scope", &spec["scope"], &allowed));
    }
    let name = &crd["metadata"]["name"];
    if *name != format!("{plural}.{group}") {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", name, why));
    }
    if !group.is_empty() && !group.contains('.') {
        let why = "should be a domain with at least one dot";
        causes.push(Cause::invalid("spec.group", &spec["group"], why));
    }
    let storage: Vec<&Value> = list(&spec["versions"])
        .iter()
        .filter(|version| version["storage"] == true)
        .collect();
    if storage.len() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &spec["versions"], why));
    }
    let mut versions = Vec::new();
    for (at, version) in list(&spec["versions"]).iter().enumerate() {
        let field = format!("spec.versions[{at}]");
        if !version["schema"]["openAPIV3Schema"].is_object() {
            let why = "schemas are required";
            causes.push(Cause::required(
                format!("{field}.schema.openAPIV3Schema"),
                why,
            ));
        }
        match version["name"].as_str() {
            Some(_) if version["served"] == true => {
                versions.push(Arc::new(self::version(version)));
            }
            Some(_) => {}
            None => causes.push(Cause::required(format!("{field}.name"), "")),
        }
    }
    if versions.is_empty() && causes.is_empty() {
        let why = "must have at least one served version";
        causes.push(Cause::invalid("spec.versions", &spec["versions"], why));
    }
    if !causes.is_empty() {
        return Err(causes);
    }
    versions.sort_by_key(|version| Reverse(priority(&version.name)));
    let or = |value: &Value, default: String| value.as_str().map_or(default, str::to_owned);
    Ok(Resource {
        collection: Collection {
            group,
            resource: plural,
        },
        singular: or(&names["singular"], kind.to_lowercase()),
        list_kind: or(&names["listKind"], format!("{kind}List")),
        kind,
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: scope == "Namespaced",
        generation: true,
        custom: true,
        review: false,
        view_of: None,
        versions,
        storage: storage
            .first()
            .and_then(|version| version["name"].as_str())
            .unwrap_or_default()
            .to_owned(),
    })
}

fn version(version: &Value) -> Version {
    let columns = list(&version["additionalPrinterColumns"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Version {
        name: text(&version["name"]),
        status: version["subresources"]["status"].is_object(),
        scale: version["subresources"]["scale"].is_object(),
        schema: version["schema"]["openAPIV3Schema"].clone(),
        columns: columns
            .iter()
            .map(|column| Column {
                name: text(&column["name"]),
                kind: text(&column["type"]),
                path: text(&column["jsonPath"]),
                priority: column["priority"].as_i64().unwrap_or(0),
            })
            .collect(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value) -> Vec<String> {
    let texts = list(value).iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// Order of versions, greatest preferred: `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, then any other by name.
fn priority(name: &str) -> (u8, u64, u64, Reverse<String>) {
    let other = (0, 0, 0, Reverse(name.to_owned()));
    let Some(rest) = name.strip_prefix('v') else {
        return other;
    };
    let split = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (major, stage) = rest.split_at(split);
    let Ok(major) = major.parse() else {
        return other;
    };
    let (rank, minor) = match stage {
        "" => return (3, major, 0, Reverse(String::new())),
        stage if stage.starts_with("beta") => (2, &stage[4..]),
        stage if stage.starts_with("alpha") => (1, &stage[5..]),
        _ => return other,
    };
    match minor.parse() {
        Ok(minor) => (rank, major, minor, Reverse(String::new())),
        Err(_) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_preferred_as_in_kubernetes() {
        let mut names = [
            "foo1",
            "v1alpha1",
            "v3beta1",
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v12alpha1",
            "foo10",
            "v11alpha2",
            "v10beta3",
        ];
        names.sort_by_key(|name| Reverse(priority(name)));
        // The order given in the documentation of CustomResourceDefinition versioning.
        assert_eq!(
            names,
            [
                "v10",
                "v2",
                "v1",
                "v11beta2",
                "v10beta3",
                "v3beta1",
                "v12alpha1",
                "v11alpha2",
                "v1alpha1",
                "foo1",
                "foo10"
            ]
        );
    }

    #[test]
    fn a_definition_is_read_or_refused_with_every_reason() {
        let mut crd = json!({
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing", "shortNames": ["th"]},
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                    "additionalPrinterColumns": [{"name": "OK", "type": "boolean", "jsonPath": ".status.ok"}],
                }],
            },
        });
        complete(&mut crd, "2026-01-01T00:00:00Z");
        assert_eq!(crd["spec"]["names"]["listKind"], "ThingList");
        let read = resource(&crd).unwrap();
        assert_eq!(
            (
                read.singular.as_str(),
                read.namespaced,
                read.storage.as_str()
            ),
            ("thing", true, "v1")
        );
        assert!(read.versions[0].status && !read.versions[0].scale);
        assert_eq!(read.versions[0].columns[0].path, ".status.ok");

        crd["metadata"]["name"] = json!("others.example.com");
        crd["spec"]["scope"] = json!("Galaxy");
        crd["spec"]["versions"][0]["storage"] = json!(false);
        meta_schema_gone(&mut crd);
        let fields: Vec<String> = resource(&crd)
            .unwrap_err()
            .into_iter()
            .map(|cause| cause.field)
            .collect();
        assert_eq!(
            fields,
            [
                "spec.scope",
                "metadata.name",
                "spec.versions",
                "spec.versions[0].schema.openAPIV3Schema"
            ]
        );
    }

    fn meta_schema_gone(crd: &mut Value) {
        crd["spec"]["versions"][0]["schema"] = Value::Null;
    }
}
